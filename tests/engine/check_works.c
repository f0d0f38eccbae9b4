/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_works: the payload's works on every engine that can run here; each result must be what the same C code gives
 * natively. With --bench: how fast (instructions a second where the engine counts them). With --log the dirty log is
 * taken and re-armed all the time, as by a live migration.
 *
 *   check_works PAYLOAD [--engine soft|kvm] [--work W] [--amount N] [--bench] [--log] [--corrupt] [--odd-host]
 *
 * --corrupt spoils the engines' results, --odd-host the first native one of each work, to prove that the one is found and the
 * other is not taken for the engine's. Exit: 0 all agree, 1 not, 77 the engine asked for cannot run here, or the host gives
 * another result each time.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_err.h"
#include "tests/engine/rig.h"
#include "tests/engine/rig_native.h"

#define PAGES (RIG_RAM_BYTES / 4096)
#define LOG_PERIOD_NS 20000000
#define INSNS_PER_US 100

struct options {
	const char *engine, *work;
	uint64_t amount;
	bool bench, log, corrupt, odd_host;
};

struct logger {
	struct rig *rig;
	atomic_bool stop, failed;
	uint64_t bitmap[PAGES / 64];
};

static const struct {
	const char *name;
	uint64_t check, bench; /* amounts */
} works[RIG_WORKS] = {
	[RIG_INTEGER] = { "integer", 20000, 30000000 }, [RIG_SHA256] = { "sha256", 100, 30000 },
	[RIG_STRING] = { "string", 50, 100000 },	[RIG_FLOAT] = { "float", 300, 100000 },
	[RIG_X87] = { "x87", 300, 100000 },		[RIG_FAULTS] = { "faults", 200, 300000 },
	[RIG_USER] = { "user", 200, 300000 },		[RIG_SORT] = { "sort", 500, 200000 },
};

/* Processor time of this thread, which runs the vCPU: a busy machine does not count. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t native(unsigned int work, uint64_t amount, const struct options *o, double *took)
{
	double from = seconds();
	uint64_t result = rig_native(work, amount);

	*took = seconds() - from;
	return result ^ o->odd_host;
}

/* Copies nothing, but takes and re-arms the dirty log as a live migration does. */
static void *keep_log(void *arg)
{
	const struct timespec pause = { .tv_nsec = LOG_PERIOD_NS };
	struct logger *l = arg;

	while (!atomic_load(&l->stop)) {
		memset(l->bitmap, 0, sizeof l->bitmap);
		if (l->rig->ops->dirty_fetch(l->rig->engine, 0, l->bitmap) ||
		    l->rig->ops->dirty_clear(l->rig->engine, 0, 0, PAGES, l->bitmap))
			atomic_store(&l->failed, true);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static enum hv_run run_to_end(struct rig *r, struct logger *l)
{
	enum hv_run how = HV_RUN_KICKED;
	struct cm_err err = CM_ERR_INIT;
	pthread_t thread;

	if (l) {
		*l = (struct logger){ .rig = r };
		if (r->ops->dirty_start(r->engine, 0, &err))
			return HV_RUN_FAILED;
		pthread_create(&thread, NULL, keep_log, l);
	}
	while (how == HV_RUN_KICKED && !r->done && r->panic_words < 3)
		how = rig_run(r);
	if (l) {
		atomic_store(&l->stop, true);
		pthread_join(thread, NULL);
	}
	return how;
}

static enum rig_verdict judge(const struct hv_engine_ops *ops, const struct rig *r, unsigned int work, uint64_t amount,
			      uint64_t want, const struct options *o)
{
	char who[32];

	snprintf(who, sizeof who, "%s %s", ops->name, works[work].name);
	if (r->done)
		return rig_native_judge(who, work, amount, want, o->corrupt ? ~r->result : r->result);
	printf("%s: WRONG: did not end (%s), trap %u error %x rip %x\n", who, ops->vcpu_error(r->engine, 0), r->panic[0],
	       r->panic[1], r->panic[2]);
	return RIG_ENGINE_WRONG;
}

static enum rig_verdict run_one(const struct hv_engine_ops *ops, const char *payload, unsigned int work, uint64_t amount,
				const struct options *o)
{
	static struct logger logger;
	struct hv_engine_counters count = { 0 };
	struct rig r;
	double from, took, native_took;
	uint64_t want = native(work, amount, o, &native_took);
	enum rig_verdict verdict;

	if (rig_new(&r, ops, 0, NULL) || rig_load(&r, payload, work, amount)) {
		rig_free(&r);
		return RIG_ENGINE_WRONG;
	}
	from = seconds();
	run_to_end(&r, o->log ? &logger : NULL);
	took = seconds() - from;
	verdict = judge(ops, &r, work, amount, want, o);
	if (logger.failed) {
		printf("%s %s: the dirty log failed\n", ops->name, works[work].name);
		verdict = RIG_ENGINE_WRONG;
	}
	ops->counters(r.engine, 0, &count);
	if (verdict == RIG_AGREE && o->bench)
		printf("%-5s %-8s %8.3f s %8.1f MIPS %8.1f times native %6u timer interrupts\n", ops->name,
		       works[work].name, took, (double)count.insns / took / 1e6, took / native_took, r.ticks);
	rig_free(&r);
	return verdict;
}

/* With time counted in instructions two runs are the same, down to the last timer interrupt. */
static bool run_counted(const char *payload, unsigned int work)
{
	struct hv_engine_counters count[2] = { 0 };
	uint32_t ticks[2] = { 0 };
	bool good = true;

	for (int i = 0; i < 2 && good; i++) {
		struct rig r;

		good = !rig_new(&r, &hv_engine_soft, INSNS_PER_US, NULL) && !rig_load(&r, payload, work, works[work].check) &&
		       run_to_end(&r, NULL) == HV_RUN_KICKED && r.done;
		if (good)
			hv_engine_soft.counters(r.engine, 0, &count[i]);
		ticks[i] = r.ticks;
		rig_free(&r);
	}
	good &= ticks[0] == ticks[1] && count[0].insns == count[1].insns;
	if (!good)
		printf("soft %s: counted time is not repeatable: %u and %u interrupts, %" PRIu64 " and %" PRIu64
		       " instructions\n", works[work].name, ticks[0], ticks[1], count[0].insns, count[1].insns);
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

static enum rig_verdict worse(enum rig_verdict a, enum rig_verdict b)
{
	return a > b ? a : b;
}

static enum rig_verdict run_engine(const struct hv_engine_ops *ops, const struct hv_engine_caps *caps, const char *payload,
				   const struct options *o)
{
	enum rig_verdict worst = RIG_AGREE;

	for (unsigned int w = 0; w < RIG_WORKS; w++) {
		if (o->work && strcmp(o->work, works[w].name))
			continue;
		if (ops == &hv_engine_soft && !o->bench && !run_counted(payload, w))
			worst = RIG_ENGINE_WRONG;
		if (can_do(caps, w))
			worst = worse(worst, run_one(ops, payload, w,
						     o->amount ? o->amount : o->bench ? works[w].bench : works[w].check, o));
		else
			printf("SKIP: %s: this %s emulates guest kernels and lacks these instructions\n", works[w].name,
			       ops->name);
	}
	return worst;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "engine", required_argument, NULL, 'e' },
					       { "amount", required_argument, NULL, 'a' },
					       { "work", required_argument, NULL, 'w' },
					       { "bench", no_argument, NULL, 'b' },
					       { "log", no_argument, NULL, 'l' },
					       { "corrupt", no_argument, NULL, 'x' },
					       { "odd-host", no_argument, NULL, 'o' },
					       { 0 } };
	int opt;

	while ((opt = getopt_long(argc, argv, "e:a:w:bl", longs, NULL)) != -1) {
		if (opt == 'e')
			o->engine = optarg;
		else if (opt == 'a')
			o->amount = strtoull(optarg, NULL, 0);
		else if (opt == 'w')
			o->work = optarg;
		else if (opt == 'b')
			o->bench = true;
		else if (opt == 'l')
			o->log = true;
		else if (opt == 'x')
			o->corrupt = true;
		else if (opt == 'o')
			o->odd_host = true;
		else
			return false;
	}
	return optind + 1 == argc;
}

static int conclude(enum rig_verdict worst)
{
	if (worst == RIG_NO_ANSWER) {
		printf("SKIP: check_works: this host is no judge: it computes another result each time\n");
		return 77;
	}
	printf("check_works: %s\n", worst == RIG_ENGINE_WRONG ? "WRONG results" : "all results as native");
	return worst == RIG_ENGINE_WRONG;
}

int main(int argc, char **argv)
{
	static const struct hv_engine_ops *const engines[] = { &hv_engine_soft, &hv_engine_kvm };
	struct options o = { 0 };
	enum rig_verdict worst = RIG_AGREE;
	bool any = false;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: check_works PAYLOAD [--engine E] [--work W] [--amount N] [--bench] [--log] [--corrupt]"
				" [--odd-host]\n");
		return 2;
	}
	for (size_t e = 0; e < sizeof engines / sizeof engines[0]; e++) {
		struct hv_engine_caps caps;

		if (o.engine && strcmp(o.engine, engines[e]->name))
			continue;
		caps = probe(engines[e]);
		if (!caps.usable) {
			printf("SKIP: engine %s cannot run here\n", engines[e]->name);
			continue;
		}
		any = true;
		worst = worse(worst, run_engine(engines[e], &caps, argv[optind], &o));
	}
	return any ? conclude(worst) : 77;
}
