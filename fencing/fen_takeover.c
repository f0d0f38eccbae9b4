/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_takeover.c - one takeover with evidence, from the first look at the block to the lease's
 * answer. Whoever ends it in between gets no word of it, and its lease is left alone.
 *
 * Parses the evidence through fen_proof_from_evidence, against the block as it is then.
 */
#include "config.h"

#include "fencing/fen_takeover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cm_log.h"

struct fen_takeover {
	struct fen_takeover_cfg cfg; /* evidence points to text */
	char text[FEN_EVIDENCE_MAX];
	struct fen_shut_out *watch; /* proof (d) being made; else NULL */
	bool cancelled;
	stor_lease_done_fn done;
	void *arg;
};

/* Of the lease, or of us before it was asked. */
static void takeover_end(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct fen_takeover *t = arg;

	if (!t->cancelled)
		t->done(lease, rc, err, t->arg);
	free(t);
}

static void takeover_watched(struct fen_proof *proof, const struct cm_err *err, void *arg)
{
	struct fen_takeover *t = arg;

	t->watch = NULL;
	if (proof)
		fen_take_over(t->cfg.lease, proof, false, takeover_end, t);
	else
		takeover_end(t->cfg.lease, err->code, err, t);
}

static void takeover_watch(struct fen_takeover *t, const struct stor_block *b)
{
	struct cm_err err = CM_ERR_INIT;

	cm_notice("nothing is known of the owner on node %s: its lease has to expire before our eyes",
		  b->owner.node);
	t->watch = fen_shut_out_start(t->cfg.dev, t->cfg.offset_bytes, takeover_watched, t, &err);
	if (!t->watch)
		takeover_end(t->cfg.lease, err.code, &err, t);
}

static void takeover_prove(struct fen_takeover *t, const struct stor_block *b)
{
	struct cm_err err = CM_ERR_INIT;
	struct fen_proof *proof = NULL;
	int rc;

	if (!fen_evidence_fits(b, &t->cfg.boot, t->cfg.epoch))
		rc = cm_err_set(&err, CM_E_LEASE_NO_PROOF,
				"what is known is about the owner of epoch %llu, the block is at %llu (%s)",
				(unsigned long long)t->cfg.epoch, (unsigned long long)b->epoch, b->owner.node);
	else
		rc = fen_proof_from_evidence(b, t->cfg.evidence, &proof, &err);
	if (rc < 0)
		takeover_end(t->cfg.lease, rc, &err, t);
	else
		fen_take_over(t->cfg.lease, proof, false, takeover_end, t);
}

static void takeover_read(int rc, const struct stor_block *b, void *arg)
{
	struct fen_takeover *t = arg;
	struct cm_err err = CM_ERR_INIT;

	if (t->cancelled) { /* the lease may be gone */
		free(t);
	} else if (rc == -ENODATA || (rc == 0 && b->state == STOR_BLOCK_FREE)) {
		/* It was released meanwhile: no proof is needed. */
		stor_lease_acquire(t->cfg.lease, takeover_end, t);
	} else if (rc < 0) {
		cm_err_set(&err, rc, "reading the ownership block: %s", cm_err_text(rc));
		takeover_end(t->cfg.lease, rc, &err, t);
	} else if (fen_evidence_is_watch(t->cfg.evidence)) {
		takeover_watch(t, b);
	} else {
		takeover_prove(t, b);
	}
}

struct fen_takeover *fen_takeover_start(const struct fen_takeover_cfg *cfg, stor_lease_done_fn done,
					void *arg)
{
	struct fen_takeover *t = calloc(1, sizeof *t);

	CM_ASSERT(t);
	t->cfg = *cfg;
	snprintf(t->text, sizeof t->text, "%s", cfg->evidence);
	t->cfg.evidence = t->text;
	t->done = done;
	t->arg = arg;
	stor_block_read(cfg->dev, cfg->offset_bytes, takeover_read, t);
	return t;
}

void fen_takeover_cancel(struct fen_takeover *t)
{
	if (t->watch) {
		fen_shut_out_cancel(t->watch);
		free(t);
		return;
	}
	t->cancelled = true;
}
