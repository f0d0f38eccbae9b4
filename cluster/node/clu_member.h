/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_member.h - who is in the cluster with us: the member nodes by name, when one was lost,
 * whether this partition has quorum, and where a node is reached.
 *
 * Standalone there are no members and nothing needs quorum. Thread: [loop]. Ownership: the agent's.
 */
#ifndef CLU_MEMBER_H
#define CLU_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/node/clu_corosync.h"
#include "common/cm_err.h"

struct clu_agent;
struct clu_members;

/* What others do about it; both may be NULL. */
struct clu_member_ops {
	void (*joined)(struct clu_agent *a, const char *node);
	/* It left the membership: questions to it have failed already. */
	void (*lost)(struct clu_agent *a, const char *node);
};

struct clu_members *clu_members_new(struct clu_agent *a, const struct clu_member_ops *ops); /* both are borrowed */
void clu_members_free(struct clu_members *m);
/* What the adapter to corosync tells goes to a->members; arg: the agent. */
extern const struct clu_corosync_ops clu_member_corosync_ops;

bool clu_member_is(const struct clu_agent *a, const char *node);
/* Wall clock second at which node was seen to leave; the agent's own start if it was never a
 * member since. */
uint64_t clu_member_lost_wall_s(const struct clu_agent *a, const char *node);
/* Is a successful fencing of node at that wall clock second about its life of now (node/clu_quorum.h)? */
bool clu_member_fencing_counts(struct clu_agent *a, const char *node, uint64_t fenced_wall_s);
/* Where the agent of a node is reached; NULL if it is not known. A clu_address_fn. */
const char *clu_member_address(const char *node, void *agent);
/* Refuses work that needs quorum: CM_E_NO_QUORUM or CM_E_NO_CLUSTER; 0 when standalone. */
int clu_member_need_quorum(const struct clu_agent *a, struct cm_err *err);

#endif
