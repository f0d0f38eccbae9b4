/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_tcp.c - a minimal TCP for a few passive connections of the bare-metal test guest.
 *
 * Does: handshake, in-order data, our retransmissions with back-off, the peer's window, orderly
 * close and reset. Does not: out-of-order segments (dropped; the peer repeats them), options but
 * MSS, congestion control (what is in flight is at most TX_BYTES), active open. Frames come from
 * guest_net.c with the IPv4 header checked; the rest is checked here.
 */
#include "guest.h"

#define CONNS	   8u
#define TX_BYTES   16384u
#define MSS	   1460u
#define RTO_MIN_NS (200 * GUEST_NS_MS)
#define RTO_MAX_NS (2 * GUEST_NS_S)
#define TRIES_MAX  60u

#define FIN 0x01u
#define SYN 0x02u
#define RST 0x04u
#define PSH 0x08u
#define ACK 0x10u

enum state { STATE_NONE, STATE_SYN_RECEIVED, STATE_OPEN, STATE_CLOSING, STATE_LAST_ACK };

struct guest_tcp {
	enum state state;
	const struct guest_service *service;
	uint8_t mac[6];
	uint32_t ip, tries;
	uint16_t port; /* the peer's */
	uint32_t una, next, window, expect;
	uint32_t tx_len, rx_len; /* bytes from una on; bytes that the service has not taken */
	uint64_t rto_ns, due_ns;
	uint8_t tx[TX_BYTES];
	char rx[GUEST_TCP_WINDOW];
};

struct segment {
	const uint8_t *frame, *data;
	uint32_t ip, seq, ack, window, len;
	uint16_t from, to;
	uint8_t flags;
};

static struct guest_tcp conns[CONNS];
static const struct guest_service *const services[] = {&guest_service_echo, &guest_service_record};

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void finish(uint8_t *f, const uint8_t *mac, uint32_t ip, uint32_t len)
{
	uint8_t pseudo[12];

	guest_put32(pseudo, guest_net_ip);
	guest_put32(pseudo + 4, ip);
	guest_put16(pseudo + 8, 6);
	guest_put16(pseudo + 10, len);
	guest_put16(f + 50, 0);
	guest_put16(f + 50, ~(uint32_t)guest_net_sum(f + 34, len, guest_net_sum(pseudo, 12, 0)));
	guest_net_ipv4(f, mac, ip, 6, len);
	guest_net_send(f, len + 34);
}

static void header(uint8_t *f, uint16_t from, uint16_t to, uint32_t seq, uint32_t ack,
		   uint8_t flags)
{
	memset(f + 34, 0, 24);
	guest_put16(f + 34, from);
	guest_put16(f + 36, to);
	guest_put32(f + 38, seq);
	guest_put32(f + 42, ack);
	f[46] = flags & SYN ? 0x60 : 0x50;
	f[47] = flags;
}

/* Sends len bytes of the transmit buffer from sequence number seq on. */
static void transmit(struct guest_tcp *c, uint32_t seq, uint32_t len, uint8_t flags)
{
	uint8_t *f = guest_net_frame();
	uint32_t head = flags & SYN ? 24 : 20;

	if (!f)
		return; /* the timer sends it again */
	header(f, c->service->port, c->port, seq, c->expect, flags | ACK);
	guest_put16(f + 48, GUEST_TCP_WINDOW - c->rx_len);
	if (flags & SYN) {
		f[54] = 2;
		f[55] = 4;
		guest_put16(f + 56, MSS);
	}
	if (len)
		memcpy(f + 34 + head, c->tx + (seq - c->una), len);
	finish(f, c->mac, c->ip, head + len);
}

static void refuse(const struct segment *s)
{
	uint8_t *f = guest_net_frame();

	if (!f || s->flags & RST)
		return;
	if (s->flags & ACK)
		header(f, s->to, s->from, s->ack, 0, RST);
	else
		header(f, s->to, s->from, 0,
		       s->seq + s->len + !!(s->flags & SYN) + !!(s->flags & FIN), RST | ACK);
	finish(f, s->frame + 6, s->ip, 20);
}

static void arm(struct guest_tcp *c)
{
	c->due_ns = c->una == c->next ? GUEST_NEVER : guest_now_ns() + c->rto_ns;
}

/* New data as far as the peer's window goes; a FIN after the last byte, when all that came was answered. */
static void push(struct guest_tcp *c)
{
	bool sent = false;

	while (c->state == STATE_OPEN || c->state == STATE_CLOSING) {
		uint32_t flying = c->next - c->una, n = c->tx_len - flying;

		n = n < MSS ? n : MSS;
		if (flying + n > c->window)
			n = c->window > flying ? c->window - flying : 0;
		if (!n)
			break;
		transmit(c, c->next, n, PSH);
		c->next += n;
		sent = true;
	}
	if (c->state == STATE_CLOSING && !c->rx_len && c->next - c->una == c->tx_len) {
		transmit(c, c->next, 0, FIN);
		c->next++;
		c->state = STATE_LAST_ACK;
		sent = true;
	}
	if (sent)
		arm(c);
}

static void repeat(struct guest_tcp *c)
{
	uint32_t n = c->tx_len < MSS ? c->tx_len : MSS;

	if (++c->tries > TRIES_MAX) {
		c->state = STATE_NONE;
		return;
	}
	c->rto_ns = c->rto_ns * 2 < RTO_MAX_NS ? c->rto_ns * 2 : RTO_MAX_NS;
	if (c->state == STATE_SYN_RECEIVED) {
		transmit(c, c->una, 0, SYN);
	} else {
		transmit(c, c->una, n, n ? PSH : c->state == STATE_LAST_ACK ? FIN : 0);
		/* All after this segment is sent anew when it is acknowledged. */
		if (c->state == STATE_LAST_ACK && n)
			c->state = STATE_CLOSING;
		if (n)
			c->next = c->una + n;
	}
	arm(c);
}

static void open_conn(const struct segment *s)
{
	const struct guest_service *service = NULL;
	struct guest_tcp *c = NULL;

	for (unsigned i = 0; i < sizeof services / sizeof services[0]; i++)
		if (services[i]->port == s->to)
			service = services[i];
	for (unsigned i = 0; i < CONNS; i++)
		if (conns[i].state == STATE_NONE)
			c = &conns[i];
	if (!service || !c) {
		refuse(s);
		return;
	}
	c->state = STATE_SYN_RECEIVED;
	c->service = service;
	memcpy(c->mac, s->frame + 6, 6);
	c->ip = s->ip;
	c->port = s->from;
	c->una = (uint32_t)guest_random();
	c->next = c->una + 1;
	c->window = s->window;
	c->expect = s->seq + 1;
	c->tx_len = c->rx_len = c->tries = 0;
	c->rto_ns = RTO_MIN_NS;
	transmit(c, c->una, 0, SYN);
	arm(c);
}

/* What the peer acknowledged. */
static void take_ack(struct guest_tcp *c, const struct segment *s)
{
	uint32_t n = s->ack - c->una, data;

	if (!(s->flags & ACK) || before(c->next, s->ack) || before(s->ack, c->una))
		return;
	c->window = s->window;
	if (!n)
		return;
	if (c->state == STATE_SYN_RECEIVED) {
		c->state = STATE_OPEN;
		n--;
		c->una++;
	} else if (c->state == STATE_LAST_ACK && s->ack == c->next) {
		c->state = STATE_NONE;
		return;
	}
	data = n < c->tx_len ? n : c->tx_len;
	c->tx_len -= data;
	memcpy(c->tx, c->tx + data, c->tx_len);
	c->una += n;
	c->tries = 0;
	c->rto_ns = RTO_MIN_NS;
	arm(c);
}

static void take_data(struct guest_tcp *c, struct segment *s)
{
	uint32_t old = c->expect - s->seq, room = GUEST_TCP_WINDOW - c->rx_len, len = s->len;
	bool fin = s->flags & FIN;

	if (!len && !fin)
		return;
	if (!before(c->expect, s->seq) && old <= len) {
		uint32_t fresh = len - old, n = fresh < room ? fresh : room;

		memcpy(c->rx + c->rx_len, s->data + old, n);
		c->rx_len += n;
		c->expect += n;
		if (fin && n == fresh && c->state == STATE_OPEN) {
			c->expect++;
			c->state = STATE_CLOSING;
		}
	}
	transmit(c, c->next, 0, 0);
}

static bool parse(const uint8_t *f, uint32_t len, struct segment *s)
{
	uint8_t pseudo[12];
	uint32_t head;

	if (len < 54)
		return false;
	head = (uint32_t)(f[46] >> 4) * 4;
	memcpy(pseudo, f + 26, 8);
	guest_put16(pseudo + 8, 6);
	guest_put16(pseudo + 10, len - 34);
	if (head < 20 || head > len - 34 ||
	    guest_net_sum(f + 34, len - 34, guest_net_sum(pseudo, 12, 0)) != 0xffff)
		return false;
	*s = (struct segment){
		.frame = f,
		.data = f + 34 + head,
		.len = len - 34 - head,
		.ip = guest_be32(f + 26),
		.from = guest_be16(f + 34),
		.to = guest_be16(f + 36),
		.seq = guest_be32(f + 38),
		.ack = guest_be32(f + 42),
		.window = guest_be16(f + 48),
		.flags = f[47],
	};
	return true;
}

void guest_tcp_input(const uint8_t *frame, uint32_t len)
{
	struct guest_tcp *c = NULL;
	struct segment s;

	if (!parse(frame, len, &s))
		return;
	for (unsigned i = 0; i < CONNS; i++)
		if (conns[i].state != STATE_NONE && conns[i].ip == s.ip &&
		    conns[i].port == s.from && conns[i].service->port == s.to)
			c = &conns[i];
	if (!c && (s.flags & (SYN | ACK | RST)) == SYN) {
		open_conn(&s);
	} else if (!c) {
		refuse(&s);
	} else if (s.flags & RST) {
		if (s.seq - c->expect < GUEST_TCP_WINDOW)
			c->state = STATE_NONE;
	} else if (s.flags & SYN) {
		transmit(c, c->state == STATE_SYN_RECEIVED ? c->una : c->next, 0,
			 c->state == STATE_SYN_RECEIVED ? SYN : 0);
	} else {
		take_ack(c, &s);
		if (c->state == STATE_OPEN || c->state == STATE_CLOSING ||
		    c->state == STATE_LAST_ACK)
			take_data(c, &s);
	}
}

uint32_t guest_tcp_room(const struct guest_tcp *c)
{
	return TX_BYTES - c->tx_len;
}

bool guest_tcp_put(struct guest_tcp *c, const void *data, uint32_t len)
{
	if (len > guest_tcp_room(c))
		return false;
	memcpy(c->tx + c->tx_len, data, len);
	c->tx_len += len;
	return true;
}

static void serve(struct guest_tcp *c)
{
	bool was_full = c->rx_len > GUEST_TCP_WINDOW - MSS;
	uint32_t n = c->service->input(c, c->rx, c->rx_len);

	c->rx_len -= n;
	memcpy(c->rx, c->rx + n, c->rx_len);
	if (c->state == STATE_CLOSING && !n && !c->tx_len)
		c->rx_len = 0; /* half a line: the rest will not come */
	if (was_full && n)
		transmit(c, c->next, 0, 0); /* the window is open again */
}

uint64_t guest_tcp_poll(uint64_t now)
{
	uint64_t next = GUEST_NEVER;

	for (unsigned i = 0; i < CONNS; i++) {
		struct guest_tcp *c = &conns[i];

		if (c->rx_len && (c->state == STATE_OPEN || c->state == STATE_CLOSING))
			serve(c);
		push(c);
		if (c->state != STATE_NONE && c->due_ns <= now)
			repeat(c);
		if (c->state != STATE_NONE && c->due_ns < next)
			next = c->due_ns;
	}
	return next;
}

static uint32_t echo_input(struct guest_tcp *c, const char *data, uint32_t len)
{
	uint32_t n = len < guest_tcp_room(c) ? len : guest_tcp_room(c);

	guest_tcp_put(c, data, n);
	return n;
}

const struct guest_service guest_service_echo = {7, echo_input};
