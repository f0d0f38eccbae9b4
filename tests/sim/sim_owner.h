/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_owner.h - the abstract world of sim_owner.c: one block, two hosts with their commands in flight, a fencer; and the
 * errors that can be planted.
 */
#ifndef SIM_OWNER_H
#define SIM_OWNER_H

#include <stdbool.h>
#include <stdint.h>

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
	BUG_GONE_IS_OVER,   /* a key that is gone is taken for the end of its writes */
	BUG_SAN_IS_OFF,	    /* a node that fence_hvsan shut out is taken for one that is off */
	BUG_FREE_ANY,	    /* fence_hvsan frees a block that changed after its proof */
	BUG_COUNT
};

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
	uint8_t preempting;	 /* its PREEMPT AND ABORT is not answered yet */
	uint8_t unkeyed;	 /* the key of its last session has been taken away */
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

static inline bool sim_active(const struct ahost *h)
{
	return h->life == ALIVE && h->run && h->valid;
}

/* The search that runs: sim_owner.c has them. */
struct sim {
	enum bug bug;
	bool with_fencer; /* in place of the hand-over: both together are too many states for one search */
	const char *violated;
	uint32_t violating; /* the state in which it was seen, + 1 */
};
extern struct sim sim;

/* A state that can be reached: looked at once, and gone on from later. */
void sim_visit(const struct world *w);
/* sim_owner_steps.c: visits every state that follows in one step. */
void sim_steps(const struct world *w);

#endif
