/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_io.c - requests and what the target answers to their commands (stor_iscsi_send.c):
 * done, or tried again where that is safe.
 *
 * Never tried again: a COMPARE AND WRITE that may have happened; it costs the session, so that the
 * next one's barrier ends what is left of it. A unit attention that may mean
 * "shut out" or "reset" holds its request back until READ KEYS shows our key; a reservation
 * conflict costs the session, so that the gate looks at the ownership block before anything goes
 * out again.
 *
 * Parses no data of the target beyond status and sense.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"
#include "sharedstorage/iscsi/stor_sense.h"

#define IO_TRIES	  8
#define IO_CONFLICTS	  3 /* in a row, for one request: then it is no stale session but a refusal */

static void io_end(struct stor_io *io, int rc)
{
	struct stor_iscsi *d = io->dev;
	struct stor_req *req = io->req;

	req->priv = NULL;
	stor__io_not_refused(io, false);
	stor__io_free(io);
	stor_dev_end(&d->dev, req, rc);
}

/* Its session died (or will). sent: it may have been executed. */
static void io_lost(struct stor_io *io, bool sent)
{
	struct stor_iscsi *d = io->dev;
	struct stor_req *req = io->req;

	if (req->op == STOR_OP_CAW)
		return io_end(io, sent ? CM_E_LEASE_UNKNOWN : CM_E_SAN_LOST);
	if (stor__io_is_admin(io))
		return io_end(io, CM_E_SAN_LOST);
	req->priv = NULL;
	stor__io_not_refused(io, false);
	stor__io_free(io);
	stor_dev_requeue(&d->dev, req);
}

/* --- answers ---------------------------------------------------------------------------------- */

void stor__iscsi_delay_tick(struct cm_timer *timer, void *arg)
{
	struct stor_iscsi *d = arg;
	uint64_t limit = d->dev.opts.fail_after_ms * CM_NS_PER_MS, now = cm_now_ns();
	struct stor_ios old = TAILQ_HEAD_INITIALIZER(old);
	struct stor_io *io;

	(void)timer;
	TAILQ_CONCAT(&old, &d->delayed, link);
	while ((io = TAILQ_FIRST(&old))) {
		TAILQ_REMOVE(&old, io, link);
		if (limit && !stor__io_is_admin(io) && now - io->req->submitted_ns > limit)
			io_end(io, CM_E_SAN_TIMEOUT);
		else
			stor__io_queue(io);
	}
	stor__iscsi_pump(d);
}

static void revalidated(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	uint64_t keys[ISCSI_KEYS];
	int n = stor__adm_keys(a, keys);
	struct stor_io *io;
	bool mine = false;

	(void)arg;
	d->revalidating = false;
	if (a->cmd.status == STOR_CMD_LOST)
		return;
	for (int i = 0; i < n; i++)
		mine |= keys[i] == d->key;
	if (!mine) {
		stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: our key is not registered any more",
				d->label);
		return;
	}
	while ((io = TAILQ_FIRST(&d->held))) {
		TAILQ_REMOVE(&d->held, io, link);
		stor__io_queue(io);
	}
	stor__iscsi_pump(d);
}

/*
 * Reset, or reservations changed: go on only if our key is there still. Without a key nothing tells whether the LUN is
 * another one now (3F/xx); the next session looks at its serial number.
 */
static void io_revalidate(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;

	if (!d->key && io->cmd.status == STOR_SCSI_CHECK && io->cmd.key == STOR_KEY_ATTENTION && io->cmd.asc == 0x3f)
		stor__iscsi_bad(d, CM_E_SAN_LOST, "%s: the array has changed its LUNs: is it still ours?", d->label);
	else if (!d->key)
		return stor__io_queue_first(io);
	TAILQ_INSERT_TAIL(&d->held, io, link);
	if (d->revalidating || d->why.code)
		return;
	d->revalidating = true;
	stor__adm_read_keys(d, revalidated, NULL);
}

static void io_not_now(struct stor_io *io)
{
	if (io->cancelled)
		io_end(io, -ECANCELED);
	else
		stor__io_refused(io);
}

static void io_conflict(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	struct stor_req *r = io->req;

	if (d->guarded && d->key && d->fsm.state == IS_UP) {
		/* somebody's short COMPARE AND WRITE; if it is more than that, reading the keys
		 * tells */
		if (++io->tries % 16 == 0)
			return io_revalidate(io);
		return io_not_now(io);
	}
	if (d->key && !stor__io_is_admin(io) && ++r->word[1] > IO_CONFLICTS) {
		/* registered, and still: that is not for the guest to know */
		if (++io->tries % 16 == 0)
			return io_revalidate(io);
		return io_not_now(io);
	}
	if (!d->key || stor__io_is_admin(io)) {
		if (d->key)
			stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: reservation conflict", d->label);
		return io_end(io, CM_E_SAN_CONFLICT);
	}
	stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: reservation conflict", d->label);
	TAILQ_INSERT_TAIL(&d->held, io, link);
}

static void io_good(struct stor_io *io);

/* WRITE SAME and UNMAP are optional, whatever the target's pages say: zeroes are written then, a hint is dropped. */
static bool io_otherwise(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	uint8_t asc = io->cmd.asc;

	if (asc != 0x20 && asc != 0x24 && asc != 0x26)
		return false;
	if (io->req->op == STOR_OP_DISCARD) {
		d->no_unmap = true;
		d->dev.info.can_discard = false;
		io_end(io, 0);
		return true;
	}
	if (io->req->op != STOR_OP_WRITE_ZEROES || !stor__cdb_is_write_same(&io->cmd.cdb))
		return false;
	if (stor__cdb_unmaps(&io->cmd.cdb)) {
		d->no_ws_unmap = true;
		d->dev.info.can_write_zeroes = false;
	} else {
		cm_info("%s: no WRITE SAME here: zeroes are written", d->label);
		d->no_write_same = true;
	}
	free(io->buf); /* of another size */
	io->buf = NULL;
	stor__io_queue_first(io);
	return true;
}

static void io_check(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	const struct stor_cmd *c = &io->cmd;
	enum stor_sense sense = stor__io_sense(io);
	char words[64];

	if (stor__sense_done(sense))
		return io_good(io);
	if (c->key == STOR_KEY_ATTENTION && (++io->tries < IO_TRIES || !stor__io_is_admin(io))) {
		if (io->tries % IO_TRIES == 0)
			return io_not_now(io);
		if (sense == STOR_SENSE_LOOK)
			return io_revalidate(io);
		return stor__io_queue_first(io);
	}
	stor__sense_print(c->status, c->key, c->asc, c->ascq, words, sizeof words);
	cm_debug("%s: %s", d->label, words);
	if ((sense == STOR_SENSE_ABORTED || sense == STOR_SENSE_BUSY || sense == STOR_SENSE_PATH ||
	     sense == STOR_SENSE_SPACE) &&
	    (++io->tries < 64 || !stor__io_is_admin(io)))
		return io_not_now(io);
	if (c->deferred && sense == STOR_SENSE_FAILED && (++io->tries < 64 || !stor__io_is_admin(io))) {
		stor__flush_lost(d, words); /* an earlier one's; this one was not executed */
		return io_not_now(io);
	}
	if (sense == STOR_SENSE_REFUSED && io_otherwise(io))
		return;
	if (sense == STOR_SENSE_PROTECT || sense == STOR_SENSE_SPACE)
		return io_end(io, sense == STOR_SENSE_SPACE ? CM_E_VOL_FULL : -EROFS);
	cm_warning("%s: %s at byte %llu", d->label, words,
		   (unsigned long long)io->req->offset_bytes);
	io_end(io, sense == STOR_SENSE_REFUSED ? CM_E_SAN_SENSE : CM_E_IO);
}

static void caw_is_there(struct stor_iscsi *d, bool there)
{
	d->no_caw = !there;
	d->dev.info.native_caw = there && !d->guarded;
}

static void io_good(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	struct stor_req *r = io->req;

	if ((io->cmd.dir == STOR_DIR_IN || r->op == STOR_OP_WRITE) && io->cmd.actual_bytes != io->cmd.length_bytes)
		return io_end(io, CM_E_IO); /* fewer bytes than the sectors have */
	if ((d->revalidating || d->why.code) && r->op != STOR_OP_CAW) {
		/* A reset is looked into, or whether this is our LUN still: done is what is done again afterwards. */
		io->done_bytes = 0;
		return io_revalidate(io);
	}
	stor__io_not_refused(io, true);
	if (r->op == STOR_OP_CAW)
		caw_is_there(d, true);
	if (r->op == STOR_OP_READ || r->op == STOR_OP_WRITE)
		io->done_bytes += io->cmd.length_bytes;
	else if (r->op == STOR_OP_WRITE_ZEROES || r->op == STOR_OP_DISCARD)
		io->done_bytes += io->own[1].iov_len;
	else
		io->done_bytes = r->length_bytes;
	if (io->done_bytes < r->length_bytes)
		return stor__io_queue_first(io);
	if (r->op == STOR_OP_FLUSH)
		return io_end(io, stor__flush_done(io));
	stor__flush_write_done(d, r);
	io_end(io, 0);
}

/* Nothing was written, for a fact. The owner of a lease decides soon what to do next; others wait. */
static void caw_refused(struct stor_io *io, enum stor_sense sense)
{
	struct stor_iscsi *d = io->dev;
	bool soon = ++io->tries < IO_TRIES, lease = io->req->flags & STOR_REQ_ADMIN;

	switch (sense) {
	case STOR_SENSE_LOOK:
	case STOR_SENSE_ATTENTION:
		if (soon)
			return sense == STOR_SENSE_LOOK ? io_revalidate(io) : stor__io_queue_first(io);
		break;
	case STOR_SENSE_PATH:
		if (soon || d->url.portals == 1)
			break;
		stor__iscsi_bad(d, CM_E_SAN_LOST, "%s: %s", d->label, stor__sense_words(sense));
		return io_end(io, CM_E_SAN_LOST); /* the other portal comes next */
	case STOR_SENSE_PROTECT:
		return io_end(io, -EROFS);
	case STOR_SENSE_REFUSED:
		if (io->cmd.asc == 0x20)
			caw_is_there(d, false);
		return io_end(io, io->cmd.asc == 0x20 ? CM_E_SAN_UNSAFE : CM_E_SAN_SENSE);
	default: /* busy, no space: that may pass */
		break;
	}
	if (soon || !lease)
		return io_not_now(io);
	io_end(io, sense == STOR_SENSE_SPACE ? CM_E_VOL_FULL : CM_E_SAN_SENSE);
}

/* Of a COMPARE AND WRITE: what the answer proves decides (stor_sense.c). */
static void caw_answered(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	const struct stor_cmd *c = &io->cmd;
	enum stor_sense sense = stor__sense_class(c->status, c->key, c->asc, c->ascq);
	char words[64];

	if (stor__sense_done(sense) && (d->revalidating || d->why.code)) {
		/* Zeroes are on every LUN: it may be another one's block. */
		stor__iscsi_bad(d, CM_E_SAN_LOST, "%s: a COMPARE AND WRITE while the array has news", d->label);
		return io_end(io, CM_E_LEASE_UNKNOWN);
	}
	if (stor__sense_done(sense))
		return io_good(io);
	if (sense == STOR_SENSE_MISCOMPARE)
		return io_end(io, CM_E_LEASE_MISCOMPARE);
	if (sense == STOR_SENSE_CONFLICT)
		return io_conflict(io);
	stor__sense_print(c->status, c->key, c->asc, c->ascq, words, sizeof words);
	cm_debug("%s: COMPARE AND WRITE: %s: %s", d->label, words, stor__sense_words(sense));
	if (c->status == STOR_SCSI_FULL)
		stor__window_full(d);
	if (stor__sense_not_executed(sense))
		return caw_refused(io, sense);
	stor__iscsi_bad(d, CM_E_SAN_LOST, "%s: a COMPARE AND WRITE may have happened or not: %s",
			d->label, words);
	/* Who is no lease and would read back and try again could do so for ever. */
	io_end(io, sense == STOR_SENSE_FAILED && !(io->req->flags & STOR_REQ_ADMIN)
			   ? CM_E_IO
			   : CM_E_LEASE_UNKNOWN);
}

static void io_answered(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;

	switch (io->cmd.status) {
	case STOR_SCSI_GOOD:
		io_good(io);
		break;
	case STOR_SCSI_CHECK:
		io_check(io);
		break;
	case STOR_SCSI_CONFLICT:
		io_conflict(io);
		break;
	case STOR_SCSI_FULL:
		stor__window_full(d);
		io_not_now(io);
		break;
	case STOR_SCSI_BUSY:
		io_not_now(io);
		break;
	default: /* TASK ABORTED and what else there is: nobody knows what happened to it */
		stor__iscsi_bad(d, CM_E_SAN_LOST, "%s: status %02x", d->label,
				(unsigned)io->cmd.status);
		TAILQ_INSERT_TAIL(&d->held, io, link);
		break;
	}
}

static void io_cmd_done(struct stor_cmd *cmd)
{
	struct stor_io *io = CM_CONTAINER(cmd, struct stor_io, cmd);
	struct stor_iscsi *d = io->dev;

	stor__iscsi_cmd_ended(d);
	stor__window_ended(io);
	if (cmd->status == STOR_CMD_LOST) {
		io_lost(io, true);
		return;
	}
	if (io->req->op == STOR_OP_CAW)
		caw_answered(io);
	else
		io_answered(io);
	stor__iscsi_pump(d);
}

/* --- as a stor_dev --------------------------------------------------------------------------- */

void stor__iscsi_submit(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_iscsi *d = stor__iscsi_of(dev);
	struct stor_io *io;

	if (req->op == STOR_OP_CAW && d->guarded)
		return stor__iscsi_guard_submit(d, req);
	if (req->op == STOR_OP_DISCARD && !dev->info.can_discard)
		return stor_dev_end_later(dev, req, 0); /* a hint, not a promise */
	io = stor__io_new(d);
	if (!io)
		return stor_dev_end_later(dev, req, -ENOMEM);
	io->dev = d;
	io->req = req;
	io->cmd.done = io_cmd_done;
	req->priv = io;
	stor__io_queue(io);
	stor__iscsi_pump(d);
}

static bool io_unqueue(struct stor_ios *q, struct stor_io *io)
{
	struct stor_io *x;

	TAILQ_FOREACH (x, q, link)
		if (x == io) {
			TAILQ_REMOVE(q, io, link);
			return true;
		}
	return false;
}

void stor__iscsi_cancel(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_iscsi *d = stor__iscsi_of(dev);
	struct stor_io *io = req->priv;

	if (req->op == STOR_OP_CAW && d->guarded) {
		stor__iscsi_guard_cancel(d, req);
		return;
	}
	if (!io)
		return;
	/* What was sent stays: its memory is in use until the target answers or the session dies.
	 */
	io->cancelled = true;
	if (!io_unqueue(&d->first, io) && !io_unqueue(&d->sendq, io) && !io_unqueue(&d->held, io) &&
	    !io_unqueue(&d->delayed, io))
		return;
	req->priv = NULL;
	stor__io_not_refused(io, false);
	stor__io_free(io);
	stor_dev_end_later(dev, req, -ECANCELED);
}

void stor__iscsi_io_down(struct stor_iscsi *d)
{
	struct stor_io *io;

	TAILQ_CONCAT(&d->held, &d->first, link);
	TAILQ_CONCAT(&d->held, &d->delayed, link);
	TAILQ_CONCAT(&d->held, &d->sendq, link);
	cm_timer_disarm(&d->delay);
	d->refused_ns = 0;
	/* Held ones were refused, the others never sent: none of them happened. */
	while ((io = TAILQ_FIRST(&d->held))) {
		TAILQ_REMOVE(&d->held, io, link);
		io_lost(io, false);
	}
	stor__adm_down(d);
	stor__iscsi_guard_down(d);
}
