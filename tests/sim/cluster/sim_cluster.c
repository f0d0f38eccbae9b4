/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_cluster.c - whole clusters in one process, by the seed: the product's devices, leases, proofs and moves as they are
 * compiled, on virtual nodes, clocks, networks and a virtual SAN, while things go wrong; judged by sim_oracle.c.
 *
 *	sim_cluster [--seed S] [--count N] [--plant NAME] [--verbose]
 *	sim_cluster --check [--count N]	clean seeds, and each plant until it is found
 *	sim_cluster --list			the plants
 *
 * Exit code 0: nothing was found (with --plant: it was found).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cluster/sim_agent.h"
#include "tests/sim/cluster/sim_crm.h"
#include "tests/sim/cluster/sim_faults.h"
#include "tests/sim/cluster/sim_plant.h"
#include "tests/sim/cluster/sim_sess.h"

#define CHECK_SEEDS 200u
#define PLANT_SEEDS 3000u

/*
 * Where the search for a plant begins: a little before a seed that found it last, so that the check is short. Any number will
 * do, and none is right for long. RARE: not within PLANT_SEEDS; by hand only.
 */
#define RARE UINT64_MAX
static const uint64_t plant_from[SIM_PLANT_COUNT] = {
	[SIM_PLANT_SAN_IS_OFF] = 365,
	[SIM_PLANT_NO_WATCHDOG] = 700,
	[SIM_PLANT_OLD_EVIDENCE] = 140,
	[SIM_PLANT_OLD_HISTORY] = 1105,
	[SIM_PLANT_FROM_ANSWER] = RARE,
};

static bool seen[SIM_VMS];

/* In the end everything is mended: who runs within this time has come back. */
static void look(void *arg)
{
	(void)arg;
	for (unsigned v = 0; v < sim_nvms; v++)
		seen[v] |= sim_guest_anywhere(v);
	sim_at(sim_now + 250 * SIM_MS, look, NULL);
}

/* NULL: nothing was found. */
static const char *run(uint64_t seed, enum sim_plant plant, bool verbose)
{
	uint64_t mended;

	sim_world_begin(seed, verbose);
	sim_plant(plant);
	sim_t_ms = sim_chance(500) ? 500 : 1000;
	sim_nvms = (unsigned)sim_between(1, 3);
	for (unsigned v = 0; v < SIM_VMS; v++)
		sim_vm_luns[v] = (unsigned)sim_between(1, SIM_LUNS);
	sim_has_hvsan = sim_chance(600);
	sim_has_power = !sim_has_hvsan || sim_chance(600);
	sim_watchdog = true;
	sim_target_begin();
	sim_sess_begin();
	sim_oracle_begin();
	sim_guest_begin();
	sim_woke = sim_guest_woke;
	sim_nodes_begin(sim_chance(700) ? 3 : 5);
	sim_crm_begin();
	mended = sim_now + sim_between(20, 60) * SIM_S;
	sim_faults_begin(mended);
	sim_run(mended + 90 * SIM_S, sim_dispatch);
	memset(seen, 0, sizeof seen);
	sim_at(sim_now, look, NULL);
	sim_run(sim_now + 10 * SIM_S, sim_dispatch);
	for (unsigned v = 0; v < sim_nvms && !sim_finding(); v++)
		if (!seen[v])
			sim_found("VM %u does not run, though everything is mended", v);
	for (unsigned i = 0; i < sim_nnodes; i++)
		sim_power_off(&sim_nodes[i]);
	sim_world_end();
	return sim_finding();
}

static void tell(uint64_t seed, enum sim_plant plant, const char *what)
{
	printf("seed %llu: %s\n  again: sim_cluster --seed %llu --count 1%s%s --verbose\n", (unsigned long long)seed, what,
	       (unsigned long long)seed, plant ? " --plant " : "", plant ? sim_plant_name(plant) : "");
	fflush(stdout);
}

/* How many were found; stops at the first of a plant. *tried: how many seeds. */
static uint64_t series(uint64_t seed, uint64_t count, enum sim_plant plant, bool verbose, uint64_t *tried)
{
	uint64_t found = 0;

	for (*tried = 0; *tried < count && !(plant && found); ++*tried) {
		const char *what = run(seed + *tried, plant, verbose);

		if (what) {
			found++;
			tell(seed + *tried, plant, what);
		}
	}
	return found;
}

static int check(uint64_t seed, uint64_t count)
{
	uint64_t tried, bad = series(seed, count, SIM_PLANT_NONE, false, &tried);

	printf("%llu clean seeds: %llu findings (%llu writes, %llu boots, %llu moves)\n", (unsigned long long)tried,
	       (unsigned long long)bad, (unsigned long long)sim_tally_writes, (unsigned long long)sim_tally_boots,
	       (unsigned long long)sim_tally_moves);
	for (unsigned p = 1; p < SIM_PLANT_COUNT; p++) {
		uint64_t found;

		if (plant_from[p] == RARE)
			continue;
		found = series(seed + plant_from[p], PLANT_SEEDS, (enum sim_plant)p, false, &tried);
		printf("%s (%s): %s after %llu seeds\n", sim_plant_name((enum sim_plant)p),
		       sim_plant_what((enum sim_plant)p), found ? "found" : "NOT FOUND", (unsigned long long)tried);
		bad += !found;
	}
	return bad ? 1 : 0;
}

static int list(void)
{
	for (unsigned p = 1; p < SIM_PLANT_COUNT; p++)
		printf("%-16s %s\n", sim_plant_name((enum sim_plant)p), sim_plant_what((enum sim_plant)p));
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 0, tried, found;
	enum sim_plant plant = SIM_PLANT_NONE;
	bool verbose = false, all = argc == 1;

	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--check") == 0) {
			all = true;
		} else if (strcmp(argv[i], "--list") == 0) {
			return list();
		} else if (strcmp(argv[i], "--seed") == 0) {
			seed = strtoull(next, NULL, 0);
			i++;
		} else if (strcmp(argv[i], "--count") == 0) {
			count = strtoull(next, NULL, 0);
			i++;
		} else if (strcmp(argv[i], "--plant") == 0 && (plant = sim_plant_find(next))) {
			i++;
		} else {
			fprintf(stderr, "sim_cluster: what is '%s %s'? See --list and the top of sim_cluster.c\n", argv[i], next);
			return 2;
		}
	}
	if (all)
		return check(seed, count ? count : CHECK_SEEDS);
	found = series(seed, count ? count : 1, plant, verbose, &tried);
	printf("%llu seeds, %llu findings, %llu writes, %llu boots, %llu moves\n", (unsigned long long)tried,
	       (unsigned long long)found, (unsigned long long)sim_tally_writes, (unsigned long long)sim_tally_boots,
	       (unsigned long long)sim_tally_moves);
	return plant ? !found : found != 0;
}
