/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_faults.c - draws faults and orders, one after the other, at random distances. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_faults.h"

#include <string.h>

#include "tests/sim/cluster/sim_agent.h"
#include "tests/sim/cluster/sim_crm.h"
#include "tests/sim/cluster/sim_move.h"
#include "tests/sim/cluster/sim_sess.h"

static uint64_t end_ns;

/* Long and short ones: some end before anybody has noticed, some after all limits. */
static uint64_t length_ns(void)
{
	return sim_between(1, sim_chance(500) ? sim_t_ms * 2 : sim_t_ms * 25) * SIM_MS;
}

static struct sim_node *some_node(void)
{
	return &sim_nodes[sim_below(sim_nnodes)];
}

static struct sim_core *some_core(void)
{
	struct sim_node *n = some_node();
	struct sim_agent *a = sim_agent_of(n);
	struct sim_core *c = n->on ? a->core[sim_below(sim_nvms)] : NULL;

	return c && !c->gone ? c : NULL;
}

static void later(void (*mend)(void *arg), void *arg)
{
	uint64_t at = sim_now + length_ns();

	sim_at(CM_MIN(at, end_ns), mend, arg);
}

static void rogue_later(void *arg)
{
	(void)arg;
	sim_crm_rogue_start();
}

/* Somebody starts VMs again and again, for so long. */
static void impatient(uint64_t ms)
{
	for (unsigned i = 0; i < 3; i++)
		sim_at(sim_now + sim_between(10, ms) * SIM_MS, rogue_later, NULL);
}

/* --- processes ------------------------------------------------------------------------------- */

static void kill_core(void *arg)
{
	struct sim_core *c = arg;

	if (c->gone)
		return;
	sim_say("kill -9 of vm%u on %s", c->vm, c->node->name);
	sim_kill(c->proc);
}

static void fault_kill(void)
{
	struct sim_core *c = some_core();

	if (c)
		kill_core(c);
}

static void cont(void *arg)
{
	struct sim_core *c = arg;

	if (!c->proc->alive)
		return;
	sim_say("SIGCONT of vm%u on %s", c->vm, c->node->name);
	/* A whole node that stood still is promised nothing: hvwatchdogd stood still, too. */
	if (!c->node->frozen && !c->node->paused && c->node->went_on_ns < c->proc->stopped_ns)
		sim_guest_residue(c->proc);
	sim_stop(c->proc, false);
}

static void stop(struct sim_core *c)
{
	if (!c || c->gone || c->proc->stopped || c->node->frozen || c->node->paused)
		return;
	sim_say("SIGSTOP of vm%u on %s", c->vm, c->node->name);
	sim_stop(c->proc, true);
	later(cont, c);
}

static void fault_stop(void)
{
	stop(some_core());
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void thaw(void *arg)
{
	struct sim_node *n = arg;

	if (!n->frozen)
		return;
	sim_say("%s goes on", n->name);
	sim_freeze(n, false);
	sim_crm_changed();
	if (sim_chance(400))
		impatient(2500);
}

static void freeze(void *arg)
{
	struct sim_node *n = arg;

	if (!n->on || n->frozen || n->paused)
		return;
	sim_say("%s stands still", n->name);
	sim_freeze(n, true);
	sim_crm_changed();
	later(thaw, n);
}

static void fault_freeze(void)
{
	freeze(some_node());
}

static void unpause_shown(void *arg)
{
	struct sim_node *n = arg;

	if (!n->paused)
		return;
	sim_say("%s is not paused any more, and can see that", n->name);
	sim_pause(n, false, true);
	sim_crm_changed();
}

static void unpause_blind(void *arg)
{
	struct sim_node *n = arg;

	if (!n->paused)
		return;
	sim_say("%s is not paused any more, and cannot see that", n->name);
	sim_pause(n, false, false);
	sim_crm_changed();
}

static void fault_pause(void)
{
	struct sim_node *n = some_node();

	if (!n->on || n->frozen || n->paused)
		return;
	sim_say("%s is paused by its hypervisor", n->name);
	sim_pause(n, true, false);
	sim_crm_changed();
	later(sim_chance(500) ? unpause_shown : unpause_blind, n);
}

static void power_on(void *arg)
{
	struct sim_node *n = arg;

	if (n->on)
		return;
	sim_say("%s has power again", n->name);
	sim_power_on(n);
	sim_agent_new(n);
	sim_crm_changed();
}

static void power_cut(void *arg)
{
	struct sim_node *n = arg;

	if (!n->on)
		return;
	sim_say("%s loses its power", n->name);
	sim_power_off(n);
	sim_sess_off(n);
	sim_crm_changed();
	sim_at(sim_now + sim_between(3, 20) * SIM_S, power_on, n);
}

static void fault_power(void)
{
	power_cut(some_node());
}

static void bmc_back(void *arg)
{
	*(bool *)arg = false;
}

static void fault_bmc(void)
{
	bool *dead = &sim_bmc_dead[sim_below(sim_nnodes)];

	*dead = true;
	later(bmc_back, dead);
}

/* --- networks --------------------------------------------------------------------------------- */

static void together(void *arg)
{
	(void)arg;
	sim_say("all nodes reach each other again");
	memset(sim_group, 0, SIM_NODES * sizeof sim_group[0]);
	sim_crm_changed();
}

static void part(void)
{
	sim_say("the cluster's network is parted: %u %u %u", sim_group[0], sim_group[1], sim_group[2]);
	for (unsigned i = 0; i < sim_nnodes; i++)
		for (unsigned k = 0; k < i; k++)
			if (sim_group[i] != sim_group[k])
				sim_move_parted(&sim_nodes[i], &sim_nodes[k]);
	sim_crm_changed();
	later(together, NULL);
}

static void fault_part(void)
{
	for (unsigned i = 0; i < sim_nnodes; i++)
		sim_group[i] = (unsigned)sim_below(sim_chance(200) ? 3 : 2);
	part();
}

static void isolate(struct sim_node *n)
{
	for (unsigned i = 0; i < sim_nnodes; i++)
		sim_group[i] = i == n->index;
	part();
}

/* One node, and often something on it, too; and then somebody is impatient. */
static void fault_lone(void)
{
	struct sim_node *n = some_node();
	unsigned what = (unsigned)sim_below(4);

	isolate(n);
	for (unsigned v = 0; v < sim_nvms && what == 0 && n->on; v++)
		stop(sim_agent_of(n)->core[v]);
	if (what == 1)
		freeze(n);
	if (what == 2)
		impatient(6000);
}

static void san_back(void *arg)
{
	sim_say("%s reaches the SAN again", ((struct sim_node *)arg)->name);
	sim_sess_cut(arg, false);
}

static void san_cut(struct sim_node *n)
{
	if (n->san_cut)
		return;
	sim_say("%s does not reach the SAN", n->name);
	sim_sess_cut(n, true);
	later(san_back, n);
}

static void fault_san_cut(void)
{
	san_cut(some_node());
}

static void fault_break(void)
{
	sim_say("the target closes all connections");
	sim_sess_break();
}

static void manners_back(void *arg)
{
	(void)arg;
	sim_manners = (struct sim_manners){0};
	sim_lost_answers_permille = 0;
}

static void fault_manners(void)
{
	sim_manners.stuck_permille = sim_chance(700) ? (unsigned)sim_between(10, 300) : 0;
	sim_manners.stuck_ns = length_ns() + 2 * SIM_MS;
	sim_manners.busy_permille = sim_chance(200) ? 100 : 0;
	sim_lost_answers_permille = sim_chance(400) ? (unsigned)sim_between(1, 60) : 0;
	sim_say("the target is slow: %u, busy %u, answers lost %u of 1000", sim_manners.stuck_permille,
		sim_manners.busy_permille, sim_lost_answers_permille);
	later(manners_back, NULL);
}

/* --- at the worst instant --------------------------------------------------------------------- */

static bool armed_write, armed_start, armed_move;

static void fault_at_write(void)
{
	armed_write = true;
}

static void fault_at_start(void)
{
	armed_start = true;
}

static void fault_at_move(void)
{
	armed_move = true;
	sim_crm_move();
}

static void freeze_for(struct sim_node *n)
{
	if (sim_chance(500))
		sim_at(sim_now + 1, freeze, n);
	else
		isolate(n);
}

/* A block was written, and its writer does not know it yet. */
static void compared(uint64_t nexus)
{
	unsigned i = (unsigned)(nexus >> 48) - 1;

	if (!armed_write || i >= sim_nnodes)
		return;
	armed_write = false;
	switch (sim_below(4)) {
	case 0:
		sim_lost_answers_permille = 1000;
		sim_at(sim_now + sim_between(1, sim_t_ms * 3) * SIM_MS, manners_back, NULL);
		break;
	case 1:
		san_cut(&sim_nodes[i]);
		break;
	default:
		freeze_for(&sim_nodes[i]);
	}
}

struct come_back {
	unsigned vm, node;
};

static void come_back(void *arg)
{
	struct come_back *b = arg;

	sim_crm_start_on(b->vm, b->node);
}

/* It stands still with evidence about a node, until that one is back and has the VM again. */
static void slow_taker(struct sim_core *c)
{
	struct come_back *b = sim_alloc(sizeof *b);

	b->vm = c->vm;
	while (b->node < sim_nnodes - 1 && strcmp(sim_nodes[b->node].name, c->proof.node) != 0)
		b->node++;
	sim_stop(c->proc, true);
	sim_at(sim_now + sim_between(22, 30) * SIM_S, cont, c);
	for (unsigned i = 0; i < 5; i++)
		sim_at(sim_now + sim_between(4, 21) * SIM_S, come_back, b);
}

/* A process has got its evidence, and does not act on it for long. */
static void starts(struct sim_core *c)
{
	if (!armed_start || sim_now >= end_ns || (c->mode != SIM_RUN && sim_chance(700)))
		return;
	armed_start = false;
	if (strncmp(c->proof.evidence, "powered-off", 11) == 0 && sim_chance(700)) {
		slow_taker(c);
		return;
	}
	if (sim_chance(700))
		sim_at(sim_now + sim_between(1, 20) * SIM_MS, freeze, c->node);
	else
		stop(c);
}

static void power_cut_node(void *arg)
{
	struct sim_core *c = arg;

	if (c->node->on && !c->gone)
		power_cut(c->node);
}

/* One is alone while another is fenced, comes back and gets VMs; then they change places. */
struct swap {
	struct sim_node *lone, *fenced;
};

static void swap_power(void *arg)
{
	power_cut(((struct swap *)arg)->fenced);
}

static void swap_starts(void *arg)
{
	for (unsigned v = 0; v < sim_nvms; v++)
		sim_crm_start_on(v, ((struct swap *)arg)->fenced->index);
}

static void swap_wants(void *arg)
{
	for (unsigned v = 0; v < sim_nvms; v++)
		sim_crm_start_on(v, ((struct swap *)arg)->lone->index);
}

static void swap_places(void *arg)
{
	struct swap *s = arg;

	isolate(s->fenced);
	for (unsigned i = 0; i < 4; i++)
		sim_at(sim_now + sim_between(1000, 4000) * SIM_MS, swap_wants, s);
}

static void fault_swap(void)
{
	struct swap *s = sim_alloc(sizeof *s);
	uint64_t at = sim_now;

	s->lone = some_node();
	s->fenced = some_node();
	if (s->lone == s->fenced || sim_nnodes < 5 || at + 30 * SIM_S > end_ns)
		return;
	for (unsigned i = 0; i < sim_nnodes; i++)
		sim_group[i] = &sim_nodes[i] == s->lone;
	sim_say("%s is alone", s->lone->name);
	sim_crm_changed();
	sim_at(at + 3 * SIM_S, swap_power, s);
	for (unsigned i = 0; i < 3; i++)
		sim_at(at + sim_between(8, 26) * SIM_S, swap_starts, s);
	sim_at(at + 27 * SIM_S, swap_places, s);
}

/* The destination has all, the source does not know it yet. */
static void verified(struct sim_core *source, struct sim_core *dest)
{
	if (!armed_move || sim_now >= end_ns)
		return;
	armed_move = false;
	if (sim_chance(600)) {
		sim_move_break(source);
		if (sim_chance(500))
			sim_move_break(dest);
	}
	if (sim_chance(500))
		san_cut(sim_chance(700) ? dest->node : source->node);
	if (sim_chance(300))
		stop(sim_chance(500) ? dest : source);
	sim_at(sim_now + sim_between(1, sim_t_ms * 5) * SIM_MS, sim_chance(500) ? kill_core : power_cut_node, source);
}

/* --- which ------------------------------------------------------------------------------------ */

static const struct {
	void (*fn)(void);
	unsigned weight;
} faults[] = {
	{fault_kill, 8},    {fault_stop, 8},   {fault_freeze, 8},	 {fault_pause, 5},	 {fault_power, 4},
	{fault_bmc, 4},	    {fault_part, 8},   {fault_san_cut, 10},	 {fault_break, 6},	 {fault_manners, 14},
	{sim_crm_stop, 4},  {sim_crm_move, 25}, {sim_crm_rogue_start, 12}, {fault_lone, 10}, {fault_at_write, 10},
	{fault_at_start, 8}, {fault_at_move, 16},	 {fault_swap, 6},
};

static void next(void *arg)
{
	unsigned all = 0, at;

	(void)arg;
	if (sim_now >= end_ns)
		return;
	for (unsigned i = 0; i < CM_ARRAY_LEN(faults); i++)
		all += faults[i].weight;
	at = (unsigned)sim_below(all);
	for (unsigned i = 0; i < CM_ARRAY_LEN(faults); i++) {
		if (at < faults[i].weight) {
			faults[i].fn();
			break;
		}
		at -= faults[i].weight;
	}
	sim_at(sim_now + sim_between(1, sim_chance(400) ? 300 : sim_t_ms * 6) * SIM_MS, next, NULL);
}

void sim_faults_begin(uint64_t until)
{
	end_ns = until;
	armed_write = armed_start = armed_move = false;
	sim_compared = compared;
	sim_core_starts = starts;
	sim_move_verified = verified;
	sim_at(sim_now + 8 * SIM_S, next, NULL);
}
