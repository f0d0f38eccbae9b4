/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_vm.c - the operator's verbs about VMs: create, delete, start, stop, and what a VM's hvcore
 * does itself. In a cluster, start and stop are wishes handed to pacemaker; standalone they are done here.
 *
 * Parses arguments of operators.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"

#define VM_START_MS 90000u
#define VM_STOP_MS  90000u
#define VM_ASK_MS   30000u
#define VM_LOOK_MS  150u
#define STOP_LANDING_MS 1100u

const char *clu__vm_node(struct clu_agent *a, const char *name)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, name) : NULL;
	struct clu_vm *vm = clu_super_find(a->super, name);

	if (vm && !clu_vm_incoming(vm))
		return a->node;
	return v && v->active && strcmp(v->node, a->node) != 0 ? v->node : "";
}

/* --- forwarding -------------------------------------------------------------------------------------------- */

static void forward_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;

	if (r && r->more) {
		px_req_progress(q, r->doc);
	} else if (r && r->code == 0) {
		px_req_ok(q, r->doc);
	} else {
		px_req_fail(q, err);
	}
}

void clu__forward(struct clu_agent *a, const char *node, struct px_req *q)
{
	Hv__Request req = *q->msg;

	if (px_chan_peer_name(q->chan)[0]) {
		px_req_failf(q, CM_E_VM_STATE, "%s is not on node %s (any more)", q->msg->vm, a->node);
		return;
	}
	if (!a->peers) {
		px_req_failf(q, CM_E_NO_CLUSTER, "node %s cannot be reached from here", node);
		return;
	}
	clu_peers_call(a->peers, node, &req, 0, forward_answer, q);
}

static void core_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	forward_answer(r, err, arg);
}

/* Hands the operator's request to the VM's hvcore as it is. */
void clu__verb_core(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const char *node = clu__vm_node(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	Hv__Request req = *q->msg;
	Hv__VmConfig *c;
	struct px_client *core;

	/* Testers reach a VM that lands here, too. */
	if (strcmp(q->msg->verb, "fault") == 0 && clu_super_find(a->super, q->msg->vm))
		node = a->node;
	if (!*node) {
		if (clu__store_vm(a, q->msg->vm, &c, &err)) {
			px_req_fail(q, &err);
			return;
		}
		hv__vm_config__free_unpacked(c, NULL);
		px_req_failf(q, CM_E_VM_STATE, "VM %s does not run", q->msg->vm);
		return;
	}
	if (strcmp(node, a->node) != 0) {
		clu__forward(a, node, q);
		return;
	}
	core = clu_vm_core(clu_super_find(a->super, q->msg->vm), &err);
	if (!core) {
		px_req_fail(q, &err);
		return;
	}
	px_client_call(core, &req, VM_ASK_MS, core_answer, q);
}

/* --- create, delete ------------------------------------------------------------------------------------------- */

static const char *create_get(const char *name, void *arg)
{
	struct px_req *q = arg;

	return px_req_arg(q, name);
}

struct create {
	struct clu_agent *agent;
	struct px_req *q;
	char uuid[37];
};

static const char *create_get_uuid(const char *name, void *arg)
{
	struct create *k = arg;

	return strcmp(name, "uuid") == 0 ? k->uuid : create_get(name, k->q);
}

struct params {
	struct clu_pcmk_param p[CLU_PCMK_PARAMS];
	size_t n;
};

static void params_add(const char *name, const char *value, void *arg)
{
	struct params *ps = arg;

	if (ps->n == CLU_PCMK_PARAMS)
		return;
	ps->p[ps->n].name = strdup(name);
	ps->p[ps->n].value = strdup(value);
	CM_ASSERT(ps->p[ps->n].name && ps->p[ps->n].value);
	ps->n++;
}

static void params_free(struct params *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->p[i].name);
		free(ps->p[i].value);
	}
}

int clu__create_check(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	Hv__VmConfig *other, *resolved;
	int rc;

	if (clu__store_vm(a, c->name, &other, NULL) == 0) {
		hv__vm_config__free_unpacked(other, NULL);
		return cm_err_set(err, CM_E_VM_EXISTS, "a VM '%s' exists already", c->name);
	}
	if (pic && (!pic->stonith_enabled || pic->fence_devices == 0))
		return cm_err_set(err, CM_E_NO_FENCING,
				  "this cluster has no working fencing (stonith-enabled %s, %u fence devices): a VM could not be started again safely after the loss of its node",
				  pic->stonith_enabled ? "true" : "false", pic->fence_devices);
	/* Every volume that it names must be known. */
	resolved = clu_vmconf_dup(c);
	rc = clu__store_resolve(a, resolved, err);
	hv__vm_config__free_unpacked(resolved, NULL);
	return rc ? rc : clu__register_check_disks(a, c, err);
}

/* The copy on the volume comes first: a VM that is defined has one, and could not start without its volume anyway. */
struct define {
	struct clu_agent *agent;
	struct px_req *q;
	Hv__VmConfig *config;
	bool start, new_copy;
	struct cm_err err;
};

static void define_end(struct define *k)
{
	struct json_object *o;

	if (k->err.code) {
		px_req_fail(k->q, &k->err);
	} else {
		clu_event(k->agent->events, "notice", "vm-created", k->config->name, NULL, "created");
		o = json_object_new_object();
		clu__add_str(o, "name", k->config->name);
		clu__add_str(o, "uuid", k->config->uuid);
		clu__answer(k->q, o);
	}
	hv__vm_config__free_unpacked(k->config, NULL);
	free(k);
}

static void define_dropped(int code, const struct cm_err *err, void *arg)
{
	if (code)
		cm_warning("the copy of a VM that could not be defined: %s", err->text);
	define_end(arg);
}

static void define_done(int code, const struct cm_err *err, void *arg)
{
	struct define *k = arg;

	if (code)
		k->err = *err;
	if (code && k->new_copy)
		clu__register_drop(k->agent, k->config, false, define_dropped, k);
	else
		define_end(k);
}

static void define_copied(int code, const struct cm_err *err, void *arg)
{
	struct define *k = arg;
	struct clu_agent *a = k->agent;
	struct cm_err local = CM_ERR_INIT;
	struct params ps = {.n = 0};

	if (code) {
		k->err = *err;
		define_end(k);
	} else if (!a->pcmk) {
		code = clu__store_save_vm(a, k->config, &local);
		define_done(code, &local, k);
	} else {
		clu_vmconf_each(k->config, params_add, &ps);
		clu_pcmk_vm_create(a->pcmk, k->config->name, ps.p, ps.n, k->start, define_done, k);
		params_free(&ps);
	}
}

void clu__create_vm(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, bool start)
{
	struct define *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	*k = (struct define){.agent = a, .q = q, .config = clu_vmconf_dup(c), .start = start};
	k->new_copy = strcmp(q->msg->verb, "create") == 0;
	clu__register_put(a, c, define_copied, k);
}

void clu__verb_create(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	struct create k = {.agent = a, .q = q};
	Hv__VmConfig *c = NULL;
	const char *uuid = px_req_arg(q, "uuid");
	int rc;

	if (uuid)
		snprintf(k.uuid, sizeof k.uuid, "%s", uuid);
	rc = uuid ? 0 : clu_vmconf_make_uuid(k.uuid);
	rc = rc ? rc : clu__agent_need_quorum(a, &err);
	rc = rc ? rc : clu_vmconf_build(q->msg->vm, create_get_uuid, &k, &c, &err);
	rc = rc ? rc : clu__create_check(a, c, &err);
	if (rc) {
		cm_err_set(&err, rc, "%s", cm_err_text(rc));
		px_req_fail(q, &err);
	} else {
		clu__create_vm(a, q, c, px_req_flag(q, "start"));
	}
	if (c)
		hv__vm_config__free_unpacked(c, NULL);
}

static void simple_done(int code, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;

	if (code)
		px_req_fail(q, err);
	else
		px_req_ok(q, NULL);
}

struct undefine {
	struct clu_agent *agent;
	struct px_req *q;
};

static void undefine_dropped(int code, const struct cm_err *err, void *arg)
{
	struct undefine *k = arg;
	struct clu_agent *a = k->agent;
	struct px_req *q = k->q;
	struct cm_err local = CM_ERR_INIT;

	free(k);
	if (code) {
		px_req_fail(q, err);
		return;
	}
	clu_event(a->events, "notice", "vm-deleted", q->msg->vm, NULL, "deleted; its disks stay");
	clu__saved_forget(a, q->msg->vm);
	if (a->pcmk) {
		clu_pcmk_vm_delete(a->pcmk, q->msg->vm, simple_done, q);
		return;
	}
	code = clu__store_drop_vm(a, q->msg->vm, &local);
	simple_done(code, &local, q);
}

void clu__verb_delete(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	struct undefine *k;
	Hv__VmConfig *c;
	int rc = clu__agent_need_quorum(a, &err);

	rc = rc ? rc : clu__store_vm(a, q->msg->vm, &c, &err);
	if (rc) {
		px_req_fail(q, &err);
		return;
	}
	if (*clu__vm_node(a, q->msg->vm) || clu_super_find(a->super, q->msg->vm)) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s runs: stop it first (hvctl stop %s)", q->msg->vm, q->msg->vm);
	} else {
		k = calloc(1, sizeof *k);
		CM_ASSERT(k);
		*k = (struct undefine){.agent = a, .q = q};
		clu__register_drop(a, c, px_req_flag(q, "force"), undefine_dropped, k);
	}
	hv__vm_config__free_unpacked(c, NULL);
}

/* --- start and stop as wishes to pacemaker: then watch until it came true --------------------------------------- */

struct wish {
	struct clu_agent *agent;
	struct px_req *q;
	struct cm_timer timer;
	bool want;
	uint64_t deadline_ns, asked_ns;
};

static void wish_free(void *arg)
{
	struct wish *w = arg;

	cm_timer_fini(&w->timer);
	free(w);
}

static void wish_fail(struct wish *w, const struct cm_err *err)
{
	px_req_fail(w->q, err);
	cm_loop_defer(w->agent->loop, wish_free, w);
}

static void wish_came_true(struct wish *w, const char *node)
{
	struct json_object *o = json_object_new_object();

	clu__add_str(o, "name", w->q->msg->vm);
	clu__add_str(o, "state", w->want ? "running" : "stopped");
	clu__add_str(o, "node", node);
	clu__answer(w->q, o);
	cm_loop_defer(w->agent->loop, wish_free, w);
}

static void wish_look(struct cm_timer *t, void *arg)
{
	struct wish *w = arg;
	struct clu_agent *a = w->agent;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, w->q->msg->vm) : NULL;
	struct cm_err err = CM_ERR_INIT;

	if (v && w->want && v->active && !v->failed && v->role == CLU_PCMK_ROLE_STARTED) {
		wish_came_true(w, v->node);
		return;
	}
	if (v && !w->want && !v->active && v->role == CLU_PCMK_ROLE_STOPPED) {
		wish_came_true(w, "");
		return;
	}
	if (!v)
		cm_err_set(&err, CM_E_NO_VM, "VM %s is gone", w->q->msg->vm);
	else if (w->want && v->failure[0] && cm_now_ns() - w->asked_ns > 2 * CM_NS_PER_S &&
		 v->role == CLU_PCMK_ROLE_STOPPED)
		cm_err_set(&err, CM_E_GUEST_FAILED, "VM %s could not be started: %s", v->name, v->failure);
	else if (cm_now_ns() > w->deadline_ns)
		cm_err_set(&err, CM_E_TIMEOUT, "VM %s is not %s yet (%s%s%s); it goes on in the background", v->name,
			   w->want ? "running" : "stopped", clu_pcmk_role_name(v->role), v->failure[0] ? ": " : "",
			   v->failure);
	if (err.code) {
		wish_fail(w, &err);
		return;
	}
	clu_pcmk_refresh(a->pcmk);
	cm_timer_arm_ms(t, VM_LOOK_MS);
}

static void wish_asked(int code, const struct cm_err *err, void *arg)
{
	struct wish *w = arg;

	if (code)
		wish_fail(w, err);
	else
		cm_timer_arm_ms(&w->timer, VM_LOOK_MS);
}

static void wish_cleaned(int code, const struct cm_err *err, void *arg)
{
	struct wish *w = arg;

	(void)code;
	(void)err;
	w->asked_ns = cm_now_ns();
	clu_pcmk_set_started(w->agent->pcmk, w->q->msg->vm, w->want, wish_asked, w);
}

static void wish_new(struct clu_agent *a, struct px_req *q, bool want, uint64_t timeout_ms)
{
	const struct clu_pcmk_vm *v = clu_pcmk_find_vm(clu_pcmk_picture(a->pcmk), q->msg->vm);
	struct wish *w = calloc(1, sizeof *w);

	CM_ASSERT(w);
	*w = (struct wish){.agent = a, .q = q, .want = want};
	w->deadline_ns = cm_now_ns() + timeout_ms * CM_NS_PER_MS;
	cm_timer_init(&w->timer, a->loop, wish_look, w);
	/* An operator's start is a new try: old failures must not stand in its way. */
	if (want && v && (v->failed || v->failure[0]))
		clu_pcmk_cleanup(a->pcmk, q->msg->vm, NULL, wish_cleaned, w);
	else
		wish_cleaned(0, NULL, w);
}

/* --- start, stop -------------------------------------------------------------------------------------------------- */

static void local_progress(const char *text, void *arg)
{
	struct px_req *q = arg;
	struct json_object *o = json_object_new_object();

	clu__add_str(o, "waiting", text);
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

	if (px_req_u64(q, "timeout_ms", VM_START_MS, 100, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (vm && strcmp(clu_vm_state(vm), "running") == 0) {
		struct json_object *o = json_object_new_object();

		clu__add_str(o, "state", "running");
		clu__add_u64(o, "pid", (uint64_t)clu_vm_pid(vm));
		clu__answer(q, o);
		return;
	}
	clu__start_vm(a, CLU__START_RUN, c, NULL, NULL, NULL, (unsigned)ms, local_progress, local_started, q);
}

void clu__verb_local_start(struct px_req *q, void *agent)
{
	struct cm_err err = CM_ERR_INIT;

	if (!q->msg->config || clu_vmconf_check(q->msg->config, &err)) {
		cm_err_set(&err, CM_E_USAGE, "local-start needs a configuration");
		px_req_fail(q, &err);
		return;
	}
	local_start(agent, q, q->msg->config);
}

static void start_go(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, uint64_t ms)
{
	if (a->pcmk)
		wish_new(a, q, true, ms);
	else
		local_start(a, q, c);
}

/* Also restore. */
void clu__verb_start(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;
	uint64_t ms;

	if (clu__agent_need_quorum(a, &err) || clu__store_vm(a, q->msg->vm, &c, &err) ||
	    px_req_u64(q, "timeout_ms", VM_START_MS, 100, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	clu__saved_before_start(q, a, c, ms, start_go);
	hv__vm_config__free_unpacked(c, NULL);
}

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
		clu_event(k->agent->events, "warning", "vm-killed", k->vm, NULL,
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
	if (!vm && !clu__land_recent(a, q->msg->vm)) {
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
		/* Pacemaker orders what happened on two nodes by whole seconds: a stop in the same second as the failed migrate_to
		 * counts for nothing, and it would take the VM to be active here, too. */
		cm_timer_arm_ms(&k->timer, STOP_LANDING_MS);
		return;
	}
	/* hvcore gets most of the time for the guest's own shutdown; the rest is for the forced end. */
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

void clu__verb_local_stop(struct px_req *q, void *agent)
{
	local_stop(agent, q);
}

void clu__verb_stop(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;
	uint64_t ms;

	if (clu__agent_need_quorum(a, &err) || clu__store_vm(a, q->msg->vm, &c, &err) ||
	    px_req_u64(q, "timeout_ms", VM_STOP_MS, 0, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		return;
	}
	hv__vm_config__free_unpacked(c, NULL);
	if (!a->pcmk) {
		local_stop(a, q);
		return;
	}
	wish_new(a, q, false, ms ? ms : VM_STOP_MS);
}

void clu__verb_local_status(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;

	if (!clu_super_find(a->super, q->msg->vm))
		px_req_ok(q, "{\"state\":\"stopped\"}");
	else
		clu_vm_ask(clu_super_find(a->super, q->msg->vm), "status", 5000, core_answer, q);
}

/* --- for other agents ------------------------------------------------------------------------------------------------ */

static void hello_vm(struct clu_vm *vm, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu__add_str(o, "name", clu_vm_name(vm));
	clu__add_str(o, "state", clu_vm_state(vm));
	clu__add_u64(o, "memory_bytes", clu_vm_memory_bytes(vm));
	json_object_array_add(arg, o);
}

static struct json_object *hello_doc(struct clu_agent *a)
{
	struct json_object *o = json_object_new_object(), *vms = json_object_new_array();

	clu__add_str(o, "node", a->node);
	clu__add_str(o, "boot_id", a->boot_id);
	clu__add_str(o, "release", PACKAGE_VERSION);
	clu__add_u64(o, "memory_total_bytes", clu__host_total_bytes());
	clu__add_u64(o, "memory_free_bytes", clu__host_free_bytes(a));
	clu_super_each(a->super, hello_vm, vms);
	json_object_object_add(o, "vms", vms);
	return o;
}

void clu__verb_peer_hello(struct px_req *q, void *agent)
{
	clu__answer(q, hello_doc(agent));
}

static void reclaimed(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;
	struct json_object *o = json_object_new_object();

	(void)r;
	clu__add_str(o, "boot_id", q->work);
	clu__add_str(o, "block", err->code ? "held" : "released");
	free(q->work);
	clu__answer(q, o);
}

/* Another node wants a VM whose block names us: if its process here is dead, let the block go. */
void clu__verb_peer_reclaim(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;

	if (!q->msg->config || clu_vmconf_check(q->msg->config, &err)) {
		cm_err_set(&err, CM_E_USAGE, "peer-reclaim needs a configuration");
		px_req_fail(q, &err);
		return;
	}
	if (clu_super_find(a->super, q->msg->vm)) {
		clu__answer(q, hello_doc(a));
		return;
	}
	q->work = strdup(a->boot_id);
	clu__start_vm(a, CLU__START_RELEASE, q->msg->config, NULL, NULL, NULL, 2000, NULL, reclaimed, q);
}
