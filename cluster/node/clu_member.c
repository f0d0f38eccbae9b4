/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_member.c - the members of the cluster as corosync tells of them. Decides nothing about VMs:
 * what a loss means for moves and proofs is told to others (struct clu_member_ops). Parses nothing.
 */
#include "config.h"

#include "cluster/node/clu_member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_corosync.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_peer.h"
#include "cluster/node/clu_quorum.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"

#define LOST_MAX 64u

/* When a node was last seen to leave the membership. */
struct lost {
	char node[64];
	uint64_t wall_s;
};

struct clu_members {
	const struct clu_member_ops *ops;
	uint64_t started_wall_s;
	struct lost lost[LOST_MAX];
	unsigned n_lost;
	char name[CLU_COROSYNC_NODES][64];
	unsigned n;
	struct clu_quorum quorum;
	struct cm_timer beat;
};

static void member_beat(struct clu_members *m)
{
	if (clu_quorum_beat(&m->quorum, cm_wall_ns() / CM_NS_PER_S))
		cm_notice("this process stood still: what pacemaker says of earlier fencings does not count here any more");
}

static void member_beats(struct cm_timer *t, void *arg)
{
	member_beat(arg);
	cm_timer_arm_ms(t, CLU_QUORUM_BEAT_MS);
}

struct clu_members *clu_members_new(struct clu_agent *a, const struct clu_member_ops *ops)
{
	struct clu_members *m = calloc(1, sizeof *m);

	CM_ASSERT(m);
	cm_timer_init(&m->beat, a->loop, member_beats, m);
	cm_timer_arm_ms(&m->beat, 0);
	m->ops = ops;
	m->started_wall_s = cm_wall_ns() / CM_NS_PER_S;
	return m;
}

void clu_members_free(struct clu_members *m)
{
	if (m)
		cm_timer_fini(&m->beat);
	free(m);
}

/* --- questions ----------------------------------------------------------- */

const char *clu_member_address(const char *node, void *agent)
{
	struct clu_agent *a = agent;
	const struct clu_corosync_node *n;

	if (strcmp(node, a->node) == 0 && a->conf->peer_address[0])
		return a->conf->peer_address;
	n = a->corosync ? clu_corosync_find_name(a->corosync, node) : NULL;
	return n && n->address[0][0] ? n->address[0] : NULL;
}

bool clu_member_is(const struct clu_agent *a, const char *node)
{
	const struct clu_members *m = a->members;

	for (unsigned i = 0; i < m->n; i++)
		if (strcmp(m->name[i], node) == 0)
			return true;
	return false;
}

uint64_t clu_member_lost_wall_s(const struct clu_agent *a, const char *node)
{
	const struct clu_members *m = a->members;

	for (unsigned i = 0; i < m->n_lost; i++)
		if (strcmp(m->lost[i].node, node) == 0)
			return m->lost[i].wall_s;
	return m->started_wall_s;
}

bool clu_member_fencing_counts(struct clu_agent *a, const char *node, uint64_t fenced_wall_s)
{
	member_beat(a->members); /* its timer may come later in this turn */
	if (fenced_wall_s > cm_wall_ns() / CM_NS_PER_S) /* from before a clock was set back */
		return false;
	return clu_quorum_fencing_counts(&a->members->quorum, clu_member_lost_wall_s(a, node), fenced_wall_s);
}

int clu_member_need_quorum(const struct clu_agent *a, struct cm_err *err)
{
	if (!a->pcmk)
		return 0;
	if (!clu_corosync_is_up(a->corosync))
		return cm_err_set(err, CM_E_NO_CLUSTER, "corosync does not run on node %s",
				  a->node);
	if (!clu_corosync_is_quorate(a->corosync))
		return cm_err_set(err, CM_E_NO_QUORUM, "node %s is in a partition without quorum",
				  a->node);
	if (!clu_pcmk_picture(a->pcmk))
		return cm_err_set(err, CM_E_NO_CLUSTER,
				  "pacemaker does not answer on node %s (yet)", a->node);
	return 0;
}

/* --- what corosync tells ------------------------------------------------- */

static void member_lost(struct clu_agent *a, const char *name)
{
	struct clu_members *m = a->members;
	char node[64];
	unsigned i;

	/* name lies in the table that is about to change */
	snprintf(node, sizeof node, "%s", name);
	for (i = 0; i < m->n_lost; i++)
		if (strcmp(m->lost[i].node, node) == 0)
			break;
	if (i == LOST_MAX)
		i = 0;
	else if (i == m->n_lost)
		m->n_lost++;
	memcpy(m->lost[i].node, node, sizeof node);
	m->lost[i].wall_s = cm_wall_ns() / CM_NS_PER_S;
	clu_event(a->events, CLU_WARNING, "node-lost", NULL, NULL, "node %s left the membership",
		  node);
	if (a->peers)
		clu_peers_lost(a->peers, node);
	if (m->ops->lost)
		m->ops->lost(a, node);
	clu_pcmk_refresh(a->pcmk);
}

static void member_joined(struct clu_agent *a, const char *node)
{
	clu_event(a->events, CLU_NOTICE, "node-joined", NULL, NULL, "node %s is a member", node);
	if (a->members->ops->joined)
		a->members->ops->joined(a, node);
}

static void member_quorum(bool quorate, const uint32_t *ids, size_t n, void *agent)
{
	struct clu_agent *a = agent;
	struct clu_members *m = a->members;
	char now[CLU_COROSYNC_NODES][64];
	unsigned n_now = 0;

	for (size_t i = 0; i < n && n_now < CLU_COROSYNC_NODES; i++) {
		const struct clu_corosync_node *node = clu_corosync_find_id(a->corosync, ids[i]);

		if (node)
			snprintf(now[n_now++], sizeof now[0], "%s", node->name);
	}
	for (unsigned i = 0; i < m->n; i++) {
		bool still = false;

		for (unsigned j = 0; j < n_now; j++)
			still |= strcmp(now[j], m->name[i]) == 0;
		if (!still)
			member_lost(a, m->name[i]);
	}
	for (unsigned j = 0; j < n_now; j++)
		if (!clu_member_is(a, now[j]))
			member_joined(a, now[j]);
	memcpy(m->name, now, sizeof now);
	m->n = n_now;
	if (clu_quorum_note(&m->quorum, quorate, cm_wall_ns() / CM_NS_PER_S))
		clu_event(a->events, quorate ? CLU_NOTICE : CLU_ERROR, "quorum", NULL, NULL,
			  quorate ? "this partition has quorum" : "this partition has lost quorum");
}

static void member_up(void *agent)
{
	struct clu_agent *a = agent;
	const struct clu_corosync_node *n =
		clu_corosync_find_id(a->corosync, clu_corosync_local_id(a->corosync));

	if (n && !a->conf->node[0] && strcmp(n->name, a->node) != 0) {
		snprintf(a->node, sizeof a->node, "%s", n->name);
		cm_notice("this node is %s", a->node);
	}
}

static void member_down(const struct cm_err *err, void *agent)
{
	struct clu_agent *a = agent;

	cm_warning("corosync: %s", err->text);
	clu_quorum_note(&a->members->quorum, false, cm_wall_ns() / CM_NS_PER_S);
}

const struct clu_corosync_ops clu_member_corosync_ops = {
	.up = member_up,
	.down = member_down,
	.quorum = member_quorum,
};
