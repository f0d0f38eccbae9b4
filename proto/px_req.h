/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_req.h - the two ends of a request: arguments by key, replies, and the table of verbs of a
 * server.
 *
 * A server's verbs are rows {name, arguments, handler}; px_verbs_run finds the row, refuses unknown
 * verbs and unknown arguments with a clear line, and calls the handler. The handler answers now or
 * later, once (plus progress replies before), through the struct px_req it was given.
 *
 * Thread: [loop]. Ownership: a px_req lives until its final reply; if the channel goes first,
 * replies go nowhere and `gone` (if set) is called so that long work can stop.
 */
#ifndef PX_REQ_H
#define PX_REQ_H

#include "proto/px_chan.h"

struct px_req;
typedef void (*px_verb_fn)(struct px_req *q, void *ctx);

struct px_verb {
	const char *name;
	const char *args; /* accepted keys, space separated; "vm" and "node" = those fields are
			     required */
	px_verb_fn fn;
	bool admin; /* only root and our own uid */
};

struct px_req {
	struct px_chan *chan; /* NULL once the channel is gone */
	const Hv__Request *msg;
	uint32_t id;
	void (*gone)(struct px_req *q); /* set by a handler that works for long */
	void *work;			/* handler's */
	struct px_msg owned;
	struct px_reqs *list;
	struct px_req *next, **prev;
};

/* Requests in flight of one channel; embed it beside the channel. */
struct px_reqs {
	struct px_req *first;
};

/* Takes the message m (PX_REQUEST). extra: a second table, or NULL. */
void px_verbs_run(const struct px_verb *verbs, size_t n, const struct px_verb *extra,
		  size_t n_extra, struct px_chan *c, struct px_reqs *reqs, struct px_msg *m,
		  void *ctx);
/* The channel closed: detaches all requests, calls their gone. */
void px_reqs_gone(struct px_reqs *reqs);

/* Value of an argument; NULL if it was not given. */
const char *px_req_arg(const struct px_req *q, const char *key);
/* Number with optional suffix K, M, G, T (powers of 1024); dflt if it was not given.
 * CM_E_BAD_VALUE. */
int px_req_u64(const struct px_req *q, const char *key, uint64_t dflt, uint64_t min, uint64_t max,
	       uint64_t *out, struct cm_err *err);
bool px_req_flag(const struct px_req *q, const char *key); /* "1", "yes", "true" */

/* Final replies; q is gone afterwards. */
void px_req_ok(struct px_req *q, const char *json_doc); /* doc may be NULL */
void px_req_fail(struct px_req *q, const struct cm_err *err);
void px_req_failf(struct px_req *q, int code, const char *fmt, ...) cm_printf(3, 4);
void px_req_reply(struct px_req *q, Hv__Reply *r); /* fills id; the message stays the caller's */
/* Progress. */
void px_req_progress(struct px_req *q, const char *json_doc);
void px_req_tell(struct px_req *q, Hv__Reply *r); /* fills id and more; the message stays the caller's */

/* For the asking side: allocation-free building of requests on the stack. */
struct px_ask {
	Hv__Request req;
	Hv__Arg arg[16];
	Hv__Arg *args[16];
};
void px_ask_init(struct px_ask *a, const char *verb, const char *vm); /* strings are borrowed */
void px_ask_arg(struct px_ask *a, const char *key, const char *value);

/* Parses "512M" and the like. 0, or CM_E_BAD_VALUE. */
int px_parse_size(const char *text, uint64_t *out);

#endif
