/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_jump.c - a pause that our clock did not count is seen by the clocks that did; ordinary time is none.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "common/cm_jump.h"

static void test_ordinary_time(void **state)
{
	struct cm_mark m = cm_mark();

	(void)state;
	usleep(250000);
	cm_mark(); /* learns */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_time),
		cmocka_unit_test(test_pretended),
		cmocka_unit_test(test_virtual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
