/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk.h - a disk of a cluster volume, or a saved state on it, as a stor_dev.
 *
 * Requests inside allocated extents go straight to the volume's device. The first write into an
 * extent takes one: COMPARE AND WRITE of the extent table, clear, flush, COMPARE AND WRITE, then
 * the write; all first writes that wait at the same time, and what a sequential writer will want
 * next, go together. Discarding (or writing zeroes to) a whole extent of a thin disk gives it back.
 * Only the VM that owns its ownership block and claimed the disk (stor_volume_disk_claim) may have
 * it open for writing: open it on a gated device with a lease.
 *
 * Thread: [loop]. Ownership: the disk borrows the volume, which stays until the disk is closed.
 */
#ifndef STOR_DISK_H
#define STOR_DISK_H

#include "sharedstorage/volume/stor_volume.h"

/* Event READY or FAILED follows. */
struct stor_dev *stor_disk_open(struct stor_volume *vol, const char *disk,
				const struct stor_dev_opts *opts, struct cm_err *err);
/* The saved state of a VM (stor_volume_image_create), as a disk. */
struct stor_dev *stor_image_open(struct stor_volume *vol, const struct stor_uuid *vm,
				 const struct stor_dev_opts *opts, struct cm_err *err);

/*
 * After stor_volume_disk_resize, by whoever: reads the disk's slot again; if it grew, the device
 * says STOR_EVENT_RESIZED. done: 0, CM_E_NO_DISK (deleted), an error, -EBUSY (a reload is under
 * way), -ECANCELED (closed). dev must be of stor_disk_open and READY.
 */
typedef void (*stor_disk_reload_fn)(int rc, uint64_t size_bytes, void *arg);
void stor_disk_reload(struct stor_dev *dev, stor_disk_reload_fn done, void *arg);

#endif
