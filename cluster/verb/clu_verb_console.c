/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_console.c - relays a VM's console between an operator and the VM's hvcore, here or
 * (through the agent there) on another node. The bytes pass unread.
 */
#include "config.h"

#include "cluster/verb/clu_verb_console.h"

#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_member.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_where.h"

#define CONSOLE_QUEUE_MAX (1u << 20)

struct clu_relay {
	struct clu_relay *next;
	struct clu_agent *agent;
	struct px_req *q;	/* the operator's request; NULL once it is gone */
	struct px_client *core; /* our own connection to hvcore or the peer */
	uint32_t remote_id;
};

static void relay_free(void *arg)
{
	free(arg);
}

static void relay_end(struct clu_relay *k)
{
	for (struct clu_relay **p = &k->agent->relays; *p; p = &(*p)->next)
		if (*p == k) {
			*p = k->next;
			break;
		}
	px_client_close(k->core);
	cm_loop_defer(k->agent->loop, relay_free, k);
}

static void relay_data(struct px_client *c, const Hv__Data *d, void *arg)
{
	struct clu_relay *k = arg;
	Hv__Data out = *d;

	(void)c;
	if (!k->q || !k->q->chan || px_chan_pending(k->q->chan) > CONSOLE_QUEUE_MAX)
		return; /* an operator who does not read misses output; the log has it */
	out.id = k->q->id;
	px_chan_send(k->q->chan, PX_DATA, &out);
}

static void relay_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_relay *k = arg;

	if (r && r->more) {
		if (k->q)
			px_req_progress(k->q, r->doc);
		return;
	}
	if (k->q) {
		struct px_req *q = k->q;

		k->q = NULL;
		q->gone = NULL;
		if (err->code)
			px_req_fail(q, err);
		else
			px_req_ok(q, r->doc);
	}
	relay_end(k);
}

static void relay_gone(struct px_req *q)
{
	struct clu_relay *k = q->work;

	k->q = NULL;
	px_req_ok(q, NULL); /* frees it; its channel is gone */
	relay_end(k);
}

void clu_verb_console_input(struct clu_agent *a, struct px_chan *from, const Hv__Data *d)
{
	for (struct clu_relay *k = a->relays; k; k = k->next)
		if (k->q && k->q->chan == from && k->q->id == d->id) {
			Hv__Data out = *d;

			out.id = k->remote_id;
			px_client_send_data(k->core, &out);
			return;
		}
}

void clu_verb_console(struct px_req *q, void *agent)
{
	static const struct px_client_ops ops = {.data = relay_data};
	struct clu_agent *a = agent;
	const char *node = clu_where_node(a, q->msg->vm);
	bool local = strcmp(node, a->node) == 0;
	struct cm_err err = CM_ERR_INIT;
	struct clu_relay *k;
	struct px_ask ask;
	char path[192];

	if (!*node || (!local && px_chan_peer_name(q->chan)[0])) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s does not run", q->msg->vm);
		return;
	}
	k = calloc(1, sizeof *k);
	CM_ASSERT(k);
	k->agent = a;
	k->q = q;
	if (local) {
		clu_vm_socket(a->conf, q->msg->vm, path, sizeof path);
		k->core = px_client_unix(a->loop, path, &a->self, &ops, k, &err);
	} else {
		k->core = px_client_tls(a->loop, clu_member_address(node, a),
					(uint16_t)a->conf->peer_port, a->tls, node, &a->self, &ops,
					k, &err);
	}
	if (!k->core) {
		px_req_fail(q, &err);
		free(k);
		return;
	}
	q->work = k;
	q->gone = relay_gone;
	k->next = a->relays;
	a->relays = k;
	px_ask_init(&ask, "console", q->msg->vm);
	px_client_call(k->core, &ask.req, 0, relay_answer, k);
	k->remote_id = ask.req.id;
}
