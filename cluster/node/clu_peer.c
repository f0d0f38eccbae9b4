/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_peer.c - connections to other agents. Parses nothing itself (px_chan does).
 */
#include "config.h"

#include "cluster/node/clu_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"

struct peer {
	struct peer *next;
	struct clu_peers *all;
	char node[64];
	struct px_client *client;
};

struct clu_peers {
	struct cm_loop *loop;
	struct px_tls *tls;
	const struct px_self *self;
	struct px_server *server;
	uint16_t port;
	clu_address_fn address_of;
	void *arg;
	struct peer *peers;
};

struct clu_peers *clu_peers_new(struct cm_loop *loop, struct px_tls *tls,
				const struct px_self *self, const char *address, uint16_t port,
				px_accept_fn accept, clu_address_fn address_of, void *arg,
				struct cm_err *err)
{
	struct clu_peers *p = calloc(1, sizeof *p);

	CM_ASSERT(p);
	*p = (struct clu_peers){.loop = loop,
				.tls = tls,
				.self = self,
				.port = port,
				.address_of = address_of,
				.arg = arg};
	p->server = px_server_tcp(loop, address, port, accept, arg, err);
	if (!p->server) {
		free(p);
		return NULL;
	}
	return p;
}

void clu_peers_free(struct clu_peers *p)
{
	struct peer *q;

	if (!p)
		return;
	while ((q = p->peers)) {
		p->peers = q->next;
		px_client_close(q->client);
		free(q);
	}
	px_server_close(p->server);
	free(p);
}

static void peer_closed(struct px_client *c, const struct cm_err *err, void *arg)
{
	struct peer *q = arg;

	cm_info("agent of %s: %s", q->node, err->text);
	px_client_close(c);
	q->client = NULL;
}

static struct peer *peer_get(struct clu_peers *p, const char *node)
{
	struct peer *q;

	for (q = p->peers; q; q = q->next)
		if (strcmp(q->node, node) == 0)
			return q;
	q = calloc(1, sizeof *q);
	CM_ASSERT(q);
	q->all = p;
	snprintf(q->node, sizeof q->node, "%s", node);
	q->next = p->peers;
	p->peers = q;
	return q;
}

static int peer_connect(struct peer *q, struct cm_err *err)
{
	static const struct px_client_ops ops = {.closed = peer_closed};
	struct clu_peers *p = q->all;
	const char *address;

	if (q->client && px_client_alive(q->client))
		return 0;
	address = p->address_of(q->node, p->arg);
	if (!address)
		return cm_err_set(err, CM_E_NO_NODE, "no node '%s' is configured", q->node);
	q->client =
		px_client_tls(p->loop, address, p->port, p->tls, q->node, p->self, &ops, q, err);
	return q->client ? 0 : err->code;
}

struct peer_fail {
	px_answer_fn done;
	void *arg;
	struct cm_err err;
};

static void peer_failed(void *arg)
{
	struct peer_fail *f = arg;

	f->done(NULL, &f->err, f->arg);
	free(f);
}

void clu_peers_call(struct clu_peers *p, const char *node, Hv__Request *req, unsigned timeout_ms,
		    px_answer_fn done, void *arg)
{
	struct peer *q = peer_get(p, node);
	struct cm_err err = CM_ERR_INIT;

	if (peer_connect(q, &err) == 0) {
		px_client_call(q->client, req, timeout_ms, done, arg);
	} else {
		struct peer_fail *f = calloc(1, sizeof *f);

		CM_ASSERT(f);
		*f = (struct peer_fail){.done = done, .arg = arg, .err = err};
		cm_loop_defer(p->loop, peer_failed, f);
	}
}

void clu_peers_lost(struct clu_peers *p, const char *node)
{
	for (struct peer *q = p->peers; q; q = q->next)
		if (strcmp(q->node, node) == 0 && q->client && px_client_alive(q->client))
			/* A dead node sends no RST: end it here so that waiting questions fail now.
			 */
			px_chan_abort(px_client_chan(q->client), CM_E_NODE_OFFLINE,
				      "the node left the cluster");
}
