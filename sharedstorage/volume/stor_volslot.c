/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volslot.c - disk slots, and the rule of who has a name.
 *
 * A slot that wants a name says so first (state CREATING, or `to` of a rename), then looks at all
 * others, and only then makes it final: of two hosts that want the same name at least the later one
 * sees the other. Who sees another that wants it gives way if the other's slot is lower, else
 * pushes the other aside; who was pushed aside notices by its own COMPARE AND WRITE and begins
 * again. What a crash left behind is pushed aside by the next that wants the name. Parses data of
 * the disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volume_int.h"

#define PATIENCE 8u /* times that we give way to the same lower slot before it counts as dead */

struct stor_slots *stor__slots_load(struct stor_volume *vol, int *rc, struct cm_err *err)
{
	struct stor_slots *t = calloc(1, sizeof *t);

	if (!t) {
		*rc = cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	t->sector = vol->super.sector_bytes;
	t->region = stor__vol_region(vol, vol->super.disks_at, STOR_VOL_DISKS, rc, err);
	if (!t->region) {
		free(t);
		return NULL;
	}
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		if (stor_diskslot_decode(t->region + (size_t)i * t->sector, t->sector, &t->d[i]) ==
		    CM_E_VOL_CORRUPT) {
			t->bad[i] = true;
			memset(&t->d[i], 0, sizeof t->d[i]);
		}
	return t;
}

void stor__slots_free(struct stor_slots *t)
{
	if (t)
		free(t->region);
	free(t);
}

static bool slot_named(const struct stor_diskslot *d, enum stor_diskslot_kind kind,
		       const char *name, unsigned states)
{
	return (states & STOR_SLOT_IN(d->state)) && d->kind == kind && strcmp(d->name, name) == 0;
}

int stor__slots_find(const struct stor_slots *t, enum stor_diskslot_kind kind, const char *name,
		     unsigned states)
{
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		if (slot_named(&t->d[i], kind, name, states))
			return (int)i;
	return -1;
}

void stor__disk_info_fill(const struct stor_volume *vol, unsigned i, const struct stor_diskslot *d,
			  uint64_t extents, struct stor_disk_info *info)
{
	*info = (struct stor_disk_info){
		.id = d->id,
		.vm = d->vm,
		.held = d->held,
		.size_bytes = d->size_bytes,
		.allocated_bytes = extents * vol->super.extent_bytes,
		.thick = d->thick,
		.index = i,
	};
	memcpy(info->name, d->name, sizeof info->name);
	memcpy(info->node, d->node, sizeof info->node);
}

int stor__slot_write(struct stor_volume *vol, const struct stor_slots *t, unsigned i,
		     struct stor_diskslot *d, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX];

	d->changes = t->d[i].changes + 1;
	stor_diskslot_encode(d, sector, t->sector);
	return stor__vol_caw(vol->dev, (vol->super.disks_at + i) * t->sector,
			     t->region + (size_t)i * t->sector, sector, t->sector, err);
}

int stor__vol_no_disk(const struct stor_volume *vol, const char *disk, struct cm_err *err)
{
	return cm_err_set(err, CM_E_NO_DISK, "volume %s has no disk '%s'", vol->super.name, disk);
}

static int slots_busy(const struct stor_volume *vol, struct cm_err *err)
{
	return cm_err_set(err, CM_E_DISK_BUSY, "the disk slots of volume %s change all the time",
			  vol->super.name);
}

int stor__vol_check_size(const struct stor_volume *vol, uint64_t size, struct cm_err *err)
{
	if (size == 0 || size % vol->super.sector_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "a disk's size must be a multiple of %u bytes",
				  vol->super.sector_bytes);
	if (size > STOR_VOL_DISK_EXTENTS * vol->super.extent_bytes)
		return cm_err_set(
			err, CM_E_VOL_LIMIT,
			"a disk of volume %s has at most %llu GiB (%llu extents of %llu MiB)",
			vol->super.name,
			(unsigned long long)(STOR_VOL_DISK_EXTENTS * vol->super.extent_bytes >> 30),
			(unsigned long long)STOR_VOL_DISK_EXTENTS,
			(unsigned long long)(vol->super.extent_bytes >> 20));
	return 0;
}

int stor__slot_edit(struct stor_volume *vol, enum stor_diskslot_kind kind, const char *name,
		    unsigned states, stor_slot_fn fn, const void *arg, unsigned *slot,
		    struct stor_diskslot *out, struct cm_err *err)
{
	int rc = CM_E_LEASE_MISCOMPARE;

	for (unsigned tries = 0; tries < STOR_VOL_TRIES && rc == CM_E_LEASE_MISCOMPARE; tries++) {
		struct stor_slots *t;
		struct stor_diskslot d;
		int i;

		if (tries)
			stor__vol_pause(tries);
		t = stor__slots_load(vol, &rc, err);
		if (!t)
			return rc;
		i = stor__slots_find(t, kind, name, states);
		if (i >= 0)
			d = t->d[i];
		rc = i < 0 ? stor__vol_no_disk(vol, name, err) : fn(vol, &d, arg, err);
		if (rc == 0)
			rc = stor__slot_write(vol, t, (unsigned)i, &d, err);
		if (rc >= 0 && slot)
			*slot = (unsigned)i;
		if (rc >= 0 && out)
			*out = d;
		stor__slots_free(t);
	}
	return rc == CM_E_LEASE_MISCOMPARE ? slots_busy(vol, err) : rc;
}

/* --- names --------------------------------------------------------------- */

struct claim {
	enum stor_diskslot_kind kind;
	const char *name;
	unsigned slot;		    /* ours */
	struct stor_diskslot mine;  /* as we wrote it: wants the name */
	struct stor_diskslot final; /* ... has it */
	struct stor_diskslot back;  /* ... gave it up */
	unsigned gave_way;
};
#define SETTLE_AGAIN 1

static bool slot_has(const struct stor_diskslot *d, const struct claim *c)
{
	return slot_named(d, c->kind, c->name,
			  STOR_SLOT_IN(STOR_DISKSLOT_USED) | STOR_SLOT_IN(STOR_DISKSLOT_FILLING));
}

static bool slot_wants(const struct stor_diskslot *d, const struct claim *c)
{
	if (d->kind != c->kind)
		return false;
	return (d->state == STOR_DISKSLOT_CREATING && strcmp(d->name, c->name) == 0) ||
	       (d->state == STOR_DISKSLOT_USED && strcmp(d->to, c->name) == 0);
}

/* What a slot is once it gave up the name that it wanted. */
static struct stor_diskslot gave_up(const struct stor_diskslot *d)
{
	struct stor_diskslot back = *d;

	if (d->state == STOR_DISKSLOT_CREATING)
		back = (struct stor_diskslot){.state = STOR_DISKSLOT_FREE,
					      .generation = d->generation};
	memset(back.to, 0, sizeof back.to);
	return back;
}

static int name_taken(const struct stor_volume *vol, const struct claim *c, struct cm_err *err)
{
	if (c->kind == STOR_DISKSLOT_IMAGE)
		return cm_err_set(err, CM_E_DISK_EXISTS,
				  "volume %s has a saved state of VM %s already", vol->super.name,
				  c->name);
	return cm_err_set(err, CM_E_DISK_EXISTS, "volume %s has a disk '%s' already",
			  vol->super.name, c->name);
}

/* One look at all slots. 0: the name is ours and final; SETTLE_AGAIN: look or begin again
 * (*begin); else an error, and we gave up. */
static int settle_once(struct stor_volume *vol, struct claim *c, struct stor_slots *t, bool *begin,
		       struct cm_err *err)
{
	struct stor_diskslot d;
	bool wait = false;
	int rc;

	*begin = true;
	if (t->d[c->slot].changes != c->mine.changes ||
	    !stor_uuid_equal(&t->d[c->slot].id, &c->mine.id))
		return SETTLE_AGAIN; /* pushed aside */
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++) {
		if (i == c->slot)
			continue;
		if (slot_has(&t->d[i], c)) {
			d = c->back;
			rc = stor__slot_write(vol, t, c->slot, &d, err);
			return rc && rc != CM_E_LEASE_MISCOMPARE ? rc : name_taken(vol, c, err);
		}
		if (!slot_wants(&t->d[i], c))
			continue;
		if (i > c->slot || c->gave_way >= PATIENCE) {
			d = gave_up(&t->d[i]);
			rc = stor__slot_write(vol, t, i, &d, err);
			*begin = false;
			return rc && rc != CM_E_LEASE_MISCOMPARE ? rc : SETTLE_AGAIN;
		}
		wait = true;
	}
	d = wait ? c->back : c->final;
	rc = stor__slot_write(vol, t, c->slot, &d, err);
	if (wait)
		c->gave_way++;
	if (rc == 0 && !wait) {
		c->final = d;
		return 0;
	}
	return rc && rc != CM_E_LEASE_MISCOMPARE ? rc : SETTLE_AGAIN;
}

static int settle(struct stor_volume *vol, struct claim *c, struct cm_err *err)
{
	bool begin = false;
	int rc = SETTLE_AGAIN;

	while (rc == SETTLE_AGAIN && !begin) {
		struct stor_slots *t = stor__slots_load(vol, &rc, err);

		if (!t)
			return rc;
		rc = settle_once(vol, c, t, &begin, err);
		stor__slots_free(t);
	}
	return rc;
}

/* --- create -------------------------------------------------------------- */

/* Says that we want the name, in a free slot. */
static int create_begin(struct stor_volume *vol, struct claim *c, const struct stor_diskslot *want,
			enum stor_diskslot_state state, struct cm_err *err)
{
	struct stor_slots *t;
	unsigned i;
	int rc;

	t = stor__slots_load(vol, &rc, err);
	if (!t)
		return rc;
	if (stor__slots_find(t, c->kind, c->name,
			     STOR_SLOT_IN(STOR_DISKSLOT_USED) |
				     STOR_SLOT_IN(STOR_DISKSLOT_FILLING)) >= 0) {
		stor__slots_free(t);
		return name_taken(vol, c, err);
	}
	for (i = 0; i < STOR_VOL_DISKS; i++)
		if (!t->bad[i] && t->d[i].state <= STOR_DISKSLOT_FREE)
			break;
	if (i == STOR_VOL_DISKS) {
		stor__slots_free(t);
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "volume %s has its %u disks and saved states", vol->super.name,
				  STOR_VOL_DISKS);
	}
	c->slot = i;
	c->mine = *want;
	c->mine.state = STOR_DISKSLOT_CREATING;
	c->mine.generation = t->d[i].generation + 1; /* 0 if it was never used */
	stor_uuid_random(&c->mine.id);
	rc = stor__slot_write(vol, t, i, &c->mine, err);
	stor__slots_free(t);
	c->final = c->mine;
	c->final.state = state;
	c->back = gave_up(&c->mine);
	return rc;
}

int stor__slot_create(struct stor_volume *vol, struct stor_diskslot *d,
		      enum stor_diskslot_state state, unsigned *slot, struct cm_err *err)
{
	struct claim c = {.kind = d->kind, .name = d->name};
	int rc = SETTLE_AGAIN;

	for (unsigned tries = 0; tries < STOR_VOL_TRIES; tries++) {
		if (tries)
			stor__vol_pause(tries);
		rc = create_begin(vol, &c, d, state, err);
		rc = rc ? rc : cm_fault("stor.disk.claimed");
		rc = rc ? rc : settle(vol, &c, err);
		if (rc != SETTLE_AGAIN && rc != CM_E_LEASE_MISCOMPARE)
			break;
	}
	if (rc == SETTLE_AGAIN || rc == CM_E_LEASE_MISCOMPARE)
		return slots_busy(vol, err);
	if (rc)
		return rc;
	*slot = c.slot;
	*d = c.final;
	return 0;
}

/* --- rename -------------------------------------------------------------- */

static int rename_begin(struct stor_volume *vol, struct claim *c, const char *from, stor_slot_fn may,
			struct cm_err *err)
{
	struct stor_diskslot d;
	struct stor_slots *t;
	int rc, i;

	t = stor__slots_load(vol, &rc, err);
	if (!t)
		return rc;
	i = stor__slots_find(t, c->kind, from, STOR_SLOT_IN(STOR_DISKSLOT_USED));
	/* Who changes the slot later than this look is seen, and we begin again. */
	if (i >= 0)
		d = t->d[i];
	rc = i < 0 ? stor__vol_no_disk(vol, from, err) : may(vol, &d, NULL, err);
	if (rc == 0) {
		c->slot = (unsigned)i;
		c->mine = t->d[i];
		snprintf(c->mine.to, sizeof c->mine.to, "%s", c->name);
		rc = stor__slot_write(vol, t, c->slot, &c->mine, err);
	}
	stor__slots_free(t);
	c->back = gave_up(&c->mine);
	c->final = c->back;
	snprintf(c->final.name, sizeof c->final.name, "%s", c->name);
	return rc;
}

int stor__slot_rename(struct stor_volume *vol, const char *from, const char *to, stor_slot_fn may,
		      struct cm_err *err)
{
	struct claim c = {.kind = STOR_DISKSLOT_DISK, .name = to};
	int rc = SETTLE_AGAIN;

	if (strcmp(from, to) == 0)
		return name_taken(vol, &c, err);
	for (unsigned tries = 0; tries < STOR_VOL_TRIES; tries++) {
		if (tries)
			stor__vol_pause(tries);
		rc = rename_begin(vol, &c, from, may, err);
		rc = rc ? rc : settle(vol, &c, err);
		if (rc != SETTLE_AGAIN && rc != CM_E_LEASE_MISCOMPARE)
			return rc;
	}
	return slots_busy(vol, err);
}

/* --- the end of a slot --------------------------------------------------- */

int stor__slot_finish_delete(struct stor_volume *vol, unsigned slot, const struct stor_diskslot *d,
			     struct cm_err *err)
{
	struct stor_diskslot gone = {.state = STOR_DISKSLOT_FREE, .generation = d->generation};
	struct stor_slots *t;
	int rc = stor__vol_table_free(vol, slot, d->generation, 0, NULL, err);

	if (rc)
		return rc;
	t = stor__slots_load(vol, &rc, err);
	if (!t)
		return rc;
	/* Somebody else who finished the same deletion was faster: as good. */
	if (t->d[slot].state == STOR_DISKSLOT_DELETING && stor_uuid_equal(&t->d[slot].id, &d->id))
		rc = stor__slot_write(vol, t, slot, &gone, err);
	stor__slots_free(t);
	return rc == CM_E_LEASE_MISCOMPARE ? 0 : rc;
}
