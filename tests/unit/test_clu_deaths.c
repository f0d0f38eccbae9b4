/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clu_deaths.c - what pacemaker has acted on since is not reported; another VM's death is.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/vm/clu_deaths.h"

static void test_acted(void **state)
{
	struct clu_deaths *l = clu_deaths_new();
	struct clu_death a, b, again;

	(void)state;
	clu_deaths_acted(l, "a"); /* before it died: that is another life */
	clu_deaths_add(l, &a, "a");
	clu_deaths_add(l, &b, "b");
	assert_false(a.acted || b.acted);
	clu_deaths_acted(l, "a");
	assert_true(a.acted && !b.acted);
	clu_deaths_add(l, &again, "a"); /* it died once more */
	assert_false(again.acted);
	clu_deaths_remove(l, &a);
	clu_deaths_acted(l, "a");
	assert_true(again.acted && !b.acted);
	clu_deaths_remove(l, &b);
	clu_deaths_remove(l, &again);
	clu_deaths_acted(l, "b");
	clu_deaths_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
