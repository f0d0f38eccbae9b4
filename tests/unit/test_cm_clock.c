/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_clock.c - the clock goes forward, and stands still where a test holds it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_clock.h"

static void test_clock(void **state)
{
	uint64_t a = cm_now_ns();

	(void)state;
	assert_true(cm_now_ns() >= a);
	cm_clock_set_virtual(true, 1000);
	cm_clock_advance(5);
	assert_int_equal(cm_now_ns(), 1005);
	cm_clock_set_virtual(false, 0);
	assert_true(cm_now_ns() >= a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
