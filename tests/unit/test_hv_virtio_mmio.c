/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_virtio_mmio.c - the transport of virtio: registers, features, queues that cannot be.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hv_virtiokit.h"

static void transport_registers(void **state)
{
	struct bench *b = *state;
	struct kit *k = &b->k;

	kit_plug(k, &hv_dev_blk, &b->blk);
	b->plugged = true;
	assert_int_equal(kit_in(k, 0, 4), 0x74726976);
	assert_int_equal(kit_in(k, 4, 4), 2);
	assert_int_equal(kit_in(k, 8, 4), 2);
	assert_true(kit_offered(k) & BENCH_V1);
	kit_out(k, 0x14, 7, 4);
	assert_int_equal(kit_in(k, 0x10, 4), 0);
	kit_out(k, 0x30, 5, 4);
	assert_int_equal(kit_in(k, 0x34, 4), 0);
	kit_out(k, 0x44, 1, 4);
	assert_int_equal(kit_in(k, 0x44, 4), 0);
	assert_int_equal(kit_in(k, 0xb0, 4), 0xffffffff);
	/* Features that were not offered do not stick; without VERSION_1 neither. */
	assert_false(kit_driver(k, BENCH_V1 | 1ull << 63) & HV_VIRTIO_S_FEATURES_OK);
	assert_false(kit_driver(k, 0) & HV_VIRTIO_S_FEATURES_OK);
	kit_driver_ok(k);
	assert_false(kit_in(k, 0x70, 4) & HV_VIRTIO_S_DRIVER_OK);
	/* Odd widths and places are counted, not served. */
	kit_in(k, 1, 4);
	kit_in(k, 0, 2);
	assert_int_equal(kit_counter(k, "bad_access"), 2);
	/* Configuration space in any width. */
	assert_int_equal(kit_in(k, 0x100, 4), BENCH_DISK_BYTES / 512);
	assert_int_equal(kit_in(k, 0x101, 1), BENCH_DISK_BYTES / 512 >> 8 & 0xff);
	assert_int_equal(kit_in(k, 0x1ff, 8), 0xffffffff); /* leaves the slot: nobody is there */
}

static void transport_bad_queues(void **state)
{
	static const struct {
		unsigned num;
		uint64_t gpa;
	} bad[] = {{0, BENCH_RING_GPA}, {3, BENCH_RING_GPA}, {512, BENCH_RING_GPA}, {16, BENCH_RING_GPA + 1}, {16, KIT_RAM - 16},
		   {16, 0xd0001000}, {16, UINT64_MAX - 15}};
	struct bench *b = *state;
	struct kit *k = &b->k;

	kit_plug(k, &hv_dev_blk, &b->blk);
	b->plugged = true;
	for (unsigned i = 0; i < CM_ARRAY_LEN(bad); i++) {
		assert_true(kit_driver(k, BENCH_V1) & HV_VIRTIO_S_FEATURES_OK);
		kit_out(k, 0x30, 0, 4);
		kit_out(k, 0x38, bad[i].num, 4);
		for (unsigned r = 0x80; r <= 0xa0; r += 0x10) {
			kit_out(k, r, (uint32_t)bad[i].gpa, 4);
			kit_out(k, r + 4, (uint32_t)(bad[i].gpa >> 32), 4);
		}
		kit_out(k, 0x44, 1, 4);
		assert_int_equal(kit_in(k, 0x44, 4), 0);
		assert_true(kit_in(k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET);
		assert_int_equal(kit_counter(k, "needs_reset"), i + 1);
	}
	assert_true(kit_driver(k, BENCH_V1) == (HV_VIRTIO_S_ACK | HV_VIRTIO_S_DRIVER | HV_VIRTIO_S_FEATURES_OK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(transport_registers),
		BENCH_TEST(transport_bad_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
