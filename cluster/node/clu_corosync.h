/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_corosync.h - the one adapter to corosync: membership of the agents (CPG group "hvcluster"),
 * totally ordered messages between them, quorum, and the list of configured nodes. When corosync dies or
 * is not there yet, it says so and connects again by itself.
 *
 * Thread: [loop]. Ownership: what callbacks get is borrowed for the call. Callbacks may call anything
 * here but clu_corosync_free.
 */
#ifndef CLU_COROSYNC_H
#define CLU_COROSYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_loop.h"

#define CLU_COROSYNC_NODES   128	/* most configured nodes that are looked at */
#define CLU_COROSYNC_LINKS   8
#define CLU_COROSYNC_MSG_MAX (256u << 10) /* longest message */

struct clu_corosync_node {
	uint32_t id;
	char name[64];			      /* as pacemaker names it; "node ID" if none is configured */
	char address[CLU_COROSYNC_LINKS][64]; /* ring addresses as configured, "" = none */
};

/* An agent in the group. A restarted agent is another member (pid counts in its own pid namespace). */
struct clu_corosync_member {
	uint32_t node_id;
	uint32_t pid;
};

enum clu_corosync_reason {
	CLU_COROSYNC_REASON_NONE = 0,
	CLU_COROSYNC_JOINED,
	CLU_COROSYNC_LEFT,	/* the agent left by itself */
	CLU_COROSYNC_NODE_DOWN, /* its node left the membership */
	CLU_COROSYNC_PROC_DOWN, /* the agent died, its node is still there */
};

struct clu_corosync_change {
	struct clu_corosync_member member;
	enum clu_corosync_reason reason;
};

struct clu_corosync_ops {
	/* Connected: nodes and the local id are known; membership and quorum follow. */
	void (*up)(void *arg);
	/* The connection broke or cannot be made; called once per outage. No quorum, no members until up. */
	void (*down)(const struct cm_err *err, void *arg);
	/* The agents now in the group, and what changed. */
	void (*members)(const struct clu_corosync_member *now, size_t n_now,
			const struct clu_corosync_change *change, size_t n_change, void *arg);
	/* A message (our own too), in the same order on every node. Peer data: check it. */
	void (*message)(const struct clu_corosync_member *from, const void *data, size_t len, void *arg);
	/* Quorum or the set of member nodes changed. */
	void (*quorum)(bool quorate, const uint32_t *node_ids, size_t n, void *arg);
};

struct clu_corosync;

/* ops is borrowed. Tries to connect at the next turn of the loop and every retry_ms (0 = 500). */
struct clu_corosync *clu_corosync_new(struct cm_loop *loop, const struct clu_corosync_ops *ops, void *arg,
				      unsigned retry_ms);
/* Another group than "hvcluster", before the loop turns (tests beside a running agent). */
void clu_corosync_set_group(struct clu_corosync *c, const char *name);
/* Leaves the group. Not from a callback. */
void clu_corosync_free(struct clu_corosync *c);
bool clu_corosync_is_up(const struct clu_corosync *c);
bool clu_corosync_is_quorate(const struct clu_corosync *c);
/*
 * Reads what corosync has said and nobody has read yet, and tells it (ops->quorum, ops->down). For who is about to
 * believe in who is a member: after a standstill of this process its timers may come before its descriptors. Not from a callback.
 */
void clu_corosync_look(struct clu_corosync *c);
/* Sends to all members; queued while corosync reorganises. CM_E_NO_CLUSTER when down, -ENOBUFS when too
 * much is queued, -EMSGSIZE. What was queued when the connection breaks is lost. */
int clu_corosync_send(struct clu_corosync *c, const void *data, size_t len);

/* Configured nodes; valid until the next turn of the loop. */
const struct clu_corosync_node *clu_corosync_nodes(const struct clu_corosync *c, size_t *n);
const struct clu_corosync_node *clu_corosync_find_id(const struct clu_corosync *c, uint32_t id);
const struct clu_corosync_node *clu_corosync_find_name(const struct clu_corosync *c, const char *name);
uint32_t clu_corosync_local_id(const struct clu_corosync *c); /* 0 while down */
/* Whether the node is in the current membership. */
bool clu_corosync_is_member(const struct clu_corosync *c, uint32_t id);

#endif
