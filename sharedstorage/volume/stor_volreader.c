/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volreader.c - claims of VMs that only read a disk: a disk slot of kind READER for each, which names the disk by its
 * id. Who takes a disk away reads its slot, then all slots, then changes the disk's; a reader makes its own slot, then
 * changes the disk's: one of the two sees the other. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

#define USED STOR_SLOT_IN(STOR_DISKSLOT_USED)

/* One for each VM and disk. */
static void reader_name(const struct stor_uuid *vm, const struct stor_uuid *disk, char out[STOR_DISK_NAME])
{
	char a[STOR_UUID_TEXT], b[STOR_UUID_TEXT];

	stor_uuid_format(vm, a);
	stor_uuid_format(disk, b);
	snprintf(out, STOR_DISK_NAME, "%s.%.23s", a, b);
}

struct reading {
	const struct stor_claim *claim;
	const struct stor_uuid *disk; /* NULL: any */
	const char *name;	      /* of the disk */
	bool sure;
};

/* The reader's slot from an earlier start. */
static int edit_again(struct stor_volume *vol, struct stor_diskslot *d, const void *arg, struct cm_err *err)
{
	const struct reading *r = arg;
	int rc = 0;

	if (stor__claim_same(d, r->claim) && d->epoch > r->claim->epoch)
		return cm_err_set(err, CM_E_DISK_BUSY, "disk %s is read by a later start of this VM (node %s)", r->name,
				  d->node);
	if (!stor__claim_same(d, r->claim))
		rc = stor__claim_unused(vol, d, r->name, err);
	stor__claim_set(d, r->claim);
	return rc;
}

static int reader_take(struct stor_volume *vol, const struct reading *r, struct cm_err *err)
{
	struct stor_diskslot d = {.kind = STOR_DISKSLOT_READER,
				  .of = *r->disk,
				  .size_bytes = vol->super.sector_bytes};
	struct cm_err own = CM_ERR_INIT;
	unsigned slot;
	int rc;

	stor__claim_set(&d, r->claim);
	reader_name(&r->claim->vm, r->disk, d.name);
	rc = stor__slot_create(vol, &d, STOR_DISKSLOT_USED, &slot, &own);
	if (rc == CM_E_DISK_EXISTS) {
		cm_err_clear(&own);
		rc = stor__slot_edit(vol, STOR_DISKSLOT_READER, d.name, USED, edit_again, r, NULL, NULL, &own);
	}
	return rc ? cm_err_set(err, rc, "%s", own.text) : 0;
}

/*
 * The disk is there, and no other VM writes to it. Its slot changes: whoever saw no reader does not take it away. A claim
 * that a writer left behind ends here: when that VM starts again, it must look for readers like every newcomer.
 */
static int edit_touch(struct stor_volume *vol, struct stor_diskslot *d, const void *arg, struct cm_err *err)
{
	const struct reading *r = arg;
	int rc;

	if (!stor_uuid_equal(&d->id, r->disk))
		return stor__vol_no_disk(vol, d->name, err); /* another one of that name by now */
	if (stor_uuid_equal(&d->vm, &r->claim->vm))
		return 0;
	rc = stor__claim_unused(vol, d, d->name, err);
	d->held = false;
	return rc;
}

static int edit_look(struct stor_volume *vol, struct stor_diskslot *d, const void *arg, struct cm_err *err)
{
	(void)vol;
	(void)d;
	(void)arg;
	(void)err;
	return STOR_SLOT_AS_IS;
}

int stor_volume_reader_claim(struct stor_volume *vol, const char *disk, const struct stor_claim *claim,
			     struct stor_disk_info *info, struct cm_err *err)
{
	struct reading r = {.claim = claim, .name = disk};
	struct cm_err undo = CM_ERR_INIT;
	struct stor_diskslot d;
	unsigned slot;
	int rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_look, NULL, NULL, &d, err);

	if (rc < 0)
		return rc;
	r.disk = &d.id;
	rc = reader_take(vol, &r, err);
	if (rc)
		return rc;
	rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_touch, &r, &slot, NULL, err);
	if (rc && stor_volume_reader_release(vol, &d.id, claim, &undo))
		cm_err_prefix(err, "(and the claim could not be removed again)");
	if (rc == 0)
		stor__disk_info_fill(vol, slot, &d, 0, info);
	return rc;
}

static int edit_gone(struct stor_volume *vol, struct stor_diskslot *d, const void *arg, struct cm_err *err)
{
	const struct reading *r = arg;

	(void)vol;
	(void)err;
	if (!stor__claim_same(d, r->claim) || d->epoch > r->claim->epoch)
		return STOR_SLOT_AS_IS;
	*d = (struct stor_diskslot){.state = STOR_DISKSLOT_FREE, .generation = d->generation};
	return 0;
}

int stor_volume_reader_release(struct stor_volume *vol, const struct stor_uuid *disk,
			       const struct stor_claim *claim, struct cm_err *err)
{
	const struct reading r = {.claim = claim};
	struct cm_err own = CM_ERR_INIT;
	char name[STOR_DISK_NAME];
	int rc;

	reader_name(&claim->vm, disk, name);
	rc = stor__slot_edit(vol, STOR_DISKSLOT_READER, name, USED, edit_gone, &r, NULL, NULL, &own);
	return rc < 0 && rc != CM_E_NO_DISK ? cm_err_set(err, rc, "%s", own.text) : 0;
}

/* --- by others ------------------------------------------------------------------ */

static int edit_unclaim(struct stor_volume *vol, struct stor_diskslot *d, const void *arg, struct cm_err *err)
{
	const struct reading *r = arg;
	int rc = stor__claim_unused(vol, d, r->name, err);

	if (rc == CM_E_DISK_CLAIMED && r->sure) {
		cm_err_clear(err);
		rc = 0;
	}
	*d = (struct stor_diskslot){.state = STOR_DISKSLOT_FREE, .generation = d->generation};
	return rc;
}

int stor__readers_unclaim(struct stor_volume *vol, const struct stor_uuid *disk, const char *name, bool sure,
			  struct cm_err *err)
{
	const struct reading r = {.name = name, .sure = sure};
	int rc;
	struct stor_slots *t = stor__slots_load(vol, &rc, err);

	for (unsigned i = 0; t && i < STOR_VOL_DISKS && rc >= 0; i++) {
		const struct stor_diskslot *d = &t->d[i];

		if (d->state != STOR_DISKSLOT_USED || d->kind != STOR_DISKSLOT_READER ||
		    !stor_uuid_equal(&d->of, disk))
			continue;
		rc = stor__slot_edit(vol, STOR_DISKSLOT_READER, d->name, USED, edit_unclaim, &r, NULL, NULL, err);
		if (rc == CM_E_NO_DISK) { /* it is gone by itself */
			cm_err_clear(err);
			rc = 0;
		}
	}
	stor__slots_free(t);
	return CM_MIN(rc, 0);
}
