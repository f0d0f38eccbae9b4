/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_client.c - requests in flight of one channel. Parses replies of a server by px_chan only.
 */
#include "config.h"

#include "proto/px_client.h"

#include <stdlib.h>
#include <string.h>

struct client_call {
	struct client_call *next;
	struct px_client *client;
	struct cm_timer timer;
	uint32_t id;
	unsigned timeout_ms;
	px_answer_fn done; /* NULL: forgotten */
	void *arg;
};

struct px_client {
	struct cm_loop *loop;
	struct px_chan *chan;
	const struct px_client_ops *ops;
	void *arg;
	struct client_call *calls;
	uint32_t last_id;
	bool closing;
	unsigned busy; /* callbacks on the stack */
	bool lingers;  /* frees itself at the end of the connection */
	struct cm_err why;
};

static void client_free(void *arg)
{
	free(arg);
}

static struct client_call *call_take(struct px_client *c, uint32_t id)
{
	for (struct client_call **p = &c->calls; *p; p = &(*p)->next)
		if ((*p)->id == id) {
			struct client_call *k = *p;

			*p = k->next;
			return k;
		}
	return NULL;
}

/* The final answer of a call that was taken off the list. */
static void call_answer(struct client_call *k, const Hv__Reply *r, const struct cm_err *err)
{
	cm_timer_fini(&k->timer);
	if (k->done)
		k->done(r, err, k->arg);
	free(k);
}

static void client_fail_all(struct px_client *c, const struct cm_err *err)
{
	struct client_call *k;

	while ((k = c->calls)) {
		c->calls = k->next;
		call_answer(k, NULL, err);
	}
}

static void client_closed(struct px_chan *chan, int code, const char *text, void *arg)
{
	struct px_client *c = arg;

	(void)chan;
	c->chan = NULL;
	cm_err_set(&c->why, code ? code : CM_E_PROTO_CLOSED, "%s", text);
	c->busy++;
	client_fail_all(c, &c->why);
	if (!c->closing && c->ops && c->ops->closed)
		c->ops->closed(c, &c->why, c->arg);
	c->busy--;
	if (c->closing || c->lingers)
		cm_loop_defer(c->loop, client_free, c);
}

static void client_reply(struct px_client *c, const Hv__Reply *r)
{
	struct cm_err err = CM_ERR_INIT;
	struct client_call *k;

	if (r->code)
		cm_err_set(&err, r->code, "%s",
			   r->error && r->error[0] ? r->error : cm_err_text(r->code));
	if (r->more) {
		for (k = c->calls; k; k = k->next)
			if (k->id == r->id)
				break;
		if (!k)
			return;
		if (k->timeout_ms)
			cm_timer_arm_ms(&k->timer, k->timeout_ms);
		if (k->done)
			k->done(r, &err, k->arg);
		return;
	}
	k = call_take(c, r->id);
	if (k)
		call_answer(k, r, &err);
}

static void client_message(struct px_chan *chan, struct px_msg *m, void *arg)
{
	struct px_client *c = arg;

	(void)chan;
	c->busy++;
	if (m->type == PX_REPLY)
		client_reply(c, m->msg);
	else if (m->type == PX_EVENT && c->ops && c->ops->event)
		c->ops->event(c, m->msg, c->arg);
	else if (m->type == PX_DATA && c->ops && c->ops->data)
		c->ops->data(c, m->msg, c->arg);
	c->busy--;
	if (c->closing && c->busy == 0)
		cm_loop_defer(c->loop, client_free, c);
}

static const struct px_chan_ops client_ops = {.message = client_message, .closed = client_closed};

static struct px_client *client_new(struct cm_loop *loop, const struct px_client_ops *ops,
				    void *arg)
{
	struct px_client *c = calloc(1, sizeof *c);

	CM_ASSERT(c);
	c->loop = loop;
	c->ops = ops;
	c->arg = arg;
	return c;
}

struct px_client *px_client_unix(struct cm_loop *loop, const char *path, const struct px_self *self,
				 const struct px_client_ops *ops, void *arg, struct cm_err *err)
{
	struct px_client *c = client_new(loop, ops, arg);

	c->chan = px_chan_connect_unix(loop, path, self, &client_ops, c, err);
	if (c->chan)
		return c;
	free(c);
	return NULL;
}

struct px_client *px_client_tls(struct cm_loop *loop, const char *address, uint16_t port,
				struct px_tls *tls, const char *expect, const struct px_self *self,
				const struct px_client_ops *ops, void *arg, struct cm_err *err)
{
	struct px_client *c = client_new(loop, ops, arg);

	c->chan = px_chan_connect_tls(loop, address, port, tls, expect, self, &client_ops, c, err);
	if (c->chan)
		return c;
	free(c);
	return NULL;
}

static void call_timeout(struct cm_timer *t, void *arg)
{
	struct client_call *k = arg;
	struct px_client *c = k->client;
	struct cm_err err = CM_ERR_INIT;

	(void)t;
	cm_err_set(&err, CM_E_TIMEOUT, "no answer within %u ms", k->timeout_ms);
	k = call_take(c, k->id);
	CM_ASSERT(k);
	c->busy++;
	call_answer(k, NULL, &err);
	c->busy--;
	if (c->closing && c->busy == 0)
		cm_loop_defer(c->loop, client_free, c);
}

struct late_fail {
	px_answer_fn done;
	void *arg;
	struct cm_err err;
};

static void call_fail_late(void *arg)
{
	struct late_fail *l = arg;

	l->done(NULL, &l->err, l->arg);
	free(l);
}

void px_client_call(struct px_client *c, Hv__Request *req, unsigned timeout_ms, px_answer_fn done,
		    void *arg)
{
	struct client_call *k;
	int rc;

	if (++c->last_id == 0)
		++c->last_id;
	req->id = c->last_id;
	rc = c->chan ? px_chan_send(c->chan, PX_REQUEST, req) : CM_E_PROTO_CLOSED;
	if (rc) {
		struct late_fail *l = calloc(1, sizeof *l);

		CM_ASSERT(l);
		l->done = done;
		l->arg = arg;
		cm_err_set(&l->err, rc, "%s: %s", req->verb,
			   c->why.code ? c->why.text : cm_err_text(rc));
		cm_loop_defer(c->loop, call_fail_late, l);
		return;
	}
	k = calloc(1, sizeof *k);
	CM_ASSERT(k);
	*k = (struct client_call){.client = c,
				  .id = req->id,
				  .timeout_ms = timeout_ms,
				  .done = done,
				  .arg = arg,
				  .next = c->calls};
	c->calls = k;
	cm_timer_init(&k->timer, c->loop, call_timeout, k);
	if (timeout_ms)
		cm_timer_arm_ms(&k->timer, timeout_ms);
}

void px_client_forget(struct px_client *c, void *arg)
{
	for (struct client_call *k = c->calls; k; k = k->next)
		if (k->arg == arg)
			k->done = NULL;
}

int px_client_send_data(struct px_client *c, const Hv__Data *d)
{
	return c->chan ? px_chan_send(c->chan, PX_DATA, d) : CM_E_PROTO_CLOSED;
}

bool px_client_alive(const struct px_client *c)
{
	return c->chan != NULL;
}

struct px_chan *px_client_chan(struct px_client *c)
{
	return c->chan;
}

void px_client_close(struct px_client *c)
{
	struct client_call *k;

	if (!c || c->closing)
		return;
	c->closing = true;
	while ((k = c->calls)) {
		c->calls = k->next;
		cm_timer_fini(&k->timer);
		free(k);
	}
	if (c->chan)
		px_chan_close(c->chan);
	c->chan = NULL;
	if (c->busy == 0)
		cm_loop_defer(c->loop, client_free, c);
}

void px_client_linger(struct px_client *c)
{
	if (!c || c->closing)
		return;
	if (!c->chan) { /* all calls have failed already */
		px_client_close(c);
		return;
	}
	c->ops = NULL;
	c->lingers = true;
}
