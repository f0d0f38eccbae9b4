/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_land.h - memory and state of a VM come off a stream or an image, up to the trailer.
 *
 * Thread: one migration thread; blocks. Ownership: everything is the caller's.
 */
#ifndef MIG_LAND_H
#define MIG_LAND_H

#include "migration/mig_ram.h"

struct mig_landing {
	struct mig_io *io;
	struct mig_ram_in *ram;
	struct cm_buf *state;
	struct mig_final *final;
	bool acknowledge; /* answer ROUND frames */
	void (*round)(void *arg, const struct mig_note *n); /* may be NULL */
	void *arg;
};

/* Receives up to FINAL and checks that nothing is missing, doubled or damaged. */
int mig_land(struct mig_landing *l, struct cm_err *err) cm_must_check;

#endif
