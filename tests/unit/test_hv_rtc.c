/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_rtc.c - the clock, register by register.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/hv_devkit.h"

static int bcd(uint32_t v)
{
	return (int)((v >> 4) * 10 + (v & 15));
}

static int rtc_get(struct kit *k, uint32_t reg)
{
	kit_out(k, 0, reg, 1);
	return (int)kit_in(k, 1, 1);
}

static void rtc_set(struct kit *k, uint32_t reg, uint32_t v)
{
	kit_out(k, 0, reg, 1);
	kit_out(k, 1, v, 1);
}

static time_t rtc_time(struct kit *k)
{
	struct tm tm = {0};

	rtc_set(k, 11, 0x82); /* hold the clock, so that the fields belong together */
	tm.tm_sec = bcd((uint32_t)rtc_get(k, 0));
	tm.tm_min = bcd((uint32_t)rtc_get(k, 2));
	tm.tm_hour = bcd((uint32_t)rtc_get(k, 4));
	tm.tm_mday = bcd((uint32_t)rtc_get(k, 7));
	tm.tm_mon = bcd((uint32_t)rtc_get(k, 8)) - 1;
	tm.tm_year = bcd((uint32_t)rtc_get(k, 9)) + (bcd((uint32_t)rtc_get(k, 0x32)) - 19) * 100;
	rtc_set(k, 11, 0x02);
	return timegm(&tm);
}

static void rtc_clock(void **state)
{
	struct kit *k = *state;
	long long before, got;

	kit_plug(k, &hv_dev_rtc, NULL);
	assert_int_equal(rtc_get(k, 10) & 0x80, 0); /* never an update in progress */
	assert_int_equal(rtc_get(k, 13), 0x80);
	before = time(NULL);
	got = rtc_time(k);
	assert_in_range(got - before + 60, 58, 120);
	/* Set it to 2001-02-03 04:05:06 and move. */
	rtc_set(k, 11, 0x82);
	rtc_set(k, 0, 0x06);
	rtc_set(k, 2, 0x05);
	rtc_set(k, 4, 0x04);
	rtc_set(k, 7, 0x03);
	rtc_set(k, 8, 0x02);
	rtc_set(k, 9, 0x01);
	rtc_set(k, 0x32, 0x20);
	rtc_set(k, 11, 0x02);
	kit_move(k);
	got = rtc_time(k) - 981173106ll;
	assert_in_range(got + 60, 58, 120);
	rtc_set(k, 0x40, 0x77);
	assert_int_equal(rtc_get(k, 0x40), 0x77);
	assert_int_equal(rtc_get(k, 0xc0), 0x77); /* bit 7 is no index */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rtc_clock, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
