/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move.c - migrations as the source's agent leads them: who lands, when pacemaker hears of it, and who has
 * the VM when something broke.
 *
 * All that can fail happens before pacemaker is told: the destination's admission, the connection, pre-copy until
 * the forecast blackout fits ("hold"). Then the expiring preference makes pacemaker call migrate_to, which performs
 * only the hand-over. A move that pacemaker starts by itself runs all of it inside migrate_to. Pacemaker answers a
 * failed migrate_to with stop + cold start, so while it waits a move that failed is tried again, and one whose
 * outcome is unclear is looked into: the VM is with whom its ownership block names, which is the one hvcore that runs.
 *
 * Decides nothing about ownership. Parses replies of hvcore and of peers.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "common/cm_log.h"
#include "proto/px_words.h"

#define MOVE_TICKET_S     3600u
#define MOVE_INCOMING_MS  30000u
#define MOVE_PREFER_S     120u
#define MOVE_PCMK_MS      60000u /* from the preference to pacemaker's migrate_to */
#define MOVE_SETTLE_MS    20000u /* until pacemaker has it started there */
#define MOVE_RESOLVE_MS   30000u /* until both sides said who has the VM */
#define MOVE_LOOK_MS      150u
#define MOVE_CANCEL_MS    1000u /* a transition that pacemaker may have begun already shows itself in that time */
#define MOVE_AGAIN_MS     500u
#define MOVE_TRIES        4u

static const char *const move_states[] = {
#define XX(n) #n,
	MOVE_STATES(XX)};
static const char *const move_events[] = {MOVE_EVENTS(XX)
#undef XX
};

/* --- answers find their move by its number -------------------------------------------------------------------- */

struct move_ref {
	struct clu_agent *agent;
	uint64_t serial;
};

static struct move_ref *ref_new(struct clu__move *m)
{
	struct move_ref *ref = malloc(sizeof *ref);

	CM_ASSERT(ref);
	*ref = (struct move_ref){m->agent, m->serial};
	return ref;
}

/* NULL: that try is over. */
static struct clu__move *ref_move(struct move_ref *ref)
{
	for (struct clu__move *m = ref->agent->moves; m; m = m->next)
		if (m->serial == ref->serial)
			return m;
	return NULL;
}

static struct clu__move *ref_take(struct move_ref *ref)
{
	struct clu__move *m = ref_move(ref);

	free(ref);
	return m;
}

static void move_number(struct clu__move *m)
{
	static uint64_t last;

	m->serial = ++last;
}

/* --- small parts ------------------------------------------------------------------------------------------ */

struct clu__move *clu__move_find(struct clu_agent *a, const char *vm)
{
	for (struct clu__move *m = a->moves; m; m = m->next)
		if (strcmp(m->vm, vm) == 0)
			return m;
	return NULL;
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

/* The VM's process here, unless it is one that lands. */
static struct clu_vm *move_vm(struct clu__move *m)
{
	struct clu_vm *vm = clu_super_find(m->agent->super, m->vm);

	return vm && !clu_vm_incoming(vm) ? vm : NULL;
}

static struct px_client *move_core(struct clu__move *m, struct cm_err *err)
{
	struct clu_vm *vm = move_vm(m);

	if (!vm) {
		cm_err_set(err, CM_E_VM_STATE, "VM %s does not run on node %s", m->vm, m->agent->node);
		return NULL;
	}
	return clu_vm_core(vm, err);
}

/* Those who may wait for the outcome. */
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

static void ignore_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code)
		cm_debug("migration clean-up: %s", err->text);
}

static void move_cancel_core(struct clu__move *m)
{
	struct px_client *core = move_core(m, NULL);
	struct px_ask ask;

	if (!core)
		return;
	px_ask_init(&ask, "migrate-cancel", m->vm);
	px_client_call(core, &ask.req, 10000, ignore_answer, NULL);
}

static void move_cancel_landing(struct clu__move *m)
{
	struct px_ask ask;

	if (!m->agent->peers || !clu__agent_is_member(m->agent, m->node))
		return;
	px_ask_init(&ask, "peer-incoming-cancel", m->vm);
	clu_peers_call(m->agent->peers, m->node, &ask.req, 10000, ignore_answer, NULL);
}

void clu__move_feed(struct clu__move *m, enum clu__move_event ev, const char *why)
{
	cm_fsm_feed(&m->fsm, ev, why, NULL);
}

static void move_why(struct clu__move *m, const struct cm_err *err)
{
	cm_err_clear(&m->err);
	cm_err_set(&m->err, err->code, "%s", err->text);
}

/* m->err says why it failed. */
static enum clu__move_event move_verdict(struct clu__move *m)
{
	static const int final[] = {CM_E_MIG_CANCELLED, CM_E_INCOMPATIBLE, CM_E_TARGET_FULL, CM_E_NO_FILE};

	for (size_t i = 0; i < CM_ARRAY_LEN(final); i++)
		if (m->err.code == final[i])
			return MOVE_EV_FAILED;
	if (!m->ocf || !move_vm(m) || m->tries >= MOVE_TRIES || !clu__agent_is_member(m->agent, m->node) ||
	    (m->until_ns && cm_now_ns() >= m->until_ns))
		return MOVE_EV_FAILED;
	return MOVE_EV_AGAIN;
}

void clu__move_fail(struct clu__move *m, const struct cm_err *err)
{
	move_why(m, err);
	clu__move_feed(m, move_verdict(m), m->err.text);
}

static void move_unclear(struct clu__move *m, const struct cm_err *err)
{
	move_why(m, err);
	clu__move_feed(m, MOVE_EV_UNCLEAR, m->err.text);
}

/* --- the documents ---------------------------------------------------------------------------------------------- */

static void move_progress(struct clu__move *m, const char *doc)
{
	snprintf(m->last_progress, sizeof m->last_progress, "%s", doc);
	if (m->operator)
		px_req_progress(m->operator, doc);
	if (m->ocf)
		px_req_progress(m->ocf, doc);
}

/* --- asking the destination ---------------------------------------------------------------------------------------- */

static void incoming_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct json_object *o, *v;
	struct clu__move *m;

	if (r && r->more)
		return;
	m = ref_take(arg);
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

static void move_ticket(struct clu__move *m, Hv__Ticket *t)
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

static void move_ask_peer(struct clu__move *m)
{
	struct px_ask ask;
	Hv__Ticket t;

	move_ticket(m, &t);
	px_ask_init(&ask, "peer-incoming", m->vm);
	ask.req.config = m->config;
	ask.req.ticket = &t;
	clu_peers_call(m->agent->peers, m->node, &ask.req, MOVE_INCOMING_MS, incoming_answer, ref_new(m));
}

static void ask_status(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m = ref_take(arg);
	struct cm_err bad = CM_ERR_INIT;
	char state[32];

	if (!m)
		return;
	clu__move_state(r, state, sizeof state, &m->epoch);
	if (clu__move_state_runs(state)) {
		move_ask_peer(m);
		return;
	}
	if (err->code)
		bad = *err;
	else
		cm_err_set(&bad, CM_E_VM_STATE, "VM %s is %s: only a running or paused VM can move", m->vm, state);
	/* For pacemaker it may be an earlier try that is not over yet. */
	if (m->ocf)
		move_unclear(m, &bad);
	else
		clu__move_fail(m, &bad);
}

static unsigned act_ask(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct clu_vm *vm = move_vm(m);

	(void)arg;
	m->tries++;
	m->address[0] = m->port[0] = '\0';
	cm_err_clear(&m->err);
	if (px_psk_make(&m->psk)) {
		cm_err_set(&m->err, -5, "the kernel has no random bytes");
		return MOVE_EV_FAILED;
	}
	if (!vm) {
		cm_err_set(&m->err, CM_E_VM_STATE, "VM %s does not run on node %s", m->vm, m->agent->node);
		return MOVE_EV_UNCLEAR;
	}
	clu_vm_ask(vm, "status", 5000, ask_status, ref_new(m));
	return MOVE_EV_NONE;
}

/* --- copying, held, hand-over --------------------------------------------------------------------------------------- */

static void core_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m;

	if (r && r->more) {
		m = ref_move(arg);
		if (!m)
			return;
		move_progress(m, r->doc);
		if (r->stage == HV__MIGRATION_STAGE__STAGE_READY && m->fsm.state == MOVE_COPYING)
			clu__move_feed(m, MOVE_EV_READY, "forecast fits");
		return;
	}
	m = ref_take(arg);
	if (!m)
		return;
	if (!r) {
		struct cm_err ended = CM_ERR_INIT;

		cm_err_set(&ended, CM_E_MIG_PEER, "the process of VM %s on node %s ended during the migration (%s)", m->vm,
			   m->agent->node, err->text);
		move_unclear(m, &ended);
		return;
	}
	if (err->code) {
		move_unclear(m, err);
		return;
	}
	if (clu__move_result(m, r->doc)) {
		clu__move_feed(m, MOVE_EV_MOVED, "hvcore says so");
	} else {
		struct cm_err untold = CM_ERR_INIT;

		/* Committed, but the destination was not heard any more: it may have died with the VM. */
		cm_err_set(&untold, CM_E_MIG_PEER, "VM %s was handed over to node %s, but it does not run there", m->vm, m->node);
		move_unclear(m, &untold);
	}
}

static unsigned act_copy(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct px_client *core = move_core(m, &m->err);
	struct px_ask ask;
	Hv__Ticket t;
	char ms[24];

	(void)arg;
	if (!core)
		return MOVE_EV_UNCLEAR;
	px_ask_init(&ask, "migrate", m->vm);
	px_ask_arg(&ask, "address", m->address);
	px_ask_arg(&ask, "port", m->port);
	ask.req.mode = px_mig_mode_find(m->mode);
	snprintf(ms, sizeof ms, "%llu", (unsigned long long)m->max_blackout_ms);
	if (m->max_blackout_ms)
		px_ask_arg(&ask, "max_blackout_ms", ms);
	/* Held while pacemaker does not know yet: it must be told in between. */
	if (!m->ocf)
		px_ask_arg(&ask, "hold", "1");
	move_ticket(m, &t);
	ask.req.ticket = &t;
	px_client_call(core, &ask.req, 0, core_answer, ref_new(m));
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
	struct cm_err late = CM_ERR_INIT;
	struct px_ask ask;

	(void)arg;
	cm_timer_disarm(&m->timer);
	cm_err_set(&late, CM_E_MIG_BUSY, "too late: VM %s is being handed over", m->vm);
	move_tell(&m->cancel, NULL, &late);
	if (!core)
		return MOVE_EV_UNCLEAR;
	px_ask_init(&ask, "migrate-commit", m->vm);
	px_client_call(core, &ask.req, 0, commit_answer, NULL);
	return MOVE_EV_NONE;
}

static void prefer_done(int code, const struct cm_err *err, void *arg)
{
	struct clu__move *m = ref_take(arg);

	if (m && code && m->fsm.state == MOVE_HELD)
		clu__move_fail(m, err);
}

static void prefer_now(struct clu__move *m)
{
	m->preferred = true;
	clu_pcmk_prefer(m->agent->pcmk, m->vm, m->node, MOVE_PREFER_S, prefer_done, ref_new(m));
	cm_timer_arm_ms(&m->timer, MOVE_PCMK_MS);
}

static void prefer_cleaned(int code, const struct cm_err *err, void *arg)
{
	struct clu__move *m = ref_take(arg);

	if (code)
		cm_info("%s", err->text);
	if (m && m->fsm.state == MOVE_HELD)
		prefer_now(m);
}

static unsigned act_prefer(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(m->agent->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, m->vm) : NULL;

	(void)arg;
	if (m->ocf) /* pacemaker waits already */
		return MOVE_EV_CALLED;
	/* An old failure there would forbid pacemaker the move that the operator wants now. */
	if (v && v->failure[0])
		clu_pcmk_cleanup(m->agent->pcmk, m->vm, m->node, prefer_cleaned, ref_new(m));
	else
		prefer_now(m);
	return MOVE_EV_NONE;
}

/* --- held, and the operator thinks better of it ------------------------------------------------------------------- */

static void cancel_gone(struct px_req *q)
{
	struct clu__move *m = q->work;

	m->cancel = NULL;
	px_req_ok(q, NULL);
}

static void cancel_unpreferred(int code, const struct cm_err *err, void *arg)
{
	struct clu__move *m = ref_take(arg);

	if (!m || m->fsm.state != MOVE_HELD)
		return;
	if (code)
		cm_warning("%s", err->text);
	m->preferred = code != 0;
	cm_timer_arm_ms(&m->timer, MOVE_CANCEL_MS);
}

void clu__move_cancel_held(struct clu__move *m, struct px_req *q)
{
	m->cancel = q;
	q->work = m;
	q->gone = cancel_gone;
	cm_timer_disarm(&m->timer);
	clu_pcmk_unprefer(m->agent->pcmk, m->vm, cancel_unpreferred, ref_new(m));
}

static void held_timeout(struct clu__move *m)
{
	struct cm_err err = CM_ERR_INIT;

	if (m->cancel)
		cm_err_set(&err, CM_E_MIG_CANCELLED, "cancelled by the operator; VM %s runs on node %s", m->vm,
			   m->agent->node);
	else
		cm_err_set(&err, CM_E_TIMEOUT, "pacemaker did not ask for the hand-over of VM %s within %u s (hvctl why %s)",
			   m->vm, MOVE_PCMK_MS / 1000, m->vm);
	clu__move_fail(m, &err);
}

/* --- who has it? ----------------------------------------------------------------------------------------------------- */

static void resolve_again(struct clu__move *m, const char *why)
{
	if (cm_now_ns() - m->mark_ns < MOVE_RESOLVE_MS * CM_NS_PER_MS) {
		cm_timer_arm_ms(&m->timer, MOVE_LOOK_MS);
		return;
	}
	cm_warning("vm=%s: where it runs stays unclear: %s", m->vm, why);
	clu__move_feed(m, MOVE_EV_FAILED, why);
}

static void resolve_here(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m = ref_take(arg);
	char state[32];

	if (!m || m->fsm.state != MOVE_RESOLVING)
		return;
	clu__move_state(r, state, sizeof state, NULL);
	if (clu__move_state_runs(state))
		clu__move_feed(m, move_verdict(m), "the VM runs on here");
	else
		resolve_again(m, state[0] ? state : err->text);
}

static void resolve_there(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu__move *m = ref_take(arg);
	char state[32];

	if (!m || m->fsm.state != MOVE_RESOLVING)
		return;
	clu__move_state(r, state, sizeof state, NULL);
	if (clu__move_state_runs(state))
		clu__move_feed(m, MOVE_EV_MOVED, "the VM runs there");
	else if (strcmp(state, "stopped") == 0)
		clu__move_feed(m, MOVE_EV_FAILED, "it runs on neither side");
	else
		resolve_again(m, state[0] ? state : err->text);
}

static void resolve_look(struct clu__move *m)
{
	struct clu_vm *vm = move_vm(m);
	struct px_ask ask;

	if (vm) {
		clu_vm_ask(vm, "status", 5000, resolve_here, ref_new(m));
	} else if (!clu__agent_is_member(m->agent, m->node) || !m->agent->peers) {
		clu__move_feed(m, MOVE_EV_FAILED, "its process here ended, and the destination left the cluster");
	} else {
		px_ask_init(&ask, "peer-status", m->vm);
		clu_peers_call(m->agent->peers, m->node, &ask.req, 3000, resolve_there, ref_new(m));
	}
}

static unsigned act_resolve(void *ctx, void *arg)
{
	struct clu__move *m = ctx;

	(void)arg;
	m->mark_ns = cm_now_ns();
	cm_timer_arm_ms(&m->timer, 0);
	return MOVE_EV_NONE;
}

static unsigned act_wait(void *ctx, void *arg)
{
	struct clu__move *m = ctx;

	(void)arg;
	clu_event(m->agent->events, "warning", "migration-again", m->vm, NULL,
		  "migration to node %s failed (%s): trying again", m->node, m->err.text);
	move_number(m);
	move_cancel_core(m);
	move_cancel_landing(m);
	if (m->err.code == CM_E_MIG_NO_CONVERGE)
		snprintf(m->mode, sizeof m->mode, "quick");
	cm_timer_arm_ms(&m->timer, MOVE_AGAIN_MS);
	return MOVE_EV_NONE;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

static unsigned act_settle(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	cm_timer_disarm(&m->timer);
	if (!m->result)
		clu__move_result(m, NULL);
	clu_event(m->agent->events, "notice", "migrated", m->vm, m->result, "moved to node %s (%s)", m->node, m->mode);
	move_tell(&m->ocf, m->result, &none);
	if (!m->preferred)
		return MOVE_EV_SEEN;
	/* The preference stays until pacemaker has it there: without it the VM would be wanted back. */
	m->mark_ns = cm_now_ns();
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
	move_tell(&m->cancel, NULL, &none);
	move_end(m);
	return MOVE_EV_NONE;
}

static unsigned act_failed(void *ctx, void *arg)
{
	struct clu__move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	cm_err_set(&m->err, CM_E_MIG_PEER, "the migration failed");
	clu_event(m->agent->events, "warning", "migration-failed", m->vm, NULL, "migration to node %s failed: %s",
		  m->node, m->err.text);
	move_cancel_core(m);
	move_cancel_landing(m);
	move_tell(&m->operator, NULL, &m->err);
	move_tell(&m->ocf, NULL, &m->err);
	move_tell(&m->cancel, NULL, &none);
	move_end(m);
	return MOVE_EV_NONE;
}

/* --- the table --------------------------------------------------------------------------------------------------------- */

#define I	CM_IGN
#define B	CM_BAD
#define FAIL	CM_ACT(MOVE_ENDED, act_failed)
#define MOVED	CM_ACT(MOVE_SETTLING, act_settle)
#define UNCLEAR CM_ACT(MOVE_RESOLVING, act_resolve)
#define AGAIN	CM_ACT(MOVE_WAITING, act_wait)
static const struct cm_fsm_cell move_cells[MOVE_STATE_COUNT][MOVE_EVENT_COUNT] = {
	/* - LANDING READY CALLED MOVED | UNCLEAR AGAIN SEEN FAILED. CALLED while copying: committed when it is ready */
	[MOVE_ASKING] = {B, CM_ACT(MOVE_COPYING, act_copy), B, I, B, UNCLEAR, AGAIN, B, FAIL},
	[MOVE_COPYING] = {B, B, CM_ACT(MOVE_HELD, act_prefer), I, MOVED, UNCLEAR, AGAIN, B, FAIL},
	[MOVE_HELD] = {B, B, I, CM_ACT(MOVE_HANDOVER, act_commit), B, UNCLEAR, AGAIN, B, FAIL},
	[MOVE_HANDOVER] = {B, B, I, I, MOVED, UNCLEAR, AGAIN, B, FAIL},
	[MOVE_RESOLVING] = {B, B, I, I, MOVED, I, AGAIN, B, FAIL},
	[MOVE_WAITING] = {B, B, B, I, B, UNCLEAR, CM_ACT(MOVE_ASKING, act_ask), B, FAIL},
	[MOVE_SETTLING] = {B, B, I, I, I, I, I, CM_ACT(MOVE_ENDED, act_done), I},
	[MOVE_ENDED] = {B, I, I, I, I, I, I, I, I},
};
#undef I
#undef B
#undef FAIL
#undef MOVED
#undef UNCLEAR
#undef AGAIN
static const struct cm_fsm_def move_def = {"move", MOVE_STATE_COUNT, MOVE_EVENT_COUNT,
					   move_states, move_events, &move_cells[0][0]};

const struct cm_fsm_def *clu__move_fsm(void)
{
	return &move_def;
}

/* --- time and news --------------------------------------------------------------------------------------------------- */

/*
 * Pacemaker orders what happened on two nodes by whole seconds: were the next move of this VM to begin in this second, it
 * could take this one's operations for newer and restart the VM. So the move ends with its second.
 */
static void settle_seen(struct clu__move *m)
{
	uint64_t wall_s = cm_wall_ns() / CM_NS_PER_S;

	if (!m->seen_wall_s)
		m->seen_wall_s = wall_s;
	if (wall_s > m->seen_wall_s)
		clu__move_feed(m, MOVE_EV_SEEN, "pacemaker has it there");
}

static void settle_look(struct clu__move *m)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(m->agent->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, m->vm) : NULL;

	if (v && v->active && strcmp(v->node, m->node) == 0 && v->role == CLU_PCMK_ROLE_STARTED)
		settle_seen(m);
	else if (cm_now_ns() - m->mark_ns > MOVE_SETTLE_MS * CM_NS_PER_MS)
		clu__move_feed(m, MOVE_EV_SEEN, "pacemaker is slow");
}

void clu__move_picture(struct clu_agent *a)
{
	struct clu__move *next;

	for (struct clu__move *m = a->moves; m; m = next) {
		next = m->next;
		if (m->fsm.state == MOVE_SETTLING)
			settle_look(m);
	}
}

static void move_timer(struct cm_timer *t, void *arg)
{
	struct clu__move *m = arg;

	switch (m->fsm.state) {
	case MOVE_SETTLING:
		clu_pcmk_refresh(m->agent->pcmk);
		cm_timer_arm_ms(t, MOVE_LOOK_MS);
		settle_look(m);
		break;
	case MOVE_RESOLVING:
		resolve_look(m);
		break;
	case MOVE_WAITING:
		clu__move_feed(m, MOVE_EV_AGAIN, "time to try again");
		break;
	case MOVE_HELD:
		held_timeout(m);
		break;
	default:
		break;
	}
}

void clu__move_vm_gone(struct clu_agent *a, const char *vm)
{
	struct clu__move *m = clu__move_find(a, vm);
	struct cm_err err = CM_ERR_INIT;

	/* A clean end after the commit is normal: then the result is there. */
	if (!m || m->fsm.state == MOVE_SETTLING || m->fsm.state == MOVE_RESOLVING)
		return;
	cm_err_set(&err, CM_E_MIG_PEER, "VM %s's process ended during its migration", vm);
	move_unclear(m, &err);
}

void clu__move_node_lost(struct clu_agent *a, const char *node)
{
	for (struct clu__move *m = a->moves; m; m = m->next)
		if (strcmp(m->node, node) == 0 && m->fsm.state >= MOVE_COPYING && m->fsm.state <= MOVE_HANDOVER)
			move_cancel_core(m); /* else it would wait for its time-out */
}

struct clu__move *clu__move_new(struct clu_agent *a, const struct px_req *q, const Hv__VmConfig *config,
				const char *mode, uint64_t max_blackout_ms)
{
	struct clu__move *m = calloc(1, sizeof *m);

	CM_ASSERT(m);
	m->agent = a;
	snprintf(m->vm, sizeof m->vm, "%s", q->msg->vm);
	snprintf(m->node, sizeof m->node, "%s", q->msg->node);
	snprintf(m->mode, sizeof m->mode, "%s", mode);
	m->max_blackout_ms = max_blackout_ms;
	m->config = clu_vmconf_dup(config);
	cm_fsm_init(&m->fsm, &move_def, MOVE_WAITING, m, m->vm);
	cm_timer_init(&m->timer, a->loop, move_timer, m);
	move_number(m);
	m->next = a->moves;
	a->moves = m;
	clu_event(a->events, "notice", "migration-started", m->vm, NULL, "%s migration to node %s", mode, m->node);
	cm_timer_arm_ms(&m->timer, 0);
	return m;
}
