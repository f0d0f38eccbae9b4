/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_end.c - what the process asks of whatever is under way, a move at either end or a saved
 * state: how far it is, and to stop. Parses nothing.
 */
#include "config.h"

#include "migration/core/mig_core_end.h"

#include "common/cm_log.h"
#include "migration/core/mig_core_doc.h"
#include "migration/core/mig_core_image.h"
#include "migration/core/mig_core_undo.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"

void mig_core_status(struct hv_core *core, struct hv_json *j)
{
	struct mig_core *g = mig_core_of(core);
	struct mig_progress p;

	if (mig__core_image_status(g, j) || (!g->src && !g->dst && !g->have_last))
		return;
	hv_json_open(j, "migration", '{');
	hv_json_str(j, "role", g->role);
	if (g->src || g->dst) {
		if (g->src)
			mig_src_get_progress(g->src, &p);
		else
			mig_dst_get_progress(g->dst, &p);
		mig__core_put_progress(j, &p);
	} else {
		mig__core_put_result(j, &g->last);
	}
	hv_json_close(j, '}');
}

/* True: hv_core_end_go comes when it is over. */
static bool image_end(struct mig_core *g)
{
	struct mig_core_image *p = &g->image;

	switch (p->step) {
	case MIG_CORE_NONE:
		return false;
	case MIG_CORE_SAVED:
		cm_timer_disarm(&p->timer);
		return false;
	case MIG_CORE_UNDOING:
		/* Waiting for another try: the VM ends anyway, so what it was saved as may stay. */
		if (p->timer.armed) {
			cm_timer_disarm(&p->timer);
			p->made = false;
			g->ending = true;
			mig__core_undo_give_up(p);
		}
		return true;
	default:
		p->cancelled = true;
		if (p->im)
			mig_image_cancel(p->im);
		return true;
	}
}

bool mig_core_end(struct hv_core *core)
{
	struct mig_core *g = mig_core_of(core);
	struct cm_err err = CM_ERR_INIT;

	g->ending = g->src || g->dst;
	if (g->src && mig_src_cancel(g->src, &err) < 0)
		cm_notice("the end waits for the hand-over: %s", err.text);
	if (g->dst)
		mig_dst_cancel(g->dst);
	if (!g->ending)
		g->ending = image_end(g);
	return g->ending;
}
