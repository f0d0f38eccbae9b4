/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_chan.h - a channel: an asynchronous, framed, two-way connection on the event loop, over a UNIX
 * socket or over TCP with mutual TLS 1.3; and servers that accept channels.
 *
 * Both ends send HELLO first; the channel checks versions itself and calls ready when the peer is
 * known. Frames sent before that are queued. A channel that fails is closed by itself: closed is
 * called exactly once, then the memory goes at the end of the loop turn.
 *
 * Thread: everything [loop]. Ownership: px_chan_* returns a channel that lives until closed was
 * called; after that (or after px_chan_close) the pointer is dead.
 */
#ifndef PX_CHAN_H
#define PX_CHAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cm_loop.h"
#include "proto/ctl.pb-c.h"
#include "proto/px_frame.h"

#define PX_VERSION_MIN 1u
#define PX_VERSION_MAX 1u

struct px_chan;
struct px_tls; /* node certificate, key and CA: px_tls.h */

struct px_chan_ops {
	/* The handshake is done; peer is valid for the life of the channel. May be NULL. */
	void (*ready)(struct px_chan *c, void *arg);
	/* One message (never HELLO). It is freed after the call unless the callee sets m->msg to
	 * NULL. */
	void (*message)(struct px_chan *c, struct px_msg *m, void *arg);
	/* The end: code 0 for an orderly one, text for people. Called exactly once; not after
	 * px_chan_close. */
	void (*closed)(struct px_chan *c, int code, const char *text, void *arg);
	/* The output queue became empty (for streams). May be NULL. */
	void (*drained)(struct px_chan *c, void *arg);
};

/* Who we are, for HELLO; strings are borrowed for the channel's life. */
struct px_self {
	const char *program, *node;
};

/* Takes fd (a connected stream socket). */
struct px_chan *px_chan_new(struct cm_loop *loop, int fd, const struct px_self *self,
			    const struct px_chan_ops *ops, void *arg);
/* TLS over fd (taken). server: our role. expect: the name the peer's certificate must carry, NULL
 * any. */
struct px_chan *px_chan_new_tls(struct cm_loop *loop, int fd, struct px_tls *tls, bool server,
				const char *expect, const struct px_self *self,
				const struct px_chan_ops *ops, void *arg);
/* NULL and err on failure (CM_E_NO_DAEMON if nobody listens). */
struct px_chan *px_chan_connect_unix(struct cm_loop *loop, const char *path,
				     const struct px_self *self, const struct px_chan_ops *ops,
				     void *arg, struct cm_err *err);
/* Numeric address. The connection goes on in the background. */
struct px_chan *px_chan_connect_tls(struct cm_loop *loop, const char *address, uint16_t port,
				    struct px_tls *tls, const char *expect,
				    const struct px_self *self, const struct px_chan_ops *ops,
				    void *arg, struct cm_err *err);
/* Queues one message. CM_E_PROTO_CLOSED after the end; CM_E_PROTO_TOO_BIG; -ENOBUFS: the peer does
 * not read. */
int px_chan_send(struct px_chan *c, enum px_type type, const void *msg);
/* Bytes waiting to be sent (throttle streams by it). */
size_t px_chan_pending(const struct px_chan *c);
/* Sends what is queued, then closes (closed is not called any more). */
void px_chan_finish(struct px_chan *c);
/* Ends it now as if the connection had failed: closed is called with code and text. */
void px_chan_abort(struct px_chan *c, int code, const char *text);
/* Closes now, without calling closed. */
void px_chan_close(struct px_chan *c);

/* The peer, once ready: its HELLO; on UNIX sockets its credentials; on TLS the name in its
 * certificate. */
const Hv__Hello *px_chan_peer(const struct px_chan *c);
const char *px_chan_peer_name(const struct px_chan *c); /* "" on UNIX sockets */
bool px_chan_peer_cred(const struct px_chan *c, pid_t *pid, uid_t *uid, gid_t *gid);
const char *px_chan_address(const struct px_chan *c); /* peer's numeric address, "" on UNIX */
void *px_chan_arg(const struct px_chan *c);
void px_chan_set_arg(struct px_chan *c, void *arg);

/* A listener. accept gives the new channel its ops and arg. At most max channels at once. */
struct px_server;
typedef void (*px_accept_fn)(struct px_server *s, int fd, void *arg); /* takes fd */
struct px_server *px_server_unix(struct cm_loop *loop, const char *path, mode_t mode, gid_t gid,
				 px_accept_fn accept, void *arg, struct cm_err *err);
/* Takes a listening descriptor. */
struct px_server *px_server_fd(struct cm_loop *loop, int fd, px_accept_fn accept, void *arg,
			       struct cm_err *err);
/* port 0: any free one; px_server_port tells it. */
struct px_server *px_server_tcp(struct cm_loop *loop, const char *address, uint16_t port,
				px_accept_fn accept, void *arg, struct cm_err *err);
uint16_t px_server_port(const struct px_server *s);
void px_server_close(struct px_server *s); /* unlinks a UNIX path it made */

#endif
