/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_chan.c - framed channels over UNIX sockets and TLS. Moves bytes and checks HELLO; what
 * messages mean is the owner's business. Parses bytes of any peer, by px_frame_get only.
 *
 * States: CONNECTING (TCP) -> TLS (handshake) -> HELLO -> OPEN -> CLOSED. Memory is freed at the
 * fixed point of the loop turn in which it closed.
 */
#include "config.h"

#include "proto/px_chan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/px_tls.h"

#define CHAN_IN_LIMIT	  ((8u << 20) + PX_HEADER_BYTES)
#define CHAN_OUT_LIMIT	  (32u << 20)
#define CHAN_HANDSHAKE_MS 10000u
#define CHAN_READ_CHUNK	  65536u

enum chan_state { CHAN_INVALID, CHAN_CONNECTING, CHAN_TLS, CHAN_HELLO, CHAN_OPEN, CHAN_CLOSED };

struct px_chan {
	struct cm_loop *loop;
	struct cm_io io;
	struct cm_timer timer; /* for the handshake */
	enum chan_state state;
	const struct px_self *self;
	const struct px_chan_ops *ops;
	void *arg;
	struct px__tls_conn *tls;
	struct cm_buf in, out; /* plain bytes received; wire bytes to send */
	struct cm_buf early;   /* frames sent before OPEN on a TLS channel: plain bytes */
	Hv__Hello *peer;
	char peer_name[128], address[INET6_ADDRSTRLEN];
	struct ucred cred;
	int fd;
	bool finishing;
};

static void chan_event(struct cm_io *io, unsigned events, void *arg);

static void chan_free(void *arg)
{
	struct px_chan *c = arg;

	if (c->peer)
		hv__hello__free_unpacked(c->peer, NULL);
	px__tls_conn_free(c->tls);
	cm_buf_fini(&c->in);
	cm_buf_fini(&c->out);
	cm_buf_fini(&c->early);
	cm_timer_fini(&c->timer);
	close(c->fd);
	free(c);
}

void px_chan_close(struct px_chan *c)
{
	if (c->state == CHAN_CLOSED)
		return;
	c->state = CHAN_CLOSED;
	cm_timer_disarm(&c->timer);
	cm_io_close(&c->io, chan_free, c);
}

static void chan_fail(struct px_chan *c, int code, const char *text)
{
	if (c->state == CHAN_CLOSED)
		return;
	px_chan_close(c);
	if (!c->finishing && c->ops->closed)
		c->ops->closed(c, code, text, c->arg);
}

void px_chan_abort(struct px_chan *c, int code, const char *text)
{
	chan_fail(c, code, text);
}

static void chan_timeout(struct cm_timer *t, void *arg)
{
	(void)t;
	chan_fail(arg, CM_E_TIMEOUT, "the peer did not complete the handshake");
}

static void chan_want(struct px_chan *c)
{
	if (c->state != CHAN_CLOSED)
		cm_io_want(&c->io,
			   CM_READ | (c->out.len || c->state == CHAN_CONNECTING ? CM_WRITE : 0));
}

/* Moves what TLS wants to put on the wire to out. */
static void chan_pull_tls(struct px_chan *c)
{
	uint8_t chunk[16384];
	size_t n;

	while (c->tls && (n = px__tls_wire(c->tls, chunk, sizeof chunk)) > 0)
		cm_buf_put(&c->out, chunk, n);
}

static void chan_flush(struct px_chan *c)
{
	size_t sent = 0;

	while (sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + sent, c->out.len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0) {
			/* What the peer had still to say may be in the socket: the read side will
			 * tell. */
			c->out.len = 0;
			sent = 0;
			if (c->finishing)
				px_chan_close(c);
			break;
		}
		sent += (size_t)n;
	}
	if (sent)
		cm_buf_consume(&c->out, sent);
	if (c->finishing && c->out.len == 0)
		px_chan_close(c);
	chan_want(c);
}

static int chan_put(struct px_chan *c, const uint8_t *data, size_t n)
{
	if (!c->tls) {
		cm_buf_put(&c->out, data, n);
	} else {
		int rc = px__tls_write(c->tls, data, n);

		if (rc)
			return rc;
		chan_pull_tls(c);
	}
	return c->out.err ? -ENOBUFS : 0;
}

static int chan_send_raw(struct px_chan *c, enum px_type type, const void *msg)
{
	struct cm_buf frame;
	int rc;

	if (!c->tls)
		return px_frame_put(&c->out, type, msg);
	cm_buf_init(&frame, CHAN_IN_LIMIT);
	rc = px_frame_put(&frame, type, msg);
	if (rc == 0)
		rc = chan_put(c, frame.data, frame.len);
	cm_buf_fini(&frame);
	return rc;
}

static void chan_send_hello(struct px_chan *c)
{
	Hv__Hello h = HV__HELLO__INIT;

	h.min_version = PX_VERSION_MIN;
	h.max_version = PX_VERSION_MAX;
	h.program = (char *)(uintptr_t)c->self->program;
	h.release = (char *)(uintptr_t)PACKAGE_VERSION;
	h.node = (char *)(uintptr_t)(c->self->node ? c->self->node : "");
	chan_send_raw(c, PX_HELLO, &h);
}

int px_chan_send(struct px_chan *c, enum px_type type, const void *msg)
{
	int rc;

	if (c->state == CHAN_CLOSED || c->finishing)
		return CM_E_PROTO_CLOSED;
	if (c->tls && c->state < CHAN_HELLO)
		rc = px_frame_put(&c->early, type, msg);
	else
		rc = chan_send_raw(c, type, msg);
	if (rc == 0 && c->state >= CHAN_HELLO)
		chan_want(c);
	if (rc == CM_E_PROTO_TOO_BIG && (c->out.err || c->early.err)) {
		c->out.err = c->early.err = 0;
		rc = -ENOBUFS;
	}
	return rc;
}

size_t px_chan_pending(const struct px_chan *c)
{
	return c->out.len + c->early.len;
}

void px_chan_finish(struct px_chan *c)
{
	if (c->state == CHAN_CLOSED)
		return;
	c->finishing = true;
	if (c->state != CHAN_CONNECTING)
		chan_flush(c);
}

static void chan_hello(struct px_chan *c, struct px_msg *m)
{
	Hv__Hello *h = m->msg;

	if (h->min_version > PX_VERSION_MAX || h->max_version < PX_VERSION_MIN) {
		chan_fail(c, CM_E_PROTO_VERSION, "the peer speaks no common version");
		return;
	}
	c->peer = h;
	m->msg = NULL;
	c->state = CHAN_OPEN;
	cm_timer_disarm(&c->timer);
	if (c->ops->ready)
		c->ops->ready(c, c->arg);
}

static void chan_message(struct px_chan *c, struct px_msg *m)
{
	if (c->state == CHAN_HELLO) {
		if (m->type == PX_HELLO)
			chan_hello(c, m);
		else
			chan_fail(c, CM_E_PROTO, "the peer did not begin with HELLO");
	} else if (m->type == PX_HELLO) {
		chan_fail(c, CM_E_PROTO, "a second HELLO");
	} else if (!c->finishing) {
		c->ops->message(c, m, c->arg);
	}
	px_msg_free(m);
}

static void chan_parse(struct px_chan *c)
{
	size_t at = 0;

	while (c->state != CHAN_CLOSED) {
		struct px_msg m;
		size_t used;
		int rc = px_frame_get(c->in.data + at, c->in.len - at, &used, &m);

		if (rc) {
			chan_fail(c, rc, cm_err_text(rc));
			return;
		}
		if (!used)
			break;
		at += used;
		chan_message(c, &m);
	}
	if (at && c->state != CHAN_CLOSED)
		cm_buf_consume(&c->in, at);
}

static void chan_tls_done(struct px_chan *c)
{
	px__tls_peer_name(c->tls, c->peer_name, sizeof c->peer_name);
	c->state = CHAN_HELLO;
	chan_send_hello(c);
	if (c->early.len)
		chan_put(c, c->early.data, c->early.len);
	cm_buf_fini(&c->early);
}

/* Takes wire bytes in; plain bytes land in c->in. False: the channel failed. */
static bool chan_take_tls(struct px_chan *c, const uint8_t *wire, size_t n, bool *end)
{
	struct cm_err err = CM_ERR_INIT;
	size_t got;
	int rc = px__tls_feed(c->tls, wire, n);

	if (rc == 0 && c->state == CHAN_TLS) {
		rc = px__tls_handshake(c->tls, &err);
		chan_pull_tls(c);
		if (rc < 0) {
			chan_flush(c); /* the alert, best effort */
			chan_fail(c, rc, err.text);
			return false;
		}
		if (rc == 0)
			return true;
		chan_tls_done(c);
		rc = 0;
	}
	do {
		uint8_t *p = cm_buf_reserve(&c->in, CHAN_READ_CHUNK);

		if (!p) {
			chan_fail(c, CM_E_PROTO_TOO_BIG, "too much unread input");
			return false;
		}
		got = 0;
		if (rc == 0)
			rc = px__tls_read(c->tls, p, CHAN_READ_CHUNK, &got, end);
		cm_buf_commit(&c->in, got);
	} while (rc == 0 && got > 0 && !*end);
	if (rc) {
		chan_fail(c, CM_E_TLS, "the TLS record layer failed");
		return false;
	}
	return true;
}

static void chan_readable(struct px_chan *c)
{
	uint8_t chunk[CHAN_READ_CHUNK];
	bool end = false;
	ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		chan_fail(c, n == 0 ? CM_E_PROTO_CLOSED : -errno,
			  n == 0 ? "the peer closed the connection" : strerror(errno));
		return;
	}
	if (c->tls) {
		if (!chan_take_tls(c, chunk, (size_t)n, &end))
			return;
	} else {
		cm_buf_put(&c->in, chunk, (size_t)n);
	}
	if (c->in.err) {
		chan_fail(c, CM_E_PROTO_TOO_BIG, "too much unread input");
		return;
	}
	chan_parse(c);
	if (end)
		chan_fail(c, CM_E_PROTO_CLOSED, "the peer closed the connection");
}

static void chan_connected(struct px_chan *c)
{
	int e = 0;
	socklen_t n = sizeof e;
	struct cm_err err = CM_ERR_INIT;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
		e = errno;
	if (e) {
		chan_fail(c, -e, strerror(e));
		return;
	}
	c->state = CHAN_TLS;
	px__tls_handshake(c->tls, &err);
	chan_pull_tls(c);
}

static void chan_event(struct cm_io *io, unsigned events, void *arg)
{
	struct px_chan *c = arg;
	bool had = c->out.len > 0;

	(void)io;
	if (events & CM_WRITE && c->state == CHAN_CONNECTING)
		chan_connected(c);
	if (events & CM_WRITE && c->state != CHAN_CLOSED)
		chan_flush(c);
	if (events & CM_READ && c->state > CHAN_CONNECTING && c->state != CHAN_CLOSED)
		chan_readable(c);
	if (c->state == CHAN_CLOSED)
		return;
	if (had && c->out.len == 0 && c->state == CHAN_OPEN && c->ops->drained)
		c->ops->drained(c, c->arg);
	if (c->state != CHAN_CLOSED)
		chan_want(c);
}

static struct px_chan *chan_new(struct cm_loop *loop, int fd, const struct px_self *self,
				const struct px_chan_ops *ops, void *arg)
{
	struct px_chan *c = calloc(1, sizeof *c);
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;
	int one = 1;

	CM_ASSERT(c);
	c->loop = loop;
	c->fd = fd;
	c->self = self;
	c->ops = ops;
	c->arg = arg;
	c->cred.pid = -1;
	cm_buf_init(&c->in, CHAN_IN_LIMIT + CHAN_READ_CHUNK);
	cm_buf_init(&c->out, CHAN_OUT_LIMIT);
	cm_buf_init(&c->early, CHAN_OUT_LIMIT);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (getpeername(fd, (struct sockaddr *)&sa, &n) == 0) {
		if (sa.ss_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)&sa)->sin_addr, c->address,
				  sizeof c->address);
		else if (sa.ss_family == AF_INET6)
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&sa)->sin6_addr, c->address,
				  sizeof c->address);
		if (sa.ss_family != AF_UNIX)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	cm_io_init(&c->io, loop, fd, chan_event, c);
	cm_timer_init(&c->timer, loop, chan_timeout, c);
	cm_timer_arm_ms(&c->timer, CHAN_HANDSHAKE_MS);
	return c;
}

struct px_chan *px_chan_new(struct cm_loop *loop, int fd, const struct px_self *self,
			    const struct px_chan_ops *ops, void *arg)
{
	struct px_chan *c = chan_new(loop, fd, self, ops, arg);
	socklen_t n = sizeof c->cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &n) < 0)
		c->cred.pid = -1;
	c->state = CHAN_HELLO;
	chan_send_hello(c);
	chan_want(c);
	return c;
}

struct px_chan *px_chan_new_tls(struct cm_loop *loop, int fd, struct px_tls *tls, bool server,
				const char *expect, const struct px_self *self,
				const struct px_chan_ops *ops, void *arg)
{
	struct px_chan *c = chan_new(loop, fd, self, ops, arg);

	c->tls = px__tls_conn_new(tls, server, expect);
	CM_ASSERT(c->tls);
	/* A client waits until it is connected (a connected socket is writable at once). */
	c->state = server ? CHAN_TLS : CHAN_CONNECTING;
	chan_want(c);
	return c;
}

struct px_chan *px_chan_connect_unix(struct cm_loop *loop, const char *path,
				     const struct px_self *self, const struct px_chan_ops *ops,
				     void *arg, struct cm_err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof un.sun_path) {
		cm_err_set(err, CM_E_BAD_VALUE, "socket path is too long: %s", path);
		return NULL;
	}
	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof un) < 0) {
		int e = errno;

		if (fd >= 0)
			close(fd);
		if (e == EACCES || e == EPERM)
			cm_err_set(err, CM_E_DENIED, "no permission to talk to %s", path);
		else
			cm_err_set(err, CM_E_NO_DAEMON, "nobody listens on %s: %s", path,
				   strerror(e));
		return NULL;
	}
	return px_chan_new(loop, fd, self, ops, arg);
}

static socklen_t chan_sockaddr(const char *address, uint16_t port, struct sockaddr_storage *sa)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof *sa);
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof *in;
	}
	if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		return sizeof *in6;
	}
	return 0;
}

struct px_chan *px_chan_connect_tls(struct cm_loop *loop, const char *address, uint16_t port,
				    struct px_tls *tls, const char *expect,
				    const struct px_self *self, const struct px_chan_ops *ops,
				    void *arg, struct cm_err *err)
{
	struct sockaddr_storage sa;
	socklen_t n = chan_sockaddr(address, port, &sa);
	int fd;

	if (!n) {
		cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no numeric address", address);
		return NULL;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)) {
		cm_err_set(err, -errno, "cannot connect to %s port %u: %s", address, port,
			   strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	return px_chan_new_tls(loop, fd, tls, false, expect, self, ops, arg);
}

const Hv__Hello *px_chan_peer(const struct px_chan *c)
{
	return c->peer;
}

const char *px_chan_peer_name(const struct px_chan *c)
{
	return c->peer_name;
}

bool px_chan_peer_cred(const struct px_chan *c, pid_t *pid, uid_t *uid, gid_t *gid)
{
	if (c->tls || c->cred.pid < 0)
		return false;
	if (pid)
		*pid = c->cred.pid;
	if (uid)
		*uid = c->cred.uid;
	if (gid)
		*gid = c->cred.gid;
	return true;
}

const char *px_chan_address(const struct px_chan *c)
{
	return c->address;
}

void *px_chan_arg(const struct px_chan *c)
{
	return c->arg;
}

void px_chan_set_arg(struct px_chan *c, void *arg)
{
	c->arg = arg;
}
