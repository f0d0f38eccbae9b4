/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_conn.c - who is connected to this agent, and their requests.
 *
 * Operators and the OCF agent come by the UNIX socket (its mode and group decide who may connect;
 * verbs marked admin are for root); agents of other nodes by mutual TLS. Knows no verb by name: the
 * tables are handed in. Parses nothing itself.
 */
#include "config.h"

#include "cluster/clu_conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_event.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_log.h"

#define CONNS_MAX 256u

struct conn {
	struct conn *next;
	struct clu_agent *agent;
	struct px_chan *chan;
	struct px_reqs reqs;
	bool peer;
	struct waiting *waiting; /* in order */
};

/* A request that waits for a picture of the cluster that is not older than itself. */
struct waiting {
	struct waiting *next;
	struct px_msg msg;
	uint64_t number; /* of the first picture that is not older */
};

struct clu_conns {
	const struct clu_conn_table *table;
	struct conn *first;
};

struct clu_conns *clu__conns_new(const struct clu_conn_table *table)
{
	struct clu_conns *all = calloc(1, sizeof *all);

	CM_ASSERT(all);
	all->table = table;
	return all;
}

static void conn_drop(struct conn *k)
{
	struct clu_agent *a = k->agent;

	for (struct conn **p = &a->conns->first; *p; p = &(*p)->next)
		if (*p == k) {
			*p = k->next;
			break;
		}
	while (k->waiting) {
		struct waiting *w = k->waiting;

		k->waiting = w->next;
		px_msg_free(&w->msg);
		free(w);
	}
	clu_events_unfollow(a->events, k->chan);
	px_reqs_gone(&k->reqs);
	free(k);
}

static const struct clu_verb *verb_find(const struct clu_verbs *in, const char *name)
{
	for (size_t i = 0; i < in->n; i++)
		if (strcmp(in->rows[i].row.name, name) == 0)
			return &in->rows[i];
	return NULL;
}

/* NULL: there is none for this one. */
static const struct clu_verb *conn_verb(const struct conn *k, const char *name)
{
	const struct clu_conn_table *t = k->agent->conns->table;
	const struct clu_verb *v = verb_find(&t->operators, name);

	return v ? v : verb_find(k->peer ? &t->peers : &t->ocf, name);
}

static void conn_run(struct conn *k, struct px_msg *m)
{
	const Hv__Request *r = m->msg;
	const struct clu_verb *v = conn_verb(k, r->verb);

	px_verbs_run(v ? &v->row : NULL, v ? 1 : 0, NULL, 0, k->chan, &k->reqs, m, k->agent);
}

/* Verbs that look at VMs, nodes or volumes must not answer from a picture that is older than the
 * question. A start looks for its volumes, and pacemaker may be faster than the picture. */
static bool conn_needs_picture(const struct conn *k, const Hv__Request *r)
{
	const struct clu_verb *v = k->agent->pcmk ? conn_verb(k, r->verb) : NULL;

	return v && v->looks;
}

void clu__conns_fresh(struct clu_agent *a)
{
	struct conn *next;

	for (struct conn *k = a->conns->first; k; k = next) {
		struct waiting *list = k->waiting;

		next = k->next;
		k->waiting = NULL;
		while (list) {
			struct waiting *w = list;

			if (w->number >
			    clu_pcmk_last_number(a->pcmk)) { /* this and all after it came later */
				k->waiting = list;
				break;
			}
			list = w->next;
			conn_run(k, &w->msg);
			px_msg_free(&w->msg);
			free(w);
		}
	}
}

static void conn_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct conn *k = arg;

	if (m->type == PX_DATA) {
		k->agent->conns->table->data(k->agent, c, m->msg);
	} else if (m->type != PX_REQUEST) {
		cm_warning("a %s sent a %s", k->peer ? "peer" : "client",
			   px_type_name((uint16_t)m->type));
	} else if (conn_needs_picture(k, m->msg)) {
		struct waiting *w = calloc(1, sizeof *w), **end = &k->waiting;

		CM_ASSERT(w);
		w->msg = *m;
		w->number = clu_pcmk_next_number(k->agent->pcmk);
		m->msg = NULL;
		while (*end)
			end = &(*end)->next;
		*end = w;
		clu_pcmk_refresh(k->agent->pcmk);
	} else {
		conn_run(k, m);
	}
}

static void conn_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	(void)c;
	if (code != CM_E_PROTO_CLOSED)
		cm_debug("connection: %s", text);
	conn_drop(arg);
}

static const struct px_chan_ops conn_ops = {.message = conn_message, .closed = conn_closed};

static void conn_accept(struct clu_agent *a, int fd, bool peer)
{
	struct conn *k;
	unsigned n = 0;

	for (k = a->conns->first; k; k = k->next)
		n++;
	k = n < CONNS_MAX ? calloc(1, sizeof *k) : NULL;
	if (!k) {
		cm_warning("too many connections: one was refused");
		close(fd);
		return;
	}
	k->agent = a;
	k->peer = peer;
	k->next = a->conns->first;
	a->conns->first = k;
	k->chan = peer ? px_chan_new_tls(a->loop, fd, a->tls, true, NULL, &a->self, &conn_ops, k)
		       : px_chan_new(a->loop, fd, &a->self, &conn_ops, k);
}

void clu__conn_accept(struct px_server *s, int fd, void *agent)
{
	(void)s;
	conn_accept(agent, fd, false);
}

void clu__conn_accept_peer(struct px_server *s, int fd, void *agent)
{
	(void)s;
	conn_accept(agent, fd, true);
}

void clu__conns_free(struct clu_agent *a)
{
	while (a->conns->first) {
		struct conn *k = a->conns->first;

		px_chan_close(k->chan);
		conn_drop(k);
	}
	free(a->conns);
	a->conns = NULL;
}
