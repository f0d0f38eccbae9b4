/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_land.c - the destination's side of a migration: admission, an hvcore that lands it, and pacemaker's
 * local-migrate-from. Parses what the source's agent and the OCF agent say.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "proto/px_tls.h"

#define LAND_RECENT_NS (15 * CM_NS_PER_S)

/* Did a landing of that VM begin here a moment ago? */
bool clu__land_recent(struct clu_agent *a, const char *vm)
{
	for (size_t i = 0; i < CM_ARRAY_LEN(a->landing); i++)
		if (strcmp(a->landing[i].vm, vm) == 0)
			return cm_now_ns() - a->landing[i].at_ns < LAND_RECENT_NS;
	return false;
}

static void land_forget(struct clu_agent *a, const char *vm)
{
	for (size_t i = 0; i < CM_ARRAY_LEN(a->landing); i++)
		if (strcmp(a->landing[i].vm, vm) == 0)
			a->landing[i].vm[0] = '\0';
}

const char *clu__land_orphan(struct clu_agent *a, const char *name)
{
	struct clu_vm *vm = clu_super_find(a->super, name);

	if (!vm || !clu_vm_incoming(vm) || !a->pcmk)
		return NULL;
	for (size_t i = 0; i < CM_ARRAY_LEN(a->landing); i++)
		if (strcmp(a->landing[i].vm, name) == 0)
			return clu__agent_is_member(a, a->landing[i].source) ? NULL
									     : a->landing[i].source;
	return NULL;
}

static void land_note(struct clu_agent *a, const char *vm, const char *source)
{
	size_t at = 0;

	for (size_t i = 0; i < CM_ARRAY_LEN(a->landing); i++) {
		if (strcmp(a->landing[i].vm, vm) == 0) {
			at = i;
			break;
		}
		if (a->landing[i].at_ns < a->landing[at].at_ns)
			at = i;
	}
	snprintf(a->landing[at].vm, sizeof a->landing[at].vm, "%s", vm);
	snprintf(a->landing[at].source, sizeof a->landing[at].source, "%s", source);
	a->landing[at].at_ns = cm_now_ns();
}

struct landed {
	struct clu_agent *agent;
	struct px_req *q;
	struct cm_timer timer;
	uint64_t deadline_ns;
};

static void landed_free(void *arg)
{
	struct landed *l = arg;

	cm_timer_fini(&l->timer);
	free(l);
}

static void landed_look(struct cm_timer *t, void *arg)
{
	struct landed *l = arg;
	struct clu_vm *vm = clu_super_find(l->agent->super, l->q->msg->vm);

	if (vm && strcmp(clu_vm_state(vm), "running") == 0) {
		land_forget(l->agent, l->q->msg->vm);
		px_req_ok(l->q, "{\"state\":\"running\"}");
	} else if (!vm || cm_now_ns() > l->deadline_ns) {
		px_req_failf(l->q, CM_E_VM_STATE, "VM %s did not land on node %s (%s)", l->q->msg->vm, l->agent->node,
			     vm ? clu_vm_state(vm) : "no process");
	} else {
		cm_timer_arm_ms(t, 10);
		return;
	}
	cm_loop_defer(l->agent->loop, landed_free, l);
}

void clu__verb_local_migrate_from(struct px_req *q, void *agent)
{
	struct landed *l = calloc(1, sizeof *l);
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	uint64_t ms;

	CM_ASSERT(l);
	if (px_req_u64(q, "timeout_ms", 20000, 1, 3600000, &ms, &err)) {
		px_req_fail(q, &err);
		free(l);
		return;
	}
	*l = (struct landed){.agent = a, .q = q, .deadline_ns = cm_now_ns() + ms * CM_NS_PER_MS};
	cm_timer_init(&l->timer, a->loop, landed_look, l);
	cm_timer_arm_ms(&l->timer, 0);
}

/* --- for the source's agent ------------------------------------------------------------------------------------- */

static void incoming_ready(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;
	struct clu_agent *a = q->work;
	const char *address = a->conf->migration_address[0] ? a->conf->migration_address
							     : clu__agent_address(a->node, a);
	struct json_object *o, *v;

	if (err->code) {
		px_req_fail(q, err);
		return;
	}
	o = r && r->doc ? json_tokener_parse(r->doc) : NULL;
	if (!o || !json_object_object_get_ex(o, "port", &v)) {
		px_req_failf(q, CM_E_PROTO, "hvcore did not say where it listens");
		json_object_put(o);
		return;
	}
	clu__add_str(o, "address", address);
	clu__answer(q, o);
}

void clu__verb_peer_incoming(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	const Hv__Ticket *t = q->msg->ticket;
	struct clu_vm *old = clu_super_find(a->super, q->msg->vm);

	if (!q->msg->config || !t || t->psk.len != PX_PSK_BYTES || t->id.len != PX_PSK_ID_BYTES) {
		cm_err_set(&err, CM_E_MIG_TICKET, "peer-incoming needs a configuration and a ticket");
	} else if (strcmp(t->destination, a->node) != 0 || strcmp(t->source, px_chan_peer_name(q->chan)) != 0 ||
		   strcmp(t->vm_uuid, q->msg->config->uuid) != 0) {
		cm_err_set(&err, CM_E_MIG_TICKET, "the ticket is not for this move");
	} else if (old && !clu_vm_incoming(old)) {
		cm_err_set(&err, CM_E_VM_STATE, "VM %s has a process on node %s already (%s)", q->msg->vm, a->node,
			   clu_vm_state(old));
	} else {
		clu_vmconf_check(q->msg->config, &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
		return;
	}
	if (q->msg->config->memory_bytes > clu__host_free_bytes(a)) {
		px_req_failf(q, CM_E_TARGET_FULL, "VM %s needs %llu MiB, node %s has %llu MiB free", q->msg->vm,
			     (unsigned long long)(q->msg->config->memory_bytes >> 20), a->node,
			     (unsigned long long)(clu__host_free_bytes(a) >> 20));
		return;
	}
	q->work = a;
	land_note(a, q->msg->vm, t->source);
	clu__start_vm(a, CLU__START_INCOMING, q->msg->config, t, NULL, NULL, 20000, NULL, incoming_ready, q);
}

static void incoming_stopped(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	cm_debug("incoming VM stopped: %s", err->text);
}

void clu__verb_peer_incoming_cancel(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_vm *vm = clu_super_find(a->super, q->msg->vm);

	/* hvcore itself gives up in the right way (a COMPARE AND WRITE if it had said "verified"). */
	if (vm && clu_vm_incoming(vm))
		clu_vm_ask(vm, "stop", 10000, incoming_stopped, NULL);
	px_req_ok(q, NULL);
}
