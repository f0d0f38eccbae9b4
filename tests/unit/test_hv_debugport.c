/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_debugport.c - the debug port: lines and beats with their instants.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/hv_devkit.h"

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
	kit_said(k, text, sizeof text);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(debug_lines, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(debug_endless_line, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
