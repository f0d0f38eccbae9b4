/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core.c - what every move and every saved state of an hvcore process needs: whose it is, that
 * it is the only one, and the answer to who asked. Knows neither end of a move. Parses nothing.
 */
#include "config.h"

#include "migration/core/mig_core.h"

#include "hvcore/hv_owner.h"
#include "migration/core/mig_core_doc.h"
#include "migration/core/mig_core_int.h"

struct mig_core *mig_core_of(struct hv_core *core)
{
	struct mig_core *g = hv_core_hook_arg(core);

	g->core = core;
	return g;
}

void mig__core_hold(struct mig_core *g, bool on)
{
	if (hv_core_owner(g->core))
		hv_owner_hold(hv_core_owner(g->core), on);
}

int mig__core_is_free(const struct mig_core *g, struct cm_err *err)
{
	if (g->src || g->dst || g->image.step)
		return cm_err_set(err, CM_E_MIG_BUSY,
				  "a migration or a save of this VM is under way");
	return 0;
}

void mig__core_answer(struct mig_core *g, const struct mig_result *r)
{
	struct px_req *q = g->q;
	struct hv_json j;

	g->q = NULL;
	if (!q)
		return;
	q->gone = NULL;
	if (r->code) {
		px_req_fail(q, &r->err);
		return;
	}
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	mig__core_put_result(&j, r);
	hv_json_close(&j, '}');
	px_req_ok(q, hv_json_text(&j));
	hv_json_fini(&j);
}
