/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vcon.c - virtio-console: port 0 is the console (hvc0 of a Linux guest), port 1 the guest agent's.
 *
 * Passes bytes between the queues of port 0 and an hv_char, and between those of port 1 and an hv_port,
 * unparsed. Parses the control messages of the guest (8 bytes each). Data of: the guest (rings, control
 * messages), the operator (bytes).
 *
 * Threats and answers: a guest that sends without end is served with a budget; a guest that offers no buffers
 * leaves the input with the hv_char or the port's user; control messages that wait are a set of bits, so they
 * cannot grow; messages for unknown ports or of unknown kinds are counted and void.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/devices/hv_devices.h"
#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_port.h"

enum { Q_RX, Q_TX, Q_CTRL_RX, Q_CTRL_TX, Q_RX1, Q_TX1, Q_COUNT };
enum { PORT_CONSOLE, PORT_AGENT, PORTS };

#define F_MULTIPORT (1ull << 1)

/* Control messages: le32 port, le16 event, le16 value (virtio 1.2, 5.3.6.2). */
#define CONTROL_BYTES 8u
enum { C_DEVICE_READY = 0, C_PORT_ADD = 1, C_PORT_READY = 3, C_CONSOLE = 4, C_OPEN = 6, C_NAME = 7 };

/* What the guest is to be told, sent in this order. Part of format. */
enum { T_ADD_CONSOLE, T_ADD_AGENT, T_IS_CONSOLE, T_OPEN_CONSOLE, T_NAME_AGENT, T_OPEN_AGENT, T_COUNT };
static const struct tell {
	uint8_t port, event;
} tells[T_COUNT] = {
	[T_ADD_CONSOLE] = {PORT_CONSOLE, C_PORT_ADD},  [T_ADD_AGENT] = {PORT_AGENT, C_PORT_ADD},
	[T_IS_CONSOLE] = {PORT_CONSOLE, C_CONSOLE},    [T_OPEN_CONSOLE] = {PORT_CONSOLE, C_OPEN},
	[T_NAME_AGENT] = {PORT_AGENT, C_NAME},         [T_OPEN_AGENT] = {PORT_AGENT, C_OPEN},
};

#define BUDGET_BYTES (256u << 10)
#define CONFIG_BYTES 12u

struct vcon_state {
	struct hv_virtio_state v;
	uint32_t pending;   /* bits T_*: control messages that wait for a buffer */
	uint8_t agent_open; /* a program in the guest has port 1 open */
};

static const struct hv_field vcon_fields[] = {
	HV_F_STRUCT(struct vcon_state, v, hv_virtio_fields),
	HV_F_END,
};

static const struct hv_field port_fields[] = {
	HV_F_U32(struct vcon_state, pending),
	HV_F_U8(struct vcon_state, agent_open),
	HV_F_END,
};

/* Only for a guest that uses them: a version without the second port takes all others. */
static bool ports_present(const void *object)
{
	const struct vcon_state *s = object;

	return s->v.driver_features & F_MULTIPORT;
}

static const struct hv_subsection vcon_subs[] = {
	{"ports", true, port_fields, ports_present},
	{NULL, false, NULL, NULL},
};

struct vcon {
	struct hv_virtio v; /* first */
	struct hv_char *chr;
	struct hv_port *agent; /* or NULL: one port only */
	struct hv_chain tx, rx; /* what the port's user does with output may be to send input */
	uint64_t rx_bytes, tx_bytes, agent_rx_bytes, agent_tx_bytes, bad_control;
};

static uint64_t vcon_features(const struct hv_virtio *v)
{
	return ((const struct vcon *)v)->agent ? F_MULTIPORT : 0;
}

static struct vcon_state *vcon_state(struct vcon *c)
{
	return c->v.dev->state;
}

static size_t vcon_config(const struct hv_virtio *v, uint8_t *out, size_t cap)
{
	CM_ASSERT(cap >= CONFIG_BYTES);
	memset(out, 0, CONFIG_BYTES); /* cols, rows, emergency write: not offered */
	cm_put_le32(out + 4, ((const struct vcon *)v)->agent ? PORTS : 1);
	return CONFIG_BYTES;
}

/* Gives input to the guest's buffers of one queue. */
static size_t vcon_give(struct vcon *c, unsigned queue, const uint8_t *data, size_t len)
{
	size_t done = 0;

	do {
		while (done < len && hv_virtio_pop(&c->v, queue, &c->rx)) {
			size_t n = hv_chain_write(&c->rx, c->v.dev->env.mem, 0, data + done, len - done);

			hv_virtio_push(&c->v, queue, c->rx.head, (uint32_t)n);
			done += n;
		}
	} while (done < len && hv_virtio_live(&c->v) && hv_virtq_bell_on(&c->v.q[queue]));
	if (done)
		hv_virtio_notify(&c->v, queue);
	return done;
}

/* Machine lock held. */
static size_t vcon_input(void *arg, const uint8_t *data, size_t len)
{
	struct vcon *c = arg;
	size_t done = vcon_give(c, Q_RX, data, len);

	c->rx_bytes += done;
	return done;
}

static size_t vcon_agent_input(void *arg, const uint8_t *data, size_t len)
{
	struct vcon *c = arg;
	size_t done;

	if (!hv_virtio_has(&c->v, F_MULTIPORT) || !vcon_state(c)->agent_open)
		return 0;
	done = vcon_give(c, Q_RX1, data, len);
	c->agent_rx_bytes += done;
	return done;
}

/* Tells the guest what is pending, as far as it has buffers. */
static void vcon_tell(struct vcon *c)
{
	struct vcon_state *s = vcon_state(c);
	uint8_t msg[CONTROL_BYTES + sizeof HV_PORT_AGENT];
	bool any = false;

	if (s->pending && hv_virtio_live(&c->v))
		(void)hv_virtq_bell_on(&c->v.q[Q_CTRL_RX]);
	for (unsigned i = 0; i < T_COUNT; i++) {
		size_t len = CONTROL_BYTES;

		if (!(s->pending & 1u << i))
			continue;
		if (!hv_virtio_pop(&c->v, Q_CTRL_RX, &c->rx))
			break;
		cm_put_le32(msg, tells[i].port);
		cm_put_le16(msg + 4, tells[i].event);
		cm_put_le16(msg + 6, 1);
		if (tells[i].event == C_NAME) {
			memcpy(msg + len, HV_PORT_AGENT, sizeof HV_PORT_AGENT - 1);
			len += sizeof HV_PORT_AGENT - 1;
		}
		len = hv_chain_write(&c->rx, c->v.dev->env.mem, 0, msg, len);
		hv_virtio_push(&c->v, Q_CTRL_RX, c->rx.head, (uint32_t)len);
		s->pending &= ~(1u << i);
		any = true;
	}
	if (any)
		hv_virtio_notify(&c->v, Q_CTRL_RX);
}

static void vcon_agent_opened(struct vcon *c, bool open)
{
	vcon_state(c)->agent_open = open;
	if (c->agent && c->agent->opened)
		c->agent->opened(c->agent->arg, open);
}

static void vcon_control(struct vcon *c, uint32_t port, unsigned event, unsigned value)
{
	struct vcon_state *s = vcon_state(c);

	if (event == C_DEVICE_READY && value)
		s->pending |= 1u << T_ADD_CONSOLE | 1u << T_ADD_AGENT;
	else if (event == C_PORT_READY && value && port == PORT_CONSOLE)
		s->pending |= 1u << T_IS_CONSOLE | 1u << T_OPEN_CONSOLE;
	else if (event == C_PORT_READY && value && port == PORT_AGENT)
		s->pending |= 1u << T_NAME_AGENT | 1u << T_OPEN_AGENT;
	else if (event == C_OPEN && port == PORT_AGENT)
		vcon_agent_opened(c, value != 0);
	else if (event != C_OPEN || port != PORT_CONSOLE)
		c->bad_control++;
}

/* What the guest sent on one queue. True: stopped early. */
static bool vcon_transmit(struct vcon *c, unsigned queue, void (*take)(struct vcon *c))
{
	struct hv_virtq *q = &c->v.q[queue];
	size_t sum = 0;
	bool any = false;

	hv_virtq_bell_off(q);
	do {
		while (sum < BUDGET_BYTES && hv_virtio_pop(&c->v, queue, &c->tx)) {
			take(c);
			sum += c->tx.out_bytes + 1u;
			hv_virtio_push(&c->v, queue, c->tx.head, 0);
			any = true;
		}
	} while (sum < BUDGET_BYTES && hv_virtio_live(&c->v) && hv_virtq_bell_on(q));
	if (any)
		hv_virtio_notify(&c->v, queue);
	return sum >= BUDGET_BYTES;
}

static void vcon_take_console(struct vcon *c)
{
	for (unsigned i = 0; i < c->tx.out; i++)
		hv_char_output(c->chr, c->tx.iov[i].iov_base, c->tx.iov[i].iov_len);
	c->tx_bytes += c->tx.out_bytes;
}

static void vcon_take_agent(struct vcon *c)
{
	for (unsigned i = 0; i < c->tx.out; i++)
		if (c->agent && c->agent->output)
			c->agent->output(c->agent->arg, c->tx.iov[i].iov_base, c->tx.iov[i].iov_len);
	c->agent_tx_bytes += c->tx.out_bytes;
}

static void vcon_take_control(struct vcon *c)
{
	uint8_t msg[CONTROL_BYTES];

	if (hv_chain_read(&c->tx, 0, msg, sizeof msg) < sizeof msg)
		c->bad_control++;
	else
		vcon_control(c, cm_le32(msg), cm_le16(msg + 4), cm_le16(msg + 6));
}

static bool vcon_queue(struct hv_virtio *v, unsigned index)
{
	struct vcon *c = (struct vcon *)v;
	bool again = false;

	if (index == Q_TX)
		return vcon_transmit(c, Q_TX, vcon_take_console);
	if (index == Q_RX) {
		hv_char_input_ready(c->chr); /* there may be room for input now */
		return false;
	}
	if (!hv_virtio_has(v, F_MULTIPORT))
		return false;
	if (index == Q_TX1)
		return vcon_transmit(c, Q_TX1, vcon_take_agent);
	if (index == Q_RX1 && c->agent && c->agent->room)
		c->agent->room(c->agent->arg);
	if (index == Q_CTRL_TX)
		again = vcon_transmit(c, Q_CTRL_TX, vcon_take_control);
	if (index == Q_CTRL_TX || index == Q_CTRL_RX)
		vcon_tell(c);
	return again;
}

static void vcon_reset(struct hv_virtio *v)
{
	struct vcon *c = (struct vcon *)v;

	vcon_state(c)->pending = 0;
	if (vcon_state(c)->agent_open)
		vcon_agent_opened(c, false);
}

static const struct hv_virtio_class vcon_class = {
	.device_id = 3,
	.queues = Q_COUNT,
	.queue_max = {64, 64, 64, 64, 64, 64},
	.features = vcon_features,
	.config = vcon_config,
	.reset = vcon_reset,
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
	if (s->pending >> T_COUNT || s->agent_open > 1)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "virtio-console: impossible port state");
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
	c->agent = conf->agent;
	rc = hv_virtio_init(&c->v, dev, &vcon_class, err);
	if (rc < 0) {
		free(c);
		return rc;
	}
	dev->impl = c;
	return 0;
}

/* No input comes from now on. */
static void vcon_unplug(struct vcon *c)
{
	hv_char_set_input(c->chr, NULL, NULL);
	if (c->agent && c->agent->dev == c) {
		c->agent->input = NULL;
		c->agent->dev = NULL;
	}
}

static void vcon_destroy(struct hv_dev *dev)
{
	struct vcon *c = dev->impl;

	vcon_unplug(c);
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

	vcon_unplug(c);
	return hv_virtio_pause(&c->v);
}

static void vcon_resume(struct hv_dev *dev)
{
	struct vcon *c = dev->impl;

	hv_virtio_resume(&c->v);
	hv_char_set_input(c->chr, vcon_input, c);
	if (!c->agent)
		return;
	c->agent->input = vcon_agent_input;
	c->agent->dev = c;
	if (c->agent->opened) /* also after a reset of the machine, and where the VM moved to */
		c->agent->opened(c->agent->arg, vcon_state(c)->agent_open);
}

static void vcon_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct vcon *c = dev->impl;

	fn(arg, "rx_bytes", c->rx_bytes);
	fn(arg, "tx_bytes", c->tx_bytes);
	fn(arg, "agent_rx_bytes", c->agent_rx_bytes);
	fn(arg, "agent_tx_bytes", c->agent_tx_bytes);
	fn(arg, "bad_control", c->bad_control);
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
	.subs = vcon_subs,
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
