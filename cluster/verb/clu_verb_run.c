/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_run.c - start, restore and stop, and what the OCF agent asks for on this node. In a
 * cluster an operator's start or stop is a wish handed to pacemaker (vm/clu_wish.h); standalone it
 * is done here.
 *
 * Parses arguments of operators and of the OCF agent.
 */
#include "config.h"

#include "cluster/verb/clu_verb_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_member.h"
#include "cluster/verb/clu_verb_saved.h"
#include "cluster/vm/clu_deaths.h"
#include "cluster/vm/clu_landings.h"
#include "cluster/vm/clu_start.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "cluster/vm/clu_where.h"
#include "cluster/vm/clu_wish.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"

#define RUN_START_MS	    90000u
#define RUN_STOP_MS	    90000u
#define RUN_STOP_LANDING_MS 1100u

/* --- start ---------------------------------------------------------------- */

static void local_progress(const char *text, void *arg)
{
	struct px_req *q = arg;
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "waiting", text);
	px_req_progress(q, json_object_to_json_string(o));
	json_object_put(o);
}

static void local_started(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;

	if (err->code)
		px_req_fail(q, err);
	else
		px_req_ok(q, r ? r->doc : NULL);
}

static void local_start(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c)
{
	struct clu_vm *vm = clu_super_find(a->super, c->name);
	struct cm_err err = CM_ERR_INIT;
	uint64_t ms;

	if (px_req_u64(q, "timeout_ms", RUN_START_MS, 100, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (vm && clu_vm_state(vm) == HV__VM_STATE__VM_RUNNING) {
		struct json_object *o = json_object_new_object();

		clu_add_str(o, "state", "running");
		clu_add_u64(o, "pid", (uint64_t)clu_vm_pid(vm));
		clu_answer(q, o);
		return;
	}
	clu_start_vm(a, CLU_START_RUN, c, NULL, (unsigned)ms, local_progress, local_started, q);
}

void clu_verb_local_start(struct px_req *q, void *agent)
{
	struct cm_err err = CM_ERR_INIT;

	if (!q->msg->config || clu_vmconf_check(q->msg->config, &err)) {
		cm_err_set(&err, CM_E_USAGE, "local-start needs a configuration");
		px_req_fail(q, &err);
		return;
	}
	clu_deaths_acted(((struct clu_agent *)agent)->deaths, q->msg->config->name);
	local_start(agent, q, q->msg->config);
}

static void start_go(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, uint64_t ms)
{
	if (a->pcmk)
		clu_wish(a, q, true, ms);
	else
		local_start(a, q, c);
}

static void start(struct px_req *q, struct clu_agent *a, bool restore)
{
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;
	uint64_t ms;

	if (clu_member_need_quorum(a, &err) || clu_store_vm(a, q->msg->vm, &c, &err) ||
	    px_req_u64(q, "timeout_ms", RUN_START_MS, 100, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	clu__saved_before_start(q, a, c, ms, restore, start_go);
	hv__vm_config__free_unpacked(c, NULL);
}

void clu_verb_start(struct px_req *q, void *agent)
{
	start(q, agent, false);
}

void clu_verb_restore(struct px_req *q, void *agent)
{
	start(q, agent, true);
}

/* --- stop ------------------------------------------------------------------ */

struct local_stop {
	struct clu_agent *agent;
	struct px_req *q;
	struct cm_timer timer;
	char vm[64];
	uint64_t deadline_ns;
	bool killed;
};

static void local_stop_free(void *arg)
{
	struct local_stop *k = arg;

	cm_timer_fini(&k->timer);
	free(k);
}

/* Waits until the process was collected; kills it when its time is over. Always ends. */
static void local_stop_look(struct cm_timer *t, void *arg)
{
	struct local_stop *k = arg;
	struct clu_vm *vm = clu_super_find(k->agent->super, k->vm);

	if (!vm) {
		px_req_ok(k->q, "{\"state\":\"stopped\"}");
		cm_loop_defer(k->agent->loop, local_stop_free, k);
		return;
	}
	if (!k->killed && cm_now_ns() > k->deadline_ns) {
		k->killed = true;
		clu_event(k->agent->events, CLU_WARNING, "vm-killed", k->vm, NULL,
			  "did not stop in time: its process was killed");
		clu_vm_kill(vm);
	}
	cm_timer_arm_ms(t, 20);
}

static void local_stop_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code)
		cm_info("stop: %s", err->text);
}

static void local_stop(struct clu_agent *a, struct px_req *q)
{
	struct clu_vm *vm = clu_super_find(a->super, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	struct local_stop *k;
	struct px_client *core;
	struct px_ask ask;
	char ms_text[24];
	uint64_t ms;

	if (px_req_u64(q, "timeout_ms", 30000, 0, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (!vm && !clu_landings_recent(a->landings, q->msg->vm)) {
		px_req_ok(q, "{\"state\":\"stopped\"}");
		return;
	}
	k = calloc(1, sizeof *k);
	CM_ASSERT(k);
	k->agent = a;
	k->q = q;
	snprintf(k->vm, sizeof k->vm, "%s", q->msg->vm);
	cm_timer_init(&k->timer, a->loop, local_stop_look, k);
	if (!vm) {
		/* Pacemaker orders what happened on two nodes by whole seconds: a stop in the
		 * same second as the failed migrate_to counts for nothing, and it would take the
		 * VM to be active here, too. */
		cm_timer_arm_ms(&k->timer, RUN_STOP_LANDING_MS);
		return;
	}
	/* hvcore gets most of the time for the guest's own shutdown; the rest is for the forced
	 * end. */
	k->deadline_ns = cm_now_ns() + (ms + 5000) * CM_NS_PER_MS;
	cm_timer_arm_ms(&k->timer, 5);
	px_ask_init(&ask, "stop", k->vm);
	snprintf(ms_text, sizeof ms_text, "%llu", (unsigned long long)ms);
	px_ask_arg(&ask, "timeout_ms", ms_text);
	if (px_req_flag(q, "force"))
		px_ask_arg(&ask, "force", "1");
	core = clu_vm_core(vm, &err);
	if (core)
		px_client_call(core, &ask.req, 0, local_stop_answer, NULL);
	else
		k->deadline_ns = 0;
}

void clu_verb_local_stop(struct px_req *q, void *agent)
{
	clu_deaths_acted(((struct clu_agent *)agent)->deaths, q->msg->vm);
	local_stop(agent, q);
}

void clu_verb_stop(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;
	uint64_t ms;

	if (clu_member_need_quorum(a, &err) || clu_store_vm(a, q->msg->vm, &c, &err) ||
	    px_req_u64(q, "timeout_ms", RUN_STOP_MS, 0, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	hv__vm_config__free_unpacked(c, NULL);
	if (!a->pcmk) {
		local_stop(a, q);
		return;
	}
	clu_wish(a, q, false, ms ? ms : RUN_STOP_MS);
}

/* --- status ----------------------------------------------------------------- */

void clu_verb_local_status(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_vm *vm = clu_super_find(a->super, q->msg->vm);
	Hv__Reply r = HV__REPLY__INIT;

	if (vm) {
		clu_vm_ask(vm, "status", 5000, clu_relay_answer, q);
		return;
	}
	r.state = HV__VM_STATE__VM_STOPPED;
	r.doc = (char *)(uintptr_t) "{\"state\":\"stopped\"}";
	px_req_reply(q, &r);
}
