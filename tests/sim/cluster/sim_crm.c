/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_crm.c - membership by groups that can reach each other; one partition with quorum fences who is missing and keeps
 * VMs running. Knows the world, as the real one does not: it is only there to let things happen. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_crm.h"

#include <string.h>

#include "tests/sim/cluster/sim_agent.h"
#include "tests/sim/cluster/sim_fencer.h"
#include "tests/sim/cluster/sim_move.h"
#include "tests/sim/cluster/sim_sess.h"

#define TOKEN_MS 1000u

enum fate { FATE_FINE, FATE_LOST, FATE_FENCING, FATE_FENCED };

unsigned sim_group[SIM_NODES], sim_nvms;
bool sim_bmc_dead[SIM_NODES], sim_has_hvsan, sim_has_power;

static struct {
	enum fate fate;
	uint64_t lone_ns; /* without quorum since then; 0: it has */
	bool dropped;	  /* the others have a view without it */
} nodes[SIM_NODES];
static uint64_t lone_ns; /* no-quorum-policy: so long after its loss VMs are stopped */
static struct {
	uint64_t busy_until; /* an order is under way */
	uint64_t order;
	int on; /* node, -1 none */
} vms[SIM_VMS];

/* --- corosync -------------------------------------------------------------------------------- */

static bool lives(unsigned i)
{
	return sim_nodes[i].on && !sim_nodes[i].frozen && !sim_nodes[i].paused;
}

static bool reaches(const struct sim_node *a, const struct sim_node *b)
{
	return a->on && b->on && sim_group[a->index] == sim_group[b->index];
}

/* Members of i's group; true: quorum. */
static bool view_of(unsigned i, bool member[SIM_NODES])
{
	unsigned n = 0;

	for (unsigned k = 0; k < sim_nnodes; k++) {
		member[k] = lives(k) && sim_group[k] == sim_group[i];
		n += member[k];
	}
	return 2 * n > sim_nnodes;
}

static void merge_histories(unsigned i, const bool member[SIM_NODES])
{
	struct sim_agent *a = sim_agent_of(&sim_nodes[i]);

	for (unsigned k = 0; k < sim_nnodes; k++)
		for (unsigned h = 0; member[k] && h < sim_agent_of(&sim_nodes[k])->nhistory; h++)
			sim_agent_history(a, &sim_agent_of(&sim_nodes[k])->history[h]);
}

static void views(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < sim_nnodes; i++) {
		bool member[SIM_NODES], alone[SIM_NODES] = {false};
		bool quorate = view_of(i, member);

		if (!lives(i)) {
			nodes[i].dropped = true;
			continue;
		}
		if (nodes[i].dropped) { /* it finds itself alone first */
			alone[i] = true;
			sim_agent_view(sim_agent_of(&sim_nodes[i]), alone, false);
		}
		nodes[i].dropped = false;
		sim_agent_view(sim_agent_of(&sim_nodes[i]), member, quorate);
		merge_histories(i, member);
		nodes[i].lone_ns = quorate ? 0 : nodes[i].lone_ns ? nodes[i].lone_ns : sim_now;
	}
}

void sim_crm_changed(void)
{
	sim_at(sim_now + sim_between(TOKEN_MS, 2 * TOKEN_MS) * SIM_MS, views, NULL);
}

/* --- fencing ---------------------------------------------------------------------------------- */

static void boots(void *arg)
{
	struct sim_node *n = arg;

	if (n->on)
		return;
	sim_power_on(n);
	sim_agent_new(n);
	sim_say("%s boots", n->name);
	sim_crm_changed();
}

struct fence {
	unsigned target, delegate;
};

static void fence_known(const struct fence *f, bool power)
{
	struct sim_fencing h = {f->target, f->delegate, sim_wall_s(&sim_nodes[f->delegate]), power};
	bool member[SIM_NODES];

	view_of(f->delegate, member);
	for (unsigned i = 0; i < sim_nnodes; i++)
		if (member[i])
			sim_agent_history(sim_agent_of(&sim_nodes[i]), &h);
	nodes[f->target].fate = FATE_FENCED;
	for (unsigned v = 0; v < sim_nvms; v++)
		if (vms[v].on == (int)f->target) { /* and what was ordered there is void */
			vms[v].on = -1;
			vms[v].busy_until = 0;
		}
}

static void fence_san_done(void *arg, bool ok)
{
	struct fence *f = arg;

	if (nodes[f->target].fate != FATE_FENCING)
		return;
	if (ok && sim_nodes[f->delegate].on)
		fence_known(f, false);
	else
		nodes[f->target].fate = FATE_LOST;
}

static void fence_power(void *arg)
{
	struct fence *f = arg;
	struct sim_node *n = &sim_nodes[f->target];

	if (nodes[f->target].fate != FATE_FENCING)
		return;
	if (!lives(f->delegate)) {
		nodes[f->target].fate = FATE_LOST;
		return;
	}
	if (sim_has_power && !sim_bmc_dead[f->target]) {
		sim_say("%s is switched off", n->name);
		sim_power_off(n);
		sim_sess_off(n);
		fence_known(f, true);
		sim_at(sim_now + sim_between(3, 15) * SIM_S, boots, n);
		sim_crm_changed();
	} else if (sim_has_hvsan) {
		sim_fence_by_san(&sim_nodes[f->delegate], n, fence_san_done, f);
	} else {
		nodes[f->target].fate = FATE_LOST;
	}
}

static void fence(unsigned target, unsigned delegate)
{
	struct fence *f = sim_alloc(sizeof *f);

	*f = (struct fence){target, delegate};
	nodes[target].fate = FATE_FENCING;
	sim_at(sim_now + sim_between(500, 3000) * SIM_MS, fence_power, f);
}

/* --- VMs -------------------------------------------------------------------------------------- */

struct sim_core *sim_crm_core(unsigned vm)
{
	for (unsigned i = 0; i < sim_nnodes; i++) {
		struct sim_core *c = sim_nodes[i].on ? sim_agent_of(&sim_nodes[i])->core[vm] : NULL;

		if (c && !c->gone && c->owned && c->guest && sim_guest_is_on(c->guest))
			return c;
	}
	return NULL;
}

struct order {
	unsigned vm, node;
	uint64_t number;
};

static void started(void *arg, int rc)
{
	struct order *o = arg;

	if (vms[o->vm].order != o->number)
		return;
	vms[o->vm].busy_until = 0;
	vms[o->vm].on = rc ? -1 : (int)o->node;
}

static struct order *order_new(unsigned vm, unsigned node, uint64_t last_ns)
{
	static uint64_t numbers;
	struct order *o = sim_alloc(sizeof *o);

	*o = (struct order){vm, node, ++numbers};
	vms[vm].order = o->number;
	vms[vm].busy_until = sim_now + last_ns;
	return o;
}

static unsigned pick(const bool member[SIM_NODES])
{
	unsigned i;

	do
		i = (unsigned)sim_below(sim_nnodes);
	while (!member[i]);
	return i;
}

static bool all_fenced(const bool member[SIM_NODES], unsigned vm)
{
	for (unsigned i = 0; i < sim_nnodes; i++)
		if (!member[i] && nodes[i].fate != FATE_FENCED && (vms[vm].on == (int)i || vms[vm].on < 0))
			return false;
	return true;
}

static void keep_running(const bool member[SIM_NODES], unsigned vm)
{
	struct sim_core *c = sim_crm_core(vm);
	unsigned node = pick(member);

	if (vms[vm].busy_until > sim_now)
		return;
	if (c && member[c->node->index]) {
		vms[vm].on = (int)c->node->index;
		return;
	}
	if (vms[vm].on >= 0 && member[vms[vm].on]) { /* its monitor says that it failed */
		vms[vm].on = -1;
		return;
	}
	if (!all_fenced(member, vm))
		return;
	for (unsigned i = 0; i < sim_nnodes; i++) { /* what has landed there is worth more */
		c = member[i] ? sim_agent_of(&sim_nodes[i])->core[vm] : NULL;
		if (c && c->landing && sim_chance(900))
			node = i;
	}
	sim_agent_start(sim_agent_of(&sim_nodes[node]), vm, started, order_new(vm, node, 40 * SIM_S));
}

static void end_core(void *arg)
{
	sim_core_end(arg, true);
}

/* Without quorum it stops what it has. */
static void lone(unsigned i)
{
	struct sim_agent *a = sim_agent_of(&sim_nodes[i]);

	if (!lives(i) || !nodes[i].lone_ns || sim_now - nodes[i].lone_ns < lone_ns)
		return;
	for (unsigned v = 0; v < sim_nvms; v++)
		if (a->core[v] && !a->core[v]->gone)
			sim_core_ask(a->core[v], end_core);
}

/* The partition that has quorum, as its nodes see it by now. */
static bool quorate_view(bool member[SIM_NODES])
{
	for (unsigned i = 0; i < sim_nnodes; i++) {
		const struct sim_agent *a = sim_agent_of(&sim_nodes[i]);

		if (!lives(i) || !a->quorum.quorate)
			continue;
		for (unsigned k = 0; k < sim_nnodes; k++)
			member[k] = a->member[k] && lives(k) && sim_agent_of(&sim_nodes[k])->quorum.quorate;
		return true;
	}
	return false;
}

static void think(void *arg)
{
	bool member[SIM_NODES], found = quorate_view(member);

	(void)arg;
	sim_at(sim_now + sim_between(300, 700) * SIM_MS, think, NULL);
	for (unsigned i = 0; i < sim_nnodes; i++)
		lone(i);
	if (!found)
		return;
	for (unsigned i = 0; i < sim_nnodes; i++) {
		if (member[i] && nodes[i].fate != FATE_FENCING)
			nodes[i].fate = FATE_FINE;
		else if (!member[i] && nodes[i].fate == FATE_FINE)
			nodes[i].fate = FATE_LOST;
		else if (!member[i] && nodes[i].fate == FATE_LOST)
			fence(i, pick(member));
	}
	for (unsigned v = 0; v < sim_nvms; v++)
		keep_running(member, v);
}

/* --- orders ----------------------------------------------------------------------------------- */

void sim_crm_start_on(unsigned vm, unsigned node)
{
	/* Whoever does it: the agent takes no order without quorum. */
	if (!sim_nodes[node].on || !sim_agent_of(&sim_nodes[node])->quorum.quorate)
		return;
	sim_say("somebody starts vm%u on %s", vm, sim_nodes[node].name);
	sim_agent_start(sim_agent_of(&sim_nodes[node]), vm, NULL, NULL);
}

void sim_crm_rogue_start(void)
{
	unsigned node = (unsigned)sim_below(sim_nnodes);

	sim_crm_start_on((unsigned)sim_below(sim_nvms), node);
}

void sim_crm_stop(void)
{
	struct sim_core *c = sim_crm_core((unsigned)sim_below(sim_nvms));

	if (c)
		sim_core_ask(c, end_core);
}

struct move {
	struct sim_core *source, *dest;
	uint64_t until;
	struct order *order;
};

static void go(void *arg)
{
	struct move *m = arg;

	if (!sim_move_start(m->source, m->dest))
		sim_at(sim_now, (void (*)(void *))sim_kill, m->dest->proc);
}

static void connect_soon(void *arg)
{
	struct move *m = arg;

	if (m->dest->gone || m->source->gone || !sim_reaches(m->source->node, m->dest->node) || sim_now > m->until) {
		if (!m->dest->gone)
			sim_kill(m->dest->proc);
		return;
	}
	if (m->dest->told)
		sim_at_proc(m->source->proc, sim_now + SIM_MS, 1, go, m);
	else
		sim_at(sim_now + 50 * SIM_MS, connect_soon, m);
}

static void landed(struct sim_core *c, int rc, void *arg)
{
	(void)c;
	started(arg, rc);
}

static void landing_ended(struct sim_core *c)
{
	struct sim_agent *a = sim_agent_of(c->node);

	if (a->core[c->vm] == c)
		a->core[c->vm] = NULL;
}

void sim_crm_move(void)
{
	unsigned vm = (unsigned)sim_below(sim_nvms), to = (unsigned)sim_below(sim_nnodes);
	struct sim_core *c = sim_crm_core(vm), *d;
	struct move *m = sim_alloc(sizeof *m);

	if (!c || !c->owner || c->ending || c->src || vms[vm].busy_until > sim_now || !lives(to) || c->node->index == to ||
	    !sim_reaches(c->node, &sim_nodes[to]) || !sim_agent_of(c->node)->member[to] ||
	    !sim_agent_of(&sim_nodes[to])->quorum.quorate || sim_agent_of(&sim_nodes[to])->core[vm])
		return;
	d = sim_core_new(&sim_nodes[to], vm, SIM_LAND);
	d->source = c->node;
	d->ticket_epoch = stor_lease_epoch(hv_owner_lease(c->owner));
	d->agent = sim_agent_of(d->node)->proc;
	d->answer = landed;
	d->arg = order_new(vm, to, 30 * SIM_S);
	d->ended = landing_ended;
	sim_agent_of(d->node)->core[vm] = d;
	sim_core_start(d);
	*m = (struct move){.source = c, .dest = d, .until = sim_now + 8 * SIM_S};
	sim_at(sim_now + 50 * SIM_MS, connect_soon, m);
}

void sim_crm_begin(void)
{
	memset(nodes, 0, sizeof nodes);
	memset(vms, 0, sizeof vms);
	sim_reaches = reaches;
	lone_ns = (sim_chance(500) ? 3 : 3600) * SIM_S;
	for (unsigned v = 0; v < sim_nvms; v++)
		vms[v].on = -1;
	for (unsigned i = 0; i < sim_nnodes; i++) {
		sim_group[i] = 0;
		sim_bmc_dead[i] = false;
		sim_agent_new(&sim_nodes[i]);
	}
	views(NULL);
	sim_at(sim_now + 200 * SIM_MS, think, NULL);
}
