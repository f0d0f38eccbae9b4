/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_int.h - inside of a lease, for lease/ only: its memory, and the pure decisions.
 * From top to bottom: stor_lease_api.c (life, operations), stor_lease.c (the machine),
 * stor_lease_seek.c and stor_lease_own.c (its actions), stor_lease_gate.c, stor_lease_base.c.
 *
 * Pure functions look at a picture (what the block says, what we wrote, what is wanted) and answer what to
 * do; tests and the exhaustive model call them without any I/O.
 */
#ifndef STOR_LEASE_INT_H
#define STOR_LEASE_INT_H

#include <stdatomic.h>

#include "common/cm_fsm.h"
#include "common/cm_jump.h"
#include "sharedstorage/lease/stor_lease.h"
#include "sharedstorage/lease/stor_permit_int.h"

enum stor_lease_op {
	STOR_LEASE_NONE = 0,
	STOR_LEASE_RENEW,
	STOR_LEASE_ACQUIRE,
	STOR_LEASE_TAKE_OVER,
	STOR_LEASE_ACCEPT,
	STOR_LEASE_DECLINE,
	STOR_LEASE_INTENT,
	STOR_LEASE_RESUME,
	STOR_LEASE_COMMIT,
	STOR_LEASE_RELEASE,
};
const char *stor__lease_op_name(enum stor_lease_op op);

/* What a block means to somebody who does not own yet and wants op. */
enum stor_seek {
	STOR_SEEK_NONE = 0,
	STOR_SEEK_TAKE,	  /* write `next` by COMPARE AND WRITE from the bytes that were read */
	STOR_SEEK_OWN,	  /* it is ours: win a renewal */
	STOR_SEEK_FENCE,  /* it is ours, but former owners are not shut out yet */
	STOR_SEEK_DONE,	  /* nothing to do: success */
	STOR_SEEK_REFUSE, /* fails with the code */
};
struct stor_lease_picture {
	struct stor_uuid vm;
	struct stor_owner self;
	uint32_t io_timeout_ms;
	enum stor_lease_op op;
	const struct stor_permit *permit;
	bool only_with_intent;
	struct stor_uuid nonce; /* for the next write */
};
/* read_rc: of stor_block_decode; b its result. Fills next for TAKE, err for REFUSE. */
enum stor_seek stor__lease_seek(const struct stor_lease_picture *p, int read_rc,
				const struct stor_block *b, struct stor_block *next,
				struct cm_err *err);

/* What a block that was read back means to its owner. */
enum stor_judge {
	STOR_JUDGE_NONE = 0,
	STOR_JUDGE_MINE, /* still ours; go on from the bytes that were read */
	STOR_JUDGE_DONE, /* our commit or release had happened */
	STOR_JUDGE_LOST,
};
/* last: what we know to have written or adopted; tried: a write of ours whose outcome is unknown, or NULL. */
enum stor_judge stor__lease_judge(const struct stor_owner *self, enum stor_lease_op tried_op,
				  const struct stor_block *last, const struct stor_block *tried,
				  int read_rc, const struct stor_block *b);

/*
 * The owner's next write for op. Keys of self are those of now; what of them has not ended goes with a commit or a release,
 * for whoever comes next to shut out. What of last->shut has not ended stays. CM_E_LEASE_MISCOMPARE: no intent to commit. */
int stor__lease_next(const struct stor_block *last, const struct stor_owner *self,
		     enum stor_lease_op op, const struct stor_owner *peer, uint32_t io_timeout_ms,
		     const struct stor_uuid *nonce, struct stor_block *next) cm_must_check;

/*
 * What a fencer writes who holds a permit: FREE, and those of the victim's keys whose end the permit does not know (of
 * LUNs that the fencer cannot reach), for the next taker. CM_E_LEASE_NO_PROOF: the permit is not about what the block says now.
 */
int stor__lease_vacate(const struct stor_permit *permit, const struct stor_block *b,
		       const struct stor_uuid *nonce, struct stor_block *next) cm_must_check;

/* --- the machine ------------------------------------------------------------------ */

/*
 * IDLE    nothing owned, nothing wanted         READ    nothing owned, the block is being read
 * WAIT    wanted, the device is away            TAKE    nothing owned, COMPARE AND WRITE under way
 * FENCE   ours, former owners being shut out
 * HELD    ours, until the next renewal          WRITE   ours, COMPARE AND WRITE under way
 * UNSURE  ours as far as we know; the device is away or the last write is in doubt
 * CHECK   the same, the block is being read     GONE    was ours; final
 */
// clang-format off
#define LEASE_STATES(XX) \
	XX(IDLE) XX(WAIT) XX(READ) XX(TAKE) XX(FENCE) XX(HELD) XX(WRITE) XX(UNSURE) XX(CHECK) XX(GONE)
/* The second group comes from actions only. */
#define LEASE_EVENTS(XX) \
	XX(OP) XX(CANCEL) XX(UP) XX(TICK) XX(EXPIRE) XX(READ_OK) XX(READ_FAIL) XX(CAW_OK) \
	XX(CAW_MISS) XX(CAW_UNSURE) XX(FENCED) XX(FENCE_FAIL) XX(LOOKED) \
	XX(DO_TAKE) XX(DO_FENCE) XX(DO_WRITE) XX(ENDED) XX(AGAIN) XX(LOST)
// clang-format on

#define XX(n) S_##n,
enum stor_lease_state { S_NONE, LEASE_STATES(XX) S_COUNT };
#undef XX
#define XX(n) E_##n,
enum stor_lease_event { E_NONE, LEASE_EVENTS(XX) E_COUNT };
#undef XX

#define STOR_LEASE_DEVS STOR_OWNER_KEYS

/* A look at the block that outlives a lease that is closed meanwhile. */
struct stor_lease_reading {
	struct stor_lease_dev *dev; /* NULL: closed */
};

struct stor_lease_dev {
	struct stor_lease *lease;
	struct stor_dev *dev;
	uint32_t written; /* incarnation whose key is in the write under way */
	uint32_t looking; /* a guarded device that waits to be let in; 0: none */
	/* The block, for the keys that an exclusive device allows: who waits for it; or NULL. */
	struct stor_lease_reading *reading;
};

/* What a device that shuts keys out works on: it outlives a lease that is closed meanwhile. */
struct stor_lease_fence {
	struct stor_lease *lease; /* NULL: closed */
	struct stor_key keys[STOR_SHUT_KEYS];
};

struct stor_lease {
	struct cm_fsm fsm;
	struct cm_loop *loop;
	struct stor_lease_dev devs[STOR_LEASE_DEVS]; /* [0] has the block */
	unsigned ndevs, nluns; /* keys that they may have at a time */
	uint64_t offset_bytes;
	struct stor_uuid vm;
	struct stor_owner self;
	uint32_t io_timeout_ms, sector_bytes;
	char label[64];
	const struct stor_lease_ops *ops;
	void *arg;

	enum stor_lease_op op; /* wanted by the caller; NONE: nothing */
	stor_lease_done_fn done;
	void *done_arg;
	struct stor_owner peer; /* of INTENT */
	struct stor_permit *permit;
	bool only_with_intent;

	enum stor_lease_op writing; /* COMPARE AND WRITE under way or in doubt */
	bool in_doubt;	       /* it may have happened, or happen yet */
	int refusal;	       /* of the last one that was not won */
	unsigned doubts;       /* in a row */
	uint64_t not_before_ns; /* of the next try */
	/* When the last renewal was sent; when the last one was won, from which jumps count against it. */
	struct cm_mark write_start, won;
	struct stor_block last, next, seen;
	uint8_t *last_raw, *next_raw, *seen_raw, *look_raw; /* sector_bytes each, aligned */
	struct stor_req req, look;
	struct iovec req_iov, look_iov;
	bool req_busy, look_busy, look_due;
	bool fence_busy, fence_left; /* left: cancelled; what is under way goes on */
	uint32_t look_incarnation;
	struct stor_lease_fence *fence;
	unsigned fence_dev;  /* on those before it the barrier for fence->keys is a fact */
	struct cm_timer tick, expire, guard_again;
	_Atomic uint64_t valid_until_ns;
	_Atomic uint64_t write_ns; /* what a COMPARE AND WRITE takes lately */
	bool kick, cancelled, closing, closed;
	cm_close_fn close_fn;
	void *close_arg;
};

/* --- stor_lease_base.c --- */

void stor__lease_feed(struct stor_lease *l, enum stor_lease_event event, const char *reason);
bool stor__lease_is_owner(const struct stor_lease *l);
/* Writes l->next by COMPARE AND WRITE from those bytes; E_CAW_* follows. */
void stor__lease_caw(struct stor_lease *l, const uint8_t *from);
/* Keys and watchdog level of self, as they are to be published now. */
void stor__lease_fill_self(struct stor_lease *l);
/* May that key be of a LUN that this VM uses? */
bool stor__lease_reaches(const struct stor_lease *l, const struct stor_key *key);
/* E_TICK, soon. */
void stor__lease_retry_soon(struct stor_lease *l);
/* The pause before an owner's next try: of what is left of the permit at most half is used up. */
uint64_t stor__lease_pause_ns(uint64_t now_ns, uint64_t valid_until_ns, bool doubted_before,
			      uint32_t io_timeout_ms);
/* Answers the caller's operation, if there is one. */
void stor__lease_answer(struct stor_lease *l, int rc, const struct cm_err *why);
/* Ownership ended: no vCPU, no I/O any more. */
void stor__lease_no_more(struct stor_lease *l, const char *why);
/* It is being closed and nothing is under way: ends it. */
void stor__lease_closed_check(struct stor_lease *l);
void stor__lease_free_memory(struct stor_lease *l);
/* Takes the command under way back, if it has not gone out; its answer comes in any case. */
void stor__lease_hurry(struct stor_lease *l);

/* --- stor_lease_gate.c --- */

/* Of each device. */
void stor__lease_gate(struct stor_dev *dev, enum stor_gate stage, uint32_t incarnation, void *arg);
/* Lets guarded devices in that wait for it. */
void stor__lease_guards(struct stor_lease *l);
void stor__lease_guard_again(struct cm_timer *timer, void *arg);

/* --- actions; ctx is the lease --- */

unsigned stor__act_seek(void *ctx, void *arg);
unsigned stor__act_wait(void *ctx, void *arg);
unsigned stor__act_wait_up(void *ctx, void *arg);
unsigned stor__act_seen(void *ctx, void *arg);
unsigned stor__act_take(void *ctx, void *arg);
unsigned stor__act_taken(void *ctx, void *arg);
unsigned stor__act_fence(void *ctx, void *arg);
unsigned stor__act_leave_fence(void *ctx, void *arg);
unsigned stor__act_write(void *ctx, void *arg);
unsigned stor__act_cancel_write(void *ctx, void *arg);
unsigned stor__act_wrote(void *ctx, void *arg);
unsigned stor__act_unsure(void *ctx, void *arg);
unsigned stor__act_unsure_tick(void *ctx, void *arg);
unsigned stor__act_check(void *ctx, void *arg);
unsigned stor__act_lost(void *ctx, void *arg);
unsigned stor__act_expire(void *ctx, void *arg);
unsigned stor__act_looked(void *ctx, void *arg);

#endif
