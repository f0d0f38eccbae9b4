/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The adapter to corosync: CPG for the agents' group and messages, quorum for the membership of nodes,
 * cmap for their names and addresses. Any error of the library means that corosync is gone: everything is
 * closed and a timer connects again. Parses corosync's own answers; messages are handed on unread.
 */
#include "config.h"

#include "cluster/node/clu_corosync.h"

#include <corosync/cmap.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS     500u
#define RESEND_MS    5u
#define QUEUE_MAX    (8u << 20) /* bytes that may wait while corosync reorganises */
#define MEMBERS_MAX  CPG_MEMBERS_MAX

struct queued {
	struct queued *next;
	size_t len;
	char data[];
};

struct clu_corosync {
	struct cm_loop *loop;
	const struct clu_corosync_ops *ops;
	void *arg;
	unsigned retry_ms;
	struct cpg_name group;
	struct cm_timer retry, resend;
	struct cm_io cpg_io, quorum_io;
	cpg_handle_t cpg;
	quorum_handle_t quorum;
	bool has_cpg, has_quorum; /* handles are open */
	bool up, told_down, quorate, broken;
	uint32_t local_id;
	struct clu_corosync_node nodes[CLU_COROSYNC_NODES];
	size_t n_nodes;
	uint32_t members[CLU_COROSYNC_NODES]; /* nodes in the membership */
	size_t n_members;
	struct queued *first, **last;
	size_t queued_bytes;
};

static void disconnect(struct clu_corosync *c)
{
	if (c->has_cpg) {
		cm_io_fini(&c->cpg_io);
		cpg_finalize(c->cpg);
	}
	if (c->has_quorum) {
		cm_io_fini(&c->quorum_io);
		quorum_finalize(c->quorum);
	}
	c->has_cpg = c->has_quorum = false;
	cm_timer_disarm(&c->resend);
	while (c->first) {
		struct queued *q = c->first;

		c->first = q->next;
		free(q);
	}
	c->last = &c->first;
	c->queued_bytes = 0;
	c->up = c->quorate = c->broken = false;
	c->n_members = 0;
	c->local_id = 0;
}

static void lost(struct clu_corosync *c, const char *what, cs_error_t cs)
{
	struct cm_err err = CM_ERR_INIT;
	bool told = c->told_down;

	cm_err_set(&err, CM_E_NO_CLUSTER, "corosync does not answer on this node (%s: %s)", what, cs_strerror(cs));
	disconnect(c);
	c->told_down = true;
	cm_timer_arm_ms(&c->retry, c->retry_ms);
	if (!told && c->ops->down)
		c->ops->down(&err, c->arg);
}

/* --- callbacks of the libraries --------------------------------------------------------------- */
static enum clu_corosync_reason reason_of(uint32_t cs)
{
	switch (cs) {
	case CPG_REASON_JOIN:
	case CPG_REASON_NODEUP:
		return CLU_COROSYNC_JOINED;
	case CPG_REASON_LEAVE:
		return CLU_COROSYNC_LEFT;
	case CPG_REASON_NODEDOWN:
		return CLU_COROSYNC_NODE_DOWN;
	case CPG_REASON_PROCDOWN:
		return CLU_COROSYNC_PROC_DOWN;
	default:
		return CLU_COROSYNC_REASON_NONE;
	}
}

static void on_confchg(cpg_handle_t h, const struct cpg_name *name, const struct cpg_address *now, size_t n_now,
		       const struct cpg_address *left, size_t n_left, const struct cpg_address *joined,
		       size_t n_joined)
{
	struct clu_corosync_member members[MEMBERS_MAX];
	struct clu_corosync_change changes[MEMBERS_MAX * 2];
	struct clu_corosync *c = NULL;
	size_t n = 0;

	(void)name;
	if (cpg_context_get(h, (void **)&c) != CS_OK || !c || !c->ops->members)
		return;
	n_now = CM_MIN(n_now, (size_t)MEMBERS_MAX);
	for (size_t i = 0; i < n_now; i++)
		members[i] = (struct clu_corosync_member){now[i].nodeid, now[i].pid};
	for (size_t i = 0; i < n_left && n < CM_ARRAY_LEN(changes); i++)
		changes[n++] = (struct clu_corosync_change){{left[i].nodeid, left[i].pid},
							    reason_of(left[i].reason)};
	for (size_t i = 0; i < n_joined && n < CM_ARRAY_LEN(changes); i++)
		changes[n++] = (struct clu_corosync_change){{joined[i].nodeid, joined[i].pid},
							    reason_of(joined[i].reason)};
	c->ops->members(members, n_now, changes, n, c->arg);
}

static void on_deliver(cpg_handle_t h, const struct cpg_name *name, uint32_t node_id, uint32_t pid, void *msg,
		       size_t len)
{
	struct clu_corosync_member from = {node_id, pid};
	struct clu_corosync *c = NULL;

	(void)name;
	if (cpg_context_get(h, (void **)&c) == CS_OK && c && c->ops->message)
		c->ops->message(&from, msg, len, c->arg);
}

static void on_quorum(quorum_handle_t h, uint32_t quorate, struct quorum_ring_id ring, uint32_t n,
		      const uint32_t *view)
{
	struct clu_corosync *c = NULL;
	const void *context = NULL;

	(void)ring;
	if (quorum_context_get(h, &context) != CS_OK || !context)
		return;
	memcpy(&c, &context, sizeof c);
	c->n_members = CM_MIN((size_t)n, CM_ARRAY_LEN(c->members));
	memcpy(c->members, view, c->n_members * sizeof c->members[0]);
	c->quorate = quorate != 0;
	if (c->up && c->ops->quorum)
		c->ops->quorum(c->quorate, c->members, c->n_members, c->arg);
}

static void on_nodelist(quorum_handle_t h, struct quorum_ring_id ring, uint32_t n, const uint32_t *view,
			uint32_t n_joined, const uint32_t *joined, uint32_t n_left, const uint32_t *left)
{
	(void)h;
	(void)ring;
	(void)n;
	(void)view;
	(void)n_joined;
	(void)joined;
	(void)n_left;
	(void)left;
}

static void on_cpg_io(struct cm_io *io, unsigned events, void *arg)
{
	struct clu_corosync *c = arg;
	cs_error_t cs = cpg_dispatch(c->cpg, CS_DISPATCH_ALL);

	(void)io;
	(void)events;
	if (cs != CS_OK && cs != CS_ERR_TRY_AGAIN)
		lost(c, "group", cs);
}

static void on_quorum_io(struct cm_io *io, unsigned events, void *arg)
{
	struct clu_corosync *c = arg;
	cs_error_t cs = quorum_dispatch(c->quorum, CS_DISPATCH_ALL);

	(void)io;
	(void)events;
	if (cs != CS_OK && cs != CS_ERR_TRY_AGAIN)
		lost(c, "quorum", cs);
}

void clu_corosync_look(struct clu_corosync *c)
{
	if (c->up)
		on_quorum_io(&c->quorum_io, CM_READ, c);
}

/* --- connecting ------------------------------------------------------------------------------- */
/* nodelist.node.INDEX.{nodeid,name,ring0_addr..} into c->nodes. */
static cs_error_t read_nodes(struct clu_corosync *c)
{
	char key[CMAP_KEYNAME_MAXLEN + 1], *text = NULL;
	cmap_handle_t h;
	cs_error_t cs = cmap_initialize(&h);

	if (cs != CS_OK)
		return cs;
	c->n_nodes = 0;
	for (unsigned i = 0; i < CLU_COROSYNC_NODES; i++) {
		struct clu_corosync_node *n = &c->nodes[c->n_nodes];
		uint32_t id = 0;

		snprintf(key, sizeof key, "nodelist.node.%u.nodeid", i);
		if (cmap_get_uint32(h, key, &id) != CS_OK)
			break;
		memset(n, 0, sizeof *n);
		n->id = id;
		snprintf(key, sizeof key, "nodelist.node.%u.name", i);
		if (cmap_get_string(h, key, &text) == CS_OK) {
			snprintf(n->name, sizeof n->name, "%s", text);
			free(text);
		} else {
			snprintf(n->name, sizeof n->name, "node %u", id);
		}
		for (unsigned link = 0; link < CLU_COROSYNC_LINKS; link++) {
			snprintf(key, sizeof key, "nodelist.node.%u.ring%u_addr", i, link);
			if (cmap_get_string(h, key, &text) != CS_OK)
				continue;
			snprintf(n->address[link], sizeof n->address[link], "%s", text);
			free(text);
		}
		c->n_nodes++;
	}
	cmap_finalize(h);
	return CS_OK;
}

static cs_error_t open_quorum(struct clu_corosync *c, const char **what)
{
	quorum_model_v1_data_t model = {.model = QUORUM_MODEL_V1,
					.quorum_notify_fn = on_quorum,
					.nodelist_notify_fn = on_nodelist};
	uint32_t type = 0;
	cs_error_t cs;
	int fd = -1;

	*what = "quorum";
	cs = quorum_model_initialize(&c->quorum, QUORUM_MODEL_V1, (quorum_model_data_t *)&model, &type, c);
	if (cs != CS_OK)
		return cs;
	c->has_quorum = true;
	cs = quorum_fd_get(c->quorum, &fd);
	if (cs == CS_OK)
		cs = quorum_trackstart(c->quorum, CS_TRACK_CURRENT | CS_TRACK_CHANGES);
	cm_io_init(&c->quorum_io, c->loop, fd, on_quorum_io, c);
	if (cs == CS_OK && cm_io_want(&c->quorum_io, CM_READ) != 0)
		cs = CS_ERR_NO_RESOURCES;
	return cs;
}

static cs_error_t open_cpg(struct clu_corosync *c, const char **what)
{
	cpg_model_v1_data_t model = {.model = CPG_MODEL_V1,
				     .cpg_deliver_fn = on_deliver,
				     .cpg_confchg_fn = on_confchg};
	cs_error_t cs;
	int fd = -1;

	*what = "group";
	cs = cpg_model_initialize(&c->cpg, CPG_MODEL_V1, (cpg_model_data_t *)&model, c);
	if (cs != CS_OK)
		return cs;
	c->has_cpg = true;
	cs = cpg_fd_get(c->cpg, &fd);
	if (cs == CS_OK)
		cs = cpg_local_get(c->cpg, &c->local_id);
	if (cs == CS_OK)
		cs = cpg_join(c->cpg, &c->group);
	cm_io_init(&c->cpg_io, c->loop, fd, on_cpg_io, c);
	if (cs == CS_OK && cm_io_want(&c->cpg_io, CM_READ) != 0)
		cs = CS_ERR_NO_RESOURCES;
	return cs;
}

static void on_retry(struct cm_timer *t, void *arg)
{
	struct clu_corosync *c = arg;
	const char *what = "node list";
	cs_error_t cs = read_nodes(c);

	(void)t;
	if (cs == CS_OK)
		cs = open_quorum(c, &what);
	if (cs == CS_OK)
		cs = open_cpg(c, &what);
	if (cs != CS_OK) {
		lost(c, what, cs);
		return;
	}
	c->up = true;
	c->told_down = false;
	if (c->ops->up)
		c->ops->up(c->arg);
}

/* --- sending ---------------------------------------------------------------------------------- */
/* 0 sent, -EAGAIN, or lost (then everything is closed already). */
static int send_one(struct clu_corosync *c, const void *data, size_t len)
{
	union {
		const void *in;
		void *out;
	} plain = {.in = data}; /* the library's iovec is not const; it does not write */
	struct iovec iov = {.iov_base = plain.out, .iov_len = len};
	cs_error_t cs = cpg_mcast_joined(c->cpg, CPG_TYPE_AGREED, &iov, 1);

	if (cs == CS_OK)
		return 0;
	if (cs == CS_ERR_TRY_AGAIN || cs == CS_ERR_INTERRUPT)
		return -EAGAIN;
	c->broken = true;
	return CM_E_NO_CLUSTER;
}

static void on_resend(struct cm_timer *t, void *arg)
{
	struct clu_corosync *c = arg;
	int rc = 0;

	(void)t;
	if (c->broken) {
		lost(c, "send", CS_ERR_LIBRARY);
		return;
	}
	while (c->first && rc == 0) {
		struct queued *q = c->first;

		rc = send_one(c, q->data, q->len);
		if (rc != 0)
			break;
		c->first = q->next;
		if (!c->first)
			c->last = &c->first;
		c->queued_bytes -= q->len;
		free(q);
	}
	if (rc == -EAGAIN)
		cm_timer_arm_ms(&c->resend, RESEND_MS);
	else if (rc != 0)
		lost(c, "send", CS_ERR_LIBRARY);
}

int clu_corosync_send(struct clu_corosync *c, const void *data, size_t len)
{
	struct queued *q;
	int rc;

	if (len > CLU_COROSYNC_MSG_MAX)
		return -EMSGSIZE;
	if (!c->up || c->broken)
		return CM_E_NO_CLUSTER;
	rc = c->first ? -EAGAIN : send_one(c, data, len);
	if (rc == CM_E_NO_CLUSTER)
		cm_timer_arm_ms(&c->resend, 0); /* tells `down` from the loop */
	if (rc != -EAGAIN)
		return rc;
	if (c->queued_bytes + len > QUEUE_MAX)
		return -ENOBUFS;
	q = malloc(sizeof *q + len);
	if (!q)
		return -ENOMEM;
	q->next = NULL;
	q->len = len;
	memcpy(q->data, data, len);
	*c->last = q;
	c->last = &q->next;
	c->queued_bytes += len;
	if (!c->resend.armed)
		cm_timer_arm_ms(&c->resend, RESEND_MS);
	return 0;
}

/* --- life and questions ----------------------------------------------------------------------- */
struct clu_corosync *clu_corosync_new(struct cm_loop *loop, const struct clu_corosync_ops *ops, void *arg,
				      unsigned retry_ms)
{
	struct clu_corosync *c = calloc(1, sizeof *c);

	CM_ASSERT(c != NULL);
	c->loop = loop;
	c->ops = ops;
	c->arg = arg;
	c->retry_ms = retry_ms ? retry_ms : RETRY_MS;
	c->last = &c->first;
	clu_corosync_set_group(c, "hvcluster");
	cm_timer_init(&c->retry, loop, on_retry, c);
	cm_timer_init(&c->resend, loop, on_resend, c);
	cm_timer_arm_ms(&c->retry, 0);
	return c;
}

void clu_corosync_set_group(struct clu_corosync *c, const char *name)
{
	size_t len = strlen(name);

	CM_ASSERT(len > 0 && len < sizeof c->group.value && !c->has_cpg);
	c->group.length = (uint32_t)len;
	memcpy(c->group.value, name, len);
}

void clu_corosync_free(struct clu_corosync *c)
{
	if (!c)
		return;
	if (c->up)
		cpg_leave(c->cpg, &c->group);
	disconnect(c);
	cm_timer_fini(&c->retry);
	cm_timer_fini(&c->resend);
	free(c);
}

bool clu_corosync_is_up(const struct clu_corosync *c)
{
	return c->up;
}

bool clu_corosync_is_quorate(const struct clu_corosync *c)
{
	return c->up && c->quorate;
}

const struct clu_corosync_node *clu_corosync_nodes(const struct clu_corosync *c, size_t *n)
{
	*n = c->n_nodes;
	return c->nodes;
}

const struct clu_corosync_node *clu_corosync_find_id(const struct clu_corosync *c, uint32_t id)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (c->nodes[i].id == id)
			return &c->nodes[i];
	return NULL;
}

const struct clu_corosync_node *clu_corosync_find_name(const struct clu_corosync *c, const char *name)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (strcmp(c->nodes[i].name, name) == 0)
			return &c->nodes[i];
	return NULL;
}

uint32_t clu_corosync_local_id(const struct clu_corosync *c)
{
	return c->local_id;
}

bool clu_corosync_is_member(const struct clu_corosync *c, uint32_t id)
{
	for (size_t i = 0; i < c->n_members; i++)
		if (c->members[i] == id)
			return true;
	return false;
}
