/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core.h - what moves or saves the VM of an hvcore process: one thing at a time, and who
 * asked for it.
 *
 * The process (programs/) owns a struct mig_core and gives it to hv_core as the argument of its
 * hooks; its verbs and hooks are in mig_core_src.h, mig_core_dst.h, mig_core_save.h,
 * mig_core_restore.h and mig_core_end.h.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_H
#define MIG_CORE_H

#include "common/cm_loop.h"
#include "hvcore/hv_core.h"
#include "migration/mig_types.h"
#include "sharedstorage/volume/stor_volume.h"

struct mig_dst;
struct mig_image;
struct mig_src;

/* How far a save or a restore is: XX(STEP, what status says) */
#define MIG_CORE_STEPS(XX)                                                                         \
	XX(NONE, "")                                                                               \
	XX(MAKING, "preparing") /* space on the volume; the VM runs on */                          \
	XX(OPENING, "preparing")                                                                   \
	XX(PAUSING, "pausing")                                                                     \
	XX(WRITING, "saving")                                                                      \
	XX(CLOSING, "saving")                                                                      \
	XX(SEALING, "sealing") /* from now on it may count */                                      \
	XX(SAVED, "saved") /* it counts; the process waits for its end */                          \
	XX(UNDOING, "undoing") /* it must not count any more before the VM may run on */           \
	XX(LOOKING, "looking") /* at the start: is there one? */                                   \
	XX(READING, "restoring")                                                                   \
	XX(CONSUMING, "restoring")
enum mig_core_step {
#define XX(step, word) MIG_CORE_##step,
	MIG_CORE_STEPS(XX)
#undef XX
};

/* A saved state being written or read. */
struct mig_core_image {
	enum mig_core_step step;
	struct stor_volume *vol; /* NULL: the image is a file */
	struct stor_dev *dev;
	struct mig_image *im;
	struct stor_image_info info; /* of the one that was found */
	struct stor_uuid vm;
	const char *definition; /* what the volume's copy has to say; NULL: nobody told */
	uint64_t max_bytes;
	int fd;
	bool hold, made, sealing; /* sealing: a seal was asked for, so it may be sealed */
	bool cancelled;
	struct cm_timer timer;
	struct cm_err work_err, why; /* why: it is being undone */
	struct mig_result result;
};

/* What is under way; one of these per process. Begins as zeros. */
struct mig_core {
	struct hv_core *core;
	struct mig_src *src;
	struct mig_dst *dst;
	struct mig_core_image image;
	bool ending;
	struct px_req *q; /* who asked; NULL if it went away */
	bool have_last;   /* last is valid: for status */
	const char *role;
	struct mig_result last;
};

/* The argument of this process's hooks. */
struct mig_core *mig_core_of(struct hv_core *core);

#endif
