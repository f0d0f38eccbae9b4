/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_balloon.c - the balloon of virtio.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hv_virtiokit.h"

static void balloon_pages(void **state)
{
	struct bench *b = *state;
	struct kit_buf list = {BENCH_DATA_GPA, 12, false}, report = {0x800000, 0x3000, true};
	uint8_t pfn[12], byte = 0x77;

	bench_start(b, &hv_dev_balloon, NULL, BENCH_IDX | 1 << 5, 3);
	hv_lock_take(&b->k.lock);
	hv_balloon_set(&b->k.dev, 1 << 20);
	hv_lock_drop(&b->k.lock);
	assert_int_equal(kit_in(&b->k, 0x100, 4), 256);
	kit_poke(&b->k, 0x400000, &byte, 1);
	kit_poke(&b->k, 0x401000, &byte, 1);
	kit_poke(&b->k, 0x801000, &byte, 1);
	cm_put_le32(pfn, 0x400);
	cm_put_le32(pfn + 4, 0x401);
	cm_put_le32(pfn + 8, 0xd0000); /* no RAM */
	kit_poke(&b->k, BENCH_DATA_GPA, pfn, sizeof pfn);
	kit_offer(&b->q[0], &list, 1, 0);
	kit_ring(&b->q[0]);
	kit_peek(&b->k, 0x400000, &byte, 1);
	assert_int_equal(byte, 0);
	kit_peek(&b->k, 0x401000, &byte, 1);
	assert_int_equal(byte, 0);
	assert_int_equal(kit_counter(&b->k, "given_pages"), 2);
	assert_int_equal(kit_counter(&b->k, "bad_pages"), 1);
	kit_offer(&b->q[2], &report, 1, 0);
	kit_ring(&b->q[2]);
	kit_peek(&b->k, 0x801000, &byte, 1);
	assert_int_equal(byte, 0);
	kit_out(&b->k, 0x104, 2, 4);
	kit_move(&b->k);
	assert_int_equal(kit_in(&b->k, 0x104, 4), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(balloon_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
