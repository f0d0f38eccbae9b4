/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_dev.c - the part of a block device that all backends share: its states, the gate, words
 * about stalls, the end. Requests are in stor_dev_queue.c. Parses nothing; see stor_dev.h first.
 */
#include "config.h"

#include "sharedstorage/dev/stor_dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "common/cm_trace.h"
#include "sharedstorage/dev/stor_dev_int.h"
#include "sharedstorage/dev/stor_timing.h"

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

void stor_dev_tell(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err)
{
	struct cm_err none = CM_ERR_INIT;

	if (dev->opts.event)
		dev->opts.event(dev, event, err ? err : &none, dev->opts.event_arg);
}

void stor_dev_init(struct stor_dev *dev, const struct stor_dev_ops *ops, struct cm_loop *loop,
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
	stor__dev_queue_init(dev);
}

void stor_dev_fini(struct stor_dev *dev)
{
	cm_timer_fini(&dev->stall_timer);
	free(dev->initiator);
}

const struct stor_dev_info *stor_dev_info(const struct stor_dev *dev)
{
	return &dev->info;
}

struct cm_loop *stor_dev_loop(const struct stor_dev *dev)
{
	return dev->loop;
}

uint32_t stor_dev_incarnation(const struct stor_dev *dev)
{
	return dev->incarnation;
}

uint64_t stor_dev_pr_key(const struct stor_dev *dev)
{
	return dev->pr_key;
}

unsigned stor_dev_keys(const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS])
{
	return dev->ops->keys ? dev->ops->keys(dev, keys) : 0;
}

unsigned stor_dev_luns(const struct stor_dev *dev, uint32_t tags[STOR_DEV_LUNS])
{
	return dev->ops->luns ? dev->ops->luns(dev, tags) : 0;
}

struct stor_dev *stor_dev_part(struct stor_dev *dev, unsigned i)
{
	return dev->ops->part ? dev->ops->part(dev, i) : NULL;
}

const struct stor_uuid *stor_dev_volume(const struct stor_dev *dev)
{
	return &dev->volume;
}

uint32_t stor_dev_lun(const struct stor_dev *dev)
{
	return stor_lun_tag(dev->info.serial);
}

bool stor_dev_is_exclusive(const struct stor_dev *dev)
{
	return dev->opts.exclusive_to != 0;
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
		stor_dev_tell(dev, STOR_EVENT_RESUMED, NULL);
	}
	stor__dev_queue_drain(dev);
}

static void dev_enter(struct stor_dev *dev)
{
	if (dev->shut || dev->entered || dev->entering || dev->state != STOR_DEV_GATED)
		return;
	dev->entering = true;
	if (dev->ops->enter)
		dev->ops->enter(dev);
	else
		stor_dev_entered(dev, 0);
}

static void dev_tell_gate(struct stor_dev *dev)
{
	enum stor_gate stage = dev->entered ? STOR_GATE_ENTERED : STOR_GATE_LOOK;

	if (dev->state != STOR_DEV_GATED || dev->told == stage || !dev->gate || dev->entering)
		return;
	dev->told = stage;
	dev->gate(dev, stage, dev->incarnation, dev->gate_arg);
}

void stor_dev_up(struct stor_dev *dev)
{
	if (dev->state == STOR_DEV_CLOSING)
		return;
	if (dev->incarnation)
		dev->reconnects++;
	dev->incarnation++;
	dev->pr_key = 0;
	dev->entered = dev->entering = dev->admitted = false;
	dev->told = STOR_GATE_NONE;
	dev_set_state(dev, STOR_DEV_GATED, "waits for its owner to check the ownership block");
	if (!dev->opened) {
		dev->opened = true;
		stor_dev_tell(dev, STOR_EVENT_READY, NULL);
	}
	if (!dev->opts.gated)
		dev_enter(dev);
	else
		dev_tell_gate(dev);
}

void stor_dev_entered(struct stor_dev *dev, uint64_t pr_key)
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

void stor_dev_down(struct stor_dev *dev, enum stor_dev_state state, const struct cm_err *err)
{
	if (dev->state == STOR_DEV_CLOSING)
		return;
	dev->entered = dev->entering = dev->admitted = false;
	dev->pr_key = 0;
	dev_set_state(dev, dev->opened ? state : STOR_DEV_OPENING, err->text);
	if (dev->opened && !dev->stalled_said) {
		dev->stalled_said = true;
		stor_dev_tell(dev, STOR_EVENT_STALLED, err);
	}
}

void stor_dev_stuck(struct stor_dev *dev, const struct cm_err *err)
{
	if (dev->state != STOR_DEV_READY || dev->stalled_said)
		return;
	dev_set_state(dev, STOR_DEV_READY, err->text);
	dev->stalled_said = true;
	stor_dev_tell(dev, STOR_EVENT_STALLED, err);
}

void stor_dev_unstuck(struct stor_dev *dev)
{
	if (dev->state != STOR_DEV_READY || !dev->stalled_said)
		return;
	dev_set_state(dev, STOR_DEV_READY, "");
	dev->stalled_said = false;
	stor_dev_tell(dev, STOR_EVENT_RESUMED, NULL);
}

void stor_dev_open_failed(struct stor_dev *dev, const struct cm_err *err)
{
	if (dev->state == STOR_DEV_CLOSING || dev->opened)
		return;
	dev->opened = true;
	dev_set_state(dev, STOR_DEV_FAILED, err->text);
	stor__dev_queue_fail(dev, err->code);
	stor_dev_tell(dev, STOR_EVENT_FAILED, err);
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
		stor_dev_tell(dev, STOR_EVENT_STALLED, &err);
	}
}

void stor_dev_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys, stor_fence_fn done,
		    void *arg)
{
	dev->ops->fence(dev, keys, nkeys, done, arg);
}

void stor_dev_fence_cancel(struct stor_dev *dev, void *arg)
{
	if (dev->ops->fence_cancel)
		dev->ops->fence_cancel(dev, arg);
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

void stor_dev_closed(struct stor_dev *dev)
{
	cm_timer_fini(&dev->stall_timer);
	dev_gone_soon(dev);
}

void stor_dev_close(struct stor_dev *dev, cm_close_fn fn, void *arg)
{
	CM_ASSERT(dev->state != STOR_DEV_CLOSING);
	dev_set_state(dev, STOR_DEV_CLOSING, "closing");
	dev->close_fn = fn;
	dev->close_arg = arg;
	dev->gate = NULL;
	stor__dev_queue_fail(dev, -ECANCELED);
	dev->ops->close(dev);
}
