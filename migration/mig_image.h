/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_image.h - a VM as one file: save and restore. Part of format (docs: the same frames as a migration, with
 * checksums of memory, since no TLS guards a file).
 *
 * Threads: [loop]; the file is written and read by a thread of its own. The object frees itself after done.
 */
#ifndef MIG_IMAGE_H
#define MIG_IMAGE_H

#include "migration/mig_types.h"

struct hv_vm;

struct mig_image_config {
	struct hv_vm *vm;     /* borrowed. save: PAUSED (hv_vm_pause's done was called). restore: EMPTY */
	int fd;               /* regular file or block device, taken; save: at its start, truncated */
	void (*progress)(void *arg, const struct mig_progress *p); /* may be NULL */
	/* Exactly once. save: code 0 means that it is complete on stable storage. restore: the VM is PAUSED. */
	void (*done)(void *arg, const struct mig_result *r);
	void *arg;
};

int mig_image_save(const struct mig_image_config *cfg, struct cm_err *err) cm_must_check;
int mig_image_restore(const struct mig_image_config *cfg, struct cm_err *err) cm_must_check;

#endif
