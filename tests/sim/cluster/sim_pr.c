/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_pr.c - PERSISTENT RESERVE IN and OUT. A registration is one nexus' (initiator port); the reservation of type 7 goes
 * with the last of them. Parses CDBs and parameter lists.
 */
#include "config.h"

#include "tests/sim/cluster/sim_pr.h"

#include "common/cm_buf.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/iscsi/stor_scsi.h"
#include "tests/sim/cluster/sim_world.h"

static unsigned find(struct sim_lun *l, uint64_t nexus)
{
	for (unsigned i = 0; i < l->nregs; i++)
		if (l->reg[i].nexus == nexus)
			return i;
	CM_ASSERT(l->nregs < SIM_REGS);
	l->reg[l->nregs].nexus = nexus;
	l->reg[l->nregs].key = 0;
	return l->nregs++;
}

bool sim_pr_may_write(const struct sim_lun *l, uint64_t nexus)
{
	for (unsigned i = 0; i < l->nregs; i++)
		if (l->reg[i].nexus == nexus && l->reg[i].key)
			return true;
	return l->type == 0;
}

bool sim_pr_attention(struct sim_lun *l, uint64_t nexus, struct sim_answer *a)
{
	unsigned i = find(l, nexus);

	if (!l->reg[i].asc)
		return false;
	a->status = STOR_SCSI_CHECK;
	a->key = STOR_KEY_ATTENTION;
	a->asc = l->reg[i].asc;
	a->ascq = l->reg[i].ascq;
	l->reg[i].asc = 0;
	return true;
}

void sim_pr_tell_all(struct sim_lun *l, uint64_t but, uint8_t asc, uint8_t ascq)
{
	for (unsigned i = 0; i < l->nregs; i++)
		if (l->reg[i].nexus != but) {
			l->reg[i].asc = asc;
			l->reg[i].ascq = ascq;
		}
}

void sim_pr_in(const struct sim_lun *l, const uint8_t *cdb, struct sim_answer *a)
{
	uint32_t n = 0;

	cm_put_be32(a->data, l->generation);
	if (cdb[1] == STOR_PR_READ_KEYS) {
		for (unsigned i = 0; i < l->nregs; i++)
			if (l->reg[i].key)
				cm_put_be64(a->data + 8 + 8 * n++, l->reg[i].key);
		cm_put_be32(a->data + 4, 8 * n);
		a->bytes = 8 + 8 * n;
		return;
	}
	cm_put_be32(a->data + 4, l->type ? 16 : 0);
	a->data[21] = l->type;
	a->bytes = l->type ? 24 : 8;
}

/* The reservation goes with the last key. */
static void last_look(struct sim_lun *l)
{
	for (unsigned i = 0; i < l->nregs; i++)
		if (l->reg[i].key)
			return;
	l->type = 0;
}

static void pr_register(struct sim_lun *l, unsigned at, uint64_t key)
{
	l->reg[at].key = key;
	l->generation++;
	last_look(l);
}

/* With abort: answered when what was under way has ended. */
static void preempt(struct sim_lun *l, uint64_t nexus, uint64_t key, bool abort, sim_answer_fn answer, void *arg)
{
	struct sim_answer a = {.status = STOR_SCSI_CONFLICT};
	uint64_t victim = 0;

	for (unsigned i = 0; i < l->nregs && key; i++)
		if (l->reg[i].key == key) {
			victim = l->reg[i].nexus;
			l->reg[i].key = 0;
			if (victim != nexus) {
				l->reg[i].asc = 0x2a;
				l->reg[i].ascq = 5;
			}
			a.status = STOR_SCSI_GOOD;
		}
	if (victim) {
		l->generation++;
		last_look(l);
	}
	if (victim && abort)
		sim_lun_abort(l, false, victim, answer, arg);
	else
		answer(&a, arg);
}

void sim_pr_out(struct sim_lun *l, uint64_t nexus, const uint8_t *cdb, const uint8_t *list, sim_answer_fn answer, void *arg)
{
	struct sim_answer a = {.status = STOR_SCSI_GOOD};
	uint64_t key = cm_be64(list), sa = cm_be64(list + 8);
	unsigned at = find(l, nexus), service = cdb[1] & 31, type = cdb[2] & 15;

	if (service == STOR_PR_REGISTER_IGNORE) {
		pr_register(l, at, sa);
	} else if (!l->reg[at].key || l->reg[at].key != key) {
		a.status = STOR_SCSI_CONFLICT;
	} else if (service == STOR_PR_REGISTER) {
		pr_register(l, at, sa);
	} else if (service == STOR_PR_RESERVE) {
		if (l->type && l->type != type)
			a.status = STOR_SCSI_CONFLICT;
		else
			l->type = (uint8_t)type;
	} else if (service == STOR_PR_PREEMPT || service == STOR_PR_PREEMPT_ABORT) {
		preempt(l, nexus, sa, service == STOR_PR_PREEMPT_ABORT, answer, arg);
		return;
	}
	answer(&a, arg);
}
