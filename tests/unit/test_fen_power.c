/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fen_power.c - which fence agents cut power: what is not known to, does not.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_err.h"
#include "fencing/fen_power.h"

static void test_known(void **state)
{
	static const char *const yes[] = {"fence_ipmilan", "fence_apc_snmp", "fence_virsh", "external/ipmi", "fence_redfish"};
	static const char *const no[] = {"fence_hvsan", "fence_scsi", "fence_mpath", "fence_brocade", "fence_ifmib",
					 "fence_sanbox2", "fence_sbd", "external/sbd", "external/ssh", "suicide",
					 "fence_kdump", "fence_dummy", "fence_heuristics_ping", "meatware", "watchdog",
					 "fence_watchdog", "fence_ipmi", "fence_ipmilan2", "FENCE_IPMILAN", "", "null"};

	(void)state;
	for (unsigned i = 0; i < CM_ARRAY_LEN(yes); i++)
		assert_true(fen_power_agent(yes[i], ""));
	for (unsigned i = 0; i < CM_ARRAY_LEN(no); i++)
		assert_false(fen_power_agent(no[i], ""));
}

static void test_stated(void **state)
{
	(void)state;
	assert_true(fen_power_agent("fence_mine", "fence_mine"));
	assert_true(fen_power_agent("fence_mine", " fence_other,\tfence_mine "));
	assert_false(fen_power_agent("fence_mine", "fence_mine2, xfence_mine"));
	assert_false(fen_power_agent("", ", ,"));
}

static enum fen_by by(const char *const *types, const char *also)
{
	enum fen_by b = FEN_BY_NOBODY;

	for (; *types; types++)
		b = fen_by_also(b, *types, also);
	return b;
}

/* One device that is no switch is enough, in whatever order, and none at all proves nothing. */
static void test_by(void **state)
{
#define BY(...) by((const char *const[]){__VA_ARGS__ __VA_OPT__(,) NULL}, "fence_mine")
	(void)state;
	assert_int_equal(BY(), FEN_BY_NOBODY);
	assert_int_equal(BY("fence_ipmilan", "fence_apc", "fence_mine"), FEN_BY_POWER);
	assert_int_equal(BY("fence_ipmilan", "fence_hvsan"), FEN_BY_HVSAN);
	assert_int_equal(BY("fence_hvsan", "fence_ipmilan"), FEN_BY_HVSAN);
	assert_int_equal(BY("fence_hvsan"), FEN_BY_HVSAN);
	assert_int_equal(BY("fence_scsi", "fence_ipmilan"), FEN_BY_OTHERS);
	assert_int_equal(BY("fence_ipmilan", "fence_hvsan", "fence_scsi"), FEN_BY_OTHERS);
	assert_int_equal(BY("fence_scsi", "fence_hvsan"), FEN_BY_OTHERS);
	assert_int_equal(BY("fence_ipmilan", "watchdog"), FEN_BY_OTHERS);
	assert_int_equal(BY("fence_ipmilan", ""), FEN_BY_OTHERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_stated),
		cmocka_unit_test(test_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
