/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_virtio.c - the virtio transport and every virtio device, against a mock driver and mock back ends.
 *
 * The disk here is the test's own stor_dev (memory, with completions held back on demand), so that what happens between
 * submit and completion can be arranged: pause, reset, errors, late answers.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "hvcore/devices/hv_blk_parse.h"
#include "hvcore/devices/hv_net_header.h"
#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/machine/hv_port.h"
#include "sharedstorage/dev/stor_dev.h"
#include "tests/unit/hv_devkit.h"

#define V1 HV_VIRTIO_F_VERSION_1
#define RING_GPA 0x100000ull
#define DATA_GPA 0x200000ull
#define DISK_BYTES (1u << 20)

/* --- a disk of the test ------------------------------------------------------------------- */

struct stor_dev {
	struct stor_dev_info info;
	struct cm_loop *loop;
	uint8_t data[DISK_BYTES];
	TAILQ_HEAD(, stor_req) waiting;
	unsigned submitted, flushes;
	bool hold;
	int fail; /* answer of every request */
};

const struct stor_dev_info *stor_dev_info(const struct stor_dev *d)
{
	return &d->info;
}

static void disk_copy(struct stor_dev *d, struct stor_req *r)
{
	uint64_t at = r->offset_bytes;

	for (int i = 0; i < r->niov; i++) {
		if (r->op == STOR_OP_READ)
			memcpy(r->iov[i].iov_base, d->data + at, r->iov[i].iov_len);
		else
			memcpy(d->data + at, r->iov[i].iov_base, r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
}

static void disk_work(void *arg)
{
	struct stor_dev *d = arg;
	struct stor_req *r;

	while (!d->hold && (r = TAILQ_FIRST(&d->waiting))) {
		TAILQ_REMOVE(&d->waiting, r, link);
		if (!d->fail && (r->op == STOR_OP_READ || r->op == STOR_OP_WRITE))
			disk_copy(d, r);
		else if (!d->fail && r->op == STOR_OP_WRITE_ZEROES)
			memset(d->data + r->offset_bytes, 0, r->length_bytes);
		r->done(r, d->fail);
	}
}

void stor_dev_submit(struct stor_dev *d, struct stor_req *r)
{
	uint64_t sum = 0;

	for (int i = 0; i < r->niov; i++)
		sum += r->iov[i].iov_len;
	if (r->op == STOR_OP_READ || r->op == STOR_OP_WRITE) {
		CM_ASSERT(sum == r->length_bytes);
		CM_ASSERT(r->offset_bytes + r->length_bytes <= d->info.capacity_bytes);
	}
	d->submitted++;
	d->flushes += r->op == STOR_OP_FLUSH;
	TAILQ_INSERT_TAIL(&d->waiting, r, link);
	CM_ASSERT(cm_loop_post(d->loop, disk_work, d) == 0);
}

static void req_rw(struct stor_req *r, enum stor_op op, uint64_t off, struct iovec *iov, int n, stor_done_fn done,
		   void *arg)
{
	*r = (struct stor_req){.op = op, .offset_bytes = off, .iov = iov, .niov = n, .done = done, .arg = arg};
	for (int i = 0; i < n; i++)
		r->length_bytes += iov[i].iov_len;
}

void stor_req_readv(struct stor_req *r, uint64_t off, struct iovec *iov, int n, stor_done_fn done, void *arg)
{
	req_rw(r, STOR_OP_READ, off, iov, n, done, arg);
}

void stor_req_writev(struct stor_req *r, uint64_t off, struct iovec *iov, int n, stor_done_fn done, void *arg)
{
	req_rw(r, STOR_OP_WRITE, off, iov, n, done, arg);
}

void stor_req_flush(struct stor_req *r, stor_done_fn done, void *arg)
{
	*r = (struct stor_req){.op = STOR_OP_FLUSH, .done = done, .arg = arg};
}

void stor_req_discard(struct stor_req *r, uint64_t off, uint64_t len, stor_done_fn done, void *arg)
{
	*r = (struct stor_req){.op = STOR_OP_DISCARD, .offset_bytes = off, .length_bytes = len, .done = done,
			       .arg = arg};
}

void stor_req_write_zeroes(struct stor_req *r, uint64_t off, uint64_t len, bool unmap, stor_done_fn done, void *arg)
{
	*r = (struct stor_req){.op = STOR_OP_WRITE_ZEROES, .offset_bytes = off, .length_bytes = len, .done = done,
			       .arg = arg, .flags = unmap ? STOR_REQ_UNMAP : 0};
}

/* --- bench ------------------------------------------------------------------------------------ */

struct bench {
	struct kit k;
	struct stor_dev *disk;
	struct hv_blk_config blk;
	struct hv_nic_config nic;
	struct hv_char_config con;
	int tap; /* our end */
	struct kit_queue q[6];
	bool plugged;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	kit_open(&b->k);
	b->disk = calloc(1, sizeof *b->disk);
	b->disk->loop = b->k.loop;
	b->disk->info = (struct stor_dev_info){.sector_bytes = 512, .capacity_bytes = DISK_BYTES};
	TAILQ_INIT(&b->disk->waiting);
	b->blk = (struct hv_blk_config){.dev = b->disk, .serial = "disk-0001"};
	b->con.chr = b->k.chr;
	b->tap = b->nic.tap_fd = -1;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	b->disk->hold = false;
	disk_work(b->disk);
	if (b->plugged)
		kit_unplug(&b->k);
	kit_close(&b->k);
	if (b->tap >= 0) {
		close(b->tap);
		close(b->nic.tap_fd);
	}
	free(b->disk);
	free(b);
	return 0;
}

static void start(struct bench *b, const struct hv_dev_ops *ops, const void *cfg, uint64_t features, unsigned queues)
{
	kit_plug(&b->k, ops, cfg);
	b->plugged = true;
	assert_true(kit_driver(&b->k, features | V1) & HV_VIRTIO_S_FEATURES_OK);
	for (unsigned i = 0; i < queues; i++) {
		kit_queue_init(&b->k, &b->q[i], i, 16, RING_GPA + i * 0x4000);
		assert_int_equal(kit_in(&b->k, 0x44, 4), 1);
	}
	kit_driver_ok(&b->k);
	kit_settle(&b->k);
}

static uint16_t blk_offer(struct bench *b, uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len, bool in,
			  uint64_t slot)
{
	uint64_t head = DATA_GPA + slot * 64, status = head + 32;
	struct kit_buf bufs[3];
	uint8_t h[16] = {0}, none = 0xff;
	unsigned n = 0;

	cm_put_le32(h, type);
	cm_put_le64(h + 8, sector);
	kit_poke(&b->k, head, h, sizeof h);
	kit_poke(&b->k, status, &none, 1);
	bufs[n++] = (struct kit_buf){head, 16, false};
	if (len)
		bufs[n++] = (struct kit_buf){gpa, len, in};
	bufs[n++] = (struct kit_buf){status, 1, true};
	return kit_offer(&b->q[0], bufs, n, slot & 1 ? DATA_GPA + 0x8000 + slot * 256 : 0);
}

static int blk_status(struct bench *b, uint64_t slot)
{
	uint8_t s;

	kit_peek(&b->k, DATA_GPA + slot * 64 + 32, &s, 1);
	return s;
}

#define IDX (HV_VIRTQ_F_INDIRECT | HV_VIRTQ_F_EVENT_IDX)

/* --- transport ---------------------------------------------------------------------------------- */

static void transport_registers(void **state)
{
	struct bench *b = *state;
	struct kit *k = &b->k;

	kit_plug(k, &hv_dev_blk, &b->blk);
	b->plugged = true;
	assert_int_equal(kit_in(k, 0, 4), 0x74726976);
	assert_int_equal(kit_in(k, 4, 4), 2);
	assert_int_equal(kit_in(k, 8, 4), 2);
	assert_true(kit_offered(k) & V1);
	kit_out(k, 0x14, 7, 4);
	assert_int_equal(kit_in(k, 0x10, 4), 0);
	kit_out(k, 0x30, 5, 4);
	assert_int_equal(kit_in(k, 0x34, 4), 0);
	kit_out(k, 0x44, 1, 4);
	assert_int_equal(kit_in(k, 0x44, 4), 0);
	assert_int_equal(kit_in(k, 0xb0, 4), 0xffffffff);
	/* Features that were not offered do not stick; without VERSION_1 neither. */
	assert_false(kit_driver(k, V1 | 1ull << 63) & HV_VIRTIO_S_FEATURES_OK);
	assert_false(kit_driver(k, 0) & HV_VIRTIO_S_FEATURES_OK);
	kit_driver_ok(k);
	assert_false(kit_in(k, 0x70, 4) & HV_VIRTIO_S_DRIVER_OK);
	/* Odd widths and places are counted, not served. */
	kit_in(k, 1, 4);
	kit_in(k, 0, 2);
	assert_int_equal(kit_counter(k, "bad_access"), 2);
	/* Configuration space in any width. */
	assert_int_equal(kit_in(k, 0x100, 4), DISK_BYTES / 512);
	assert_int_equal(kit_in(k, 0x101, 1), DISK_BYTES / 512 >> 8 & 0xff);
	assert_int_equal(kit_in(k, 0x1ff, 8), 0xffffffff); /* leaves the slot: nobody is there */
}

static void transport_bad_queues(void **state)
{
	static const struct {
		unsigned num;
		uint64_t gpa;
	} bad[] = {{0, RING_GPA}, {3, RING_GPA}, {512, RING_GPA}, {16, RING_GPA + 1}, {16, KIT_RAM - 16},
		   {16, 0xd0001000}, {16, UINT64_MAX - 15}};
	struct bench *b = *state;
	struct kit *k = &b->k;

	kit_plug(k, &hv_dev_blk, &b->blk);
	b->plugged = true;
	for (unsigned i = 0; i < CM_ARRAY_LEN(bad); i++) {
		assert_true(kit_driver(k, V1) & HV_VIRTIO_S_FEATURES_OK);
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
	assert_true(kit_driver(k, V1) == (HV_VIRTIO_S_ACK | HV_VIRTIO_S_DRIVER | HV_VIRTIO_S_FEATURES_OK));
}

/* --- hostile rings ---------------------------------------------------------------------------------- */

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
	uint64_t t = RING_GPA;
	uint8_t w[2];

	memset(w, 0, sizeof w);
	kit_poke(&b->k, b->q[0].avail + 4, w, 2);
	desc(b, t, 0, DATA_GPA, 16, 0, 0);
	switch (h) {
	case H_HEAD:
		cm_put_le16(w, 16);
		kit_poke(&b->k, b->q[0].avail + 4, w, 2);
		break;
	case H_LOOP:
		desc(b, t, 0, DATA_GPA, 16, 1, 1);
		desc(b, t, 1, DATA_GPA, 16, 1, 0);
		break;
	case H_OUTSIDE:
		desc(b, t, 0, 0xd0001000, 16, 0, 0);
		break;
	case H_ZERO:
		desc(b, t, 0, DATA_GPA, 0, 0, 0);
		break;
	case H_ORDER:
		desc(b, t, 0, DATA_GPA, 16, 3, 1);
		desc(b, t, 1, DATA_GPA, 16, 0, 0);
		break;
	case H_INDIRECT_OFF:
	case H_ODD_TABLE:
		desc(b, t, 0, DATA_GPA, h == H_ODD_TABLE ? 17 : 16, 4, 0);
		break;
	case H_NESTED:
		desc(b, t, 0, DATA_GPA, 32, 4, 0);
		desc(b, DATA_GPA, 0, DATA_GPA, 32, 4, 0);
		break;
	case H_TABLE_OUTSIDE:
		desc(b, t, 0, KIT_RAM - 16, 32, 4, 0);
		desc(b, KIT_RAM - 16, 0, DATA_GPA, 16, 1, 1);
		break;
	case H_NEXT_RANGE:
		desc(b, t, 0, DATA_GPA, 16, 1, 16);
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
		uint64_t features = V1 | (h == H_INDIRECT_OFF ? 0 : HV_VIRTQ_F_INDIRECT);

		assert_true(kit_driver(&b->k, features) & HV_VIRTIO_S_FEATURES_OK);
		kit_queue_init(&b->k, &b->q[0], 0, 16, RING_GPA);
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
	static const uint64_t place[] = {DATA_GPA, RING_GPA, 0, KIT_RAM - 64, KIT_RAM, 0xfee00000, UINT64_MAX - 7};

	srandom(7);
	start(b, &hv_dev_blk, &b->blk, HV_VIRTQ_F_INDIRECT, 1);
	for (int round = 0; round < 3000; round++) {
		uint8_t w[2];

		if (kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET) {
			assert_true(kit_driver(&b->k, V1 | (random() & 1 ? IDX : 0)) & HV_VIRTIO_S_FEATURES_OK);
			kit_queue_init(&b->k, &b->q[0], 0, 16, RING_GPA);
			kit_driver_ok(&b->k);
		}
		for (unsigned i = 0; i < 16; i++)
			desc(b, random() & 7 ? RING_GPA : DATA_GPA, i,
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

/* --- disk ------------------------------------------------------------------------------------------- */

static void blk_read_write(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;
	uint8_t block[1024], back[1024];

	start(b, &hv_dev_blk, &b->blk, IDX, 1);
	for (unsigned i = 0; i < sizeof block; i++)
		block[i] = (uint8_t)(i * 7);
	kit_poke(&b->k, DATA_GPA + 0x1000, block, sizeof block);
	blk_offer(b, 1, 8, DATA_GPA + 0x1000, sizeof block, false, 0);
	blk_offer(b, 0, 8, DATA_GPA + 0x2000, sizeof block, true, 1);
	blk_offer(b, 4, 0, 0, 0, false, 2);
	blk_offer(b, 8, 0, DATA_GPA + 0x3000, 20, true, 3);
	kit_ring(&b->q[0]);
	for (int i = 0; i < 4; i++)
		assert_true(kit_used(&b->q[0], &head, &len));
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(blk_status(b, i), 0);
	assert_memory_equal(b->disk->data + 4096, block, sizeof block);
	kit_peek(&b->k, DATA_GPA + 0x2000, back, sizeof back);
	assert_memory_equal(back, block, sizeof block);
	kit_peek(&b->k, DATA_GPA + 0x3000, back, 20);
	assert_memory_equal(back, "disk-0001\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(b->disk->flushes, 1);
	assert_true(b->k.line);
	kit_out(&b->k, 0x64, 1, 4);
	assert_false(b->k.line);
}

static void blk_errors(void **state)
{
	struct bench *b = *state;
	uint64_t last = DISK_BYTES / 512;

	start(b, &hv_dev_blk, &b->blk, HV_VIRTQ_F_INDIRECT, 1);
	blk_offer(b, 0, last, DATA_GPA + 0x1000, 512, true, 0);        /* beyond the end */
	blk_offer(b, 0, last - 1, DATA_GPA + 0x1000, 1024, true, 1);   /* across the end */
	blk_offer(b, 0, UINT64_MAX, DATA_GPA + 0x1000, 512, true, 3);  /* overflow */
	blk_offer(b, 0, 0, DATA_GPA + 0x1000, 100, true, 5);           /* no whole sector */
	blk_offer(b, 99, 0, 0, 0, false, 7);                           /* unknown */
	blk_offer(b, 0, 0, 0, 0, false, 9);                            /* nothing to read */
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 0), HV_BLK_IOERR);
	assert_int_equal(blk_status(b, 1), HV_BLK_IOERR);
	assert_int_equal(blk_status(b, 3), HV_BLK_IOERR);
	assert_int_equal(blk_status(b, 5), HV_BLK_IOERR);
	assert_int_equal(blk_status(b, 7), HV_BLK_UNSUPP);
	assert_int_equal(blk_status(b, 9), HV_BLK_IOERR);
	assert_int_equal(b->disk->submitted, 0);
	b->disk->fail = CM_E_IO;
	blk_offer(b, 4, 0, 0, 0, false, 11);
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 11), HV_BLK_IOERR);
	assert_int_equal(kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET, 0);
	assert_int_equal(kit_counter(&b->k, "errors"), 7);
}

static void segment(struct bench *b, uint64_t sector, uint32_t count, uint32_t flags)
{
	uint8_t s[16];

	cm_put_le64(s, sector);
	cm_put_le32(s + 8, count);
	cm_put_le32(s + 12, flags);
	kit_poke(&b->k, DATA_GPA + 0x1000, s, sizeof s);
}

static void blk_zeroes(void **state)
{
	struct bench *b = *state;

	memset(b->disk->data, 0xee, DISK_BYTES);
	start(b, &hv_dev_blk, &b->blk, 0, 1);
	segment(b, 2, 4, 1);
	blk_offer(b, 13, 0, DATA_GPA + 0x1000, 16, false, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 0), 0);
	assert_int_equal(b->disk->data[1023], 0xee);
	assert_int_equal(b->disk->data[1024], 0);
	assert_int_equal(b->disk->data[3071], 0);
	assert_int_equal(b->disk->data[3072], 0xee);
	segment(b, 2, 4, 1); /* a discard has no unmap flag */
	blk_offer(b, 11, 0, DATA_GPA + 0x1000, 16, false, 2);
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 2), HV_BLK_UNSUPP);
	segment(b, DISK_BYTES / 512 - 1, 2, 0);
	blk_offer(b, 11, 0, DATA_GPA + 0x1000, 16, false, 4);
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 4), HV_BLK_IOERR);
}

static void blk_read_only(void **state)
{
	struct bench *b = *state;

	b->blk.read_only = true;
	start(b, &hv_dev_blk, &b->blk, 1 << 5, 1);
	blk_offer(b, 1, 0, DATA_GPA + 0x1000, 512, false, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 0), HV_BLK_IOERR);
	assert_int_equal(b->disk->submitted, 0);
}

static void blk_pause_drains(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;

	start(b, &hv_dev_blk, &b->blk, IDX, 1);
	b->disk->hold = true;
	blk_offer(b, 0, 0, DATA_GPA + 0x1000, 512, true, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(b->disk->submitted, 1);
	assert_int_equal(kit_pause(&b->k), -EINPROGRESS);
	/* What is offered now waits in the ring. */
	blk_offer(b, 0, 1, DATA_GPA + 0x1200, 512, true, 1);
	kit_ring(&b->q[0]);
	assert_int_equal(b->disk->submitted, 1);
	assert_int_equal(b->k.idle, 0);
	b->disk->hold = false;
	disk_work(b->disk);
	assert_int_equal(b->k.idle, 1);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_false(kit_used(&b->q[0], &head, &len));
	/* ... and is served after the move, exactly once. */
	kit_move(&b->k);
	kit_settle(&b->k);
	assert_int_equal(b->disk->submitted, 2);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_false(kit_used(&b->q[0], &head, &len));
	assert_int_equal(blk_status(b, 1), 0);
}

static void blk_reset_orphans(void **state)
{
	struct bench *b = *state;
	uint32_t head, len;

	start(b, &hv_dev_blk, &b->blk, 0, 1);
	b->disk->hold = true;
	blk_offer(b, 0, 0, DATA_GPA + 0x1000, 512, true, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_driver(&b->k, V1) & HV_VIRTIO_S_FEATURES_OK);
	kit_queue_init(&b->k, &b->q[0], 0, 16, RING_GPA);
	kit_driver_ok(&b->k);
	b->disk->hold = false;
	disk_work(b->disk); /* the answer of the earlier life */
	kit_settle(&b->k);
	assert_false(kit_used(&b->q[0], &head, &len));
	assert_int_equal(blk_status(b, 0), 0xff);
	blk_offer(b, 0, 0, DATA_GPA + 0x1000, 512, true, 2);
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
	start(b, &hv_dev_blk, &b->blk, IDX, 1);
	for (int round = 0; round < 400; round++) {
		unsigned n = (unsigned)(random() % 4) + 1;

		for (unsigned i = 0; i < n; i++, asked++)
			blk_offer(b, (uint32_t)(random() & 1), (uint64_t)(random() % 1024),
				  DATA_GPA + 0x20000 + i * 0x1000, 512 * (uint32_t)(1 + random() % 4), random() & 1,
				  i * 2 + 1);
		if (random() & 1)
			kit_ring(&b->q[0]);
		b->disk->hold = random() & 1;
		while (kit_pause(&b->k) < 0) {
			b->disk->hold = false;
			disk_work(b->disk);
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

/* --- interrupts ---------------------------------------------------------------------------------------- */

static void event_index(void **state)
{
	struct bench *b = *state;
	uint8_t w[2];
	unsigned before;

	start(b, &hv_dev_blk, &b->blk, IDX, 1);
	cm_put_le16(w, 2); /* used_event: interrupt when the third is done */
	kit_poke(&b->k, b->q[0].avail + 4 + 32, w, 2);
	kit_out(&b->k, 0x64, 3, 4);
	for (uint64_t i = 0; i < 3; i++) {
		before = b->k.raised;
		blk_offer(b, 4, 0, 0, 0, false, 2 * i + 1);
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

	start(b, &hv_dev_blk, &b->blk, 0, 1);
	cm_put_le16(w, 1);
	kit_poke(&b->k, b->q[0].avail, w, 2);
	blk_offer(b, 4, 0, 0, 0, false, 0);
	kit_ring(&b->q[0]);
	assert_int_equal(blk_status(b, 0), 0);
	assert_false(b->k.line);
}

/* --- network -------------------------------------------------------------------------------------------- */

static void net_start(struct bench *b, uint64_t features)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	b->tap = fd[0];
	b->nic.tap_fd = fd[1];
	memcpy(b->nic.mac, "\x52\x54\0\1\2\3", 6);
	start(b, &hv_dev_net, &b->nic, features, 3);
}

static void net_offer_rx(struct bench *b, unsigned n, uint32_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct kit_buf buf = {DATA_GPA + 0x10000 * (uint64_t)(b->q[0].avail_idx % 16), len, true};

		kit_offer(&b->q[0], &buf, 1, 0);
	}
	kit_ring(&b->q[0]);
}

static void packet_make(uint8_t *p, size_t len)
{
	memset(p, 0, HV_NET_HEADER_BYTES);
	for (size_t i = HV_NET_HEADER_BYTES; i < len; i++)
		p[i] = (uint8_t)(i * 11);
}

static void net_both_ways(void **state)
{
	struct bench *b = *state;
	uint8_t out[1526], in[1526], back[2048];
	struct kit_buf tx[2] = {{DATA_GPA, 12, false}, {DATA_GPA + 0x1000, 1514, false}};
	uint32_t head, len;

	net_start(b, IDX | HV_NET_F_MAC);
	assert_int_equal(kit_in(&b->k, 0x100, 4), 0x01005452);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 1);
	packet_make(out, sizeof out);
	kit_poke(&b->k, tx[0].gpa, out, 12);
	kit_poke(&b->k, tx[1].gpa, out + 12, 1514);
	kit_offer(&b->q[1], tx, 2, 0);
	kit_ring(&b->q[1]);
	assert_int_equal(read(b->tap, in, sizeof in), (int)sizeof in);
	assert_memory_equal(in, out, sizeof in);
	assert_true(kit_used(&b->q[1], &head, &len));
	net_offer_rx(b, 2, 2048);
	assert_int_equal(write(b->tap, out, sizeof out), (int)sizeof out);
	kit_settle(&b->k);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, sizeof out);
	kit_peek(&b->k, DATA_GPA, back, len);
	assert_int_equal(back[10], 1); /* num_buffers */
	assert_memory_equal(back + 12, out + 12, len - 12);
	assert_false(kit_used(&b->q[0], &head, &len));
	assert_true(b->k.line);
}

static void net_merged(void **state)
{
	struct bench *b = *state;
	static uint8_t out[60000], back[60000];
	uint32_t head, len, sum = 0;
	unsigned n = 0;

	net_start(b, HV_NET_F_MRG_RXBUF | HV_NET_F_GUEST_CSUM | HV_NET_F_GUEST_TSO4);
	packet_make(out, sizeof out);
	net_offer_rx(b, 5, 4096);
	assert_int_equal(write(b->tap, out, sizeof out), (int)sizeof out);
	kit_settle(&b->k);
	assert_false(kit_used(&b->q[0], &head, &len)); /* 20 KiB of room: it waits */
	net_offer_rx(b, 10, 4096);
	while (kit_used(&b->q[0], &head, &len)) {
		kit_peek(&b->k, DATA_GPA + 0x10000 * (uint64_t)(n % 16), back + sum, len);
		sum += len;
		n++;
	}
	assert_int_equal(sum, sizeof out);
	assert_int_equal(n, 15);
	assert_int_equal(cm_le16(back + 10), 15);
	assert_memory_equal(back + 12, out + 12, sizeof out - 12);
}

static void net_bad_packets(void **state)
{
	struct bench *b = *state;
	uint8_t p[200];
	struct kit_buf tx = {DATA_GPA, sizeof p, false}, tiny = {DATA_GPA, 11, false};
	uint32_t head, len;

	net_start(b, HV_NET_F_CSUM);
	packet_make(p, sizeof p);
	p[1] = 1; /* TSO that was not negotiated */
	kit_poke(&b->k, DATA_GPA, p, sizeof p);
	kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	assert_int_equal(read(b->tap, p, sizeof p), -1);
	assert_true(kit_used(&b->q[1], &head, &len));
	packet_make(p, sizeof p);
	p[0] = 1;
	cm_put_le16(p + 6, 180); /* checksum beyond the end */
	cm_put_le16(p + 8, 16);
	kit_poke(&b->k, DATA_GPA, p, sizeof p);
	kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	assert_int_equal(read(b->tap, p, sizeof p), -1);
	assert_int_equal(kit_counter(&b->k, "tx_dropped"), 2);
	kit_offer(&b->q[1], &tiny, 1, 0);
	kit_ring(&b->q[1]);
	assert_true(kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET);
}

static void net_announce(void **state)
{
	struct bench *b = *state;
	struct kit_buf ctl[2] = {{DATA_GPA, 2, false}, {DATA_GPA + 16, 1, true}};
	uint8_t frame[128], ack = 9;

	net_start(b, HV_NET_F_STATUS | HV_NET_F_CTRL_VQ | HV_NET_F_GUEST_ANNOUNCE);
	hv_lock_take(&b->k.lock);
	hv_net_announce(&b->k.dev);
	hv_lock_drop(&b->k.lock);
	assert_true(kit_in(&b->k, 0x60, 4) & HV_VIRTIO_ISR_CONFIG);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 3);
	kit_move(&b->k);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 3);
	kit_poke(&b->k, DATA_GPA, "\3\0", 2);
	kit_offer(&b->q[2], ctl, 2, 0);
	kit_ring(&b->q[2]);
	kit_peek(&b->k, DATA_GPA + 16, &ack, 1);
	assert_int_equal(ack, 0);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 1);
	hv_lock_take(&b->k.lock);
	hv_net_announce(&b->k.dev);
	hv_lock_drop(&b->k.lock);
	while (read(b->tap, frame, sizeof frame) < 0)
		cm_loop_turn(b->k.loop, 50);
	assert_memory_equal(frame + 12, "\xff\xff\xff\xff\xff\xff\x52\x54\0\1\2\3\x80\x35", 14);
}

static void net_full_tap(void **state)
{
	struct bench *b = *state;
	struct kit_buf tx = {DATA_GPA, 30000, false};
	static uint8_t p[30000];
	uint32_t head, len;
	unsigned done = 0, got = 0;

	net_start(b, IDX);
	packet_make(p, sizeof p);
	kit_poke(&b->k, DATA_GPA, p, sizeof p);
	for (int i = 0; i < 16; i++)
		kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	while (kit_used(&b->q[1], &head, &len))
		done++;
	assert_true(done < 16); /* the socket is full */
	kit_move(&b->k); /* what waits moves in the ring */
	while (got < 16) {
		if (read(b->tap, p, sizeof p) > 0)
			got++;
		else
			cm_loop_turn(b->k.loop, 50);
	}
	kit_settle(&b->k);
	while (kit_used(&b->q[1], &head, &len))
		done++;
	assert_int_equal(done, 16);
	assert_int_equal(kit_counter(&b->k, "tx_dropped"), 0);
}

/* --- console, random numbers, balloon ------------------------------------------------------------------- */

static void console_bytes(void **state)
{
	struct bench *b = *state;
	struct kit_buf tx = {DATA_GPA, 5, false}, rx = {DATA_GPA + 64, 4, true};
	uint8_t text[32];
	uint32_t head, len;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	start(b, &hv_dev_console, &b->con, IDX, 2);
	kit_poke(&b->k, DATA_GPA, "hello", 5);
	kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	hv_lock_take(&b->k.lock);
	assert_int_equal(hv_char_history(b->k.chr, text, sizeof text), 5);
	hv_lock_drop(&b->k.lock);
	assert_memory_equal(text, "hello", 5);
	/* Input waits for buffers, comes in pieces, and the guest is woken. */
	assert_int_equal(hv_char_attach(b->k.chr, fd[0], STDERR_FILENO, 0, NULL, NULL), 0);
	assert_int_equal(write(fd[1], "abcdef", 6), 6);
	kit_settle(&b->k);
	kit_offer(&b->q[0], &rx, 1, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, 4);
	kit_offer(&b->q[0], &rx, 1, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, 2);
	kit_peek(&b->k, DATA_GPA + 64, text, 2);
	assert_memory_equal(text, "ef", 2);
	hv_lock_take(&b->k.lock);
	hv_char_detach(b->k.chr);
	hv_lock_drop(&b->k.lock);
	close(fd[0]);
	close(fd[1]);
}

struct agent_end {
	char said[16];
	size_t len;
	int opened;
};

static void agent_opened(void *arg, bool open)
{
	((struct agent_end *)arg)->opened = open;
}

static void agent_output(void *arg, const uint8_t *data, size_t len)
{
	struct agent_end *a = arg;

	assert_true(a->len + len <= sizeof a->said);
	memcpy(a->said + a->len, data, len);
	a->len += len;
}

static void control(struct bench *b, uint32_t port, uint16_t event, uint16_t value)
{
	struct kit_buf tx = {DATA_GPA + 0x400, 8, false};
	uint32_t head, len;
	uint8_t msg[8];

	cm_put_le32(msg, port);
	cm_put_le16(msg + 4, event);
	cm_put_le16(msg + 6, value);
	kit_poke(&b->k, tx.gpa, msg, sizeof msg);
	kit_offer(&b->q[3], &tx, 1, 0);
	kit_ring(&b->q[3]);
	assert_true(kit_used(&b->q[3], &head, &len));
}

/* Gives one buffer; the message that comes is this one. */
static void told(struct bench *b, uint32_t port, uint16_t event, const char *name)
{
	struct kit_buf rx = {DATA_GPA + 0x800, 64, true};
	uint32_t head, len;
	uint8_t msg[64];

	kit_offer(&b->q[2], &rx, 1, 0);
	kit_ring(&b->q[2]);
	assert_true(kit_used(&b->q[2], &head, &len));
	assert_int_equal(len, 8 + strlen(name));
	kit_peek(&b->k, rx.gpa, msg, sizeof msg);
	assert_int_equal(cm_le32(msg), port);
	assert_int_equal(cm_le16(msg + 4), event);
	assert_int_equal(cm_le16(msg + 6), 1);
	assert_memory_equal(msg + 8, name, strlen(name));
}

static void console_ports(void **state)
{
	struct bench *b = *state;
	struct agent_end a = {.opened = -1};
	struct hv_port port = {.opened = agent_opened, .output = agent_output, .arg = &a};
	struct kit_buf tx = {DATA_GPA, 5, false}, rx = {DATA_GPA + 64, 4, true};
	uint32_t head, len;

	b->con.agent = &port;
	start(b, &hv_dev_console, &b->con, IDX | 1 << 1, 6);
	assert_int_equal(kit_in(&b->k, 0x104, 4), 2);
	control(b, 0, 0, 1);
	kit_move(&b->k); /* what waits to be told moves, too */
	told(b, 0, 1, "");
	told(b, 1, 1, "");
	control(b, 1, 3, 1);
	control(b, 0, 3, 1);
	told(b, 0, 4, "");
	told(b, 0, 6, "");
	told(b, 1, 7, HV_PORT_AGENT);
	told(b, 1, 6, "");
	/* Nothing goes in before the guest has it open. */
	kit_offer(&b->q[4], &rx, 1, 0);
	kit_ring(&b->q[4]);
	hv_lock_take(&b->k.lock);
	assert_int_equal(port.input(port.dev, (const uint8_t *)"abcdef", 6), 0);
	hv_lock_drop(&b->k.lock);
	control(b, 1, 6, 1);
	assert_int_equal(a.opened, 1);
	a.opened = -1;
	kit_move(&b->k);
	assert_int_equal(a.opened, 1); /* said again where it moved to */
	hv_lock_take(&b->k.lock);
	assert_int_equal(port.input(port.dev, (const uint8_t *)"abcdef", 6), 4);
	hv_lock_drop(&b->k.lock);
	assert_true(kit_used(&b->q[4], &head, &len));
	assert_int_equal(len, 4);
	kit_poke(&b->k, DATA_GPA, "hello", 5);
	kit_offer(&b->q[5], &tx, 1, 0);
	kit_ring(&b->q[5]);
	assert_int_equal(a.len, 5);
	assert_memory_equal(a.said, "hello", 5);
	/* Unknown ports and events are void. */
	control(b, 7, 3, 1);
	control(b, 1, 99, 1);
	assert_int_equal(kit_counter(&b->k, "bad_control"), 2);
	control(b, 1, 6, 0);
	assert_int_equal(a.opened, 0);
	kit_unplug(&b->k);
	b->plugged = false;
	assert_null(port.input);
}

static void rng_bytes(void **state)
{
	struct bench *b = *state;
	struct kit_buf rx[2] = {{DATA_GPA, 64, true}, {DATA_GPA + 0x1000, 1 << 20, true}};
	uint8_t got[64], zero[64] = {0};
	uint32_t head, len;

	start(b, &hv_dev_rng, NULL, IDX, 1);
	kit_offer(&b->q[0], &rx[0], 1, 0);
	kit_offer(&b->q[0], &rx[1], 1, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, 64);
	kit_peek(&b->k, DATA_GPA, got, sizeof got);
	assert_memory_not_equal(got, zero, sizeof got);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_in_range(len, 1, 1 << 20); /* a huge request is answered in part */
}

static void balloon_pages(void **state)
{
	struct bench *b = *state;
	struct kit_buf list = {DATA_GPA, 12, false}, report = {0x800000, 0x3000, true};
	uint8_t pfn[12], byte = 0x77;

	start(b, &hv_dev_balloon, NULL, IDX | 1 << 5, 3);
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
	kit_poke(&b->k, DATA_GPA, pfn, sizeof pfn);
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(transport_registers), T(transport_bad_queues), T(hostile_rings), T(random_rings),
		T(blk_read_write), T(blk_errors), T(blk_zeroes), T(blk_read_only), T(blk_pause_drains),
		T(blk_reset_orphans), T(blk_traffic_with_moves), T(event_index), T(no_interrupt_flag),
		T(net_both_ways), T(net_merged), T(net_bad_packets), T(net_announce), T(net_full_tap),
		T(console_bytes), T(console_ports), T(rng_bytes), T(balloon_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
