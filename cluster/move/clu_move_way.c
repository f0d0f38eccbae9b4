/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_way.c - a move on its way: the destination is asked, hvcore copies, is held while
 * pacemaker is told, and hands over.
 *
 * Decides nothing about ownership. Parses what the destination's agent says of where it listens.
 */
#include "config.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "proto/px_words.h"

#define MOVE_TICKET_S	 3600u
#define MOVE_INCOMING_MS 30000u
#define MOVE_PREFER_S	 120u
#define MOVE_PCMK_MS	 60000u /* from the preference to pacemaker's migrate_to */
#define MOVE_CANCEL_MS                                                                             \
	1000u /* a transition that pacemaker may have begun already shows itself in that time */

static void move_progress(struct clu_move *m, const char *doc)
{
	snprintf(m->last_progress, sizeof m->last_progress, "%s", doc);
	if (m->operator)
		px_req_progress(m->operator, doc);
	if (m->ocf)
		px_req_progress(m->ocf, doc);
}

/* --- asking the destination ------------------------------------------------- */

static void incoming_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct json_object *o, *v;
	struct clu_move *m;

	if (r && r->more)
		return;
	m = clu__move_taken(arg);
	if (!m)
		return;
	if (err->code) {
		clu__move_fail(m, err);
		return;
	}
	o = json_tokener_parse(r->doc);
	if (o && json_object_object_get_ex(o, "address", &v))
		snprintf(m->address, sizeof m->address, "%s", json_object_get_string(v));
	if (o && json_object_object_get_ex(o, "port", &v))
		snprintf(m->port, sizeof m->port, "%s", json_object_get_string(v));
	json_object_put(o);
	if (!m->address[0] || !m->port[0]) {
		struct cm_err bad = CM_ERR_INIT;

		cm_err_set(&bad, CM_E_PROTO, "node %s did not say where it listens", m->node);
		clu__move_fail(m, &bad);
		return;
	}
	clu__move_feed(m, MOVE_EV_LANDING, m->address);
}

static void move_ticket(struct clu_move *m, Hv__Ticket *t)
{
	hv__ticket__init(t);
	t->vm_uuid = m->config->uuid;
	t->source = m->agent->node;
	t->destination = m->node;
	t->epoch = m->epoch;
	t->expires_wall_ns = cm_wall_ns() + MOVE_TICKET_S * CM_NS_PER_S;
	t->id = (ProtobufCBinaryData){sizeof m->psk.id, m->psk.id};
	t->psk = (ProtobufCBinaryData){sizeof m->psk.key, m->psk.key};
}

static void move_ask_peer(struct clu_move *m)
{
	struct px_ask ask;
	Hv__Ticket t;

	move_ticket(m, &t);
	px_ask_init(&ask, "peer-incoming", m->vm);
	ask.req.config = m->config;
	ask.req.ticket = &t;
	clu_peers_call(m->agent->peers, m->node, &ask.req, MOVE_INCOMING_MS, incoming_answer,
		       clu__move_ref(m));
}

static void ask_status(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_move *m = clu__move_taken(arg);
	struct cm_err bad = CM_ERR_INIT;

	if (!m)
		return;
	if (!err->code && px_vm_state_runs(r->state)) {
		m->epoch = r->epoch;
		move_ask_peer(m);
		return;
	}
	if (err->code)
		bad = *err;
	else
		cm_err_set(&bad, CM_E_VM_STATE, "VM %s is %s: only a running or paused VM can move",
			   m->vm, px_vm_state_word(r->state));
	/* For pacemaker it may be an earlier try that is not over yet. */
	if (m->ocf)
		clu__move_unclear(m, &bad);
	else
		clu__move_fail(m, &bad);
}

unsigned clu__move_act_ask(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	struct clu_vm *vm = clu__move_vm(m);

	(void)arg;
	m->tries++;
	m->address[0] = m->port[0] = '\0';
	cm_err_clear(&m->err);
	if (px_psk_make(&m->psk)) {
		cm_err_set(&m->err, -5, "the kernel has no random bytes");
		return MOVE_EV_FAILED;
	}
	if (!vm) {
		cm_err_set(&m->err, CM_E_VM_STATE, "VM %s does not run on node %s", m->vm,
			   m->agent->node);
		return MOVE_EV_UNCLEAR;
	}
	clu_vm_ask(vm, "status", 5000, ask_status, clu__move_ref(m));
	return MOVE_EV_NONE;
}

/* --- copying, held, hand-over ----------------------------------------------- */

static void core_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_move *m;

	if (r && r->more) {
		m = clu__move_of(arg);
		if (!m)
			return;
		move_progress(m, r->doc);
		if (r->stage == HV__MIGRATION_STAGE__STAGE_READY && m->fsm.state == MOVE_COPYING)
			clu__move_feed(m, MOVE_EV_READY, "forecast fits");
		return;
	}
	m = clu__move_taken(arg);
	if (!m)
		return;
	if (!r) {
		struct cm_err ended = CM_ERR_INIT;

		cm_err_set(&ended, CM_E_MIG_PEER,
			   "the process of VM %s on node %s ended during the migration (%s)", m->vm,
			   m->agent->node, err->text);
		clu__move_unclear(m, &ended);
		return;
	}
	if (err->code) {
		clu__move_unclear(m, err);
		return;
	}
	if (clu__move_result(m, r->doc)) {
		clu__move_feed(m, MOVE_EV_MOVED, "hvcore says so");
	} else {
		struct cm_err untold = CM_ERR_INIT;

		/* Committed, but the destination was not heard any more: it may have died with
		 * the VM. */
		cm_err_set(&untold, CM_E_MIG_PEER,
			   "VM %s was handed over to node %s, but it does not run there", m->vm,
			   m->node);
		clu__move_unclear(m, &untold);
	}
}

unsigned clu__move_act_copy(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	struct px_client *core = clu__move_core(m, &m->err);
	struct px_ask ask;
	Hv__Ticket t;
	char ms[24];

	(void)arg;
	if (!core)
		return MOVE_EV_UNCLEAR;
	px_ask_init(&ask, "migrate", m->vm);
	px_ask_arg(&ask, "address", m->address);
	px_ask_arg(&ask, "port", m->port);
	ask.req.mode = m->mode;
	snprintf(ms, sizeof ms, "%llu", (unsigned long long)m->max_blackout_ms);
	if (m->max_blackout_ms)
		px_ask_arg(&ask, "max_blackout_ms", ms);
	/* Held while pacemaker does not know yet: it must be told in between. */
	if (!m->ocf)
		px_ask_arg(&ask, "hold", "1");
	move_ticket(m, &t);
	ask.req.ticket = &t;
	px_client_call(core, &ask.req, 0, core_answer, clu__move_ref(m));
	return MOVE_EV_NONE;
}

static void commit_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code) /* the answer of `migrate` itself decides */
		cm_warning("migrate-commit: %s", err->text);
}

unsigned clu__move_act_commit(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	struct px_client *core = clu__move_core(m, &m->err);
	struct cm_err late = CM_ERR_INIT;
	struct px_ask ask;

	(void)arg;
	cm_timer_disarm(&m->timer);
	cm_err_set(&late, CM_E_MIG_BUSY, "too late: VM %s is being handed over", m->vm);
	clu__move_tell(&m->cancel, NULL, &late);
	if (!core)
		return MOVE_EV_UNCLEAR;
	px_ask_init(&ask, "migrate-commit", m->vm);
	px_client_call(core, &ask.req, 0, commit_answer, NULL);
	return MOVE_EV_NONE;
}

static void prefer_done(int code, const struct cm_err *err, void *arg)
{
	struct clu_move *m = clu__move_taken(arg);

	if (m && code && m->fsm.state == MOVE_HELD)
		clu__move_fail(m, err);
}

static void prefer_now(struct clu_move *m)
{
	m->preferred = true;
	clu_pcmk_prefer(m->agent->pcmk, m->vm, m->node, MOVE_PREFER_S, prefer_done,
			clu__move_ref(m));
	cm_timer_arm_ms(&m->timer, MOVE_PCMK_MS);
}

static void prefer_cleaned(int code, const struct cm_err *err, void *arg)
{
	struct clu_move *m = clu__move_taken(arg);

	if (code)
		cm_info("%s", err->text);
	if (m && m->fsm.state == MOVE_HELD)
		prefer_now(m);
}

unsigned clu__move_act_prefer(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(m->agent->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, m->vm) : NULL;

	(void)arg;
	if (m->ocf) /* pacemaker waits already */
		return MOVE_EV_CALLED;
	/* An old failure there would forbid pacemaker the move that the operator wants now. */
	if (v && v->failure[0])
		clu_pcmk_cleanup(m->agent->pcmk, m->vm, m->node, prefer_cleaned, clu__move_ref(m));
	else
		prefer_now(m);
	return MOVE_EV_NONE;
}

/* --- held, and the operator thinks better of it ----------------------------- */

static void cancel_gone(struct px_req *q)
{
	struct clu_move *m = q->work;

	m->cancel = NULL;
	px_req_ok(q, NULL);
}

static void cancel_unpreferred(int code, const struct cm_err *err, void *arg)
{
	struct clu_move *m = clu__move_taken(arg);

	if (!m || m->fsm.state != MOVE_HELD)
		return;
	if (code)
		cm_warning("%s", err->text);
	m->preferred = code != 0;
	cm_timer_arm_ms(&m->timer, MOVE_CANCEL_MS);
}

void clu__move_cancel_held(struct clu_move *m, struct px_req *q)
{
	m->cancel = q;
	q->work = m;
	q->gone = cancel_gone;
	cm_timer_disarm(&m->timer);
	clu_pcmk_unprefer(m->agent->pcmk, m->vm, cancel_unpreferred, clu__move_ref(m));
}

void clu__move_held_timeout(struct clu_move *m)
{
	struct cm_err err = CM_ERR_INIT;

	if (m->cancel)
		cm_err_set(&err, CM_E_MIG_CANCELLED,
			   "cancelled by the operator; VM %s runs on node %s", m->vm,
			   m->agent->node);
	else
		cm_err_set(&err, CM_E_TIMEOUT,
			   "pacemaker did not ask for the hand-over of VM %s within %u s (hvctl "
			   "why %s)",
			   m->vm, MOVE_PCMK_MS / 1000, m->vm);
	clu__move_fail(m, &err);
}
