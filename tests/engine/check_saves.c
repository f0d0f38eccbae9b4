/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_saves: the payload is stopped at random instructions, its state is taken out of one engine and put into
 * another over the same RAM, and it runs on there; thousands of times. The result must be the native one.
 *
 *   check_saves PAYLOAD [--count N] [--seed S]
 *
 * Two soft engines take turns, so whatever an engine keeps beside the state (TLB, decoded blocks, pending events) is
 * stale when the vCPU comes back. Exit: 0 good, 1 not, 77 the host computes
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

#define MAX_PAUSE_US 300u

struct kicker {
	pthread_t thread;
	pthread_mutex_t lock;
	struct rig *target; /* who runs now, or NULL */
	atomic_bool stop;
	unsigned int seed;
};

static const uint64_t amounts[RIG_WORKS] = {
	[RIG_INTEGER] = 3000000, [RIG_SHA256] = 6000, [RIG_STRING] = 6000, [RIG_FLOAT] = 10000,
	[RIG_X87] = 10000,	 [RIG_FAULTS] = 40000, [RIG_USER] = 40000, [RIG_SORT] = 30000,
};

static void *kick_at_random(void *arg)
{
	struct kicker *k = arg;

	while (!atomic_load(&k->stop)) {
		struct timespec pause = { .tv_nsec = (long)(rand_r(&k->seed) % MAX_PAUSE_US) * 1000 };

		nanosleep(&pause, NULL);
		pthread_mutex_lock(&k->lock);
		if (k->target)
			k->target->ops->vcpu_kick(k->target->engine, 0);
		pthread_mutex_unlock(&k->lock);
	}
	return NULL;
}

static void aim(struct kicker *k, struct rig *target)
{
	pthread_mutex_lock(&k->lock);
	k->target = target;
	pthread_mutex_unlock(&k->lock);
}

static int move(struct rig *from, struct rig *to, struct hv_vcpu_state *s)
{
	struct hv_ioapic_state ioapic;
	struct hv_clock_state clock;
	struct cm_err err = CM_ERR_INIT;
	int rc = from->ops->vcpu_get(from->engine, 0, s, &err);

	if (!rc)
		rc = from->ops->ioapic_get(from->engine, &ioapic, &err);
	if (!rc)
		rc = from->ops->clock_get(from->engine, &clock, &err);
	if (!rc)
		rc = to->ops->clock_set(to->engine, &clock, &err);
	if (!rc)
		rc = to->ops->ioapic_set(to->engine, &ioapic, &err);
	if (!rc)
		rc = to->ops->vcpu_set(to->engine, 0, s, &err);
	if (rc)
		printf("move: %s\n", err.text);
	to->result = from->result;
	to->result_words = from->result_words;
	to->ticks = from->ticks;
	to->done = from->done;
	return rc;
}

/* One work from entry to end; adds the moves to *moves. */
static enum rig_verdict run_work(struct rig rigs[2], struct kicker *k, const char *payload, unsigned int work, uint64_t *moves)
{
	struct hv_vcpu_state *s = calloc(1, sizeof *s);
	uint64_t want = rig_native(work, amounts[work]);
	unsigned int now = 0;
	enum hv_run how = HV_RUN_KICKED;
	enum rig_verdict verdict = RIG_ENGINE_WRONG;

	rigs[0].done = rigs[1].done = false;
	rigs[0].result = rigs[0].result_words = 0;
	memset(rigs[0].ram, 0, RIG_RAM_BYTES);
	if (rig_load(&rigs[0], payload, work, amounts[work]))
		return RIG_ENGINE_WRONG;
	while (!rigs[now].done && how == HV_RUN_KICKED && rigs[now].panic_words < 3) {
		aim(k, &rigs[now]);
		how = rig_run(&rigs[now]);
		aim(k, NULL);
		if (how != HV_RUN_KICKED || rigs[now].done)
			break;
		if (move(&rigs[now], &rigs[!now], s))
			break;
		now = !now;
		++*moves;
	}
	if (rigs[now].done)
		verdict = rig_native_judge("check_saves", work, amounts[work], want, rigs[now].result);
	if (verdict == RIG_ENGINE_WRONG)
		printf("work %u: WRONG: run %d (%s) done %d trap %u error %x rip %x after %" PRIu64 " moves\n", work, how,
		       rigs[now].ops->vcpu_error(rigs[now].engine, 0), rigs[now].done, rigs[now].panic[0], rigs[now].panic[1],
		       rigs[now].panic[2], *moves);
	free(s);
	return verdict;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "count", required_argument, NULL, 'c' },
					       { "seed", required_argument, NULL, 's' },
					       { 0 } };
	struct kicker k = { .lock = PTHREAD_MUTEX_INITIALIZER, .seed = (unsigned int)time(NULL) };
	uint64_t count = 1000, moves = 0;
	struct rig rigs[2];
	enum rig_verdict worst = RIG_AGREE;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:s:", longs, NULL)) != -1) {
		if (opt == 'c')
			count = strtoull(optarg, NULL, 0);
		else if (opt == 's')
			k.seed = (unsigned int)strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: check_saves PAYLOAD [--count N] [--seed S]\n");
		return 2;
	}
	printf("check_saves: seed %u\n", k.seed);
	if (rig_new(&rigs[0], &hv_engine_soft, 0, NULL) || rig_new(&rigs[1], &hv_engine_soft, 0, rigs[0].ram))
		return 1;
	pthread_create(&k.thread, NULL, kick_at_random, &k);
	for (unsigned int work = 0; worst < RIG_NO_ANSWER && (moves < count || work < RIG_WORKS); work++) {
		enum rig_verdict verdict = run_work(rigs, &k, argv[optind], work % RIG_WORKS, &moves);

		worst = verdict > worst ? verdict : worst;
	}
	atomic_store(&k.stop, true);
	pthread_join(k.thread, NULL);
	rig_free(&rigs[1]);
	rig_free(&rigs[0]);
	if (worst == RIG_NO_ANSWER) {
		printf("SKIP: check_saves: this host is no judge: it computes another result each time\n");
		return 77;
	}
	printf("check_saves: %" PRIu64 " moves, %s\n", moves, worst == RIG_ENGINE_WRONG ? "WRONG" : "all results as native");
	return worst == RIG_ENGINE_WRONG;
}
