/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_types.h - what both ends of a migration tell their owner: progress, phases, results.
 *
 * Plain values. Thread: [any], by value.
 */
#ifndef MIG_TYPES_H
#define MIG_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "proto/px_words.h"

#define MIG_BLACKOUT_DEFAULT_MS   300u
#define MIG_IO_TIMEOUT_DEFAULT_MS 10000u /* longest silence of the other end */

/* Where the time goes while no vCPU runs; the sum is the blackout. */
#define MIG_PHASES(XX) \
	XX(PAUSE)     /* all vCPUs out of the guest */ \
	XX(DRAIN)     /* I/O in flight complete, disks flushed */ \
	XX(SAVE)      /* device and CPU state read out */ \
	XX(RAM)       /* last pages on the wire */ \
	XX(STATE)     /* state on the wire, loaded and verified at the destination */ \
	XX(COMMIT)    /* COMPARE AND WRITE by the source */ \
	XX(ACCEPT)    /* the word to the destination, which reads the block and wins its first renewal */ \
	XX(RESUME)    /* until the first vCPU enters the guest */
enum mig_phase {
#define XX(n) MIG_PHASE_##n,
	MIG_PHASES(XX)
#undef XX
	MIG_PHASE_COUNT
};
const char *mig_phase_name(enum mig_phase phase); /* "pause" */

struct mig_progress {
	const char *state;             /* name of the state machine's state: for people */
	Hv__MigrationStage stage;      /* of a source; READY: held, and the forecast fits */
	uint32_t round;
	uint64_t sent_bytes;           /* on the wire, before encryption */
	uint64_t remaining_bytes;      /* dirty memory still to send */
	uint64_t bandwidth_bytes_s;
	uint64_t dirty_bytes_s;
	uint64_t forecast_blackout_ns; /* 0: not known yet */
	uint64_t elapsed_ns;
};

struct mig_result {
	int code;                  /* 0: the VM is on the other side (source) or runs here (destination) */
	struct cm_err err;
	bool vm_runs_here;         /* after a failure: the VM goes on (or never stopped) here */
	uint64_t total_ns;
	uint64_t blackout_ns;      /* 0: the vCPUs were not stopped, or the other end did not tell */
	uint64_t phase_ns[MIG_PHASE_COUNT];
	uint32_t rounds;
	uint64_t sent_bytes, ram_pages, zero_pages, state_bytes;
};

#endif
