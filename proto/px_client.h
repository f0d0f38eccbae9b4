/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_client.h - the asking side of a channel: many requests at a time, each with its own callback.
 *
 * Every call gets its final answer exactly once: a reply of the server, or (r NULL) the error that
 * ended the connection. Progress replies (r->more) come before. After px_client_close nothing is
 * called.
 *
 * Thread: [loop]. Ownership: a client is freed by px_client_close; when the connection ends by
 * itself the client stays (all calls fail at once) until it is closed.
 */
#ifndef PX_CLIENT_H
#define PX_CLIENT_H

#include "proto/px_chan.h"

struct px_client;
struct px_tls;

/* r: borrowed; NULL if there will be none. err: why (also set when r->code is not 0, with r's
 * text). */
typedef void (*px_answer_fn)(const Hv__Reply *r, const struct cm_err *err, void *arg);

struct px_client_ops {
	void (*event)(struct px_client *c, const Hv__Event *e, void *arg); /* may be NULL */
	void (*data)(struct px_client *c, const Hv__Data *d, void *arg);   /* may be NULL */
	void (*closed)(struct px_client *c, const struct cm_err *err,
		       void *arg); /* may be NULL; once */
};

struct px_client *px_client_unix(struct cm_loop *loop, const char *path, const struct px_self *self,
				 const struct px_client_ops *ops, void *arg, struct cm_err *err);
struct px_client *px_client_tls(struct cm_loop *loop, const char *address, uint16_t port,
				struct px_tls *tls, const char *expect, const struct px_self *self,
				const struct px_client_ops *ops, void *arg, struct cm_err *err);
/* req is sent at once and not kept; its id is set here. timeout_ms without a word: CM_E_TIMEOUT; 0
 * none. */
void px_client_call(struct px_client *c, Hv__Request *req, unsigned timeout_ms, px_answer_fn done,
		    void *arg);
/* The answers of calls with this arg will not be told any more. */
void px_client_forget(struct px_client *c, void *arg);
int px_client_send_data(struct px_client *c, const Hv__Data *d);
bool px_client_alive(const struct px_client *c);
struct px_chan *px_client_chan(struct px_client *c); /* NULL if dead */
void px_client_close(struct px_client *c);
/* The server's process has ended: what it sent before is read still, calls without an answer fail when the connection
 * ends, then the client frees itself. Takes c (NULL: nothing). */
void px_client_linger(struct px_client *c);

#endif
