/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_conn.h - the connections to this agent, and what they may ask: tables that whoever wires the
 * agent hands in.
 *
 * Thread: [loop]. Ownership: the agent's (a->conns); a request lives on when its connection went.
 */
#ifndef CLU_CONN_H
#define CLU_CONN_H

#include "proto/px_req.h"

struct clu_agent;
struct clu_conns;

struct clu_verb {
	struct px_verb row;
	bool looks; /* at VMs, nodes or volumes: needs a picture as new as the question */
};

struct clu_verbs {
	const struct clu_verb *rows;
	size_t n;
};

struct clu_conn_table {
	struct clu_verbs operators; /* for everybody: agents forward operators' requests */
	struct clu_verbs ocf;	    /* also for those who come by the UNIX socket */
	struct clu_verbs peers;	    /* also for agents of other nodes */
	void (*data)(struct clu_agent *a, struct px_chan *from, const Hv__Data *d);
};

struct clu_conns *clu__conns_new(const struct clu_conn_table *table); /* borrowed */
void clu__conns_free(struct clu_agent *a);
/* px_accept_fn of the two listeners. */
void clu__conn_accept(struct px_server *s, int fd, void *agent);
void clu__conn_accept_peer(struct px_server *s, int fd, void *agent);
/* A new picture came (or none can be had): questions that waited for it are answered. */
void clu__conns_fresh(struct clu_agent *a);

#endif
