/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_owner_steps.c - what can happen next in the world of sim_owner.c: every step of each host, of the SAN, of the
 * network and of the fencer. What a host decides, the product's own functions decide.
 */
#include "config.h"

#include "tests/sim/sim_owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/lease/stor_lease_int.h"

/* --- between the abstract and the real ----------------------------------------------------- */

static struct stor_owner owner_of(unsigned name)
{
	struct stor_owner o = {0};

	if (!name)
		return o;
	snprintf(o.node, sizeof o.node, "host%u", name - 1);
	o.boot.b[0] = o.instance.b[0] = (uint8_t)name;
	o.keys[0].key = stor_pr_key((uint16_t)name, name);
	return o;
}

static uint8_t name_of(const struct stor_owner *o)
{
	return o->instance.b[0];
}

static struct stor_block real(const struct ablock *a)
{
	struct stor_block b = {.state = a->state, .epoch = a->epoch, .io_timeout_ms = 2000};

	b.vm.b[0] = 1;
	b.nonce.b[0] = a->nonce;
	b.owner = owner_of(a->owner);
	b.peer = owner_of(a->peer);
	if (a->shut)
		b.shut[0].key = stor_pr_key(a->shut, a->shut);
	return b;
}

static struct ablock abstract(const struct stor_block *b)
{
	return (struct ablock){.state = (uint8_t)b->state,
			       .owner = name_of(&b->owner),
			       .peer = name_of(&b->peer),
			       .epoch = (uint8_t)b->epoch,
			       .nonce = b->nonce.b[0],
			       .shut = (uint8_t)b->shut[0].key};
}

/* --- steps --- */

static void send_caw(struct world *w, struct ahost *h, uint8_t exp, const struct ablock *next, uint8_t wop)
{
	h->cmd = (struct acmd){.on = 1, .exp = exp, .next = *next};
	h->next = *next;
	h->wop = wop;
	h->result = R_NONE;
	w->nonces = next->nonce;
}

static bool next_write(struct world *w, unsigned who, enum stor_lease_op op, struct ablock *next)
{
	struct ahost *h = &w->h[who];
	struct stor_owner self = owner_of(who + 1), peer = owner_of(2 - who);
	struct stor_block last = real(&h->last), n;
	struct stor_uuid nonce = {.b = {(uint8_t)(w->nonces + 1)}};

	last.shut[0].ended = true; /* an owner writes after its barrier */
	/* It commits when its guest's requests are answered, or (planted) believes so. */
	self.keys[0].ended = op == STOR_LEASE_COMMIT;
	if (stor__lease_next(&last, &self, op, &peer, 2000, &nonce, &n)) {
		if (sim.bug != BUG_FRESH_COMMIT || op != STOR_LEASE_COMMIT)
			return false;
		last.peer = peer; /* remembered instead of read in the block */
		if (stor__lease_next(&last, &self, op, &peer, 2000, &nonce, &n))
			return false;
	}
	*next = abstract(&n);
	return true;
}

/* The owner writes. Everything that it wants goes by this. */
static void owner_write(struct world w, unsigned who, enum stor_lease_op op)
{
	struct ahost *h = &w.h[who];
	struct ablock next;
	uint8_t exp = h->last.nonce;

	if (w.nonces >= MAX_NONCE)
		return;
	if (!next_write(&w, who, op, &next)) {
		/* no intent to commit: the destination declined; resume instead */
		h->op = STOR_LEASE_RESUME;
		if (!next_write(&w, who, STOR_LEASE_RESUME, &next))
			return;
		op = STOR_LEASE_RESUME;
	}
	if (op == STOR_LEASE_COMMIT) {
		h->valid = 0;
		if (sim.bug == BUG_FRESH_COMMIT)
			exp = w.block.nonce;
	}
	h->op = op == STOR_LEASE_RENEW ? 0 : (uint8_t)op;
	send_caw(&w, h, exp, &next, (uint8_t)op);
	h->mode = M_WRITE;
	sim_visit(&w);
}

/* A host that owns nothing reads and decides. */
static void seek(struct world w, unsigned who, enum stor_lease_op op, const struct stor_permit *permit,
		 bool with_memory)
{
	struct ahost *h = &w.h[who];
	struct stor_block b = real(&w.block), next;
	struct stor_lease_picture p = {.self = owner_of(who + 1),
				       .io_timeout_ms = 2000,
				       .op = op,
				       .permit = permit,
				       .only_with_intent = with_memory && sim.bug != BUG_STALE_MEMORY};
	struct cm_err err = CM_ERR_INIT;
	struct ablock n;

	if (w.nonces >= MAX_NONCE)
		return;
	p.vm.b[0] = 1;
	p.nonce.b[0] = (uint8_t)(w.nonces + 1);
	h->use_mem = with_memory;
	switch (stor__lease_seek(&p, 0, &b, &next, &err)) {
	case STOR_SEEK_TAKE:
		n = abstract(&next);
		h->op = (uint8_t)op;
		send_caw(&w, h, w.block.nonce, &n, (uint8_t)op);
		h->mode = M_TAKE;
		sim_visit(&w);
		break;
	case STOR_SEEK_OWN:
	case STOR_SEEK_FENCE:
		h->last = w.block;
		h->op = (uint8_t)op;
		h->mode = M_FENCE;
		sim_visit(&w);
		break;
	case STOR_SEEK_DONE:
		if (op == STOR_LEASE_DECLINE) {
			h->gave_up = 1;
			h->mem = MEM_NONE;
			sim_visit(&w);
		}
		break;
	case STOR_SEEK_REFUSE:
	case STOR_SEEK_NONE:
		if (op == STOR_LEASE_ACCEPT && err.code == CM_E_LEASE_HELD && h->mem != MEM_NONE) {
			h->mem = MEM_NONE; /* no intent for us: the memory goes */
			h->gave_up = 1;
			sim_visit(&w);
		}
		break;
	}
}

static void won(struct world *w, unsigned who)
{
	struct ahost *h = &w->h[who];
	uint8_t op = h->op;

	h->last = h->next;
	h->doubt = 0;
	h->valid = h->admitted = 1;
	h->mode = M_HELD;
	h->op = 0;
	if (who == 0) {
		if (op == STOR_LEASE_INTENT)
			w->phase = PH_INTENT;
		if (op == STOR_LEASE_RESUME || (w->phase == PH_RUN && op != STOR_LEASE_INTENT)) {
			w->phase = PH_RUN;
			h->run = 1;
			if (w->h[1].mem == MEM_FRESH)
				w->h[1].mem = MEM_STALE; /* the source runs on */
		}
	} else {
		h->run = 1;
	}
}

/* The answer of a COMPARE AND WRITE arrives. */
static void deliver(struct world w, unsigned who)
{
	struct ahost *h = &w.h[who];
	uint8_t r = h->result, wop = h->wop;

	h->result = R_NONE;
	if (h->mode == M_TAKE) {
		if (r == R_MISS) {
			h->mode = M_NONE; /* reads and decides anew */
		} else if (wop == STOR_LEASE_DECLINE) {
			h->mode = M_NONE;
			h->gave_up = 1;
			h->mem = MEM_NONE;
		} else {
			h->last = h->next;
			h->mode = M_FENCE;
		}
		sim_visit(&w);
		return;
	}
	if (r == R_MISS) {
		h->mode = M_UNSURE;
		if (sim.bug == BUG_RETRY && h->doubt) {
			h->mode = M_GONE;
			h->run = h->valid = 0;
			h->gave_up = 2;
		}
		sim_visit(&w);
		return;
	}
	if (wop == STOR_LEASE_COMMIT) {
		h->mode = M_GONE;
		h->gave_up = 3;
		h->run = h->valid = 0;
		sim_visit(&w);
		return;
	}
	if (h->stale) { /* the answer came after the term that it gives: renew at once, run only then */
		h->stale = 0;
		h->last = h->next;
		h->mode = M_HELD;
		owner_write(w, who, h->op ? h->op : STOR_LEASE_RENEW);
		return;
	}
	won(&w, who);
	sim_visit(&w);
}

/* The session breaks: what it had under way may land later. */
static void lose_session(struct world w, unsigned who)
{
	struct ahost *h = &w.h[who];

	if (w.losses >= MAX_LOSSES || !h->session)
		return;
	w.losses++;
	h->session = 0;
	if (h->cmd.on)
		h->old = h->cmd;
	h->cmd = (struct acmd){0};
	if (h->write)
		h->old_write = 1; /* the device sends it again, when it is admitted */
	h->write = h->admitted = h->newer = h->preempting = 0;
	if (h->mode == M_WRITE) {
		h->mode = M_UNSURE;
		h->doubt = 1;
	} else if (h->mode == M_HELD) {
		h->mode = M_UNSURE;
	} else if (h->mode == M_TAKE) {
		h->mode = M_NONE;
	}
	h->result = R_NONE;
	h->stale = 0;
	sim_visit(&w);
}

/* A new session: older ones' commands are aborted, then the block is looked at. */
static void readmit(struct world w, unsigned who)
{
	struct ahost *h = &w.h[who];
	struct stor_owner self = owner_of(who + 1);
	struct stor_block b = real(&w.block), last = real(&h->last), tried = real(&h->next);

	h->session = 1;
	h->unkeyed = 0; /* a new key */
	if (sim.bug != BUG_NO_BARRIER) {
		h->old = (struct acmd){0};
		h->old_write = 0;
	}
	if (h->mode != M_UNSURE) {
		sim_visit(&w);
		return;
	}
	if (sim.bug == BUG_RETRY && h->doubt && w.nonces < MAX_NONCE) {
		h->cmd = (struct acmd){.on = 1, .exp = h->last.nonce, .next = h->next};
		h->mode = M_WRITE;
		sim_visit(&w);
		return;
	}
	switch (stor__lease_judge(&self, h->wop, &last, h->doubt ? &tried : NULL, 0, &b)) {
	case STOR_JUDGE_MINE:
		h->last = w.block;
		h->doubt = 0;
		if (sim.bug == BUG_MERE_READ && h->op == STOR_LEASE_RESUME) {
			h->next = h->last;
			won(&w, who);
			sim_visit(&w);
			return;
		}
		h->mode = M_HELD;
		if (h->op == STOR_LEASE_COMMIT && h->last.peer == 0 && sim.bug != BUG_FRESH_COMMIT)
			h->op = STOR_LEASE_RESUME;
		owner_write(w, who, h->op ? h->op : STOR_LEASE_RENEW);
		return;
	case STOR_JUDGE_DONE:
		h->mode = M_GONE;
		h->gave_up = 3;
		h->run = h->valid = h->doubt = 0;
		break;
	case STOR_JUDGE_LOST:
	case STOR_JUDGE_NONE:
		h->mode = M_GONE;
		h->run = h->valid = 0;
		if (w.block.owner == who + 1 && h->gave_up == 0)
			h->gave_up = 2;
		break;
	}
	sim_visit(&w);
}

/* The SAN carries a command out. */
static void execute(struct world w, unsigned who, bool old)
{
	struct ahost *h = &w.h[who];
	struct acmd *c = old ? &h->old : &h->cmd;
	bool ok = c->exp == w.block.nonce;

	if (ok)
		w.block = c->next;
	*c = (struct acmd){0};
	if (!old)
		h->result = ok ? R_OK : R_MISS;
	sim_visit(&w);
}

/* The keys are preempted, what is in flight is aborted, a session has to be made anew. */
static void shut_out(struct ahost *victim, bool abort)
{
	if (abort) {
		victim->cmd = victim->old = (struct acmd){0};
		victim->write = victim->old_write = 0;
	}
	victim->session = victim->admitted = 0;
	if (victim->mode == M_WRITE || victim->mode == M_HELD) {
		victim->doubt |= victim->mode == M_WRITE;
		victim->mode = M_UNSURE;
		victim->result = R_NONE;
		victim->stale = 0;
	}
}

static void fence(struct world w, unsigned who)
{
	struct ahost *h = &w.h[who], *victim = &w.h[1 - who];

	if (w.block.owner != who + 1) {
		h->mode = M_NONE; /* taken in turn */
		sim_visit(&w);
		return;
	}
	if (h->last.shut && !h->preempting && !victim->unkeyed) { /* PREEMPT AND ABORT takes the key away at once ... */
		shut_out(victim, false);
		victim->unkeyed = h->preempting = 1;
		sim_visit(&w);
		return;
	}
	/*
	 * ... and is answered when what it aborts has ended. Who finds the key gone and has not had that answer
	 * awaits a LUN RESET, which is the same.
	 */
	if (h->last.shut)
		shut_out(victim, sim.bug != BUG_PREEMPT_ONLY && (h->preempting || sim.bug != BUG_GONE_IS_OVER));
	h->preempting = 0;
	owner_write(w, who, STOR_LEASE_RENEW);
}

/* fence_hvsan: proof (d), and later, from the bytes of the proof, the block becomes FREE. */
static void steps_of_fencer(const struct world *w)
{
	struct stor_block b = real(&w->block), next;
	struct stor_permit permit = {.vm = b.vm, .epoch = b.epoch, .victim = b.owner, .renewal = b.renewal,
				     .nonce.b = {w->fencer_saw}, .exact = sim.bug != BUG_FREE_ANY};
	struct stor_uuid nonce = {.b = {(uint8_t)(w->nonces + 1)}};
	struct world n = *w;

	if (w->fencer == F_IDLE && w->block.owner == 1 && !w->h[0].valid && !w->h[0].run) {
		n.h[0].stale = 0;
		shut_out(&n.h[0], true);
		n.fencer = F_SHUT;
		n.fencer_saw = w->block.nonce;
		sim_visit(&n);
	}
	if (w->fencer == F_SHUT && w->nonces < MAX_NONCE) {
		if (sim.bug != BUG_SAN_IS_OFF && w->block.owner == 1 && !stor__lease_vacate(&permit, &b, &nonce, &next)) {
			n.block = abstract(&next);
			n.nonces++;
		}
		n.fencer = F_DONE;
		n.fencer_saw = 0;
		sim_visit(&n);
	}
}

static void guest_write(struct world w, unsigned who)
{
	w.h[who].write = 1;
	sim_visit(&w);
}

static void land(struct world w, unsigned who, bool old)
{
	struct ahost *h = &w.h[who];

	if (sim_active(&w.h[1 - who]))
		sim.violated = "a guest write landed behind the other host's";
	if (old && h->newer)
		sim.violated = "an older write landed behind a newer one of the same host";
	if (old) {
		h->old_write = 0;
	} else {
		h->write = 0;
		if (h->old_write)
			h->newer = 1;
	}
	sim_visit(&w);
}

static void steps_of_source(const struct world *w)
{
	const struct ahost *a = &w->h[0];
	struct world n;

	if (a->mode != M_HELD || a->life != ALIVE || !a->session)
		return;
	if (a->op == 0)
		owner_write(*w, 0, STOR_LEASE_RENEW);
	/* An intent names a process: one that has the memory of an earlier attempt is not the one of this attempt. */
	if (!sim.with_fencer && w->phase == PH_RUN && a->run && w->h[1].mem == MEM_NONE && !w->h[1].gave_up)
		owner_write(*w, 0, STOR_LEASE_INTENT);
	if (w->phase == PH_INTENT && w->h[1].life == ALIVE && w->h[1].mode == M_NONE && !w->h[1].gave_up &&
	    (!a->write || sim.bug == BUG_NO_DRAIN)) {
		n = *w; /* paused, drained, all memory sent and verified */
		n.h[0].run = 0;
		n.h[1].mem = MEM_FRESH;
		n.phase = PH_VERIFIED;
		sim_visit(&n);
	}
	if (w->phase == PH_VERIFIED)
		owner_write(*w, 0, STOR_LEASE_COMMIT);
	if (w->phase != PH_RUN) { /* gives up for whatever reason */
		n = *w;
		n.h[0].op = STOR_LEASE_RESUME;
		owner_write(n, 0, STOR_LEASE_RESUME);
	}
}

static void steps_of_destination(const struct world *w)
{
	const struct ahost *a = &w->h[0], *b = &w->h[1];
	struct stor_block seen = real(&w->block);
	struct stor_permit permit = {.vm = seen.vm, .epoch = seen.epoch, .victim = seen.owner,
				     .renewal = seen.renewal, .nonce = seen.nonce};
	bool dead = a->life == DEAD, gone = !a->valid && !a->run;

	if (b->mode != M_NONE || b->life != ALIVE || !b->session)
		return;
	if (b->mem != MEM_NONE) {
		seek(*w, 1, STOR_LEASE_ACCEPT, NULL, true);
		seek(*w, 1, STOR_LEASE_DECLINE, NULL, true);
		if (sim.bug == BUG_ABORT_MESSAGE) {
			struct world n = *w;

			n.h[1].mem = MEM_NONE;
			n.h[1].gave_up = 1;
			sim_visit(&n);
		}
	}
	if (w->block.state == STOR_BLOCK_FREE && b->mem == MEM_NONE)
		seek(*w, 1, STOR_LEASE_ACQUIRE, NULL, false);
	if (sim.bug == BUG_SAN_IS_OFF && w->fencer == F_DONE && w->block.owner == 1)
		seek(*w, 1, STOR_LEASE_TAKE_OVER, &permit, false);
	if (w->block.owner == 1 && (dead || gone || sim.bug == BUG_NO_WAIT)) {
		struct world n = *w;

		permit.exact = !dead;
		/* Nothing changed for STOR_DEAD: whatever answer the owner gets now is older than its term. */
		n.h[0].stale = n.h[0].result == R_OK && sim.bug != BUG_NO_WAIT;
		w = &n;
		if (b->mem != MEM_NONE)
			seek(*w, 1, STOR_LEASE_TAKE_OVER, &permit, true);
		else
			seek(*w, 1, STOR_LEASE_TAKE_OVER, &permit, false);
	}
}

void sim_steps(const struct world *w)
{
	struct world n;

	steps_of_source(w);
	steps_of_destination(w);
	if (sim.with_fencer)
		steps_of_fencer(w);
	for (unsigned i = 0; i < 2; i++) {
		const struct ahost *h = &w->h[i];

		if (h->cmd.on)
			execute(*w, i, false);
		if (h->old.on)
			execute(*w, i, true);
		if (h->write)
			land(*w, i, false);
		if (h->old_write)
			land(*w, i, true);
		if (h->valid && (h->mode == M_UNSURE || h->life != ALIVE || h->mode == M_WRITE)) {
			n = *w; /* time passes: the lease runs out, and the host stops by itself */
			n.h[i].valid = n.h[i].run = 0;
			sim_visit(&n);
		}
		if (h->life == FROZEN) {
			n = *w;
			n.h[i].life = ALIVE;
			sim_visit(&n);
		}
		if (h->life != ALIVE)
			continue;
		if (h->result)
			deliver(*w, i);
		if (h->mode == M_FENCE && h->session)
			fence(*w, i);
		if (h->mode == M_UNSURE && h->session) {
			n = *w;
			readmit(n, i);
		}
		if (!h->session && h->mode != M_GONE)
			readmit(*w, i);
		lose_session(*w, i);
		if (sim_active(h) && !h->write && h->admitted)
			guest_write(*w, i);
		if (w->losses < MAX_LOSSES) {
			n = *w;
			n.losses++;
			n.h[i].life = FROZEN;
			sim_visit(&n);
			n = *w;
			n.losses++;
			n.h[i].life = DEAD;
			n.h[i].run = 0;
			n.h[i].old = n.h[i].cmd.on ? n.h[i].cmd : n.h[i].old;
			n.h[i].cmd = (struct acmd){0};
			sim_visit(&n);
		}
	}
}
