/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_voldisk.c - the disks of a cluster volume: create, delete, grow, rename, list.
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
	const struct stor_diskslot *mine = arg;

	if (!stor_uuid_equal(&d->id, &mine->id))
		return stor__vol_no_disk(vol, d->name, err); /* deleted while we filled it */
	d->state = STOR_DISKSLOT_USED;
	return 0;
}

int stor_volume_disk_create(struct stor_volume *vol, const char *disk, uint64_t size, bool thick,
			    struct cm_err *err)
{
	struct stor_diskslot d = {.kind = STOR_DISKSLOT_DISK, .size_bytes = size, .thick = thick};
	struct cm_err undo = CM_ERR_INIT;
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
	if (rc || !thick)
		return rc ? cm_err_set(err, rc, "disk %s: %s", disk, cm_err_text(rc)) : 0;
	rc = stor__vol_table_fill(vol, slot, d.generation, 0, stor__vol_extents_of(vol, size), err);
	rc = rc ? rc
		: stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, FILLING, edit_used, &d, NULL, NULL,
				  err);
	if (rc && stor_volume_disk_delete(vol, disk, &undo))
		cm_err_prefix(err, "(and it could not be removed again)");
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

/* --- grow, rename ------------------------------------------------------ */

static int edit_size(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	uint64_t size = *(const uint64_t *)arg;

	(void)vol;
	if (size < d->size_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE, "disk %s has %llu MiB: disks only grow",
				  d->name, (unsigned long long)(d->size_bytes >> 20));
	if (d->grow_bytes)
		return cm_err_set(err, CM_E_DISK_BUSY,
				  "disk %s is being grown; if that was interrupted: hvctl volume "
				  "check --repair",
				  d->name);
	if (d->thick)
		d->grow_bytes = size;
	else
		d->size_bytes = size;
	return 0;
}

struct grown {
	struct stor_uuid id;
	uint64_t size_bytes, grow_bytes;
};

static int edit_grown(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		      struct cm_err *err)
{
	const struct grown *g = arg;

	if (!stor_uuid_equal(&d->id, &g->id) || d->grow_bytes != g->grow_bytes)
		return stor__vol_no_disk(vol, d->name, err); /* another one by now */
	d->size_bytes = g->size_bytes;
	d->grow_bytes = 0;
	return 0;
}

/* A thick disk takes its new extents before it has its new size: nobody else looks at them. */
int stor_volume_disk_resize(struct stor_volume *vol, const char *disk, uint64_t size,
			    struct cm_err *err)
{
	struct cm_err undo = CM_ERR_INIT;
	struct stor_diskslot d;
	struct grown g;
	uint64_t old;
	unsigned slot;
	int rc = stor__vol_check_size(vol, size, err), rc2;

	rc = rc ? rc
		: stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_size, &size, &slot, &d,
				  err);
	if (rc || !d.thick)
		return rc;
	old = stor__vol_extents_of(vol, d.size_bytes);
	g = (struct grown){d.id, size, size};
	rc = stor__vol_table_fill(vol, slot, d.generation, old, stor__vol_extents_of(vol, size),
				  err);
	rc = rc ? rc
		: stor__slot_edit(vol, STOR_DISKSLOT_DISK, d.name, USED, edit_grown, &g, NULL, NULL,
				  err);
	if (rc == 0)
		return 0;
	rc2 = stor__vol_table_free(vol, slot, d.generation, old, &undo);
	g.size_bytes = d.size_bytes;
	rc2 = rc2 ? rc2
		  : stor__slot_edit(vol, STOR_DISKSLOT_DISK, d.name, USED, edit_grown, &g, NULL,
				    NULL, &undo);
	if (rc2)
		cm_err_prefix(err, "(and what was taken could not be given back)");
	return rc;
}

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
