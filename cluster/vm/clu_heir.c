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
 * Here is what the landing's node does; who asks for it is in move/clu_heir_offer.c and
 * clu_start.c.
 * Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_heir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_clock.h"
#include "fencing/fen_proof.h"
#include "proto/px_req.h"
#include "proto/px_words.h"

#define HEIR_WAIT_MS 15000u
#define HEIR_ASK_MS  5000u
#define HEIR_LOOK_MS 10u

struct heir {
	struct clu_agent *agent;
	struct cm_timer timer;
	char vm[64];
	uint64_t deadline_ns;
	clu_heir_fn done;
	void *arg;
};

static void heir_free(void *arg)
{
	struct heir *h = arg;

	cm_timer_fini(&h->timer);
	free(h);
}

static void heir_end(struct heir *h, const struct cm_err *err)
{
	h->done(err, h->arg);
	cm_loop_defer(h->agent->loop, heir_free, h);
}

static void heir_look(struct cm_timer *t, void *arg)
{
	struct heir *h = arg;
	struct clu_vm *vm = clu_super_find(h->agent->super, h->vm);
	struct cm_err err = CM_ERR_INIT;

	if (vm && px_vm_state_runs(clu_vm_state(vm))) {
		heir_end(h, &err);
	} else if (!vm || !clu_vm_incoming(vm) || cm_now_ns() > h->deadline_ns) {
		cm_err_set(&err, CM_E_VM_STATE,
			   "VM %s could not be taken over with its memory (%s)", h->vm,
			   vm ? px_vm_state_word(clu_vm_state(vm)) : "its landing ended");
		heir_end(h, &err);
	} else {
		cm_timer_arm_ms(t, HEIR_LOOK_MS);
	}
}

static void heir_asked(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct heir *h = arg;

	(void)r;
	if (err->code)
		heir_end(h, err);
	else
		cm_timer_arm_ms(&h->timer, 0);
}

void clu_heir_take_over(struct clu_agent *a, struct clu_vm *vm, const Hv__Proof *proof,
			clu_heir_fn done, void *arg)
{
	struct heir *h = calloc(1, sizeof *h);
	struct cm_err err = CM_ERR_INIT;
	struct px_client *core;
	struct px_ask ask;

	CM_ASSERT(h);
	*h = (struct heir){.agent = a,
			   .done = done,
			   .arg = arg,
			   .deadline_ns = cm_now_ns() + HEIR_WAIT_MS * CM_NS_PER_MS};
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
