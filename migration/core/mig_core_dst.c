/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_dst.c - joins hv_core and the destination of a move: an incoming process listens, and
 * what becomes of it when the VM has landed or not.
 *
 * Parses the ticket of the agent.
 */
#include "config.h"

#include "migration/core/mig_core_dst.h"

#include <unistd.h>

#include "hvcore/hv_owner.h"
#include "migration/core/mig_core_int.h"
#include "migration/core/mig_core_ticket.h"
#include "migration/mig_dst.h"
#include "migration/mig_sock.h"

#define LISTEN_DEFAULT "127.0.0.1"

static void dst_done(void *arg, const struct mig_result *r)
{
	struct mig_core *g = arg;
	struct hv_core *core = g->core;
	bool owned = stor_lease_valid_until(hv_owner_lease(hv_core_owner(core))) != 0;

	g->dst = NULL;
	g->last = *r;
	g->have_last = true;
	mig__core_hold(g, false);
	hv_core_set_owned(core, owned);
	if (r->code == 0 && !g->ending)
		hv_core_set_state(core, r->vm_runs_here ? HV_CORE_RUNNING : HV_CORE_PAUSED);
	hv_core_event(core, r->code ? "landing-failed" : "landed", r->code ? "warning" : "notice",
		      "", "%s", r->code ? r->err.text : "the VM was taken over");
	if (g->ending)
		hv_core_end_go(core);
	else if (r->code)
		hv_core_end(core, 4, owned);
}

int mig_core_incoming(struct hv_core *core, struct cm_err *err)
{
	struct mig_core *g = mig_core_of(core);
	const Hv__CoreStart *start = hv_core_start(core);
	struct mig_dst_config c = {.fd = -1, .vm = hv_core_vm(core), .done = dst_done, .arg = g};
	struct px_psk psk = {0};
	struct hv_json j;
	uint16_t port = 0;
	int rc;

	if (!hv_core_owner(core))
		return cm_err_set(err, CM_E_UNSUPPORTED,
				  "a VM without an ownership block cannot be taken over");
	rc = mig__core_ticket_key(start->ticket, &psk, err);
	if (rc < 0)
		return rc;
	rc = mig_sock_listen(start->incoming_address[0] ? start->incoming_address : LISTEN_DEFAULT,
			     &port, &c.listen_fd, err);
	if (rc < 0)
		goto out;
	g->role = "destination";
	c.lease = hv_owner_lease(hv_core_owner(core));
	c.psk = &psk;
	c.epoch = start->ticket->epoch;
	c.source = start->ticket->source[0] ? start->ticket->source : NULL;
	mig__core_hold(g, true);
	rc = mig_dst_start(&g->dst, &c, err);
	if (rc < 0)
		goto out;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "state", "incoming");
	hv_json_u64(&j, "port", port);
	hv_json_u64(&j, "pid", (uint64_t)getpid());
	hv_json_close(&j, '}');
	hv_core_started(core, HV_CORE_INCOMING, hv_json_text(&j));
	hv_json_fini(&j);
out:
	px_psk_wipe(&psk);
	return rc;
}

bool mig_core_is_verified(struct mig_core *g)
{
	return g->dst && mig_dst_is_verified(g->dst);
}

int mig_core_take_over(struct mig_core *g, struct stor_permit *permit, struct cm_err *err)
{
	if (g->dst)
		return mig_dst_take_over(g->dst, permit, err);
	stor_permit_free(permit);
	return cm_err_set(err, CM_E_VM_STATE, "no VM lands here any more");
}
