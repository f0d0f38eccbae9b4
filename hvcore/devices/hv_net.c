/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_net.c - virtio-net on a tap descriptor, with checksum and segmentation offloads in both directions.
 *
 * Packets pass on the loop, many for each wake-up: out straight from guest memory, in through one buffer. The
 * tap speaks the same header as the guest (12 bytes), so offloads are the kernel's work. A descriptor that is no tap
 * (a datagram socket, in tests) carries the same packets.
 *
 * Parses headers and control commands of the guest; packets of the network are passed on unparsed.
 *
 * Threats and answers:
 *   header with offloads not negotiated    -> packet dropped, counted
 *   tiny or endless buffers                -> at most RX_CHAINS of them for a packet, else it is dropped
 *   header changed while in use            -> copied once, the kernel gets the copy
 *   receive ring empty                     -> the tap is not read: its queue in the kernel drops
 *   packets in the buffer at a move        -> dropped, as any network may
 */
#include "config.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "hvcore/devices/hv_devices.h"
#include "hvcore/devices/hv_net_header.h"
#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/machine/hv_mem.h"

enum { Q_RX, Q_TX, Q_CTRL, Q_COUNT };

#define PACKET_MAX (HV_NET_HEADER_BYTES + 65535u + 18u)
#define BUDGET     64u
#define RX_CHAINS  64u
#define DELIVER_TRIES 3u

#define CONFIG_BYTES 8u
#define STATUS_LINK_UP  1u
#define STATUS_ANNOUNCE 2u

#define CTRL_ANNOUNCE     3u
#define CTRL_ANNOUNCE_ACK 0u
#define CTRL_OK  0u
#define CTRL_ERR 1u

#define ANNOUNCE_ROUNDS 5u
#define ANNOUNCE_STEP_MS 100u

struct net_state {
	struct hv_virtio_state v;
	uint8_t announce; /* the guest is asked to announce itself and has not answered */
};

static const struct hv_field net_fields[] = {
	HV_F_STRUCT(struct net_state, v, hv_virtio_fields),
	HV_F_U8(struct net_state, announce),
	HV_F_END,
};

struct net {
	struct hv_virtio v; /* first */
	int fd;
	uint8_t mac[6];
	struct cm_io io;
	bool tx_full; /* the tap takes nothing now */
	struct cm_timer announce;
	unsigned announce_left;
	struct hv_chain chain, first;
	uint32_t packet_bytes; /* waits in packet for buffers of the guest; 0: none */
	uint8_t packet[PACKET_MAX];
	uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped, announces;
};

static struct net_state *net_state(struct net *n)
{
	return n->v.dev->state;
}

static uint64_t net_features(const struct hv_virtio *v)
{
	(void)v;
	return HV_NET_F_CSUM | HV_NET_F_GUEST_CSUM | HV_NET_F_MAC | HV_NET_F_GUEST_TSO4 | HV_NET_F_GUEST_TSO6 |
	       HV_NET_F_GUEST_ECN | HV_NET_F_HOST_TSO4 | HV_NET_F_HOST_TSO6 | HV_NET_F_HOST_ECN |
	       HV_NET_F_MRG_RXBUF | HV_NET_F_STATUS | HV_NET_F_CTRL_VQ | HV_NET_F_GUEST_ANNOUNCE;
}

static size_t net_config(const struct hv_virtio *v, uint8_t *out, size_t cap)
{
	const struct net *n = (const struct net *)v;
	const struct net_state *s = v->dev->state;

	CM_ASSERT(cap >= CONFIG_BYTES);
	memcpy(out, n->mac, 6);
	cm_put_le16(out + 6, STATUS_LINK_UP | (s->announce ? STATUS_ANNOUNCE : 0));
	return CONFIG_BYTES;
}

/* Tells the tap which offloads the guest can receive. */
static void net_driver_ok(struct hv_virtio *v)
{
	struct net *n = (struct net *)v;
	unsigned offload = 0;
	int size = HV_NET_HEADER_BYTES, le = 1;

	if (hv_virtio_has(v, HV_NET_F_GUEST_CSUM)) {
		offload = TUN_F_CSUM;
		offload |= hv_virtio_has(v, HV_NET_F_GUEST_TSO4) ? TUN_F_TSO4 : 0;
		offload |= hv_virtio_has(v, HV_NET_F_GUEST_TSO6) ? TUN_F_TSO6 : 0;
		if (offload != TUN_F_CSUM && hv_virtio_has(v, HV_NET_F_GUEST_ECN))
			offload |= TUN_F_TSO_ECN;
	}
	if (ioctl(n->fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(n->fd, TUNSETVNETLE, &le) < 0 ||
	    ioctl(n->fd, TUNSETOFFLOAD, (unsigned long)offload) < 0)
		cm_debug("virtio-net%u: descriptor is no tap (%s): offloads stay as they are",
			 v->dev->env.instance, strerror(errno));
}

static void net_reset(struct hv_virtio *v)
{
	struct net *n = (struct net *)v;

	net_state(n)->announce = 0;
	n->packet_bytes = 0;
}

static void net_want(struct net *n)
{
	unsigned want = 0;

	if (hv_virtio_live(&n->v)) {
		if (!n->packet_bytes && net_state(n)->v.q[Q_RX].ready)
			want |= CM_READ;
		if (n->tx_full)
			want |= CM_WRITE;
	}
	if (cm_io_want(&n->io, want) < 0)
		cm_warning("virtio-net%u: cannot watch its descriptor", n->v.dev->env.instance);
}

/* --- to the guest --------------------------------------------------------------------- */

struct net_used {
	uint16_t head;
	uint32_t bytes;
};

/*
 * Puts the waiting packet into buffers of the guest. 0: done or dropped; -EAGAIN: not enough buffers yet.
 */
static int net_deliver(struct net *n)
{
	struct hv_mem *mem = n->v.dev->env.mem;
	bool mergeable = hv_virtio_has(&n->v, HV_NET_F_MRG_RXBUF);
	struct net_used used[RX_CHAINS];
	uint32_t done = 0, total = n->packet_bytes;
	unsigned count = 0;
	uint8_t num[2];

	while (done < total) {
		struct hv_chain *c = count ? &n->chain : &n->first;
		bool fits = count < (mergeable ? RX_CHAINS : 1);

		if (!fits || !hv_virtio_pop(&n->v, Q_RX, c)) {
			hv_virtq_unpop(&n->v.q[Q_RX], count);
			if (fits && hv_virtio_live(&n->v))
				return -EAGAIN;
			n->rx_dropped++;
			return 0;
		}
		if (!count && c->in_bytes < HV_NET_HEADER_BYTES) {
			hv_virtio_broken(&n->v, "receive buffer shorter than the header");
			return 0;
		}
		used[count].head = c->head;
		used[count].bytes = (uint32_t)hv_chain_write(c, mem, 0, n->packet + done, total - done);
		done += used[count++].bytes;
	}
	cm_put_le16(num, (uint16_t)count);
	hv_chain_write(&n->first, mem, HV_NET_HEADER_BYTES - 2, num, 2);
	for (unsigned i = 0; i < count; i++)
		hv_virtio_push(&n->v, Q_RX, used[i].head, used[i].bytes);
	n->rx_packets++;
	n->rx_bytes += total - HV_NET_HEADER_BYTES;
	return 0;
}

/* True: the packet waits for more buffers of the guest. */
static bool net_deliver_waiting(struct net *n)
{
	for (unsigned tries = 0; n->packet_bytes && net_deliver(n) == -EAGAIN; tries++) {
		if (!hv_virtq_bell_more(&n->v.q[Q_RX]))
			return true;
		if (tries == DELIVER_TRIES) {
			hv_virtio_kick(&n->v);
			return true;
		}
	}
	n->packet_bytes = 0;
	return false;
}

static void net_receive(struct net *n)
{
	bool got = false;

	hv_virtq_bell_off(&n->v.q[Q_RX]);
	for (unsigned i = 0; i < BUDGET && hv_virtio_live(&n->v); i++) {
		if (!n->packet_bytes) {
			ssize_t k = read(n->fd, n->packet, sizeof n->packet);

			if (k < 0)
				break;
			if (k <= (ssize_t)HV_NET_HEADER_BYTES) {
				n->rx_dropped++;
				continue;
			}
			n->packet_bytes = (uint32_t)k;
		}
		if (net_deliver_waiting(n))
			break;
		got = true;
	}
	if (got)
		hv_virtio_notify(&n->v, Q_RX);
}

/* --- from the guest --------------------------------------------------------------------- */

/* 0: sent or dropped; -EAGAIN: the tap is full. */
static int net_send(struct net *n, const struct hv_chain *c)
{
	uint8_t head[HV_NET_HEADER_BYTES];
	struct iovec iov[HV_CHAIN_MAX + 1];
	size_t skip = sizeof head;
	int pieces = 1;
	ssize_t k;

	if (hv_chain_read(c, 0, head, sizeof head) != sizeof head) {
		hv_virtio_broken(&n->v, "packet shorter than its header");
		return 0;
	}
	if (hv_net_header_check(head, n->v.s->driver_features, c->out_bytes - (uint32_t)sizeof head) < 0) {
		n->tx_dropped++;
		return 0;
	}
	iov[0] = (struct iovec){.iov_base = head, .iov_len = sizeof head};
	for (unsigned i = 0; i < c->out; i++) {
		size_t cut = CM_MIN(skip, c->iov[i].iov_len);

		skip -= cut;
		if (c->iov[i].iov_len > cut)
			iov[pieces++] = (struct iovec){.iov_base = (uint8_t *)c->iov[i].iov_base + cut,
						       .iov_len = c->iov[i].iov_len - cut};
	}
	k = writev(n->fd, iov, pieces);
	if (k < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (k < 0) {
		n->tx_dropped++;
		return 0;
	}
	n->tx_packets++;
	n->tx_bytes += c->out_bytes - sizeof head;
	return 0;
}

static bool net_transmit(struct net *n)
{
	struct hv_virtq *q = &n->v.q[Q_TX];
	unsigned count = 0;

	if (n->tx_full)
		return false;
	hv_virtq_bell_off(q);
	do {
		while (count < BUDGET && hv_virtio_pop(&n->v, Q_TX, &n->chain)) {
			if (net_send(n, &n->chain) == -EAGAIN) {
				hv_virtq_unpop(q, 1);
				n->tx_full = true;
				goto out;
			}
			hv_virtio_push(&n->v, Q_TX, n->chain.head, 0);
			count++;
		}
	} while (count < BUDGET && hv_virtio_live(&n->v) && hv_virtq_bell_on(q));
out:
	if (count)
		hv_virtio_notify(&n->v, Q_TX);
	return count == BUDGET;
}

static void net_command(struct net *n)
{
	uint8_t cmd[2] = {0}, ack = CTRL_ERR;
	uint32_t written;

	if (hv_chain_read(&n->chain, 0, cmd, 2) == 2 && cmd[0] == CTRL_ANNOUNCE &&
	    cmd[1] == CTRL_ANNOUNCE_ACK) {
		net_state(n)->announce = 0;
		ack = CTRL_OK;
	}
	written = (uint32_t)hv_chain_write(&n->chain, n->v.dev->env.mem, 0, &ack, 1);
	hv_virtio_push(&n->v, Q_CTRL, n->chain.head, written);
	hv_virtio_notify(&n->v, Q_CTRL);
}

static bool net_control(struct net *n)
{
	unsigned count = 0;

	while (count < BUDGET && hv_virtio_pop(&n->v, Q_CTRL, &n->chain)) {
		net_command(n);
		count++;
	}
	return count == BUDGET || (hv_virtio_live(&n->v) && hv_virtq_bell_on(&n->v.q[Q_CTRL]));
}

/* --- the loop's side ----------------------------------------------------------------------- */

static bool net_queue(struct hv_virtio *v, unsigned index)
{
	struct net *n = (struct net *)v;
	bool again = false;

	if (index == Q_RX)
		net_receive(n);
	else if (index == Q_TX)
		again = net_transmit(n);
	else
		again = net_control(n);
	net_want(n);
	return again;
}

static void net_ready(struct cm_io *io, unsigned events, void *arg)
{
	struct net *n = arg;

	(void)io;
	hv_lock_take(n->v.dev->env.lock);
	if (hv_virtio_live(&n->v) && events & CM_READ && net_state(n)->v.q[Q_RX].ready)
		net_receive(n);
	if (events & CM_WRITE) {
		n->tx_full = false;
		if (hv_virtio_live(&n->v) && net_state(n)->v.q[Q_TX].ready && net_transmit(n))
			hv_virtio_kick(&n->v);
	}
	net_want(n);
	hv_lock_drop(n->v.dev->env.lock);
}

static void net_announce_due(struct cm_timer *t, void *arg)
{
	struct net *n = arg;
	uint8_t frame[HV_NET_HEADER_BYTES + HV_NET_RARP_BYTES] = {0};

	(void)t;
	hv_lock_take(n->v.dev->env.lock);
	if (n->v.running) {
		hv_net_rarp(frame + HV_NET_HEADER_BYTES, n->mac);
		if (write(n->fd, frame, sizeof frame) == (ssize_t)sizeof frame)
			n->announces++;
		if (--n->announce_left)
			cm_timer_arm_ms(&n->announce, ANNOUNCE_STEP_MS);
	}
	hv_lock_drop(n->v.dev->env.lock);
}

void hv_net_announce(struct hv_dev *nic)
{
	struct net *n = nic->impl;

	if (hv_virtio_has(&n->v, HV_NET_F_GUEST_ANNOUNCE)) {
		net_state(n)->announce = 1;
		hv_virtio_config_changed(&n->v);
	}
	n->announce_left = ANNOUNCE_ROUNDS;
	cm_timer_arm_ms(&n->announce, 0);
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct hv_virtio_class net_class = {
	.device_id = 1,
	.queues = Q_COUNT,
	.queue_max = {HV_VIRTQ_SIZE_MAX, HV_VIRTQ_SIZE_MAX, 64},
	.features = net_features,
	.config = net_config,
	.driver_ok = net_driver_ok,
	.reset = net_reset,
	.queue = net_queue,
};

static void net_defaults(void *state, const void *cfg)
{
	(void)cfg;
	memset(state, 0, sizeof(struct net_state));
}

static int net_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct net_state *s = state;

	(void)cfg;
	if (s->announce > 1)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "virtio-net: impossible announce flag");
	return hv_virtio_check(&s->v, &net_class, "virtio-net", err);
}

static int net_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	const struct hv_nic_config *c = cfg;
	struct net *n = calloc(1, sizeof *n);
	int rc;

	if (!n)
		return cm_err_set(err, -ENOMEM, "virtio-net: no memory");
	n->fd = c->tap_fd;
	memcpy(n->mac, c->mac, sizeof n->mac);
	cm_io_init(&n->io, dev->env.loop, n->fd, net_ready, n);
	cm_timer_init(&n->announce, dev->env.loop, net_announce_due, n);
	rc = hv_virtio_init(&n->v, dev, &net_class, err);
	if (rc < 0) {
		free(n);
		return rc;
	}
	dev->impl = n;
	return 0;
}

static void net_destroy(struct hv_dev *dev)
{
	struct net *n = dev->impl;

	cm_timer_fini(&n->announce);
	cm_io_fini(&n->io);
	hv_virtio_fini(&n->v);
	free(n);
	dev->impl = NULL;
}

static void net_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	hv_virtio_io(dev->impl, offset, data, len, write);
}

static int net_pause(struct hv_dev *dev)
{
	struct net *n = dev->impl;
	int rc = hv_virtio_pause(&n->v);

	net_want(n); /* not live now: nothing */
	return rc;
}

static void net_resume(struct hv_dev *dev)
{
	hv_virtio_resume(dev->impl);
}

static void net_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct net *n = dev->impl;

	fn(arg, "rx_packets", n->rx_packets);
	fn(arg, "rx_bytes", n->rx_bytes);
	fn(arg, "rx_dropped", n->rx_dropped);
	fn(arg, "tx_packets", n->tx_packets);
	fn(arg, "tx_bytes", n->tx_bytes);
	fn(arg, "tx_dropped", n->tx_dropped);
	fn(arg, "announces", n->announces);
	hv_virtio_put_counters(&n->v, fn, arg);
}

static void net_dump(struct hv_dev *dev, FILE *to)
{
	hv_virtio_dump(dev->impl, to);
}

const struct hv_dev_ops hv_dev_net = {
	.name = "virtio-net",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct net_state),
	.fields = net_fields,
	.defaults = net_defaults,
	.check = net_check,
	.create = net_create,
	.destroy = net_destroy,
	.io = net_io,
	.pause = net_pause,
	.resume = net_resume,
	.counters = net_counters,
	.dump = net_dump,
};
