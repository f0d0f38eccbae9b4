/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_dev.c - the part of a block device that all backends share: open by URL, range checks, the
 * gate, the queue of requests that must wait, and words about stalls. Parses nothing; see
 * stor_dev.h first.
 */
#include "config.h"

#include "sharedstorage/dev/stor_dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_trace.h"
#include "sharedstorage/dev/stor_dev_int.h"
#include "sharedstorage/dev/stor_timing.h"

enum { REQ_NONE, REQ_WAITING, REQ_BACKEND, REQ_ENDING };

const char *stor_dev_state_name(enum stor_dev_state state)
{
	static const char *const names[] = {"none",    "opening", "gated",  "ready",
					    "stalled", "fenced",  "failed", "closing"};

	return (unsigned)state < CM_ARRAY_LEN(names) ? names[state] : "?";
}

static void dev_set_state(struct stor_dev *dev, enum stor_dev_state state, const char *why)
{
	if (dev->state != state) {
		cm_trace("stor_dev", "state %lu incarnation %lu", state, dev->incarnation);
		dev->since_ns = cm_now_ns();
	}
	dev->state = state;
	snprintf(dev->why, sizeof dev->why, "%.*s", (int)sizeof dev->why - 1, why);
}

void stor__dev_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err)
{
	struct cm_err none = CM_ERR_INIT;

	if (dev->opts.event)
		dev->opts.event(dev, event, err ? err : &none, dev->opts.event_arg);
}

static void dev_stall_tick(struct cm_timer *timer, void *arg);

void stor__dev_init(struct stor_dev *dev, const struct stor_dev_ops *ops, struct cm_loop *loop,
		    const struct stor_dev_opts *opts)
{
	dev->ops = ops;
	dev->loop = loop;
	dev->opts = *opts;
	dev->initiator = opts->initiator ? strdup(opts->initiator) : NULL;
	dev->opts.initiator = dev->initiator;
	if (!dev->opts.io_timeout_ms)
		dev->opts.io_timeout_ms = STOR_IO_TIMEOUT_MS;
	dev->state = STOR_DEV_OPENING;
	dev->since_ns = cm_now_ns();
	TAILQ_INIT(&dev->waiting);
	cm_timer_init(&dev->stall_timer, loop, dev_stall_tick, dev);
}

struct stor_dev *stor_dev_open(struct cm_loop *loop, const char *text,
			       const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_url url;

	if (stor_url_parse(text, &url, err))
		return NULL;
	if (url.disk[0]) {
		cm_err_set(err, CM_E_BAD_URL, "%s names a disk; open its volume first", text);
		return NULL;
	}
	switch (url.kind) {
	case STOR_URL_FILE:
		return stor__file_open(loop, &url, opts, err);
	case STOR_URL_ISCSI:
		if (url.lock_lun >= 0)
			return stor__locked_open(loop, &url, opts, err);
		return stor__iscsi_open(loop, &url, opts, err);
	case STOR_URL_VOLUME:
	case STOR_URL_NONE:
		break;
	}
	cm_err_set(err, CM_E_BAD_URL, "%s is not the URL of a file or LUN", text);
	return NULL;
}

const struct stor_dev_info *stor_dev_info(const struct stor_dev *dev)
{
	return &dev->info;
}

struct cm_loop *stor_dev_loop(const struct stor_dev *dev)
{
	return dev->loop;
}

uint64_t stor_dev_pr_key(const struct stor_dev *dev)
{
	return dev->pr_key;
}

void stor_dev_get_status(struct stor_dev *dev, struct stor_dev_status *st)
{
	struct stor_req *r;

	*st = (struct stor_dev_status){
		.state = dev->state,
		.since_ns = dev->since_ns,
		.incarnation = dev->incarnation,
		.pr_key = dev->pr_key,
		.inflight = dev->inflight,
		.reads = dev->reads,
		.writes = dev->writes,
		.flushes = dev->flushes,
		.others = dev->others,
		.read_bytes = dev->read_bytes,
		.write_bytes = dev->write_bytes,
		.errors = dev->errors,
		.reconnects = dev->reconnects,
		.lost_flushes = dev->lost_flushes,
	};
	memcpy(st->why, dev->why, sizeof st->why);
	TAILQ_FOREACH (r, &dev->waiting, link)
		st->queued++;
	if (dev->ops->status)
		dev->ops->status(dev, st);
}

/* --- requests --------------------------------------------------------------- */

static void dev_count(struct stor_dev *dev, const struct stor_req *r)
{
	switch (r->op) {
	case STOR_OP_READ:
		dev->reads++;
		dev->read_bytes += r->length_bytes;
		break;
	case STOR_OP_WRITE:
		dev->writes++;
		dev->write_bytes += r->length_bytes;
		break;
	case STOR_OP_FLUSH:
		dev->flushes++;
		break;
	case STOR_OP_NONE:
	case STOR_OP_DISCARD:
	case STOR_OP_WRITE_ZEROES:
	case STOR_OP_CAW:
		dev->others++;
		break;
	}
}

void stor__dev_end(struct stor_dev *dev, struct stor_req *req, int rc)
{
	CM_ASSERT(req->state == REQ_BACKEND || req->state == REQ_ENDING);
	req->state = REQ_NONE;
	CM_ASSERT(dev->inflight > 0);
	dev->inflight--;
	if (req->op != STOR_OP_READ && !dev->ops->stacked)
		(void)cm_fault("stor.dev.changed"); /* ... and after it */
	if (rc && rc != CM_E_LEASE_MISCOMPARE && rc != -ECANCELED)
		dev->errors++;
	else if (!rc)
		dev_count(dev, req);
	req->done(req, rc);
}

static void dev_end_deferred(void *arg)
{
	struct stor_req *req = arg;

	stor__dev_end(req->dev, req, req->rc);
}

void stor__dev_end_later(struct stor_dev *dev, struct stor_req *req, int rc)
{
	CM_ASSERT(req->dev == dev && req->state == REQ_BACKEND);
	req->rc = rc;
	req->state = REQ_ENDING;
	cm_loop_defer(dev->loop, dev_end_deferred, req);
}

static void dev_to_backend(struct stor_dev *dev, struct stor_req *req)
{
	req->state = REQ_BACKEND;
	dev->inflight++;
	if (req->op != STOR_OP_READ && !dev->ops->stacked)
		(void)cm_fault("stor.dev.change"); /* before each write, zero, flush and so on */
	dev->ops->submit(dev, req);
}

static void dev_fail_now(struct stor_dev *dev, struct stor_req *req, int rc)
{
	req->state = REQ_BACKEND;
	dev->inflight++;
	stor__dev_end_later(dev, req, rc);
}

static bool dev_range_ok(const struct stor_dev *dev, const struct stor_req *r)
{
	uint64_t s = dev->info.sector_bytes, end;

	if (r->op == STOR_OP_FLUSH)
		return true;
	if (r->op == STOR_OP_CAW && (r->length_bytes != s || !r->compare || !r->swap))
		return false;
	if (!r->length_bytes || r->offset_bytes % s || r->length_bytes % s)
		return false;
	return !__builtin_add_overflow(r->offset_bytes, r->length_bytes, &end) &&
	       end <= dev->info.capacity_bytes;
}

static void dev_wait(struct stor_dev *dev, struct stor_req *req)
{
	req->state = REQ_WAITING;
	TAILQ_INSERT_TAIL(&dev->waiting, req, link);
	if (dev->opts.fail_after_ms && !dev->stall_timer.armed)
		cm_timer_arm_ms(&dev->stall_timer, dev->opts.fail_after_ms);
}

void stor_dev_submit(struct stor_dev *dev, struct stor_req *req)
{
	CM_ASSERT(req->state == REQ_NONE && req->done);
	req->dev = dev;
	req->submitted_ns = cm_now_ns();
	if (dev->state == STOR_DEV_CLOSING || dev->state == STOR_DEV_FAILED)
		return dev_fail_now(dev, req, -ECANCELED);
	if (dev->opened && !dev_range_ok(dev, req))
		return dev_fail_now(dev, req, -EINVAL);
	if (dev->info.readonly && dev->opened && req->op != STOR_OP_READ &&
	    req->op != STOR_OP_FLUSH)
		return dev_fail_now(dev, req, -EROFS);
	if (req->flags & STOR_REQ_ADMIN) {
		if (stor__dev_usable(dev) ||
		    (dev->state == STOR_DEV_GATED && req->op == STOR_OP_READ))
			return dev_to_backend(dev, req);
		return dev_fail_now(dev, req, CM_E_SAN_LOST);
	}
	if (dev->state == STOR_DEV_READY && TAILQ_EMPTY(&dev->waiting))
		return dev_to_backend(dev, req);
	dev_wait(dev, req);
}

void stor_dev_cancel(struct stor_dev *dev, struct stor_req *req)
{
	if (req->state == REQ_WAITING) {
		TAILQ_REMOVE(&dev->waiting, req, link);
		dev_fail_now(dev, req, -ECANCELED);
	} else if (req->state == REQ_BACKEND) {
		dev->ops->cancel(dev, req);
	}
}

void stor__dev_requeue(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_req *at;

	CM_ASSERT(req->state == REQ_BACKEND && dev->inflight > 0);
	dev->inflight--;
	if (dev->state == STOR_DEV_CLOSING)
		return dev_fail_now(dev, req, -ECANCELED);
	req->state = REQ_WAITING;
	TAILQ_FOREACH (at, &dev->waiting, link)
		if (at->submitted_ns > req->submitted_ns)
			break;
	if (at)
		TAILQ_INSERT_BEFORE(at, req, link);
	else
		TAILQ_INSERT_TAIL(&dev->waiting, req, link);
	if (dev->opts.fail_after_ms && !dev->stall_timer.armed)
		cm_timer_arm_ms(&dev->stall_timer, dev->opts.fail_after_ms);
}

static void dev_drain(struct stor_dev *dev)
{
	struct stor_req *r;

	while (dev->state == STOR_DEV_READY && (r = TAILQ_FIRST(&dev->waiting))) {
		TAILQ_REMOVE(&dev->waiting, r, link);
		if (!dev_range_ok(dev, r)) {
			dev_fail_now(dev, r, -EINVAL);
			continue;
		}
		dev_to_backend(dev, r);
	}
}

/* Requests that waited for longer than the operator allows end with an error. */
static void dev_stall_tick(struct cm_timer *timer, void *arg)
{
	struct stor_dev *dev = arg;
	struct stor_req *r;
	uint64_t now = cm_now_ns(), limit = dev->opts.fail_after_ms * CM_NS_PER_MS;

	while ((r = TAILQ_FIRST(&dev->waiting)) && r->submitted_ns + limit <= now) {
		TAILQ_REMOVE(&dev->waiting, r, link);
		dev_fail_now(dev, r, CM_E_SAN_TIMEOUT);
	}
	if (r)
		cm_timer_arm_ns(timer, r->submitted_ns + limit - now);
}

/* --- gate and states ---------------------------------------------------------- */

static void dev_admit(struct stor_dev *dev)
{
	if (dev->shut || dev->admitted || dev->state != STOR_DEV_GATED)
		return;
	dev->admitted = true;
	dev_set_state(dev, STOR_DEV_READY, "");
	if (dev->ops->admitted)
		dev->ops->admitted(dev);
	if (dev->stalled_said) {
		dev->stalled_said = false;
		stor__dev_event(dev, STOR_EVENT_RESUMED, NULL);
	}
	dev_drain(dev);
}

static void dev_enter(struct stor_dev *dev)
{
	if (dev->shut || dev->entered || dev->entering || dev->state != STOR_DEV_GATED)
		return;
	dev->entering = true;
	if (dev->ops->enter)
		dev->ops->enter(dev);
	else
		stor__dev_entered(dev, 0);
}

static void dev_tell_gate(struct stor_dev *dev)
{
	enum stor_gate stage = dev->entered ? STOR_GATE_ENTERED : STOR_GATE_LOOK;

	if (dev->state != STOR_DEV_GATED || dev->told == stage || !dev->gate || dev->entering)
		return;
	dev->told = stage;
	dev->gate(dev, stage, dev->incarnation, dev->gate_arg);
}

void stor__dev_up(struct stor_dev *dev)
{
	if (dev->state == STOR_DEV_CLOSING)
		return;
	if (dev->incarnation)
		dev->reconnects++;
	dev->incarnation++;
	dev->pr_key = dev->pr_key2 = 0;
	dev->entered = dev->entering = dev->admitted = false;
	dev->told = STOR_GATE_NONE;
	dev_set_state(dev, STOR_DEV_GATED, "waits for its owner to check the ownership block");
	if (!dev->opened) {
		dev->opened = true;
		stor__dev_event(dev, STOR_EVENT_READY, NULL);
	}
	if (!dev->opts.gated)
		dev_enter(dev);
	else
		dev_tell_gate(dev);
}

void stor__dev_entered(struct stor_dev *dev, uint64_t pr_key)
{
	if (dev->state != STOR_DEV_GATED || !dev->entering)
		return;
	dev->pr_key = pr_key;
	dev->entering = false;
	dev->entered = true;
	if (!dev->opts.gated)
		dev_admit(dev);
	else
		dev_tell_gate(dev);
}

bool stor__dev_usable(const struct stor_dev *dev)
{
	return dev->entered && (dev->state == STOR_DEV_GATED || dev->state == STOR_DEV_READY);
}

void stor__dev_down(struct stor_dev *dev, enum stor_dev_state state, const struct cm_err *err)
{
	if (dev->state == STOR_DEV_CLOSING)
		return;
	dev->entered = dev->entering = dev->admitted = false;
	dev->pr_key = dev->pr_key2 = 0;
	dev_set_state(dev, dev->opened ? state : STOR_DEV_OPENING, err->text);
	if (dev->opened && !dev->stalled_said) {
		dev->stalled_said = true;
		stor__dev_event(dev, STOR_EVENT_STALLED, err);
	}
}

void stor__dev_stuck(struct stor_dev *dev, const struct cm_err *err)
{
	if (dev->state != STOR_DEV_READY || dev->stalled_said)
		return;
	dev_set_state(dev, STOR_DEV_READY, err->text);
	dev->stalled_said = true;
	stor__dev_event(dev, STOR_EVENT_STALLED, err);
}

void stor__dev_unstuck(struct stor_dev *dev)
{
	if (dev->state != STOR_DEV_READY || !dev->stalled_said)
		return;
	dev_set_state(dev, STOR_DEV_READY, "");
	dev->stalled_said = false;
	stor__dev_event(dev, STOR_EVENT_RESUMED, NULL);
}

void stor__dev_open_failed(struct stor_dev *dev, const struct cm_err *err)
{
	struct stor_req *r;

	if (dev->state == STOR_DEV_CLOSING || dev->opened)
		return;
	dev->opened = true;
	dev_set_state(dev, STOR_DEV_FAILED, err->text);
	while ((r = TAILQ_FIRST(&dev->waiting))) {
		TAILQ_REMOVE(&dev->waiting, r, link);
		dev_fail_now(dev, r, err->code);
	}
	stor__dev_event(dev, STOR_EVENT_FAILED, err);
}

static void dev_gate_later(void *arg)
{
	struct stor_dev *dev = arg;

	if (dev->state != STOR_DEV_CLOSING)
		dev_tell_gate(dev);
}

void stor_dev_set_gate(struct stor_dev *dev, stor_gate_fn fn, void *arg)
{
	dev->gate = fn;
	dev->gate_arg = arg;
	dev->told = STOR_GATE_NONE;
	if (fn && dev->state == STOR_DEV_GATED)
		cm_loop_defer(dev->loop, dev_gate_later, dev);
}

void stor_dev_allow(struct stor_dev *dev, const uint64_t *keys, unsigned nkeys)
{
	CM_ASSERT(nkeys <= STOR_DEV_ALLOWED);
	memcpy(dev->allowed, keys, nkeys * sizeof *keys);
	dev->nallowed = nkeys;
}

void stor_dev_enter(struct stor_dev *dev, uint32_t incarnation)
{
	if (incarnation == dev->incarnation)
		dev_enter(dev);
}

void stor_dev_admit(struct stor_dev *dev, uint32_t incarnation)
{
	if (incarnation == dev->incarnation)
		dev_admit(dev);
}

void stor_dev_shut(struct stor_dev *dev, const char *why)
{
	struct cm_err err = CM_ERR_INIT;

	if (dev->shut || dev->state == STOR_DEV_CLOSING)
		return;
	dev->shut = true;
	cm_err_set(&err, CM_E_LEASE_LOST, "%s", why);
	if (dev->state == STOR_DEV_READY)
		dev_set_state(dev, STOR_DEV_GATED, why);
	if (dev->ops->shut)
		dev->ops->shut(dev);
	if (!dev->stalled_said) {
		dev->stalled_said = true;
		stor__dev_event(dev, STOR_EVENT_STALLED, &err);
	}
}

void stor_dev_fence(struct stor_dev *dev, const uint64_t *keys, unsigned nkeys, stor_fence_fn done,
		    void *arg)
{
	dev->ops->fence(dev, keys, nkeys, done, arg);
}

void stor_dev_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg)
{
	dev->ops->read_keys(dev, done, arg);
}

/* --- close -------------------------------------------------------------------- */

static void dev_gone(void *arg)
{
	struct stor_dev *dev = arg;
	cm_close_fn fn = dev->close_fn;
	void *fn_arg = dev->close_arg;

	CM_ASSERT(dev->inflight == 0);
	free(dev->initiator);
	dev->ops->free(dev);
	if (fn)
		fn(fn_arg);
}

/* Two fixed points later: requests that end at the first one still look at the device. */
static void dev_gone_soon(void *arg)
{
	struct stor_dev *dev = arg;

	cm_loop_defer(dev->loop, dev->inflight ? dev_gone_soon : dev_gone, dev);
}

void stor__dev_closed(struct stor_dev *dev)
{
	cm_timer_fini(&dev->stall_timer);
	dev_gone_soon(dev);
}

void stor_dev_close(struct stor_dev *dev, cm_close_fn fn, void *arg)
{
	struct stor_req *r;

	CM_ASSERT(dev->state != STOR_DEV_CLOSING);
	dev_set_state(dev, STOR_DEV_CLOSING, "closing");
	dev->close_fn = fn;
	dev->close_arg = arg;
	dev->gate = NULL;
	while ((r = TAILQ_FIRST(&dev->waiting))) {
		TAILQ_REMOVE(&dev->waiting, r, link);
		dev_fail_now(dev, r, -ECANCELED);
	}
	dev->ops->close(dev);
}

/* --- filling in requests ------------------------------------------------------- */

static void req_init(struct stor_req *r, enum stor_op op, uint64_t off, uint64_t len,
		     stor_done_fn done, void *arg)
{
	*r = (struct stor_req){
		.op = op, .offset_bytes = off, .length_bytes = len, .done = done, .arg = arg};
}

static uint64_t iov_bytes(const struct iovec *iov, int niov)
{
	uint64_t n = 0;

	for (int i = 0; i < niov; i++)
		n += iov[i].iov_len;
	return n;
}

void stor_req_readv(struct stor_req *r, uint64_t off, struct iovec *iov, int niov,
		    stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_READ, off, iov_bytes(iov, niov), done, arg);
	r->iov = iov;
	r->niov = niov;
}

void stor_req_writev(struct stor_req *r, uint64_t off, struct iovec *iov, int niov,
		     stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_WRITE, off, iov_bytes(iov, niov), done, arg);
	r->iov = iov;
	r->niov = niov;
}

void stor_req_flush(struct stor_req *r, stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_FLUSH, 0, 0, done, arg);
}

void stor_req_discard(struct stor_req *r, uint64_t off, uint64_t len, stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_DISCARD, off, len, done, arg);
}

void stor_req_write_zeroes(struct stor_req *r, uint64_t off, uint64_t len, bool unmap,
			   stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_WRITE_ZEROES, off, len, done, arg);
	if (unmap)
		r->flags = STOR_REQ_UNMAP;
}

void stor_req_caw(struct stor_req *r, uint64_t off, const void *compare, const void *swap,
		  uint32_t sector_bytes, stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_CAW, off, sector_bytes, done, arg);
	r->compare = compare;
	r->swap = swap;
}
