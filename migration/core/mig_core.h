/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core.h - migrations and images in the hvcore process: hooks and rows of the control socket. [loop]
 */
#ifndef MIG_CORE_H
#define MIG_CORE_H

#include "hvcore/hv_core.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"
#include "proto/px_req.h"
#include "sharedstorage/volume/stor_volume.h"

struct mig_image;
struct stor_volume;

/* How far a save or a restore is. */
enum mig_core_image_step {
	HVCORE_IMAGE_NONE = 0,
	HVCORE_IMAGE_MAKING,  /* space on the volume; the VM runs on */
	HVCORE_IMAGE_OPENING,
	HVCORE_IMAGE_PAUSING,
	HVCORE_IMAGE_WRITING,
	HVCORE_IMAGE_CLOSING,
	HVCORE_IMAGE_SEALING, /* from now on it may count */
	HVCORE_IMAGE_SAVED,   /* it counts; the process waits for its end */
	HVCORE_IMAGE_UNDOING, /* it must not count any more before the VM may run on */
	HVCORE_IMAGE_LOOKING, /* at the start: is there one? */
	HVCORE_IMAGE_READING,
	HVCORE_IMAGE_CONSUMING,
};

/* A saved state being written or read. */
struct mig_core_image {
	enum mig_core_image_step step;
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

/* What is under way; one of these per process. */
struct mig_core {
	struct hv_core *core;
	struct mig_src *src;
	struct mig_dst *dst;
	struct mig_core_image image;
	bool ending;
	struct px_req *q;       /* who asked; NULL if it went away */
	bool have_last;         /* last is valid: for status */
	const char *role;
	struct mig_result last;
};

int mig_core_incoming(struct hv_core *core, struct cm_err *err) cm_must_check;
struct mig_core *mig_core_of(struct hv_core *core);
/* While we hold the VM paused, a renewal must not run it. */
void mig_core_hold(struct mig_core *g, bool on);
/* The final answer to whoever asked, if it is there still. */
void mig_core_answer(struct mig_core *g, const struct mig_result *r);
void mig_core_status(struct hv_core *core, struct hv_json *j);
bool mig_core_end(struct hv_core *core);

/* The verb of hvcore_heir.c. */
void hvcore_heir_take_over(struct px_req *q, void *ctx);

#define MIG_CORE_VERBS 6
extern const struct px_verb mig_core_verbs[MIG_CORE_VERBS];

#endif
