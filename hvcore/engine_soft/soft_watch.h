/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people may see of a vCPU at work: a trace of blocks and events, samples of hit rates, and
 * all counters by name.
 *
 * A watched vCPU has cpu->observed set and cpu->limit held at 0, so every block comes back to the
 * run loop and is entered through soft_block_at_rip(); nothing that runs between two blocks knows
 * of it, and an unwatched vCPU pays one test of a byte in the run loop. While it is also `probed`,
 * its TLB pointer leads to a set that is always empty, so that every access takes the slow path,
 * which then tells whether the real set would have had it.
 *
 * Recording: switched on and off and read [setup] (hv_engine.h); the rest [vcpu].
 */
#ifndef SOFT_WATCH_H
#define SOFT_WATCH_H

#include "hvcore/cpu/hv_engine.h"
#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_mmu.h"

struct soft_watch {
	bool tracing, sampling;
	/* The ring: place of event n is n % size. */
	struct hv_trace_event *ring;
	uint32_t size;
	uint64_t next;	  /* events recorded since it was switched on */
	bool open;	  /* the latest event is a block that still runs ... */
	uint64_t entered; /* ... since this icount */
	/* A window of samples lasts until icount is there; the next one opens at `window`. */
	uint64_t until, window;
	uint64_t seed; /* spreads the windows, so that no loop of the guest beats with them */
	struct soft_tlb none; /* never filled */
};

/* [setup] events: size of the ring, 0 switches it off and keeps what is in it. -ENOMEM. */
int soft_watch_trace(struct soft_cpu *cpu, uint32_t events);
unsigned int soft_watch_events(const struct soft_cpu *cpu, struct hv_trace_event *out,
			       unsigned int max, uint64_t *total);
/* [setup] */
int soft_watch_sample(struct soft_cpu *cpu, bool on);
void soft_watch_free(struct soft_cpu *cpu);

/* The run loop looks around: open or close a window of samples. */
void soft_watch_look(struct soft_cpu *cpu);
/* cpu->observed: a block at cpu->rip is entered; misses: count.block_misses before it was looked
 * for. */
void soft_watch_block(struct soft_cpu *cpu, uint64_t misses);
/* cpu->observed: an exception or interrupt is delivered. */
void soft_watch_event(struct soft_cpu *cpu, const struct soft_pending *p);
/* cpu->probed: an access that the TLB has (hit) or not. */
void soft_watch_access(struct soft_cpu *cpu, enum soft_access how, bool hit);

/* [any] Every counter by name; values may be a moment old. */
void soft_tally(const struct soft_cpu *cpu, hv_tally_fn fn, void *arg);
unsigned int soft_tally_unknown(const struct soft_cpu *cpu, struct hv_unknown_insn *out,
				unsigned int max);
/* [setup] What the state does not say, in words. */
void soft_tally_dump(const struct soft_cpu *cpu, FILE *to);

#endif
