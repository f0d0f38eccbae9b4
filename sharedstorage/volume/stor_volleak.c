/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volleak.c - volume check, its part about disks: what an interrupted operation left in their
 * slots, and extents that are nobody's.
 *
 * Others may work on the volume at the same time. An extent is leaked only if its disk's slot says
 * so when it is read after the sector of the table: what the slot says then was so while these
 * bytes were there, a dead entry never comes to life again, and the COMPARE AND WRITE is from these
 * bytes (docs/DISK.md, "Leaked extents", has the whole argument). What is ended of an operation
 * that somebody still works on, that one notices by his own COMPARE AND WRITE. Parses data of the
 * disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/volume/stor_volcheck_int.h"

void stor__check_complain(struct checker *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (c->complaint)
		c->complaint(text, c->arg);
}

/* --- disk slots ---------------------------------------------------------- */

static const char *slot_noun(const struct stor_diskslot *d)
{
	return d->kind == STOR_DISKSLOT_IMAGE  ? "saved state"
	     : d->kind == STOR_DISKSLOT_READER ? "reader"
					       : "disk";
}

/* What an interrupted operation left in a slot: words, and the slot as it should be. A disk that
 * goes keeps its slot until its extents are back. */
static const char *slot_left(const struct stor_diskslot *d, struct stor_diskslot *fixed)
{
	*fixed = *d;
	switch (d->state) {
	case STOR_DISKSLOT_DELETING:
		return "deletion";
	case STOR_DISKSLOT_CREATING:
	case STOR_DISKSLOT_FILLING:
		fixed->state = STOR_DISKSLOT_DELETING;
		return "creation";
	case STOR_DISKSLOT_USED:
		memset(fixed->to, 0, sizeof fixed->to);
		fixed->grow_bytes = fixed->grower = 0;
		return d->to[0] ? "renaming" : d->grow_bytes ? "growth" : NULL;
	case STOR_DISKSLOT_NONE:
	case STOR_DISKSLOT_FREE:
		break;
	}
	return NULL;
}

/* Extents that the disk has room for. */
static uint64_t slot_extents(const struct checker *c, const struct stor_diskslot *d)
{
	return stor__vol_extents_of(c->vol, CM_MAX(d->size_bytes, d->grow_bytes));
}

/* Ends what was interrupted. Who is at it still notices by his own COMPARE AND WRITE, and has
 * changed nothing but the slot and entries of the table. */
static int end_left(struct checker *c, unsigned i, struct stor_diskslot *fixed, struct cm_err *err)
{
	int rc = stor__slot_write(c->vol, c->slots, i, fixed, err);

	if (rc && rc != CM_E_LEASE_MISCOMPARE)
		return rc;
	c->moved[i] = rc != 0; /* not left over: somebody is at it */
	return stor__slots_again(c->vol, c->slots, i, err);
}

static int check_slots(struct checker *c, struct cm_err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0; i++) {
		struct stor_diskslot *d = &c->slots->d[i], fixed;
		const char *left = slot_left(d, &fixed);

		if (c->slots->bad[i]) {
			c->r->bad_structures++;
			stor__check_complain(c, "disk slot %u is damaged", i);
		}
		if (left) {
			c->r->unfinished++;
			stor__check_complain(c, "the %s of %s %s was interrupted", left, slot_noun(d), d->name);
		}
		if (left && c->repair && d->state != STOR_DISKSLOT_DELETING)
			rc = end_left(c, i, &fixed, err);
		if (rc || d->state != STOR_DISKSLOT_USED)
			continue;
		c->seen[i] = calloc(slot_extents(c, d), 1);
		if (!c->seen[i])
			rc = cm_err_set(err, -ENOMEM, "out of memory");
	}
	return rc;
}

/* Slots of disks that went, as they were before the walk of the table. */
static int free_slots(struct checker *c, struct cm_err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0 && c->repair; i++) {
		const struct stor_diskslot *d = &c->slots->d[i];
		struct stor_diskslot gone = {.state = STOR_DISKSLOT_FREE,
					     .generation = d->generation};

		if (d->state == STOR_DISKSLOT_DELETING && !c->moved[i])
			rc = stor__slot_write(c->vol, c->slots, i, &gone, err);
		if (rc == CM_E_LEASE_MISCOMPARE) /* whoever deletes it was faster */
			rc = 0;
	}
	return rc;
}

/* --- the table ----------------------------------------------------------- */

/* Does the extent belong to a living disk, at a place that the disk has? */
static bool extent_lives(const struct checker *c, const struct stor_extent *e)
{
	const struct stor_diskslot *d = &c->slots->d[e->disk];

	if (c->slots->bad[e->disk])
		return true; /* of a disk that cannot be read: nothing of it is given away */
	return (d->state == STOR_DISKSLOT_USED || d->state == STOR_DISKSLOT_FILLING) &&
	       stor_extent_is(e, e->disk, d->generation) && e->logical < slot_extents(c, d);
}

/* The slot as it is now that the sector of the table was read: true if it says the same still. */
static bool extent_dead(struct checker *c, const struct stor_extent *e)
{
	struct stor_diskslot old;
	unsigned i = e->disk;

	if (i >= STOR_VOL_DISKS)
		return true; /* no disk of this format */
	if (extent_lives(c, e))
		return false;
	if (c->fresh[i])
		return true;
	old = c->slots->d[i];
	c->rc = stor__slots_again(c->vol, c->slots, i, c->err);
	if (c->rc)
		return false;
	c->fresh[i] = true;
	if (c->slots->bad[i] || old.changes != c->slots->d[i].changes) {
		c->moved[i] = true;
		free(c->seen[i]);
		c->seen[i] = NULL;
	}
	return !extent_lives(c, e);
}

/* A disk's extent, whole disks that nobody changes meanwhile: only once? */
static void see_extent(struct checker *c, const struct stor_extent *e)
{
	if (c->slots->bad[e->disk] || !c->seen[e->disk] || !c->seen[e->disk][e->logical]++)
		return;
	c->r->doubly_used_extents++;
	stor__check_complain(c, "disk %s: extent %u is mapped twice", c->slots->d[e->disk].name, e->logical);
}

static bool check_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	static const struct stor_extent none = {.state = STOR_EXTENT_FREE};
	struct checker *c = arg;
	bool changed = false, again = c->sector == first;

	c->sector = first;
	memset(c->fresh, 0, sizeof c->fresh);
	for (uint32_t i = 0; i < n && c->rc == 0; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		if (e.state == STOR_EXTENT_FREE)
			continue;
		if (!extent_dead(c, &e)) {
			if (!again && c->rc == 0)
				see_extent(c, &e);
			continue;
		}
		if (!again) {
			c->r->leaked_extents++;
			stor__check_complain(c, "extent %llu belongs to no disk (slot %u, generation %u)",
				 (unsigned long long)(first + i), e.disk, e.generation);
			c->r->repaired_extents += c->repair;
		}
		if (c->repair) {
			stor_table_put(sector, i, &none);
			changed = true;
		}
	}
	return changed && c->rc == 0;
}

/* Damaged sectors of the table are counted one by one; the walk ends at the first. */
static int check_table(struct checker *c, struct cm_err *err)
{
	uint64_t s = c->vol->super.sector_bytes, n = stor_table_in_use(&c->vol->super), bad = 0;
	int rc;
	uint8_t *table = stor__vol_region(c->vol, c->vol->super.table_at, n, &rc, err);

	for (uint64_t t = 0; table && t < n; t++)
		if (stor_table_check(table + t * s, (uint32_t)s)) {
			bad++;
			stor__check_complain(c, "sector %llu of the extent table is damaged",
				 (unsigned long long)t);
		}
	free(table);
	c->r->bad_structures += bad;
	c->sector = UINT64_MAX;
	if (rc == 0 && bad == 0)
		rc = stor__vol_table_walk(c->vol, check_sector, c, err);
	rc = rc ? rc : c->rc;
	/* With a damaged sector nothing is taken for leaked. */
	return rc;
}

int stor__check_disks(struct checker *c, struct cm_err *err)
{
	int rc;

	c->slots = stor__slots_load(c->vol, &rc, err);
	if (!c->slots)
		return rc;
	rc = check_slots(c, err);
	rc = rc ? rc : check_table(c, err);
	rc = rc ? rc : free_slots(c, err);
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		free(c->seen[i]);
	stor__slots_free(c->slots);
	return rc;
}
