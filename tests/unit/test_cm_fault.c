/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_fault.c - fault points: armed, counted, replaced, disarmed; a bad list changes nothing.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"

static void test_fault(void **state)
{
	(void)state;
#ifdef HV_FAULT_POINTS
	assert_int_equal(cm_fault_arm("a=error:5@2,b=error:28", NULL), 0);
	assert_int_equal(cm_fault("a"), 0);
	assert_int_equal(cm_fault("a"), -5);
	assert_int_equal(cm_fault("a"), 0);
	assert_int_equal(cm_fault("b"), -28);
	assert_int_equal(cm_fault_arm("a=dance", NULL), CM_E_BAD_VALUE);
	assert_int_equal(cm_fault("b"), -28); /* a bad spec changes nothing */
	assert_int_equal(cm_fault_arm("", NULL), 0);
	assert_int_equal(cm_fault("b"), 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
