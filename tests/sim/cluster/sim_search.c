/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_search.c - looks at processes of this node, asks the owner's agent, reads the history of fencing, until a deadline.
 * Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_search.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/cluster/sim_plant.h"

struct search {
	struct sim_agent *agent;
	unsigned vm, owner_index;
	struct sim_held owner;
	struct cm_timer timer;
	uint64_t deadline_ns, watch_ns;
	uint64_t asked; /* number of the question that is under way */
	sim_search_fn done;
	void *arg;
};

static void search_end(struct search *s, const struct sim_proof *p, bool released)
{
	cm_timer_fini(&s->timer);
	s->asked = 0; /* the memory is the world's: a late answer finds it */
	s->done(p, released, s->arg);
}

static void search_found(struct search *s, const char *evidence)
{
	struct sim_proof p = {.given = true, .boot = s->owner.boot, .epoch = s->owner.epoch};

	snprintf(p.evidence, sizeof p.evidence, "%s", evidence);
	memcpy(p.node, s->owner.node, sizeof p.node);
	sim_say("%s: vm%u: %s", s->agent->node->name, s->vm, evidence);
	search_end(s, &p, false);
}

static void search_watch(struct search *s)
{
	char e[FEN_EVIDENCE_MAX];

	CM_ASSERT(fen_evidence_watch(s->owner.node, e) == 0);
	search_found(s, e);
}

static void search_wait(struct search *s)
{
	if (cm_now_ns() >= s->deadline_ns)
		search_end(s, NULL, false);
	else
		cm_timer_arm_ms(&s->timer, 200);
}

static void search_silent(struct search *s)
{
	if (cm_now_ns() >= s->watch_ns)
		search_watch(s);
	else
		search_wait(s);
}

static void search_other_boot(struct search *s, const struct stor_uuid *boot)
{
	char e[FEN_EVIDENCE_MAX];

	CM_ASSERT(fen_evidence_other_boot(s->owner.node, boot, e) == 0);
	search_found(s, e);
}

/* --- on this node ------------------------------------------------------------------------- */

static void search_self(struct search *s)
{
	struct sim_node *n = s->agent->node;
	struct fen_reaped r = {.boot = n->boot, .pid = s->owner.pid};
	char e[FEN_EVIDENCE_MAX];
	struct sim_proc *p;

	if (!stor_uuid_equal(&s->owner.boot, &n->boot)) {
		search_other_boot(s, &n->boot);
		return;
	}
	TAILQ_FOREACH (p, &n->procs, link)
		if (p->pid == s->owner.pid) {
			search_wait(s);
			return;
		}
	memcpy(r.node, n->name, sizeof n->name);
	CM_ASSERT(fen_evidence_reaped(&r, e) == 0);
	search_found(s, e);
}

/* --- the owner's agent ---------------------------------------------------------------------- */

struct question {
	struct search *search;
	uint64_t number;
	struct sim_agent *from, *to;
	unsigned vm;
	uint32_t pid;
	struct stor_uuid boot;
	bool released;
};

static void question_answered(void *arg)
{
	struct question *q = arg;
	struct search *s = q->search;

	if (s->asked != q->number)
		return;
	s->asked = 0;
	if (!stor_uuid_equal(&q->boot, &s->owner.boot))
		search_other_boot(s, &q->boot);
	else if (q->released)
		search_end(s, NULL, true);
	else
		search_wait(s);
}

static void question_reply(struct question *q)
{
	sim_agent_send(q->to, q->from, question_answered, q);
}

static void question_released(void *arg, int rc)
{
	struct question *q = arg;

	q->released = rc == 0;
	question_reply(q);
}

static void question_comes(void *arg)
{
	struct question *q = arg;
	struct sim_proc *p;

	q->boot = q->to->node->boot;
	TAILQ_FOREACH (p, &q->to->node->procs, link)
		if (p->pid == q->pid) {
			question_reply(q);
			return;
		}
	sim_agent_release(q->to, q->vm, question_released, q);
}

static void search_peer(struct search *s)
{
	static uint64_t numbers;
	struct question *q = sim_alloc(sizeof *q);

	*q = (struct question){.search = s,
			       .number = ++numbers,
			       .from = s->agent,
			       .to = sim_agent_of(&sim_nodes[s->owner_index]),
			       .vm = s->vm,
			       .pid = s->owner.pid};
	s->asked = q->number;
	sim_agent_send(s->agent, q->to, question_comes, q);
	cm_timer_arm_ms(&s->timer, 3000);
}

/* --- the history of fencing ------------------------------------------------------------------- */

static void search_fenced(struct search *s)
{
	struct sim_agent *a = s->agent;
	const struct sim_fencing *f = sim_agent_fenced(a, s->owner_index);
	struct fen_fencer_word w = {.action = "off", .succeeded = true, .lost_wall_s = a->lost_wall_s[s->owner_index]};
	char e[FEN_EVIDENCE_MAX];

	(void)clu_quorum_beat(&a->quorum, sim_wall_s(a->node));
	if (!f || !clu_quorum_fencing_counts(&a->quorum, w.lost_wall_s, f->wall_s)) {
		search_silent(s);
		return;
	}
	memcpy(w.node, s->owner.node, sizeof w.node);
	w.fenced_wall_s = f->wall_s;
	if ((f->power || sim_plant_is(SIM_PLANT_SAN_IS_OFF)) && fen_evidence_powered_off(&w, e) == 0)
		search_found(s, e);
	else
		search_watch(s);
}

static void search_look(struct cm_timer *t, void *arg)
{
	struct search *s = arg;

	(void)t;
	if (s->asked) { /* no answer in time */
		s->asked = 0;
		search_silent(s);
	} else if (s->owner_index == s->agent->node->index) {
		search_self(s);
	} else if (s->agent->member[s->owner_index]) {
		search_peer(s);
	} else {
		search_fenced(s);
	}
}

void sim_search(struct sim_agent *a, unsigned vm, const struct sim_held *owner, uint64_t deadline_ns, sim_search_fn done,
		void *arg)
{
	struct search *s = sim_alloc(sizeof *s);

	*s = (struct search){.agent = a,
			     .vm = vm,
			     .owner = *owner,
			     .deadline_ns = deadline_ns,
			     .watch_ns = cm_now_ns() + 5000 * SIM_MS,
			     .done = done,
			     .arg = arg};
	while (s->owner_index < sim_nnodes - 1 && strcmp(sim_nodes[s->owner_index].name, owner->node) != 0)
		s->owner_index++;
	cm_timer_init(&s->timer, a->proc->loop, search_look, s);
	cm_timer_arm_ms(&s->timer, 0);
}
