/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_fault.c - fault points: armed, counted, replaced, disarmed; a bad list changes nothing.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"

#ifdef HV_FAULT_POINTS
static void *hold(void *arg)
{
	(void)arg;
	return cm_fault("c") ? &hold : NULL;
}
#endif

static void test_fault(void **state)
{
	(void)state;
#ifdef HV_FAULT_POINTS
	pthread_t thread;
	void *rc = &thread;

	assert_int_equal(cm_fault_arm("a=error:5@2,b=error:28", NULL), 0);
	assert_int_equal(cm_fault("a"), 0);
	assert_int_equal(cm_fault("a"), -5);
	assert_int_equal(cm_fault("a"), 0);
	assert_int_equal(cm_fault("b"), -28);
	assert_int_equal(cm_fault_arm("a=dance", NULL), CM_E_BAD_VALUE);
	assert_int_equal(cm_fault("b"), -28); /* a bad spec changes nothing */
	assert_int_equal(cm_fault_arm("", NULL), 0);
	assert_int_equal(cm_fault("b"), 0);
	/* whoever arms anew lets go whom a delay holds, whether it has got there or not */
	for (useconds_t us = 0; us <= 20000; us += 10000) {
		assert_int_equal(cm_fault_arm("c=delay:86400000@1", NULL), 0);
		assert_int_equal(pthread_create(&thread, NULL, hold, NULL), 0);
		usleep(us);
		assert_int_equal(cm_fault_arm("", NULL), 0);
		assert_int_equal(pthread_join(thread, &rc), 0);
		assert_null(rc);
	}
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
	uint64_t low_ns; /* when the last of those that were due was called */
