/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_agent.c - membership as an agent sees it, starts, deaths, offers to heirs. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_agent.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/cluster/sim_move.h"
#include "tests/sim/cluster/sim_plant.h"
#include "tests/sim/cluster/sim_search.h"

#define START_MS    30000u
#define START_TRIES 8u
#define OFFER_MS    20000u

/* --- the cluster ---------------------------------------------------------------------------- */

struct sim_agent *sim_agent_of(const struct sim_node *node)
{
	return node->agent;
}

static void agent_beats(struct cm_timer *t, void *arg)
{
	struct sim_agent *a = arg;

	(void)clu_quorum_beat(&a->quorum, sim_wall_s(a->node));
	cm_timer_arm_ms(t, CLU_QUORUM_BEAT_MS);
}

static void agent_main(void *arg)
{
	struct sim_agent *a = arg;

	cm_timer_init(&a->beat, a->proc->loop, agent_beats, a);
	agent_beats(&a->beat, a);
}

struct sim_agent *sim_agent_new(struct sim_node *node)
{
	struct sim_agent *a = sim_alloc(sizeof *a);

	a->node = node;
	a->started_wall_s = sim_wall_s(node);
	for (unsigned i = 0; i < SIM_NODES; i++)
		a->lost_wall_s[i] = a->started_wall_s;
	a->proc = sim_spawn(node, "hvclusterd", agent_main, a);
	node->agent = a;
	return a;
}

struct view {
	struct sim_agent *agent;
	bool member[SIM_NODES], quorate;
};

static void view_comes(void *arg)
{
	struct view *v = arg;
	struct sim_agent *a = v->agent;

	for (unsigned i = 0; i < sim_nnodes; i++)
		if (a->member[i] && !v->member[i])
			a->lost_wall_s[i] = sim_wall_s(a->node);
	memcpy(a->member, v->member, sizeof a->member);
	clu_quorum_note(&a->quorum, v->quorate, sim_wall_s(a->node));
}

void sim_agent_view(struct sim_agent *a, const bool member[SIM_NODES], bool quorate)
{
	struct view *v = sim_alloc(sizeof *v);
	uint64_t at;

	v->agent = a;
	memcpy(v->member, member, sizeof v->member);
	v->quorate = quorate;
	at = sim_now + sim_between(0, 50) * SIM_MS;
	a->view_ns = CM_MAX(a->view_ns + 1, at); /* in order */
	sim_at_proc(a->proc, a->view_ns, 1, view_comes, v);
}

void sim_agent_history(struct sim_agent *a, const struct sim_fencing *f)
{
	for (unsigned i = 0; i < a->nhistory; i++)
		if (a->history[i].target == f->target && a->history[i].wall_s == f->wall_s)
			return;
	if (a->nhistory < SIM_HISTORY)
		a->history[a->nhistory++] = *f;
}

const struct sim_fencing *sim_agent_fenced(const struct sim_agent *a, unsigned target)
{
	const struct sim_fencing *last = NULL;

	for (unsigned i = 0; i < a->nhistory; i++)
		if (a->history[i].target == target && (!last || a->history[i].wall_s > last->wall_s))
			last = &a->history[i];
	return last;
}

void sim_agent_send(struct sim_agent *from, struct sim_agent *to, void (*fn)(void *arg), void *arg)
{
	if (from->node->agent == from && to->node->agent == to && sim_reaches(from->node, to->node))
		sim_at_proc(to->proc, sim_now + sim_between(1, 20) * SIM_MS, 1, fn, arg);
}

/* --- starts ----------------------------------------------------------------------------------- */

struct start {
	struct sim_agent *agent;
	unsigned vm, tries;
	enum sim_mode mode;
	struct sim_proof proof;
	struct cm_timer again;
	uint64_t deadline_ns;
	bool heir;
	sim_started_fn done;
	void *arg;
};

static void start_try(struct start *s);

static void start_free(void *arg)
{
	struct start *s = arg;

	cm_timer_fini(&s->again);
	free(s);
}

static void start_end(struct start *s, int rc)
{
	cm_timer_disarm(&s->again);
	cm_loop_defer(s->agent->proc->loop, start_free, s);
	if (s->done)
		s->done(s->arg, rc);
}

static void start_proof(const struct sim_proof *p, bool released, void *arg)
{
	struct start *s = arg;

	if (!p && !released) {
		start_end(s, CM_E_LEASE_NO_PROOF);
		return;
	}
	s->proof = p ? *p : (struct sim_proof){.given = false};
	start_try(s);
}

static void start_answer(struct sim_core *c, int rc, void *arg)
{
	struct start *s = arg;

	if (!s->proof.given || !fen_evidence_is_watch(s->proof.evidence))
		s->tries++;
	if (rc != CM_E_LEASE_NO_PROOF || s->tries >= START_TRIES || cm_now_ns() >= s->deadline_ns ||
	    (s->mode == SIM_RELEASE && strcmp(c->held.node, s->agent->node->name) != 0)) {
		start_end(s, rc);
		return;
	}
	sim_search(s->agent, s->vm, &c->held, s->deadline_ns, start_proof, s);
}

static void core_ended(struct sim_core *c);

static void start_spawn(struct start *s)
{
	struct sim_core *c = sim_core_new(s->agent->node, s->vm, s->mode);

	c->proof = s->proof;
	c->agent = s->agent->proc;
	c->answer = start_answer;
	c->arg = s;
	c->ended = core_ended;
	s->agent->core[s->vm] = c;
	sim_core_start(c);
}

static void kill_core(void *arg)
{
	sim_kill(((struct sim_core *)arg)->proc);
}

/* --- a landing whose source is lost --------------------------------------------------------- */

static void heir_look(struct start *s)
{
	struct sim_core *c = s->agent->core[s->vm];

	if (c && c->owned && !c->landing) {
		start_end(s, 0);
		return;
	}
	if (c)
		sim_at(sim_now, kill_core, c);
	s->proof.given = false;
	cm_timer_arm_ms(&s->again, 50);
}

static void again(struct cm_timer *t, void *arg)
{
	(void)t;
	start_try(arg);
}

static void heir_proof(const struct sim_proof *p, bool released, void *arg)
{
	struct start *s = arg;
	struct sim_core *c = s->agent->core[s->vm];

	(void)released;
	if (p && c && c->dst && !fen_evidence_is_watch(p->evidence)) {
		c->proof = *p;
		c->proof.boot = (struct stor_uuid){{0}};
		sim_core_ask(c, sim_move_inherit);
		cm_timer_arm_ms(&s->again, 15 * sim_t_ms);
	} else {
		cm_timer_arm_ms(&s->again, 0);
	}
}

static void start_heir(struct start *s, struct sim_core *c)
{
	struct sim_held owner = {.epoch = 0};

	if (s->heir) { /* it was tried */
		heir_look(s);
		return;
	}
	s->heir = true;
	memcpy(owner.node, c->source->name, sizeof c->source->name);
	sim_search(s->agent, s->vm, &owner, s->deadline_ns, heir_proof, s);
}

static void start_try(struct start *s)
{
	struct sim_core *c = s->agent->core[s->vm];

	if (!c) {
		start_spawn(s);
	} else if (s->mode == SIM_RUN && c->landing && !s->agent->member[c->source->index]) {
		start_heir(s, c);
	} else if (s->mode == SIM_RUN && c->owned && !c->ending && c->answered && c->rc == 0) {
		start_end(s, 0);
	} else if (cm_now_ns() >= s->deadline_ns || s->mode == SIM_RELEASE) {
		start_end(s, CM_E_VM_STATE);
	} else {
		cm_timer_arm_ms(&s->again, 100);
	}
}

static void start_begin(struct sim_agent *a, unsigned vm, enum sim_mode mode, sim_started_fn done, void *arg)
{
	struct start *s = calloc(1, sizeof *s);

	*s = (struct start){.agent = a, .vm = vm, .mode = mode, .done = done, .arg = arg};
	s->deadline_ns = cm_now_ns() + START_MS * SIM_MS;
	cm_timer_init(&s->again, a->proc->loop, again, s);
	cm_timer_arm_ms(&s->again, 0);
}

void sim_agent_release(struct sim_agent *a, unsigned vm, sim_started_fn done, void *arg)
{
	start_begin(a, vm, SIM_RELEASE, done, arg);
}

struct order {
	struct sim_agent *agent;
	unsigned vm;
	sim_started_fn done;
	void *arg;
	struct sim_core *core;
};

static void order_start(void *arg)
{
	struct order *o = arg;

	start_begin(o->agent, o->vm, SIM_RUN, o->done, o->arg);
}

void sim_agent_start(struct sim_agent *a, unsigned vm, sim_started_fn done, void *arg)
{
	struct order *o = sim_alloc(sizeof *o);

	*o = (struct order){.agent = a, .vm = vm, .done = done, .arg = arg};
	sim_at_proc(a->proc, sim_now + sim_between(1, 20) * SIM_MS, 1, order_start, o);
}

/* --- deaths ----------------------------------------------------------------------------------- */

/* The destination's agent hears that the source's process is dead. */
static void offered(void *arg)
{
	struct order *o = arg;
	struct sim_core *dead = o->core, *c = dead->peer;
	struct fen_reaped r = {.boot = dead->node->boot, .pid = dead->proc->pid};

	if (!c || c->gone || c->peer != dead || !sim_move_is_verified(c))
		return;
	memcpy(r.node, dead->node->name, sizeof dead->node->name);
	c->proof = (struct sim_proof){.given = true, .boot = r.boot, .epoch = 0};
	CM_ASSERT(fen_evidence_reaped(&r, c->proof.evidence) == 0);
	sim_core_ask(c, sim_move_inherit);
}

static void release_later(void *arg)
{
	struct order *o = arg;

	if (!o->agent->core[o->vm])
		start_begin(o->agent, o->vm, SIM_RELEASE, NULL, NULL);
}

static void reaped(void *arg)
{
	struct order *o = arg;
	struct sim_agent *a = o->agent;
	struct sim_core *c = o->core;
	bool moved = c->src && c->peer && !c->peer->gone && a->member[c->peer->node->index];

	if (a->core[o->vm] == c)
		a->core[o->vm] = NULL;
	if (c->mode == SIM_RELEASE || !c->owned)
		return;
	if (moved)
		sim_agent_send(a, sim_agent_of(c->peer->node), offered, o);
	sim_at_proc(a->proc, sim_now + (moved ? OFFER_MS : 1) * SIM_MS, 1, release_later, o);
}

static void core_ended(struct sim_core *c)
{
	struct sim_agent *a = sim_agent_of(c->node);
	struct order *o = sim_alloc(sizeof *o);

	*o = (struct order){.agent = a, .vm = c->vm, .core = c};
	sim_at_proc(a->proc, sim_now + sim_between(1, 20) * SIM_MS, 1, reaped, o);
}
