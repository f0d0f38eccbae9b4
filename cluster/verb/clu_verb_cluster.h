/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_cluster.h - the cluster as a whole, events, host check. Thread: [loop].
 */
#ifndef CLU_VERB_CLUSTER_H
#define CLU_VERB_CLUSTER_H

struct px_req;

void clu_verb_cluster_status(struct px_req *q, void *agent);
void clu_verb_events(struct px_req *q, void *agent);
void clu_verb_host_check(struct px_req *q, void *agent);

#endif
