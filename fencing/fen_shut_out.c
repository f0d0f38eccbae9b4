/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_shut_out.c - proof (d): the block did not change for STOR_DEAD on our own clock, and every
 * key of its owner was preempted and read back as gone.
 *
 * The wait begins anew with every change that is seen; only successful reads count, and the instant
 * at which a read was submitted is what counts (see the story in stor_timing.h). On a file nobody
 * can be shut out: there (d) leans on hvwatchdogd, which has killed a frozen owner at STOR_KILL,
 * before STOR_DEAD. Parses the block by stor_block_decode only.
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

static void shut_look(struct cm_timer *t, void *arg);

static void shut_read(int rc, const struct stor_block *b, void *arg)
{
	struct fen_shut_out *w = arg;
	uint64_t dead_ns;
	unsigned n = 0;

	w->busy = false;
	if (w->cancelled) {
		shut_end(w, NULL, NULL);
		return;
	}
	if (rc == -ENODATA || (rc == 0 && (b->state != STOR_BLOCK_RUNNING || !b->owner.node[0]))) {
		shut_fail(w, CM_E_LEASE_NO_PROOF, "the block has no owner: nothing to prove");
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
	dead_ns = STOR_DEAD(w->have && w->seen.io_timeout_ms ? w->seen.io_timeout_ms
							     : STOR_IO_TIMEOUT_MS) *
		  CM_NS_PER_MS;
	/* The look that ends the wait must have been asked after the wait was over. */
	if (rc || !w->have || w->asked_ns < w->since_ns + dead_ns) {
		cm_timer_arm_ms(&w->timer,
				STOR_OBSERVE(w->seen.io_timeout_ms ? w->seen.io_timeout_ms
								   : STOR_IO_TIMEOUT_MS));
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
