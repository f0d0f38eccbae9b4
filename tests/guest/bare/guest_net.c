/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_net.c - mode=net: virtio-net, ARP, ICMP echo, UDP echo (port 7), and TCP by guest_tcp.c.
 *
 *	ip=A.B.C.D	the guest's address (needed); peers must be on the same Ethernet
 *
 * Services: TCP 7 echoes, TCP 7000 keeps records (guest_record.c) if there is a disk. Answers go to
 *the MAC address that asked, so there is no ARP table. Parses frames of anybody on the network:
 *every length is checked against the frame.
 */
#include "guest.h"

#define DEVICE_NET	 1u
#define FEATURE_MAC	 (1ull << 5)
#define FEATURE_STATUS	 (1ull << 16)
#define FEATURE_CTRL	 (1ull << 17)
#define FEATURE_ANNOUNCE (1ull << 21)
#define STATUS_ANNOUNCE	 2u
#define ISR_CONFIG	 2u
#define BUFS		 32u
#define BUF_BYTES	 2048u
#define VIRTIO_HDR	 12u

uint32_t guest_net_ip;
static uint8_t mac[6];
static struct guest_queue rx, tx, ctrl;
static unsigned net_slot;
static uint8_t announce_ack[2] = {3, 0}; /* VIRTIO_NET_CTRL_ANNOUNCE, _ACK */
static volatile uint8_t announce_answer;
static bool can_announce, announcing;
static uint8_t *rx_bufs, *tx_bufs;
static uint32_t tx_used; /* one bit a buffer */
static uint16_t ip_id;

uint16_t guest_net_sum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (; len > 1; p += 2, len -= 2)
		sum += guest_be16(p);
	if (len)
		sum += (uint32_t)*p << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void tx_collect(void)
{
	uint32_t id, len;

	while (guest_queue_take(&tx, &id, &len))
		tx_used &= ~(1u << (id % BUFS));
}

uint8_t *guest_net_frame(void)
{
	tx_collect();
	for (unsigned i = 0; i < BUFS; i++)
		if (!(tx_used & 1u << i))
			return tx_bufs + i * BUF_BYTES + VIRTIO_HDR;
	return NULL;
}

void guest_net_send(uint8_t *frame, uint32_t len)
{
	uint8_t *buf = frame - VIRTIO_HDR;
	unsigned i = (unsigned)((size_t)(buf - tx_bufs) / BUF_BYTES);

	if (len < 60) {
		memset(frame + len, 0, 60 - len);
		len = 60;
	}
	memset(buf, 0, VIRTIO_HDR);
	tx_used |= 1u << i;
	guest_queue_add(&tx, i, &(struct guest_buf){buf, len + VIRTIO_HDR, false}, 1);
	guest_queue_kick(&tx);
}

static void ethernet(uint8_t *f, const uint8_t *to, uint16_t type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, mac, 6);
	guest_put16(f + 12, type);
}

void guest_net_ipv4(uint8_t *f, const uint8_t *to_mac, uint32_t ip, uint8_t protocol, uint32_t len)
{
	ethernet(f, to_mac, 0x0800);
	f[14] = 0x45;
	f[15] = 0;
	guest_put16(f + 16, len + 20);
	guest_put16(f + 18, ip_id++);
	guest_put16(f + 20, 0x4000);
	f[22] = 64;
	f[23] = protocol;
	guest_put16(f + 24, 0);
	guest_put32(f + 26, guest_net_ip);
	guest_put32(f + 30, ip);
	guest_put16(f + 24, ~(uint32_t)guest_net_sum(f + 14, 20, 0));
}

static void send_arp(uint16_t op, const uint8_t *to_mac, const uint8_t *their_mac,
		     uint32_t their_ip)
{
	uint8_t *f = guest_net_frame();

	if (!f)
		return;
	ethernet(f, to_mac, 0x0806);
	memcpy(f + 14, "\0\1\x08\0\6\4", 6);
	guest_put16(f + 20, op);
	memcpy(f + 22, mac, 6);
	guest_put32(f + 28, guest_net_ip);
	memcpy(f + 32, their_mac, 6);
	guest_put32(f + 38, their_ip);
	guest_net_send(f, 42);
}

static void arp_input(const uint8_t *f, uint32_t len)
{
	if (len < 42 || memcmp(f + 14, "\0\1\x08\0\6\4\0\1", 8) != 0 ||
	    guest_be32(f + 38) != guest_net_ip)
		return;
	send_arp(2, f + 6, f + 22, guest_be32(f + 28));
}

/* ICMP echo and UDP echo: the same packet back with the ends exchanged. */
static void echo(const uint8_t *in, uint32_t payload, uint8_t protocol)
{
	uint8_t *f = guest_net_frame();

	if (!f)
		return;
	memcpy(f + 34, in + 34, payload);
	if (protocol == 1) {
		f[34] = 0;
		guest_put16(f + 36, 0);
		guest_put16(f + 36, ~(uint32_t)guest_net_sum(f + 34, payload, 0));
	} else {
		memcpy(f + 34, in + 36, 2);
		memcpy(f + 36, in + 34, 2);
		guest_put16(f + 40, 0); /* no checksum: allowed for UDP over IPv4 */
	}
	guest_net_ipv4(f, in + 6, guest_be32(in + 26), protocol, payload);
	guest_net_send(f, payload + 34);
}

static void ip_input(const uint8_t *f, uint32_t len)
{
	uint32_t total;

	if (len < 34 || f[14] != 0x45 || guest_be32(f + 30) != guest_net_ip ||
	    (guest_be16(f + 20) & 0x3fff))
		return;
	total = guest_be16(f + 16);
	if (total < 20 || total > len - 14 || guest_net_sum(f + 14, 20, 0) != 0xffff)
		return;
	total -= 20;
	if (f[23] == 1 && total >= 8 && f[34] == 8)
		echo(f, total, 1);
	else if (f[23] == 17 && total >= 8 && guest_be16(f + 36) == 7)
		echo(f, total, 17);
	else if (f[23] == 6)
		guest_tcp_input(f, total + 34);
}

static void input(const uint8_t *f, uint32_t len)
{
	if (len < 14)
		return;
	if (guest_be16(f + 12) == 0x0806)
		arp_input(f, len);
	else if (guest_be16(f + 12) == 0x0800)
		ip_input(f, len);
}

static void rx_give(unsigned i)
{
	guest_queue_add(&rx, i, &(struct guest_buf){rx_bufs + i * BUF_BYTES, BUF_BYTES, true}, 1);
}

static uint32_t parse_ip(const char *p)
{
	uint32_t ip = 0;

	for (unsigned i = 0; p && i < 4; i++) {
		ip = ip << 8 | ((uint32_t)guest_number(&p) & 0xff);
		if (*p == '.')
			p++;
	}
	return ip;
}

static void announce(void)
{
	send_arp(1, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", (const uint8_t *)"\0\0\0\0\0\0",
		 guest_net_ip);
}

/* A configuration change: is an announcement wanted? */
static void config_changed(void)
{
	const struct guest_buf bufs[2] = {{announce_ack, 2, false},
					  {(const void *)&announce_answer, 1, true}};
	uint32_t first, len;

	if (announcing && guest_queue_take(&ctrl, &first, &len))
		announcing = false;
	if (!(__atomic_exchange_n(&guest_slot_isr[net_slot], 0, __ATOMIC_SEQ_CST) & ISR_CONFIG) ||
	    !can_announce)
		return;
	if (!(guest_virtio_config(net_slot, 4) >> 16 & STATUS_ANNOUNCE) || announcing)
		return;
	announce();
	announcing = true;
	guest_queue_add(&ctrl, 0, bufs, 2);
	guest_queue_kick(&ctrl);
}

static void init(void)
{
	uint64_t words, features;
	unsigned slot = 0;

	guest_net_ip = parse_ip(guest_param("ip"));
	if (!guest_net_ip || !guest_virtio_find(DEVICE_NET, &slot))
		guest_fail("net: no ip= or no device");
	net_slot = slot;
	features = guest_virtio_start(slot, FEATURE_MAC | FEATURE_STATUS | FEATURE_CTRL |
						    FEATURE_ANNOUNCE);
	can_announce = (features & FEATURE_CTRL) && (features & FEATURE_ANNOUNCE);
	words = (uint64_t)guest_virtio_config(slot, 4) << 32 | guest_virtio_config(slot, 0);
	memcpy(mac, &words, 6);
	rx_bufs = guest_pages(BUFS * BUF_BYTES);
	tx_bufs = guest_pages(BUFS * BUF_BYTES);
	guest_virtio_queue(&rx, slot, 0);
	guest_virtio_queue(&tx, slot, 1);
	if (can_announce)
		guest_virtio_queue(&ctrl, slot, 2);
	if (rx.size < BUFS || tx.size < BUFS)
		guest_fail("net: queues too small");
	guest_virtio_ready(slot);
	for (unsigned i = 0; i < BUFS; i++)
		rx_give(i);
	guest_queue_kick(&rx);
	guest_store_open();
	send_arp(1, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", (const uint8_t *)"\0\0\0\0\0\0",
		 guest_net_ip);
	guest_say("net up mac=%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		  mac[4], mac[5]);
}

static uint64_t poll(uint64_t now)
{
	uint32_t id, len;
	bool any = false;

	config_changed();
	while (guest_queue_take(&rx, &id, &len)) {
		if (id >= BUFS || len > BUF_BYTES)
			guest_fail("net: the device used a buffer that it was not given");
		if (len > VIRTIO_HDR)
			input(rx_bufs + id * BUF_BYTES + VIRTIO_HDR, len - VIRTIO_HDR);
		rx_give(id);
		any = true;
	}
	if (any)
		guest_queue_kick(&rx);
	return guest_tcp_poll(now);
}

const struct guest_module guest_net_module = {"net", init, poll};
