/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_heir_offer.c - a move whose source dies between "verified" and the commit, as the agents see
 * it: the source's offers the VM to the destination before it lets the block go, the destination's
 * hands its own landing the proof (vm/clu_heir.c). Parses a peer's numbers, believes them about its
 * own processes only.
 */
#include "config.h"

#include "cluster/move/clu_heir_offer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/vm/clu_heir.h"
#include "cluster/vm/clu_landings.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "sharedstorage/lease/stor_lease_disk.h"

#define OFFER_MS 20000u /* what the landing may take (vm/clu_heir.c), and the way there and back */

/* --- the destination's agent ------------------------------------------------ */

static void peer_took(const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;

	if (err->code)
		px_req_fail(q, err);
	else
		px_req_ok(q, NULL);
}

void clu_verb_peer_take_over(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_vm *vm = clu_super_find(a->super, q->msg->vm);
	const char *boot = px_req_arg(q, "boot");
	char evidence[FEN_EVIDENCE_MAX];
	struct cm_err err = CM_ERR_INIT;
	Hv__Proof p = HV__PROOF__INIT;
	struct fen_reaped reaped;
	uint64_t pid;

	memset(&reaped, 0, sizeof reaped);
	snprintf(reaped.node, sizeof reaped.node, "%s",
		 px_chan_peer_name(q->chan)); /* of its own processes only */
	if (px_req_u64(q, "pid", 0, 1, UINT32_MAX, &pid, &err)) {
		px_req_fail(q, &err);
		return;
	}
	reaped.pid = (uint32_t)pid;
	if (!vm || !clu_vm_incoming(vm)) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s does not land on node %s", q->msg->vm,
			     a->node);
		return;
	}
	if (!boot || stor_uuid_parse(boot, &reaped.boot) ||
	    fen_evidence_reaped(&reaped, evidence)) {
		px_req_failf(q, CM_E_BAD_VALUE, "peer-take-over: boot is no boot id");
		return;
	}
	p.kind = FEN_PROOF_REAPED;
	p.vm_uuid = (char *)(uintptr_t)clu_vm_uuid(vm);
	p.node = reaped.node;
	p.boot_id = (char *)(uintptr_t)boot;
	p.evidence = evidence;
	p.detail = (char *)(uintptr_t)fen_proof_kind_name(FEN_PROOF_REAPED);
	clu_heir_take_over(a, vm, &p, peer_took, q);
}

/*
 * Pacemaker's stop asks: is what lands here all that is left of the VM's memory? Then it is not
 * ended: it does not run, a start on this node finds it, and it ends by itself when nobody comes.
 */
void clu_verb_local_orphan(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const char *source = clu_landings_orphan(a, q->msg->vm);

	if (!source) {
		px_req_failf(q, CM_E_VM_STATE, "no landing of VM %s here has lost its source",
			     q->msg->vm);
		return;
	}
	clu_event(a->events, CLU_WARNING, "orphaned", q->msg->vm, NULL,
		  "its source %s is lost: its memory is kept here for a while", source);
	px_req_ok(q, NULL);
}

/* --- the source's agent ----------------------------------------------------- */

struct offer {
	struct clu_agent *agent;
	Hv__VmConfig *config;
	char node[64];
	void (*refused)(struct clu_agent *a, const Hv__VmConfig *config);
};

static void offer_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct offer *o = arg;

	(void)r;
	if (err->code) {
		cm_info("vm=%s: node %s does not go on with its memory: %s", o->config->name,
			o->node, err->text);
		o->refused(o->agent, o->config);
	} else {
		clu_event(o->agent->events, CLU_WARNING, "inherited", o->config->name, NULL,
			  "its process died at the end of a move: node %s goes on with its memory",
			  o->node);
	}
	hv__vm_config__free_unpacked(o->config, NULL);
	free(o);
}

bool clu_heir_offer(struct clu_agent *a, const Hv__VmConfig *config, uint32_t pid,
		    void (*refused)(struct clu_agent *a, const Hv__VmConfig *config))
{
	struct clu_move *m = clu__move_find(a, config->name);
	struct offer *o;
	struct px_ask ask;
	char text[24];

	if (!m || m->fsm.state < MOVE_COPYING || m->fsm.state > MOVE_RESOLVING || !a->peers ||
	    !clu_member_is(a, m->node))
		return false;
	o = calloc(1, sizeof *o);
	CM_ASSERT(o);
	o->agent = a;
	o->config = clu_vmconf_dup(config);
	o->refused = refused;
	snprintf(o->node, sizeof o->node, "%s", m->node);
	px_ask_init(&ask, "peer-take-over", config->name);
	snprintf(text, sizeof text, "%u", pid);
	px_ask_arg(&ask, "pid", text);
	px_ask_arg(&ask, "boot", a->boot_id);
	clu_peers_call(a->peers, m->node, &ask.req, OFFER_MS, offer_answer, o);
	return true;
}
