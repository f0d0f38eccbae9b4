/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_proof.h - the proof that the owner of a VM does not run it any more: the only door to a
 * takeover.
 *
 * There are four kinds and no other:
 *  (a) POWERED_OFF  pacemaker's fencer confirms that the owner's node was fenced after it left the
 * membership (b) OTHER_BOOT   the owner's node answers with a boot id other than the block's (c)
 * REAPED       the owner was a process of this node and this boot, and its exit was collected (d)
 * SHUT_OUT     the block did not change for STOR_DEAD on our own clock, and its keys are preempted
 * and read back as gone
 *
 * A proof is about one block (VM, epoch, owner process) as it was read. fen_take_over re-checks all
 * that it can, then COMPARE AND WRITE of the new epoch -> PREEMPT AND ABORT of every key of the
 * victim -> READ KEYS shows none -> ours.
 *
 * Thread: [loop]. Ownership: proofs are made here, freed by fen_proof_free or taken by
 * fen_take_over.
 */
#ifndef FEN_PROOF_H
#define FEN_PROOF_H

#include "sharedstorage/lease/stor_lease.h"

enum fen_proof_kind {
	FEN_PROOF_NONE = 0,
	FEN_PROOF_POWERED_OFF,
	FEN_PROOF_OTHER_BOOT,
	FEN_PROOF_REAPED,
	FEN_PROOF_SHUT_OUT,
};
const char *fen_proof_kind_name(enum fen_proof_kind kind);

struct fen_proof; /* opaque: cannot be made elsewhere */

/*
 * (a) What the cluster layer read from pacemaker: node was lost from the membership at lost_wall_s
 * and the fencer's history has a successful off/reboot of it that completed at fenced_wall_s, both
 * by the clock of the node that tells (seconds). Refused (CM_E_LEASE_NO_PROOF) unless it names the
 * block's owner, succeeded, and came after the loss.
 */
struct fen_fencer_word {
	char node[STOR_NODE_NAME];
	char action[16]; /* "off", "reboot" or "on" as the fencer reports it */
	bool succeeded;
	uint64_t lost_wall_s, fenced_wall_s;
};
int fen_proof_powered_off(const struct stor_block *block, const struct fen_fencer_word *word,
			  struct fen_proof **proof, struct cm_err *err) cm_must_check;
/* (b) node answered (over an authenticated channel) that its boot id is `boot`. */
int fen_proof_other_boot(const struct stor_block *block, const char *node,
			 const struct stor_uuid *boot, struct fen_proof **proof,
			 struct cm_err *err) cm_must_check;
/* (c) waitid() of this process collected the exit of pid; node and boot are our own. */
struct fen_reaped {
	char node[STOR_NODE_NAME];
	struct stor_uuid boot;
	struct stor_uuid instance; /* instance id that the process had told (zero: not known, then
				      pid must match) */
	uint32_t pid;
};
int fen_proof_reaped(const struct stor_block *block, const struct fen_reaped *reaped,
		     struct fen_proof **proof, struct cm_err *err) cm_must_check;
/*
 * (d) Watches the block until it has not changed for STOR_DEAD, then shuts its keys out. Takes
 * long. progress (may be NULL) is called now and then. A block that changes ends it with
 * CM_E_LEASE_HELD. Cancel by fen_shut_out_cancel.
 */
struct fen_shut_out;
typedef void (*fen_shut_out_fn)(struct fen_proof *proof, const struct cm_err *err, void *arg);
struct fen_shut_out *fen_shut_out_start(struct stor_dev *dev, uint64_t offset_bytes,
					fen_shut_out_fn done, void *arg, struct cm_err *err);
void fen_shut_out_cancel(struct fen_shut_out *watch); /* done is not called any more */

enum fen_proof_kind fen_proof_kind(const struct fen_proof *proof);
void fen_proof_print(const struct fen_proof *proof, char *out, size_t cap);
void fen_proof_free(struct fen_proof *proof);

/* Takes the proof. done as in stor_lease_take_over. */
void fen_take_over(struct stor_lease *lease, struct fen_proof *proof, bool only_with_intent,
		   stor_lease_done_fn done, void *arg);

/* Takes the proof; its permit is for whoever calls stor_lease_take_over himself (migration/). */
struct stor_permit *fen_permit(struct fen_proof *proof);

/*
 * Takes the proof, which must be one of kind (d). The block becomes FREE, from the very bytes that
 * did not change. done as in stor_block_vacate.
 */
void fen_vacate(struct stor_dev *dev, uint64_t offset_bytes, struct fen_proof *proof,
		stor_vacate_fn done, void *arg);

/*
 * A proof crosses a process boundary (hvclusterd has it, hvcore acts on it) as the evidence, never
 * as the proof: these write and read kinds (a)-(c); the reader checks it against the block again.
 * Of kind (d) there is no evidence: hvclusterd can only say "watch", and who wants to take over
 * makes this proof himself (fen_shut_out_start).
 */
#define FEN_EVIDENCE_MAX 256
int fen_evidence_powered_off(const struct fen_fencer_word *word,
			     char out[FEN_EVIDENCE_MAX]) cm_must_check;
int fen_evidence_other_boot(const char *node, const struct stor_uuid *boot,
			    char out[FEN_EVIDENCE_MAX]) cm_must_check;
int fen_evidence_reaped(const struct fen_reaped *reaped, char out[FEN_EVIDENCE_MAX]) cm_must_check;
/* NODE is lost and nothing better is known: hvcore has to watch the block itself (kind (d)). */
int fen_evidence_watch(const char *node, char out[FEN_EVIDENCE_MAX]) cm_must_check;
bool fen_evidence_is_watch(const char *evidence);
/*
 * Evidence is looked for about one owner: is the block still that one's? "Powered off" about an earlier life of a
 * node says nothing about what it took after. boot: of the owner, zero if it was not known.
 */
bool fen_evidence_fits(const struct stor_block *block, const struct stor_uuid *boot, uint64_t epoch);
/* CM_E_LEASE_NO_PROOF for the word "watch": that is no proof yet. */
int fen_proof_from_evidence(const struct stor_block *block, const char *evidence,
			    struct fen_proof **proof, struct cm_err *err) cm_must_check;

#endif
