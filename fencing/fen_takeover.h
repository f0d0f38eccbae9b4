/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_takeover.h - a takeover from what the cluster states about the owner: looks at the block,
 * makes the proof against what it says then, watches the owner if nothing is known (proof (d)), and
 * takes the lease over.
 *
 * Thread: [loop]. Ownership: ends by itself with done, or by fen_takeover_cancel; lease and dev are
 * borrowed and must live until then.
 */
#ifndef FEN_TAKEOVER_H
#define FEN_TAKEOVER_H

#include "fencing/fen_proof.h"

struct fen_takeover;

struct fen_takeover_cfg {
	struct stor_lease *lease;
	struct stor_dev *dev; /* that has the block of the lease */
	uint64_t offset_bytes;
	const char *evidence; /* fen_proof.h; copied */
	struct stor_uuid boot; /* of the owner that the evidence was looked for; zero: not known */
	uint64_t epoch;	       /* of its block */
};

/*
 * done: as in stor_lease_take_over; CM_E_LEASE_NO_PROOF also if the block is not any more the one that the evidence
 * is about. A block that was released meanwhile is acquired. Never from inside the call.
 */
struct fen_takeover *fen_takeover_start(const struct fen_takeover_cfg *cfg, stor_lease_done_fn done,
					void *arg);
/*
 * done is not called any more, and the lease is not touched any more: it may be closed. What the lease itself has
 * under way ends with it. dev must outlive what is under way there, as always (stor_dev_close sees to that).
 */
void fen_takeover_cancel(struct fen_takeover *takeover);

#endif
