/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hv_virtiokit.c - see hv_virtiokit.h. */
#include "config.h"

#include "tests/unit/hv_virtiokit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void bench_disk_work(void *arg)
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
	CM_ASSERT(cm_loop_post(d->loop, bench_disk_work, d) == 0);
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

int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	kit_open(&b->k);
	b->disk = calloc(1, sizeof *b->disk);
	b->disk->loop = b->k.loop;
	b->disk->info = (struct stor_dev_info){.sector_bytes = 512, .capacity_bytes = BENCH_DISK_BYTES};
	TAILQ_INIT(&b->disk->waiting);
	b->blk = (struct hv_blk_config){.dev = b->disk, .serial = "disk-0001"};
	b->con.chr = b->k.chr;
	b->tap = b->nic.tap_fd = -1;
	*state = b;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	b->disk->hold = false;
	bench_disk_work(b->disk);
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

void bench_start(struct bench *b, const struct hv_dev_ops *ops, const void *cfg, uint64_t features, unsigned queues)
{
	kit_plug(&b->k, ops, cfg);
	b->plugged = true;
	assert_true(kit_driver(&b->k, features | BENCH_V1) & HV_VIRTIO_S_FEATURES_OK);
	for (unsigned i = 0; i < queues; i++) {
		kit_queue_init(&b->k, &b->q[i], i, 16, BENCH_RING_GPA + i * 0x4000);
		assert_int_equal(kit_in(&b->k, 0x44, 4), 1);
	}
	kit_driver_ok(&b->k);
	kit_settle(&b->k);
}

uint16_t bench_blk_offer(struct bench *b, uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len, bool in,
			  uint64_t slot)
{
	uint64_t head = BENCH_DATA_GPA + slot * 64, status = head + 32;
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
	return kit_offer(&b->q[0], bufs, n, slot & 1 ? BENCH_DATA_GPA + 0x8000 + slot * 256 : 0);
}

int bench_blk_status(struct bench *b, uint64_t slot)
{
	uint8_t s;

	kit_peek(&b->k, BENCH_DATA_GPA + slot * 64 + 32, &s, 1);
	return s;
}
