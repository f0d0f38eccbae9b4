/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_core.h - one simulated hvcore: the product's devices, lease, takeover and moves around a simulated guest, put
 * together as hvcore/ does it.
 *
 * Ownership: of the world; product objects in it go with the process. What an agent asks of it runs in its process, by
 * sim_core_ask.
 */
#ifndef SIM_CORE_H
#define SIM_CORE_H

#include "fencing/fen_takeover.h"
#include "hvcore/hv_disks.h"
#include "hvcore/hv_owner.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"
#include "tests/sim/cluster/sim_guest.h"
#include "tests/sim/cluster/sim_oracle.h"
#include "tests/sim/cluster/sim_proc.h"

enum sim_mode { SIM_RUN = 1, SIM_RELEASE, SIM_LAND };

struct sim_proof { /* as Hv__Proof */
	bool given;
	char node[8], evidence[FEN_EVIDENCE_MAX];
	struct stor_uuid boot;
	uint64_t epoch;
};

/* Who has the block, as a refused start tells it. */
struct sim_held {
	char node[STOR_NODE_NAME];
	struct stor_uuid boot;
	uint32_t pid;
	uint64_t epoch;
};

/* The devices of a process: what takes the place of hvcore/hv_disks.h. */
struct hv_disks {
	struct stor_dev *dev[SIM_LUNS];
	unsigned n, ready, open;
	uint16_t host_slot;
	uint64_t offset_bytes;
};

struct sim_core {
	struct sim_proc *proc;
	struct sim_node *node;
	unsigned vm;
	enum sim_mode mode;
	struct sim_proof proof;
	uint64_t ticket_epoch; /* of a landing */
	struct sim_node *source;

	struct hv_disks disks;
	struct hv_owner *owner;
	struct hv_vm *guest;
	struct fen_takeover *taking;
	struct mig_src *src;
	struct mig_dst *dst;
	struct sim_core *peer; /* of the move */
	bool peer_lost, told;
	bool owned, ending, release, answered, mig_ending, gone;
	bool landing; /* it has come to land and does not own the VM yet */
	uint64_t watch_ns; /* hvwatchdogd kills it then, by the node's clock; 0: not watched */
	struct sim_held held;

	/* Once, in the agent's process: 0 it runs (or has let go), or why not. */
	void (*answer)(struct sim_core *core, int rc, void *arg);
	void *arg;
	struct sim_proc *agent;
	int rc;
	/* When it has ended, from the world. */
	void (*ended)(struct sim_core *core);
};

extern uint32_t sim_t_ms;
extern unsigned sim_vm_luns[SIM_VMS];
extern bool sim_watchdog; /* every node has one */

/* Told of each one that starts; set by the faults. */
extern void (*sim_core_starts)(struct sim_core *c);

struct sim_core *sim_core_new(struct sim_node *node, unsigned vm, enum sim_mode mode);
/* After it has been filled. */
void sim_core_start(struct sim_core *c);
/* In its process: */
void sim_core_end(struct sim_core *c, bool release);
void sim_core_end_go(struct sim_core *c);
void sim_core_answer(struct sim_core *c, int rc);
/* Everything is open, and a lease is there. */
void sim_core_landed(struct sim_core *c);
/* fn(c) in its process, after the time of a message. */
void sim_core_ask(struct sim_core *c, void (*fn)(void *core));

#endif
