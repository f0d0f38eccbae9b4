/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_proc.h - nodes with a clock of their own, and the processes on them.
 *
 * A node's clock runs a little too fast or too slow, and goes on while its processes stand still; only a hypervisor's
 * pause stops it. A process that is killed runs no line of code more: its memory, timers and calls are gone.
 */
#ifndef SIM_PROC_H
#define SIM_PROC_H

#include "sharedstorage/dev/stor_uuid.h"
#include "tests/sim/cluster/sim_mem.h"
#include "tests/sim/cluster/sim_world.h"

#define SIM_NODES 5

struct cm_loop;
struct sim_proc;
TAILQ_HEAD(sim_procs, sim_proc);

struct sim_node {
	char name[8];
	unsigned index; /* host slot: index + 1 */
	bool on, frozen, paused; /* frozen: no process runs; paused: by its hypervisor, the clock stands still too */
	bool san_cut;
	unsigned blind; /* pauses that no clock of it shows */
	uint64_t blind_ns; /* the last of them ended */
	uint64_t lbase, gbase, ahead;
	uint64_t went_on_ns; /* the last freeze or pause ended; in the world's time */
	int ppm;
	int64_t skew_ns; /* of its wall clock */
	struct stor_uuid boot;
	struct sim_procs procs;
	void *agent; /* sim_agent.h */
};

struct sim_proc {
	TAILQ_ENTRY(sim_proc) link;
	struct sim_node *node;
	const char *name;
	uint32_t pid;
	bool alive, stopped; /* stopped: SIGSTOP */
	uint64_t stopped_ns;
	struct cm_loop *loop;
	struct sim_blocks mem;
	struct sim_event **held;
	size_t nheld, capheld;
	/* What the kernel and others see of its end; called outside of it. */
	void (*died)(struct sim_proc *proc, void *arg);
	void *arg;
};

extern struct sim_node sim_nodes[SIM_NODES];
extern unsigned sim_nnodes;
extern struct sim_proc *sim_self; /* whose code runs; NULL: nobody's */

void sim_nodes_begin(unsigned n);
uint64_t sim_local(const struct sim_node *node);	     /* its clock of now */
uint64_t sim_when(const struct sim_node *node, uint64_t local_ns); /* in the world's time, if nothing stops it */
/* It was paused a moment ago, and nothing on it can know that: what it decides on its old picture is not promised. */
bool sim_was_blind(const struct sim_node *node);
uint64_t sim_wall_s(const struct sim_node *node);

struct sim_proc *sim_spawn(struct sim_node *node, const char *name, void (*main)(void *arg), void *arg);
/* At once, from outside of it. */
void sim_kill(struct sim_proc *proc);
/* From inside: it ends when this turn is over. */
void sim_exit(void);
bool sim_stands(const struct sim_proc *proc);
/* SIGSTOP, SIGCONT. */
void sim_stop(struct sim_proc *proc, bool stop);
void sim_freeze(struct sim_node *node, bool freeze);
/* The pause by a hypervisor; shown: another clock tells of it afterwards. */
void sim_pause(struct sim_node *node, bool pause, bool shown);
void sim_power_off(struct sim_node *node);
void sim_power_on(struct sim_node *node);
/* fn(arg) as code of that process, now. */
void sim_in(struct sim_proc *proc, void (*fn)(void *arg), void *arg);
/* True: it is kept until its process runs again. */
bool sim_dispatch(struct sim_event *ev);
/* Told when somebody may run again that could not. */
extern void (*sim_woke)(struct sim_node *node);

#endif
