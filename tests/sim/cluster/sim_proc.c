/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_proc.c - nodes, their clocks, and processes. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_proc.h"

#include <stdio.h>
#include <string.h>

#include "common/cm_jump.h"
#include "tests/sim/cluster/sim_loop.h"

struct sim_node sim_nodes[SIM_NODES];
unsigned sim_nnodes;
struct sim_proc *sim_self;
void (*sim_woke)(struct sim_node *node);
static uint64_t ahead_now; /* what cm_jump_pretend has been told */
static uint32_t pids;

/* --- clocks ------------------------------------------------------------------------- */

static uint64_t scale(uint64_t ns, int ppm)
{
	return ns + (uint64_t)((int64_t)(ns / 1000) * ppm / 1000);
}

uint64_t sim_local(const struct sim_node *n)
{
	return n->paused ? n->lbase : n->lbase + scale(sim_now - n->gbase, n->ppm);
}

uint64_t sim_when(const struct sim_node *n, uint64_t local_ns)
{
	uint64_t now = sim_local(n);

	return local_ns <= now ? sim_now : sim_now + scale(local_ns - now, -n->ppm);
}

bool sim_was_blind(const struct sim_node *n)
{
	return n->blind_ns && sim_now - n->blind_ns < 5 * SIM_S;
}

uint64_t sim_wall_s(const struct sim_node *n)
{
	return (uint64_t)((int64_t)sim_now + n->skew_ns) / SIM_S;
}

void sim_nodes_begin(unsigned count)
{
	sim_nnodes = count;
	pids = 100;
	for (unsigned i = 0; i < count; i++) {
		struct sim_node *n = &sim_nodes[i];

		*n = (struct sim_node){.index = i, .gbase = sim_now};
		snprintf(n->name, sizeof n->name, "node%u", i + 1);
		TAILQ_INIT(&n->procs);
		n->ppm = (int)sim_below(19000) - 9500;
		n->lbase = sim_between(SIM_S, 100000 * SIM_S);
		n->skew_ns = (int64_t)sim_below(600) * (int64_t)SIM_MS - 300 * (int64_t)SIM_MS;
		n->on = true;
		stor_uuid_random(&n->boot);
	}
}

/* --- running code ------------------------------------------------------------------- */

static void enter(struct sim_proc *p)
{
	CM_ASSERT(!sim_self);
	sim_self = p;
	cm_clock_set_virtual(true, sim_local(p->node));
	cm_jump_pretend(p->node->ahead - ahead_now);
	ahead_now = p->node->ahead;
	sim_mem_for(&p->mem);
}

static void leave(void)
{
	sim_self = NULL;
	sim_mem_for(NULL);
}

void sim_in(struct sim_proc *p, void (*fn)(void *arg), void *arg)
{
	if (!p->alive)
		return;
	enter(p);
	fn(arg);
	sim_loop_turn_over(p->loop);
	leave();
}

bool sim_stands(const struct sim_proc *p)
{
	return p->stopped || p->node->frozen || p->node->paused;
}

bool sim_dispatch(struct sim_event *ev)
{
	struct sim_proc *p = ev->proc;

	if (!p->alive)
		return false;
	if (!sim_stands(p)) {
		sim_in(p, ev->fn, ev->arg);
		return false;
	}
	if (p->nheld == p->capheld) {
		p->capheld = p->capheld ? 2 * p->capheld : 16;
		p->held = sim_mem_real_realloc(p->held, p->capheld * sizeof(struct sim_event *));
	}
	p->held[p->nheld++] = ev;
	return true;
}

static void go_on(struct sim_proc *p)
{
	size_t n = p->nheld;

	if (sim_stands(p))
		return;
	p->nheld = 0;
	for (size_t i = 0; i < n; i++)
		if (p->held[i]->fn)
			sim_again(p->held[i], sim_now);
}

static void all_go_on(struct sim_node *n)
{
	struct sim_proc *p;

	n->went_on_ns = sim_now;
	TAILQ_FOREACH (p, &n->procs, link)
		go_on(p);
	if (sim_woke)
		sim_woke(n);
}

/* --- life ----------------------------------------------------------------------------- */

struct birth {
	void (*main)(void *arg);
	void *arg;
};

static void born(void *arg)
{
	struct birth *b = arg;

	b->main(b->arg);
}

struct sim_proc *sim_spawn(struct sim_node *node, const char *name, void (*main)(void *arg), void *arg)
{
	struct sim_proc *p = sim_alloc(sizeof *p);
	struct birth *b = sim_alloc(sizeof *b);

	p->node = node;
	p->name = name;
	p->pid = ++pids;
	p->alive = true;
	TAILQ_INIT(&p->mem);
	p->loop = sim_loop_new_for(p);
	TAILQ_INSERT_TAIL(&node->procs, p, link);
	*b = (struct birth){main, arg};
	sim_at_proc(p, sim_now + sim_between(1, 5) * SIM_MS, 1, born, b);
	return p;
}

void sim_kill(struct sim_proc *p)
{
	CM_ASSERT(sim_self != p);
	if (!p->alive)
		return;
	p->alive = false;
	TAILQ_REMOVE(&p->node->procs, p, link);
	sim_mem_real_free(p->held);
	p->held = NULL;
	p->nheld = 0;
	if (p->died)
		p->died(p, p->arg);
	sim_mem_drop(&p->mem);
}

static void exit_now(void *arg)
{
	sim_kill(arg);
}

void sim_exit(void)
{
	sim_at_proc(NULL, sim_now, 0, exit_now, sim_self);
}

void sim_stop(struct sim_proc *p, bool stop)
{
	p->stopped = stop && p->alive;
	if (stop)
		p->stopped_ns = sim_now;
	if (p->alive && !stop) {
		go_on(p);
		if (sim_woke)
			sim_woke(p->node);
	}
}

void sim_freeze(struct sim_node *n, bool freeze)
{
	n->frozen = freeze && n->on;
	if (!freeze)
		all_go_on(n);
}

void sim_pause(struct sim_node *n, bool pause, bool shown)
{
	uint64_t local = sim_local(n), gone = sim_now - n->gbase;

	if (n->paused == pause || !n->on)
		return;
	n->lbase = local;
	n->gbase = sim_now;
	n->paused = pause;
	if (pause)
		return;
	if (shown)
		n->ahead += gone;
	else
		n->blind_ns = sim_now;
	n->blind += !shown;
	all_go_on(n);
}

void sim_power_off(struct sim_node *n)
{
	struct sim_proc *p;

	n->on = false;
	while ((p = TAILQ_FIRST(&n->procs)))
		sim_kill(p);
	n->frozen = false;
	if (n->paused) {
		n->paused = false;
		n->gbase = sim_now;
	}
}

void sim_power_on(struct sim_node *n)
{
	n->on = true;
	n->lbase = sim_between(SIM_S, 1000 * SIM_S);
	n->gbase = sim_now;
	stor_uuid_random(&n->boot);
}
