/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_evidence.c - statements that lead to a proof, as one line of text, so that they can cross
 * from the agent that collected them to the hvcore that acts on them. The reader makes the proof
 * against the block.
 *
 *   powered-off NODE ACTION LOST_S FENCED_S
 *   another-boot NODE BOOT
 *   reaped NODE BOOT INSTANCE PID
 *   watch NODE			no evidence: the reader has to watch the block himself
 *
 * Parses the agent's text: any bytes are survived.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fencing/fen_proof.h"

static int fits(int n)
{
	return n > 0 && n < FEN_EVIDENCE_MAX ? 0 : -EINVAL;
}

static bool word_ok(const char *s)
{
	return *s && !strpbrk(s, " \t\r\n");
}

int fen_evidence_powered_off(const struct fen_fencer_word *w, char out[FEN_EVIDENCE_MAX])
{
	if (!w->succeeded || !word_ok(w->node) || !word_ok(w->action))
		return -EINVAL;
	return fits(snprintf(out, FEN_EVIDENCE_MAX, "powered-off %s %s %llu %llu", w->node,
			     w->action, (unsigned long long)w->lost_wall_s,
			     (unsigned long long)w->fenced_wall_s));
}

int fen_evidence_other_boot(const char *node, const struct stor_uuid *boot,
			    char out[FEN_EVIDENCE_MAX])
{
	char text[STOR_UUID_TEXT];

	if (!word_ok(node))
		return -EINVAL;
	stor_uuid_format(boot, text);
	return fits(snprintf(out, FEN_EVIDENCE_MAX, "another-boot %s %s", node, text));
}

int fen_evidence_reaped(const struct fen_reaped *r, char out[FEN_EVIDENCE_MAX])
{
	char boot[STOR_UUID_TEXT], instance[STOR_UUID_TEXT];

	if (!word_ok(r->node))
		return -EINVAL;
	stor_uuid_format(&r->boot, boot);
	stor_uuid_format(&r->instance, instance);
	return fits(snprintf(out, FEN_EVIDENCE_MAX, "reaped %s %s %s %u", r->node, boot, instance,
			     r->pid));
}

int fen_evidence_watch(const char *node, char out[FEN_EVIDENCE_MAX])
{
	if (!word_ok(node))
		return -EINVAL;
	return fits(snprintf(out, FEN_EVIDENCE_MAX, "watch %s", node));
}

bool fen_evidence_is_watch(const char *evidence)
{
	return strncmp(evidence, "watch ", 6) == 0;
}

bool fen_evidence_fits(const struct stor_block *b, const struct stor_uuid *boot, uint64_t epoch)
{
	return b->epoch == epoch && (stor_uuid_is_zero(boot) || stor_uuid_equal(boot, &b->owner.boot));
}

int fen_proof_from_evidence(const struct stor_block *block, const char *evidence,
			    struct fen_proof **proof, struct cm_err *err)
{
	struct fen_fencer_word w;
	struct fen_reaped r;
	struct stor_uuid boot;
	char node[STOR_NODE_NAME], a[40], b[40];
	unsigned long long lost, fenced;
	unsigned pid;
	int end = 0;

	*proof = NULL;
	memset(&w, 0, sizeof w);
	memset(&r, 0, sizeof r);
	if (sscanf(evidence, "powered-off %63s %15s %llu %llu%n", w.node, w.action, &lost, &fenced,
		   &end) == 4 &&
	    !evidence[end]) {
		w.succeeded = true;
		w.lost_wall_s = lost;
		w.fenced_wall_s = fenced;
		return fen_proof_powered_off(block, &w, proof, err);
	}
	if (sscanf(evidence, "another-boot %63s %39s%n", node, a, &end) == 2 && !evidence[end] &&
	    stor_uuid_parse(a, &boot) == 0)
		return fen_proof_other_boot(block, node, &boot, proof, err);
	if (sscanf(evidence, "reaped %63s %39s %39s %u%n", r.node, a, b, &pid, &end) == 4 &&
	    !evidence[end] && stor_uuid_parse(a, &r.boot) == 0 &&
	    stor_uuid_parse(b, &r.instance) == 0) {
		r.pid = pid;
		return fen_proof_reaped(block, &r, proof, err);
	}
	return cm_err_set(err, CM_E_LEASE_NO_PROOF,
			  fen_evidence_is_watch(evidence)
				  ? "the owner must be watched: that is no proof yet"
				  : "evidence is malformed");
}
