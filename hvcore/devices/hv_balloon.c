/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_balloon.c - virtio-balloon: the guest gives pages back on request, and reports free ones by itself.
 *
 * Given and reported pages go back to the host at once (they read as zero afterwards), so a migration does not even look
 * at them. Data of: the guest.
 *
 * Threats and answers: page numbers outside RAM -> ignored, counted; a page in use given away -> the guest's own loss;
 * endless lists -> one chain at a time with a budget.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/devices/hv_devices.h"
#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/machine/hv_mem.h"

enum { Q_INFLATE, Q_DEFLATE, Q_REPORT, Q_COUNT };

#define F_DEFLATE_ON_OOM (1ull << 2)
#define F_REPORTING      (1ull << 5)

#define CONFIG_BYTES 16u
#define CONFIG_ACTUAL 4u
#define BUDGET 32u
#define PFNS 1024u

struct balloon_state {
	struct hv_virtio_state v;
	uint32_t target_pages, actual_pages;
};

static const struct hv_field balloon_fields[] = {
	HV_F_STRUCT(struct balloon_state, v, hv_virtio_fields),
	HV_F_U32(struct balloon_state, target_pages),
	HV_F_U32(struct balloon_state, actual_pages),
	HV_F_END,
};

struct balloon {
	struct hv_virtio v; /* first */
	struct hv_chain chain;
	uint64_t given_pages, reported_bytes, bad_pages;
};

static uint64_t balloon_features(const struct hv_virtio *v)
{
	(void)v;
	return F_DEFLATE_ON_OOM | F_REPORTING;
}

static size_t balloon_config(const struct hv_virtio *v, uint8_t *out, size_t cap)
{
	const struct balloon_state *s = v->dev->state;

	CM_ASSERT(cap >= CONFIG_BYTES);
	memset(out, 0, CONFIG_BYTES);
	cm_put_le32(out, s->target_pages);
	cm_put_le32(out + CONFIG_ACTUAL, s->actual_pages);
	return CONFIG_BYTES;
}

static void balloon_config_write(struct hv_virtio *v, uint64_t offset, const uint8_t *data, unsigned len)
{
	struct balloon_state *s = v->dev->state;

	if (offset == CONFIG_ACTUAL && len == 4)
		s->actual_pages = cm_le32(data);
}

static void balloon_give(struct balloon *b, uint64_t gpa, uint64_t bytes)
{
	if (!bytes)
		return;
	if (!hv_mem_ptr(b->v.dev->env.mem, gpa, bytes) || hv_mem_discard(b->v.dev->env.mem, gpa, bytes) < 0)
		b->bad_pages += bytes / HV_PAGE_BYTES;
	else
		b->given_pages += bytes / HV_PAGE_BYTES;
}

/* A list of 32-bit page numbers; neighbours are given together. */
static void balloon_inflate(struct balloon *b)
{
	uint8_t list[PFNS * 4];
	uint64_t first = 0, count = 0;

	for (size_t at = 0, n; (n = hv_chain_read(&b->chain, at, list, sizeof list) / 4) > 0; at += n * 4) {
		for (size_t i = 0; i < n; i++) {
			uint64_t pfn = cm_le32(list + 4 * i);

			if (count && pfn == first + count) {
				count++;
				continue;
			}
			balloon_give(b, first * HV_PAGE_BYTES, count * HV_PAGE_BYTES);
			first = pfn;
			count = 1;
		}
	}
	balloon_give(b, first * HV_PAGE_BYTES, count * HV_PAGE_BYTES);
}

/* The buffers themselves are the free memory. */
static void balloon_report(struct balloon *b)
{
	for (unsigned i = b->chain.out; i < b->chain.out + b->chain.in; i++) {
		uint64_t gpa = b->chain.gpa[i], end = gpa + b->chain.iov[i].iov_len;

		gpa = (gpa + HV_PAGE_BYTES - 1) & ~(uint64_t)(HV_PAGE_BYTES - 1);
		end &= ~(uint64_t)(HV_PAGE_BYTES - 1);
		if (gpa < end) {
			balloon_give(b, gpa, end - gpa);
			b->reported_bytes += end - gpa;
		}
	}
}

static bool balloon_queue(struct hv_virtio *v, unsigned index)
{
	struct balloon *b = (struct balloon *)v;
	unsigned n = 0;

	while (n < BUDGET && hv_virtio_pop(v, index, &b->chain)) {
		if (index == Q_INFLATE)
			balloon_inflate(b);
		else if (index == Q_REPORT)
			balloon_report(b);
		hv_virtio_push(v, index, b->chain.head, 0);
		n++;
	}
	if (n)
		hv_virtio_notify(v, index);
	return n == BUDGET || (hv_virtio_live(v) && hv_virtq_bell_on(&v->q[index]));
}

static const struct hv_virtio_class balloon_class = {
	.device_id = 5,
	.queues = Q_COUNT,
	.queue_max = {128, 128, 128},
	.features = balloon_features,
	.config = balloon_config,
	.config_write = balloon_config_write,
	.queue = balloon_queue,
};

void hv_balloon_set(struct hv_dev *dev, uint64_t bytes)
{
	struct balloon *b = dev->impl;
	struct balloon_state *s = dev->state;
	uint64_t most = hv_mem_bytes(dev->env.mem);

	s->target_pages = (uint32_t)(CM_MIN(bytes, most) / HV_PAGE_BYTES);
	hv_virtio_config_changed(&b->v);
}

static void balloon_defaults(void *state, const void *cfg)
{
	(void)cfg;
	memset(state, 0, sizeof(struct balloon_state));
}

static int balloon_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct balloon_state *s = state;

	(void)cfg;
	return hv_virtio_check(&s->v, &balloon_class, "virtio-balloon", err);
}

static int balloon_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	struct balloon *b = calloc(1, sizeof *b);
	int rc;

	(void)cfg;
	if (!b)
		return cm_err_set(err, -ENOMEM, "virtio-balloon: no memory");
	rc = hv_virtio_init(&b->v, dev, &balloon_class, err);
	if (rc < 0) {
		free(b);
		return rc;
	}
	dev->impl = b;
	return 0;
}

static void balloon_destroy(struct hv_dev *dev)
{
	struct balloon *b = dev->impl;

	hv_virtio_fini(&b->v);
	free(b);
	dev->impl = NULL;
}

static void balloon_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	hv_virtio_io(dev->impl, offset, data, len, write);
}

static int balloon_pause(struct hv_dev *dev)
{
	return hv_virtio_pause(dev->impl);
}

static void balloon_resume(struct hv_dev *dev)
{
	hv_virtio_resume(dev->impl);
}

static void balloon_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct balloon *b = dev->impl;
	const struct balloon_state *s = dev->state;

	fn(arg, "target_pages", s->target_pages);
	fn(arg, "actual_pages", s->actual_pages);
	fn(arg, "given_pages", b->given_pages);
	fn(arg, "reported_bytes", b->reported_bytes);
	fn(arg, "bad_pages", b->bad_pages);
	hv_virtio_put_counters(&b->v, fn, arg);
}

static void balloon_dump(struct hv_dev *dev, FILE *to)
{
	hv_virtio_dump(dev->impl, to);
}

const struct hv_dev_ops hv_dev_balloon = {
	.name = "virtio-balloon",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct balloon_state),
	.fields = balloon_fields,
	.defaults = balloon_defaults,
	.check = balloon_check,
	.create = balloon_create,
	.destroy = balloon_destroy,
	.io = balloon_io,
	.pause = balloon_pause,
	.resume = balloon_resume,
	.counters = balloon_counters,
	.dump = balloon_dump,
};
