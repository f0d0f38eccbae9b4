/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_list.c - the moves of this node, and the small parts that all steps of a move use.
 * Answers find their move by the number of its try, so it may go at any time. Parses nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"

#define MOVE_TRIES 4u

/* --- answers find their move by its number ---------------------------------- */

struct clu__move_ref {
	struct clu_agent *agent;
	uint64_t serial;
};

struct clu__move_ref *clu__move_ref(struct clu_move *m)
{
	struct clu__move_ref *ref = malloc(sizeof *ref);

	CM_ASSERT(ref);
	*ref = (struct clu__move_ref){m->agent, m->serial};
	return ref;
}

/* NULL: that try is over. */
struct clu_move *clu__move_of(struct clu__move_ref *ref)
{
	for (struct clu_move *m = ref->agent->moves; m; m = m->next)
		if (m->serial == ref->serial)
			return m;
	return NULL;
}

struct clu_move *clu__move_taken(struct clu__move_ref *ref)
{
	struct clu_move *m = clu__move_of(ref);

	free(ref);
	return m;
}

void clu__move_number(struct clu_move *m)
{
	m->serial = ++m->agent->last_move;
}

/* --- small parts ------------------------------------------------------------ */

struct clu_move *clu__move_find(struct clu_agent *a, const char *vm)
{
	for (struct clu_move *m = a->moves; m; m = m->next)
		if (strcmp(m->vm, vm) == 0)
			return m;
	return NULL;
}

bool clu_move_is(struct clu_agent *a, const char *vm)
{
	return clu__move_find(a, vm) != NULL;
}

void clu__move_free(void *arg)
{
	struct clu_move *m = arg;

	cm_timer_fini(&m->timer);
	hv__vm_config__free_unpacked(m->config, NULL);
	px_psk_wipe(&m->psk);
	free(m->result);
	free(m);
}

/* The VM's process here, unless it is one that lands. */
struct clu_vm *clu__move_vm(struct clu_move *m)
{
	struct clu_vm *vm = clu_super_find(m->agent->super, m->vm);

	return vm && !clu_vm_incoming(vm) ? vm : NULL;
}

struct px_client *clu__move_core(struct clu_move *m, struct cm_err *err)
{
	struct clu_vm *vm = clu__move_vm(m);

	if (!vm) {
		cm_err_set(err, CM_E_VM_STATE, "VM %s does not run on node %s", m->vm,
			   m->agent->node);
		return NULL;
	}
	return clu_vm_core(vm, err);
}

/* Those who may wait for the outcome. */
void clu__move_tell(struct px_req **who, const char *doc, const struct cm_err *err)
{
	struct px_req *q = *who;

	*who = NULL;
	if (!q)
		return;
	q->gone = NULL;
	if (err->code)
		px_req_fail(q, err);
	else
		px_req_ok(q, doc);
}

static void ignore_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code)
		cm_debug("migration clean-up: %s", err->text);
}

void clu__move_cancel_core(struct clu_move *m)
{
	struct px_client *core = clu__move_core(m, NULL);
	struct px_ask ask;

	if (!core)
		return;
	px_ask_init(&ask, "migrate-cancel", m->vm);
	px_client_call(core, &ask.req, 10000, ignore_answer, NULL);
}

void clu__move_cancel_landing(struct clu_move *m)
{
	struct px_ask ask;

	if (!m->agent->peers || !clu_member_is(m->agent, m->node))
		return;
	px_ask_init(&ask, "peer-incoming-cancel", m->vm);
	clu_peers_call(m->agent->peers, m->node, &ask.req, 10000, ignore_answer, NULL);
}

void clu__move_feed(struct clu_move *m, enum clu__move_event ev, const char *why)
{
	cm_fsm_feed(&m->fsm, ev, why, NULL);
}

static void move_why(struct clu_move *m, const struct cm_err *err)
{
	cm_err_clear(&m->err);
	cm_err_set(&m->err, err->code, "%s", err->text);
}

/* m->err says why it failed. */
enum clu__move_event clu__move_verdict(struct clu_move *m)
{
	static const int final[] = {CM_E_MIG_CANCELLED, CM_E_INCOMPATIBLE, CM_E_TARGET_FULL,
				    CM_E_NO_FILE};

	for (size_t i = 0; i < CM_ARRAY_LEN(final); i++)
		if (m->err.code == final[i])
			return MOVE_EV_FAILED;
	if (!m->ocf || !clu__move_vm(m) || m->tries >= MOVE_TRIES ||
	    !clu_member_is(m->agent, m->node) || (m->until_ns && cm_now_ns() >= m->until_ns))
		return MOVE_EV_FAILED;
	return MOVE_EV_AGAIN;
}

void clu__move_fail(struct clu_move *m, const struct cm_err *err)
{
	move_why(m, err);
	clu__move_feed(m, clu__move_verdict(m), m->err.text);
}

void clu__move_unclear(struct clu_move *m, const struct cm_err *err)
{
	move_why(m, err);
	clu__move_feed(m, MOVE_EV_UNCLEAR, m->err.text);
}
