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

#include <stdio.h>

#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/lease/stor_lease_disk.h"

struct stor_volume;

struct stor_volume_info {
	char name[STOR_DISK_NAME];
	struct stor_uuid id;
	uint32_t sector_bytes;
	uint64_t extent_bytes;
	uint64_t extents, extents_free;
	uint64_t extents_max; /* to which the volume can grow */
	unsigned disks, images, vms, hosts;
};

struct stor_disk_info {
	char name[STOR_DISK_NAME];
	struct stor_uuid id;
	struct stor_uuid vm; /* that claimed it last; zero: nobody */
	bool held;	     /* that VM uses it, or its process ended without saying that it does not */
	char node[STOR_NODE_NAME]; /* on which it was claimed */
	unsigned readers; /* claims of VMs that only read it (of disk_info and each_disk) */
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
/* After the LUN or file grew (the device must have been opened since): uses what fits, within the
 * limit set when it was made. *extents: what it has now. CM_E_VOL_LIMIT. */
int stor_volume_grow(struct stor_volume *vol, uint64_t *extents, struct cm_err *err) cm_must_check;
struct stor_dev *stor_volume_dev(struct stor_volume *vol); /* [any] */
struct stor_uuid stor_volume_id(const struct stor_volume *vol); /* [any] */

int stor_volume_info(struct stor_volume *vol, struct stor_volume_info *info,
		     struct cm_err *err) cm_must_check;
/* Slot (1..) of a node, claimed on first use; the same for ever. For stor_dev_opts.host_slot. */
int stor_volume_host_slot(struct stor_volume *vol, const char *node, uint16_t *slot,
			  struct cm_err *err) cm_must_check;
/* Ownership block of a VM, its sector chosen on first use if create (the first acquire claims it).
 * CM_E_NO_VM if there is none; CM_E_LEASE_CORRUPT if a damaged sector may be it. */
int stor_volume_vm_block(struct stor_volume *vol, const struct stor_uuid *vm, bool create,
			 uint64_t *offset_bytes, struct cm_err *err) cm_must_check;
/* Does anybody own the VM by its block on this volume now? 0: nobody (the block is free, or there is none), 1: somebody
 * (*b), or an error: it cannot be told. */
int stor_volume_vm_owned(struct stor_volume *vol, const struct stor_uuid *vm, struct stor_block *b,
			 struct cm_err *err) cm_must_check;
/*
 * By who has just become the owner by the block at that offset, before he uses anything: 0, or CM_E_LEASE_HELD if somebody
 * owns the VM by another sector of the volume. Two hosts choose two only for a new VM while volume check --repair gives a
 * sector back; each looks after its own is written, so at least one of them sees the other.
 */
int stor_volume_vm_alone(struct stor_volume *vol, const struct stor_uuid *vm, uint64_t offset_bytes,
			 struct cm_err *err) cm_must_check;
/* The VM is deleted: its sector can be given back (by volume check --repair). CM_E_LEASE_HELD if
 * somebody owns it. */
int stor_volume_vm_forget(struct stor_volume *vol, const struct stor_uuid *vm,
			  struct cm_err *err) cm_must_check;
/* Calls fn for every VM that has a block. */
typedef void (*stor_volume_vm_fn)(const struct stor_block *b, uint64_t offset_bytes, void *arg);
int stor_volume_each_vm(struct stor_volume *vol, stor_volume_vm_fn fn, void *arg,
			struct cm_err *err) cm_must_check;

/* --- disks --- */

/* thick: all its extents are its own, and are cleared by its first writes. CM_E_DISK_BUSY: somebody
 * deleted it meanwhile. */
int stor_volume_disk_create(struct stor_volume *vol, const char *disk, uint64_t size_bytes,
			    bool thick, struct cm_err *err) cm_must_check;
/* Not while a VM holds the disk (claims, below). An interrupted deletion is finished by the next one. */
int stor_volume_disk_delete(struct stor_volume *vol, const char *disk,
			    struct cm_err *err) cm_must_check;
/* Grows only, also a disk in use: stor_disk_reload tells who has it open. CM_E_DISK_BUSY: another
 * growth, or a repair, ended this one. */
int stor_volume_disk_resize(struct stor_volume *vol, const char *disk, uint64_t size_bytes,
			    struct cm_err *err) cm_must_check;
/* Not while a VM holds the disk (claims, below): it knows the old name. */
int stor_volume_disk_rename(struct stor_volume *vol, const char *disk, const char *to,
			    struct cm_err *err) cm_must_check;
int stor_volume_disk_info(struct stor_volume *vol, const char *disk, struct stor_disk_info *info,
			  struct cm_err *err) cm_must_check;
typedef void (*stor_volume_disk_fn)(const struct stor_disk_info *info, void *arg);
int stor_volume_each_disk(struct stor_volume *vol, stor_volume_disk_fn fn, void *arg,
			  struct cm_err *err) cm_must_check;

/* --- claims: which VM uses a disk --- */

/*
 * The block that says whether a VM runs may lie on another volume, so each disk says for itself who uses it: a VM
 * claims every disk after it won its ownership block and before its first access, and releases it at its orderly end,
 * before it releases the block. Both ends of a move have one claim: the source does not release what
 * it gave away.
 *
 * A claim that is held by another VM gives way only to who has seen that nobody owns that VM: its block on the volume
 * `home` is free, or that volume has none. Each change is a COMPARE AND WRITE of the slot as it was before the block
 * was read, and every new owner writes its claims, so what was decided on an old reading fails. CM_E_DISK_BUSY: the
 * block names an owner. CM_E_DISK_CLAIMED: the block could not be looked at.
 */
struct stor_claim {
	struct stor_uuid vm;
	/* Id of the volume that has the VM's ownership block; of a block that is on none, an id made of its URL; zero:
	 * the VM has no block */
	struct stor_uuid home;
	uint64_t epoch;
	char node[STOR_NODE_NAME];
};
/*
 * [worker] Does anybody own the VM whose ownership block is on another volume than the one that asks? As
 * stor_volume_vm_owned; CM_E_DISK_CLAIMED: that volume is not known here.
 */
typedef int (*stor_witness_fn)(const struct stor_uuid *home, const struct stor_uuid *vm,
			       struct stor_block *b, struct cm_err *err, void *arg);
/* Without one, or with fn NULL, what other volumes know is not known. */
void stor_volume_set_witness(struct stor_volume *vol, stor_witness_fn fn, void *arg);
/*
 * As above. The VM that holds the disk, and has its block where it had it, takes it anew, unless a later epoch has it.
 * keep: only if no other VM claimed it since (CM_E_DISK_BUSY). info may be NULL; allocated_bytes is not filled in.
 */
int stor_volume_disk_claim(struct stor_volume *vol, const char *disk, const struct stor_claim *claim,
			   bool keep, struct stor_disk_info *info, struct cm_err *err) cm_must_check;
/* Does nothing if it is another VM's claim, or one of a later epoch. CM_E_NO_DISK. */
int stor_volume_disk_release(struct stor_volume *vol, const char *disk,
			     const struct stor_claim *claim, struct cm_err *err) cm_must_check;
/*
 * The same for a VM that only reads the disk: any number of them, but none beside a VM that writes. Each takes one of the
 * volume's disk slots (CM_E_VOL_LIMIT).
 */
int stor_volume_reader_claim(struct stor_volume *vol, const char *disk, const struct stor_claim *claim,
			     struct stor_disk_info *info, struct cm_err *err) cm_must_check;
int stor_volume_reader_release(struct stor_volume *vol, const struct stor_uuid *disk,
			       const struct stor_claim *claim, struct cm_err *err) cm_must_check;
/* By whoever is not that VM: clears claims that VMs left behind. sure: the operator says that this VM does not
 * run, which counts only where nothing can be seen (CM_E_DISK_CLAIMED), never against a block that has an owner. */
int stor_volume_disk_unclaim(struct stor_volume *vol, const char *disk, bool sure,
			     struct cm_err *err) cm_must_check;
/* CM_E_DISK_BUSY unless that VM holds the disk: what an incoming VM shares with its source. */
int stor_volume_disk_shared(struct stor_volume *vol, const char *disk, const struct stor_uuid *vm,
			    struct stor_disk_info *info, struct cm_err *err) cm_must_check;

/* --- saved states: at most one per VM; read and written by stor_image_open --- */

struct stor_image_info {
	struct stor_uuid id; /* of this very image */
	uint64_t size_bytes, allocated_bytes;
	bool sealed; /* complete */
};
/* Not sealed, reads as zeroes. CM_E_DISK_EXISTS if the VM has one, sealed or not. */
int stor_volume_image_create(struct stor_volume *vol, const struct stor_uuid *vm,
			     uint64_t size_bytes, struct cm_err *err) cm_must_check;
/* Everything that was written to it is durable, then it counts as complete. */
int stor_volume_image_seal(struct stor_volume *vol, const struct stor_uuid *vm,
			   struct cm_err *err) cm_must_check;
/* CM_E_NO_DISK if there is none. */
int stor_volume_image_find(struct stor_volume *vol, const struct stor_uuid *vm,
			   struct stor_image_info *info, struct cm_err *err) cm_must_check;
/*
 * The one instant after which that sealed image can never be restored again; of several callers one
 * gets 0. CM_E_NO_DISK: it is gone, or another one is there. Any other error may come after the
 * instant (its space is then given back by volume check --repair): look with image_find.
 */
int stor_volume_image_consume(struct stor_volume *vol, const struct stor_uuid *vm,
			      const struct stor_uuid *id, struct cm_err *err) cm_must_check;
/* Whatever is there of it, by the VM's owner. CM_E_NO_DISK. */
int stor_volume_image_drop(struct stor_volume *vol, const struct stor_uuid *vm,
			   struct cm_err *err) cm_must_check;

/* The same by anybody else: CM_E_DISK_BUSY while somebody owns the VM, who may be writing it. */
int stor_volume_image_discard(struct stor_volume *vol, const struct stor_uuid *vm,
			      struct cm_err *err) cm_must_check;

/* --- configurations of VMs: text, so that a volume tells by itself what runs on it --- */

/* Replaces the VM's; a crash leaves the old or the new one. CM_E_VOL_LIMIT: longer than
 * STOR_CONFIG_TEXT bytes, or STOR_CONFIG_DEFLATED when deflated, or no slot left. */
int stor_volume_config_put(struct stor_volume *vol, const struct stor_uuid *vm, const char *name,
			   const char *text, size_t n, struct cm_err *err) cm_must_check;
/* *text has a NUL behind its n bytes; the caller frees it. CM_E_NO_VM, CM_E_VOL_CORRUPT. */
int stor_volume_config_get(struct stor_volume *vol, const struct stor_uuid *vm, char **text,
			   size_t *n, struct cm_err *err) cm_must_check;
int stor_volume_config_drop(struct stor_volume *vol, const struct stor_uuid *vm,
			    struct cm_err *err) cm_must_check;
/* text: NULL if it is damaged; valid during the call. */
typedef void (*stor_volume_config_fn)(const struct stor_uuid *vm, const char *name,
				      const char *text, size_t n, void *arg);
int stor_volume_each_config(struct stor_volume *vol, stor_volume_config_fn fn, void *arg,
			    struct cm_err *err) cm_must_check;

/* --- check --- */

struct stor_volume_report {
	uint64_t leaked_extents, repaired_extents, doubly_used_extents, bad_structures;
	uint64_t unfinished; /* operations that a crash interrupted, and forgotten VMs' sectors */
};
/*
 * Structures as text, damaged ones as bytes. what: "" or "all"; super, hosts, blocks, disks
 * (saved states, too), configs, table; map:NAME (the extents of a disk, or of the saved state of
 * the VM with that UUID). CM_E_BAD_VALUE, CM_E_NO_DISK.
 */
int stor_volume_dump(struct stor_volume *vol, const char *what, FILE *to,
		     struct cm_err *err) cm_must_check;
/* Reads everything; complaint(text) per finding. repair: finishes or undoes what was interrupted
 * and gives leaked extents back; others may work on the volume meanwhile (docs/DISK.md), but no VM
 * of it may run if ownership sectors are damaged. */
int stor_volume_check(struct stor_volume *vol, bool repair,
		      void (*complaint)(const char *text, void *arg), void *arg,
		      struct stor_volume_report *report, struct cm_err *err) cm_must_check;

#endif
