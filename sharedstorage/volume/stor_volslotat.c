/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volslotat.c - one disk slot by its number: read again after something else was read, and
 * edited as long as it is still the same disk's. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

/* Where slot i lies in the region, and where on the device. */
static uint8_t *slot_sector(const struct stor_slots *t, unsigned i)
{
	return t->region + (size_t)i * t->sector;
}

static uint64_t slot_at(const struct stor_volume *vol, unsigned i)
{
	return (vol->super.disks_at + i) * vol->super.sector_bytes;
}

int stor__slots_again(struct stor_volume *vol, struct stor_slots *t, unsigned i, struct cm_err *err)
{
	int rc = stor__vol_read(vol->dev, slot_at(vol, i), slot_sector(t, i), t->sector, err);

	if (rc)
		return rc;
	t->bad[i] = stor_diskslot_decode(slot_sector(t, i), t->sector, &t->d[i]) ==
		    CM_E_VOL_CORRUPT;
	if (t->bad[i])
		memset(&t->d[i], 0, sizeof t->d[i]);
	return 0;
}

int stor__slot_edit_at(struct stor_volume *vol, unsigned slot, stor_slot_fn fn, const void *arg,
		       struct cm_err *err)
{
	uint8_t before[STOR_SECTOR_MAX] __attribute__((aligned(4096))), after[STOR_SECTOR_MAX];
	uint32_t s = vol->super.sector_bytes;
	struct stor_diskslot d;
	int rc = CM_E_LEASE_MISCOMPARE;

	for (unsigned tries = 0; tries < STOR_VOL_TRIES && rc == CM_E_LEASE_MISCOMPARE; tries++) {
		if (tries)
			stor__vol_pause(tries);
		rc = stor__vol_read(vol->dev, slot_at(vol, slot), before, s, err);
		if (rc)
			return rc;
		rc = stor_diskslot_decode(before, s, &d);
		if (rc == CM_E_VOL_CORRUPT)
			return cm_err_set(err, rc, "disk slot %u of volume %s is damaged", slot,
					  vol->super.name);
		rc = fn(vol, &d, arg, err); /* -ENODATA: all zero, so nobody's */
		if (rc)
			return rc;
		d.changes++;
		stor_diskslot_encode(&d, after, s);
		rc = stor__vol_caw(vol->dev, slot_at(vol, slot), before, after, s, err);
	}
	return rc == CM_E_LEASE_MISCOMPARE
		       ? cm_err_set(err, CM_E_DISK_BUSY, "disk slot %u of volume %s changes all the time",
				    slot, vol->super.name)
		       : rc;
}

int stor__slot_still(struct stor_volume *vol, const struct stor_slot_work *w, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	uint32_t s = vol->super.sector_bytes;
	struct stor_diskslot d;
	int rc = stor__vol_read(vol->dev, slot_at(vol, w->slot), sector, s, err);

	if (rc)
		return rc;
	rc = stor_diskslot_decode(sector, s, &d);
	return rc == CM_E_VOL_CORRUPT || !stor__slot_work_is(w, &d) ? stor__slot_work_over(w, err) : 0;
}

bool stor__slot_work_is(const struct stor_slot_work *w, const struct stor_diskslot *d)
{
	return d->state == w->state && stor_uuid_equal(&d->id, &w->id) &&
	       d->grow_bytes == w->grow_bytes && d->grower == w->grower;
}

int stor__slot_work_over(const struct stor_slot_work *w, struct cm_err *err)
{
	return cm_err_set(err, CM_E_DISK_BUSY,
			  "the %s of disk %s was ended by somebody else meanwhile (volume check "
			  "--repair, or disk delete): do it again",
			  w->state == STOR_DISKSLOT_FILLING ? "creation" : "growth", w->name);
}
