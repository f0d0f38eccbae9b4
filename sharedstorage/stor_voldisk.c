/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_voldisk.c - the disks of a cluster volume: create, delete, grow, rename, list, check.
 *
 * The extent table is the only truth about who has which extent; a disk's map is read from it. So
 * an allocation is one COMPARE AND WRITE, and a crash leaves nothing half linked. Parses data of
 * the disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/stor_volume_int.h"

#define DISK_TRIES 64u

struct slots {
	uint8_t *region;
	uint32_t sector;
};

static uint8_t *slot_at(const struct slots *t, unsigned i)
{
	return t->region + (size_t)i * t->sector;
}

static int slots_load(struct stor_volume *vol, struct slots *t, struct cm_err *err)
{
	t->sector = vol->super.sector_bytes;
	t->region = stor__vol_region(vol, vol->super.disks_at, STOR_VOL_DISKS, err);
	return t->region ? 0 : err ? err->code : CM_E_IO;
}

/* Index of the used slot of that name, -1 none. */
static int slot_find(const struct slots *t, const char *name, struct stor_diskslot *d)
{
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		if (stor_diskslot_decode(slot_at(t, i), t->sector, d) == 0 &&
		    d->state == STOR_DISKSLOT_USED && strcmp(d->name, name) == 0)
			return (int)i;
	return -1;
}

static uint64_t slot_offset(const struct stor_volume *vol, unsigned i)
{
	return (vol->super.disks_at + i) * vol->super.sector_bytes;
}

static int no_disk(const struct stor_volume *vol, const char *disk, struct cm_err *err)
{
	return cm_err_set(err, CM_E_NO_DISK, "volume %s has no disk '%s'", vol->super.name, disk);
}

/* --- extents ------------------------------------------------------------- */

typedef bool (*extent_fn)(struct stor_extent *e, uint64_t extent,
			  void *arg); /* true: put it back changed */

/* Walks the whole table; sectors in which fn changed something are written by COMPARE AND WRITE. */
static int table_walk(struct stor_volume *vol, extent_fn fn, void *arg, struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes, per = stor_table_entries(s);
	uint8_t before[STOR_SECTOR_MAX] __attribute__((aligned(4096))), after[STOR_SECTOR_MAX];

	for (uint64_t t = 0; t < vol->super.table_sectors; t++) {
		uint64_t offset = (vol->super.table_at + t) * s;
		bool changed;
		int rc;

		do {
			rc = stor__vol_read(vol->dev, offset, before, s, err);
			if (rc)
				return rc;
			if (stor_table_check(before, s))
				return cm_err_set(
					err, CM_E_VOL_CORRUPT,
					"volume %s: sector %llu of the extent table is damaged",
					vol->super.name, (unsigned long long)t);
			memcpy(after, before, s);
			changed = false;
			for (uint32_t i = 0; i < per && t * per + i < vol->super.extents; i++) {
				struct stor_extent e = stor_table_get(after, i);

				if (fn(&e, t * per + i, arg)) {
					stor_table_put(after, i, &e);
					changed = true;
				}
			}
			if (changed) {
				stor_table_seal(after, s);
				rc = stor__vol_caw(vol->dev, offset, before, after, s, err);
			}
		} while (changed &&
			 rc == CM_E_LEASE_MISCOMPARE); /* another host was faster: look again */
		if (rc)
			return rc;
	}
	return 0;
}

struct owner_of {
	unsigned slot;
	uint16_t generation;
	uint64_t count, beyond;
};

static bool extent_of(const struct stor_extent *e, const struct owner_of *o)
{
	return e->state != STOR_EXTENT_FREE && e->disk == o->slot && e->generation == o->generation;
}

static bool count_one(struct stor_extent *e, uint64_t extent, void *arg)
{
	struct owner_of *o = arg;

	(void)extent;
	o->count += extent_of(e, o);
	return false;
}

static bool free_one(struct stor_extent *e, uint64_t extent, void *arg)
{
	struct owner_of *o = arg;

	(void)extent;
	if (!extent_of(e, o))
		return false;
	memset(e, 0, sizeof *e);
	o->count++;
	return true;
}

static bool count_free(struct stor_extent *e, uint64_t extent, void *arg)
{
	(void)extent;
	*(uint64_t *)arg += e->state == STOR_EXTENT_FREE;
	return false;
}

/* --- info ---------------------------------------------------------------- */

int stor_volume_info(struct stor_volume *vol, struct stor_volume_info *info, struct cm_err *err)
{
	struct slots t;
	uint8_t *hosts;
	int rc = slots_load(vol, &t, err);

	if (rc)
		return rc;
	memset(info, 0, sizeof *info);
	snprintf(info->name, sizeof info->name, "%s", vol->super.name);
	info->id = vol->super.id;
	info->sector_bytes = vol->super.sector_bytes;
	info->extent_bytes = vol->super.extent_bytes;
	info->extents = vol->super.extents;
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++) {
		struct stor_diskslot d;

		info->disks += stor_diskslot_decode(slot_at(&t, i), t.sector, &d) == 0 &&
			       d.state == STOR_DISKSLOT_USED;
	}
	free(t.region);
	hosts = stor__vol_region(vol, vol->super.hosts_at, STOR_VOL_HOSTS, err);
	if (!hosts)
		return err ? err->code : CM_E_IO;
	for (unsigned i = 0; i < STOR_VOL_HOSTS; i++) {
		struct stor_hostslot h;

		info->hosts += stor_hostslot_decode(hosts + i * t.sector, t.sector, &h) == 0;
	}
	free(hosts);
	hosts = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, err);
	if (!hosts)
		return err ? err->code : CM_E_IO;
	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		struct stor_block b;

		info->vms += stor_block_decode(hosts + i * t.sector, t.sector, &b) == 0;
	}
	free(hosts);
	return table_walk(vol, count_free, &info->extents_free, err);
}

static int fill_info(struct stor_volume *vol, unsigned i, const struct stor_diskslot *d,
		     struct stor_disk_info *info, struct cm_err *err)
{
	struct owner_of o = {.slot = i, .generation = (uint16_t)d->generation};
	int rc = table_walk(vol, count_one, &o, err);

	memset(info, 0, sizeof *info);
	memcpy(info->name, d->name, sizeof info->name);
	info->id = d->id;
	info->size_bytes = d->size_bytes;
	info->allocated_bytes = o.count * vol->super.extent_bytes;
	info->thick = d->thick;
	info->index = i;
	return rc;
}

int stor_volume_disk_info(struct stor_volume *vol, const char *disk, struct stor_disk_info *info,
			  struct cm_err *err)
{
	struct stor_diskslot d;
	struct slots t;
	int rc = slots_load(vol, &t, err), i;

	if (rc)
		return rc;
	i = slot_find(&t, disk, &d);
	free(t.region);
	return i < 0 ? no_disk(vol, disk, err) : fill_info(vol, (unsigned)i, &d, info, err);
}

int stor_volume_each_disk(struct stor_volume *vol, stor_volume_disk_fn fn, void *arg,
			  struct cm_err *err)
{
	struct slots t;
	int rc = slots_load(vol, &t, err);

	if (rc)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0; i++) {
		struct stor_disk_info info;
		struct stor_diskslot d;

		if (stor_diskslot_decode(slot_at(&t, i), t.sector, &d) ||
		    d.state != STOR_DISKSLOT_USED)
			continue;
		rc = fill_info(vol, i, &d, &info, err);
		if (rc == 0)
			fn(&info, arg);
	}
	free(t.region);
	return rc;
}

/* --- create -------------------------------------------------------------- */

/* Takes a free slot. 0, CM_E_DISK_EXISTS, CM_E_VOL_LIMIT, or a miscompare: try again. */
static int slot_claim(struct stor_volume *vol, const char *disk, uint64_t size, bool thick,
		      unsigned *slot, struct stor_diskslot *d, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX];
	struct slots t;
	int rc = slots_load(vol, &t, err), i;

	if (rc)
		return rc;
	if (slot_find(&t, disk, d) >= 0) {
		free(t.region);
		return cm_err_set(err, CM_E_DISK_EXISTS, "volume %s has a disk '%s' already",
				  vol->super.name, disk);
	}
	for (i = 0; i < (int)STOR_VOL_DISKS; i++) {
		rc = stor_diskslot_decode(slot_at(&t, (unsigned)i), t.sector, d);
		if (rc == -ENODATA || (rc == 0 && d->state == STOR_DISKSLOT_FREE))
			break;
	}
	if (i == (int)STOR_VOL_DISKS) {
		free(t.region);
		return cm_err_set(err, CM_E_VOL_LIMIT, "volume %s has its %u disks",
				  vol->super.name, STOR_VOL_DISKS);
	}
	d->generation++; /* 0 if it was never used */
	d->state = STOR_DISKSLOT_USED;
	d->size_bytes = size;
	d->thick = thick;
	stor_uuid_random(&d->id);
	snprintf(d->name, sizeof d->name, "%s", disk);
	stor_diskslot_encode(d, sector, t.sector);
	rc = stor__vol_caw(vol->dev, slot_offset(vol, (unsigned)i), slot_at(&t, (unsigned)i),
			   sector, t.sector, err);
	free(t.region);
	*slot = (unsigned)i;
	return rc;
}

/* Two hosts may have made the same name in two slots at once: the lower slot wins, the other gives
 * way. */
static int slot_settle(struct stor_volume *vol, const char *disk, unsigned mine,
		       const struct stor_diskslot *d, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX];
	struct stor_diskslot other, gone = *d;
	struct slots t;
	int rc = slots_load(vol, &t, err), first;

	if (rc)
		return rc;
	first = slot_find(&t, disk, &other);
	if (first == (int)mine) {
		free(t.region);
		return 0;
	}
	gone.state = STOR_DISKSLOT_FREE;
	stor_diskslot_encode(&gone, sector, t.sector);
	rc = stor__vol_caw(vol->dev, slot_offset(vol, mine), slot_at(&t, mine), sector, t.sector,
			   err);
	free(t.region);
	return rc ? rc
		  : cm_err_set(err, CM_E_DISK_EXISTS, "volume %s has a disk '%s' already",
			       vol->super.name, disk);
}

struct thick {
	struct owner_of owner;
	uint64_t want; /* extents of the disk */
	uint64_t taken;
	uint64_t *extent; /* by logical number */
	bool zero_first;
};

static bool take_one(struct stor_extent *e, uint64_t extent, void *arg)
{
	struct thick *k = arg;

	/* Runs again when a COMPARE AND WRITE was lost: what is ours already counts once. */
	if (extent_of(e, &k->owner)) {
		if (e->logical < k->want && k->extent[e->logical] == 0) {
			k->extent[e->logical] = extent + 1;
			k->taken++;
		}
		return false;
	}
	for (uint64_t l = k->owner.beyond; e->state == STOR_EXTENT_FREE && l < k->want; l++)
		if (!k->extent[l]) {
			*e = (struct stor_extent){.state = STOR_EXTENT_ZEROING,
						  .disk = (uint8_t)k->owner.slot,
						  .generation = k->owner.generation,
						  .logical = (uint32_t)l};
			k->owner.beyond = l + 1;
			return true;
		}
	return false;
}

static bool use_one(struct stor_extent *e, uint64_t extent, void *arg)
{
	struct thick *k = arg;

	(void)extent;
	if (!extent_of(e, &k->owner) || e->state != STOR_EXTENT_ZEROING)
		return false;
	e->state = STOR_EXTENT_USED;
	return true;
}

/* Gives a thick disk all its space now, cleared. */
static int fill_thick(struct stor_volume *vol, unsigned slot, const struct stor_diskslot *d,
		      struct cm_err *err)
{
	struct thick k = {.owner = {.slot = slot, .generation = (uint16_t)d->generation}};
	uint64_t e = vol->super.extent_bytes;
	int rc;

	k.want = (d->size_bytes + e - 1) / e;
	k.extent = calloc(k.want, sizeof *k.extent);
	if (!k.extent)
		return cm_err_set(err, -ENOMEM, "out of memory");
	rc = table_walk(vol, take_one, &k, err);	   /* takes */
	rc = rc ? rc : table_walk(vol, take_one, &k, err); /* counts what was really taken */
	if (rc == 0 && k.taken < k.want)
		rc = cm_err_set(err, CM_E_VOL_FULL, "volume %s has room for %llu of %llu MiB",
				vol->super.name, (unsigned long long)(k.taken * e >> 20),
				(unsigned long long)(k.want * e >> 20));
	for (uint64_t l = 0; l < k.want && rc == 0; l++)
		rc = stor__vol_zero(vol->dev, vol->super.data_at + (k.extent[l] - 1) * e, e, err);
	rc = rc ? rc : table_walk(vol, use_one, &k, err);
	free(k.extent);
	return rc;
}

static int check_size(const struct stor_volume *vol, uint64_t size, struct cm_err *err)
{
	if (size == 0 || size % vol->super.sector_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "a disk's size must be a multiple of %u bytes",
				  vol->super.sector_bytes);
	if ((size + vol->super.extent_bytes - 1) / vol->super.extent_bytes > UINT32_MAX)
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "the disk is too large for extents of %llu MiB",
				  (unsigned long long)(vol->super.extent_bytes >> 20));
	return 0;
}

int stor_volume_disk_create(struct stor_volume *vol, const char *disk, uint64_t size, bool thick,
			    struct cm_err *err)
{
	struct stor_diskslot d;
	struct cm_err undo = CM_ERR_INIT;
	unsigned slot = 0;
	int rc;

	if (!stor_name_valid(disk))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no disk name", disk);
	rc = check_size(vol, size, err);
	if (rc)
		return rc;
	for (unsigned tries = 0; tries < DISK_TRIES; tries++) {
		rc = slot_claim(vol, disk, size, thick, &slot, &d, err);
		if (rc != CM_E_LEASE_MISCOMPARE)
			break;
	}
	rc = rc ? rc : cm_fault("stor.disk.claimed");
	rc = rc ? rc : slot_settle(vol, disk, slot, &d, err);
	if (rc == 0 && thick) {
		rc = fill_thick(vol, slot, &d, err);
		if (rc && stor_volume_disk_delete(vol, disk, &undo))
			cm_err_prefix(err, "(and it could not be removed again)");
	}
	return rc ? cm_err_set(err, rc, "disk %s: %s", disk, cm_err_text(rc)) : 0;
}

/* --- delete, grow, rename ------------------------------------------------ */

/* Changes a used disk's slot. fn edits the copy and returns 0 or an error. */
static int slot_edit(struct stor_volume *vol, const char *disk, enum stor_diskslot_state from,
		     int (*fn)(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
			       struct cm_err *err),
		     const void *arg, unsigned *slot, struct stor_diskslot *out, struct cm_err *err)
{
	int rc = CM_E_LEASE_MISCOMPARE;

	for (unsigned tries = 0; tries < DISK_TRIES && rc == CM_E_LEASE_MISCOMPARE; tries++) {
		uint8_t sector[STOR_SECTOR_MAX];
		struct stor_diskslot d;
		struct slots t;
		int i = -1;

		rc = slots_load(vol, &t, err);
		if (rc)
			return rc;
		for (unsigned j = 0; j < STOR_VOL_DISKS && i < 0; j++)
			if (stor_diskslot_decode(slot_at(&t, j), t.sector, &d) == 0 &&
			    d.state == from && strcmp(d.name, disk) == 0)
				i = (int)j;
		rc = i < 0 ? no_disk(vol, disk, err) : fn(vol, &d, arg, err);
		if (rc == 0) {
			stor_diskslot_encode(&d, sector, t.sector);
			rc = stor__vol_caw(vol->dev, slot_offset(vol, (unsigned)i),
					   slot_at(&t, (unsigned)i), sector, t.sector, err);
			*slot = (unsigned)i;
			*out = d;
		}
		free(t.region);
	}
	return rc;
}

static int edit_state(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		      struct cm_err *err)
{
	(void)vol;
	(void)err;
	d->state = *(const enum stor_diskslot_state *)arg;
	return 0;
}

int stor_volume_disk_delete(struct stor_volume *vol, const char *disk, struct cm_err *err)
{
	static const enum stor_diskslot_state deleting = STOR_DISKSLOT_DELETING,
					      gone = STOR_DISKSLOT_FREE;
	struct stor_diskslot d;
	struct owner_of o;
	unsigned slot;
	int rc = slot_edit(vol, disk, STOR_DISKSLOT_USED, edit_state, &deleting, &slot, &d, err);

	if (rc)
		return rc;
	rc = cm_fault("stor.disk.deleting");
	o = (struct owner_of){.slot = slot, .generation = (uint16_t)d.generation};
	rc = rc ? rc : table_walk(vol, free_one, &o, err);
	return rc ? rc
		  : slot_edit(vol, disk, STOR_DISKSLOT_DELETING, edit_state, &gone, &slot, &d, err);
}

static int edit_size(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	uint64_t size = *(const uint64_t *)arg;

	(void)vol;
	if (size < d->size_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE, "disk %s has %llu MiB: disks only grow",
				  d->name, (unsigned long long)(d->size_bytes >> 20));
	d->size_bytes = size;
	return 0;
}

int stor_volume_disk_resize(struct stor_volume *vol, const char *disk, uint64_t size,
			    struct cm_err *err)
{
	struct stor_diskslot d;
	unsigned slot;
	int rc = check_size(vol, size, err);

	rc = rc ? rc : slot_edit(vol, disk, STOR_DISKSLOT_USED, edit_size, &size, &slot, &d, err);
	return rc == 0 && d.thick ? fill_thick(vol, slot, &d, err) : rc;
}

static int edit_name(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	(void)vol;
	(void)err;
	snprintf(d->name, sizeof d->name, "%s", (const char *)arg);
	return 0;
}

int stor_volume_disk_rename(struct stor_volume *vol, const char *disk, const char *to,
			    struct cm_err *err)
{
	struct stor_disk_info there;
	struct stor_diskslot d;
	unsigned slot;

	if (!stor_name_valid(to))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no disk name", to);
	if (stor_volume_disk_info(vol, to, &there, NULL) == 0)
		return cm_err_set(err, CM_E_DISK_EXISTS, "volume %s has a disk '%s' already",
				  vol->super.name, to);
	return slot_edit(vol, disk, STOR_DISKSLOT_USED, edit_name, to, &slot, &d, err);
}

/* --- check --------------------------------------------------------------- */

struct checker {
	struct stor_volume *vol;
	struct stor_diskslot disk[STOR_VOL_DISKS];
	bool used[STOR_VOL_DISKS], deleting[STOR_VOL_DISKS];
	uint8_t *seen[STOR_VOL_DISKS]; /* one byte per logical extent */
	bool repair;
	void (*complaint)(const char *text, void *arg);
	void *arg;
	struct stor_volume_report *r;
};

static void complain(struct checker *c, const char *fmt, ...) cm_printf(2, 3);
static void complain(struct checker *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (c->complaint)
		c->complaint(text, c->arg);
}

static uint64_t logical_extents(const struct checker *c, unsigned slot)
{
	uint64_t e = c->vol->super.extent_bytes;

	return (c->disk[slot].size_bytes + e - 1) / e;
}

/* Does the extent belong to a living disk, at a place that the disk has, and only once? */
static bool check_one(struct stor_extent *e, uint64_t extent, void *arg)
{
	struct checker *c = arg;
	bool lives;

	if (e->state == STOR_EXTENT_FREE)
		return false;
	lives = c->used[e->disk] && e->generation == (uint16_t)c->disk[e->disk].generation &&
		e->logical < logical_extents(c, e->disk);
	if (lives && c->seen[e->disk][e->logical]++) {
		c->r->doubly_used_extents++;
		complain(c, "disk %s: extent %u is mapped twice", c->disk[e->disk].name,
			 e->logical);
		return false;
	}
	if (lives)
		return false;
	c->r->leaked_extents++;
	complain(c, "extent %llu belongs to no disk (slot %u, generation %u)",
		 (unsigned long long)extent, e->disk, e->generation);
	if (!c->repair)
		return false;
	c->r->repaired_extents++;
	memset(e, 0, sizeof *e);
	return true;
}

static int check_slots(struct checker *c, struct cm_err *err)
{
	struct slots t;
	int rc = slots_load(c->vol, &t, err);

	if (rc)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0; i++) {
		int bad = stor_diskslot_decode(slot_at(&t, i), t.sector, &c->disk[i]);

		if (bad == CM_E_VOL_CORRUPT) {
			c->r->bad_structures++;
			complain(c, "disk slot %u is damaged", i);
		}
		c->used[i] = bad == 0 && c->disk[i].state == STOR_DISKSLOT_USED;
		c->deleting[i] = bad == 0 && c->disk[i].state == STOR_DISKSLOT_DELETING;
		if (c->deleting[i])
			complain(c, "the deletion of disk %s was interrupted", c->disk[i].name);
		c->seen[i] = c->used[i] ? calloc(logical_extents(c, i), 1) : NULL;
		if (c->used[i] && !c->seen[i])
			rc = cm_err_set(err, -ENOMEM, "out of memory");
	}
	free(t.region);
	return rc;
}

static void check_blocks(struct checker *c, const uint8_t *region)
{
	uint32_t s = c->vol->super.sector_bytes;

	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		struct stor_block b;

		if (stor_block_decode(region + i * s, s, &b) == CM_E_LEASE_CORRUPT) {
			c->r->bad_structures++;
			complain(c, "ownership sector %u is damaged", i);
		}
	}
}

static int check_supers(struct checker *c, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	struct stor_super other;
	int rc = stor__vol_read(c->vol->dev, 0, two, 2ull * s, err);

	for (unsigned i = 0; i < STOR_VOL_SUPERS && rc == 0; i++)
		if (stor_super_decode(two + i * s, s, &other)) {
			c->r->bad_structures++;
			complain(c, "copy %u of the super block is damaged", i);
			if (c->repair)
				rc = stor__vol_write(c->vol->dev, (uint64_t)i * s,
						     two + (1 - i) * s, s, err);
		}
	return rc;
}

int stor_volume_check(struct stor_volume *vol, bool repair,
		      void (*complaint)(const char *text, void *arg), void *arg,
		      struct stor_volume_report *report, struct cm_err *err)
{
	struct checker *c = calloc(1, sizeof *c);
	static const enum stor_diskslot_state gone = STOR_DISKSLOT_FREE;
	uint8_t *region;
	int rc;

	if (!c)
		return cm_err_set(err, -ENOMEM, "out of memory");
	memset(report, 0, sizeof *report);
	*c = (struct checker){
		.vol = vol, .repair = repair, .complaint = complaint, .arg = arg, .r = report};
	rc = check_supers(c, err);
	rc = rc ? rc : check_slots(c, err);
	region = rc ? NULL : stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, err);
	if (region)
		check_blocks(c, region);
	else
		rc = rc ? rc : CM_E_IO;
	free(region);
	rc = rc ? rc : table_walk(vol, check_one, c, err);
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++) {
		unsigned slot;

		if (rc == 0 && repair && c->deleting[i])
			rc = slot_edit(vol, c->disk[i].name, STOR_DISKSLOT_DELETING, edit_state,
				       &gone, &slot, &c->disk[i], err);
		free(c->seen[i]);
	}
	free(c);
	return rc;
}
