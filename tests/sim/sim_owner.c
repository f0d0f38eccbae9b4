/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_owner.c - an exhaustive search of the ownership protocol: two hosts, one block, crashes, frozen processes, lost
 * sessions, late commands, a hand-over with all its ends, takeover with each proof, a fencer that frees the block.
 *
 * The decisions are the product's own: stor__lease_seek, stor__lease_judge and stor__lease_next are called on every
 * step. Every state that can be reached with a limited number of writes is visited (breadth first), and in each these
 * must hold:
 *   1  never do both hosts run the VM
 *   2  no guest write lands behind another host's, or behind a newer one of its own host
 *   3  no host runs on memory that the other one has outrun
 *   4  the VM's memory is never let go by both (a commit never meets a destination that gave up)
 *   5  no host takes itself for robbed while the block is its own
 * Then the same search runs with one planted error at a time, and must find a violation in each.
 *
 * Host 0 owns at first and is the source; host 1 is the destination, or starts the VM anew.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/lease/stor_lease_int.h"

enum bug {
	BUG_NONE,
	BUG_NO_WAIT,	    /* takeover without waiting for the owner's end */
	BUG_NO_DRAIN,	    /* commit with guest writes under way */
	BUG_RETRY,	    /* a COMPARE AND WRITE is sent again instead of read back */
	BUG_MERE_READ,	    /* resume because a read said "mine" */
	BUG_NO_BARRIER,	    /* read back without aborting the old session's commands */
	BUG_FRESH_COMMIT,   /* commit expects freshly read bytes */
	BUG_ABORT_MESSAGE,  /* the destination gives up by a message */
	BUG_STALE_MEMORY,   /* takeover with memory though the intent is gone */
	BUG_PREEMPT_ONLY,   /* keys are preempted, but not what is in flight */
	BUG_SAN_IS_OFF,	    /* a node that fence_hvsan shut out is taken for one that is off */
	BUG_FREE_ANY,	    /* fence_hvsan frees a block that changed after its proof */
	BUG_COUNT
};
static const char *const bug_names[] = {
	"none", "takeover without waiting", "commit without drain", "retry of a COMPARE AND WRITE",
	"resume on a mere read", "read-back without the barrier", "commit on freshly read bytes",
	"abort by message", "takeover with memory whose intent is gone", "PREEMPT without ABORT",
	"shut out of the SAN taken for switched off", "a changed block is freed"};

enum { DEAD, ALIVE, FROZEN };
enum { M_NONE, M_TAKE, M_FENCE, M_HELD, M_WRITE, M_UNSURE, M_GONE };
enum { R_NONE, R_OK, R_MISS };
enum { MEM_NONE, MEM_FRESH, MEM_STALE };
/* Source's phase. */
enum { PH_RUN, PH_INTENT, PH_VERIFIED };

struct ablock { /* a block, abstract: names are host + 1, 0 nobody */
	uint8_t state, owner, peer, epoch, nonce, shut;
};
struct acmd {
	uint8_t on, exp, late;
	struct ablock next;
};
struct ahost {
	uint8_t life, mode, op, doubt, valid, run, session, admitted, stale;
	uint8_t wop, result, mem, use_mem;
	uint8_t gave_up; /* 1 let the memory go, 2 believes that it was robbed, 3 has committed */
	struct ablock last, next;
	struct acmd cmd, old;	 /* of this session; left by a dead one */
	uint8_t write, old_write; /* a guest write under way: 1; left by a dead session */
	uint8_t newer;		 /* a newer write has landed since old_write was left behind */
};
/* fence_hvsan, working against host 0. */
enum { F_IDLE, F_SHUT, F_DONE };
struct world {
	struct ablock block;
	struct ahost h[2];
	uint8_t phase, nonces, losses, both_ran;
	uint8_t fencer, fencer_saw; /* the nonce that did not change for STOR_DEAD */
};

#define MAX_NONCE  8
#define MAX_LOSSES 3

static enum bug bug;
static bool with_fencer; /* in place of the hand-over: both together are too many states for one search */
static const char *violated;
static uint32_t violating; /* the state in which it was seen, + 1 */

/* --- between the abstract and the real ----------------------------------------------------- */

static struct stor_owner owner_of(unsigned name)
{
	struct stor_owner o = {0};

	if (!name)
		return o;
	snprintf(o.node, sizeof o.node, "host%u", name - 1);
	o.boot.b[0] = o.instance.b[0] = (uint8_t)name;
	o.keys[0] = 0x100 + name;
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
		b.shut[0] = 0x100u + a->shut;
	return b;
}

static struct ablock abstract(const struct stor_block *b)
{
	return (struct ablock){.state = (uint8_t)b->state,
			       .owner = name_of(&b->owner),
			       .peer = name_of(&b->peer),
			       .epoch = (uint8_t)b->epoch,
			       .nonce = b->nonce.b[0],
			       .shut = (uint8_t)(b->shut[0] & 0xff)};
}

/* --- the visited set and the queue ------------------------------------------------------------ */

#define SET_BITS 23
static struct world *queue;
static uint32_t *set, *parent, queued, queue_cap, current;

static uint64_t hash(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = 14695981039346656037ull;

	while (n--)
		h = (h ^ *b++) * 1099511628211ull;
	return h ^ h >> 29;
}

static void check(const struct world *w);

static void visit(const struct world *w)
{
	uint32_t i = (uint32_t)(hash(w, sizeof *w) & ((1u << SET_BITS) - 1));

	for (; set[i]; i = (i + 1) & ((1u << SET_BITS) - 1))
		if (!memcmp(&queue[set[i] - 1], w, sizeof *w))
			return;
	if (queued == queue_cap) {
		fprintf(stderr, "too many states\n");
		exit(2);
	}
	queue[queued] = *w;
	parent[queued++] = current;
	set[i] = queued;
	check(w);
	if (violated && !violating)
		violating = queued;
}

static bool active(const struct ahost *h)
{
	return h->life == ALIVE && h->run && h->valid;
}

static void check(const struct world *w)
{
	if (active(&w->h[0]) && active(&w->h[1]))
		violated = "both hosts run the VM";
	for (int i = 0; i < 2; i++) {
		const struct ahost *h = &w->h[i], *o = &w->h[1 - i];

		if (active(h) && h->use_mem && h->mem == MEM_STALE)
			violated = "a host runs on memory that the other one has outrun";
		if (h->mode == M_GONE && w->block.owner == i + 1 && h->life == ALIVE && h->gave_up == 2)
			violated = "a host takes itself for robbed, but the block is its own";
		if (i == 1 && w->block.owner == 2 && w->block.epoch == 2 && !w->block.shut && h->gave_up == 1 &&
		    h->mode == M_NONE && o->gave_up == 3)
			violated = "both ends let the VM go";
	}
}

/* --- steps ------------------------------------------------------------------------------------- */

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

	if (stor__lease_next(&last, &self, op, &peer, 2000, &nonce, &n)) {
		if (bug != BUG_FRESH_COMMIT || op != STOR_LEASE_COMMIT)
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
		if (bug == BUG_FRESH_COMMIT)
			exp = w.block.nonce;
	}
	h->op = op == STOR_LEASE_RENEW ? 0 : (uint8_t)op;
	send_caw(&w, h, exp, &next, (uint8_t)op);
	h->mode = M_WRITE;
	visit(&w);
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
				       .only_with_intent = with_memory && bug != BUG_STALE_MEMORY};
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
		visit(&w);
		break;
	case STOR_SEEK_OWN:
	case STOR_SEEK_FENCE:
		h->last = w.block;
		h->op = (uint8_t)op;
		h->mode = M_FENCE;
		visit(&w);
		break;
	case STOR_SEEK_DONE:
		if (op == STOR_LEASE_DECLINE) {
			h->gave_up = 1;
			h->mem = MEM_NONE;
			visit(&w);
		}
		break;
	case STOR_SEEK_REFUSE:
	case STOR_SEEK_NONE:
		if (op == STOR_LEASE_ACCEPT && err.code == CM_E_LEASE_HELD && h->mem != MEM_NONE) {
			h->mem = MEM_NONE; /* no intent for us: the memory goes */
			h->gave_up = 1;
			visit(&w);
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
		visit(&w);
		return;
	}
	if (r == R_MISS) {
		h->mode = M_UNSURE;
		if (bug == BUG_RETRY && h->doubt) {
			h->mode = M_GONE;
			h->run = h->valid = 0;
			h->gave_up = 2;
		}
		visit(&w);
		return;
	}
	if (wop == STOR_LEASE_COMMIT) {
		h->mode = M_GONE;
		h->gave_up = 3;
		h->run = h->valid = 0;
		visit(&w);
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
	visit(&w);
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
	h->write = h->admitted = h->newer = 0;
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
	visit(&w);
}

/* A new session: older ones' commands are aborted, then the block is looked at. */
static void readmit(struct world w, unsigned who)
{
	struct ahost *h = &w.h[who];
	struct stor_owner self = owner_of(who + 1);
	struct stor_block b = real(&w.block), last = real(&h->last), tried = real(&h->next);

	h->session = 1;
	if (bug != BUG_NO_BARRIER) {
		h->old = (struct acmd){0};
		h->old_write = 0;
	}
	if (h->mode != M_UNSURE) {
		visit(&w);
		return;
	}
	if (bug == BUG_RETRY && h->doubt && w.nonces < MAX_NONCE) {
		h->cmd = (struct acmd){.on = 1, .exp = h->last.nonce, .next = h->next};
		h->mode = M_WRITE;
		visit(&w);
		return;
	}
	switch (stor__lease_judge(&self, h->wop, &last, h->doubt ? &tried : NULL, 0, &b)) {
	case STOR_JUDGE_MINE:
		h->last = w.block;
		h->doubt = 0;
		if (bug == BUG_MERE_READ && h->op == STOR_LEASE_RESUME) {
			h->next = h->last;
			won(&w, who);
			visit(&w);
			return;
		}
		h->mode = M_HELD;
		if (h->op == STOR_LEASE_COMMIT && h->last.peer == 0 && bug != BUG_FRESH_COMMIT)
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
	visit(&w);
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
	visit(&w);
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
		visit(&w);
		return;
	}
	if (h->last.shut)
		shut_out(victim, bug != BUG_PREEMPT_ONLY);
	owner_write(w, who, STOR_LEASE_RENEW);
}

/* fence_hvsan: proof (d), and later, from the bytes of the proof, the block becomes FREE. */
static void steps_of_fencer(const struct world *w)
{
	struct stor_block b = real(&w->block), next;
	struct stor_permit permit = {.vm = b.vm, .epoch = b.epoch, .victim = b.owner, .renewal = b.renewal,
				     .nonce.b = {w->fencer_saw}, .exact = bug != BUG_FREE_ANY};
	struct stor_uuid nonce = {.b = {(uint8_t)(w->nonces + 1)}};
	struct world n = *w;

	if (w->fencer == F_IDLE && w->block.owner == 1 && !w->h[0].valid && !w->h[0].run) {
		n.h[0].stale = 0;
		shut_out(&n.h[0], true);
		n.fencer = F_SHUT;
		n.fencer_saw = w->block.nonce;
		visit(&n);
	}
	if (w->fencer == F_SHUT && w->nonces < MAX_NONCE) {
		if (bug != BUG_SAN_IS_OFF && w->block.owner == 1 && !stor__lease_vacate(&permit, &b, &nonce, &next)) {
			n.block = abstract(&next);
			n.nonces++;
		}
		n.fencer = F_DONE;
		n.fencer_saw = 0;
		visit(&n);
	}
}

static void guest_write(struct world w, unsigned who)
{
	w.h[who].write = 1;
	visit(&w);
}

static void land(struct world w, unsigned who, bool old)
{
	struct ahost *h = &w.h[who];

	if (active(&w.h[1 - who]))
		violated = "a guest write landed behind the other host's";
	if (old && h->newer)
		violated = "an older write landed behind a newer one of the same host";
	if (old) {
		h->old_write = 0;
	} else {
		h->write = 0;
		if (h->old_write)
			h->newer = 1;
	}
	visit(&w);
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
	if (!with_fencer && w->phase == PH_RUN && a->run && w->h[1].mem == MEM_NONE && !w->h[1].gave_up)
		owner_write(*w, 0, STOR_LEASE_INTENT);
	if (w->phase == PH_INTENT && w->h[1].life == ALIVE && w->h[1].mode == M_NONE && !w->h[1].gave_up &&
	    (!a->write || bug == BUG_NO_DRAIN)) {
		n = *w; /* paused, drained, all memory sent and verified */
		n.h[0].run = 0;
		n.h[1].mem = MEM_FRESH;
		n.phase = PH_VERIFIED;
		visit(&n);
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
		if (bug == BUG_ABORT_MESSAGE) {
			struct world n = *w;

			n.h[1].mem = MEM_NONE;
			n.h[1].gave_up = 1;
			visit(&n);
		}
	}
	if (w->block.state == STOR_BLOCK_FREE && b->mem == MEM_NONE)
		seek(*w, 1, STOR_LEASE_ACQUIRE, NULL, false);
	if (bug == BUG_SAN_IS_OFF && w->fencer == F_DONE && w->block.owner == 1)
		seek(*w, 1, STOR_LEASE_TAKE_OVER, &permit, false);
	if (w->block.owner == 1 && (dead || gone || bug == BUG_NO_WAIT)) {
		struct world n = *w;

		permit.exact = !dead;
		/* Nothing changed for STOR_DEAD: whatever answer the owner gets now is older than its term. */
		n.h[0].stale = n.h[0].result == R_OK && bug != BUG_NO_WAIT;
		w = &n;
		if (b->mem != MEM_NONE)
			seek(*w, 1, STOR_LEASE_TAKE_OVER, &permit, true);
		else
			seek(*w, 1, STOR_LEASE_TAKE_OVER, &permit, false);
	}
}

static void steps(const struct world *w)
{
	struct world n;

	steps_of_source(w);
	steps_of_destination(w);
	if (with_fencer)
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
			visit(&n);
		}
		if (h->life == FROZEN) {
			n = *w;
			n.h[i].life = ALIVE;
			visit(&n);
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
		if (active(h) && !h->write && h->admitted)
			guest_write(*w, i);
		if (w->losses < MAX_LOSSES) {
			n = *w;
			n.losses++;
			n.h[i].life = FROZEN;
			visit(&n);
			n = *w;
			n.losses++;
			n.h[i].life = DEAD;
			n.h[i].run = 0;
			n.h[i].old = n.h[i].cmd.on ? n.h[i].cmd : n.h[i].old;
			n.h[i].cmd = (struct acmd){0};
			visit(&n);
		}
	}
}

static uint32_t search(enum bug b, bool fencer)
{
	struct world w;

	bug = b;
	with_fencer = fencer;
	violated = NULL;
	violating = 0;
	queued = current = 0;
	memset(set, 0, sizeof(uint32_t) << SET_BITS);
	memset(&w, 0, sizeof w);
	w.block = (struct ablock){.state = STOR_BLOCK_RUNNING, .owner = 1, .epoch = 1, .nonce = 1};
	w.nonces = 1;
	w.h[0] = (struct ahost){.life = ALIVE, .mode = M_HELD, .valid = 1, .run = 1, .session = 1,
				.admitted = 1, .last = w.block};
	w.h[1] = (struct ahost){.life = ALIVE, .session = 1};
	visit(&w);
	for (uint32_t i = 0; i < queued && !violated; i++) {
		w = queue[i];
		current = i;
		steps(&w);
	}
	return queued;
}

/* How it came to it, oldest first. */
static void print_path(uint32_t i)
{
	static const char *const lives[] = {"dead", "alive", "frozen"};
	static const char *const modes[] = {"NONE", "TAKE", "FENCE", "HELD", "WRITE", "UNSURE", "GONE"};
	const struct world *w = &queue[i];

	if (i)
		print_path(parent[i]);
	printf("  block %c->%c e%u n%u shut%u phase %u |", "-01"[w->block.owner], "-01"[w->block.peer],
	       w->block.epoch, w->block.nonce, w->block.shut, w->phase);
	for (int k = 0; k < 2; k++) {
		const struct ahost *h = &w->h[k];

		printf(" %s %s %s%s%s%s%s mem%u cmd%u>%u old%u>%u w%u%u |", lives[h->life], modes[h->mode],
		       h->op ? stor__lease_op_name(h->op) : "", h->run ? " run" : "", h->valid ? " valid" : "",
		       h->doubt ? " doubt" : "", h->session ? "" : " cut", h->mem, h->cmd.exp, h->cmd.next.nonce,
		       h->old.exp, h->old.next.nonce, h->write, h->old_write);
	}
	puts("");
}

/* True if the search ended as it must. */
static bool run(enum bug b, bool fencer)
{
	uint32_t n = search(b, fencer);
	bool good = !violated == (b == BUG_NONE);

	printf("%-45s %8u states  %s\n",
	       b	? bug_names[b]
	       : fencer ? "the protocol with fence_hvsan"
			: "the protocol as it is",
	       n, violated ? violated : "nothing wrong");
	if (!good && violated)
		print_path((violating ? violating : current + 1) - 1);
	return good;
}

int main(void)
{
	int bad = 0;

	queue_cap = 6u << 20;
	queue = calloc(queue_cap, sizeof *queue);
	set = calloc(1u << SET_BITS, sizeof *set);
	parent = calloc(queue_cap, sizeof *parent);
	if (!queue || !set || !parent)
		return 2;
	for (int b = BUG_NONE; b < BUG_COUNT; b++)
		bad += !run(b, b >= BUG_SAN_IS_OFF);
	bad += !run(BUG_NONE, true);
	if (bad)
		printf("FAIL: %d searches did not end as they must\n", bad);
	free(queue);
	free(set);
	free(parent);
	return bad != 0;
}
