/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_migrate.h - migrations and images in the hvcore process: hooks and rows of the control socket. [loop]
 */
#ifndef HVCORE_MIGRATE_H
#define HVCORE_MIGRATE_H

#include "hvcore/hv_core.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"
#include "sharedstorage/stor_volume.h"

struct mig_image;
struct stor_volume;

/* How far a save or a restore is. */
enum hvcore_image_step {
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
struct hvcore_image {
	enum hvcore_image_step step;
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
struct hvcore_migrate {
	struct hv_core *core;
	struct mig_src *src;
	struct mig_dst *dst;
	struct hvcore_image image;
	bool ending;
	struct px_req *q;       /* who asked; NULL if it went away */
	bool have_last;         /* last is valid: for status */
	const char *role;
	struct mig_result last;
};

int hvcore_migrate_incoming(struct hv_core *core, struct cm_err *err) cm_must_check;
struct hvcore_migrate *hvcore_migrate_of(struct hv_core *core);
/* While we hold the VM paused, a renewal must not run it. */
void hvcore_migrate_hold(struct hvcore_migrate *g, bool on);
/* The final answer to whoever asked, if it is there still. */
void hvcore_migrate_answer(struct hvcore_migrate *g, const struct mig_result *r);
void hvcore_migrate_status(struct hv_core *core, struct hv_json *j);
bool hvcore_migrate_end(struct hv_core *core);

/* The verb of hvcore_heir.c. */
void hvcore_heir_take_over(struct px_req *q, void *ctx);

#define HVCORE_MIGRATE_VERBS 6
extern const struct px_verb hvcore_migrate_verbs[HVCORE_MIGRATE_VERBS];

#endif
