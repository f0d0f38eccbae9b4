/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_unpack.c - payloads of kernels in every format: whole, cut, of another size; the header
 * of a bzImage.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "common/cm_buf.h"
#include "hvcore/boot/hv_unpack.h"

#define PLAIN_BYTES (3u << 20)

static uint8_t *plain(void)
{
	uint8_t *p = malloc(PLAIN_BYTES);
	uint32_t x = 1;

	for (size_t i = 0; i < PLAIN_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i % 64 < 48 ? (uint8_t)(i / 64) : (uint8_t)(x >> 24);
	}
	return p;
}

static void check_unpack(const uint8_t *packed, size_t n, const uint8_t *want)
{
	struct cm_err err = CM_ERR_INIT;
	uint8_t *out = malloc(PLAIN_BYTES + 1);

	assert_int_equal(hv_unpack(packed, n, out, PLAIN_BYTES, &err), 0);
	assert_memory_equal(out, want, PLAIN_BYTES);
	assert_true(hv_unpack(packed, n, out, PLAIN_BYTES + 1, &err) < 0); /* too little came out */
	assert_true(hv_unpack(packed, n, out, PLAIN_BYTES / 2, &err) < 0); /* too much */
	for (size_t cut = 0; cut < n - 8; cut += n / 37 + 1)
		assert_true(hv_unpack(packed, cut, out, PLAIN_BYTES, &err) < 0);
	free(out);
}

static void unpack_all(void **state)
{
	uint8_t *in = plain(), *z = malloc(2 * PLAIN_BYTES);
	size_t n = 0, at = 4;
	z_stream gz = {.next_in = in,
		       .avail_in = PLAIN_BYTES,
		       .next_out = z,
		       .avail_out = 2 * PLAIN_BYTES};

	(void)state;
	assert_int_equal(deflateInit2(&gz, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&gz, Z_FINISH), Z_STREAM_END);
	check_unpack(z, gz.total_out, in);
	deflateEnd(&gz);

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in, PLAIN_BYTES, z, &n,
						 2 * PLAIN_BYTES),
			 LZMA_OK);
	cm_put_le32(z + n, PLAIN_BYTES);
	check_unpack(z, n + 4, in);

	n = ZSTD_compress(z, 2 * PLAIN_BYTES, in, PLAIN_BYTES, 1);
	cm_put_le32(z + n, PLAIN_BYTES);
	check_unpack(z, n + 4, in);

	cm_put_le32(z, 0x184c2102);
	n = (size_t)LZ4_compress_default((char *)in, (char *)z + at + 4, PLAIN_BYTES,
					 2 * PLAIN_BYTES - 16);
	cm_put_le32(z + at, (uint32_t)n);
	at += 4 + n;
	cm_put_le32(z + at, PLAIN_BYTES);
	check_unpack(z, at + 4, in);
	free(in);
	free(z);
}

static void bzimage_header(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_bzimage bz;
	uint8_t f[4096] = {0};

	(void)state;
	f[0x1f1] = 1;
	cm_put_le16(f + 0x1fe, 0xaa55);
	f[0x201] = 0x66;
	memcpy(f + 0x202, "HdrS", 4);
	cm_put_le16(f + 0x206, 0x20f);
	cm_put_le16(f + 0x236, 1);
	cm_put_le32(f + 0x248, 0x100);
	cm_put_le32(f + 0x24c, 0x200);
	cm_put_le32(f + 1024 + 0x300 - 4, 0x10000);
	assert_int_equal(hv_bzimage_parse(f, sizeof f, &bz, &err), 0);
	assert_int_equal(bz.payload, 1024 + 0x100);
	assert_int_equal(bz.unpacked_bytes, 0x10000);
	assert_true(hv_bzimage_parse(f, 1024 + 0x2ff, &bz, &err) < 0);
	cm_put_le32(f + 0x248, 0xffffff00);
	assert_true(hv_bzimage_parse(f, sizeof f, &bz, &err) < 0);
	cm_put_le32(f + 0x248, 0x100);
	cm_put_le32(f + 0x24c, 0xffffffff);
	assert_true(hv_bzimage_parse(f, sizeof f, &bz, &err) < 0);
	cm_put_le32(f + 0x24c, 0x200);
	cm_put_le16(f + 0x236, 0); /* 32-bit only */
	assert_true(hv_bzimage_parse(f, sizeof f, &bz, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpack_all),
		cmocka_unit_test(bzimage_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
