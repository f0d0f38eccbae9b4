/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_blk.c - the disk of virtio.
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

#include "hvcore/devices/hv_blk_parse.h"
#include "tests/unit/hv_virtiokit.h"

static void blk_read_write(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;
	uint8_t block[1024], back[1024];

	bench_start(b, &hv_dev_blk, &b->blk, BENCH_IDX, 1);
	for (unsigned i = 0; i < sizeof block; i++)
		block[i] = (uint8_t)(i * 7);
	kit_poke(&b->k, BENCH_DATA_GPA + 0x1000, block, sizeof block);
	bench_blk_offer(b, 1, 8, BENCH_DATA_GPA + 0x1000, sizeof block, false, 0);
	bench_blk_offer(b, 0, 8, BENCH_DATA_GPA + 0x2000, sizeof block, true, 1);
	bench_blk_offer(b, 4, 0, 0, 0, false, 2);
	bench_blk_offer(b, 8, 0, BENCH_DATA_GPA + 0x3000, 20, true, 3);
	kit_ring(&b->q[0]);
	for (int i = 0; i < 4; i++)
		assert_true(kit_used(&b->q[0], &head, &len));
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(bench_blk_status(b, i), 0);
	assert_memory_equal(b->disk->data + 4096, block, sizeof block);
	kit_peek(&b->k, BENCH_DATA_GPA + 0x2000, back, sizeof back);
	assert_memory_equal(back, block, sizeof block);
	kit_peek(&b->k, BENCH_DATA_GPA + 0x3000, back, 20);
	assert_memory_equal(back, "disk-0001\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(b->disk->flushes, 1);
	assert_true(b->k.line);
	kit_out(&b->k, 0x64, 1, 4);
	assert_false(b->k.line);
}

static void blk_errors(void **state)
{
	struct bench *b = *state;
	uint64_t last = BENCH_DISK_BYTES / 512;

	bench_start(b, &hv_dev_blk, &b->blk, HV_VIRTQ_F_INDIRECT, 1);
	bench_blk_offer(b, 0, last, BENCH_DATA_GPA + 0x1000, 512, true, 0);        /* beyond the end */
	bench_blk_offer(b, 0, last - 1, BENCH_DATA_GPA + 0x1000, 1024, true, 1);   /* across the end */
	bench_blk_offer(b, 0, UINT64_MAX, BENCH_DATA_GPA + 0x1000, 512, true, 3);  /* overflow */
	bench_blk_offer(b, 0, 0, BENCH_DATA_GPA + 0x1000, 100, true, 5);           /* no whole sector */
	bench_blk_offer(b, 99, 0, 0, 0, false, 7);                           /* unknown */
	bench_blk_offer(b, 0, 0, 0, 0, false, 9);                            /* nothing to read */
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 0), HV_BLK_IOERR);
	assert_int_equal(bench_blk_status(b, 1), HV_BLK_IOERR);
	assert_int_equal(bench_blk_status(b, 3), HV_BLK_IOERR);
	assert_int_equal(bench_blk_status(b, 5), HV_BLK_IOERR);
	assert_int_equal(bench_blk_status(b, 7), HV_BLK_UNSUPP);
	assert_int_equal(bench_blk_status(b, 9), HV_BLK_IOERR);
	assert_int_equal(b->disk->submitted, 0);
	b->disk->fail = CM_E_IO;
	bench_blk_offer(b, 4, 0, 0, 0, false, 11);
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 11), HV_BLK_IOERR);
	assert_int_equal(kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET, 0);
	assert_int_equal(kit_counter(&b->k, "errors"), 7);
}

static void segment(struct bench *b, uint64_t sector, uint32_t count, uint32_t flags)
{
	uint8_t s[16];

	cm_put_le64(s, sector);
	cm_put_le32(s + 8, count);
	cm_put_le32(s + 12, flags);
	kit_poke(&b->k, BENCH_DATA_GPA + 0x1000, s, sizeof s);
}

static void blk_zeroes(void **state)
{
	struct bench *b = *state;

	memset(b->disk->data, 0xee, BENCH_DISK_BYTES);
	bench_start(b, &hv_dev_blk, &b->blk, 0, 1);
	segment(b, 2, 4, 1);
	bench_blk_offer(b, 13, 0, BENCH_DATA_GPA + 0x1000, 16, false, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 0), 0);
	assert_int_equal(b->disk->data[1023], 0xee);
	assert_int_equal(b->disk->data[1024], 0);
	assert_int_equal(b->disk->data[3071], 0);
	assert_int_equal(b->disk->data[3072], 0xee);
	segment(b, 2, 4, 1); /* a discard has no unmap flag */
	bench_blk_offer(b, 11, 0, BENCH_DATA_GPA + 0x1000, 16, false, 2);
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 2), HV_BLK_UNSUPP);
	segment(b, BENCH_DISK_BYTES / 512 - 1, 2, 0);
	bench_blk_offer(b, 11, 0, BENCH_DATA_GPA + 0x1000, 16, false, 4);
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 4), HV_BLK_IOERR);
}

static void blk_read_only(void **state)
{
	struct bench *b = *state;

	b->blk.read_only = true;
	bench_start(b, &hv_dev_blk, &b->blk, 1 << 5, 1);
	bench_blk_offer(b, 1, 0, BENCH_DATA_GPA + 0x1000, 512, false, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(bench_blk_status(b, 0), HV_BLK_IOERR);
	assert_int_equal(b->disk->submitted, 0);
}

static void blk_pause_drains(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;

	bench_start(b, &hv_dev_blk, &b->blk, BENCH_IDX, 1);
	b->disk->hold = true;
	bench_blk_offer(b, 0, 0, BENCH_DATA_GPA + 0x1000, 512, true, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(b->disk->submitted, 1);
	assert_int_equal(kit_pause(&b->k), -EINPROGRESS);
	/* What is offered now waits in the ring. */
	bench_blk_offer(b, 0, 1, BENCH_DATA_GPA + 0x1200, 512, true, 1);
	kit_ring(&b->q[0]);
	assert_int_equal(b->disk->submitted, 1);
	assert_int_equal(b->k.idle, 0);
	b->disk->hold = false;
	bench_disk_work(b->disk);
	assert_int_equal(b->k.idle, 1);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_false(kit_used(&b->q[0], &head, &len));
	/* ... and is served after the move, exactly once. */
	kit_move(&b->k);
	kit_settle(&b->k);
	assert_int_equal(b->disk->submitted, 2);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_false(kit_used(&b->q[0], &head, &len));
	assert_int_equal(bench_blk_status(b, 1), 0);
}

static void blk_reset_orphans(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;

	bench_start(b, &hv_dev_blk, &b->blk, 0, 1);
	b->disk->hold = true;
	bench_blk_offer(b, 0, 0, BENCH_DATA_GPA + 0x1000, 512, true, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_driver(&b->k, BENCH_V1) & HV_VIRTIO_S_FEATURES_OK);
	kit_queue_init(&b->k, &b->q[0], 0, 16, BENCH_RING_GPA);
	kit_driver_ok(&b->k);
	b->disk->hold = false;
	bench_disk_work(b->disk); /* the answer of the earlier life */
	kit_settle(&b->k);
	assert_false(kit_used(&b->q[0], &head, &len));
	assert_int_equal(bench_blk_status(b, 0), 0xff);
	bench_blk_offer(b, 0, 0, BENCH_DATA_GPA + 0x1000, 512, true, 2);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(kit_counter(&b->k, "inflight"), 0);
}

/* Random traffic with moves in between: every request is answered once, and the disk has what was written. */
static void blk_traffic_with_moves(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;
	unsigned answered = 0, asked = 0;

	srandom(3);
	bench_start(b, &hv_dev_blk, &b->blk, BENCH_IDX, 1);
	for (int round = 0; round < 400; round++) {
		unsigned n = (unsigned)(random() % 4) + 1;

		for (unsigned i = 0; i < n; i++, asked++)
			bench_blk_offer(b, (uint32_t)(random() & 1), (uint64_t)(random() % 1024),
				  BENCH_DATA_GPA + 0x20000 + i * 0x1000, 512 * (uint32_t)(1 + random() % 4), random() & 1,
				  i * 2 + 1);
		if (random() & 1)
			kit_ring(&b->q[0]);
		b->disk->hold = random() & 1;
		while (kit_pause(&b->k) < 0) {
			b->disk->hold = false;
			bench_disk_work(b->disk);
		}
		b->disk->hold = false;
		if (random() & 1)
			kit_move(&b->k);
		else
			kit_resume(&b->k);
		kit_settle(&b->k);
		while (kit_used(&b->q[0], &head, &len))
			answered++;
		assert_int_equal(answered, asked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(blk_read_write),
		BENCH_TEST(blk_errors),
		BENCH_TEST(blk_zeroes),
		BENCH_TEST(blk_read_only),
		BENCH_TEST(blk_pause_drains),
		BENCH_TEST(blk_reset_orphans),
		BENCH_TEST(blk_traffic_with_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
