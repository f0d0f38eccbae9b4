/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volume_int.h - inside of a volume, for volume/ only. Thread: [worker], as
 * stor_volume.h says.
 */
#ifndef STOR_VOLUME_INT_H
#define STOR_VOLUME_INT_H

#include "sharedstorage/volume/stor_volfmt.h"
#include "sharedstorage/volume/stor_volume.h"

struct stor_volume {
	struct stor_dev *dev;
	struct stor_super super;
	stor_witness_fn witness; /* NULL: none */
	void *witness_arg;
};

/* --- stor_volume.c --- */

/* The copy that counts: of two good ones the one with more changes. As stor_super_decode. */
int stor__super_choose(const uint8_t *two, uint32_t sector, struct stor_super *s);

/* --- stor_volio.c: blocking I/O through the device's loop --- */

/* Reads pass the gate (ADMIN); whatever changes something waits until the device is ready. */
int stor__vol_read(struct stor_dev *dev, uint64_t offset_bytes, void *buf, uint64_t bytes,
		   struct cm_err *err);
int stor__vol_write(struct stor_dev *dev, uint64_t offset_bytes, const void *buf, uint64_t bytes,
		    struct cm_err *err);
int stor__vol_zero(struct stor_dev *dev, uint64_t offset_bytes, uint64_t bytes, struct cm_err *err);
int stor__vol_flush(struct stor_dev *dev, struct cm_err *err);
/* 0; CM_E_LEASE_MISCOMPARE (nothing of ours is there: look again), without words; or an error. An
 * unknown outcome is read back once the device is admitted again. */
int stor__vol_caw(struct stor_dev *dev, uint64_t offset_bytes, const void *compare,
		  const void *swap, uint32_t sector_bytes, struct cm_err *err);
/* Sectors of a region, allocated (free it). *rc: why NULL. */
uint8_t *stor__vol_region(struct stor_volume *vol, uint64_t at, uint64_t sectors, int *rc,
			  struct cm_err *err);
/* After a lost race: a random moment, longer with each try. */
void stor__vol_pause(unsigned tries);
#define STOR_VOL_TRIES 64u /* races that are lost before an operation gives up */

/* --- stor_volvm.c --- */

/* First sector in which a VM's things are looked for. */
unsigned stor__vol_vm_hash(const struct stor_uuid *vm);

/* --- stor_volclaim.c --- */

/* 0: nobody owns the VM of that slot's claim, or it has none; CM_E_DISK_BUSY or CM_E_DISK_CLAIMED with words about that
 * disk if somebody does or may; other errors. */
int stor__claim_unused(struct stor_volume *vol, const struct stor_diskslot *d, const char *disk,
		       struct cm_err *err);
/* The same of the disk of that slot, as it was read before this call, and of all that read it; but: not of that VM, NULL
 * of any. Who changes the slot then does so from those bytes: who reads the disk since has changed it. */
int stor__disk_unused(struct stor_volume *vol, const struct stor_diskslot *d,
		      const struct stor_uuid *but, struct cm_err *err);
bool stor__claim_same(const struct stor_diskslot *d, const struct stor_claim *c);
/* Puts the claim into the slot. */
void stor__claim_set(struct stor_diskslot *d, const struct stor_claim *c);

/* --- stor_volreader.c --- */

/* Clears the claims of who only reads the disk with that id, if nobody owns them (sure: as stor_volume_disk_unclaim). */
int stor__readers_unclaim(struct stor_volume *vol, const struct stor_uuid *disk, const char *name,
			  bool sure, struct cm_err *err);

/* --- stor_volstale.c --- */

/*
 * A part of volume check: claims that their VMs left behind are said, and cleared if repair. A claim of a VM that runs, or
 * may run, is nothing to say, but nothing is repaired then: CM_E_DISK_BUSY or CM_E_DISK_CLAIMED.
 */
int stor__vol_check_claims(struct stor_volume *vol, bool repair,
			   void (*complaint)(const char *text, void *arg), void *arg,
			   struct stor_volume_report *report, struct cm_err *err);

/* --- stor_volconf.c --- */

/* Text that header i names (caller frees). -EAGAIN: its body was replaced since. */
int stor__vol_config_text(struct stor_volume *vol, unsigned i, const struct stor_confhead *h,
			  char **text, struct cm_err *err);

/* --- stor_voltable.c: the extent table --- */

/* Changes entries of one decoded sector (extents first .. first + n - 1); true: write it. Called
 * again with the same first when another host was faster. */
typedef bool (*stor_table_fn)(uint8_t *sector, uint64_t first, uint32_t n, void *arg);
int stor__vol_table_walk(struct stor_volume *vol, stor_table_fn fn, void *arg, struct cm_err *err);
struct stor_slot_work;
/* Gives back all extents of that slot and generation from logical extent `from` on. w: only as long
 * as the slot still says that this work is under way; NULL: the generation is over for good. */
int stor__vol_table_free(struct stor_volume *vol, unsigned slot, uint32_t generation, uint64_t from,
			 const struct stor_slot_work *w, struct cm_err *err);
/* Takes what is missing of the logical extents from .. to - 1, as "being cleared": nobody clears
 * them but the VM that writes there first, since a tool that is late could clear what is another
 * disk's by then. Only as long as w is under way. */
int stor__vol_table_fill(struct stor_volume *vol, const struct stor_slot_work *w,
			 uint32_t generation, uint64_t from, uint64_t to, struct cm_err *err);
/* Extents that each slot's disk has: count[STOR_VOL_DISKS]; and free ones. */
int stor__vol_table_count(struct stor_volume *vol, const struct stor_diskslot *slots,
			  uint64_t *count, uint64_t *free_extents, struct cm_err *err);

/* --- stor_volslot.c: disk slots and who has a name --- */

#define STOR_SLOT_IN(state) (1u << (state))
struct stor_slots {
	uint8_t *region;
	uint32_t sector;
	struct stor_diskslot d[STOR_VOL_DISKS]; /* state NONE: never used, or damaged: */
	bool bad[STOR_VOL_DISKS];
};
/* NULL and err. Free it with stor__slots_free. */
struct stor_slots *stor__slots_load(struct stor_volume *vol, int *rc, struct cm_err *err);
void stor__slots_free(struct stor_slots *t);
/* Slot of that kind and name in one of the states (mask of STOR_SLOT_IN), -1 none. */
int stor__slots_find(const struct stor_slots *t, enum stor_diskslot_kind kind, const char *name,
		     unsigned states);
/* COMPARE AND WRITE of slot i from what was loaded to *d (its count of changes grows). */
int stor__slot_write(struct stor_volume *vol, const struct stor_slots *t, unsigned i,
		     struct stor_diskslot *d, struct cm_err *err);
/* Edits the slot of that kind and name. fn changes the copy, 0, STOR_SLOT_AS_IS (nothing is written; that is the answer,
 * too) or an error; it runs again after a lost race. CM_E_NO_DISK. slot, out: may be NULL. */
#define STOR_SLOT_AS_IS 1
typedef int (*stor_slot_fn)(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
			    struct cm_err *err);
int stor__slot_edit(struct stor_volume *vol, enum stor_diskslot_kind kind, const char *name,
		    unsigned states, stor_slot_fn fn, const void *arg, unsigned *slot,
		    struct stor_diskslot *out, struct cm_err *err);

/* --- stor_volslotat.c: one slot by its number --- */

/* What is being done with a disk that others must see under way; they may end it. */
struct stor_slot_work {
	unsigned slot;
	enum stor_diskslot_state state; /* FILLING: created; USED: grown */
	struct stor_uuid id;
	uint64_t grow_bytes, grower;
	char name[STOR_DISK_NAME]; /* for words */
};
/* Reads slot i once more, into t. */
int stor__slots_again(struct stor_volume *vol, struct stor_slots *t, unsigned i, struct cm_err *err);
/* As stor__slot_edit; fn judges whether it is still the slot that it wants. */
int stor__slot_edit_at(struct stor_volume *vol, unsigned slot, stor_slot_fn fn, const void *arg,
		       struct cm_err *err);
/* Reads the slot: 0 if the work is under way still, else words. */
int stor__slot_still(struct stor_volume *vol, const struct stor_slot_work *w, struct cm_err *err);
bool stor__slot_work_is(const struct stor_slot_work *w, const struct stor_diskslot *d);
int stor__slot_work_over(const struct stor_slot_work *w, struct cm_err *err);

/* --- stor_volslot.c again --- */

/* Makes a slot with kind, name, size, thick, vm of *d; state when done: `state`. */
int stor__slot_create(struct stor_volume *vol, struct stor_diskslot *d,
		      enum stor_diskslot_state state, unsigned *slot, struct cm_err *err);
/* may: 0, or an error that ends it; asked about the slot from which it is renamed. */
int stor__slot_rename(struct stor_volume *vol, const char *from, const char *to, stor_slot_fn may,
		      struct cm_err *err);
void stor__disk_info_fill(const struct stor_volume *vol, unsigned i, const struct stor_diskslot *d,
			  uint64_t extents, struct stor_disk_info *info);
/* A slot in DELETING: gives its extents back, then the slot. Any host may do it. */
int stor__slot_finish_delete(struct stor_volume *vol, unsigned slot, const struct stor_diskslot *d,
			     struct cm_err *err);
int stor__vol_check_size(const struct stor_volume *vol, uint64_t size_bytes, struct cm_err *err);
int stor__vol_no_disk(const struct stor_volume *vol, const char *disk, struct cm_err *err);
static inline uint64_t stor__vol_extents_of(const struct stor_volume *vol, uint64_t size_bytes)
{
	return (size_bytes + vol->super.extent_bytes - 1) / vol->super.extent_bytes;
}

#endif
