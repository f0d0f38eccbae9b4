/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_pr_out.c - PERSISTENT RESERVE OUT (SPC-4 5.13): register, reserve, release, clear, preempt.
 *
 * Parses the initiator's CDB and parameter list. PREEMPT AND ABORT answers only after every
 * command of the preempted nexuses has ended. SPEC_I_PT, ALL_TG_PT, REGISTER AND MOVE and REPLACE
 * LOST RESERVATION are not offered, and REPORT CAPABILITIES says so.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <stdlib.h>
#include <string.h>

#define UA_PREEMPTED	 0x2a03 /* RESERVATIONS PREEMPTED: by CLEAR */
#define UA_RELEASED	 0x2a04
#define UA_REG_PREEMPTED 0x2a05

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE };

struct out {
	uint64_t key, sark;
	uint8_t scope, type, flags;
};

int san_prep_pr_out(struct san_cmd *cmd)
{
	cmd->cdb_len = san_get32(cmd->cdb + 5);
	if (cmd->cdb_len != 24) {
		cmd->cdb_len = 0;
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x1a00);
		return -1;
	}
	return 0;
}

static bool type_known(uint8_t t)
{
	return t == 1 || t == 3 || (t >= 5 && t <= 8);
}

/* Tells all registered nexuses but one. */
static void tell_registered(struct san_lun *lun, const struct san_nexus *except, uint16_t code)
{
	struct san_reg *r;

	TAILQ_FOREACH (r, &lun->pr.regs, link)
		if (r->nexus != except)
			san_ua_add(r->nexus, lun, code);
}

static void drop_reservation(struct san_lun *lun, const struct san_nexus *by)
{
	uint8_t type = lun->pr.type;

	lun->pr.type = 0;
	lun->pr.holder = NULL;
	if (type >= 5)
		tell_registered(lun, by, UA_RELEASED);
}

static void unregister(struct san_lun *lun, struct san_reg *r)
{
	struct san_nexus *n = r->nexus;

	san_pr_remove(lun, r);
	if (!lun->pr.type)
		return;
	if (lun->pr.holder == n || (san_pr_is_all(lun->pr.type) && !lun->pr.count))
		drop_reservation(lun, n);
}

static void do_register(struct san_cmd *cmd, const struct out *o, bool ignore)
{
	struct san_lun *lun = cmd->lun;
	struct san_reg *r = san_pr_find(lun, cmd->nexus);

	if (o->flags & 0x0c || (o->flags & 0x01 && !cmd->san->state_dir[0])) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2600);
		return;
	}
	if (!ignore && o->key != (r ? r->key : 0)) {
		cmd->status = SAN_CONFLICT;
		return;
	}
	if (!r && !o->sark)
		return;
	lun->pr.aptpl = o->flags & 0x01;
	lun->pr.generation++;
	if (!o->sark)
		unregister(lun, r);
	else if (r)
		r->key = o->sark;
	else if (!san_pr_add(lun, cmd->nexus, o->sark))
		cmd->status = SAN_BUSY;
}

static void do_reserve(struct san_cmd *cmd, const struct out *o)
{
	struct san_pr *pr = &cmd->lun->pr;

	if (o->scope || !type_known(o->type)) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2400);
	} else if (!pr->type) {
		pr->type = o->type;
		pr->holder = san_pr_is_all(o->type) ? NULL : cmd->nexus;
	} else if (pr->type != o->type || (!san_pr_is_all(pr->type) && pr->holder != cmd->nexus)) {
		cmd->status = SAN_CONFLICT;
	}
}

static void do_release(struct san_cmd *cmd, const struct out *o)
{
	struct san_pr *pr = &cmd->lun->pr;

	if (!pr->type || (!san_pr_is_all(pr->type) && pr->holder != cmd->nexus))
		return;
	if (o->scope || o->type != pr->type)
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2604);
	else
		drop_reservation(cmd->lun, cmd->nexus);
}

static void do_clear(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	struct san_reg *r;

	lun->pr.type = 0;
	lun->pr.holder = NULL;
	lun->pr.generation++;
	tell_registered(lun, cmd->nexus, UA_PREEMPTED);
	while ((r = TAILQ_FIRST(&lun->pr.regs)))
		san_pr_remove(lun, r);
}

static bool is_victim(const struct san_cmd *task, struct san_nexus *const *victims, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (task->nexus == victims[i])
			return true;
	return false;
}

/* Marks the registrations that go; returns how many. */
static unsigned int mark(struct san_lun *lun, const struct san_nexus *self, uint64_t sark, bool all,
			 bool keep_self)
{
	struct san_reg *r;
	unsigned int n = 0;

	TAILQ_FOREACH (r, &lun->pr.regs, link) {
		r->hit = (all || r->key == sark) && !(keep_self && r->nexus == self);
		n += r->hit;
	}
	return n;
}

static void take_out(struct san_lun *lun, const struct san_nexus *self, struct san_nexus **victims)
{
	struct san_reg *r, *next;
	unsigned int n = 0;

	for (r = TAILQ_FIRST(&lun->pr.regs); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (!r->hit)
			continue;
		victims[n++] = r->nexus;
		if (r->nexus != self)
			san_ua_add(r->nexus, lun, UA_REG_PREEMPTED);
		san_pr_remove(lun, r);
	}
}

/*
 * The common part of both preempts. Fills victims with the nexuses that lost their registration
 * (room for all of them) and returns their number; the status of cmd says when it was refused.
 */
static unsigned int preempt(struct san_cmd *cmd, const struct out *o, struct san_nexus **victims)
{
	struct san_lun *lun = cmd->lun;
	struct san_pr *pr = &lun->pr;
	bool all_regs = pr->type && san_pr_is_all(pr->type);
	bool takes = pr->type && (all_regs ? o->sark == 0 : san_pr_key(lun, pr->holder) == o->sark);
	uint8_t old = pr->type;
	unsigned int n;

	if (!o->sark && !all_regs) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2600);
		return 0;
	}
	if (takes && (o->scope || !type_known(o->type))) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2400);
		return 0;
	}
	n = mark(lun, cmd->nexus, o->sark, all_regs && !o->sark, takes);
	if (!n && !takes) {
		cmd->status = SAN_CONFLICT;
		return 0;
	}
	take_out(lun, cmd->nexus, victims);
	pr->generation++;
	if (takes) {
		pr->type = o->type;
		pr->holder = san_pr_is_all(o->type) ? NULL : cmd->nexus;
		if (old != o->type)
			tell_registered(lun, cmd->nexus, UA_RELEASED);
	} else if (all_regs && !pr->count) {
		pr->type = 0;
	}
	return n;
}

static void abort_done(struct san *san, void *arg)
{
	(void)san;
	san_cmd_done(arg);
}

/* Always ends the command by itself; what the victims have in flight ends first. */
static bool do_preempt_abort(struct san_cmd *cmd, const struct out *o, struct san_nexus **victims)
{
	struct san_lun *lun = cmd->lun;
	struct san_cmd *task, *next;
	unsigned int n;
	int slot = san_barrier_new(cmd->san, abort_done, cmd);

	if (slot < 0) {
		cmd->status = SAN_BUSY;
		return true;
	}
	n = preempt(cmd, o, victims);
	for (task = TAILQ_FIRST(&lun->tasks); n && task; task = next) {
		next = TAILQ_NEXT(task, in_lun);
		if (task != cmd && is_victim(task, victims, n))
			san_abort(task, slot);
	}
	san_pr_save(lun);
	cmd->own_barrier = true;
	san_barrier_go(cmd->san, slot);
	return false;
}

bool san_run_pr_out(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint8_t action = cmd->cdb[1] & 0x1f;
	struct san_nexus **victims;
	struct out o;
	bool done = true;

	if (cmd->out_len < 24) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x1a00);
		return true;
	}
	o.key = san_get64(cmd->out);
	o.sark = san_get64(cmd->out + 8);
	o.flags = cmd->out[20];
	o.scope = cmd->cdb[2] >> 4;
	o.type = cmd->cdb[2] & 0x0f;
	if (action != REGISTER && action != REGISTER_IGNORE) {
		const struct san_reg *r = san_pr_find(lun, cmd->nexus);

		if (!r || r->key != o.key) {
			cmd->status = SAN_CONFLICT;
			return true;
		}
	}
	victims = calloc(lun->pr.count + 1, sizeof *victims);
	if (!victims) {
		cmd->status = SAN_BUSY;
		return true;
	}
	switch (action) {
	case RESERVE:
		do_reserve(cmd, &o);
		break;
	case RELEASE:
		do_release(cmd, &o);
		break;
	case CLEAR:
		do_clear(cmd);
		break;
	case PREEMPT:
		(void)preempt(cmd, &o, victims);
		break;
	case PREEMPT_ABORT:
		done = do_preempt_abort(cmd, &o, victims);
		break;
	default:
		do_register(cmd, &o, action == REGISTER_IGNORE);
		break;
	}
	free(victims);
	if (done)
		san_pr_save(lun);
	return done;
}
