/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_rng.c - virtio-rng: random bytes of the host's kernel.
 *
 * Data of: the guest (rings only). Threats: huge requests -> at most FILL_MAX bytes each; endless requests -> a budget
 * for each wake-up.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hvcore/devices/hv_devices.h"
#include "hvcore/devices/hv_virtio_mmio.h"

#define FILL_MAX 4096u
#define BUDGET   16u

struct rng_state {
	struct hv_virtio_state v;
};

static const struct hv_field rng_fields[] = {
	HV_F_STRUCT(struct rng_state, v, hv_virtio_fields),
	HV_F_END,
};

struct rng {
	struct hv_virtio v; /* first */
	struct hv_chain chain;
	uint64_t bytes;
};

static void rng_fill(struct rng *r)
{
	uint8_t buf[FILL_MAX];
	ssize_t n = getrandom(buf, CM_MIN(sizeof buf, (size_t)r->chain.in_bytes), 0);
	size_t done = 0;

	if (n > 0)
		done = hv_chain_write(&r->chain, r->v.dev->env.mem, 0, buf, (size_t)n);
	explicit_bzero(buf, sizeof buf);
	r->bytes += done;
	hv_virtio_push(&r->v, 0, r->chain.head, (uint32_t)done);
}

static bool rng_queue(struct hv_virtio *v, unsigned index)
{
	struct rng *r = (struct rng *)v;
	unsigned n = 0;

	while (n < BUDGET && hv_virtio_pop(v, index, &r->chain)) {
		rng_fill(r);
		n++;
	}
	if (n)
		hv_virtio_notify(v, index);
	return n == BUDGET || (hv_virtio_live(v) && hv_virtq_bell_on(&v->q[index]));
}

static const struct hv_virtio_class rng_class = {
	.device_id = 4,
	.queues = 1,
	.queue_max = {16},
	.queue = rng_queue,
};

static void rng_defaults(void *state, const void *cfg)
{
	(void)cfg;
	memset(state, 0, sizeof(struct rng_state));
}

static int rng_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct rng_state *s = state;

	(void)cfg;
	return hv_virtio_check(&s->v, &rng_class, "virtio-rng", err);
}

static int rng_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	struct rng *r = calloc(1, sizeof *r);
	int rc;

	(void)cfg;
	if (!r)
		return cm_err_set(err, -ENOMEM, "virtio-rng: no memory");
	rc = hv_virtio_init(&r->v, dev, &rng_class, err);
	if (rc < 0) {
		free(r);
		return rc;
	}
	dev->impl = r;
	return 0;
}

static void rng_destroy(struct hv_dev *dev)
{
	struct rng *r = dev->impl;

	hv_virtio_fini(&r->v);
	free(r);
	dev->impl = NULL;
}

static void rng_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	hv_virtio_io(dev->impl, offset, data, len, write);
}

static int rng_pause(struct hv_dev *dev)
{
	return hv_virtio_pause(dev->impl);
}

static void rng_resume(struct hv_dev *dev)
{
	hv_virtio_resume(dev->impl);
}

static void rng_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct rng *r = dev->impl;

	fn(arg, "bytes", r->bytes);
	hv_virtio_put_counters(&r->v, fn, arg);
}

static void rng_dump(struct hv_dev *dev, FILE *to)
{
	hv_virtio_dump(dev->impl, to);
}

const struct hv_dev_ops hv_dev_rng = {
	.name = "virtio-rng",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct rng_state),
	.fields = rng_fields,
	.defaults = rng_defaults,
	.check = rng_check,
	.create = rng_create,
	.destroy = rng_destroy,
	.io = rng_io,
	.pause = rng_pause,
	.resume = rng_resume,
	.counters = rng_counters,
	.dump = rng_dump,
};
