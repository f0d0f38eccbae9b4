/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_vm.c - create and delete, and what a VM's hvcore does itself: handed on as it is.
 * Whether a VM runs is clu_verb_run.c's.
 *
 * Parses arguments of operators.
 */
#include "config.h"

#include "cluster/verb/clu_verb_vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_member.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_copy.h"
#include "cluster/vm/clu_define.h"
#include "cluster/vm/clu_saved_note.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "cluster/vm/clu_where.h"

#define VM_ASK_MS 30000u

/* --- what hvcore does itself ------------------------------------------------ */

/* Hands the operator's request to the VM's hvcore as it is. */
static void core_ask(struct px_req *q, struct clu_agent *a, const char *node)
{
	struct cm_err err = CM_ERR_INIT;
	Hv__Request req = *q->msg;
	Hv__VmConfig *c;
	struct px_client *core;

	if (!*node) {
		if (clu_store_vm(a, q->msg->vm, &c, &err)) {
			px_req_fail(q, &err);
			return;
		}
		hv__vm_config__free_unpacked(c, NULL);
		px_req_failf(q, CM_E_VM_STATE, "VM %s does not run", q->msg->vm);
		return;
	}
	if (strcmp(node, a->node) != 0) {
		clu_forward(a, node, q);
		return;
	}
	core = clu_vm_core(clu_super_find(a->super, q->msg->vm), &err);
	if (!core) {
		px_req_fail(q, &err);
		return;
	}
	px_client_call(core, &req, VM_ASK_MS, clu_relay_answer, q);
}

void clu_verb_core(struct px_req *q, void *agent)
{
	core_ask(q, agent, clu_where_node(agent, q->msg->vm));
}

/* Testers reach a VM that lands here, too. */
void clu_verb_core_fault(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	bool here = clu_super_find(a->super, q->msg->vm) != NULL;

	core_ask(q, a, here ? a->node : clu_where_node(a, q->msg->vm));
}

/* --- create, delete --------------------------------------------------------- */

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

void clu_verb_create(struct px_req *q, void *agent)
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
	rc = rc ? rc : clu_member_need_quorum(a, &err);
	rc = rc ? rc : clu_vmconf_build(q->msg->vm, create_get_uuid, &k, &c, &err);
	rc = rc ? rc : clu_define_check(a, c, &err);
	if (rc) {
		cm_err_set(&err, rc, "%s", cm_err_text(rc));
		px_req_fail(q, &err);
	} else {
		clu_define_vm(a, q, c, px_req_flag(q, "start"), true);
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
	clu_event(a->events, CLU_NOTICE, "vm-deleted", q->msg->vm, NULL, "deleted; its disks stay");
	clu_saved_note_forget(a, q->msg->vm);
	if (a->pcmk) {
		clu_pcmk_vm_delete(a->pcmk, q->msg->vm, simple_done, q);
		return;
	}
	code = clu_store_drop_vm(a, q->msg->vm, &local);
	simple_done(code, &local, q);
}

void clu_verb_delete(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	struct undefine *k;
	Hv__VmConfig *c;
	int rc = clu_member_need_quorum(a, &err);

	rc = rc ? rc : clu_store_vm(a, q->msg->vm, &c, &err);
	if (rc) {
		px_req_fail(q, &err);
		return;
	}
	if (*clu_where_node(a, q->msg->vm) || clu_super_find(a->super, q->msg->vm)) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s runs: stop it first (hvctl stop %s)",
			     q->msg->vm, q->msg->vm);
	} else {
		k = calloc(1, sizeof *k);
		CM_ASSERT(k);
		*k = (struct undefine){.agent = a, .q = q};
		clu_copy_drop(a, c, px_req_flag(q, "force"), undefine_dropped, k);
	}
	hv__vm_config__free_unpacked(c, NULL);
}
