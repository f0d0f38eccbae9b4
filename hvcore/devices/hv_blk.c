/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_blk.c - virtio-blk on a stor_dev: read, write, flush, discard, write zeroes, serial number.
 *
 * Requests go to the disk straight from and to guest memory, many at a time; they complete on the loop in
 * any order. A pause takes no new requests and waits until all have completed, so nothing is in flight in a
 * saved state: what the guest got an answer for was done, all else still stands in its ring.
 *
 * Parses requests of the guest (hv_blk_parse.c).
 *
 * Threats and answers:
 *   ranges beyond the disk, odd sizes     -> IOERR to that request
 *   no header, no status byte             -> NEEDS_RESET
 *   completion after a reset              -> the queue's generation differs: memory is marked, nothing is pushed
 *   data changed while it is written      -> the guest's own data; the disk gets one or the other
 *   a disk that never answers             -> the request waits; pause says it is in progress; the guest hangs, we do not
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "hvcore/devices/hv_blk_parse.h"
#include "hvcore/devices/hv_devices.h"
#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/machine/hv_mem.h"
#include "sharedstorage/dev/stor_dev.h"

#define F_SEG_MAX      (1ull << 2)
#define F_RO           (1ull << 5)
#define F_BLK_SIZE     (1ull << 6)
#define F_FLUSH        (1ull << 9)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

#define CONFIG_BYTES 60u
#define BUDGET 64u
#define DISCARD_SECTORS_MAX ((1u << 30) / HV_BLK_SECTOR_BYTES)

struct blk_state {
	struct hv_virtio_state v;
};

static const struct hv_field blk_fields[] = {
	HV_F_STRUCT(struct blk_state, v, hv_virtio_fields),
	HV_F_END,
};

struct blk {
	struct hv_virtio v; /* first */
	struct stor_dev *disk;
	struct hv_blk_limits limits;
	char serial[HV_BLK_ID_BYTES];
	struct hv_chain chain; /* the one being looked at */
	uint64_t reads, writes, flushes, others, read_bytes, write_bytes, errors;
};

struct blk_req {
	struct stor_req io;
	struct blk *b;
	uint16_t head;
	uint32_t generation;
	struct hv_blk_cmd cmd;
	unsigned pieces;
	uint64_t *gpa; /* behind iov */
	struct iovec iov[];
};

static uint64_t blk_features(const struct hv_virtio *v)
{
	const struct blk *b = (const struct blk *)v;

	return F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_DISCARD | F_WRITE_ZEROES | (b->limits.read_only ? F_RO : 0);
}

static size_t blk_config(const struct hv_virtio *v, uint8_t *out, size_t cap)
{
	const struct blk *b = (const struct blk *)v;

	CM_ASSERT(cap >= CONFIG_BYTES);
	memset(out, 0, CONFIG_BYTES);
	cm_put_le64(out, b->limits.capacity_bytes / HV_BLK_SECTOR_BYTES);
	cm_put_le32(out + 12, HV_BLK_SEG_MAX);
	cm_put_le32(out + 20, b->limits.sector_bytes);
	cm_put_le16(out + 34, 1); /* queues */
	cm_put_le32(out + 36, DISCARD_SECTORS_MAX);
	cm_put_le32(out + 40, 1);
	cm_put_le32(out + 44, b->limits.sector_bytes / HV_BLK_SECTOR_BYTES);
	cm_put_le32(out + 48, DISCARD_SECTORS_MAX);
	cm_put_le32(out + 52, 1);
	out[56] = 1; /* write zeroes may unmap */
	return CONFIG_BYTES;
}

static void blk_answer(struct blk *b, uint16_t head, uint64_t status_gpa, uint8_t status, uint32_t data_bytes)
{
	if (hv_mem_write(b->v.dev->env.mem, status_gpa, &status, 1) < 0)
		hv_virtio_broken(&b->v, "status byte outside RAM");
	hv_virtio_push(&b->v, 0, head, data_bytes + 1);
	hv_virtio_notify(&b->v, 0);
}

/* From the disk, on the loop, without the lock. */
static void blk_done(struct stor_req *io, int rc)
{
	struct blk_req *r = io->arg;
	struct blk *b = r->b;
	bool read = r->cmd.kind == HV_BLK_READ;

	hv_lock_take(b->v.dev->env.lock);
	for (unsigned i = 0; read && i < r->pieces; i++)
		hv_mem_mark(b->v.dev->env.mem, r->gpa[i], r->iov[i].iov_len);
	if (rc < 0)
		b->errors++;
	if (r->generation == b->v.q[0].generation)
		blk_answer(b, r->head, r->cmd.status_gpa, rc < 0 ? HV_BLK_IOERR : HV_BLK_OK,
			   read ? (uint32_t)r->cmd.length_bytes : 0);
	free(r);
	hv_virtio_put(&b->v);
	hv_lock_drop(b->v.dev->env.lock);
}

static void blk_prepare(struct blk *b, struct blk_req *r)
{
	switch (r->cmd.kind) {
	case HV_BLK_READ:
		b->reads++;
		b->read_bytes += r->cmd.length_bytes;
		stor_req_readv(&r->io, r->cmd.offset_bytes, r->iov, (int)r->pieces, blk_done, r);
		break;
	case HV_BLK_WRITE:
		b->writes++;
		b->write_bytes += r->cmd.length_bytes;
		stor_req_writev(&r->io, r->cmd.offset_bytes, r->iov, (int)r->pieces, blk_done, r);
		break;
	case HV_BLK_FLUSH:
		b->flushes++;
		stor_req_flush(&r->io, blk_done, r);
		break;
	case HV_BLK_DISCARD:
		b->others++;
		stor_req_discard(&r->io, r->cmd.offset_bytes, r->cmd.length_bytes, blk_done, r);
		break;
	case HV_BLK_WRITE_ZEROES:
		b->others++;
		stor_req_write_zeroes(&r->io, r->cmd.offset_bytes, r->cmd.length_bytes, r->cmd.unmap,
				      blk_done, r);
		break;
	default:
		CM_ASSERT(!"a command that is not for the disk");
	}
}

static int blk_submit(struct blk *b, const struct hv_blk_cmd *cmd)
{
	struct iovec iov[HV_CHAIN_MAX];
	uint64_t gpa[HV_CHAIN_MAX];
	unsigned n = 0;
	struct blk_req *r;

	if (cmd->kind == HV_BLK_READ || cmd->kind == HV_BLK_WRITE)
		n = hv_blk_data(&b->chain, cmd, iov, gpa);
	r = malloc(sizeof *r + n * (sizeof r->iov[0] + sizeof r->gpa[0]));
	if (!r)
		return -ENOMEM;
	memset(r, 0, sizeof *r);
	r->b = b;
	r->head = b->chain.head;
	r->generation = b->chain.generation;
	r->cmd = *cmd;
	r->pieces = n;
	r->gpa = (uint64_t *)(void *)(r->iov + n);
	memcpy(r->iov, iov, n * sizeof iov[0]);
	memcpy(r->gpa, gpa, n * sizeof gpa[0]);
	blk_prepare(b, r);
	hv_virtio_get(&b->v);
	stor_dev_submit(b->disk, &r->io);
	return 0;
}

static void blk_get_id(struct blk *b, const struct hv_blk_cmd *cmd)
{
	uint32_t n = CM_MIN(cmd->data_in_bytes, HV_BLK_ID_BYTES);

	hv_chain_write(&b->chain, b->v.dev->env.mem, 0, b->serial, n);
	b->others++;
	blk_answer(b, b->chain.head, cmd->status_gpa, HV_BLK_OK, n);
}

static void blk_one(struct blk *b)
{
	struct hv_blk_cmd cmd;
	int rc = hv_blk_parse(&b->chain, &b->limits, &cmd);

	if (rc < 0) {
		hv_virtio_broken(&b->v, "request without header or status");
		return;
	}
	if (rc == 0 && cmd.kind == HV_BLK_GET_ID) {
		blk_get_id(b, &cmd);
		return;
	}
	if (rc == 0 && blk_submit(b, &cmd) == 0)
		return;
	b->errors++;
	blk_answer(b, b->chain.head, cmd.status_gpa, rc > 0 ? (uint8_t)rc : HV_BLK_IOERR, 0);
}

static bool blk_queue(struct hv_virtio *v, unsigned index)
{
	struct blk *b = (struct blk *)v;
	unsigned n = 0;

	hv_virtq_bell_off(&v->q[index]);
	do {
		while (hv_virtio_pop(v, index, &b->chain)) {
			blk_one(b);
			if (++n == BUDGET)
				return true; /* the bell stays off: we come back by ourselves */
		}
	} while (hv_virtio_live(v) && hv_virtq_bell_on(&v->q[index]));
	return false;
}

static const struct hv_virtio_class blk_class = {
	.device_id = 2,
	.queues = 1,
	.queue_max = {HV_VIRTQ_SIZE_MAX},
	.features = blk_features,
	.config = blk_config,
	.queue = blk_queue,
};

static void blk_defaults(void *state, const void *cfg)
{
	(void)cfg;
	memset(state, 0, sizeof(struct blk_state));
}

static int blk_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct blk_state *s = state;

	(void)cfg;
	return hv_virtio_check(&s->v, &blk_class, "virtio-blk", err);
}

static uint64_t blk_capacity(const struct stor_dev_info *info)
{
	return info->capacity_bytes / info->sector_bytes * info->sector_bytes;
}

void hv_blk_resized(struct hv_dev *dev)
{
	struct blk *b = dev->impl;
	uint64_t now = blk_capacity(stor_dev_info(b->disk));

	if (now == b->limits.capacity_bytes)
		return;
	b->limits.capacity_bytes = now;
	hv_virtio_config_changed(&b->v);
}

static int blk_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	const struct hv_blk_config *c = cfg;
	const struct stor_dev_info *info = stor_dev_info(c->dev);
	struct blk *b = calloc(1, sizeof *b);
	int rc;

	if (!b)
		return cm_err_set(err, -ENOMEM, "virtio-blk: no memory");
	b->disk = c->dev;
	b->limits.capacity_bytes = blk_capacity(info);
	b->limits.sector_bytes = info->sector_bytes;
	b->limits.read_only = c->read_only;
	memcpy(b->serial, c->serial, strnlen(c->serial, sizeof b->serial));
	rc = hv_virtio_init(&b->v, dev, &blk_class, err);
	if (rc < 0) {
		free(b);
		return rc;
	}
	dev->impl = b;
	return 0;
}

static void blk_destroy(struct hv_dev *dev)
{
	struct blk *b = dev->impl;

	hv_virtio_fini(&b->v);
	free(b);
	dev->impl = NULL;
}

static void blk_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	hv_virtio_io(dev->impl, offset, data, len, write);
}

static int blk_pause(struct hv_dev *dev)
{
	return hv_virtio_pause(dev->impl);
}

static void blk_resume(struct hv_dev *dev)
{
	hv_virtio_resume(dev->impl);
}

static void blk_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct blk *b = dev->impl;

	fn(arg, "reads", b->reads);
	fn(arg, "writes", b->writes);
	fn(arg, "flushes", b->flushes);
	fn(arg, "others", b->others);
	fn(arg, "read_bytes", b->read_bytes);
	fn(arg, "write_bytes", b->write_bytes);
	fn(arg, "errors", b->errors);
	hv_virtio_put_counters(&b->v, fn, arg);
}

static void blk_dump(struct hv_dev *dev, FILE *to)
{
	hv_virtio_dump(dev->impl, to);
}

const struct hv_dev_ops hv_dev_blk = {
	.name = "virtio-blk",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct blk_state),
	.fields = blk_fields,
	.defaults = blk_defaults,
	.check = blk_check,
	.create = blk_create,
	.destroy = blk_destroy,
	.io = blk_io,
	.pause = blk_pause,
	.resume = blk_resume,
	.counters = blk_counters,
	.dump = blk_dump,
};
