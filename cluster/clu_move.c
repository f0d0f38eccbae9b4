/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move.c - migrations, seen from the agents: who asks, who lands, when pacemaker hears of it.
 *
 * The source's agent leads. All that can fail happens before pacemaker is told: the destination's
 * admission, the connection, pre-copy until the forecast blackout fits ("hold"). Then the expiring
 * preference makes pacemaker call migrate_to, which performs only the hand-over. A move that pacemaker
 * starts by itself runs all of it inside migrate_to. Who owns the VM is decided by the ownership block
 * alone, never here.
 *
 * Parses arguments of operators, replies of hvcore and of peers.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/clu_agent_int.h"
#include "common/cm_clock.h"
#include "common/cm_fsm.h"
#include "common/cm_log.h"
#include "proto/px_tls.h"

#define MOVE_TICKET_S     3600u
#define MOVE_INCOMING_MS  30000u
#define MOVE_PREFER_S     120u
#define MOVE_PCMK_MS      60000u /* from the preference to pacemaker's migrate_to */
#define MOVE_SETTLE_MS    20000u /* until pacemaker has it started there */
#define MOVE_LOOK_MS      200u

/* X-macro: states and events of a move. */
// clang-format off
#define MOVE_STATES(XX) \
	XX(MOVE_NONE) \
	XX(MOVE_ASKING)   /* the destination prepares */ \
	XX(MOVE_COPYING)  /* hvcore runs rounds */ \
	XX(MOVE_HELD)     /* the forecast fits; pacemaker is being told */ \
	XX(MOVE_HANDOVER) /* committing */ \
	XX(MOVE_SETTLING) /* moved; pacemaker has to see it */ \
	XX(MOVE_ENDED)
#define MOVE_EVENTS(XX) \
	XX(MOVE_EV_NONE) \
	XX(MOVE_EV_LANDING) /* the destination listens */ \
	XX(MOVE_EV_READY)   /* held at a fitting forecast */ \
	XX(MOVE_EV_CALLED)  /* pacemaker called migrate_to */ \
	XX(MOVE_EV_MOVED)   /* hvcore reports success */ \
	XX(MOVE_EV_SEEN)    /* pacemaker has it started there, or waited long enough */ \
	XX(MOVE_EV_FAILED)
// clang-format on
enum move_state { MOVE_STATES(CM_FSM_ENUM_ROW) MOVE_STATE_COUNT };
enum move_event { MOVE_EVENTS(CM_FSM_ENUM_ROW) MOVE_EVENT_COUNT };
static const char *const move_states[] = {
#define XX(n) #n,
	MOVE_STATES(XX)};
static const char *const move_events[] = {MOVE_EVENTS(XX)
#undef XX
};

struct clu__move {
	struct clu__move *next;
	struct clu_agent *agent;
	struct cm_fsm fsm;
	char vm[64], node[64], mode[8];
	uint64_t max_blackout_ms;
	Hv__VmConfig *config;
	struct px_psk psk;
	uint64_t epoch, started_ns;
	char address[64], port[8];
	struct px_req *operator; /* who asked by hvctl; NULL: pacemaker did, or it went away */
	struct px_req *ocf;      /* pacemaker's migrate_to, while it waits */
	struct cm_timer timer;
	char *result;            /* hvcore's document */
	char last_progress[512];
	bool preferred;
	struct cm_err err;
};

/* --- small parts ------------------------------------------------------------------------------------------ */

static struct clu__move *move_find(struct clu_agent *a, const char *vm)
{
	for (struct clu__move *m = a->moves; m; m = m->next)
		if (strcmp(m->vm, vm) == 0)
			return m;
	return NULL;
}

struct json_object *clu__move_doc(struct clu_agent *a, const char *vm)
{
	struct clu__move *m = move_find(a, vm);
	struct json_object *o;

	if (!m)
		return NULL;
	o = json_object_new_object();
	clu__add_str(o, "to", m->node);
	clu__add_str(o, "mode", m->mode);
	clu__add_str(o, "state", cm_fsm_state_name(&m->fsm));
	if (m->last_progress[0])
		json_object_object_add(o, "progress", json_tokener_parse(m->last_progress));
	return o;
}

static void move_free(void *arg)
{
	struct clu__move *m = arg;

	cm_timer_fini(&m->timer);
	hv__vm_config__free_unpacked(m->config, NULL);
	px_psk_wipe(&m->psk);
	free(m->result);
	free(m);
}

static struct px_client *move_core(struct clu__move *m, struct cm_err *err)
{
	struct clu_vm *vm = clu_super_find(m->agent->super, m->vm);

	if (!vm) {
		cm_err_set(err, CM_E_VM_STATE, "VM %s does not run on node %s", m->vm, m->agent->node);
		return NULL;
	}
	return clu_vm_core(vm, err);
}

/* The two who may wait for the outcome. */
static void move_tell(struct px_req **who, const char *doc, const struct cm_err *err)
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

static void move_unpreferred(int code, const struct cm_err *err, void *arg)
{
	(void)arg;
	if (code)
		cm_warning("a migration's preference could not be removed (it expires by itself): %s", err->text);
}

/* --- actions -------------------------------------------------------------------------------------------------- */

static void move_feed(struct clu__move *m, enum move_event ev, const char *why)
{
	cm_fsm_feed(&m->fsm, ev, why, NULL);
}

static void move_fail(struct clu__move *m, const struct cm_err *err)
{
	cm_err_set(&m->err, err->code, "%s", err->text);
	move_feed(m, MOVE_EV_FAILED, m->err.text);
}

static void move_progress(struct clu__move *m, const char *doc)
{
	snprintf(m->last_progress, sizeof m->last_progress, "%s", doc);
	if (m->operator)
		px_req_progress(m->operator, doc);
	if (m->ocf)
		px_req_progress(m->ocf, doc);
}

static void core_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m = arg;

	if (r && r->more) {
		move_progress(m, r->doc);
		if (strstr(r->doc, "\"ready\"") && m->fsm.state == MOVE_COPYING)
			move_feed(m, MOVE_EV_READY, "forecast fits");
		return;
	}
	if (err->code) {
		move_fail(m, err);
		return;
	}
	m->result = strdup(r->doc);
	move_feed(m, MOVE_EV_MOVED, "hvcore says so");
}

static unsigned act_copy(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct px_client *core = move_core(m, &m->err);
	Hv__Ticket t = HV__TICKET__INIT;
	struct px_ask ask;
	char ms[24];

	(void)arg;
	if (!core)
		return MOVE_EV_FAILED;
	px_ask_init(&ask, "migrate", m->vm);
	px_ask_arg(&ask, "address", m->address);
	px_ask_arg(&ask, "port", m->port);
	px_ask_arg(&ask, "mode", m->mode);
	snprintf(ms, sizeof ms, "%llu", (unsigned long long)m->max_blackout_ms);
	if (m->max_blackout_ms)
		px_ask_arg(&ask, "max_blackout_ms", ms);
	/* Held only for an operator in a cluster: pacemaker must be told in between. */
	if (m->operator && m->agent->pcmk && !m->ocf)
		px_ask_arg(&ask, "hold", "1");
	t.vm_uuid = m->config->uuid;
	t.source = m->agent->node;
	t.destination = m->node;
	t.epoch = m->epoch;
	t.id = (ProtobufCBinaryData){sizeof m->psk.id, m->psk.id};
	t.psk = (ProtobufCBinaryData){sizeof m->psk.key, m->psk.key};
	ask.req.ticket = &t;
	px_client_call(core, &ask.req, 0, core_answer, m);
	return MOVE_EV_NONE;
}

static void commit_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code) /* the answer of `migrate` itself decides */
		cm_warning("migrate-commit: %s", err->text);
}

static unsigned act_commit(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct px_client *core = move_core(m, &m->err);
	struct px_ask ask;

	(void)arg;
	cm_timer_disarm(&m->timer);
	if (!core)
		return MOVE_EV_FAILED;
	px_ask_init(&ask, "migrate-commit", m->vm);
	px_client_call(core, &ask.req, 0, commit_answer, NULL);
	return MOVE_EV_NONE;
}

/* The move may be over when pacemaker's tool answers: it is found again by name. */
struct prefer {
	struct clu_agent *agent;
	char vm[64];
};

static void prefer_done(int code, const struct cm_err *err, void *arg)
{
	struct prefer *p = arg;
	struct clu__move *m = move_find(p->agent, p->vm);

	if (m && code && m->fsm.state == MOVE_HELD)
		move_fail(m, err);
	free(p);
}

static unsigned act_prefer(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct prefer *p;

	(void)arg;
	if (m->ocf) /* pacemaker waits already */
		return MOVE_EV_CALLED;
	p = calloc(1, sizeof *p);
	CM_ASSERT(p);
	p->agent = m->agent;
	snprintf(p->vm, sizeof p->vm, "%s", m->vm);
	m->preferred = true;
	clu_pcmk_prefer(m->agent->pcmk, m->vm, m->node, MOVE_PREFER_S, prefer_done, p);
	cm_timer_arm_ms(&m->timer, MOVE_PCMK_MS);
	return MOVE_EV_NONE;
}

static unsigned act_settle(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	clu_event(m->agent->events, "notice", "migrated", m->vm, m->result, "moved to node %s (%s)", m->node, m->mode);
	move_tell(&m->ocf, m->result, &none);
	if (!m->agent->pcmk || !m->operator)
		return MOVE_EV_SEEN;
	m->started_ns = cm_now_ns();
	clu_pcmk_refresh(m->agent->pcmk);
	cm_timer_arm_ms(&m->timer, MOVE_LOOK_MS);
	return MOVE_EV_NONE;
}

static void move_end(struct clu__move *m)
{
	struct clu_agent *a = m->agent;

	for (struct clu__move **p = &a->moves; *p; p = &(*p)->next)
		if (*p == m) {
			*p = m->next;
			break;
		}
	cm_timer_disarm(&m->timer);
	if (m->preferred)
		clu_pcmk_unprefer(a->pcmk, m->vm, move_unpreferred, NULL);
	cm_loop_defer(a->loop, move_free, m);
}

static unsigned act_done(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	move_tell(&m->operator, m->result, &none);
	move_tell(&m->ocf, m->result, &none);
	move_end(m);
	return MOVE_EV_NONE;
}

static void cancel_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code)
		cm_debug("migration clean-up: %s", err->text);
}

static unsigned act_failed(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct clu_agent *a = m->agent;
	struct px_client *core;
	struct px_ask ask;

	(void)arg;
	cm_err_set(&m->err, CM_E_MIG_PEER, "the migration failed");
	clu_event(a->events, "warning", "migration-failed", m->vm, NULL, "migration to node %s failed: %s", m->node,
		  m->err.text);
	core = move_core(m, NULL);
	if (core) {
		px_client_forget(core, m);
		px_ask_init(&ask, "migrate-cancel", m->vm);
		px_client_call(core, &ask.req, 10000, cancel_answer, NULL);
	}
	if (a->peers) {
		px_ask_init(&ask, "peer-incoming-cancel", m->vm);
		clu_peers_call(a->peers, m->node, &ask.req, 10000, cancel_answer, NULL);
	}
	move_tell(&m->operator, NULL, &m->err);
	move_tell(&m->ocf, NULL, &m->err);
	move_end(m);
	return MOVE_EV_NONE;
}

#define FAIL CM_ACT(MOVE_ENDED, act_failed)
static const struct cm_fsm_cell move_cells[MOVE_STATE_COUNT][MOVE_EVENT_COUNT] = {
	[MOVE_ASKING] = {
		[MOVE_EV_LANDING] = CM_ACT(MOVE_COPYING, act_copy), [MOVE_EV_READY] = CM_BAD,
		[MOVE_EV_CALLED] = CM_IGN, [MOVE_EV_MOVED] = CM_BAD, [MOVE_EV_SEEN] = CM_BAD, [MOVE_EV_FAILED] = FAIL,
	},
	[MOVE_COPYING] = {
		[MOVE_EV_LANDING] = CM_BAD, [MOVE_EV_READY] = CM_ACT(MOVE_HELD, act_prefer),
		[MOVE_EV_CALLED] = CM_IGN, /* held later: then the waiting call commits it */
		[MOVE_EV_MOVED] = CM_ACT(MOVE_SETTLING, act_settle), [MOVE_EV_SEEN] = CM_BAD, [MOVE_EV_FAILED] = FAIL,
	},
	[MOVE_HELD] = {
		[MOVE_EV_LANDING] = CM_BAD, [MOVE_EV_READY] = CM_IGN,
		[MOVE_EV_CALLED] = CM_ACT(MOVE_HANDOVER, act_commit), [MOVE_EV_MOVED] = CM_BAD,
		[MOVE_EV_SEEN] = CM_BAD, [MOVE_EV_FAILED] = FAIL,
	},
	[MOVE_HANDOVER] = {
		[MOVE_EV_LANDING] = CM_BAD, [MOVE_EV_READY] = CM_IGN, [MOVE_EV_CALLED] = CM_IGN,
		[MOVE_EV_MOVED] = CM_ACT(MOVE_SETTLING, act_settle), [MOVE_EV_SEEN] = CM_BAD, [MOVE_EV_FAILED] = FAIL,
	},
	[MOVE_SETTLING] = {
		[MOVE_EV_LANDING] = CM_BAD, [MOVE_EV_READY] = CM_IGN, [MOVE_EV_CALLED] = CM_IGN, [MOVE_EV_MOVED] = CM_BAD,
		[MOVE_EV_SEEN] = CM_ACT(MOVE_ENDED, act_done), [MOVE_EV_FAILED] = CM_IGN,
	},
	[MOVE_ENDED] = {
		[MOVE_EV_LANDING] = CM_IGN, [MOVE_EV_READY] = CM_IGN, [MOVE_EV_CALLED] = CM_IGN, [MOVE_EV_MOVED] = CM_IGN,
		[MOVE_EV_SEEN] = CM_IGN, [MOVE_EV_FAILED] = CM_IGN,
	},
};
static const struct cm_fsm_def move_def = {"move", MOVE_STATE_COUNT, MOVE_EVENT_COUNT,
					   move_states, move_events, &move_cells[0][0]};

const struct cm_fsm_def *clu__move_fsm(void)
{
	return &move_def;
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static void move_look(struct clu__move *m)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(m->agent->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, m->vm) : NULL;

	if (v && v->active && strcmp(v->node, m->node) == 0 && v->role == CLU_PCMK_ROLE_STARTED)
		move_feed(m, MOVE_EV_SEEN, "pacemaker has it there");
	else if (cm_now_ns() - m->started_ns > MOVE_SETTLE_MS * CM_NS_PER_MS)
		move_feed(m, MOVE_EV_SEEN, "pacemaker is slow");
}

void clu__move_picture(struct clu_agent *a)
{
	struct clu__move *next;

	for (struct clu__move *m = a->moves; m; m = next) {
		next = m->next;
		if (m->fsm.state == MOVE_SETTLING)
			move_look(m);
	}
}

static void move_timer(struct cm_timer *t, void *arg)
{
	struct clu__move *m = arg;
	struct cm_err err = CM_ERR_INIT;

	if (m->fsm.state == MOVE_SETTLING) {
		clu_pcmk_refresh(m->agent->pcmk);
		cm_timer_arm_ms(t, MOVE_LOOK_MS);
		move_look(m);
		return;
	}
	cm_err_set(&err, CM_E_TIMEOUT, "pacemaker did not ask for the hand-over of VM %s within %u s (hvctl why %s)",
		   m->vm, MOVE_PCMK_MS / 1000, m->vm);
	move_fail(m, &err);
}

void clu__move_vm_gone(struct clu_agent *a, const char *vm)
{
	struct clu__move *m = move_find(a, vm);
	struct cm_err err = CM_ERR_INIT;

	/* A clean end after the commit is normal: then the result is on its way or there. */
	if (!m || m->fsm.state == MOVE_SETTLING)
		return;
	cm_err_set(&err, CM_E_MIG_PEER, "VM %s's process ended during its migration", vm);
	move_fail(m, &err);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void incoming_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m = arg;
	struct json_object *o, *v;

	if (r && r->more)
		return;
	if (err->code) {
		move_fail(m, err);
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
		move_fail(m, &bad);
		return;
	}
	move_feed(m, MOVE_EV_LANDING, m->address);
}

static void move_ask_peer(struct clu__move *m)
{
	Hv__Ticket t = HV__TICKET__INIT;
	struct px_ask ask;

	t.vm_uuid = m->config->uuid;
	t.source = m->agent->node;
	t.destination = m->node;
	t.epoch = m->epoch;
	t.expires_wall_ns = cm_wall_ns() + MOVE_TICKET_S * CM_NS_PER_S;
	t.id = (ProtobufCBinaryData){sizeof m->psk.id, m->psk.id};
	t.psk = (ProtobufCBinaryData){sizeof m->psk.key, m->psk.key};
	px_ask_init(&ask, "peer-incoming", m->vm);
	ask.req.config = m->config;
	ask.req.ticket = &t;
	clu_peers_call(m->agent->peers, m->node, &ask.req, MOVE_INCOMING_MS, incoming_answer, m);
}

static void move_status(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m = arg;
	struct json_object *o = r && r->code == 0 ? json_tokener_parse(r->doc) : NULL, *v;
	const char *state = "";

	if (o && json_object_object_get_ex(o, "epoch", &v))
		m->epoch = json_object_get_uint64(v);
	if (o && json_object_object_get_ex(o, "state", &v))
		state = json_object_get_string(v);
	if (!o) {
		move_fail(m, err);
	} else if (strcmp(state, "running") != 0 && strcmp(state, "paused") != 0) {
		struct cm_err bad = CM_ERR_INIT;

		cm_err_set(&bad, CM_E_VM_STATE, "VM %s is %s: only a running or paused VM can move", m->vm, state);
		move_fail(m, &bad);
	} else {
		move_ask_peer(m);
	}
	json_object_put(o);
}

static int move_check(struct clu_agent *a, const char *vm, const char *node, struct cm_err *err)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const struct clu_pcmk_node *n = pic ? clu_pcmk_find_node(pic, node) : NULL;

	if (!a->pcmk)
		return cm_err_set(err, CM_E_NO_CLUSTER, "this host runs standalone: there is no other node to move to");
	if (clu__agent_need_quorum(a, err))
		return err->code;
	if (!n && pic)
		return cm_err_set(err, CM_E_NO_NODE, "no node '%s' in this cluster", node);
	if (strcmp(node, a->node) == 0)
		return cm_err_set(err, CM_E_MIG_SAME_NODE, "VM %s runs on node %s already", vm, node);
	if (!clu__agent_is_member(a, node) || (n && (!n->online || n->pending)))
		return cm_err_set(err, CM_E_NODE_OFFLINE, "node %s is not an online member", node);
	if (n && (n->standby || n->maintenance))
		return cm_err_set(err, CM_E_NODE_OFFLINE, "node %s takes no VMs now: it is %s", node,
				  n->standby ? "drained (hvctl node undrain)" : "in maintenance");
	if (!a->peers)
		return cm_err_set(err, CM_E_NO_CLUSTER, "this node's agent cannot reach others yet");
	if (move_find(a, vm))
		return cm_err_set(err, CM_E_MIG_BUSY, "VM %s is being moved already", vm);
	return 0;
}

static void operator_gone(struct px_req *q)
{
	struct clu__move *m = q->work;

	/* The operator's terminal went away; the move goes on and its result is an event. */
	m->operator = NULL;
	px_req_ok(q, NULL);
}

static void ocf_gone(struct px_req *q)
{
	struct clu__move *m = q->work;
	struct cm_err err = CM_ERR_INIT;

	/* Pacemaker gave up (timed out): so do we, if it is not too late. */
	m->ocf = NULL;
	px_req_ok(q, NULL);
	cm_err_set(&err, CM_E_MIG_CANCELLED, "pacemaker gave up waiting");
	if (m->fsm.state < MOVE_HANDOVER)
		move_fail(m, &err);
}

static struct clu__move *move_new(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *config, const char *mode,
				  uint64_t max_blackout_ms)
{
	struct clu__move *m = calloc(1, sizeof *m);

	CM_ASSERT(m);
	m->agent = a;
	snprintf(m->vm, sizeof m->vm, "%s", q->msg->vm);
	snprintf(m->node, sizeof m->node, "%s", q->msg->node);
	snprintf(m->mode, sizeof m->mode, "%s", mode);
	m->max_blackout_ms = max_blackout_ms;
	m->config = clu_vmconf_dup(config);
	cm_fsm_init(&m->fsm, &move_def, MOVE_ASKING, m, m->vm);
	cm_timer_init(&m->timer, a->loop, move_timer, m);
	q->work = m;
	m->next = a->moves;
	a->moves = m;
	clu_event(a->events, "notice", "migration-started", m->vm, NULL, "%s migration to node %s", mode, m->node);
	if (px_psk_make(&m->psk)) {
		struct cm_err err = CM_ERR_INIT;

		cm_err_set(&err, -5, "the kernel has no random bytes");
		move_fail(m, &err);
		return NULL;
	}
	clu_vm_ask(clu_super_find(a->super, m->vm), "status", 5000, move_status, m);
	return m;
}

/* --- verbs: operator, OCF agent -------------------------------------------------------------------------------------- */

void clu__verb_migrate(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const char *mode = px_req_arg(q, "mode"), *node = clu__vm_node(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	struct clu__move *m;
	Hv__VmConfig *c = NULL;
	uint64_t ms;

	mode = mode ? mode : "live";
	if (strcmp(mode, "live") && strcmp(mode, "quick"))
		cm_err_set(&err, CM_E_BAD_VALUE, "mode: '%s' is not live or quick", mode);
	if (err.code || px_req_u64(q, "max_blackout_ms", 0, 1, 3600000, &ms, &err) ||
	    clu__store_vm(a, q->msg->vm, &c, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (*node && strcmp(node, q->msg->node) == 0) {
		cm_err_set(&err, CM_E_MIG_SAME_NODE, "VM %s runs on node %s already", q->msg->vm, node);
	} else if (!*node) {
		cm_err_set(&err, CM_E_VM_STATE, "VM %s does not run (hvctl start %s)", q->msg->vm, q->msg->vm);
	} else if (strcmp(node, a->node) != 0) {
		hv__vm_config__free_unpacked(c, NULL);
		clu__forward(a, node, q);
		return;
	} else {
		move_check(a, q->msg->vm, q->msg->node, &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
	} else {
		m = move_new(a, q, c, mode, ms);
		if (m) {
			m->operator = q;
			q->gone = operator_gone;
		}
	}
	hv__vm_config__free_unpacked(c, NULL);
}

void clu__verb_migrate_cancel(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu__move *m = move_find(a, q->msg->vm);
	const char *node = clu__vm_node(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;

	if (!m && *node && strcmp(node, a->node) != 0) {
		clu__forward(a, node, q);
		return;
	}
	if (!m) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s is not being moved", q->msg->vm);
		return;
	}
	if (m->fsm.state >= MOVE_HANDOVER) {
		px_req_failf(q, CM_E_MIG_BUSY, "too late: VM %s is being handed over", q->msg->vm);
		return;
	}
	cm_err_set(&err, CM_E_MIG_CANCELLED, "cancelled by the operator; VM %s runs on node %s", m->vm, a->node);
	move_fail(m, &err);
	px_req_ok(q, NULL);
}

void clu__verb_local_migrate_to(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct clu__move *m = move_find(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;

	if (m && strcmp(m->node, q->msg->node) == 0 && !m->ocf) {
		m->ocf = q;
		q->work = m;
		q->gone = ocf_gone;
		move_feed(m, MOVE_EV_CALLED, "pacemaker");
		return;
	}
	if (m) {
		/* Pacemaker decides where: what an operator began towards another node ends. */
		cm_err_set(&err, CM_E_MIG_CANCELLED, "pacemaker moves VM %s to node %s instead", m->vm, q->msg->node);
		move_fail(m, &err);
		cm_err_clear(&err);
	}
	if (!clu_super_find(a->super, q->msg->vm))
		cm_err_set(&err, CM_E_VM_STATE, "VM %s does not run on node %s", q->msg->vm, a->node);
	else if (move_check(a, q->msg->vm, q->msg->node, &err) == 0 &&
		 clu__store_vm(a, q->msg->vm, &c, &err) == 0) {
		m = move_new(a, q, c, "live", 0);
		if (m) {
			m->ocf = q;
			q->gone = ocf_gone;
		}
		hv__vm_config__free_unpacked(c, NULL);
		return;
	}
	px_req_fail(q, &err);
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

/* --- verbs: the other side ---------------------------------------------------------------------------------------------- */

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
	if (old) /* a landing that its source forgot; it has no right to run */
		clu_vm_kill(old);
	if (q->msg->config->memory_bytes > clu__host_free_bytes(a)) {
		px_req_failf(q, CM_E_TARGET_FULL, "VM %s needs %llu MiB, node %s has %llu MiB free", q->msg->vm,
			     (unsigned long long)(q->msg->config->memory_bytes >> 20), a->node,
			     (unsigned long long)(clu__host_free_bytes(a) >> 20));
		return;
	}
	q->work = a;
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
