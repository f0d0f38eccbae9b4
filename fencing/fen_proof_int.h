/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_proof_int.h - the body of a proof, for this folder only.
 */
#ifndef FEN_PROOF_INT_H
#define FEN_PROOF_INT_H

#include "fencing/fen_proof.h"

struct fen_proof {
	enum fen_proof_kind kind;
	struct stor_block block; /* as it was read when the proof was made */
	char words[160];
};

/* NULL and err (-ENOMEM) without memory. */
struct fen_proof *fen__proof_new(enum fen_proof_kind kind, const struct stor_block *block,
				 const char *words, struct cm_err *err);

#endif
