/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_conn.c - TCP connections: portals, cutting the byte stream into PDUs, digests, send queue.
 *
 * Parses the peer's bytes: basic header segment lengths, additional headers (skipped), padding and
 * digests. What a PDU means is decided by san_login.c and san_session.c. A PDU that breaks the
 * framing closes the connection (error recovery level 0).
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define IOV_MAX_SEND 192

uint32_t san_crc32c(uint32_t crc, const void *data, size_t len)
{
	/* running value; start with 0xffffffff and invert at the end */
	return crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, crc);
}

struct san_buf *san_buf_new(uint32_t len)
{
	struct san_buf *b = malloc(sizeof *b + len);

	if (b) {
		b->refs = 1;
		b->len = len;
	}
	return b;
}

void san_buf_put(struct san_buf *b)
{
	if (b && --b->refs == 0)
		free(b);
}

/* --- sending ---------------------------------------------------------------------------- */

static void out_free(struct san_out *o)
{
	san_buf_put(o->buf);
	free(o);
}

/* Queues one PDU. Keeps a reference to owner while data is needed; without owner data is copied. */
void san_send(struct san_conn *c, uint8_t *bhs, const uint8_t *data, uint32_t len,
	      struct san_buf *owner)
{
	uint32_t pad = -len & 3;
	struct san_out *o;

	if (c->dead)
		return;
	o = calloc(1, sizeof *o);
	if (!o)
		abort();
	san_put24(bhs + 5, len);
	memcpy(o->hdr, bhs, SAN_BHS);
	o->hlen = SAN_BHS;
	if (c->full && c->par.header_digest) {
		uint32_t crc = ~san_crc32c(0xffffffff, bhs, SAN_BHS);

		memcpy(o->hdr + SAN_BHS, &crc, 4); /* digests travel least significant byte first */
		o->hlen += 4;
	}
	if (len && owner) {
		owner->refs++;
		o->buf = owner;
	} else if (len) {
		o->buf = san_buf_new(len);
		if (!o->buf)
			abort();
		memcpy(o->buf->data, data, len);
		data = o->buf->data;
	}
	o->data = data;
	o->dlen = len;
	o->tlen = pad;
	if (len && c->full && c->par.data_digest) {
		uint32_t crc = san_crc32c(0xffffffff, data, len);

		crc = ~san_crc32c(crc, o->tail, pad);
		memcpy(o->tail + pad, &crc, 4);
		o->tlen += 4;
	}
	c->out_bytes += o->hlen + o->dlen + o->tlen;
	TAILQ_INSERT_TAIL(&c->outq, o, link);
	if (!c->is_dirty) {
		c->is_dirty = true;
		TAILQ_INSERT_TAIL(&c->san->dirty, c, dirty);
	}
}

static int fill_iov(struct san_conn *c, struct iovec *iov)
{
	struct san_out *o;
	int n = 0;

	TAILQ_FOREACH (o, &c->outq, link) {
		const uint8_t *part[3] = {o->hdr, o->data, o->tail};
		uint32_t len[3] = {o->hlen, o->dlen, o->tlen}, skip = o->sent;
		int i;

		if (n + 3 > IOV_MAX_SEND)
			break;
		for (i = 0; i < 3; i++) {
			uint32_t s = skip < len[i] ? skip : len[i];

			skip -= s;
			if (len[i] == s)
				continue;
			iov[n].iov_base = (void *)(uintptr_t)(part[i] + s);
			iov[n++].iov_len = len[i] - s;
		}
	}
	return n;
}

static void drop_sent(struct san_conn *c, size_t n)
{
	struct san_out *o;

	c->out_bytes -= n;
	while (n && (o = TAILQ_FIRST(&c->outq))) {
		size_t left = (size_t)o->hlen + o->dlen + o->tlen - o->sent;

		if (n < left) {
			o->sent += (uint32_t)n;
			return;
		}
		n -= left;
		TAILQ_REMOVE(&c->outq, o, link);
		out_free(o);
	}
}

static void conn_flush(struct san_conn *c)
{
	struct iovec iov[IOV_MAX_SEND];
	struct msghdr msg = {.msg_iov = iov};
	bool want = false;

	while (!c->dead && !c->hung && !TAILQ_EMPTY(&c->outq)) {
		ssize_t n;

		msg.msg_iovlen = (size_t)fill_iov(c, iov);
		n = sendmsg(c->io.fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			want = true;
			break;
		}
		if (n < 0) {
			san_conn_close(c, "send failed");
			return;
		}
		drop_sent(c, (size_t)n);
	}
	if (!c->dead && !c->hung && c->close_after && TAILQ_EMPTY(&c->outq)) {
		san_conn_close(c, "logged out");
		return;
	}
	if (want != c->want_out || c->out_bytes > SAN_OUT_HIGH) {
		c->want_out = want;
		san_conn_rearm(c);
	}
}

void san_conns_flush(struct san *san)
{
	struct san_conn *c;

	while ((c = TAILQ_FIRST(&san->dirty))) {
		TAILQ_REMOVE(&san->dirty, c, dirty);
		c->is_dirty = false;
		conn_flush(c);
	}
}

/* --- receiving -------------------------------------------------------------------------- */

static uint32_t header_len(const struct san_conn *c, const uint8_t *bhs)
{
	return SAN_BHS + bhs[4] * 4u + (c->full && c->par.header_digest ? 4 : 0);
}

/* Takes a whole header out of the buffer: 1 = done, 0 = more bytes needed, -errno = close. */
static int take_header(struct san_conn *c)
{
	uint32_t have = c->rend - c->rpos, need;
	const uint8_t *p = c->rbuf + c->rpos;

	if (have < SAN_BHS)
		return 0;
	need = header_len(c, p);
	if (have < need)
		return 0;
	if (c->full && c->par.header_digest) {
		uint32_t got, crc = ~san_crc32c(0xffffffff, p, need - 4);

		memcpy(&got, p + need - 4, 4);
		if (got != crc)
			return -EBADMSG;
	}
	memcpy(c->bhs, p, SAN_BHS);
	c->rpos += need;
	c->rx_len = san_get24(c->bhs + 5);
	if (c->rx_len > SAN_MAX_RECV)
		return -EMSGSIZE;
	c->rx_left = c->rx_len;
	c->rx_crc = 0xffffffff;
	c->rx_dst = NULL;
	c->rx_cmd = NULL;
	if (c->full)
		return san_session_header(c) < 0 ? -EPROTO : 1;
	if (c->rx_len) {
		c->rx_tmp = malloc(c->rx_len);
		if (!c->rx_tmp)
			return -ENOMEM;
		c->rx_dst = c->rx_tmp;
	}
	return 1;
}

static void data_arrived(struct san_conn *c, const uint8_t *p, uint32_t n)
{
	if (c->full && c->par.data_digest)
		c->rx_crc = san_crc32c(c->rx_crc, p, n);
	c->rx_left -= n;
	if (c->rx_dst)
		c->rx_dst += n;
}

static bool take_data(struct san_conn *c)
{
	uint32_t n = c->rend - c->rpos;

	if (n > c->rx_left)
		n = c->rx_left;
	if (n && c->rx_dst)
		memcpy(c->rx_dst, c->rbuf + c->rpos, n);
	data_arrived(c, c->rbuf + c->rpos, n);
	c->rpos += n;
	return c->rx_left == 0;
}

static int take_tail(struct san_conn *c)
{
	bool digest = c->full && c->par.data_digest && c->rx_len;
	uint32_t pad = -c->rx_len & 3, need = pad + (digest ? 4 : 0);

	if (c->rend - c->rpos < need)
		return 0;
	if (digest) {
		const uint8_t *p = c->rbuf + c->rpos;
		uint32_t got, crc = ~san_crc32c(c->rx_crc, p, pad);

		memcpy(&got, p + pad, 4);
		if (got != crc)
			return -EBADMSG;
	}
	c->rpos += need;
	return 1;
}

static void pdu_complete(struct san_conn *c)
{
	if (c->full) {
		san_session_pdu(c);
	} else if (c->login_wait) {
		san_conn_close(c, "PDU while a login waits");
	} else {
		uint8_t *data = c->rx_tmp;

		c->rx_tmp = NULL;
		san_login_pdu(c, c->bhs, data, c->rx_len);
		free(data);
	}
	free(c->rx_tmp);
	c->rx_tmp = NULL;
	c->rx_cmd = NULL;
	c->rx_dst = NULL;
}

static void process(struct san_conn *c)
{
	int rc = 1;

	while (rc > 0 && !c->dead && !c->close_after) {
		switch (c->rx) {
		case SAN_RX_HEADER:
			rc = take_header(c);
			if (rc > 0)
				c->rx = SAN_RX_DATA;
			break;
		case SAN_RX_DATA:
			rc = take_data(c);
			if (rc > 0)
				c->rx = SAN_RX_TAIL;
			break;
		case SAN_RX_TAIL:
			rc = take_tail(c);
			if (rc > 0) {
				c->rx = SAN_RX_HEADER;
				pdu_complete(c);
			}
			break;
		}
	}
	if (rc < 0)
		san_conn_close(c, rc == -EBADMSG ? "digest error" : "protocol error");
	else if (!c->dead && c->rpos) {
		memmove(c->rbuf, c->rbuf + c->rpos, c->rend - c->rpos);
		c->rend -= c->rpos;
		c->rpos = 0;
	}
}

/* One read: straight into the command's buffer when data is due, the rest into rbuf. */
static ssize_t conn_read(struct san_conn *c)
{
	struct iovec iov[2];
	int n = 0;
	bool direct = c->rx == SAN_RX_DATA && c->rx_dst && c->rx_left && c->rend == 0;
	ssize_t got;

	if (direct) {
		iov[n].iov_base = c->rx_dst;
		iov[n++].iov_len = c->rx_left;
	}
	iov[n].iov_base = c->rbuf + c->rend;
	iov[n++].iov_len = SAN_RBUF - c->rend;
	got = readv(c->io.fd, iov, n);
	if (got <= 0)
		return got;
	if (direct) {
		uint32_t d = (size_t)got < iov[0].iov_len ? (uint32_t)got : c->rx_left;

		data_arrived(c, iov[0].iov_base, d);
		c->rend += (uint32_t)got - d;
	} else {
		c->rend += (uint32_t)got;
	}
	return got;
}

static void conn_event(struct san_io *io, uint32_t events)
{
	struct san_conn *c = (struct san_conn *)io;
	ssize_t n;

	if (c->dead || c->hung)
		return;
	if (events & EPOLLOUT && !c->is_dirty) {
		c->is_dirty = true;
		TAILQ_INSERT_TAIL(&c->san->dirty, c, dirty);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = conn_read(c);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		san_conn_close(c, n < 0 ? "receive failed" : "closed by the peer");
	else
		process(c);
}

/* --- life of a connection --------------------------------------------------------------- */

void san_conn_rearm(struct san_conn *c)
{
	uint32_t ev = c->out_bytes > SAN_OUT_HIGH ? 0 : EPOLLIN;

	if (c->dead)
		return;
	if (c->want_out)
		ev |= EPOLLOUT;
	if (c->hung) {
		/* not just without events: a reset would still be reported, again and again */
		(void)epoll_ctl(c->san->epfd, EPOLL_CTL_DEL, c->io.fd, NULL);
		c->unwatched = true;
	} else {
		(void)san_watch(c->san, &c->io, ev, c->unwatched);
		c->unwatched = false;
	}
}

/* Ends a session at once. Commands on the medium go on without it; memory goes in reap. */
void san_conn_close(struct san_conn *c, const char *why)
{
	struct linger lin = {.l_onoff = 1, .l_linger = 0};
	unsigned int i;

	if (c->dead)
		return;
	c->dead = true;
	if (c->san->verbose)
		fprintf(stderr, "labsan: %s %s: %s\n", c->peer, c->initiator, why);
	if (!c->close_after)
		(void)setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &lin, sizeof lin);
	close(c->io.fd);
	c->io.fd = -1;
	san_cmd_detach(c);
	if (!c->nexus || c->nexus->conn != c)
		return;
	c->nexus->conn = NULL;
	for (i = 0; i < c->san->nluns; i++) /* RESERVE(6) ends with its session */
		if (c->san->luns[i]->reserved == c->nexus)
			c->san->luns[i]->reserved = NULL;
}

void san_conns_reap(struct san *san)
{
	struct san_conn *c, *next;

	for (c = TAILQ_FIRST(&san->conns); c; c = next) {
		struct san_out *o;

		next = TAILQ_NEXT(c, link);
		if (!c->dead || c->login_wait)
			continue;
		TAILQ_REMOVE(&san->conns, c, link);
		if (c->is_dirty)
			TAILQ_REMOVE(&san->dirty, c, dirty);
		while ((o = TAILQ_FIRST(&c->outq))) {
			TAILQ_REMOVE(&c->outq, o, link);
			out_free(o);
		}
		free(c->rbuf);
		free(c->rx_tmp);
		free(c->text);
		free(c);
	}
}

static struct san_conn *conn_new(struct san_portal *p, int fd)
{
	struct san_conn *c = calloc(1, sizeof *c);
	int one = 1;

	if (!c)
		return NULL;
	c->rbuf = malloc(SAN_RBUF);
	c->san = p->io.san;
	c->io.san = c->san;
	c->io.fd = fd;
	c->io.cb = conn_event;
	c->tpgt = p->tpgt;
	c->portal = p;
	c->csg = -1;
	c->par.max_xmit = 8192;
	c->par.max_burst = 262144;
	c->par.first_burst = 65536;
	c->par.max_r2t = 1;
	c->par.initial_r2t = true;
	c->par.immediate_data = true;
	TAILQ_INIT(&c->outq);
	TAILQ_INIT(&c->cmds);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (!c->rbuf || san_watch(c->san, &c->io, EPOLLIN, true) < 0) {
		free(c->rbuf);
		free(c);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->san->conns, c, link);
	return c;
}

static void portal_event(struct san_io *io, uint32_t events)
{
	struct san_portal *p = (struct san_portal *)io;
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	char ip[INET6_ADDRSTRLEN] = "?";
	struct san_conn *c;
	uint16_t port;
	int fd;

	(void)events;
	fd = accept4(io->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	c = conn_new(p, fd);
	if (!c) {
		close(fd);
		return;
	}
	if (ss.ss_family == AF_INET6) {
		struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &s6->sin6_addr, ip, sizeof ip);
		port = ntohs(s6->sin6_port);
	} else {
		struct sockaddr_in *s4 = (struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &s4->sin_addr, ip, sizeof ip);
		port = ntohs(s4->sin_port);
	}
	snprintf(c->peer, sizeof c->peer, "%s:%u", ip, port);
	if (io->san->hang_new) {
		c->hung = true;
		san_conn_rearm(c);
	}
}

int san_portal_listen(struct san_portal *p)
{
	struct sockaddr_in s4 = {.sin_family = AF_INET, .sin_port = htons(p->port)};
	struct sockaddr_in6 s6 = {.sin6_family = AF_INET6, .sin6_port = htons(p->port)};
	struct sockaddr *sa = p->v6 ? (struct sockaddr *)&s6 : (struct sockaddr *)&s4;
	socklen_t len = p->v6 ? sizeof s6 : sizeof s4;
	int one = 1, rc;

	p->io.cb = portal_event;
	rc = p->v6 ? inet_pton(AF_INET6, p->addr, &s6.sin6_addr)
		   : inet_pton(AF_INET, p->addr, &s4.sin_addr);
	if (rc != 1)
		return -EINVAL;
	p->io.fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->io.fd < 0)
		return -errno;
	(void)setsockopt(p->io.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(p->io.fd, sa, len) < 0 || listen(p->io.fd, 128) < 0 ||
	    getsockname(p->io.fd, sa, &len) < 0 ||
	    san_watch(p->io.san, &p->io, EPOLLIN, true) < 0) {
		rc = -errno;
		san_portal_close(p);
		return rc;
	}
	p->port = ntohs(p->v6 ? s6.sin6_port : s4.sin_port); /* port 0 took a free one */
	return 0;
}

void san_portal_close(struct san_portal *p)
{
	if (p->io.fd >= 0)
		close(p->io.fd);
	p->io.fd = -1;
}
