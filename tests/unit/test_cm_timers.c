/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_timers.c - the heap of timers: any order of adding and removing.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/cm_loop.h"
#include "common/cm_timers.h"

/* Any order of adding and removing: the first one is always the earliest of those that are in. */
static void test_timer_heap(void **state)
{
	struct cm_timer t[97] = {0};
	struct cm_timers set = {0};
	bool in[97] = {false};

	(void)state;
	srand(7);
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)rand() % CM_ARRAY_LEN(t), n = 0;
		struct cm_timer *first;
		uint64_t least = UINT64_MAX;

		if (in[i]) {
			cm__timers_remove(&set, &t[i]);
		} else {
			t[i].due_ns = (uint64_t)rand() % 50;
			cm__timers_add(&set, &t[i]);
		}
		in[i] = !in[i];
		for (size_t k = 0; k < CM_ARRAY_LEN(t); k++) {
			if (in[k] && t[k].due_ns < least)
				least = t[k].due_ns;
			n += in[k];
		}
		first = cm__timers_first(&set);
		assert_int_equal(set.n, n);
		assert_true(n ? first && first->due_ns == least : !first);
	}
	cm__timers_fini(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
