/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_jump.c - a pause that our clock did not count is seen by the clocks that did; ordinary time is none.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "common/cm_clock.h"

/* CLOCK_BOOTTIME, CLOCK_MONOTONIC, the wall clock, the counter (1 GHz): the machine's, or the test's own. */
static uint64_t boot_ns = 1000 * CM_NS_PER_S, awake = 900 * CM_NS_PER_S;
static uint64_t wall_ns = 2000 * CM_NS_PER_S, ticks = 3000 * CM_NS_PER_S;

static bool faked;

static uint64_t fake_now(void)
{
	return faked ? boot_ns : cm_now_ns();
}

static uint64_t fake_wall(void)
{
	return faked ? wall_ns : cm_wall_ns();
}

static int fake_gettime(clockid_t id, struct timespec *t)
{
	assert_int_equal(id, CLOCK_MONOTONIC);
	if (!faked)
		return clock_gettime(id, t);
	*t = (struct timespec){(time_t)(awake / CM_NS_PER_S), (long)(awake % CM_NS_PER_S)};
	return 0;
}

#ifdef __x86_64__
static uint64_t fake_ticks(void)
{
	return faked ? ticks : __rdtsc();
}
#endif

/* The source itself, reading these. */
#define cm_now_ns     fake_now
#define cm_wall_ns    fake_wall
#define clock_gettime fake_gettime
#ifdef __x86_64__
#undef __rdtsc
#define __rdtsc fake_ticks
#endif
#include "common/cm_jump.c"

static void test_ordinary_time(void **state)
{
	struct cm_mark m;

	(void)state;
	cm_jump_learn();
	usleep(250000);
	cm_jump_learn();
	m = cm_mark();
	usleep(50000);
	/* Slewing, and the counter's speed as it was learned: far below what any lease leaves as slack. */
	assert_true(cm_jump_ns(&m) < 10 * CM_NS_PER_MS);
}

static void test_pretended(void **state)
{
	struct cm_mark m = cm_mark();

	(void)state;
	cm_jump_pretend(3 * CM_NS_PER_S);
	assert_true(cm_jump_ns(&m) > 2 * CM_NS_PER_S); /* the wall clock may be slewed meanwhile */
	m = cm_mark();
	assert_true(cm_jump_ns(&m) < CM_NS_PER_S);
}

/* A virtual clock has no others beside it. */
static void test_virtual(void **state)
{
	struct cm_mark m;

	(void)state;
	cm_clock_set_virtual(true, CM_NS_PER_S);
	m = cm_mark();
	cm_clock_advance(10 * CM_NS_PER_S);
	assert_int_equal(cm_jump_ns(&m), 0);
	cm_jump_pretend(5);
	assert_int_equal(cm_jump_ns(&m), 5);
	cm_clock_set_virtual(false, 0);
}

static void passes(uint64_t ns)
{
	boot_ns += ns;
	awake += ns;
	wall_ns += ns;
	ticks += ns;
}

static void runs(unsigned seconds)
{
	while (seconds--) {
		passes(CM_NS_PER_S);
		cm_jump_learn();
	}
}

/* `counted`: the counter goes on in the sleep, or stands still (S3). */
static void sleeps(uint64_t ns, bool counted)
{
	boot_ns += ns;
	wall_ns += ns;
	ticks += counted ? ns : 0;
}

static uint64_t jump_of_2_s(void)
{
	struct cm_mark m = cm_mark();

	passes(2 * CM_NS_PER_S);
	return cm_jump_ns(&m);
}

static void paused(bool counted)
{
	struct cm_mark m = cm_mark();

	passes(CM_NS_PER_S);
	wall_ns += counted ? 0 : 3 * CM_NS_PER_S;
	ticks += counted ? 3 * CM_NS_PER_S : 0;
	assert_in_range(cm_jump_ns(&m), 3 * CM_NS_PER_S - CM_NS_PER_MS, 3 * CM_NS_PER_S + CM_NS_PER_MS);
	wall_ns -= counted ? 0 : 3 * CM_NS_PER_S;
}

/* A host that slept is not taken for one that is paused all the time, nor does it miss a pause afterwards. */
static void test_sleep(void **state)
{
	(void)state;
	faked = true;
	cm_jump_learn();
	runs(10);
	assert_true(jump_of_2_s() < CM_NS_PER_MS);
	for (int counted = 0; counted <= 1; counted++) {
		sleeps(3600 * CM_NS_PER_S, counted);
		runs(1);
		assert_true(jump_of_2_s() < CM_NS_PER_MS);
		runs(10);
		assert_true(jump_of_2_s() < CM_NS_PER_MS);
		paused(false);
#ifdef __x86_64__
		if (tsc_now())
			paused(true);
#endif
		runs(10);
		assert_true(jump_of_2_s() < CM_NS_PER_MS);
	}
	faked = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_time),
		cmocka_unit_test(test_pretended),
		cmocka_unit_test(test_virtual),
		cmocka_unit_test(test_sleep), /* last: it learns a speed of its own */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
