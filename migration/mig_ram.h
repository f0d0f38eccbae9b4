/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_ram.h - guest memory onto and off a stream.
 *
 * Sender: never-touched memory is not even looked at; each chunk is re-armed in the dirty log, then read, then
 * sent, in that order; zero pages travel as ranges; the pages go out straight from guest memory.
 * Receiver: pages come in straight into guest memory; zeros are not written where nothing was before.
 *
 * Thread: one migration thread (the VM may run meanwhile when sending).
 */
#ifndef MIG_RAM_H
#define MIG_RAM_H

#include <stdatomic.h>

#include "hvcore/machine/hv_mem.h"
#include "migration/mig_io.h"

struct mig_ram_out {
	struct hv_mem *mem;
	struct mig_io *io;
	bool live;                     /* with dirty log */
	uint64_t *todo[HV_MEM_SLOTS];  /* bit a page: still to send */
	const atomic_bool *stop;       /* a pass ends early when it turns true (may be NULL) */
	uint64_t pages, zero_pages, frames;
	/* frame being built */
	struct mig_run run[MIG_RUNS_MAX], zero[MIG_RUNS_MAX];
	const void *data[MIG_RUNS_MAX];
	uint8_t *bounce;
};

/* live: starts the dirty log. On error nothing is left running. */
int mig_ram_out_init(struct mig_ram_out *r, struct hv_mem *mem, struct mig_io *io, bool live, struct cm_err *err)
	cm_must_check;
void mig_ram_out_fini(struct mig_ram_out *r); /* stops the dirty log */
/* Adds what is dirty now to what is to send; *remaining: pages to send. */
int mig_ram_out_fetch(struct mig_ram_out *r, uint64_t *remaining, struct cm_err *err) cm_must_check;
/* Sends what is to send, or until *stop. rearm: the VM runs; false: it stands still. */
int mig_ram_out_pass(struct mig_ram_out *r, bool rearm, struct cm_err *err) cm_must_check;

struct mig_ram_in {
	struct hv_mem *mem;
	struct mig_io *io;
	uint64_t slot_pages[HV_MEM_SLOTS];
	uint64_t *filled[HV_MEM_SLOTS]; /* bit a page: something else than zero may be there */
	uint64_t pages, zero_pages;
	struct mig_ram_head head;
};

int mig_ram_in_init(struct mig_ram_in *r, struct hv_mem *mem, struct mig_io *io, struct cm_err *err) cm_must_check;
void mig_ram_in_fini(struct mig_ram_in *r);
/* The payload of a RAM or ZERO frame. */
int mig_ram_in_frame(struct mig_ram_in *r, const struct mig_frame *f, struct cm_err *err) cm_must_check;

/* A checksum of all memory (position counts; holes are zeros). The VM must stand still. */
uint64_t mig_ram_hash(const struct hv_mem *mem);
/* Is this page all zero? */
bool mig_ram_is_zero(const void *page);

#endif
