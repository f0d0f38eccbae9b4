/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_shut_out.c - proof (d): the block did not change for stor_dead_ms() on our own clock, and every
 * key of its owner was preempted and read back as gone.
 *
 * The wait begins anew with every change that is seen; only successful reads count, and the instant
 * at which a read was submitted is what counts (see the story in stor_timing.h). How long it is, and whether
 * it proves anything, is said by the owner's watchdog level in the very bytes that did not change. Of an
 * owner that nothing ends there is no such proof: that is said after STOR_DEAD, since until then it may
 * show that it is alive, or let the VM go. On a file nobody can be shut out: there (d) leans on the
 * watchdog alone. Parses the block by stor_block_decode only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_loop.h"
#include "fencing/fen_proof_int.h"
#include "sharedstorage/dev/stor_timing.h"

struct fen_shut_out {
	struct stor_dev *dev;
	uint64_t offset_bytes;
	struct cm_timer timer;
	struct stor_block seen;
	bool have, busy, cancelled;
	uint64_t since_ns, asked_ns;
	struct stor_key keys[STOR_SHUT_KEYS]; /* being shut out */
	fen_shut_out_fn done;
	void *arg;
};

static void shut_free(void *arg)
{
	struct fen_shut_out *w = arg;

	cm_timer_fini(&w->timer);
	free(w);
}

static void shut_end(struct fen_shut_out *w, struct fen_proof *proof, const struct cm_err *err)
{
	cm_timer_disarm(&w->timer);
	if (w->cancelled)
		fen_proof_free(proof);
	else
		w->done(proof, err, w->arg);
	cm_loop_defer(stor_dev_loop(w->dev), shut_free, w);
}

static void shut_fail(struct fen_shut_out *w, int code, const char *words)
{
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, code, "%s", words);
	shut_end(w, NULL, &err);
}

/* The keys are gone. One more look: had the owner come back in between, the bytes would differ. */
static void shut_confirmed(int rc, const struct stor_block *b, void *arg)
{
	struct fen_shut_out *w = arg;
	struct cm_err err = CM_ERR_INIT;
	struct fen_proof *proof;

	w->busy = false;
	if (w->cancelled) {
		shut_end(w, NULL, &err);
	} else if (rc) {
		shut_fail(w, rc, "the block could not be read after its keys were shut out");
	} else if (b->renewal != w->seen.renewal || !stor_uuid_equal(&b->nonce, &w->seen.nonce)) {
		shut_fail(w, CM_E_LEASE_HELD, "the owner is alive: it changed the block");
	} else {
		struct stor_block proven = *b;

		/* whose end we saw goes with the proof */
		stor_keys_ended(proven.owner.keys, STOR_OWNER_KEYS, w->keys, STOR_SHUT_KEYS);
		stor_keys_ended(proven.shut, STOR_SHUT_KEYS, w->keys, STOR_SHUT_KEYS);
		proof = fen__proof_new(
			FEN_PROOF_SHUT_OUT, &proven,
			"its lease ran out on our clock, and its keys are preempted and gone",
			&err);
		shut_end(w, proof, &err);
	}
}

static void shut_fenced(int rc, const struct cm_err *err, void *arg)
{
	struct fen_shut_out *w = arg;

	if (w->cancelled || rc) {
		w->busy = false;
		shut_fail(w, rc ? rc : -ECANCELED, rc ? err->text : "cancelled");
		return;
	}
	stor_block_read(w->dev, w->offset_bytes, shut_confirmed, w);
}

/* Nothing ends its owner, whatever the wait. */
static bool shut_is_hopeless(const struct stor_block *b)
{
	return stor_dead_ms(b->io_timeout_ms, b->owner.watchdog) == UINT64_MAX;
}

static uint64_t shut_wait_ms(const struct stor_block *b)
{
	return shut_is_hopeless(b) ? STOR_DEAD(b->io_timeout_ms)
				   : stor_dead_ms(b->io_timeout_ms, b->owner.watchdog);
}

static void shut_no_watchdog(struct fen_shut_out *w)
{
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, CM_E_LEASE_NO_PROOF,
		   "its owner on node %s has stopped renewing, but had no hvwatchdogd that ends it: only power "
		   "fencing, or a look at node %s (then: stonith_admin --confirm %s), proves that it does not run; "
		   "with hvwatchdogd on every node this does not happen",
		   w->seen.owner.node, w->seen.owner.node, w->seen.owner.node);
	shut_end(w, NULL, &err);
}

static void shut_look(struct cm_timer *t, void *arg);

static void shut_read(int rc, const struct stor_block *b, void *arg)
{
	struct fen_shut_out *w = arg;
	unsigned n = 0;

	w->busy = false;
	if (w->cancelled) {
		shut_end(w, NULL, NULL);
		return;
	}
	if (rc == -ENODATA || (rc == 0 && (b->state != STOR_BLOCK_RUNNING || !b->owner.node[0]))) {
		shut_fail(w, -ENODATA, "the block has no owner: nothing to prove");
		return;
	}
	if (rc == 0 && (!w->have || b->renewal != w->seen.renewal ||
			!stor_uuid_equal(&b->nonce, &w->seen.nonce))) {
		if (w->have && stor_owner_same(&b->owner, &w->seen.owner)) {
			shut_fail(w, CM_E_LEASE_HELD, "the owner is alive: it renewed its lease");
			return;
		}
		w->seen = *b;
		w->have = true;
		w->since_ns = cm_now_ns(); /* when we knew: later than it was so, which is the safe
					      side */
	}
	/* The look that ends the wait must have been asked after the wait was over. */
	if (rc || !w->have || w->asked_ns < w->since_ns + shut_wait_ms(&w->seen) * CM_NS_PER_MS) {
		cm_timer_arm_ms(&w->timer,
				STOR_OBSERVE(w->have ? w->seen.io_timeout_ms : STOR_IO_TIMEOUT_MS));
		return;
	}
	if (shut_is_hopeless(&w->seen)) {
		shut_no_watchdog(w);
		return;
	}
	memset(w->keys, 0, sizeof w->keys);
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		if (w->seen.owner.keys[i].key)
			w->keys[n++] = w->seen.owner.keys[i];
	for (unsigned i = 0; i < STOR_SHUT_KEYS && n < STOR_SHUT_KEYS; i++) /* no block has more in all */
		if (w->seen.shut[i].key)
			w->keys[n++] = w->seen.shut[i];
	w->busy = true;
	stor_dev_fence(w->dev, w->keys, n, shut_fenced, w);
}

static void shut_look(struct cm_timer *t, void *arg)
{
	struct fen_shut_out *w = arg;

	(void)t;
	w->busy = true;
	w->asked_ns = cm_now_ns();
	stor_block_read(w->dev, w->offset_bytes, shut_read, w);
}

struct fen_shut_out *fen_shut_out_start(struct stor_dev *dev, uint64_t offset_bytes,
					fen_shut_out_fn done, void *arg, struct cm_err *err)
{
	struct fen_shut_out *w = calloc(1, sizeof *w);

	if (!w) {
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	w->dev = dev;
	w->offset_bytes = offset_bytes;
	w->done = done;
	w->arg = arg;
	cm_timer_init(&w->timer, stor_dev_loop(dev), shut_look, w);
	cm_timer_arm_ms(&w->timer, 0);
	return w;
}

void fen_shut_out_cancel(struct fen_shut_out *w)
{
	w->cancelled = true;
	if (!w->busy)
		shut_end(w, NULL, NULL);
	else
		stor_dev_fence_cancel(w->dev, w);
}
