/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volmake.c - makes a volume: everything on the device is lost.
 *
 * The first sector says so at once, by COMPARE AND WRITE from what was read there, and becomes the
 * super block by another one: of two that make a volume at the same time one fails. In between
 * there is no volume; a crash leaves that sector, which counts as data (stor_volguard.h). Parses
 * nothing.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

#define ZERO_STEP (4ull << 20)

static int zero_regions(struct stor_dev *dev, uint64_t from, uint64_t to, struct cm_err *err)
{
	int rc = 0;

	for (uint64_t n; from < to && rc == 0; from += n) {
		n = CM_MIN(ZERO_STEP, to - from);
		rc = stor__vol_zero(dev, from, n, err);
	}
	return rc;
}

/* The first sector, from old to new. */
static int first_sector(struct stor_dev *dev, const uint8_t *old, const uint8_t *new, uint32_t s,
			struct cm_err *err)
{
	int rc = stor__vol_caw(dev, 0, old, new, s, err);

	return rc == CM_E_LEASE_MISCOMPARE
		       ? cm_err_set(err, CM_E_DISK_BUSY, "somebody else writes to the device: is another "
							 "node making a volume there?")
		       : rc;
}

/* The data LUN names the volume and the lock LUN; the super block, on the lock LUN, names the data
 * LUN. */
static int bind_data(struct stor_dev *data, struct stor_dev *lock, const struct stor_super *s,
		     struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	struct stor_bound b = {.volume = s->id};

	memcpy(b.name, s->name, sizeof b.name);
	snprintf(b.lock_serial, sizeof b.lock_serial, "%s", stor_dev_info(lock)->serial);
	stor_bound_encode(&b, sector, s->sector_bytes);
	return stor__vol_write(data, 0, sector, s->sector_bytes, err);
}

int stor_volume_format(struct stor_dev *dev, const char *name, uint64_t extent_bytes,
		       struct cm_err *err)
{
	const struct stor_dev_info *info = stor_dev_info(dev);
	struct stor_dev *data = stor_dev_part(dev, 0), *lock = stor_dev_part(dev, 1);
	uint8_t first[STOR_SECTOR_MAX] __attribute__((aligned(4096))), forming[STOR_SECTOR_MAX],
		sector[STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	struct stor_super s;
	int rc;

	if (!stor_name_valid(name))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no volume name", name);
	rc = stor_super_plan(info->capacity_bytes, info->sector_bytes, extent_bytes,
			     info->caw_bytes, &s, err);
	if (rc)
		return rc;
	stor_uuid_random(&s.id);
	snprintf(s.name, sizeof s.name, "%s", name);
	s.locked = lock;
	if (lock)
		snprintf(s.data_serial, sizeof s.data_serial, "%s", stor_dev_info(data)->serial);
	stor_forming_encode(&s, forming);
	rc = stor__vol_read(dev, 0, first, s.sector_bytes, err);
	rc = rc ? rc : first_sector(dev, first, forming, s.sector_bytes, err);
	/* Each step is durable before the next begins. */
	rc = rc ? rc : stor__vol_zero(dev, s.sector_bytes, 7ull * s.sector_bytes, err);
	rc = rc ? rc : stor__vol_flush(dev, err);
	rc = rc ? rc
		: zero_regions(dev, 8ull * s.sector_bytes,
			       (s.table_at + s.table_sectors) * s.sector_bytes, err);
	rc = rc ? rc : stor__vol_flush(dev, err);
	if (rc == 0 && lock)
		rc = bind_data(data, lock, &s, err);
	stor_super_encode(&s, sector);
	rc = rc ? rc : stor__vol_write(dev, s.sector_bytes, sector, s.sector_bytes, err);
	return rc ? rc : first_sector(dev, forming, sector, s.sector_bytes, err);
}
