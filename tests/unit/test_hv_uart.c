/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_devices.c - serial port, clock, power block, debug port, empty slot: register by register.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "hvcore/devices/hv_uart.h"
#include "hvcore/machine/hv_machine.h"
#include "tests/unit/hv_devkit.h"

static int setup(void **state)
{
	struct kit *k = malloc(sizeof *k);

	kit_open(k);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	kit_unplug(*state);
	kit_close(*state);
	free(*state);
	return 0;
}

static size_t said(struct kit *k, char *out, size_t cap)
{
	size_t n;

	hv_lock_take(&k->lock);
	n = hv_char_history(k->chr, (uint8_t *)out, cap - 1);
	hv_lock_drop(&k->lock);
	out[n] = 0;
	return n;
}

static void type(struct kit *k, int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	kit_settle(k);
}

static void uart_output(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;
	char text[64];

	kit_plug(k, &hv_dev_uart, &cfg);
	for (const char *p = "hello"; *p; p++) {
		assert_int_equal(kit_in(k, 5, 1) & 0x60, 0x60);
		kit_out(k, 0, (uint8_t)*p, 1);
	}
	said(k, text, sizeof text);
	assert_string_equal(text, "hello");
	assert_int_equal(kit_counter(k, "tx_bytes"), 5);
}

static void uart_probe(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;

	kit_plug(k, &hv_dev_uart, &cfg);
	/* What a driver does to find a 16550A: scratch, IER bits, FIFO bits, loopback of the modem lines. */
	kit_out(k, 7, 0x5a, 1);
	assert_int_equal(kit_in(k, 7, 1), 0x5a);
	kit_out(k, 1, 0xff, 1);
	assert_int_equal(kit_in(k, 1, 1), 0x0f);
	kit_out(k, 1, 0, 1);
	kit_out(k, 2, 0x01, 1);
	assert_int_equal(kit_in(k, 2, 1) & 0xc0, 0xc0);
	kit_out(k, 4, 0x1a, 1);
	assert_int_equal(kit_in(k, 6, 1) & 0xf0, 0x90);
	kit_out(k, 4, 0x08, 1);
	kit_out(k, 3, 0x80, 1);
	kit_out(k, 0, 0x0c, 1);
	kit_out(k, 1, 0x01, 1);
	assert_int_equal(kit_in(k, 0, 1), 0x0c);
	assert_int_equal(kit_in(k, 1, 1), 0x01);
	kit_out(k, 3, 0x03, 1);
	assert_int_equal(kit_in(k, 1, 1), 0);
	/* Wide accesses are nothing. */
	kit_out(k, 7, 0x12345678, 4);
	assert_int_equal(kit_in(k, 7, 1), 0x5a);
}

static void uart_interrupts(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;

	kit_plug(k, &hv_dev_uart, &cfg);
	kit_out(k, 1, 0x02, 1); /* THR empty: at once */
	assert_true(k->line);
	assert_int_equal(kit_in(k, 2, 1) & 0x0f, 0x02);
	assert_false(k->line); /* reading IIR takes it away */
	kit_out(k, 0, 'x', 1);
	assert_true(k->line);
	kit_out(k, 4, 0, 1); /* OUT2 off: no line */
	assert_false(k->line);
	kit_out(k, 4, 8, 1);
	assert_true(k->line);
	kit_move(k);
	assert_true(k->line);
	assert_int_equal(kit_in(k, 2, 1) & 0x0f, 0x02);
}

static void uart_input(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;
	char got[64] = "";
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	kit_plug(k, &hv_dev_uart, &cfg);
	assert_int_equal(hv_char_attach(k->chr, fd[0], STDERR_FILENO, 0, NULL, NULL), 0);
	kit_out(k, 2, 0x01, 1);
	kit_out(k, 1, 0x01, 1);
	type(k, fd[1], "0123456789abcdefghijklmnop"); /* more than the FIFO holds */
	assert_true(k->line);
	kit_move(k);
	assert_true(k->line);
	for (size_t n = 0; kit_in(k, 5, 1) & 1; kit_settle(k))
		got[n++] = (char)kit_in(k, 0, 1);
	assert_string_equal(got, "0123456789abcdefghijklmnop");
	assert_false(k->line);
	assert_int_equal(kit_in(k, 5, 1) & 2, 0); /* nothing was overrun */
	hv_lock_take(&k->lock);
	hv_char_detach(k->chr);
	hv_lock_drop(&k->lock);
	close(fd[0]);
	close(fd[1]);
}

static void uart_hostile_state(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;
	struct hv_uart_state s;
	unsigned good = 0;

	kit_plug(k, &hv_dev_uart, &cfg);
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		uint8_t *p = (uint8_t *)&s;

		for (size_t j = 0; j < sizeof s; j++)
			p[j] = (uint8_t)(random() % (i % 3 ? 4 : 256));
		if (hv_uart_state_check(&s) < 0)
			continue;
		good++;
		for (int j = 0; j < 64; j++) {
			uint8_t out;

			if (random() & 1)
				hv_uart_reg_read(&s, (unsigned)random());
			else
				hv_uart_reg_write(&s, (unsigned)random(), (uint8_t)random(), &out);
			if (hv_uart_rx_room(&s))
				hv_uart_rx_put(&s, 1);
			assert_int_equal(hv_uart_state_check(&s), 0);
		}
	}
	assert_true(good > 0);
}

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

static void debug_lines(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;
	unsigned long long ns[3];
	char text[512], *at;
	unsigned b1, b2;
	int n = 0;

	kit_plug(k, &hv_dev_debugport, &cfg);
	for (const char *p = "@A 1"; *p; p++)
		kit_out(k, 0, (uint8_t)*p, 1);
	kit_out(k, 0, 0x81, 1); /* a beat in the middle of a line */
	kit_move(k);
	for (const char *p = "7\x01\n"; *p; p++)
		kit_out(k, 0, (uint8_t)*p, 1);
	said(k, text, sizeof text);
	assert_int_equal(sscanf(text, "%llu b %x\n%llu b %x\n%llu l %n", &ns[0], &b1, &ns[1], &b2, &ns[2], &n), 5);
	at = text + n;
	assert_int_equal(b1, 0x40);
	assert_int_equal(b2, 0x81);
	assert_true(ns[0] <= ns[1] && ns[1] <= ns[2]);
	assert_string_equal(at, "A 17?\n");
	assert_int_equal(kit_counter(k, "beats"), 2);
}

static void debug_endless_line(void **state)
{
	struct hv_char_config cfg = {.chr = ((struct kit *)*state)->chr};
	struct kit *k = *state;

	kit_plug(k, &hv_dev_debugport, &cfg);
	for (int i = 0; i < 1000; i++)
		kit_out(k, 0, 'x', 1);
	assert_int_equal(kit_counter(k, "bytes"), 1000);
}

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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(uart_output), T(uart_probe), T(uart_interrupts), T(uart_input), T(uart_hostile_state),
		T(rtc_clock), T(power_block), T(debug_lines), T(debug_endless_line), T(empty_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
