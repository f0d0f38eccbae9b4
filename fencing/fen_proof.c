/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_proof.c - makes proofs of kinds (a) to (c) from what others state, and takes over with any
 * proof. Kind (d) is made by fen_shut_out.c.
 *
 * Every maker compares what is stated with the block that it is about; a statement about another
 * node, another boot, another process or an older time proves nothing. Looks at no clock.
 */
#include "config.h"

#include "fencing/fen_proof.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "fencing/fen_proof_int.h"
#include "sharedstorage/lease/stor_permit_int.h"

static const char *const kind_names[] = {"none", "powered-off", "another-boot", "reaped",
					 "expired-and-shut-out"};

const char *fen_proof_kind_name(enum fen_proof_kind kind)
{
	return (size_t)kind < CM_ARRAY_LEN(kind_names) ? kind_names[kind] : "?";
}

struct fen_proof *fen__proof_new(enum fen_proof_kind kind, const struct stor_block *block,
				 const char *words, struct cm_err *err)
{
	struct fen_proof *p = calloc(1, sizeof *p);

	if (!p) {
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	p->kind = kind;
	p->block = *block;
	snprintf(p->words, sizeof p->words, "%s", words);
	return p;
}

static int refuse(struct cm_err *err, const char *fmt, ...) cm_printf(2, 3);
static int refuse(struct cm_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cm_err_vset(err, CM_E_LEASE_NO_PROOF, fmt, ap);
	va_end(ap);
	return CM_E_LEASE_NO_PROOF;
}

/* A block without a living owner needs no proof. */
static int check_owned(const struct stor_block *b, const char *node, struct cm_err *err)
{
	if (b->state != STOR_BLOCK_RUNNING || !b->owner.node[0])
		return refuse(err, "the block has no owner: nothing to prove");
	if (strcmp(b->owner.node, node) != 0)
		return refuse(err, "the statement is about node %s, the block belongs to %s", node,
			      b->owner.node);
	return 0;
}

static int proof_make(enum fen_proof_kind kind, const struct stor_block *b, const char *words,
		      struct fen_proof **proof, struct cm_err *err)
{
	*proof = fen__proof_new(kind, b, words, err);
	return *proof ? 0 : -ENOMEM;
}

int fen_proof_powered_off(const struct stor_block *b, const struct fen_fencer_word *w,
			  struct fen_proof **proof, struct cm_err *err)
{
	char words[160];
	int rc = check_owned(b, w->node, err);

	*proof = NULL;
	if (rc)
		return rc;
	if (!w->succeeded)
		return refuse(err, "the fencing of node %s did not succeed", w->node);
	if (strcmp(w->action, "off") != 0 && strcmp(w->action, "reboot") != 0)
		return refuse(err, "'%s' of node %s switches nothing off", w->action, w->node);
	if (w->fenced_wall_s == 0 || w->fenced_wall_s < w->lost_wall_s)
		return refuse(err, "node %s was fenced before it was lost this time", w->node);
	snprintf(words, sizeof words, "node %s was fenced (%s) after it left the membership",
		 w->node, w->action);
	return proof_make(FEN_PROOF_POWERED_OFF, b, words, proof, err);
}

int fen_proof_other_boot(const struct stor_block *b, const char *node, const struct stor_uuid *boot,
			 struct fen_proof **proof, struct cm_err *err)
{
	char words[160], text[STOR_UUID_TEXT];
	int rc = check_owned(b, node, err);

	*proof = NULL;
	if (rc)
		return rc;
	if (stor_uuid_is_zero(boot) || stor_uuid_is_zero(&b->owner.boot))
		return refuse(err, "a boot id of node %s is not known", node);
	if (stor_uuid_equal(boot, &b->owner.boot))
		return refuse(err, "node %s did not boot since it took the VM", node);
	stor_uuid_format(boot, text);
	snprintf(words, sizeof words, "node %s has booted since (boot id %s now)", node, text);
	return proof_make(FEN_PROOF_OTHER_BOOT, b, words, proof, err);
}

int fen_proof_reaped(const struct stor_block *b, const struct fen_reaped *r,
		     struct fen_proof **proof, struct cm_err *err)
{
	char words[160];
	int rc = check_owned(b, r->node, err);

	*proof = NULL;
	if (rc)
		return rc;
	if (!stor_uuid_equal(&r->boot, &b->owner.boot))
		return refuse(err, "the owner was a process of another boot of node %s", r->node);
	if (r->pid != b->owner.pid)
		return refuse(err, "process %u ended, the owner was process %u", r->pid,
			      b->owner.pid);
	if (!stor_uuid_is_zero(&r->instance) && !stor_uuid_equal(&r->instance, &b->owner.instance))
		return refuse(err, "the process that ended was another instance than the owner");
	snprintf(words, sizeof words, "process %u of node %s has ended and was collected", r->pid,
		 r->node);
	return proof_make(FEN_PROOF_REAPED, b, words, proof, err);
}

enum fen_proof_kind fen_proof_kind(const struct fen_proof *proof)
{
	return proof->kind;
}

void fen_proof_print(const struct fen_proof *proof, char *out, size_t cap)
{
	snprintf(out, cap, "%s: %s", fen_proof_kind_name(proof->kind), proof->words);
}

void fen_proof_free(struct fen_proof *proof)
{
	free(proof);
}

struct stor_permit *fen_permit(struct fen_proof *proof)
{
	/* Kind (d) is about the very bytes that did not change; the others are about a dead
	 * process, whose last renewals may still have landed after the block was read. */
	struct stor_permit *permit =
		stor_permit_new(&proof->block, proof->kind == FEN_PROOF_SHUT_OUT, proof->words);

	CM_ASSERT(permit);
	fen_proof_free(proof);
	return permit;
}

void fen_vacate(struct stor_dev *dev, uint64_t offset_bytes, struct fen_proof *proof,
		stor_vacate_fn done, void *arg)
{
	CM_ASSERT(proof->kind == FEN_PROOF_SHUT_OUT);
	stor_block_vacate(dev, offset_bytes, fen_permit(proof), done, arg);
}

void fen_take_over(struct stor_lease *lease, struct fen_proof *proof, bool only_with_intent,
		   stor_lease_done_fn done, void *arg)
{
	cm_notice("taking over from node %s: %s", proof->block.owner.node, proof->words);
	stor_lease_take_over(lease, fen_permit(proof), only_with_intent, done, arg);
}
