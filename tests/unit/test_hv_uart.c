/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_uart.c - the serial port, register by register.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hvcore/devices/hv_uart.h"
#include "tests/unit/hv_devkit.h"

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
	kit_said(k, text, sizeof text);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(uart_output, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(uart_probe, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(uart_interrupts, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(uart_input, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(uart_hostile_state, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
