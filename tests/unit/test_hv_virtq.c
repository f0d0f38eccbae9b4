/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_virtq.c - rings: hostile and random ones become NEEDS_RESET or honest answers; when the
 * guest is interrupted.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/hv_virtiokit.h"

enum hostile {
	H_JUMP, H_HEAD, H_LOOP, H_OUTSIDE, H_ZERO, H_ORDER, H_INDIRECT_OFF, H_NESTED, H_ODD_TABLE, H_TABLE_OUTSIDE,
	H_NEXT_RANGE, H_STRADDLE, H_COUNT
};

static void desc(struct bench *b, uint64_t table, unsigned i, uint64_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	uint8_t d[16];

	cm_put_le64(d, gpa);
	cm_put_le32(d + 8, len);
	cm_put_le16(d + 12, (uint16_t)flags);
	cm_put_le16(d + 14, (uint16_t)next);
	kit_poke(&b->k, table + 16 * i, d, sizeof d);
}

static void make_hostile(struct bench *b, enum hostile h)
{
	uint64_t t = BENCH_RING_GPA;
	uint8_t w[2];

	memset(w, 0, sizeof w);
	kit_poke(&b->k, b->q[0].avail + 4, w, 2);
	desc(b, t, 0, BENCH_DATA_GPA, 16, 0, 0);
	switch (h) {
	case H_HEAD:
		cm_put_le16(w, 16);
		kit_poke(&b->k, b->q[0].avail + 4, w, 2);
		break;
	case H_LOOP:
		desc(b, t, 0, BENCH_DATA_GPA, 16, 1, 1);
		desc(b, t, 1, BENCH_DATA_GPA, 16, 1, 0);
		break;
	case H_OUTSIDE:
		desc(b, t, 0, 0xd0001000, 16, 0, 0);
		break;
	case H_ZERO:
		desc(b, t, 0, BENCH_DATA_GPA, 0, 0, 0);
		break;
	case H_ORDER:
		desc(b, t, 0, BENCH_DATA_GPA, 16, 3, 1);
		desc(b, t, 1, BENCH_DATA_GPA, 16, 0, 0);
		break;
	case H_INDIRECT_OFF:
	case H_ODD_TABLE:
		desc(b, t, 0, BENCH_DATA_GPA, h == H_ODD_TABLE ? 17 : 16, 4, 0);
		break;
	case H_NESTED:
		desc(b, t, 0, BENCH_DATA_GPA, 32, 4, 0);
		desc(b, BENCH_DATA_GPA, 0, BENCH_DATA_GPA, 32, 4, 0);
		break;
	case H_TABLE_OUTSIDE:
		desc(b, t, 0, KIT_RAM - 16, 32, 4, 0);
		desc(b, KIT_RAM - 16, 0, BENCH_DATA_GPA, 16, 1, 1);
		break;
	case H_NEXT_RANGE:
		desc(b, t, 0, BENCH_DATA_GPA, 16, 1, 16);
		break;
	case H_STRADDLE:
		desc(b, t, 0, KIT_RAM - 8, 16, 0, 0);
		break;
	default:
		break;
	}
	cm_put_le16(w, h == H_JUMP ? 17 : 1);
	kit_poke(&b->k, b->q[0].avail + 2, w, 2);
}

static void hostile_rings(void **state)
{
	struct bench *b = *state;

	kit_plug(&b->k, &hv_dev_blk, &b->blk);
	b->plugged = true;
	for (int h = 0; h < H_COUNT; h++) {
		uint64_t features = BENCH_V1 | (h == H_INDIRECT_OFF ? 0 : HV_VIRTQ_F_INDIRECT);

		assert_true(kit_driver(&b->k, features) & HV_VIRTIO_S_FEATURES_OK);
		kit_queue_init(&b->k, &b->q[0], 0, 16, BENCH_RING_GPA);
		kit_driver_ok(&b->k);
		make_hostile(b, (enum hostile)h);
		kit_ring(&b->q[0]);
		if (!(kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET))
			fail_msg("hostile ring %d was not noticed", h);
		assert_true(kit_in(&b->k, 0x60, 4) & HV_VIRTIO_ISR_CONFIG);
		assert_int_equal(kit_counter(&b->k, "needs_reset"), h + 1);
		/* Nothing is served until the driver resets; the state may travel meanwhile. */
		kit_ring(&b->q[0]);
		kit_move(&b->k);
		kit_settle(&b->k);
		assert_int_equal(b->disk->submitted, 0);
		assert_true(kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET);
		kit_unplug(&b->k);
		kit_plug(&b->k, &hv_dev_blk, &b->blk);
		for (int i = 0; i <= h; i++) /* keep the count for the next round */
			((struct hv_virtio *)b->k.dev.impl)->counters.broken++;
	}
}

/* Random descriptors over a small memory with good and bad addresses: nothing but NEEDS_RESET or honest answers. */
static void random_rings(void **state)
{
	struct bench *b = *state;
	static const uint64_t place[] = {BENCH_DATA_GPA, BENCH_RING_GPA, 0, KIT_RAM - 64, KIT_RAM, 0xfee00000, UINT64_MAX - 7};

	srandom(7);
	bench_start(b, &hv_dev_blk, &b->blk, HV_VIRTQ_F_INDIRECT, 1);
	for (int round = 0; round < 3000; round++) {
		uint8_t w[2];

		if (kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET) {
			assert_true(kit_driver(&b->k, BENCH_V1 | (random() & 1 ? BENCH_IDX : 0)) & HV_VIRTIO_S_FEATURES_OK);
			kit_queue_init(&b->k, &b->q[0], 0, 16, BENCH_RING_GPA);
			kit_driver_ok(&b->k);
		}
		for (unsigned i = 0; i < 16; i++)
			desc(b, random() & 7 ? BENCH_RING_GPA : BENCH_DATA_GPA, i,
			     place[random() % (random() & 3 ? 2 : (long)CM_ARRAY_LEN(place))] + (uint64_t)(random() & 0xfff),
			     (uint32_t)(random() & 7 ? random() % 1024 + 1 : random()),
			     (unsigned)(random() & (random() & 3 ? 3 : 7)), (unsigned)(random() & (random() & 7 ? 15 : 31)));
		for (unsigned i = 0; i < 16; i++) {
			cm_put_le16(w, (uint16_t)(random() % (random() & 15 ? 16 : 20)));
			kit_poke(&b->k, b->q[0].avail + 4 + 2 * i, w, 2);
		}
		b->q[0].avail_idx = (uint16_t)(b->q[0].avail_idx + random() % (random() & 15 ? 4 : 20));
		cm_put_le16(w, b->q[0].avail_idx);
		kit_poke(&b->k, b->q[0].avail + 2, w, 2);
		kit_ring(&b->q[0]);
	}
	assert_true(kit_counter(&b->k, "needs_reset") > 10);
}

static void event_index(void **state)
{
	struct bench *b = *state;
	uint8_t w[2];
	unsigned before;

	bench_start(b, &hv_dev_blk, &b->blk, BENCH_IDX, 1);
	cm_put_le16(w, 2); /* used_event: interrupt when the third is done */
	kit_poke(&b->k, b->q[0].avail + 4 + 32, w, 2);
	kit_out(&b->k, 0x64, 3, 4);
	for (uint64_t i = 0; i < 3; i++) {
		before = b->k.raised;
		bench_blk_offer(b, 4, 0, 0, 0, false, 2 * i + 1);
		kit_ring(&b->q[0]);
		/* The very first one always interrupts: nothing was signalled before. */
		assert_int_equal(b->k.raised - before, i != 1);
		kit_out(&b->k, 0x64, 3, 4);
	}
}

static void no_interrupt_flag(void **state)
{
	struct bench *b = *state;
	uint8_t w[2];

	bench_start(b, &hv_dev_blk, &b->blk, 0, 1);
	cm_put_le16(w, 1);
	kit_poke(&b->k, b->q[0].avail, w, 2);
	bench_blk_offer(b, 4, 0, 0, 0, false, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 0), 0);
	assert_false(b->k.line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(hostile_rings),
		BENCH_TEST(random_rings),
		BENCH_TEST(event_index),
		BENCH_TEST(no_interrupt_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
