/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_base.c - what every part of a lease stands on: events for its machine, COMPARE AND
 * WRITE of the block, answers to the caller, the end of ownership, the end of the lease. Parses
 * nothing.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_lease_int.h"

bool stor__lease_is_owner(const struct stor_lease *l)
{
	return l->fsm.state >= S_HELD && l->fsm.state <= S_CHECK;
}

void stor__lease_feed(struct stor_lease *l, enum stor_lease_event event, const char *reason)
{
	if (!l->closing)
		cm_fsm_feed(&l->fsm, event, reason, NULL);
}

uint64_t stor_lease_write_ns(const struct stor_lease *l)
{
	return atomic_load_explicit(&l->write_ns, memory_order_relaxed);
}

uint64_t stor_lease_valid_until(const struct stor_lease *l)
{
	uint64_t until = atomic_load_explicit(&l->valid_until_ns, memory_order_relaxed), jump;

	if (!until)
		return 0;
	jump = cm_jump_ns(&l->won);
	return cm_now_ns() + jump < until ? until - jump : 0;
}

/* --- writing the block ------------------------------------------------------------- */

/* Up at once, down slowly: who plans with it shall not hope. */
static void lease_measure(struct stor_lease *l)
{
	uint64_t took = cm_now_ns() - l->write_start.now_ns, last = stor_lease_write_ns(l);

	atomic_store(&l->write_ns, CM_MAX(took, (3 * last + took) / 4));
}

static void lease_caw_done(struct stor_req *req, int rc)
{
	struct stor_lease *l = req->arg;

	l->req_busy = false;
	if (!rc)
		lease_measure(l);
	if (!rc && cm_fault("lease_written"))
		rc = CM_E_LEASE_UNKNOWN;
	/* Whatever else the device says proves that it was not executed. */
	l->in_doubt = rc == CM_E_LEASE_UNKNOWN;
	l->refusal = rc;
	stor__lease_feed(l,
			 !rc			       ? E_CAW_OK
			 : rc == CM_E_LEASE_MISCOMPARE ? E_CAW_MISS
						       : E_CAW_UNSURE,
			 rc ? cm_err_name(rc) : stor__lease_op_name(l->writing));
	stor__lease_closed_check(l);
}

void stor__lease_caw(struct stor_lease *l, const uint8_t *from)
{
	CM_ASSERT(!l->req_busy);
	l->req_busy = true;
	stor_block_encode(&l->next, l->next_raw, l->sector_bytes);
	stor_req_caw(&l->req, l->offset_bytes, from, l->next_raw, l->sector_bytes, lease_caw_done,
		     l);
	l->req.flags = STOR_REQ_ADMIN;
	cm_jump_learn();
	l->write_start = cm_mark();
	for (unsigned i = 0; i < l->ndevs; i++)
		l->devs[i].written =
			stor_dev_usable(l->devs[i].dev) ? stor_dev_incarnation(l->devs[i].dev) : 0;
	if (cm_fault("lease_write"))
		l->req.offset_bytes = UINT64_MAX - UINT64_MAX % l->sector_bytes; /* made to fail */
	stor_dev_submit(l->devs[0].dev, &l->req);
}

void stor__lease_fill_self(struct stor_lease *l)
{
	struct stor_key keys[STOR_DEV_LUNS];
	unsigned n = 0;

	l->self.watchdog = l->ops && l->ops->watchdog ? l->ops->watchdog(l->arg) : STOR_WATCHDOG_NONE;
	memset(l->self.keys, 0, sizeof l->self.keys);
	for (unsigned i = 0; i < l->ndevs; i++) {
		unsigned k = stor_dev_keys(l->devs[i].dev, keys);

		CM_ASSERT(n + k <= STOR_OWNER_KEYS); /* stor_lease_guard has seen to that */
		memcpy(l->self.keys + n, keys, k * sizeof *keys);
		n += k;
	}
}

bool stor__lease_reaches(const struct stor_lease *l, const struct stor_key *key)
{
	uint32_t tags[STOR_DEV_LUNS];

	for (unsigned i = 0; i < l->ndevs; i++) {
		unsigned n = stor_dev_luns(l->devs[i].dev, tags);

		for (unsigned k = 0; k < n; k++)
			if (stor_key_may_be_of(key, tags[k]))
				return true;
	}
	return false;
}

void stor__lease_retry_soon(struct stor_lease *l)
{
	cm_timer_arm_ms(&l->tick, STOR_OBSERVE(l->io_timeout_ms));
}

void stor__lease_hurry(struct stor_lease *l)
{
	if (l->req_busy)
		stor_dev_cancel(l->devs[0].dev, &l->req);
}

uint64_t stor__lease_pause_ns(uint64_t now_ns, uint64_t valid_until_ns, bool doubted_before,
			      uint32_t io_timeout_ms)
{
	uint64_t pause = STOR_OBSERVE(io_timeout_ms) * CM_NS_PER_MS;

	if (valid_until_ns > now_ns)
		return CM_MIN(pause, (valid_until_ns - now_ns) / 2);
	/* Nothing runs that could be saved by haste; and each doubt costs the array a login. */
	return doubted_before ? STOR_RECONNECT_MAX(io_timeout_ms) * CM_NS_PER_MS : pause;
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

void stor__lease_no_more(struct stor_lease *l, const char *why)
{
	atomic_store(&l->valid_until_ns, 0);
	cm_timer_disarm(&l->expire);
	cm_timer_disarm(&l->tick);
	for (unsigned i = 0; i < l->ndevs; i++)
		stor_dev_shut(l->devs[i].dev, why);
}

/* --- the end ------------------------------------------------------------------------ */

void stor__lease_free_memory(struct stor_lease *l)
{
	stor_permit_free(l->permit);
	free(l->last_raw);
	free(l->next_raw);
	free(l->seen_raw);
	free(l->look_raw);
	if (!l->fence_busy)
		free(l->fence);
	free(l);
}

static void lease_gone(void *arg)
{
	struct stor_lease *l = arg;
	cm_close_fn fn = l->close_fn;
	void *fn_arg = l->close_arg;

	stor__lease_free_memory(l);
	if (fn)
		fn(fn_arg);
}

/* One fixed point later: deferred kicks of this turn still see the memory. */
static void lease_gone_soon(void *arg)
{
	struct stor_lease *l = arg;

	cm_loop_defer(l->loop, lease_gone, l);
}

void stor__lease_closed_check(struct stor_lease *l)
{
	if (!l->closing || l->closed || l->req_busy || l->look_busy)
		return;
	l->closed = true;
	cm_loop_defer(l->loop, lease_gone_soon, l);
}
