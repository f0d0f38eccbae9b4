/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mig_src.c - migrations between two VMs in one process, both ends: a real guest that checks
 * every page it wrote, a real ownership block on a file, TLS with a single-use key. On the soft
 * engine, or with HV_TEST_ENGINE=kvm on KVM (make check-kvm).
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_fault.h"
#include "common/cm_fsm.h"
#include "tests/unit/migkit.h"

static void moved(struct bench *b, unsigned from, unsigned to)
{
	if (b->src_result.code || b->dst_result.code)
		fail_msg("source: %s; destination: %s", b->src_result.err.text, b->dst_result.err.text);
	assert_false(bench_runs(b, from));
	bench_lives_on(b, to);
	assert_int_equal(stor_lease_valid_until(b->host[from].lease), 0);
	assert_true(b->src_result.blackout_ns > 0);
	assert_true(b->src_result.blackout_ns < b->src_result.total_ns + 1);
}

/* The same instants bound the phases and the whole. What is between them is code, not waiting: no time worth mentioning,
 * unless a busy machine takes the CPU away just there. False: it did. */
static bool phases_add_up(const struct mig_result *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MIG_PHASE_COUNT; i++)
		sum += r->phase_ns[i];
	assert_true(sum <= r->blackout_ns + r->blackout_ns / 10 + 1000000);
	return sum + r->blackout_ns / 4 + 5000000 >= r->blackout_ns;
}

static void live_there_and_back(void **state)
{
	struct bench *b = *state;
	unsigned whole = 0;

	bench_need(state);
	for (unsigned i = 0; i < 6; i++) {
		unsigned from = i % 2, to = 1 - from;
		struct mig_src_config cfg = {.max_blackout_ms = BENCH_BLACKOUT_MS, .verify_ram = i == 2};

		bench_drop(b, to);
		bench_host(b, to);
		bench_move(b, from, to, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
		bench_wait(b);
		moved(b, from, to);
		whole += phases_add_up(&b->src_result);
		assert_true(b->src_result.rounds > 0);
	}
	assert_true(whole > 0);
}

static void quick_there_and_back(void **state)
{
	struct bench *b = *state;

	bench_need(state);
	for (unsigned i = 0; i < 4; i++) {
		unsigned from = i % 2, to = 1 - from;
		struct mig_src_config cfg = {.verify_ram = true};

		bench_drop(b, to);
		bench_host(b, to);
		bench_move(b, from, to, HV__MIGRATION_MODE__MODE_QUICK, &cfg);
		bench_wait(b);
		moved(b, from, to);
		assert_int_equal(b->src_result.rounds, 0);
	}
}

static void held_until_released(void **state)
{
	struct bench *b = *state;
	struct mig_src_config cfg = {.max_blackout_ms = BENCH_BLACKOUT_MS, .hold = true};

	bench_need(state);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
	assert_true(bench_until(b, &b->ready_told));
	bench_for_ms(b, 200);
	assert_false(b->src_done);
	bench_lives_on(b, 0);
	mig_src_commit(b->src);
	bench_wait(b);
	moved(b, 0, 1);
}

static void cancelled(void **state)
{
	struct bench *b = *state;
	struct mig_src_config cfg = {.max_blackout_ms = BENCH_BLACKOUT_MS, .hold = true};
	struct cm_err err = CM_ERR_INIT;

	bench_need(state);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
	assert_true(bench_until(b, &b->ready_told));
	assert_int_equal(mig_src_cancel(b->src, &err), 0);
	bench_wait(b);
	assert_int_equal(b->src_result.code, CM_E_MIG_CANCELLED);
	assert_true(b->src_result.vm_runs_here);
	assert_true(b->dst_result.code < 0);
	assert_false(bench_runs(b, 1));
	bench_lives_on(b, 0);
	/* And it can be moved afterwards. */
	bench_drop(b, 1);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, NULL);
	bench_wait(b);
	moved(b, 0, 1);
}

static void no_convergence(void **state)
{
	struct bench *b = *state;
	struct mig_src_config cfg = {.max_blackout_ms = 1}; /* less than the fixed part */

	bench_need(state);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
	bench_wait(b);
	assert_int_equal(b->src_result.code, CM_E_MIG_NO_CONVERGE);
	assert_true(b->src_result.vm_runs_here);
	bench_lives_on(b, 0);
}

/*
 * An error at every phase of either end: before the commit the source runs on, after it the destination; never both, never
 * none.
 */
static void error_at_every_phase(void **state)
{
	static const struct {
		const char *point;
		bool moves;
	} phase[] = {
		{"mig.src.connect", false}, {"mig.src.connected", false}, {"mig.src.hello", false}, {"mig.src.welcome", false},
		{"mig.src.round.first", false}, {"mig.src.round.later", false}, {"mig.src.pause", false}, {"mig.src.flushed", false},
		{"mig.src.round.last", false}, {"mig.src.state", false}, {"mig.src.verified", false}, {"mig.src.committed", true},
		{"mig.src.told", true},
		{"mig.dst.listen", false}, {"mig.dst.connected", false}, {"mig.dst.hello", false}, {"mig.dst.welcome", false},
		{"mig.land.memory", false}, {"mig.dst.landed", false}, {"mig.dst.loaded", false}, {"mig.dst.took", true},
	};
	struct bench *b = *state;
	unsigned at = 0;

	bench_need(state);
	for (unsigned i = 0; i < CM_ARRAY_LEN(phase); i++) {
		struct cm_err err = CM_ERR_INIT;
		char spec[64];

		bench_drop(b, 1 - at);
		bench_host(b, 1 - at);
		snprintf(spec, sizeof spec, "%s=error:5@1", phase[i].point);
		assert_int_equal(cm_fault_arm(spec, &err), 0);
		bench_move(b, at, 1 - at, i % 2 ? HV__MIGRATION_MODE__MODE_QUICK : HV__MIGRATION_MODE__MODE_LIVE, NULL);
		bench_wait(b);
		(void)cm_fault_arm("", &err);
		if (bench_runs(b, 0) + bench_runs(b, 1) != 1)
			fail_msg("%s: runs on %d and %d", phase[i].point, bench_runs(b, 0), bench_runs(b, 1));
		if (strcmp(phase[i].point, "mig.src.round.later") == 0 || strcmp(phase[i].point, "mig.src.round.first") == 0) {
			; /* a quick move has no rounds: it may have gone through */
		} else if (bench_runs(b, 1 - at) != phase[i].moves) {
			fail_msg("%s: the VM is on the wrong side; source says %s, destination %s", phase[i].point,
				 b->src_result.err.text, b->dst_result.err.text);
		}
		if (bench_runs(b, 1 - at))
			at = 1 - at;
		bench_lives_on(b, at);
	}
}

/* The destination says "verified" and falls silent: it asks the block, finds the intent cleared, and lets go. */
static void silent_after_verified(void **state)
{
	struct bench *b = *state;
	struct cm_err err = CM_ERR_INIT;

	bench_need(state);
	bench_host(b, 1);
	assert_int_equal(cm_fault_arm("mig.dst.verified=error:5@1", &err), 0);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_QUICK, NULL);
	bench_wait(b);
	/* The source heard "verified" and committed: the VM is there. */
	moved(b, 0, 1);
}

static void wrong_key(void **state)
{
	struct bench *b = *state;

	bench_need(state);
	bench_host(b, 1);
	b->wrong_key = true;
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, NULL);
	bench_wait(b);
	assert_true(b->src_result.code < 0);
	assert_true(b->dst_result.code < 0);
	assert_false(bench_runs(b, 1));
	bench_lives_on(b, 0);
}

static void machines_are_complete(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	if (cm_fsm_check(mig_src_fsm(), &err) < 0 || cm_fsm_check(mig_dst_fsm(), &err) < 0)
		fail_msg("%s", err.text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machines_are_complete),
		BENCH_TEST(live_there_and_back),
		BENCH_TEST(quick_there_and_back),
		BENCH_TEST(held_until_released),
		BENCH_TEST(cancelled),
		BENCH_TEST(no_convergence),
		BENCH_TEST(error_at_every_phase),
		BENCH_TEST(silent_after_verified),
		BENCH_TEST(wrong_key),
	};

	return cmocka_run_group_tests_name(bench_begin(argc, argv), tests, NULL, NULL);
}
