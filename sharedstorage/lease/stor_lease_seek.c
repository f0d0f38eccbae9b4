/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_seek.c - actions of a lease that owns nothing yet: look, take, shut former owners out.
 * What a block means is decided in stor_lease_judge.c. Parses the block through stor_lease_disk.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/lease/stor_lease_int.h"

unsigned stor__act_seek(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (stor_dev_usable(l->devs[0].dev))
		return E_AGAIN; /* goes and reads */
	stor__lease_retry_soon(l);
	return 0;
}

unsigned stor__act_wait(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	stor__lease_retry_soon(l);
	return l->cancelled ? E_CANCEL : 0;
}

unsigned stor__act_wait_up(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (stor_dev_usable(l->devs[0].dev))
		return E_AGAIN;
	stor__lease_retry_soon(l);
	return 0;
}

/* For our own keys beside those that we shall not be able to shut out? */
static bool lease_has_room(const struct stor_lease *l)
{
	unsigned n = l->nluns;

	for (unsigned i = 0; i < STOR_SHUT_KEYS; i++) {
		const struct stor_key *k = &l->next.shut[i];

		if (!k->key || stor__lease_reaches(l, k))
			continue;
		cm_warning("%s: key %016llx of a former owner is of a LUN that the VM does not use now: it stays in "
			   "the block until the VM has that LUN again",
			   l->label, (unsigned long long)k->key);
		n++;
	}
	return n <= STOR_SHUT_KEYS;
}

unsigned stor__act_seen(void *ctx, void *arg)
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
	if (l->cancelled) {
		stor__lease_answer(l, -ECANCELED, NULL);
		return E_ENDED;
	}
	stor__lease_fill_self(l);
	p.self = l->self;
	stor_uuid_random(&p.nonce);
	switch (stor__lease_seek(&p, rc, &l->seen, &l->next, &err)) {
	case STOR_SEEK_TAKE:
		if (lease_has_room(l))
			return E_DO_TAKE;
		cm_err_set(&err, CM_E_VOL_LIMIT,
			   "former owners wrote to too many LUNs that the VM does not use now: give it back one of "
			   "them, and start it");
		break;
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

unsigned stor__act_take(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	l->writing = l->op;
	stor__lease_caw(l, l->seen_raw);
	return 0;
}

unsigned stor__act_taken(void *ctx, void *arg)
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
	if (!l->cancelled)
		return E_DO_FENCE;
	stor__lease_answer(l, -ECANCELED, NULL); /* the block stays ours: whoever comes needs a proof */
	return E_ENDED;
}

static void lease_fence_begin(void *arg);
static unsigned lease_fence_next(struct stor_lease *l);

static void lease_fence_done(int rc, const struct cm_err *err, void *arg)
{
	struct stor_lease_fence *f = arg;
	struct stor_lease *l = f->lease;
	bool left;

	if (!l) { /* closed meanwhile */
		free(f);
		return;
	}
	left = l->fence_left;
	l->fence_busy = l->fence_left = false;
	if (left) { /* cancelled; another operation may have come to the same point since then */
		l->fence_dev += !rc;
		lease_fence_begin(l);
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
	if (l->fence_dev == l->ndevs)
		return E_FENCED;
	l->fence_busy = true;
	stor_dev_fence(l->devs[l->fence_dev].dev, l->fence->keys, STOR_SHUT_KEYS, lease_fence_done,
		       l->fence);
	return 0;
}

/* What an earlier try has seen the end of, and the devices that it was done with, are done with. */
static void lease_fence_prepare(struct stor_lease *l)
{
	bool same = true;

	for (unsigned i = 0; i < STOR_SHUT_KEYS; i++)
		same &= l->fence->keys[i].key == l->last.shut[i].key;
	if (same)
		return;
	memcpy(l->fence->keys, l->last.shut, sizeof l->fence->keys);
	l->fence_dev = 0;
}

static void lease_fence_begin(void *arg)
{
	struct stor_lease *l = arg;

	if (l->fsm.state != S_FENCE || l->fence_busy || l->closing) {
		stor__lease_closed_check(l);
		return;
	}
	lease_fence_prepare(l);
	if (cm_fault("lease_fence")) {
		stor__lease_feed(l, E_FENCE_FAIL, "fault point");
		return;
	}
	if (lease_fence_next(l))
		stor__lease_feed(l, E_FENCED, "no former owner");
}

unsigned stor__act_fence(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (!l->last.shut[0].key)
		return E_FENCED;
	/* Deferred: a fence that answers at once must not feed us inside of a feed. */
	cm_loop_defer(l->loop, lease_fence_begin, l);
	return 0;
}

/* The barrier takes what it takes (30 T): who asks for the end has it now. */
unsigned stor__act_leave_fence(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	l->fence_left = l->fence_busy;
	stor__lease_answer(l, -ECANCELED, NULL);
	return 0;
}
