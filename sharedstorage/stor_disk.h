/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk.h - a disk of a cluster volume as a stor_dev.
 *
 * Requests inside allocated extents go straight to the volume's device; the first write into an
 * extent allocates it (COMPARE AND WRITE of the extent table), makes it durable, links it in the
 * disk's map, and then goes on. Only the VM that owns its ownership block may have the disk open
 * for writing: open it on a gated device with a lease.
 *
 * Thread: [loop]. Ownership: the disk borrows the volume, which stays until the disk is closed.
 */
#ifndef STOR_DISK_H
#define STOR_DISK_H

#include "sharedstorage/stor_volume.h"

/* Event READY or FAILED follows. */
struct stor_dev *stor_disk_open(struct stor_volume *vol, const char *disk,
				const struct stor_dev_opts *opts, struct cm_err *err);
/* The saved state of a VM (stor_volume_image_create), as a disk. */
struct stor_dev *stor_image_open(struct stor_volume *vol, const struct stor_uuid *vm,
				 const struct stor_dev_opts *opts, struct cm_err *err);

#endif
