/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_dev_queue.c - the requests of a device between its owner and its backend: range checks,
 * those that must wait, their time limit, counts. Parses nothing; see stor_dev.h first.
 */
#include "config.h"

#include <errno.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_dev_int.h"

enum { REQ_NONE, REQ_WAITING, REQ_BACKEND, REQ_ENDING };

bool stor_dev_usable(const struct stor_dev *dev)
{
	return dev->entered && (dev->state == STOR_DEV_GATED || dev->state == STOR_DEV_READY);
}

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

void stor_dev_end(struct stor_dev *dev, struct stor_req *req, int rc)
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

	stor_dev_end(req->dev, req, req->rc);
}

void stor_dev_end_later(struct stor_dev *dev, struct stor_req *req, int rc)
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
	stor_dev_end_later(dev, req, rc);
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
	if (dev->abandoned)
		return dev_fail_now(dev, req, -ECANCELED);
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
		if (stor_dev_usable(dev) ||
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

void stor_dev_requeue(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_req *at;

	CM_ASSERT(req->state == REQ_BACKEND && dev->inflight > 0);
	dev->inflight--;
	if (dev->state == STOR_DEV_CLOSING || dev->abandoned)
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

void stor__dev_queue_drain(struct stor_dev *dev)
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

void stor__dev_queue_fail(struct stor_dev *dev, int rc)
{
	struct stor_req *r;

	while ((r = TAILQ_FIRST(&dev->waiting))) {
		TAILQ_REMOVE(&dev->waiting, r, link);
		dev_fail_now(dev, r, rc);
	}
}

void stor_dev_abandon(struct stor_dev *dev)
{
	dev->abandoned = true;
	stor__dev_queue_fail(dev, -ECANCELED);
}

void stor__dev_queue_init(struct stor_dev *dev)
{
	TAILQ_INIT(&dev->waiting);
	cm_timer_init(&dev->stall_timer, dev->loop, dev_stall_tick, dev);
}
