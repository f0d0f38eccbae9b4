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
		/* the host is reset, and what it had sent is in the target, before anybody may think so */
		assert_true(STOR_DEAD_WATCHDOG(t) * 100 >=
			    (STOR_KILL(t) + STOR_RESET(t)) * (100 + 2 * STOR_DRIFT_PERCENT));
		assert_true(STOR_RESET(t) == STOR_IO(t) + STOR_WATCHDOG(t));
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

/* What may be claimed of a host, and what is concluded of the claim. */
static void test_watchdog(void **state)
{
	(void)state;
	for (uint32_t t = STOR_IO_TIMEOUT_MIN_MS; t <= STOR_IO_TIMEOUT_MAX_MS; t += 7) {
		uint64_t reset = STOR_RESET(t);

		assert_int_equal(stor_watchdog_level(false, 0, t), STOR_WATCHDOG_NONE);
		assert_int_equal(stor_watchdog_level(false, reset, t), STOR_WATCHDOG_NONE);
		assert_int_equal(stor_watchdog_level(true, 0, t), STOR_WATCHDOG_SOFT);
		assert_int_equal(stor_watchdog_level(true, 1, t), STOR_WATCHDOG_HARD);
		assert_int_equal(stor_watchdog_level(true, reset, t), STOR_WATCHDOG_HARD);
		assert_int_equal(stor_watchdog_level(true, reset + 1, t), STOR_WATCHDOG_SOFT);

		/* nobody ends such an owner: there is no time after which it is dead */
		assert_true(stor_dead_ms(t, STOR_WATCHDOG_NONE) == UINT64_MAX);
		assert_true(stor_dead_ms(t, (enum stor_watchdog)99) == UINT64_MAX);
		/* killed by hvwatchdogd; reset by the device, however late within what it claimed */
		assert_true(stor_dead_ms(t, STOR_WATCHDOG_SOFT) > STOR_KILL(t) + STOR_IO(t));
		assert_true(stor_dead_ms(t, STOR_WATCHDOG_HARD) > STOR_KILL(t) + reset);
		/* a word without an answer lowers the level before the owner could be dead for an observer */
		assert_true(3 * STOR_STOP(t) / 2 < STOR_RENEW(t) && 2 * STOR_RENEW(t) < STOR_KILL(t));
	}
	assert_true(STOR_WATCHDOG(STOR_IO_TIMEOUT_MS) == 10000); /* --timeout of hvwatchdogd.service */
	assert_string_equal(stor_watchdog_name(STOR_WATCHDOG_HARD), "hard");
	assert_string_equal(stor_watchdog_name((enum stor_watchdog)7), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timing),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
