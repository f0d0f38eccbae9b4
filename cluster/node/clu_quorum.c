/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_quorum.c - since when we have quorum, and what that makes of a fencing in pacemaker's history.
 * Parses nothing.
 */
#include "config.h"

#include "cluster/node/clu_quorum.h"

#include "common/cm_clock.h"
#include "common/cm_err.h"

/* A second that comes twice is none to compare with: what is known is known since the latest that there was. */
static uint64_t quorum_latest(struct clu_quorum *q, uint64_t now_wall_s)
{
	q->latest_wall_s = CM_MAX(q->latest_wall_s, now_wall_s);
	return q->latest_wall_s;
}

bool clu_quorum_beat(struct clu_quorum *q, uint64_t now_wall_s)
{
	struct cm_mark now = cm_mark();
	bool stood = q->beat.now_ns && now.now_ns - q->beat.now_ns + cm_jump_ns(&q->beat) >
					       CLU_QUORUM_STAND_MS * CM_NS_PER_MS;

	q->beat = now;
	if (stood || now_wall_s < q->latest_wall_s)
		q->since_wall_s = quorum_latest(q, now_wall_s);
	quorum_latest(q, now_wall_s);
	return stood;
}

bool clu_quorum_note(struct clu_quorum *q, bool quorate, uint64_t now_wall_s)
{
	if (quorate == q->quorate)
		return false;
	q->quorate = quorate;
	q->since_wall_s = quorum_latest(q, now_wall_s);
	return true;
}

bool clu_quorum_covers(const struct clu_quorum *q, uint64_t wall_s)
{
	return q->quorate && q->since_wall_s < wall_s;
}

bool clu_quorum_fencing_counts(const struct clu_quorum *q, uint64_t lost_wall_s, uint64_t fenced_wall_s)
{
	return fenced_wall_s && fenced_wall_s >= lost_wall_s && clu_quorum_covers(q, fenced_wall_s);
}
