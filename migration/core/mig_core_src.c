/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_src.c - joins hv_core and the source of a move: what the agent asks for, what it hears
 * meanwhile, and what becomes of the process afterwards.
 *
 * Parses arguments and tickets of the agent. Documents are described in docs/WIRE.md.
 */
#include "config.h"

#include "migration/core/mig_core_src.h"

#include "common/cm_log.h"
#include "hvcore/hv_owner.h"
#include "migration/core/mig_core_doc.h"
#include "migration/core/mig_core_int.h"
#include "migration/core/mig_core_ticket.h"
#include "migration/mig_src.h"

static void asker_gone(struct px_req *q)
{
	struct mig_core *g = q->work;
	struct cm_err err = CM_ERR_INIT;

	/* A hand-over that nobody can release any more would hold for ever. */
	if (g->src && mig_src_cancel(g->src, &err) < 0)
		cm_debug("the one who asked for the migration went away: %s", err.text);
	g->q = NULL;
	px_req_ok(q, NULL);
}

static void src_progress(void *arg, const struct mig_progress *p)
{
	struct mig_core *g = arg;
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_json j;

	if (p->stage == HV__MIGRATION_STAGE__STAGE_HANDOVER && !hv_core_is_ending(g->core))
		hv_core_set_state(g->core, HV_CORE_HANDING_OVER);
	if (!g->q)
		return;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	mig__core_put_progress(&j, p);
	hv_json_close(&j, '}');
	r.stage = p->stage;
	r.doc = (char *)(uintptr_t)hv_json_text(&j);
	px_req_tell(g->q, &r);
	hv_json_fini(&j);
}

static void src_back(struct mig_core *g, const struct mig_result *r)
{
	struct hv_core *core = g->core;
	enum hv_vm_state s = hv_vm_state(hv_core_vm(core));

	hv_core_event(core, "migration-failed", "warning", "", "%s", r->err.text);
	if (hv_core_is_ending(core))
		return;
	if (stor_lease_valid_until(hv_owner_lease(hv_core_owner(core))) == 0) {
		hv_core_set_owned(core, false);
		hv_core_end(core, 2, false);
	} else if (s == HV_VM_RUNNING || s == HV_VM_PAUSED) {
		hv_core_set_state(core, s == HV_VM_RUNNING ? HV_CORE_RUNNING : HV_CORE_PAUSED);
	}
}

static void src_done(void *arg, const struct mig_result *r)
{
	struct mig_core *g = arg;

	g->src = NULL;
	g->last = *r;
	g->have_last = true;
	mig__core_hold(g, false);
	if (r->code == 0) {
		hv_core_set_owned(g->core, false);
		hv_core_event(g->core, "migrated", "notice", "", "handed over, blackout %.1f ms",
			      (double)r->blackout_ns / 1e6);
	} else {
		src_back(g, r);
	}
	mig__core_answer(g, r);
	if (g->ending)
		hv_core_end_go(g->core);
	else if (r->code == 0)
		hv_core_end(g->core, 0, false);
}

static int src_config(struct px_req *q, struct mig_core *g, struct mig_src_config *c,
		      struct px_psk *psk, struct cm_err *err)
{
	uint64_t port = 0, blackout = 0;
	int rc = mig__core_ticket_key(q->msg->ticket, psk, err);

	c->address = px_req_arg(q, "address");
	c->mode = q->msg->mode ? q->msg->mode : HV__MIGRATION_MODE__MODE_LIVE;
	if (rc == 0 && !c->address)
		rc = cm_err_set(err, CM_E_BAD_VALUE, "migrate needs an address");
	if (rc == 0)
		rc = px_req_u64(q, "port", 0, 1, 65535, &port, err);
	if (rc == 0 && !port)
		rc = cm_err_set(err, CM_E_BAD_VALUE, "migrate needs a port");
	if (rc == 0)
		rc = px_req_u64(q, "max_blackout_ms", 0, 0, 3600000, &blackout, err);
	c->vm = hv_core_vm(g->core);
	c->lease = hv_owner_lease(hv_core_owner(g->core));
	c->node = hv_core_start(g->core)->node;
	c->port = (uint16_t)port;
	c->psk = psk;
	c->epoch = rc == 0 ? q->msg->ticket->epoch : 0;
	c->max_blackout_ms = (uint32_t)blackout;
	c->hold = px_req_flag(q, "hold");
	c->verify_ram = px_req_flag(q, "verify");
	c->progress = src_progress;
	c->done = src_done;
	c->arg = g;
	if (rc == 0 && c->epoch && c->epoch != stor_lease_epoch(c->lease))
		rc = cm_err_set(err, CM_E_MIG_TICKET,
				"the ticket is for epoch %llu, the VM is at %llu",
				(unsigned long long)c->epoch,
				(unsigned long long)stor_lease_epoch(c->lease));
	c->epoch = stor_lease_epoch(c->lease);
	return rc;
}

void mig_core_verb_migrate(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);
	struct hv_core *core = ctx;
	struct mig_src_config c = {.fd = -1};
	struct cm_err err = CM_ERR_INIT;
	struct px_psk psk = {0};
	int rc = 0;

	if (mig__core_is_free(g, &err) < 0)
		rc = err.code;
	else if (hv_core_state(core) != HV_CORE_RUNNING && hv_core_state(core) != HV_CORE_PAUSED)
		rc = cm_err_set(&err, CM_E_VM_STATE, "the VM is %s",
				hv_core_state_word(hv_core_state(core)));
	else if (!hv_core_owner(core))
		rc = cm_err_set(&err, CM_E_UNSUPPORTED,
				"a VM without an ownership block cannot be handed over");
	else
		rc = src_config(q, g, &c, &psk, &err);
	if (rc == 0) {
		g->role = "source";
		g->q = q;
		q->work = g;
		q->gone = asker_gone;
		mig__core_hold(g, true);
		rc = mig_src_start(&g->src, &c, &err);
	}
	px_psk_wipe(&psk);
	if (rc == 0)
		return;
	if (g->q == q) {
		mig__core_hold(g, false);
		g->q = NULL;
		q->gone = NULL;
	}
	px_req_fail(q, &err);
}

void mig_core_verb_commit(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);

	if (!g->src) {
		px_req_failf(q, CM_E_VM_STATE, "no migration of this VM is under way");
		return;
	}
	mig_src_commit(g->src);
	px_req_ok(q, NULL);
}

void mig_core_verb_cancel(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);
	struct cm_err err = CM_ERR_INIT;

	if (!g->src)
		px_req_failf(q, CM_E_VM_STATE, "no migration of this VM is under way");
	else if (mig_src_cancel(g->src, &err) < 0)
		px_req_fail(q, &err);
	else
		px_req_ok(q, NULL);
}
