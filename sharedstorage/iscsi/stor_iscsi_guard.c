/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_guard.c - compare_and_write() on a target that has no COMPARE AND WRITE: on a lock
 * LUN, guarded by a short reservation.
 *
 * RESERVE (write exclusive) -> READ -> compare -> WRITE -> SYNCHRONIZE CACHE -> RELEASE. While one
 * host holds the reservation no other can write there. A holder that dies in between is preempted
 * by whoever waited for 2 T, and a LUN RESET is awaited before anything is read, so a late write of
 * it cannot land behind the next holder's.
 *
 * Parses no data of the target beyond status, keys and reservation (through stor_pr).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

struct stor_guard_job {
	struct stor_iscsi *dev;
	struct stor_req *req;
	struct cm_timer wait;
	uint64_t holder, since_ns; /* who has held the reservation since we looked first */
	bool wrote;		   /* from here on the outcome may be unknown */
	int rc;
};

static void guard_begin(struct stor_iscsi *d);
static void guard_reserve(struct stor_guard_job *j);

static void guard_end(struct stor_guard_job *j, int rc)
{
	struct stor_iscsi *d = j->dev;
	struct stor_req *req = j->req;

	d->guard = NULL;
	cm_timer_fini(&j->wait);
	free(j);
	stor_dev_end(&d->dev, req, rc);
	guard_begin(d);
}

/* False: the answer is no use (then it has been dealt with). */
static bool guard_ok(struct stor_guard_job *j, const struct stor_adm *a, const char *what)
{
	char words[64];

	if (a->cmd.status == STOR_SCSI_GOOD)
		return true;
	if (a->cmd.status != STOR_CMD_LOST) {
		stor__adm_words(a, words, sizeof words);
		stor__iscsi_bad(j->dev,
				a->cmd.status == STOR_SCSI_CONFLICT ? CM_E_SAN_CONFLICT
								    : CM_E_SAN_SENSE,
				"%s: %s on the lock LUN: %s", j->dev->label, what, words);
	}
	guard_end(j, j->wrote ? CM_E_LEASE_UNKNOWN : CM_E_SAN_LOST);
	return false;
}

static void guard_released(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_guard_job *j = arg;

	(void)d;
	/* What was written is written; a lost RELEASE is cleaned up by the next session or the next
	 * waiter. */
	if (a->cmd.status != STOR_SCSI_GOOD && a->cmd.status != STOR_CMD_LOST)
		cm_warning("%s: RELEASE was refused", d->label);
	guard_end(j, j->rc);
}

static void guard_release(struct stor_guard_job *j, int rc)
{
	j->rc = rc;
	stor__adm_pr_out(j->dev, STOR_PR_RELEASE, STOR_PR_WE, 0, guard_released, j);
}

static void guard_synced(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	(void)d;
	if (guard_ok(arg, a, "SYNCHRONIZE CACHE"))
		guard_release(arg, 0);
}

static void guard_written(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	if (guard_ok(arg, a, "WRITE"))
		stor__adm_send(d, stor__cdb_sync(), STOR_DIR_NONE, NULL, 0, 0, guard_synced, arg);
}

static void guard_read(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_guard_job *j = arg;
	uint32_t s = d->dev.info.sector_bytes;

	if (!guard_ok(j, a, "READ"))
		return;
	if (a->cmd.actual_bytes != s || memcmp(a->buf, j->req->compare, s))
		return guard_release(j, a->cmd.actual_bytes == s ? CM_E_LEASE_MISCOMPARE : CM_E_IO);
	j->wrote = true;
	if (cm_fault("iscsi_guard_write"))
		return stor__iscsi_bad(d, CM_E_SAN_LOST, "fault point"),
		       guard_end(j, CM_E_LEASE_UNKNOWN);
	stor__adm_send(d, stor__cdb_rw(true, j->req->offset_bytes / s, 1, true), STOR_DIR_OUT,
		       j->req->swap, s, 0, guard_written, j);
}

static void guard_compare(struct stor_guard_job *j)
{
	uint32_t s = j->dev->dev.info.sector_bytes;

	stor__adm_send(j->dev, stor__cdb_rw(false, j->req->offset_bytes / s, 1, false), STOR_DIR_IN,
		       NULL, s, 0, guard_read, j);
}

/* --- getting the reservation --------------------------------------------------------------- */

static void guard_reset_done(int rc, void *arg)
{
	struct stor_guard_job *j = arg;

	if (rc)
		return guard_end(j, CM_E_SAN_LOST);
	guard_compare(j);
}

static void guard_preempted(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_guard_job *j = arg;

	if (a->cmd.status == STOR_SCSI_CONFLICT) /* the holder went, or somebody was faster */
		return guard_reserve(j);
	if (!guard_ok(j, a, "PREEMPT"))
		return;
	cm_notice("%s: key %016llx had held the lock for too long and was preempted", d->label,
		  (unsigned long long)j->holder);
	stor__iscsi_lun_reset(d, guard_reset_done, j);
}

static void guard_wait_over(struct cm_timer *timer, void *arg)
{
	(void)timer;
	guard_reserve(arg);
}

static void guard_holder(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_guard_job *j = arg;
	uint64_t holder, now = cm_now_ns();
	unsigned type;

	if (stor__adm_is(a, STOR_KEY_ATTENTION) && d->sess) {
		cm_timer_arm_ms(&j->wait, 2);
		return;
	}
	if (!guard_ok(j, a, "READ RESERVATION"))
		return;
	if (stor_pr_decode_reservation(a->buf, a->cmd.actual_bytes, &holder, &type)) {
		stor__iscsi_bad(d, CM_E_SAN_SENSE, "%s: READ RESERVATION makes no sense", d->label);
		return guard_end(j, CM_E_SAN_LOST);
	}
	if (holder != j->holder) {
		j->holder = holder;
		j->since_ns = now;
	}
	if (holder && now - j->since_ns > 2 * STOR_IO(d->dev.opts.io_timeout_ms) * CM_NS_PER_MS)
		return stor__adm_pr_out(d, STOR_PR_PREEMPT, STOR_PR_WE, holder, guard_preempted, j);
	/* 1..4 ms, so that waiters do not run in step */
	cm_timer_arm_ns(&j->wait, CM_NS_PER_MS + now % (3 * CM_NS_PER_MS));
}

static void guard_keys(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_guard_job *j = arg;
	uint64_t keys[ISCSI_KEYS];
	int n = stor__adm_keys(a, keys);
	bool mine = false;

	for (int i = 0; i < n; i++)
		mine |= keys[i] == d->key;
	if (stor__adm_is(a, STOR_KEY_ATTENTION) && d->sess) { /* the same trouble */
		cm_timer_arm_ms(&j->wait, 2);
		return;
	}
	if (n >= 0 && !mine) {
		stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: our key was removed from the lock LUN",
				d->label);
		return guard_end(j, CM_E_SAN_CONFLICT);
	}
	if (!guard_ok(j, a, "READ KEYS"))
		return;
	stor__adm_send(d, stor__cdb_pr_in(1, 64), STOR_DIR_IN, NULL, 64, 0, guard_holder, j);
}

static void guard_reserved(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_guard_job *j = arg;

	/* Each RELEASE of another host is a unit attention (2A/04) for us: with many waiters they
	 * do not end. */
	if (a->cmd.status == STOR_SCSI_CONFLICT || stor__adm_is(a, STOR_KEY_ATTENTION))
		return stor__adm_read_keys(d, guard_keys, j);
	if (guard_ok(j, a, "RESERVE"))
		guard_compare(j);
}

static void guard_reserve(struct stor_guard_job *j)
{
	stor__adm_pr_out(j->dev, STOR_PR_RESERVE, STOR_PR_WE, 0, guard_reserved, j);
}

/* --- queue --------------------------------------------------------------------------------- */

static void guard_begin(struct stor_iscsi *d)
{
	struct stor_req *req;
	struct stor_guard_job *j;

	if (d->guard || !stor_dev_usable(&d->dev) || d->why.code || !(req = TAILQ_FIRST(&d->cawq)))
		return;
	j = calloc(1, sizeof *j);
	CM_ASSERT(j);
	TAILQ_REMOVE(&d->cawq, req, link);
	j->dev = d;
	j->req = req;
	cm_timer_init(&j->wait, d->dev.loop, guard_wait_over, j);
	d->guard = j;
	guard_reserve(j);
}

void stor__iscsi_guard_submit(struct stor_iscsi *d, struct stor_req *req)
{
	TAILQ_INSERT_TAIL(&d->cawq, req, link);
	guard_begin(d);
}

bool stor__iscsi_guard_cancel(struct stor_iscsi *d, struct stor_req *req)
{
	struct stor_req *r;

	TAILQ_FOREACH (r, &d->cawq, link)
		if (r == req) {
			TAILQ_REMOVE(&d->cawq, r, link);
			stor_dev_end_later(&d->dev, r, -ECANCELED);
			return true;
		}
	return false;
}

void stor__iscsi_guard_down(struct stor_iscsi *d)
{
	struct stor_req *r;

	/* The job under way ends through its own command, unless it only waits. */
	if (d->guard && d->guard->wait.armed)
		guard_end(d->guard, CM_E_SAN_LOST);
	while ((r = TAILQ_FIRST(&d->cawq))) {
		TAILQ_REMOVE(&d->cawq, r, link);
		stor_dev_end(&d->dev, r, CM_E_SAN_LOST);
	}
}
