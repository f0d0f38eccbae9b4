/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_mem.c - guest memory: ranges and holes, atomic words, I/O vectors, what was touched.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/machine/hv_machine.h"
#include "hvcore/machine/hv_mem.h"

static void mem_ranges(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	struct iovec iov[2];
	unsigned n = 0;
	uint8_t byte;
	uint32_t word;

	(void)state;
	assert_true(hv_mem_new(&mem, 33u << 20, &err) < 0); /* not a multiple of 2 MiB */
	cm_err_clear(&err);
	/* 4 GiB: 3 below the hole, 1 above; nothing of it is touched. */
	assert_int_equal(hv_mem_new(&mem, 4ull << 30, &err), 0);
	assert_int_equal(hv_mem_slots(mem), 2);
	assert_non_null(hv_mem_ptr(mem, 0, HV_RAM_LOW_MAX));
	assert_null(hv_mem_ptr(mem, 0, HV_RAM_LOW_MAX + 1));
	assert_null(hv_mem_ptr(mem, HV_RAM_LOW_MAX - 1, 2));
	assert_null(hv_mem_ptr(mem, HV_RAM_LOW_MAX, 1));
	assert_null(hv_mem_ptr(mem, HV_RAM_HIGH_GPA - 1, 2));
	assert_non_null(hv_mem_ptr(mem, HV_RAM_HIGH_GPA, 1ull << 30));
	assert_null(hv_mem_ptr(mem, HV_RAM_HIGH_GPA, (1ull << 30) + 1));
	assert_null(hv_mem_ptr(mem, 0, 0));
	assert_null(hv_mem_ptr(mem, 16, UINT64_MAX));
	assert_null(hv_mem_ptr(mem, UINT64_MAX, 16));
	assert_null(hv_mem_ptr(mem, UINT64_MAX - 7, 8));

	assert_int_equal(hv_mem_read(mem, HV_RAM_LOW_MAX, &byte, 1), -EFAULT);
	assert_int_equal(hv_mem_read(mem, HV_RAM_LOW_MAX, &byte, 0), 0);
	assert_int_equal(hv_mem_store32(mem, 0x1002, 1), -EINVAL);
	assert_int_equal(hv_mem_store32(mem, 0x1004, 0x12345678), 0);
	assert_int_equal(hv_mem_load32(mem, 0x1004, &word), 0);
	assert_int_equal(word, 0x12345678);
	assert_int_equal(hv_mem_load32(mem, HV_RAM_LOW_MAX, &word), -EFAULT);

	assert_int_equal(hv_mem_iov_add(mem, 0x1000, 0x1000, iov, 2, &n), 0);
	assert_int_equal(hv_mem_iov_add(mem, 0x2000, 0x1000, iov, 2, &n), 0);
	assert_int_equal(n, 1); /* neighbours join */
	assert_int_equal(iov[0].iov_len, 0x2000);
	assert_int_equal(hv_mem_iov_add(mem, 0x8000, 1, iov, 2, &n), 0);
	assert_int_equal(hv_mem_iov_add(mem, 0x18000, 1, iov, 2, &n), -E2BIG);
	assert_int_equal(hv_mem_iov_add(mem, HV_RAM_LOW_MAX - 1, 2, iov, 2, &n), -EFAULT);
	hv_mem_free(mem);
}

static void mem_populated(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	uint64_t *map;
	size_t words;

	(void)state;
	assert_int_equal(hv_mem_new(&mem, HV_RAM_MIN_BYTES, &err), 0);
	words = hv_mem_bitmap_words(mem, 0);
	map = calloc(words, 8);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	for (size_t i = 0; i < words; i++)
		assert_int_equal(map[i], 0);
	assert_int_equal(hv_mem_store64(mem, 5 * HV_PAGE_BYTES, 1), 0);
	assert_int_equal(hv_mem_store64(mem, 70 * HV_PAGE_BYTES, 1), 0);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	assert_int_equal(map[0], 1ull << 5);
	assert_int_equal(map[1], 1ull << 6);
	assert_int_equal(hv_mem_discard(mem, 5 * HV_PAGE_BYTES, HV_PAGE_BYTES), 0);
	assert_int_equal(hv_mem_discard(mem, 5 * HV_PAGE_BYTES + 1, HV_PAGE_BYTES), -EINVAL);
	memset(map, 0, words * 8);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	assert_int_equal(map[0], 0);
	assert_int_equal(map[1], 1ull << 6);
	assert_int_equal(hv_mem_clear(mem, &err), 0);
	memset(map, 0, words * 8);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	assert_int_equal(map[1], 0);
	free(map);
	hv_mem_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem_ranges),
		cmocka_unit_test(mem_populated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
