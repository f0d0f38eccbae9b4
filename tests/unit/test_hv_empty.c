/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_empty.c - a slot without a device.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hv_devkit.h"

static void empty_slot(void **state)
{
	struct kit *k = *state;

	kit_plug(k, &hv_dev_empty, NULL);
	assert_int_equal(kit_in(k, 0, 4), 0x74726976);
	assert_int_equal(kit_in(k, 4, 4), 2);
	assert_int_equal(kit_in(k, 8, 4), 0);
	kit_out(k, 0x70, 1, 4);
	assert_int_equal(kit_in(k, 0x70, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty_slot, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
