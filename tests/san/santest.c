/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * santest.c - hosts for tests, each with a device and maybe a lease, driven on one loop; see santest.h.
 */
#include "config.h"

#include "tests/san/santest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "sharedstorage/stor_open.h"

static void on_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		     void *arg)
{
	struct san_host *h = arg;

	(void)dev;
	switch (event) {
	case STOR_EVENT_READY:
		h->ready = true;
		break;
	case STOR_EVENT_FAILED:
		h->failed = true;
		h->rc = err->code;
		break;
	case STOR_EVENT_STALLED:
		h->stalls++;
		h->stalled = true;
		break;
	case STOR_EVENT_RESUMED:
		h->resumes++;
		h->stalled = false;
		break;
	case STOR_EVENT_CONFLICT:
		h->conflicts++;
		break;
	case STOR_EVENT_EXCLUSIVE:
		h->alone = true;
		break;
	case STOR_EVENT_BUSY:
		h->busy++;
		break;
	case STOR_EVENT_RESIZED:
	case STOR_EVENT_NONE:
		break;
	}
	if (err->code)
		snprintf(h->words, sizeof h->words, "%s", err->text);
	if (getenv("SANTEST_VERBOSE"))
		fprintf(stderr, "event %d %s\n", event, err->text);
}

int san_open(struct san_host *h, struct cm_loop *loop, const char *url, const struct stor_dev_opts *opts)
{
	struct stor_dev_opts o = opts ? *opts : (struct stor_dev_opts){0};
	struct cm_err err = CM_ERR_INIT;

	*h = (struct san_host){.loop = loop, .watchdog = STOR_WATCHDOG_SOFT};
	o.event = on_event;
	o.event_arg = h;
	h->dev = stor_dev_open(loop, url, &o, &err);
	if (!h->dev) {
		snprintf(h->words, sizeof h->words, "%s", err.text);
		return err.code;
	}
	SAN_UNTIL(loop, h->ready || h->failed);
	return h->failed ? h->rc : 0;
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

void san_close(struct san_host *h)
{
	if (h->lease) {
		stor_lease_close(h->lease, set_flag, &h->lease_gone);
		SAN_UNTIL(h->loop, h->lease_gone);
	}
	if (h->dev) {
		stor_dev_close(h->dev, set_flag, &h->gone);
		SAN_UNTIL(h->loop, h->gone);
	}
	h->lease = NULL;
	h->dev = NULL;
}

static void req_done(struct stor_req *req, int rc)
{
	struct san_host *h = req->arg;

	h->rc = rc;
	h->answered = true;
}

int san_wait(struct san_host *h)
{
	SAN_UNTIL(h->loop, h->answered);
	h->answered = false;
	return h->rc;
}

void san_submit(struct san_host *h, struct stor_req *req)
{
	req->done = req_done;
	req->arg = h;
	stor_dev_submit(h->dev, req);
}

int san_do(struct san_host *h, struct stor_req *req)
{
	san_submit(h, req);
	return san_wait(h);
}

int san_rw(struct san_host *h, bool write, uint64_t offset, void *data, size_t n, unsigned flags)
{
	struct iovec iov = {data, n};
	struct stor_req r;

	(write ? stor_req_writev : stor_req_readv)(&r, offset, &iov, 1, NULL, NULL);
	r.flags = flags;
	return san_do(h, &r);
}

int san_caw(struct san_host *h, uint64_t offset, const void *compare, const void *swap)
{
	struct stor_req r;

	stor_req_caw(&r, offset, compare, swap, stor_dev_info(h->dev)->sector_bytes, NULL, NULL);
	return san_do(h, &r);
}

static void fence_done(int rc, const struct cm_err *err, void *arg)
{
	struct san_host *h = arg;

	h->rc = rc;
	h->answered = true;
	snprintf(h->words, sizeof h->words, "%s", err->text);
}

int san_fence(struct san_host *h, const uint64_t *keys, unsigned n)
{
	struct stor_key list[64] = {0};

	assert_true(n <= CM_ARRAY_LEN(list));
	for (unsigned i = 0; i < n; i++)
		list[i] = (struct stor_key){.key = keys[i], .lun = stor_dev_lun(h->dev)};
	stor_dev_fence(h->dev, list, n, fence_done, h);
	return san_wait(h);
}

struct keys_out {
	struct san_host *h;
	uint64_t *keys;
	unsigned cap;
};

static void keys_done(int rc, const uint64_t *keys, unsigned n, void *arg)
{
	struct keys_out *o = arg;

	for (unsigned i = 0; !rc && i < n && i < o->cap; i++)
		o->keys[i] = keys[i];
	o->h->rc = rc ? rc : (int)n;
	o->h->answered = true;
}

int san_keys(struct san_host *h, uint64_t *keys, unsigned cap)
{
	struct keys_out o = {h, keys, cap};

	stor_dev_read_keys(h->dev, keys_done, &o);
	return san_wait(h);
}

/* --- leases ------------------------------------------------------------------------------- */

static void on_lost(struct stor_lease *lease, enum stor_lost reason, void *arg)
{
	(void)lease;
	((struct san_host *)arg)->lost = reason;
}

static void on_renewed(struct stor_lease *lease, uint64_t until, void *arg)
{
	struct san_host *h = arg;

	(void)lease;
	(void)until;
	h->renewals++;
	if (h->lost == STOR_LOST_EXPIRED)
		h->lost = STOR_LOST_NONE;
}

static enum stor_watchdog on_watchdog(void *arg)
{
	return ((struct san_host *)arg)->watchdog;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed, .watchdog = on_watchdog};

void san_lease(struct san_host *h, const char *node, uint16_t slot, uint64_t offset,
	       const struct stor_uuid *vm, uint32_t io_timeout_ms)
{
	struct stor_lease_cfg cfg = {.dev = h->dev,
				     .offset_bytes = offset,
				     .vm = *vm,
				     .node = node,
				     .host_slot = slot,
				     .io_timeout_ms = io_timeout_ms,
				     .label = node,
				     .ops = &lease_ops,
				     .arg = h};
	struct cm_err err = CM_ERR_INIT;

	h->lease = stor_lease_new(&cfg, &err);
	if (!h->lease)
		fail_msg("%s", err.text);
}

void san_answer(struct stor_lease *lease, int rc, const struct cm_err *err, void *host)
{
	struct san_host *h = host;

	(void)lease;
	h->rc = rc;
	h->answered = true;
	snprintf(h->words, sizeof h->words, "%s", err->text);
}

void san_turn_ms(struct cm_loop *loop, unsigned ms)
{
	uint64_t end = cm_now_ns() + ms * CM_NS_PER_MS;

	while (cm_now_ns() < end)
		cm_loop_turn(loop, 10);
}
