/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_verb.c - who asks for a migration: the operator (migrate, migrate-cancel) and pacemaker's
 * agent (local-migrate-to). Parses their arguments.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move.h"
#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_member.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_vmconf.h"
#include "cluster/vm/clu_where.h"
#include "common/cm_clock.h"

static int move_check(struct clu_agent *a, const char *vm, const char *node, struct cm_err *err)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const struct clu_pcmk_node *n = pic ? clu_pcmk_find_node(pic, node) : NULL;

	if (!a->pcmk)
		return cm_err_set(err, CM_E_NO_CLUSTER,
				  "this host runs standalone: there is no other node to move to");
	if (clu_member_need_quorum(a, err))
		return err->code;
	if (!n && pic)
		return cm_err_set(err, CM_E_NO_NODE, "no node '%s' in this cluster", node);
	if (strcmp(node, a->node) == 0)
		return cm_err_set(err, CM_E_MIG_SAME_NODE, "VM %s runs on node %s already", vm,
				  node);
	if (!clu_member_is(a, node) || (n && (!n->online || n->pending)))
		return cm_err_set(err, CM_E_NODE_OFFLINE, "node %s is not an online member", node);
	if (n && (n->standby || n->maintenance))
		return cm_err_set(err, CM_E_NODE_OFFLINE, "node %s takes no VMs now: it is %s",
				  node,
				  n->standby ? "drained (hvctl node undrain)" : "in maintenance");
	if (!a->peers)
		return cm_err_set(err, CM_E_NO_CLUSTER,
				  "this node's agent cannot reach others yet");
	if (clu__move_find(a, vm))
		return cm_err_set(err, CM_E_MIG_BUSY, "VM %s is being moved already", vm);
	return 0;
}

static void operator_gone(struct px_req *q)
{
	struct clu_move *m = q->work;

	/* The operator's terminal went away; the move goes on and its result is an event. */
	m->operator= NULL;
	px_req_ok(q, NULL);
}

static void ocf_gone(struct px_req *q)
{
	struct clu_move *m = q->work;
	struct cm_err err = CM_ERR_INIT;

	/* Pacemaker gave up (timed out): so do we, if it is not too late. */
	m->ocf = NULL;
	px_req_ok(q, NULL);
	cm_err_set(&err, CM_E_MIG_CANCELLED, "pacemaker gave up waiting");
	if (m->fsm.state < MOVE_HANDOVER)
		clu__move_fail(m, &err);
}

void clu_verb_migrate(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const char *node = clu_where_node(a, q->msg->vm);
	Hv__MigrationMode mode = q->msg->mode ? q->msg->mode : HV__MIGRATION_MODE__MODE_LIVE;
	struct cm_err err = CM_ERR_INIT;
	struct clu_move *m;
	Hv__VmConfig *c = NULL;
	uint64_t ms;

	if (mode != HV__MIGRATION_MODE__MODE_LIVE && mode != HV__MIGRATION_MODE__MODE_QUICK)
		cm_err_set(&err, CM_E_BAD_VALUE, "migration mode must be live or quick");
	if (err.code || px_req_u64(q, "max_blackout_ms", 0, 1, 3600000, &ms, &err) ||
	    clu_store_vm(a, q->msg->vm, &c, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (*node && strcmp(node, q->msg->node) == 0) {
		cm_err_set(&err, CM_E_MIG_SAME_NODE, "VM %s runs on node %s already", q->msg->vm,
			   node);
	} else if (!*node) {
		cm_err_set(&err, CM_E_VM_STATE, "VM %s does not run (hvctl start %s)", q->msg->vm,
			   q->msg->vm);
	} else if (strcmp(node, a->node) != 0) {
		hv__vm_config__free_unpacked(c, NULL);
		clu_forward(a, node, q);
		return;
	} else {
		move_check(a, q->msg->vm, q->msg->node, &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
	} else {
		m = clu__move_new(a, q, c, mode, ms);
		m->operator= q;
		q->work = m;
		q->gone = operator_gone;
	}
	hv__vm_config__free_unpacked(c, NULL);
}

void clu_verb_migrate_cancel(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_move *m = clu__move_find(a, q->msg->vm);
	const char *node = clu_where_node(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;

	if (!m && *node && strcmp(node, a->node) != 0) {
		clu_forward(a, node, q);
		return;
	}
	if (!m) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s is not being moved", q->msg->vm);
		return;
	}
	if (m->fsm.state >= MOVE_HANDOVER || m->cancel) {
		px_req_failf(q, CM_E_MIG_BUSY, "too late: VM %s is being handed over", q->msg->vm);
		return;
	}
	if (m->fsm.state == MOVE_HELD) {
		clu__move_cancel_held(m, q);
		return;
	}
	cm_err_set(&err, CM_E_MIG_CANCELLED, "cancelled by the operator; VM %s runs on node %s",
		   m->vm, a->node);
	clu__move_fail(m, &err);
	px_req_ok(q, NULL);
}

void clu_verb_local_migrate_to(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_move *m = clu__move_find(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;
	uint64_t ms;

	if (m && strcmp(m->node, q->msg->node) == 0 && !m->ocf) {
		m->ocf = q;
		q->work = m;
		q->gone = ocf_gone;
		clu__move_feed(m, MOVE_EV_CALLED, "pacemaker");
		return;
	}
	if (m) {
		/* Pacemaker decides where: what an operator began towards another node ends. */
		cm_err_set(&err, CM_E_MIG_CANCELLED, "pacemaker moves VM %s to node %s instead",
			   m->vm, q->msg->node);
		clu__move_fail(m, &err);
		cm_err_clear(&err);
	}
	/* Where it may go is pacemaker's business. A VM that has no process here may have moved
	 * already (the answer to an earlier call was lost): then the destination knows. */
	if (!a->peers)
		cm_err_set(&err, CM_E_NO_CLUSTER, "this node's agent cannot reach others yet");
	else if (px_req_u64(q, "timeout_ms", 3500000, 1, 86400000, &ms, &err) == 0 &&
		 (q->msg->config ? (c = clu_vmconf_dup(q->msg->config), 0)
				 : clu_store_vm(a, q->msg->vm, &c, &err)) == 0) {
		m = clu__move_new(a, q, c, HV__MIGRATION_MODE__MODE_LIVE, 0);
		m->until_ns = cm_now_ns() + ms * CM_NS_PER_MS;
		m->ocf = q;
		q->work = m;
		q->gone = ocf_gone;
		hv__vm_config__free_unpacked(c, NULL);
		return;
	}
	px_req_fail(q, &err);
}
