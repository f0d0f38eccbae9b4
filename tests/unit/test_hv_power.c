/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_power.c - reset, sleep, panic and the button, register by register.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/machine/hv_machine.h"
#include "tests/unit/hv_devkit.h"

static void power_block(void **state)
{
	struct kit *k = *state;

	kit_plug(k, &hv_dev_power, NULL);
	assert_int_equal(kit_in(k, HV_POWER_SLEEP_STS, 1), 0x80);
	kit_out(k, HV_POWER_SLEEP_CTL, 4 << 2 | 0x20, 1); /* S4 is not offered */
	assert_int_equal(k->events, 0);
	kit_out(k, HV_POWER_SLEEP_CTL, HV_POWER_S5_TYP << 2, 1); /* without SLP_EN */
	assert_int_equal(k->events, 0);
	kit_out(k, HV_POWER_SLEEP_CTL, HV_POWER_S5_TYP << 2 | 0x20, 1);
	assert_int_equal(k->event, HV_GUEST_POWER_OFF);
	kit_out(k, HV_POWER_RESET, 1, 1);
	assert_int_equal(k->event, HV_GUEST_RESET);
	kit_out(k, HV_POWER_PANIC, 1, 1);
	assert_int_equal(k->event, HV_GUEST_PANIC);
	assert_int_equal(k->events, 3);
	hv_lock_take(&k->lock);
	hv_power_press(&k->dev);
	hv_lock_drop(&k->lock);
	assert_true(k->line);
	kit_move(k);
	assert_true(k->line);
	assert_int_equal(kit_in(k, HV_POWER_EVENT, 1), 1);
	assert_false(k->line);
	assert_int_equal(kit_in(k, HV_POWER_EVENT, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(power_block, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
