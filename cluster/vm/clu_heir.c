/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_heir.c - a move whose source dies between "verified" and the commit: the destination has all
 * of the VM's memory, and goes on with it instead of a cold start (rule 5 of design section 3), if
 * the source is proven dead and the intent stands.
 *
 * Two cases. The source's process died and its agent lives: that agent has collected the exit
 * (proof c) and offers the VM to the destination before it lets the block go; pacemaker sees a move
 * that succeeded. The source's node died: pacemaker stops the VM on both sides, fences, and starts
 * it anew; the landing outlives the stop (it is "not running" to pacemaker anyway: local-orphan),
 * and a start on its node looks for a proof and hands it to the landing (clu_start.c).
 *
 * Parses a peer's numbers, believes them about its own processes only.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"

#define HEIR_OFFER_MS 15000u
#define HEIR_ASK_MS   5000u
#define HEIR_LOOK_MS  10u

/* --- waiting until it runs ---------------------------------------------------------------------
 */

struct clu__heir {
	struct clu_agent *agent;
	struct cm_timer timer;
	char vm[64];
	uint64_t deadline_ns;
	clu__heir_fn done;
	void *arg;
};

static void heir_free(void *arg)
{
	struct clu__heir *h = arg;

	cm_timer_fini(&h->timer);
	free(h);
}

static void heir_end(struct clu__heir *h, const struct cm_err *err)
{
	h->done(err, h->arg);
	cm_loop_defer(h->agent->loop, heir_free, h);
}

static void heir_look(struct cm_timer *t, void *arg)
{
	struct clu__heir *h = arg;
	struct clu_vm *vm = clu_super_find(h->agent->super, h->vm);
	struct cm_err err = CM_ERR_INIT;

	if (vm &&
	    (strcmp(clu_vm_state(vm), "running") == 0 || strcmp(clu_vm_state(vm), "paused") == 0)) {
		heir_end(h, &err);
	} else if (!vm || !clu_vm_incoming(vm) || cm_now_ns() > h->deadline_ns) {
		cm_err_set(&err, CM_E_VM_STATE,
			   "VM %s could not be taken over with its memory (%s)", h->vm,
			   vm ? clu_vm_state(vm) : "its landing ended");
		heir_end(h, &err);
	} else {
		cm_timer_arm_ms(t, HEIR_LOOK_MS);
	}
}

static void heir_asked(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__heir *h = arg;

	(void)r;
	if (err->code)
		heir_end(h, err);
	else
		cm_timer_arm_ms(&h->timer, 0);
}

void clu__heir_take_over(struct clu_agent *a, struct clu_vm *vm, const Hv__Proof *proof,
			 clu__heir_fn done, void *arg)
{
	struct clu__heir *h = calloc(1, sizeof *h);
	struct cm_err err = CM_ERR_INIT;
	struct px_client *core;
	struct px_ask ask;

	CM_ASSERT(h);
	*h = (struct clu__heir){.agent = a,
				.done = done,
				.arg = arg,
				.deadline_ns = cm_now_ns() + HEIR_OFFER_MS * CM_NS_PER_MS};
	snprintf(h->vm, sizeof h->vm, "%s", clu_vm_name(vm));
	cm_timer_init(&h->timer, a->loop, heir_look, h);
	core = clu_vm_core(vm, &err);
	if (!core) {
		heir_end(h, &err);
		return;
	}
	px_ask_init(&ask, "take-over", h->vm);
	ask.req.proof = (Hv__Proof *)(uintptr_t)proof; /* only packed */
	px_client_call(core, &ask.req, HEIR_ASK_MS, heir_asked, h);
}

/* --- the destination, asked by the source's agent
 * -------------------------------------------------- */

static void peer_took(const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;

	if (err->code)
		px_req_fail(q, err);
	else
		px_req_ok(q, NULL);
}

void clu__verb_peer_take_over(struct px_req *q, void *agent)
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
	clu__heir_take_over(a, vm, &p, peer_took, q);
}

/*
 * Pacemaker's stop asks: is what lands here all that is left of the VM's memory? Then it is not
 * ended: it does not run, a start on this node finds it, and it ends by itself when nobody comes.
 */
void clu__verb_local_orphan(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const char *source = clu__land_orphan(a, q->msg->vm);

	if (!source) {
		px_req_failf(q, CM_E_VM_STATE, "no landing of VM %s here has lost its source",
			     q->msg->vm);
		return;
	}
	clu_event(a->events, "warning", "orphaned", q->msg->vm, NULL,
		  "its source %s is lost: its memory is kept here for a while", source);
	px_req_ok(q, NULL);
}

/* --- the source's agent
 * ---------------------------------------------------------------------------- */

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
		clu_event(o->agent->events, "warning", "inherited", o->config->name, NULL,
			  "its process died at the end of a move: node %s goes on with its memory",
			  o->node);
	}
	hv__vm_config__free_unpacked(o->config, NULL);
	free(o);
}

bool clu__heir_offer(struct clu_agent *a, const Hv__VmConfig *config, uint32_t pid,
		     void (*refused)(struct clu_agent *a, const Hv__VmConfig *config))
{
	struct clu__move *m = clu__move_find(a, config->name);
	struct offer *o;
	struct px_ask ask;
	char text[24];

	if (!m || m->fsm.state < MOVE_COPYING || m->fsm.state > MOVE_RESOLVING || !a->peers ||
	    !clu__agent_is_member(a, m->node))
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
	clu_peers_call(a->peers, m->node, &ask.req, HEIR_OFFER_MS + HEIR_ASK_MS, offer_answer, o);
	return true;
}
