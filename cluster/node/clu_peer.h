/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_peer.h - talking to the agents of other nodes over mutual TLS 1.3.
 *
 * A peer is known by its node name, which its certificate must carry; its address comes from
 * corosync's node list. Connections are made when needed and kept.
 *
 * Thread: [loop]. Ownership: a channel accepted here belongs to the acceptor's ops.
 */
#ifndef CLU_PEER_H
#define CLU_PEER_H

#include "proto/px_client.h"
#include "proto/px_tls.h"

struct clu_peers;

/* Address of a node, or NULL if it is not known. Borrowed for the call. */
typedef const char *(*clu_address_fn)(const char *node, void *arg);

/* tls is borrowed. Listens on address:port; accept as in px_server (the acceptor makes the TLS
 * channel). */
struct clu_peers *clu_peers_new(struct cm_loop *loop, struct px_tls *tls,
				const struct px_self *self, const char *address, uint16_t port,
				px_accept_fn accept, clu_address_fn address_of, void *arg,
				struct cm_err *err);
void clu_peers_free(struct clu_peers *p);
/* Asks a node's agent. Answers as px_client_call. */
void clu_peers_call(struct clu_peers *p, const char *node, Hv__Request *req, unsigned timeout_ms,
		    px_answer_fn done, void *arg);
/* The node left: its connection is closed, questions to it fail now. */
void clu_peers_lost(struct clu_peers *p, const char *node);

#endif
