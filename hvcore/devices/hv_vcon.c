/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vcon.c - virtio-console with one port (hvc0 of a Linux guest).
 *
 * Passes bytes between two queues and an hv_char, unparsed. Data of: the guest (rings), the operator (bytes).
 *
 * Threats and answers: a guest that sends without end is served with a budget; a guest that offers no buffers
 * leaves the input with the hv_char.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/hv_char.h"
#include "hvcore/hv_devices.h"

enum { Q_RX, Q_TX, Q_COUNT };

#define BUDGET_BYTES (256u << 10)
#define CONFIG_BYTES 12u

struct vcon_state {
	struct hv_virtio_state v;
};

static const struct hv_field vcon_fields[] = {
	HV_F_STRUCT(struct vcon_state, v, hv_virtio_fields),
	HV_F_END,
};

struct vcon {
	struct hv_virtio v; /* first */
	struct hv_char *chr;
	struct hv_chain chain;
	uint64_t rx_bytes, tx_bytes;
};

static size_t vcon_config(const struct hv_virtio *v, uint8_t *out, size_t cap)
{
	(void)v;
	CM_ASSERT(cap >= CONFIG_BYTES);
	memset(out, 0, CONFIG_BYTES); /* cols, rows, ports, emergency write: none of these features is offered */
	cm_put_le32(out + 4, 1);
	return CONFIG_BYTES;
}

/* Machine lock held. */
static size_t vcon_input(void *arg, const uint8_t *data, size_t len)
{
	struct vcon *c = arg;
	size_t done = 0;

	do {
		while (done < len && hv_virtio_pop(&c->v, Q_RX, &c->chain)) {
			size_t n = hv_chain_write(&c->chain, c->v.dev->env.mem, 0, data + done, len - done);

			hv_virtio_push(&c->v, Q_RX, c->chain.head, (uint32_t)n);
			done += n;
		}
	} while (done < len && hv_virtio_live(&c->v) && hv_virtq_bell_on(&c->v.q[Q_RX]));
	if (done)
		hv_virtio_notify(&c->v, Q_RX);
	c->rx_bytes += done;
	return done;
}

static bool vcon_transmit(struct vcon *c)
{
	struct hv_virtq *q = &c->v.q[Q_TX];
	size_t sum = 0;
	bool any = false;

	hv_virtq_bell_off(q);
	do {
		while (sum < BUDGET_BYTES && hv_virtio_pop(&c->v, Q_TX, &c->chain)) {
			for (unsigned i = 0; i < c->chain.out; i++)
				hv_char_output(c->chr, c->chain.iov[i].iov_base, c->chain.iov[i].iov_len);
			sum += c->chain.out_bytes + 1u;
			c->tx_bytes += c->chain.out_bytes;
			hv_virtio_push(&c->v, Q_TX, c->chain.head, 0);
			any = true;
		}
	} while (sum < BUDGET_BYTES && hv_virtio_live(&c->v) && hv_virtq_bell_on(q));
	if (any)
		hv_virtio_notify(&c->v, Q_TX);
	return sum >= BUDGET_BYTES;
}

static bool vcon_queue(struct hv_virtio *v, unsigned index)
{
	struct vcon *c = (struct vcon *)v;

	if (index == Q_TX)
		return vcon_transmit(c);
	hv_char_input_ready(c->chr); /* there may be room for input now */
	return false;
}

static const struct hv_virtio_class vcon_class = {
	.device_id = 3,
	.queues = Q_COUNT,
	.queue_max = {64, 64},
	.config = vcon_config,
	.queue = vcon_queue,
};

static void vcon_defaults(void *state, const void *cfg)
{
	(void)cfg;
	memset(state, 0, sizeof(struct vcon_state));
}

static int vcon_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct vcon_state *s = state;

	(void)cfg;
	return hv_virtio_check(&s->v, &vcon_class, "virtio-console", err);
}

static int vcon_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	const struct hv_char_config *conf = cfg;
	struct vcon *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return cm_err_set(err, -ENOMEM, "virtio-console: no memory");
	c->chr = conf->chr;
	rc = hv_virtio_init(&c->v, dev, &vcon_class, err);
	if (rc < 0) {
		free(c);
		return rc;
	}
	dev->impl = c;
	return 0;
}

static void vcon_destroy(struct hv_dev *dev)
{
	struct vcon *c = dev->impl;

	hv_char_set_input(c->chr, NULL, NULL);
	hv_virtio_fini(&c->v);
	free(c);
	dev->impl = NULL;
}

static void vcon_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	hv_virtio_io(dev->impl, offset, data, len, write);
}

static int vcon_pause(struct hv_dev *dev)
{
	struct vcon *c = dev->impl;

	hv_char_set_input(c->chr, NULL, NULL);
	return hv_virtio_pause(&c->v);
}

static void vcon_resume(struct hv_dev *dev)
{
	struct vcon *c = dev->impl;

	hv_virtio_resume(&c->v);
	hv_char_set_input(c->chr, vcon_input, c);
}

static void vcon_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct vcon *c = dev->impl;

	fn(arg, "rx_bytes", c->rx_bytes);
	fn(arg, "tx_bytes", c->tx_bytes);
	hv_virtio_put_counters(&c->v, fn, arg);
}

static void vcon_dump(struct hv_dev *dev, FILE *to)
{
	hv_virtio_dump(dev->impl, to);
}

const struct hv_dev_ops hv_dev_console = {
	.name = "virtio-console",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct vcon_state),
	.fields = vcon_fields,
	.defaults = vcon_defaults,
	.check = vcon_check,
	.create = vcon_create,
	.destroy = vcon_destroy,
	.io = vcon_io,
	.pause = vcon_pause,
	.resume = vcon_resume,
	.counters = vcon_counters,
	.dump = vcon_dump,
};
