/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_timing.c - every inequality of the story that the header of timing tells.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sharedstorage/dev/stor_timing.h"

static void test_timing(void **state)
{
	(void)state;
	for (uint64_t t = STOR_IO_TIMEOUT_MIN_MS; t <= STOR_IO_TIMEOUT_MAX_MS; t += 7) {
		/* time for two new logins before the vCPUs must stop */
		assert_true(STOR_FAIL(t) >= STOR_RENEW(t) + 3 * STOR_IO(t));
		/* the owner stops before it is killed, and is killed before anybody may think it dead */
		assert_true(STOR_STOPPED(t) < STOR_KILL(t));
		assert_true(STOR_KILL(t) + STOR_IO(t) <= STOR_DEAD_OWNER(t));
		/* drift of both clocks fits into the slack */
		assert_true(STOR_DEAD(t) * 100 >= STOR_DEAD_OWNER(t) * (100 + 2 * STOR_DRIFT_PERCENT));
		/* an observer that misses nothing: it looks much more often than it waits */
		assert_true(STOR_OBSERVE(t) * 8 <= STOR_DEAD(t) && STOR_OBSERVE(t) > 0);
		/* a renewal is seen at least twice in the wait */
		assert_true(STOR_DEAD(t) > 2 * STOR_RENEW(t));
		assert_true(STOR_DEAD_WATCHDOG(t) > STOR_KILL(t) + STOR_IO(t) + STOR_WATCHDOG(t));
		assert_true(STOR_DEAD_WATCHDOG(t) > STOR_DEAD(t));
		assert_true(STOR_RECONNECT_MAX(t) < STOR_IO(t) && STOR_RECONNECT_MIN(t) > 0);
		assert_true(STOR_PING(t) < STOR_IO(t));
		assert_true(STOR_RECONNECT_MAX(t) * (100 + STOR_RECONNECT_JITTER_PERCENT) <= STOR_IO(t) * 100);
		/* slow is not dead, and a barrier outlasts the write that it waits for */
		assert_true(STOR_DATA(t, STOR_DATA_TIMEOUT_MS) >= STOR_IO(t));
		assert_true(STOR_DATA(t, 1) == STOR_IO(t));
		assert_true(STOR_BARRIER(t, STOR_DATA_TIMEOUT_MS) > STOR_DATA_LONG(t, STOR_DATA_TIMEOUT_MS));
		assert_true(STOR_DATA_MAX_S * 1000 >= STOR_IO_TIMEOUT_MAX_MS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
