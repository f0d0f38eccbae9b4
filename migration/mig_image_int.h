/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_image_int.h - inside of an image: its life on the loop (mig_image.c) and the worker that
 * writes or reads it (mig_image_work.c).
 */
#ifndef MIG_IMAGE_INT_H
#define MIG_IMAGE_INT_H

#include <stdatomic.h>

#include "hvcore/vm/hv_vm_flush.h"
#include "migration/mig_image.h"
#include "migration/mig_ram.h"
#include "migration/mig_worker.h"

/* The only event of its worker: result says how it went. */
#define MIG_IMAGE_ENDED 1u

struct mig_image {
	struct mig_image_config cfg;
	struct cm_loop *loop;
	struct mig_worker worker;
	bool threaded; /* the worker was started */
	uint64_t start_ns;
	const char *what;
	struct hv_vm_flush flush;
	atomic_uint_fast64_t total_bytes; /* memory that the image will hold at most; 0: not known yet */

	/* of the loop until the worker is started, then the worker's until its end */
	struct mig_io io;
	struct mig_ram_out out;
	struct mig_ram_in in;
	struct cm_buf state;
	struct mig_hello hello;
	struct hv_cpuid contract, supported;
	struct mig_final final;
	struct mig_result result;
};

/* mig_image_work.c */
void *mig__image_save_thread(void *image);
void *mig__image_restore_thread(void *image);

#endif
