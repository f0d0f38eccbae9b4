/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_land.c - the destination's side of a migration: admission, an hvcore that lands it, and
 * pacemaker's local-migrate-from. Parses what the source's agent and the OCF agent say.
 */
#include "config.h"

#include "cluster/move/clu_land.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_host.h"
#include "cluster/node/clu_member.h"
#include "cluster/vm/clu_landings.h"
#include "cluster/vm/clu_start.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "proto/px_tls.h"
#include "proto/px_words.h"

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

	if (vm && clu_vm_state(vm) == HV__VM_STATE__VM_RUNNING) {
		clu_landings_forget(l->agent->landings, l->q->msg->vm);
		px_req_ok(l->q, "{\"state\":\"running\"}");
	} else if (!vm || cm_now_ns() > l->deadline_ns) {
		px_req_failf(l->q, CM_E_VM_STATE, "VM %s did not land on node %s (%s)",
			     l->q->msg->vm, l->agent->node,
			     vm ? px_vm_state_word(clu_vm_state(vm)) : "no process");
	} else {
		cm_timer_arm_ms(t, 10);
		return;
	}
	cm_loop_defer(l->agent->loop, landed_free, l);
}

void clu_verb_local_migrate_from(struct px_req *q, void *agent)
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

/* --- for the source's agent ------------------------------------------------------------------- */

static void incoming_ready(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;
	struct clu_agent *a = q->work;
	const char *address = a->conf->migration_address[0] ? a->conf->migration_address
							    : clu_member_address(a->node, a);
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
	clu_add_str(o, "address", address);
	clu_answer(q, o);
}

void clu_verb_peer_incoming(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	const Hv__Ticket *t = q->msg->ticket;
	struct clu_vm *old = clu_super_find(a->super, q->msg->vm);

	if (!q->msg->config || !t || t->psk.len != PX_PSK_BYTES || t->id.len != PX_PSK_ID_BYTES) {
		cm_err_set(&err, CM_E_MIG_TICKET,
			   "peer-incoming needs a configuration and a ticket");
	} else if (strcmp(t->destination, a->node) != 0 ||
		   strcmp(t->source, px_chan_peer_name(q->chan)) != 0 ||
		   strcmp(t->vm_uuid, q->msg->config->uuid) != 0) {
		cm_err_set(&err, CM_E_MIG_TICKET, "the ticket is not for this move");
	} else if (old && !clu_vm_incoming(old)) {
		cm_err_set(&err, CM_E_VM_STATE, "VM %s has a process on node %s already (%s)",
			   q->msg->vm, a->node, px_vm_state_word(clu_vm_state(old)));
	} else {
		clu_vmconf_check(q->msg->config, &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
		return;
	}
	if (q->msg->config->memory_bytes > clu_host_free_bytes(a->conf)) {
		px_req_failf(q, CM_E_TARGET_FULL, "VM %s needs %llu MiB, node %s has %llu MiB free",
			     q->msg->vm, (unsigned long long)(q->msg->config->memory_bytes >> 20),
			     a->node, (unsigned long long)(clu_host_free_bytes(a->conf) >> 20));
		return;
	}
	q->work = a;
	clu_landings_note(a->landings, q->msg->vm, t->source);
	clu_start_vm(a, CLU_START_INCOMING, q->msg->config, t, 20000, NULL, incoming_ready, q);
}

static void incoming_stopped(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	cm_debug("incoming VM stopped: %s", err->text);
}

void clu_verb_peer_incoming_cancel(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_vm *vm = clu_super_find(a->super, q->msg->vm);

	/* hvcore itself gives up in the right way (a COMPARE AND WRITE if it had said
	 * "verified"). */
	if (vm && clu_vm_incoming(vm))
		clu_vm_ask(vm, "stop", 10000, incoming_stopped, NULL);
	px_req_ok(q, NULL);
}
