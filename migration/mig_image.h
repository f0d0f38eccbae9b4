/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_image.h - a VM as one file or one block device: save and restore. Part of format (docs: the same frames as a
 * migration, with checksums of memory, since no TLS guards them).
 *
 * A restore only fills the VM. That an image is resumed at most once is the business of who calls: it consumes the image
 * when the restore is done and before it lets the VM run (docs/SAVED-STATE.md).
 *
 * Threads: [loop]; the image is written and read by a thread of its own. The object frees itself after done.
 */
#ifndef MIG_IMAGE_H
#define MIG_IMAGE_H

#include "migration/mig_stream.h"
#include "migration/mig_types.h"

struct hv_vm;
struct mig_image;
struct stor_dev;

struct mig_image_config {
	struct hv_vm *vm;     /* borrowed. save: PAUSED (hv_vm_pause's done was called). restore: EMPTY */
	int fd;               /* regular file or block device, taken; save: at its start, truncated. -1: */
	struct stor_dev *dev; /* borrowed, READY, stays open until done */
	const char *node;     /* for people; may be NULL */
	uint64_t epoch;       /* of the ownership block at the save, for people */
	struct mig_disks disks; /* save: noted in the image. restore: must be those that it was saved with */
	/* Exactly once. save: code 0 means that it is complete on stable storage. restore: the VM is PAUSED. */
	void (*done)(void *arg, const struct mig_result *r);
	void *arg;
};

/* out: for the two below, until done; may be NULL. */
int mig_image_save(struct mig_image **out, const struct mig_image_config *cfg, struct cm_err *err) cm_must_check;
int mig_image_restore(struct mig_image **out, const struct mig_image_config *cfg, struct cm_err *err) cm_must_check;
/* On a block device: ends soon, done says -ECANCELED (or what it was, if it had ended). A file ends by itself. */
void mig_image_cancel(struct mig_image *im);
/* On a block device; p->remaining_bytes is an upper bound. */
void mig_image_get_progress(struct mig_image *im, struct mig_progress *p);
/* Bytes that are enough for the image of such a VM. */
uint64_t mig_image_max_bytes(uint64_t memory_bytes);

#endif
