/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_move.c - what takes the place of migration/mig_worker.c and of both workers: messages over a network that may be
 * cut, or be silent. Which message follows which is as in mig_src_work.c and mig_dst_work.c. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/devices/hv_devices.h"
#include "migration/mig_compat.h"
#include "migration/mig_dst_int.h"
#include "migration/mig_src_int.h"
#include "migration/mig_vm.h"
#include "tests/sim/cluster/sim_core.h"
#include "tests/sim/cluster/sim_oracle.h"

#define SILENCE_MS 10000u /* MIG_IO_TIMEOUT_DEFAULT_MS */

bool (*sim_reaches)(const struct sim_node *a, const struct sim_node *b);
void (*sim_move_verified)(struct sim_core *source, struct sim_core *dest);
const struct hv_dev_ops hv_dev_net;

/* --- what is not simulated of a VM ------------------------------------------------------- */

void hv_net_announce(struct hv_dev *nic)
{
	(void)nic;
}

int hv_vm_prepare(struct hv_vm *vm, const struct hv_cpuid *contract, struct cm_err *err)
{
	(void)vm, (void)contract, (void)err;
	return 0;
}

int mig_vm_supported(struct hv_vm *vm, struct hv_cpuid *supported, struct cm_err *err)
{
	(void)vm, (void)supported, (void)err;
	return 0;
}

int mig_vm_check(struct hv_vm *vm, const struct mig_hello *h, const struct hv_cpuid *contract,
		 const struct hv_cpuid *supported, struct cm_err *err)
{
	(void)vm, (void)h, (void)contract, (void)supported, (void)err;
	return 0;
}

int mig_compat_ticket(const struct mig_hello *h, uint64_t epoch, const char *source, struct cm_err *err)
{
	(void)source;
	return h->epoch == epoch ? 0 : cm_err_set(err, CM_E_MIG_TICKET, "another epoch");
}

void px_psk_wipe(struct px_psk *psk)
{
	(void)psk;
}

void *mig__src_thread(void *src)
{
	return src;
}

void *mig__dst_thread(void *dst)
{
	return dst;
}

/* --- messages -------------------------------------------------------------------------------- */

enum word { W_HELLO = 1, W_WELCOME, W_STATE, W_VERIFIED, W_COMMITTED, W_RESUMED, W_BROKEN };

struct letter {
	struct sim_core *to, *from;
	enum word word;
	struct mig_hello hello;
	struct stor_owner owner;
	uint8_t state[64];
	size_t len;
};

/* The worker's end of this process: posts, as the loop sees it. */
static void post(struct mig_worker *w, unsigned event, int code)
{
	struct cm_err err = CM_ERR_INIT;

	if (code)
		cm_err_set(&err, code, "the connection broke");
	w->event(w->arg, event, code ? &err : NULL);
}

static void src_hears(struct mig_src *m, const struct letter *l)
{
	switch (l->word) {
	case W_WELCOME:
		m->welcome.owner = l->owner;
		post(&m->worker, SRC_EV_CONNECTED, 0);
		return;
	case W_VERIFIED:
		if (m->fsm.state == SRC_FINAL)
			post(&m->worker, SRC_EV_VERIFIED, 0);
		return;
	case W_RESUMED:
		if (m->fsm.state == SRC_TELL)
			post(&m->worker, SRC_EV_TOLD, 0);
		return;
	default:
		if (m->fsm.state < SRC_QUIT)
			post(&m->worker, SRC_EV_FAILED, CM_E_MIG_PEER);
		return;
	}
}

static void dst_hears(struct mig_dst *m, const struct letter *l)
{
	switch (l->word) {
	case W_HELLO:
		m->hello = l->hello;
		post(&m->worker, DST_EV_HELLO, 0);
		return;
	case W_STATE:
		if (m->fsm.state != DST_RECEIVE)
			return;
		cm_buf_put(&m->state, l->state, l->len);
		post(&m->worker, DST_EV_LANDED, 0);
		return;
	case W_COMMITTED:
		if (m->fsm.state >= DST_VERIFIED && m->fsm.state <= DST_TAKE)
			post(&m->worker, DST_EV_COMMITTED, 0);
		return;
	default:
		if (m->fsm.state < DST_VERIFIED)
			post(&m->worker, DST_EV_FAILED, CM_E_MIG_PEER);
		else if (m->fsm.state == DST_VERIFIED)
			post(&m->worker, DST_EV_SILENT, 0);
		return;
	}
}

static void comes(void *arg)
{
	struct letter *l = arg;
	struct sim_core *c = l->to;

	if (l->word != W_BROKEN && (c->peer != l->from || c->peer_lost))
		return;
	if (l->word == W_BROKEN)
		c->peer_lost = true;
	if (c->src)
		src_hears(c->src, l);
	else if (c->dst)
		dst_hears(c->dst, l);
}

static struct letter *letter_new(struct sim_core *from, struct sim_core *to, enum word word)
{
	struct letter *l = sim_alloc(sizeof *l);

	l->from = from;
	l->to = to;
	l->word = word;
	return l;
}

static void post_to(struct letter *l, uint64_t after_ns)
{
	if (l->word == W_BROKEN || sim_reaches(l->from->node, l->to->node))
		sim_at_proc(l->to->proc, sim_now + after_ns, 1, comes, l);
}

static void send(struct letter *l)
{
	post_to(l, sim_between(1, 30) * SIM_MS / 10 * (sim_chance(50) ? 100 : 1));
}

static void broken(struct sim_core *c, uint64_t after_ns)
{
	if (c && c->proc->alive)
		post_to(letter_new(c, c, W_BROKEN), after_ns);
}

void sim_move_died(struct sim_core *c)
{
	/* A dead process' kernel says so, a dead node's does not. */
	if (c->peer && c->peer->peer == c)
		broken(c->peer, c->node->on && sim_reaches(c->node, c->peer->node) ? SIM_MS : SILENCE_MS * SIM_MS);
}

void sim_move_parted(struct sim_node *a, struct sim_node *b)
{
	struct sim_proc *p;

	TAILQ_FOREACH (p, &a->procs, link) {
		struct sim_core *c = strcmp(p->name, "hvcore") == 0 ? p->arg : NULL;

		if (c && c->peer && c->peer->node == b) {
			broken(c, SILENCE_MS * SIM_MS);
			broken(c->peer, SILENCE_MS * SIM_MS);
		}
	}
}

void sim_move_break(struct sim_core *c)
{
	broken(c, 0);
}

/* --- mig_worker.h ---------------------------------------------------------------------------- */

int mig_worker_start(struct mig_worker *w, struct cm_loop *loop, void *(*thread)(void *), mig_worker_event_fn event,
		     void *arg, struct cm_err *err)
{
	(void)thread;
	(void)err;
	w->loop = loop;
	w->event = event;
	w->arg = arg;
	return 0;
}

void mig_worker_join(struct mig_worker *w)
{
	(void)w;
}

void mig_worker_get_progress(struct mig_worker *w, struct mig_progress *out)
{
	(void)w;
	memset(out, 0, sizeof *out);
}

static void quit_later(void *arg)
{
	struct mig_worker *w = arg;

	w->event(w->arg, w->cmd == SRC_CMD_QUIT + 100u ? SRC_EV_ENDED : DST_EV_ENDED, NULL);
}

static struct sim_core *me(void)
{
	return sim_self->arg;
}

void mig_worker_abort(struct mig_worker *w)
{
	struct sim_core *c = me();

	(void)w;
	if (c->peer && !c->peer_lost) {
		c->peer_lost = true;
		if (sim_reaches(c->node, c->peer->node))
			broken(c->peer, SIM_MS);
		broken(c, 0);
	}
}

static void src_command(struct sim_core *c, unsigned cmd)
{
	struct mig_src *m = c->src;
	struct letter *l;

	switch (cmd) {
	case SRC_CMD_FINAL:
		l = letter_new(c, c->peer, W_STATE);
		CM_ASSERT(m->state.len <= sizeof l->state);
		l->len = m->state.len;
		memcpy(l->state, m->state.data, l->len);
		send(l);
		break;
	case SRC_CMD_TELL:
		send(letter_new(c, c->peer, W_COMMITTED));
		break;
	case SRC_CMD_QUIT:
		m->worker.cmd = SRC_CMD_QUIT + 100u;
		cm_loop_post(m->worker.loop, quit_later, &m->worker);
		break;
	default:
		break;
	}
}

static void dst_command(struct sim_core *c, unsigned cmd)
{
	struct mig_dst *m = c->dst;
	struct letter *l;

	switch (cmd) {
	case DST_CMD_RECEIVE:
		l = letter_new(c, c->peer, W_WELCOME);
		l->owner = m->welcome.owner;
		send(l);
		break;
	case DST_CMD_VERIFIED:
		if (c->peer_lost)
			broken(c, 0);
		send(letter_new(c, c->peer, W_VERIFIED));
		if (sim_move_verified)
			sim_move_verified(c->peer, c);
		break;
	case DST_CMD_RESUMED:
		send(letter_new(c, c->peer, W_RESUMED));
		__attribute__((fallthrough));
	case DST_CMD_QUIT:
		m->worker.cmd = 0;
		cm_loop_post(m->worker.loop, quit_later, &m->worker);
		break;
	default:
		break;
	}
}

void mig_worker_command(struct mig_worker *w, unsigned cmd)
{
	struct sim_core *c = me();

	if (c->src && w == &c->src->worker)
		src_command(c, cmd);
	else if (c->dst && w == &c->dst->worker)
		dst_command(c, cmd);
}

/* --- a move, as migration/core wires it ------------------------------------------------------- */

static void dst_done(void *arg, const struct mig_result *r)
{
	struct sim_core *c = arg;
	bool owned = stor_lease_valid_until(hv_owner_lease(c->owner)) != 0;

	c->dst = NULL;
	c->landing = false;
	hv_owner_hold(c->owner, false);
	c->owned = owned;
	sim_say("%s: vm%u %s: %s", c->node->name, c->vm, r->code ? "did not land" : "landed", r->err.text);
	sim_core_answer(c, r->code);
	if (c->mig_ending)
		sim_core_end_go(c);
	else if (r->code)
		sim_core_end(c, owned);
}

void sim_move_land(struct sim_core *c)
{
	struct mig_dst_config cfg = {.vm = c->guest,
				     .lease = hv_owner_lease(c->owner),
				     .listen_fd = -1,
				     .fd = -1,
				     .epoch = c->ticket_epoch,
				     .done = dst_done,
				     .arg = c};
	struct cm_err err = CM_ERR_INIT;

	hv_owner_hold(c->owner, true);
	c->landing = true;
	CM_ASSERT(mig_dst_start(&c->dst, &cfg, &err) == 0);
	c->told = true;
	broken(c, 2 * SILENCE_MS * SIM_MS); /* nobody connects, or nothing comes of it */
}

static void judge_given(const struct sim_core *c)
{
	struct stor_block b;
	int rc = stor_block_decode(sim_target_sector(0, SIM_BLOCK(c->vm)), SIM_SECTOR, &b);

	if (rc == 0 && b.state == STOR_BLOCK_RUNNING && b.owner.pid == c->proc->pid &&
	    stor_uuid_equal(&b.owner.boot, &c->node->boot))
		sim_found("VM %u was given away by %s (pid %u), which owns it still", c->vm, c->node->name, c->proc->pid);
}

static void src_done(void *arg, const struct mig_result *r)
{
	struct sim_core *c = arg;

	c->src = NULL;
	hv_owner_hold(c->owner, false);
	sim_say("%s: vm%u %s: %s", c->node->name, c->vm, r->code ? "did not move" : "has moved", r->err.text);
	if (r->code == 0) {
		judge_given(c);
		c->owned = false;
	} else if (!c->ending && stor_lease_valid_until(hv_owner_lease(c->owner)) == 0) {
		c->owned = false;
		sim_core_end(c, false);
	}
	if (c->mig_ending)
		sim_core_end_go(c);
	else if (r->code == 0)
		sim_core_end(c, false);
}

bool sim_move_start(struct sim_core *c, struct sim_core *dest)
{
	struct mig_src_config cfg = {.vm = c->guest,
				     .lease = c->owner ? hv_owner_lease(c->owner) : NULL,
				     .node = c->node->name,
				     .fd = -1,
				     .mode = HV__MIGRATION_MODE__MODE_QUICK,
				     .done = src_done,
				     .arg = c};
	struct cm_err err = CM_ERR_INIT;
	struct letter *l;

	if (c->src || c->dst || c->ending || !c->owned || !c->guest || hv_vm_state(c->guest) != HV_VM_RUNNING ||
	    dest->ticket_epoch != stor_lease_epoch(cfg.lease))
		return false;
	cfg.epoch = dest->ticket_epoch;
	c->peer = dest;
	c->peer_lost = false;
	dest->peer = c;
	hv_owner_hold(c->owner, true);
	CM_ASSERT(mig_src_start(&c->src, &cfg, &err) == 0);
	l = letter_new(c, dest, W_HELLO);
	l->hello.epoch = cfg.epoch;
	l->hello.format = MIG_FORMAT;
	send(l);
	broken(c, 2 * SILENCE_MS * SIM_MS); /* nothing that takes longer comes to a good end */
	return true;
}

bool sim_move_end(struct sim_core *c)
{
	struct cm_err err = CM_ERR_INIT;

	c->mig_ending = c->src || c->dst;
	if (c->src && mig_src_cancel(c->src, &err) < 0)
		sim_say("%s: vm%u: its end waits for the hand-over", c->node->name, c->vm);
	if (c->dst)
		mig_dst_cancel(c->dst);
	return c->mig_ending;
}

bool sim_move_is_verified(const struct sim_core *c)
{
	return c->dst && mig_dst_is_verified(c->dst);
}

/* --- the heir --------------------------------------------------------------------------------- */

static void heir_read(int rc, const struct stor_block *b, void *arg)
{
	struct sim_core *c = arg;
	struct fen_proof *proof = NULL;
	struct cm_err err = CM_ERR_INIT;

	if (rc < 0 || c->ending || !sim_move_is_verified(c))
		return;
	if (!fen_evidence_fits(b, &c->proof.boot, c->ticket_epoch))
		sim_say("%s: vm%u: the proof is not about its source", c->node->name, c->vm);
	else if (fen_proof_from_evidence(b, c->proof.evidence, &proof, &err) == 0 &&
		 mig_dst_take_over(c->dst, fen_permit(proof), &err) == 0)
		sim_say("%s: vm%u goes on with the memory that is here", c->node->name, c->vm);
}

void sim_move_inherit(void *core)
{
	struct sim_core *c = core;

	if (!c->ending && sim_move_is_verified(c))
		stor_block_read(c->disks.dev[0], c->disks.offset_bytes, heir_read, c);
}
