/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_agent.h - one simulated hvclusterd: what it knows of the cluster, its hvcores, starts with a search for a proof
 * (as cluster/vm/clu_start.c and clu_proof.c), deaths (as cluster/clu_dead.c).
 *
 * Ownership: of the world, like its process' calls. Unless said otherwise, functions run in its process.
 */
#ifndef SIM_AGENT_H
#define SIM_AGENT_H

#include "cluster/node/clu_quorum.h"
#include "tests/sim/cluster/sim_core.h"

#define SIM_HISTORY 32

/* An entry of the fencer's history. */
struct sim_fencing {
	unsigned target, delegate;
	uint64_t wall_s; /* by the delegate's clock */
	bool power;	 /* by a switch, and not by fence_hvsan */
};

struct sim_agent {
	struct sim_proc *proc;
	struct sim_node *node;
	bool member[SIM_NODES];
	uint64_t view_ns; /* when it hears of the last one; in the world's time */
	uint64_t started_wall_s, lost_wall_s[SIM_NODES];
	struct clu_quorum quorum;
	struct cm_timer beat;
	struct sim_fencing history[SIM_HISTORY];
	unsigned nhistory;
	struct sim_core *core[SIM_VMS];
};

/* From the world: the node has come up. */
struct sim_agent *sim_agent_new(struct sim_node *node);
struct sim_agent *sim_agent_of(const struct sim_node *node);
/* From the world: what corosync tells next. */
void sim_agent_view(struct sim_agent *a, const bool member[SIM_NODES], bool quorate);
/* From the world: the fencer's history has that, too. */
void sim_agent_history(struct sim_agent *a, const struct sim_fencing *f);

/* From the world: pacemaker's start; done(0) when the VM runs here. */
typedef void (*sim_started_fn)(void *arg, int rc);
void sim_agent_start(struct sim_agent *a, unsigned vm, sim_started_fn done, void *arg);
/* Lets go of what a dead process of this node held. */
void sim_agent_release(struct sim_agent *a, unsigned vm, sim_started_fn done, void *arg);
/* fn(arg) in the agent's process, after the time of a message between those two nodes; never if it is not reached. */
void sim_agent_send(struct sim_agent *from, struct sim_agent *to, void (*fn)(void *arg), void *arg);
/* The latest fencing of that node; NULL none. */
const struct sim_fencing *sim_agent_fenced(const struct sim_agent *a, unsigned target);

#endif
