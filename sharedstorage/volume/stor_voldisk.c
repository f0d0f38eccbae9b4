/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_voldisk.c - the disks of a cluster volume: create, delete, rename, list (stor_volgrow.c grows
 * them).
 *
 * Each operation is a chain of COMPARE AND WRITEs of which one is the moment when it has happened;
 * what a crash leaves before or after it is finished by repeating the operation or by volume check
 * --repair (docs/DISK.md has the table). Parses nothing: stor_volslot.c and stor_voltable.c do.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volume_int.h"

#define USED	STOR_SLOT_IN(STOR_DISKSLOT_USED)
#define FILLING STOR_SLOT_IN(STOR_DISKSLOT_FILLING)

/* --- info ---------------------------------------------------------------- */

static unsigned readers_of(const struct stor_slots *t, const struct stor_uuid *disk)
{
	unsigned n = 0;

	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		n += t->d[i].state == STOR_DISKSLOT_USED && t->d[i].kind == STOR_DISKSLOT_READER &&
		     stor_uuid_equal(&t->d[i].of, disk);
	return n;
}

int stor_volume_disk_info(struct stor_volume *vol, const char *disk, struct stor_disk_info *info,
			  struct cm_err *err)
{
	uint64_t *count = calloc(STOR_VOL_DISKS, sizeof *count);
	struct stor_slots *t;
	int rc, i;

	t = count ? stor__slots_load(vol, &rc, err) : NULL;
	if (!t) {
		rc = count ? rc : cm_err_set(err, -ENOMEM, "out of memory");
		free(count);
		return rc;
	}
	i = stor__slots_find(t, STOR_DISKSLOT_DISK, disk, USED);
	rc = i < 0 ? stor__vol_no_disk(vol, disk, err)
		   : stor__vol_table_count(vol, t->d, count, NULL, err);
	if (rc == 0) {
		stor__disk_info_fill(vol, (unsigned)i, &t->d[i], count[i], info);
		info->readers = readers_of(t, &info->id);
	}
	stor__slots_free(t);
	free(count);
	return rc;
}

int stor_volume_each_disk(struct stor_volume *vol, stor_volume_disk_fn fn, void *arg,
			  struct cm_err *err)
{
	uint64_t *count = calloc(STOR_VOL_DISKS, sizeof *count);
	struct stor_slots *t;
	int rc;

	t = count ? stor__slots_load(vol, &rc, err) : NULL;
	if (!t) {
		rc = count ? rc : cm_err_set(err, -ENOMEM, "out of memory");
		free(count);
		return rc;
	}
	rc = stor__vol_table_count(vol, t->d, count, NULL, err);
	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0; i++) {
		struct stor_disk_info info;

		if (t->d[i].state != STOR_DISKSLOT_USED || t->d[i].kind != STOR_DISKSLOT_DISK)
			continue;
		stor__disk_info_fill(vol, i, &t->d[i], count[i], &info);
		info.readers = readers_of(t, &info.id);
		fn(&info, arg);
	}
	stor__slots_free(t);
	free(count);
	return rc;
}

/* --- create -------------------------------------------------------------- */

static int edit_used(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	const struct stor_slot_work *w = arg;

	(void)vol;
	if (!stor__slot_work_is(w, d))
		return stor__slot_work_over(w, err); /* deleted while we filled it */
	d->state = STOR_DISKSLOT_USED;
	return 0;
}

static int edit_drop(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	int rc = edit_used(vol, d, arg, err);

	d->state = STOR_DISKSLOT_DELETING;
	return rc;
}

/* All extents, then the disk is there. On failure it goes again: this very slot, never another disk
 * that has its name by now. */
static int create_fill(struct stor_volume *vol, unsigned slot, const struct stor_diskslot *d,
		       struct cm_err *err)
{
	struct stor_slot_work w = {.slot = slot, .state = STOR_DISKSLOT_FILLING, .id = d->id};
	struct cm_err undo = CM_ERR_INIT;
	int rc = cm_fault("stor.disk.filling"), rc2;

	memcpy(w.name, d->name, sizeof w.name);
	rc = rc ? rc : stor__vol_table_fill(vol, &w, d->generation, 0, stor__vol_extents_of(vol, d->size_bytes), err);
	rc = rc ? rc : stor__slot_edit_at(vol, slot, edit_used, &w, err);
	if (rc == 0)
		return 0;
	rc2 = stor__slot_edit_at(vol, slot, edit_drop, &w, &undo);
	rc2 = rc2 ? rc2 : stor__slot_finish_delete(vol, slot, d, &undo);
	if (rc2 && rc2 != CM_E_DISK_BUSY)
		cm_err_prefix(err, "(and it could not be removed again)");
	return rc;
}

int stor_volume_disk_create(struct stor_volume *vol, const char *disk, uint64_t size, bool thick,
			    struct cm_err *err)
{
	struct stor_diskslot d = {.kind = STOR_DISKSLOT_DISK, .size_bytes = size, .thick = thick};
	unsigned slot = 0;
	int rc;

	if (!stor_name_valid(disk))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no disk name", disk);
	rc = stor__vol_check_size(vol, size, err);
	if (rc)
		return rc;
	snprintf(d.name, sizeof d.name, "%s", disk);
	rc = stor__slot_create(vol, &d, thick ? STOR_DISKSLOT_FILLING : STOR_DISKSLOT_USED, &slot,
			       err);
	if (rc == 0 && thick)
		rc = create_fill(vol, slot, &d, err);
	return rc ? cm_err_set(err, rc, "disk %s: %s", disk, cm_err_text(rc)) : 0;
}

/* --- delete -------------------------------------------------------------- */

static int edit_deleting(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
			 struct cm_err *err)
{
	int rc = stor__disk_unused(vol, d, NULL, err);

	(void)arg;
	d->state = STOR_DISKSLOT_DELETING;
	return rc;
}

/* A deletion that was interrupted is finished. -ENOENT: there is none of that name. */
static int delete_again(struct stor_volume *vol, const char *disk, struct cm_err *err)
{
	struct stor_slots *t;
	struct stor_diskslot d;
	int rc, i;

	t = stor__slots_load(vol, &rc, err);
	if (!t)
		return rc;
	i = stor__slots_find(t, STOR_DISKSLOT_DISK, disk, STOR_SLOT_IN(STOR_DISKSLOT_DELETING));
	if (stor__slots_find(t, STOR_DISKSLOT_DISK, disk, USED | FILLING) >= 0)
		i = -1;
	if (i >= 0)
		d = t->d[i];
	stor__slots_free(t);
	return i < 0 ? -ENOENT : stor__slot_finish_delete(vol, (unsigned)i, &d, err);
}

int stor_volume_disk_delete(struct stor_volume *vol, const char *disk, struct cm_err *err)
{
	struct stor_diskslot d;
	unsigned slot;
	int rc = delete_again(vol, disk, err);

	if (rc != -ENOENT)
		return rc;
	rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED | FILLING, edit_deleting, NULL,
			     &slot, &d, err);
	rc = rc ? rc : cm_fault("stor.disk.deleting");
	/* Nobody owns who left one behind. */
	rc = rc ? rc : stor__readers_unclaim(vol, &d.id, disk, true, err);
	return rc ? rc : stor__slot_finish_delete(vol, slot, &d, err);
}

/* --- rename -------------------------------------------------------------- */


/* A VM that runs would not find it at its next start, which may be a failover. */
static int edit_unused(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		       struct cm_err *err)
{
	(void)arg;
	return stor__disk_unused(vol, d, NULL, err);
}

int stor_volume_disk_rename(struct stor_volume *vol, const char *disk, const char *to,
			    struct cm_err *err)
{
	if (!stor_name_valid(to))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no disk name", to);
	return stor__slot_rename(vol, disk, to, edit_unused, err);
}
