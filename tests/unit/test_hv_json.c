/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_json.c - a JSON document, written.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/state/hv_json.h"

static void json(void **state)
{
	struct hv_json j;

	(void)state;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "a", "x\"\\\n\xff");
	hv_json_open(&j, "b", '[');
	hv_json_u64(&j, NULL, UINT64_MAX);
	hv_json_bool(&j, NULL, true);
	hv_json_close(&j, ']');
	hv_json_close(&j, '}');
	assert_string_equal(
		hv_json_text(&j),
		"{\"a\":\"x\\\"\\\\\\u000a\\u00ff\",\"b\":[18446744073709551615,true]}");
	hv_json_fini(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
