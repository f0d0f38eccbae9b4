/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_works: the payload's works on every engine that can run here; each result must be what the same C code gives
 * natively. With --bench: how fast (instructions a second where the engine counts them).
 *
 *   check_works PAYLOAD [--engine soft|kvm] [--amount N] [--bench]
 *
 * Exit: 0 all agree, 1 not, 77 the engine asked for cannot run here.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_err.h"
#include "tests/engine/rig.h"
#include "tests/engine/rig_work.h"

#define HEAP_BYTES (2u << 20)

static const struct {
	const char *name;
	uint64_t check, bench; /* amounts */
} works[RIG_WORKS] = {
	[RIG_INTEGER] = { "integer", 20000, 30000000 }, [RIG_SHA256] = { "sha256", 100, 30000 },
	[RIG_STRING] = { "string", 50, 100000 },	[RIG_FLOAT] = { "float", 300, 100000 },
	[RIG_X87] = { "x87", 300, 100000 },		[RIG_FAULTS] = { "faults", 200, 300000 },
	[RIG_USER] = { "user", 200, 300000 },		[RIG_SORT] = { "sort", 500, 200000 },
};

static uint64_t native(unsigned int work, uint64_t amount)
{
	void *heap = calloc(1, HEAP_BYTES);
	uint64_t result = rig_work(work, amount, heap);

	free(heap);
	return result;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool run_one(const struct hv_engine_ops *ops, const char *payload, unsigned int work, uint64_t amount, bool bench)
{
	struct hv_engine_counters count = { 0 };
	struct rig r;
	uint64_t want = native(work, amount);
	double from, took;
	enum hv_run how = HV_RUN_KICKED;
	bool good;

	if (rig_new(&r, ops, 0, NULL) || rig_load(&r, payload, work, amount)) {
		rig_free(&r);
		return false;
	}
	from = seconds();
	while (how == HV_RUN_KICKED && !r.done && r.panic_words < 3)
		how = rig_run(&r);
	took = seconds() - from;
	good = r.done && r.result == want;
	if (!good)
		printf("%s %s: WRONG: run %d (%s), done %d, result %016" PRIx64 ", native %016" PRIx64
		       ", trap %u error %x rip %x\n", ops->name, works[work].name, how, ops->vcpu_error(r.engine, 0), r.done,
		       r.result, want, r.panic[0], r.panic[1], r.panic[2]);
	ops->counters(r.engine, 0, &count);
	if (good && bench)
		printf("%-5s %-8s %8.3f s %8.1f MIPS %6u timer interrupts\n", ops->name, works[work].name, took,
		       (double)count.insns / took / 1e6, r.ticks);
	rig_free(&r);
	return good;
}

static struct hv_engine_caps probe(const struct hv_engine_ops *ops)
{
	struct hv_engine_caps caps = { 0 };
	struct cm_err err = CM_ERR_INIT;

	if (ops->probe(&caps, &err))
		caps.usable = false;
	return caps;
}

/* A KVM that emulates guest kernels (KVM-PVM) knows no vector or x87 instruction at CPL 0, and no SYSCALL. */
static bool can_do(const struct hv_engine_caps *caps, unsigned int work)
{
	return caps->runs_stock_linux || (work != RIG_FLOAT && work != RIG_X87 && work != RIG_USER);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "engine", required_argument, NULL, 'e' },
					       { "amount", required_argument, NULL, 'a' },
					       { "work", required_argument, NULL, 'w' },
					       { "bench", no_argument, NULL, 'b' },
					       { 0 } };
	static const struct hv_engine_ops *const engines[] = { &hv_engine_soft, &hv_engine_kvm };
	const char *engine = NULL, *only = NULL;
	uint64_t amount = 0;
	bool bench = false, good = true, any = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "e:a:w:b", longs, NULL)) != -1) {
		if (opt == 'e')
			engine = optarg;
		else if (opt == 'a')
			amount = strtoull(optarg, NULL, 0);
		else if (opt == 'w')
			only = optarg;
		else if (opt == 'b')
			bench = true;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: check_works PAYLOAD [--engine E] [--work W] [--amount N] [--bench]\n");
		return 2;
	}
	for (size_t e = 0; e < sizeof(engines) / sizeof(engines[0]); e++) {
		struct hv_engine_caps caps;

		if (engine && strcmp(engine, engines[e]->name))
			continue;
		caps = probe(engines[e]);
		if (!caps.usable) {
			printf("SKIP: engine %s cannot run here\n", engines[e]->name);
			continue;
		}
		any = true;
		for (unsigned int w = 0; w < RIG_WORKS; w++) {
			if (only && strcmp(only, works[w].name))
				continue;
			if (can_do(&caps, w))
				good &= run_one(engines[e], argv[optind], w,
						amount ? amount : bench ? works[w].bench : works[w].check, bench);
			else
				printf("SKIP: %s: this %s emulates guest kernels and lacks these instructions\n",
				       works[w].name, engines[e]->name);
		}
	}
	if (!any)
		return 77;
	printf("check_works: %s\n", good ? "all results as native" : "WRONG results");
	return good ? 0 : 1;
}
