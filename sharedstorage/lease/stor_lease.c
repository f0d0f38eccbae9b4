/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease.c - the machine of a lease: reads, COMPARE AND WRITEs, timers and the gate of the
 * devices.
 *
 * What a block means is decided in stor_lease_judge.c; this file only carries it out. Parses the
 * block through stor_lease_disk. Read stor_lease.h and stor_timing.h first.
 */
#include "config.h"

#include "sharedstorage/lease/stor_lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_lease_int.h"

const char *stor_lost_name(enum stor_lost lost)
{
	static const char *const names[] = {"none", "expired", "taken", "fenced"};

	return (unsigned)lost < CM_ARRAY_LEN(names) ? names[lost] : "?";
}

void stor__lease_feed(struct stor_lease *l, enum stor_lease_event event, const char *reason)
{
	if (!l->closing)
		cm_fsm_feed(&l->fsm, event, reason, NULL);
}

/* --- talking to the device ------------------------------------------------------- */

static bool lease_may_talk(const struct stor_lease *l)
{
	return stor_dev_usable(l->devs[0].dev);
}

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
	if (!lease_may_talk(l))
		return E_READ_FAIL;
	CM_ASSERT(!l->req_busy);
	l->req_busy = true;
	l->req_iov = (struct iovec){l->seen_raw, l->sector_bytes};
	stor_req_readv(&l->req, l->offset_bytes, &l->req_iov, 1, lease_read_done, l);
	l->req.flags = STOR_REQ_ADMIN;
	stor_dev_submit(l->devs[0].dev, &l->req);
	return 0;
}

/* Up at once, down slowly: who plans with it shall not hope. */
static void lease_measure(struct stor_lease *l)
{
	uint64_t took = cm_now_ns() - l->write_start_ns, last = stor_lease_write_ns(l);

	atomic_store(&l->write_ns, CM_MAX(took, (3 * last + took) / 4));
}

static void lease_caw_done(struct stor_req *req, int rc)
{
	struct stor_lease *l = req->arg;

	l->req_busy = false;
	if (!rc)
		lease_measure(l);
	if (!rc)
		rc = cm_fault("lease_written");
	l->in_doubt = rc && rc != CM_E_LEASE_MISCOMPARE;
	stor__lease_feed(l,
			 !rc			       ? E_CAW_OK
			 : rc == CM_E_LEASE_MISCOMPARE ? E_CAW_MISS
						       : E_CAW_UNSURE,
			 rc ? cm_err_name(rc) : stor__lease_op_name(l->writing));
	stor__lease_closed_check(l);
}

static void lease_caw(struct stor_lease *l, const uint8_t *from)
{
	CM_ASSERT(!l->req_busy);
	l->req_busy = true;
	stor_block_encode(&l->next, l->next_raw, l->sector_bytes);
	stor_req_caw(&l->req, l->offset_bytes, from, l->next_raw, l->sector_bytes, lease_caw_done,
		     l);
	l->req.flags = STOR_REQ_ADMIN;
	l->write_start_ns = cm_now_ns();
	for (unsigned i = 0; i < l->ndevs; i++)
		l->devs[i].written = l->devs[i].dev->entered ? l->devs[i].dev->incarnation : 0;
	if (cm_fault("lease_write"))
		l->req.offset_bytes = UINT64_MAX - UINT64_MAX % l->sector_bytes; /* made to fail */
	stor_dev_submit(l->devs[0].dev, &l->req);
}

/* Keys of all sessions of now; a device on a lock LUN has two. What does not fit is refused by
 * stor_lease_guard. */
void stor__lease_fill_keys(struct stor_lease *l)
{
	unsigned n = 0;

	memset(l->self.keys, 0, sizeof l->self.keys);
	for (unsigned i = 0; i < l->ndevs; i++) {
		const struct stor_dev *dev = l->devs[i].dev;

		if (dev->pr_key && n < STOR_OWNER_KEYS)
			l->self.keys[n++] = dev->pr_key;
		if (dev->pr_key2 && n < STOR_OWNER_KEYS)
			l->self.keys[n++] = dev->pr_key2;
	}
}

static void lease_retry_soon(struct stor_lease *l)
{
	cm_timer_arm_ms(&l->tick, STOR_OBSERVE(l->io_timeout_ms));
}

/* --- answering the caller ---------------------------------------------------------- */

void stor__lease_answer(struct stor_lease *l, int rc, const struct cm_err *why)
{
	stor_lease_done_fn done = l->done;
	struct cm_err err = CM_ERR_INIT;

	if (rc)
		cm_err_set(&err, rc, "%s: %s", l->label,
			   why && why->code ? why->text : cm_err_text(rc));
	l->op = STOR_LEASE_NONE;
	l->done = NULL;
	l->cancelled = false;
	stor_permit_free(l->permit);
	l->permit = NULL;
	if (done)
		done(l, rc, &err, l->done_arg);
}

/* We have just won a COMPARE AND WRITE that began at write_start_ns. */
static void lease_won(struct stor_lease *l)
{
	uint64_t until = l->write_start_ns + STOR_FAIL(l->io_timeout_ms) * CM_NS_PER_MS;
	uint64_t now = cm_now_ns();

	l->last = l->next;
	memcpy(l->last_raw, l->next_raw, l->sector_bytes);
	l->in_doubt = false;
	if (until <= now) /* the answer came too late to run on it: renew at once */
		return;
	atomic_store(&l->valid_until_ns, until);
	cm_timer_arm_ns(&l->expire, until - now);
	for (unsigned i = 0; i < l->ndevs; i++)
		if (l->devs[i].written && l->devs[i].written == l->devs[i].dev->incarnation)
			stor_dev_admit(l->devs[i].dev, l->devs[i].written);
	stor__lease_guards(l);
	if (l->ops && l->ops->renewed)
		l->ops->renewed(l, until, l->arg);
}

void stor__lease_no_more(struct stor_lease *l, const char *why)
{
	atomic_store(&l->valid_until_ns, 0);
	cm_timer_disarm(&l->expire);
	cm_timer_disarm(&l->tick);
	for (unsigned i = 0; i < l->ndevs; i++)
		stor_dev_shut(l->devs[i].dev, why);
}

/* --- actions: nothing owned ---------------------------------------------------------- */

static unsigned act_seek(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (lease_may_talk(l))
		return E_AGAIN; /* goes and reads */
	lease_retry_soon(l);
	return 0;
}

static unsigned act_wait(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	lease_retry_soon(l);
	return l->cancelled ? E_CANCEL : 0;
}

static unsigned act_wait_up(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (lease_may_talk(l))
		return E_AGAIN;
	lease_retry_soon(l);
	return 0;
}

static unsigned act_seen(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	struct stor_lease_picture p = {.vm = l->vm,
				       .io_timeout_ms = l->io_timeout_ms,
				       .op = l->op,
				       .permit = l->permit,
				       .only_with_intent = l->only_with_intent};
	struct cm_err err = CM_ERR_INIT;
	int rc = stor_block_decode(l->seen_raw, l->sector_bytes, &l->seen);

	(void)arg;
	stor__lease_fill_keys(l);
	p.self = l->self;
	stor_uuid_random(&p.nonce);
	switch (stor__lease_seek(&p, rc, &l->seen, &l->next, &err)) {
	case STOR_SEEK_TAKE:
		return E_DO_TAKE;
	case STOR_SEEK_OWN:
	case STOR_SEEK_FENCE:
		l->last = l->seen;
		memcpy(l->last_raw, l->seen_raw, l->sector_bytes);
		return E_DO_FENCE;
	case STOR_SEEK_DONE:
		stor__lease_answer(l, 0, NULL);
		return E_ENDED;
	case STOR_SEEK_REFUSE:
	case STOR_SEEK_NONE:
		break;
	}
	stor__lease_answer(l, err.code, &err);
	return E_ENDED;
}

static unsigned act_take(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	l->writing = l->op;
	lease_caw(l, l->seen_raw);
	return 0;
}

static unsigned act_taken(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	l->writing = STOR_LEASE_NONE;
	if (l->op == STOR_LEASE_DECLINE) {
		stor__lease_answer(l, 0, NULL);
		return E_ENDED;
	}
	l->last = l->next;
	memcpy(l->last_raw, l->next_raw, l->sector_bytes);
	return E_DO_FENCE;
}

static unsigned lease_fence_next(struct stor_lease *l);

static void lease_fence_done(int rc, const struct cm_err *err, void *arg)
{
	struct stor_lease *l = arg;

	l->fence_busy = false;
	if (l->closing) {
		stor__lease_closed_check(l);
		return;
	}
	if (rc) {
		cm_warning("%s: cannot shut the former owner out yet: %s", l->label, err->text);
		stor__lease_feed(l, E_FENCE_FAIL, cm_err_name(rc));
		return;
	}
	l->fence_dev++;
	if (lease_fence_next(l))
		stor__lease_feed(l, E_FENCED, "no key of a former owner is left");
}

/* E_FENCED when there is nothing (more) to shut out. */
static unsigned lease_fence_next(struct stor_lease *l)
{
	if (!l->fence_nkeys || l->fence_dev == l->ndevs)
		return E_FENCED;
	l->fence_busy = true;
	stor_dev_fence(l->devs[l->fence_dev].dev, l->fence_keys, l->fence_nkeys, lease_fence_done,
		       l);
	return 0;
}

static void lease_fence_begin(void *arg)
{
	struct stor_lease *l = arg;

	if (l->fsm.state != S_FENCE || l->fence_busy || l->closing) {
		stor__lease_closed_check(l);
		return;
	}
	if (cm_fault("lease_fence")) {
		stor__lease_feed(l, E_FENCE_FAIL, "fault point");
		return;
	}
	if (lease_fence_next(l))
		stor__lease_feed(l, E_FENCED, "no former owner");
}

static unsigned act_fence(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	l->fence_nkeys = l->fence_dev = 0;
	for (unsigned i = 0; i < STOR_SHUT_KEYS; i++)
		if (l->last.shut[i])
			l->fence_keys[l->fence_nkeys++] = l->last.shut[i];
	if (!l->fence_nkeys)
		return E_FENCED;
	/* Deferred: a fence that answers at once must not feed us inside of a feed. */
	cm_loop_defer(l->loop, lease_fence_begin, l);
	return 0;
}

/* --- actions: owner ---------------------------------------------------------------------- */

static unsigned act_write(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	struct stor_uuid nonce;

	(void)arg;
	if (!lease_may_talk(l))
		return E_CAW_UNSURE;
	l->writing = STOR_LEASE_RENEW;
	if (l->op >= STOR_LEASE_INTENT)
		l->writing = l->op;
	stor_uuid_random(&nonce);
	stor__lease_fill_keys(l);
	if (stor__lease_next(&l->last, &l->self, l->writing, &l->peer, l->io_timeout_ms, &nonce,
			     &l->next)) {
		struct cm_err err = CM_ERR_INIT;

		cm_err_set(&err, CM_E_LEASE_MISCOMPARE,
			   "the destination gave up: no intent is left");
		stor__lease_answer(l, CM_E_LEASE_MISCOMPARE, &err);
		return E_AGAIN; /* renew instead */
	}
	if (l->writing == STOR_LEASE_COMMIT || l->writing == STOR_LEASE_RELEASE)
		atomic_store(&l->valid_until_ns,
			     0); /* whatever comes, nobody runs on the old term */
	lease_caw(l, l->last_raw);
	return 0;
}

static unsigned act_wrote(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	enum stor_lease_op did = l->writing;

	(void)arg;
	l->writing = STOR_LEASE_NONE;
	if (did == STOR_LEASE_COMMIT || did == STOR_LEASE_RELEASE) {
		l->in_doubt = false;
		stor__lease_no_more(l, did == STOR_LEASE_COMMIT ? "the VM was handed over"
								: "released");
		stor__lease_answer(l, 0, NULL);
		return E_ENDED;
	}
	lease_won(l);
	if (cm_now_ns() >= atomic_load(&l->valid_until_ns))
		return E_TICK;
	/* acquire, take over and accept end with the first renewal that they won */
	if (l->op == did || (l->op && l->op < STOR_LEASE_INTENT))
		stor__lease_answer(l, 0, NULL);
	cm_timer_arm_ns(&l->tick, STOR_RENEW(l->io_timeout_ms) * CM_NS_PER_MS);
	return l->op ? E_TICK : 0;
}

static unsigned act_unsure(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	lease_retry_soon(l);
	return l->cancelled && l->op ? E_CANCEL : 0;
}

/* May we look? A write in doubt on a SAN is over only when a new session has aborted the old one.
 */
static unsigned act_unsure_tick(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	const struct stor_dev *dev = l->devs[0].dev;

	(void)arg;
	if (lease_may_talk(l) &&
	    (!l->in_doubt || !dev->info.shared || dev->incarnation != l->devs[0].written))
		return E_AGAIN;
	lease_retry_soon(l);
	return 0;
}

static unsigned lease_judged(struct stor_lease *l, const uint8_t *raw, bool mine_writes)
{
	struct stor_block b;
	int rc = stor_block_decode(raw, l->sector_bytes, &b);

	if (rc == CM_E_LEASE_CORRUPT) {
		cm_crit("%s: the ownership block is damaged", l->label);
		return 0;
	}
	switch (stor__lease_judge(&l->self, l->writing, &l->last, l->in_doubt ? &l->next : NULL, rc,
				  &b)) {
	case STOR_JUDGE_MINE:
		if (!mine_writes)
			return E_UP;
		if (l->op == STOR_LEASE_COMMIT && l->last.peer.node[0] && !b.peer.node[0])
			cm_notice("%s: the destination has declined", l->label);
		l->last = b;
		memcpy(l->last_raw, raw, l->sector_bytes);
		l->in_doubt = false;
		return E_DO_WRITE;
	case STOR_JUDGE_DONE:
		l->in_doubt = false;
		stor__lease_no_more(l, "the VM was handed over or released");
		stor__lease_answer(l, 0, NULL);
		return E_ENDED;
	case STOR_JUDGE_LOST:
	case STOR_JUDGE_NONE:
		break;
	}
	l->seen = b;
	return E_LOST;
}

static unsigned act_check(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	unsigned e = lease_judged(l, l->seen_raw, true);

	(void)arg;
	return e ? e : E_READ_FAIL;
}

static unsigned act_lost(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	struct cm_err err = CM_ERR_INIT;
	char words[256] = "the block was never used";

	(void)arg;
	if (l->seen.state)
		stor_block_print(&l->seen, words, sizeof words);
	cm_err_set(&err, CM_E_LEASE_LOST, "ownership is lost: %s", words);
	cm_crit("%s: %s", l->label, err.text);
	stor__lease_no_more(l, err.text);
	if (l->ops && l->ops->lost)
		l->ops->lost(l, STOR_LOST_TAKEN, l->arg);
	if (l->op)
		stor__lease_answer(l, CM_E_LEASE_LOST, &err);
	return 0;
}

static unsigned act_expire(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	uint64_t until = atomic_load(&l->valid_until_ns), now = cm_now_ns();

	(void)arg;
	if (!until)
		return 0;
	if (now < until) {
		cm_timer_arm_ns(&l->expire, until - now);
		return 0;
	}
	atomic_store(&l->valid_until_ns, 0);
	cm_crit("%s: no renewal succeeded for %llu ms: the vCPUs stop", l->label,
		(unsigned long long)STOR_FAIL(l->io_timeout_ms));
	if (l->ops && l->ops->lost)
		l->ops->lost(l, STOR_LOST_EXPIRED, l->arg);
	return 0;
}

static unsigned act_cancel(void *ctx, void *arg)
{
	(void)arg;
	stor__lease_answer(ctx, -ECANCELED, NULL);
	return 0;
}

/* A new session may look; the answer says whether we may register. */
static unsigned act_looked(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	unsigned e = lease_judged(l, l->look_raw, false);

	(void)arg;
	if (e != E_UP)
		return e;
	stor_dev_enter(l->devs[0].dev, l->look_incarnation);
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
	ON(s, EXPIRE) = A(s, act_expire), ON(s, DO_TAKE) = CM_BAD, ON(s, DO_FENCE) = CM_BAD,       \
	      ON(s, LOST) = A(GONE, act_lost), ON(s, ENDED) = A(GONE, NULL)

static const struct cm_fsm_cell lease_cells[S_COUNT * E_COUNT] = {
	ON(IDLE, OP) = A(WAIT, act_seek),
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
	ON(WAIT, UP) = A(WAIT, act_wait_up),
	ON(WAIT, TICK) = A(WAIT, act_wait_up),
	NO_READ(WAIT),
	NO_CAW(WAIT),
	NO_FENCE(WAIT),
	NO_DO(WAIT),
	ON(WAIT, ENDED) = CM_BAD,
	ON(WAIT, AGAIN) = A(READ, act_read),

	SEEKING(READ),
	ON(READ, CANCEL) = CM_IGN,
	ON(READ, UP) = CM_IGN,
	ON(READ, TICK) = CM_IGN,
	ON(READ, READ_OK) = A(READ, act_seen),
	ON(READ, READ_FAIL) = A(WAIT, act_wait),
	NO_CAW(READ),
	NO_FENCE(READ),
	ON(READ, DO_TAKE) = A(TAKE, act_take),
	ON(READ, DO_FENCE) = A(FENCE, act_fence),
	ON(READ, DO_WRITE) = CM_BAD,
	ON(READ, ENDED) = A(IDLE, NULL),
	ON(READ, AGAIN) = CM_BAD,

	SEEKING(TAKE),
	ON(TAKE, CANCEL) = CM_IGN,
	ON(TAKE, UP) = CM_IGN,
	ON(TAKE, TICK) = CM_IGN,
	NO_READ(TAKE),
	ON(TAKE, CAW_OK) = A(TAKE, act_taken),
	ON(TAKE, CAW_MISS) = A(READ, act_read),
	ON(TAKE, CAW_UNSURE) = A(WAIT, act_wait),
	NO_FENCE(TAKE),
	ON(TAKE, DO_TAKE) = CM_BAD,
	ON(TAKE, DO_FENCE) = A(FENCE, act_fence),
	ON(TAKE, DO_WRITE) = CM_BAD,
	ON(TAKE, ENDED) = A(IDLE, NULL),
	ON(TAKE, AGAIN) = CM_BAD,

	SEEKING(FENCE),
	ON(FENCE, CANCEL) = CM_IGN,
	ON(FENCE, UP) = CM_IGN,
	ON(FENCE, TICK) = CM_IGN,
	NO_READ(FENCE),
	NO_CAW(FENCE),
	ON(FENCE, FENCED) = A(WRITE, act_write),
	ON(FENCE, FENCE_FAIL) = A(WAIT, act_wait),
	NO_DO(FENCE),
	ON(FENCE, ENDED) = CM_BAD,
	ON(FENCE, AGAIN) = CM_BAD,

	OWNING(HELD),
	ON(HELD, OP) = A(WRITE, act_write),
	ON(HELD, CANCEL) = CM_IGN,
	ON(HELD, UP) = A(CHECK, act_read),
	ON(HELD, TICK) = A(WRITE, act_write),
	NO_READ(HELD),
	NO_CAW(HELD),
	NO_FENCE(HELD),
	ON(HELD, LOOKED) = A(HELD, act_looked),
	ON(HELD, DO_WRITE) = CM_BAD,
	ON(HELD, AGAIN) = CM_BAD,

	OWNING(WRITE),
	ON(WRITE, OP) = CM_IGN,
	ON(WRITE, CANCEL) = CM_IGN,
	ON(WRITE, UP) = CM_IGN,
	ON(WRITE, TICK) = CM_IGN,
	NO_READ(WRITE),
	ON(WRITE, CAW_OK) = A(HELD, act_wrote),
	ON(WRITE, CAW_MISS) = A(CHECK, act_read),
	ON(WRITE, CAW_UNSURE) = A(UNSURE, act_unsure),
	NO_FENCE(WRITE),
	ON(WRITE, LOOKED) = CM_BAD,
	ON(WRITE, DO_WRITE) = CM_BAD,
	ON(WRITE, AGAIN) = A(WRITE, act_write),

	OWNING(UNSURE),
	ON(UNSURE, OP) = CM_IGN,
	ON(UNSURE, CANCEL) = A(UNSURE, act_cancel),
	ON(UNSURE, UP) = A(UNSURE, act_unsure_tick),
	ON(UNSURE, TICK) = A(UNSURE, act_unsure_tick),
	NO_READ(UNSURE),
	NO_CAW(UNSURE),
	NO_FENCE(UNSURE),
	ON(UNSURE, LOOKED) = A(UNSURE, act_looked),
	ON(UNSURE, DO_WRITE) = CM_BAD,
	ON(UNSURE, AGAIN) = A(CHECK, act_read),

	OWNING(CHECK),
	ON(CHECK, OP) = CM_IGN,
	ON(CHECK, CANCEL) = CM_IGN,
	ON(CHECK, UP) = CM_IGN,
	ON(CHECK, TICK) = CM_IGN,
	ON(CHECK, READ_OK) = A(CHECK, act_check),
	ON(CHECK, READ_FAIL) = A(UNSURE, act_unsure),
	NO_CAW(CHECK),
	NO_FENCE(CHECK),
	ON(CHECK, LOOKED) = CM_BAD,
	ON(CHECK, DO_WRITE) = A(WRITE, act_write),
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
#define XX(n) #n,
static const char *const lease_state_names[] = {LEASE_STATES(XX)};
static const char *const lease_event_names[] = {LEASE_EVENTS(XX)};
#undef XX
static const struct cm_fsm_def lease_def = {
	.name = "lease",
	.states = S_COUNT,
	.events = E_COUNT,
	.state_names = lease_state_names,
	.event_names = lease_event_names,
	.cells = lease_cells,
};

const struct cm_fsm_def *stor_lease_fsm(void)
{
	return &lease_def;
}
