/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_buf.c - bytes put and taken, refusals at the ends, CRC32C.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_buf.h"

static void test_buf(void **state)
{
	struct cm_buf b;
	struct cm_rd r;
	char s[8];

	(void)state;
	cm_buf_init(&b, 64);
	cm_buf_u8(&b, 1);
	cm_buf_u16(&b, 0x1234);
	cm_buf_u32(&b, 0xdeadbeef);
	cm_buf_u64(&b, 0x0123456789abcdefull);
	cm_buf_str(&b, "hello");
	assert_int_equal(b.err, 0);
	r = cm_rd_init(b.data, b.len);
	assert_int_equal(cm_rd_u8(&r), 1);
	assert_int_equal(cm_rd_u16(&r), 0x1234);
	assert_int_equal(cm_rd_u32(&r), 0xdeadbeef);
	assert_true(cm_rd_u64(&r) == 0x0123456789abcdefull);
	cm_rd_str(&r, s, sizeof s);
	assert_string_equal(s, "hello");
	assert_int_equal(cm_rd_left(&r), 0);
	assert_int_equal(cm_rd_u8(&r), 0);
	assert_int_equal(r.err, -EBADMSG);
	/* a string that does not fit its target is an error, not a cut */
	r = cm_rd_init(b.data + 15, b.len - 15);
	cm_rd_str(&r, s, 5);
	assert_int_equal(r.err, -EBADMSG);
	for (int i = 0; i < 20; i++)
		cm_buf_u64(&b, 0);
	assert_int_equal(b.err, -EMSGSIZE);
	assert_true(b.len <= 64);
	cm_buf_fini(&b);
	/* RFC 3720 B.4: 32 bytes of zeroes */
	assert_int_equal(cm_crc32c(0, (uint8_t[32]){0}, 32), 0x8a9136aa);
	assert_int_equal(cm_crc32c(cm_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
