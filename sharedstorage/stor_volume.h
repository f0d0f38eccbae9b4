/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volume.h - a cluster volume: many disks and ownership blocks on one LUN or file.
 * docs/DISK.md has every byte.
 *
 * Metadata work is written as straight blocking code: these functions are [worker] and wait for the
 * device's loop, which must run in another thread; never call them on the loop's thread
 * (stor_volume_attach is the way from there). Shared structures change by COMPARE AND WRITE of one
 * sector, so any number of hosts may work at once without a lock.
 *
 * Thread: [worker] except where noted. Ownership: the volume borrows the device.
 */
#ifndef STOR_VOLUME_H
#define STOR_VOLUME_H

#include "sharedstorage/stor_dev.h"
#include "sharedstorage/stor_lease_disk.h"
#include "sharedstorage/stor_url.h"

struct stor_volume;

struct stor_volume_info {
	char name[STOR_DISK_NAME];
	struct stor_uuid id;
	uint32_t sector_bytes;
	uint64_t extent_bytes;
	uint64_t extents, extents_free;
	unsigned disks, vms, hosts;
};

struct stor_disk_info {
	char name[STOR_DISK_NAME];
	struct stor_uuid id;
	uint64_t size_bytes;
	uint64_t allocated_bytes;
	bool thick;
	unsigned index;
};

/* Makes a new volume; everything on the device is lost. extent_bytes 0: chosen by size. */
int stor_volume_format(struct stor_dev *dev, const char *name, uint64_t extent_bytes,
		       struct cm_err *err) cm_must_check;
int stor_volume_open(struct stor_dev *dev, struct stor_volume **out,
		     struct cm_err *err) cm_must_check;
void stor_volume_free(struct stor_volume *vol);
/* [loop] opens in a thread of its own and calls back on the loop. */
typedef void (*stor_volume_fn)(struct stor_volume *vol, const struct cm_err *err, void *arg);
void stor_volume_attach(struct stor_dev *dev, stor_volume_fn done, void *arg);
struct stor_dev *stor_volume_dev(struct stor_volume *vol); /* [any] */

int stor_volume_info(struct stor_volume *vol, struct stor_volume_info *info,
		     struct cm_err *err) cm_must_check;
/* Slot (1..) of a node, claimed on first use; the same for ever. For stor_dev_opts.host_slot. */
int stor_volume_host_slot(struct stor_volume *vol, const char *node, uint16_t *slot,
			  struct cm_err *err) cm_must_check;
/* Ownership block of a VM, its sector claimed on first use if create. CM_E_NO_VM if there is none.
 */
int stor_volume_vm_block(struct stor_volume *vol, const struct stor_uuid *vm, bool create,
			 uint64_t *offset_bytes, struct cm_err *err) cm_must_check;
/* Gives the sector back; only if the block is FREE. */
int stor_volume_vm_forget(struct stor_volume *vol, const struct stor_uuid *vm,
			  struct cm_err *err) cm_must_check;
/* Calls fn for every VM that has a block. */
typedef void (*stor_volume_vm_fn)(const struct stor_block *b, uint64_t offset_bytes, void *arg);
int stor_volume_each_vm(struct stor_volume *vol, stor_volume_vm_fn fn, void *arg,
			struct cm_err *err) cm_must_check;

int stor_volume_disk_create(struct stor_volume *vol, const char *disk, uint64_t size_bytes,
			    bool thick, struct cm_err *err) cm_must_check;
int stor_volume_disk_delete(struct stor_volume *vol, const char *disk,
			    struct cm_err *err) cm_must_check;
/* Grows only. */
int stor_volume_disk_resize(struct stor_volume *vol, const char *disk, uint64_t size_bytes,
			    struct cm_err *err) cm_must_check;
int stor_volume_disk_rename(struct stor_volume *vol, const char *disk, const char *to,
			    struct cm_err *err) cm_must_check;
int stor_volume_disk_info(struct stor_volume *vol, const char *disk, struct stor_disk_info *info,
			  struct cm_err *err) cm_must_check;
typedef void (*stor_volume_disk_fn)(const struct stor_disk_info *info, void *arg);
int stor_volume_each_disk(struct stor_volume *vol, stor_volume_disk_fn fn, void *arg,
			  struct cm_err *err) cm_must_check;

struct stor_volume_report {
	uint64_t leaked_extents, repaired_extents, doubly_used_extents, bad_structures;
};
/* Reads everything; complaint(text) per finding. repair: gives leaked extents back; only with no
 * disk in use. */
int stor_volume_check(struct stor_volume *vol, bool repair,
		      void (*complaint)(const char *text, void *arg), void *arg,
		      struct stor_volume_report *report, struct cm_err *err) cm_must_check;

#endif
