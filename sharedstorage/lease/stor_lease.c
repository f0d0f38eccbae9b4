/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease.c - the machine of a lease: which event leads where. Its actions are in
 * stor_lease_seek.c (nothing owned) and stor_lease_own.c; those here belong to both.
 *
 * Read stor_lease.h and stor_timing.h first. Parses nothing.
 */
#include "config.h"

#include "sharedstorage/lease/stor_lease.h"

#include <errno.h>

#include "common/cm_log.h"
#include "sharedstorage/lease/stor_lease_int.h"

static void lease_read_done(struct stor_req *req, int rc)
{
	struct stor_lease *l = req->arg;

	l->req_busy = false;
	stor__lease_feed(l, rc ? E_READ_FAIL : E_READ_OK, rc ? cm_err_name(rc) : "");
	stor__lease_closed_check(l);
}

static unsigned act_read(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (!stor_dev_usable(l->devs[0].dev))
		return E_READ_FAIL;
	CM_ASSERT(!l->req_busy);
	l->req_busy = true;
	l->req_iov = (struct iovec){l->seen_raw, l->sector_bytes};
	stor_req_readv(&l->req, l->offset_bytes, &l->req_iov, 1, lease_read_done, l);
	l->req.flags = STOR_REQ_ADMIN;
	stor_dev_submit(l->devs[0].dev, &l->req);
	return 0;
}

static unsigned act_cancel(void *ctx, void *arg)
{
	(void)arg;
	stor__lease_answer(ctx, -ECANCELED, NULL);
	return 0;
}

/* Its answer ends the operation. */
static unsigned act_hurry(void *ctx, void *arg)
{
	(void)arg;
	stor__lease_hurry(ctx);
	return 0;
}

static unsigned act_enter(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	stor_dev_enter(l->devs[0].dev, l->look_incarnation);
	return 0;
}

#define A(next, fn) CM_ACT(S_##next, fn)
#define ON(s, e)    [S_##s * E_COUNT + E_##e]
#define SEEKING(s)                                                                                 \
	ON(s, OP) = CM_IGN, ON(s, EXPIRE) = CM_IGN, ON(s, LOOKED) = A(s, act_enter),               \
	      ON(s, LOST) = CM_BAD
#define NO_READ(s)  ON(s, READ_OK) = CM_BAD, ON(s, READ_FAIL) = CM_BAD
#define NO_CAW(s)   ON(s, CAW_OK) = CM_BAD, ON(s, CAW_MISS) = CM_BAD, ON(s, CAW_UNSURE) = CM_BAD
#define NO_FENCE(s) ON(s, FENCED) = CM_BAD, ON(s, FENCE_FAIL) = CM_BAD
#define NO_DO(s)    ON(s, DO_TAKE) = CM_BAD, ON(s, DO_FENCE) = CM_BAD, ON(s, DO_WRITE) = CM_BAD
#define OWNING(s)                                                                                  \
	ON(s, EXPIRE) = A(s, stor__act_expire), ON(s, DO_TAKE) = CM_BAD, ON(s, DO_FENCE) = CM_BAD, \
	      ON(s, LOST) = A(GONE, stor__act_lost), ON(s, ENDED) = A(GONE, NULL)

static const struct cm_fsm_cell lease_cells[S_COUNT * E_COUNT] = {
	ON(IDLE, OP) = A(WAIT, stor__act_seek),
	ON(IDLE, CANCEL) = CM_IGN,
	ON(IDLE, UP) = CM_IGN,
	ON(IDLE, TICK) = CM_IGN,
	ON(IDLE, EXPIRE) = CM_IGN,
	NO_READ(IDLE),
	NO_CAW(IDLE),
	NO_FENCE(IDLE),
	ON(IDLE, LOOKED) = A(IDLE, act_enter),
	NO_DO(IDLE),
	ON(IDLE, ENDED) = CM_BAD,
	ON(IDLE, AGAIN) = CM_BAD,
	ON(IDLE, LOST) = CM_BAD,

	SEEKING(WAIT),
	ON(WAIT, CANCEL) = A(IDLE, act_cancel),
	ON(WAIT, UP) = A(WAIT, stor__act_wait_up),
	ON(WAIT, TICK) = A(WAIT, stor__act_wait_up),
	NO_READ(WAIT),
	NO_CAW(WAIT),
	NO_FENCE(WAIT),
	NO_DO(WAIT),
	ON(WAIT, ENDED) = CM_BAD,
	ON(WAIT, AGAIN) = A(READ, act_read),

	SEEKING(READ),
	ON(READ, CANCEL) = A(READ, act_hurry),
	ON(READ, UP) = CM_IGN,
	ON(READ, TICK) = CM_IGN,
	ON(READ, READ_OK) = A(READ, stor__act_seen),
	ON(READ, READ_FAIL) = A(WAIT, stor__act_wait),
	NO_CAW(READ),
	NO_FENCE(READ),
	ON(READ, DO_TAKE) = A(TAKE, stor__act_take),
	ON(READ, DO_FENCE) = A(FENCE, stor__act_fence),
	ON(READ, DO_WRITE) = CM_BAD,
	ON(READ, ENDED) = A(IDLE, NULL),
	ON(READ, AGAIN) = CM_BAD,

	SEEKING(TAKE),
	ON(TAKE, CANCEL) = A(TAKE, act_hurry),
	ON(TAKE, UP) = CM_IGN,
	ON(TAKE, TICK) = CM_IGN,
	NO_READ(TAKE),
	ON(TAKE, CAW_OK) = A(TAKE, stor__act_taken),
	ON(TAKE, CAW_MISS) = A(READ, act_read),
	ON(TAKE, CAW_UNSURE) = A(WAIT, stor__act_wait),
	NO_FENCE(TAKE),
	ON(TAKE, DO_TAKE) = CM_BAD,
	ON(TAKE, DO_FENCE) = A(FENCE, stor__act_fence),
	ON(TAKE, DO_WRITE) = CM_BAD,
	ON(TAKE, ENDED) = A(IDLE, NULL),
	ON(TAKE, AGAIN) = CM_BAD,

	SEEKING(FENCE),
	ON(FENCE, CANCEL) = A(IDLE, stor__act_leave_fence),
	ON(FENCE, UP) = CM_IGN,
	ON(FENCE, TICK) = CM_IGN,
	NO_READ(FENCE),
	NO_CAW(FENCE),
	ON(FENCE, FENCED) = A(WRITE, stor__act_write),
	ON(FENCE, FENCE_FAIL) = A(WAIT, stor__act_wait),
	NO_DO(FENCE),
	ON(FENCE, ENDED) = CM_BAD,
	ON(FENCE, AGAIN) = CM_BAD,

	OWNING(HELD),
	ON(HELD, OP) = A(WRITE, stor__act_write),
	ON(HELD, CANCEL) = A(HELD, act_cancel),
	ON(HELD, UP) = A(CHECK, act_read),
	ON(HELD, TICK) = A(WRITE, stor__act_write),
	NO_READ(HELD),
	NO_CAW(HELD),
	NO_FENCE(HELD),
	ON(HELD, LOOKED) = A(HELD, stor__act_looked),
	ON(HELD, DO_WRITE) = CM_BAD,
	ON(HELD, AGAIN) = CM_BAD,

	OWNING(WRITE),
	ON(WRITE, OP) = CM_IGN,
	ON(WRITE, CANCEL) = A(WRITE, stor__act_cancel_write),
	ON(WRITE, UP) = CM_IGN,
	ON(WRITE, TICK) = CM_IGN,
	NO_READ(WRITE),
	ON(WRITE, CAW_OK) = A(HELD, stor__act_wrote),
	ON(WRITE, CAW_MISS) = A(CHECK, act_read),
	ON(WRITE, CAW_UNSURE) = A(UNSURE, stor__act_unsure),
	NO_FENCE(WRITE),
	ON(WRITE, LOOKED) = CM_BAD,
	ON(WRITE, DO_WRITE) = CM_BAD,
	ON(WRITE, AGAIN) = A(WRITE, stor__act_write),

	OWNING(UNSURE),
	ON(UNSURE, OP) = CM_IGN,
	ON(UNSURE, CANCEL) = A(UNSURE, act_cancel),
	ON(UNSURE, UP) = A(UNSURE, stor__act_unsure_tick),
	ON(UNSURE, TICK) = A(UNSURE, stor__act_unsure_tick),
	NO_READ(UNSURE),
	NO_CAW(UNSURE),
	NO_FENCE(UNSURE),
	ON(UNSURE, LOOKED) = A(UNSURE, stor__act_looked),
	ON(UNSURE, DO_WRITE) = CM_BAD,
	ON(UNSURE, AGAIN) = A(CHECK, act_read),

	OWNING(CHECK),
	ON(CHECK, OP) = CM_IGN,
	ON(CHECK, CANCEL) = A(CHECK, act_cancel),
	ON(CHECK, UP) = CM_IGN,
	ON(CHECK, TICK) = CM_IGN,
	ON(CHECK, READ_OK) = A(CHECK, stor__act_check),
	ON(CHECK, READ_FAIL) = A(UNSURE, stor__act_unsure),
	NO_CAW(CHECK),
	NO_FENCE(CHECK),
	ON(CHECK, LOOKED) = CM_BAD,
	ON(CHECK, DO_WRITE) = A(WRITE, stor__act_write),
	ON(CHECK, AGAIN) = CM_BAD,

	ON(GONE, OP) = CM_IGN,
	ON(GONE, CANCEL) = CM_IGN,
	ON(GONE, UP) = CM_IGN,
	ON(GONE, TICK) = CM_IGN,
	ON(GONE, EXPIRE) = CM_IGN,
	NO_READ(GONE),
	NO_CAW(GONE),
	NO_FENCE(GONE),
	ON(GONE, LOOKED) = CM_IGN,
	NO_DO(GONE),
	ON(GONE, ENDED) = CM_BAD,
	ON(GONE, AGAIN) = CM_BAD,
	ON(GONE, LOST) = CM_BAD,
};
CM_FSM_DEFINE(lease_def, "lease", LEASE_STATES, LEASE_EVENTS, lease_cells);

const struct cm_fsm_def *stor_lease_fsm(void)
{
	return &lease_def;
}
