/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_agent.h - hvclusterd: one agent per node. Ties supervisor, adapters, peers and verbs
 * together.
 *
 * Thread: [loop]. Standalone (no corosync, no pacemaker) runs the same code without the adapters.
 */
#ifndef CLU_AGENT_H
#define CLU_AGENT_H

#include "cluster/node/clu_conf.h"
#include "common/cm_loop.h"

struct clu_agent;

/* conf is borrowed. Starts listening; adapters connect in the background. */
struct clu_agent *clu_agent_new(struct cm_loop *loop, const struct clu_conf *conf,
				struct cm_err *err);
void clu_agent_free(struct clu_agent *a); /* VMs live on */

#endif
