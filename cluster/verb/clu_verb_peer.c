/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_peer.c - what the agents of other nodes ask, moves apart: who we are, a dead process's
 * ownership, our fencing marks. Parses their arguments; believes nothing about our own processes.
 */
#include "config.h"

#include "cluster/verb/clu_verb_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_host.h"
#include "cluster/vm/clu_fenced.h"
#include "cluster/vm/clu_start.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "proto/px_words.h"

static void hello_vm(struct clu_vm *vm, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "name", clu_vm_name(vm));
	clu_add_str(o, "state", px_vm_state_word(clu_vm_state(vm)));
	clu_add_u64(o, "memory_bytes", clu_vm_memory_bytes(vm));
	json_object_array_add(arg, o);
}

static struct json_object *hello_doc(struct clu_agent *a)
{
	struct json_object *o = json_object_new_object(), *vms = json_object_new_array();

	clu_add_str(o, "node", a->node);
	clu_add_str(o, "boot_id", a->boot_id);
	clu_add_str(o, "release", PACKAGE_VERSION);
	clu_add_u64(o, "memory_total_bytes", clu_host_total_bytes());
	clu_add_u64(o, "memory_free_bytes", clu_host_free_bytes(a->conf));
	clu_super_each(a->super, hello_vm, vms);
	json_object_object_add(o, "vms", vms);
	return o;
}

void clu_verb_peer_hello(struct px_req *q, void *agent)
{
	clu_answer(q, hello_doc(agent));
}

static void reclaimed(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;
	struct json_object *o = json_object_new_object();

	(void)r;
	clu_add_str(o, "boot_id", q->work);
	clu_add_str(o, "block", err->code ? "held" : "released");
	free(q->work);
	clu_answer(q, o);
}

/* Another node wants a VM whose block names us: if its process here is dead, let the block go. */
void clu_verb_peer_reclaim(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;

	if (!q->msg->config || clu_vmconf_check(q->msg->config, &err)) {
		cm_err_set(&err, CM_E_USAGE, "peer-reclaim needs a configuration");
		px_req_fail(q, &err);
		return;
	}
	if (clu_super_find(a->super, q->msg->vm)) {
		clu_answer(q, hello_doc(a));
		return;
	}
	q->work = strdup(a->boot_id);
	clu_start_vm(a, CLU_START_RELEASE, q->msg->config, NULL, 2000, NULL, reclaimed, q);
}

void clu_verb_peer_fence_mark(struct px_req *q, void *agent)
{
	struct json_object *o = json_object_new_object();

	clu_add_bool(o, "fence_hvsan", clu_fenced_marked(agent, q->msg->node));
	clu_answer(q, o);
}
