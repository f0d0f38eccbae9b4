/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_quorum.h - since when does this partition have quorum, without a gap? Pacemaker's history is
 * one of the whole cluster only for that time: whoever was alone meanwhile did not see who came
 * back, and an old "was fenced" may be about an earlier life of a node that lives.
 *
 * A process that stood still may have missed the same without a change of its own picture: from its standstill on
 * it knows nothing of what was before. Nor does one whose wall clock was set back, until that clock is where it was.
 *
 * Thread: [loop].
 */
#ifndef CLU_QUORUM_H
#define CLU_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_jump.h"

#define CLU_QUORUM_BEAT_MS  200u
#define CLU_QUORUM_STAND_MS 1000u /* corosync's token is no shorter: who stood still for less was not dropped */

struct clu_quorum {
	bool quorate;
	uint64_t since_wall_s; /* of quorate */
	uint64_t latest_wall_s; /* that was ever seen */
	struct cm_mark beat;   /* the last one; now_ns 0: none yet */
};

/* Now and then, and before a fencing is believed. True: this process, or its host, stood still since the last time. */
bool clu_quorum_beat(struct clu_quorum *q, uint64_t now_wall_s);

/* What corosync says, as of now_wall_s. True: that is news. */
bool clu_quorum_note(struct clu_quorum *q, bool quorate, uint64_t now_wall_s);
/*
 * Have we had quorum at that second and ever since? No for the very second in which it came: what was first is not
 * known. A cluster that starts as a whole fences who is missing after it has quorum, so that counts.
 */
bool clu_quorum_covers(const struct clu_quorum *q, uint64_t wall_s);
/* Does a successful fencing count as the end of a node that was seen to leave at lost_wall_s? */
bool clu_quorum_fencing_counts(const struct clu_quorum *q, uint64_t lost_wall_s, uint64_t fenced_wall_s);

#endif
