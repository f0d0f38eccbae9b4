/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_call.c - one blocking request. Parses replies of a server by px_chan only.
 */
#include "config.h"

#include "proto/px_call.h"

#include <string.h>

struct call {
	struct cm_loop *loop;
	struct cm_timer timer;
	struct px_chan *chan;
	Hv__Request *req;
	unsigned timeout_ms;
	const struct px_call_hooks *hooks;
	Hv__Reply *reply;
	struct cm_err err;
};

static void call_stop(struct call *k)
{
	cm_loop_stop(k->loop, 0);
}

static void call_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct call *k = arg;

	(void)c;
	if (k->timeout_ms)
		cm_timer_arm_ms(&k->timer, k->timeout_ms);
	if (m->type == PX_EVENT && k->hooks && k->hooks->event)
		k->hooks->event(m->msg, k->hooks->arg);
	if (m->type == PX_REPLY && !k->reply) {
		Hv__Reply *r = m->msg;

		if (r->id != k->req->id)
			return;
		if (r->more) {
			if (k->hooks && k->hooks->progress)
				k->hooks->progress(r, k->hooks->arg);
			return;
		}
		k->reply = r;
		m->msg = NULL;
		call_stop(k);
	}
}

static void call_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	struct call *k = arg;

	(void)c;
	k->chan = NULL;
	if (!k->reply)
		cm_err_set(&k->err, code ? code : CM_E_PROTO_CLOSED, "no answer: %s", text);
	call_stop(k);
}

static void call_timeout(struct cm_timer *t, void *arg)
{
	struct call *k = arg;

	(void)t;
	cm_err_set(&k->err, CM_E_TIMEOUT, "no answer within %u ms", k->timeout_ms);
	call_stop(k);
}

int px_call(const char *path, const struct px_self *self, Hv__Request *req, unsigned timeout_ms,
	    const struct px_call_hooks *hooks, Hv__Reply **reply, struct cm_err *err)
{
	static const struct px_chan_ops ops = {.message = call_message, .closed = call_closed};
	struct call k = {.req = req, .timeout_ms = timeout_ms, .hooks = hooks};

	*reply = NULL;
	req->id = 1;
	k.loop = cm_loop_new(err);
	if (!k.loop)
		return err ? err->code : CM_E_NO_DAEMON;
	cm_timer_init(&k.timer, k.loop, call_timeout, &k);
	k.chan = px_chan_connect_unix(k.loop, path, self, &ops, &k, &k.err);
	if (k.chan && px_chan_send(k.chan, PX_REQUEST, req))
		cm_err_set(&k.err, CM_E_PROTO_TOO_BIG, "the request is too long");
	if (timeout_ms)
		cm_timer_arm_ms(&k.timer, timeout_ms);
	if (k.err.code == 0)
		cm_loop_run(k.loop);
	if (k.chan)
		px_chan_close(k.chan);
	cm_timer_fini(&k.timer);
	cm_loop_free(k.loop);
	*reply = k.reply;
	if (k.reply)
		return 0;
	return cm_err_set(err, k.err.code ? k.err.code : CM_E_PROTO_CLOSED, "%s",
			  k.err.code ? k.err.text : "no answer");
}
