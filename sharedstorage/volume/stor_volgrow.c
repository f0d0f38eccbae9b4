/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volgrow.c - a disk gets larger, also while a VM runs with it.
 *
 * The slot says first that it is being grown, and by whom (a random number). Then every extent that
 * an earlier attempt left behind the old end is given back, so that whoever read one of them as
 * nobody's and is about to free it finds another sector (his COMPARE AND WRITE fails) and nothing
 * of it ever counts as the disk's again. A thick disk then takes its new extents. The size in the
 * slot is the end. Each step on the table looks first whether the slot still says so: volume check
 * --repair, or another growth, may have ended this one. Parses nothing.
 */
#include "config.h"

#include <stdio.h>
#include <sys/random.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volume_int.h"

#define USED STOR_SLOT_IN(STOR_DISKSLOT_USED)

struct growth {
	uint64_t size_bytes, grower;
};

static int edit_begin(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		      struct cm_err *err)
{
	const struct growth *g = arg;

	(void)vol;
	if (g->size_bytes < d->size_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE, "disk %s has %llu MiB: disks only grow",
				  d->name, (unsigned long long)(d->size_bytes >> 20));
	/* An earlier growth was interrupted, or is under way and now over: it finds out. */
	d->grow_bytes = g->size_bytes;
	d->grower = g->grower;
	return 0;
}

/* It has its new size, or (edit_undo) again its old one. */
static int edit_end(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		    struct cm_err *err)
{
	const struct stor_slot_work *w = arg;

	(void)vol;
	if (!stor__slot_work_is(w, d))
		return stor__slot_work_over(w, err);
	d->size_bytes = d->grow_bytes;
	d->grow_bytes = d->grower = 0;
	return 0;
}

static int edit_undo(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	uint64_t size = d->size_bytes;
	int rc = edit_end(vol, d, arg, err);

	d->size_bytes = size;
	return rc;
}

int stor_volume_disk_resize(struct stor_volume *vol, const char *disk, uint64_t size,
			    struct cm_err *err)
{
	struct growth g = {.size_bytes = size};
	struct stor_slot_work w = {.state = STOR_DISKSLOT_USED};
	struct cm_err undo = CM_ERR_INIT;
	struct stor_diskslot d;
	uint64_t old;
	int rc = stor__vol_check_size(vol, size, err), rc2;

	CM_ASSERT(getrandom(&g.grower, sizeof g.grower, 0) == sizeof g.grower);
	rc = rc ? rc : stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_begin, &g, &w.slot, &d, err);
	rc = rc ? rc : cm_fault("stor.disk.growing");
	if (rc)
		return rc;
	w.id = d.id;
	w.grow_bytes = d.grow_bytes;
	w.grower = d.grower;
	snprintf(w.name, sizeof w.name, "%s", d.name);
	old = stor__vol_extents_of(vol, d.size_bytes);
	rc = stor__vol_table_free(vol, w.slot, d.generation, old, &w, err);
	if (rc == 0 && d.thick)
		rc = stor__vol_table_fill(vol, &w, d.generation, old, stor__vol_extents_of(vol, size), err);
	rc = rc ? rc : cm_fault("stor.disk.grown");
	rc = rc ? rc : stor__slot_edit_at(vol, w.slot, edit_end, &w, err);
	if (rc == 0)
		return 0;
	/* Only as long as the growth is ours; else whoever ended it does this. */
	rc2 = stor__vol_table_free(vol, w.slot, d.generation, old, &w, &undo);
	rc2 = rc2 ? rc2 : stor__slot_edit_at(vol, w.slot, edit_undo, &w, &undo);
	if (rc2 && rc2 != CM_E_DISK_BUSY)
		cm_err_prefix(err, "(and what was taken could not be given back)");
	return rc;
}
