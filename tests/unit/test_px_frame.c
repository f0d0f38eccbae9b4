/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_px_frame.c - frames: every cut waits, foreign types, sizes and damage are refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/ctl.pb-c.h"
#include "proto/px_frame.h"

static void test_frame(void **state)
{
	Hv__Hello h = HV__HELLO__INIT;
	struct cm_buf b;
	struct px_msg m;
	size_t used;

	(void)state;
	h.min_version = 1;
	h.max_version = 3;
	h.program = (char *)"x";
	cm_buf_init(&b, 1 << 20);
	assert_int_equal(px_frame_put(&b, PX_HELLO, &h), 0);
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(px_frame_get(b.data, n, &used, &m), 0);
		assert_int_equal(used, 0);
	}
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), 0);
	assert_int_equal(used, b.len);
	assert_int_equal(((Hv__Hello *)m.msg)->max_version, 3);
	px_msg_free(&m);
	b.data[4] = 99;
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), CM_E_PROTO);
	b.data[4] = PX_HELLO;
	cm_put_le32(b.data, 5000);
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), CM_E_PROTO_TOO_BIG);
	cm_put_le32(b.data, (uint32_t)(b.len - PX_HEADER_BYTES));
	b.data[PX_HEADER_BYTES] = 0xff; /* a field tag that runs off */
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), CM_E_PROTO);
	cm_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
