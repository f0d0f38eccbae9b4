/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_diskmap.c - where the extents of a disk are. The map is read from the extent table by
 * ordinary requests, so not before the owner was admitted, and anew in each incarnation: whoever
 * had the disk before can have changed it. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_disk_int.h"

#define LOAD_CHUNK (256u << 10) /* table bytes read at once */

static uint64_t table_bytes(const struct disk *d)
{
	return stor_table_in_use(&d->vol->super) * d->vol->super.sector_bytes;
}

static int table_damaged(const struct disk *d, uint64_t sector)
{
	cm_error("volume %s: sector %llu of the extent table is damaged (hvctl volume check)",
		 d->vol->super.name, (unsigned long long)sector);
	return CM_E_VOL_CORRUPT;
}

static int map_build(struct disk *d)
{
	uint32_t s = d->vol->super.sector_bytes, per = stor_table_entries(s);

	for (uint64_t l = 0; l < d->n_logical; l++)
		d->map[l] = MAP_NOWHERE;
	for (uint64_t t = 0; t < stor_table_in_use(&d->vol->super); t++) {
		const uint8_t *sector = d->table + t * s;

		if (stor_table_check(sector, s))
			return table_damaged(d, t);
		for (uint32_t i = 0; i < per && t * per + i < d->vol->super.extents; i++) {
			struct stor_extent e = stor_table_get(sector, i);

			if (!stor_extent_is(&e, d->slot, d->desc.generation) ||
			    e.logical >= d->n_logical)
				continue;
			if (e.state == STOR_EXTENT_USED)
				d->map[e.logical] = t * per + i;
			else if (d->map[e.logical] == MAP_NOWHERE)
				d->map[e.logical] = (t * per + i) | MAP_HALF;
		}
	}
	return 0;
}

static void load_next(struct disk *d);

static void load_end(struct disk *d, int rc)
{
	bool refresh = d->refreshing;

	for (uint64_t t = 0; rc == 0 && refresh && t < stor_table_in_use(&d->vol->super); t++)
		if (stor_table_check(d->table + t * d->vol->super.sector_bytes,
				     d->vol->super.sector_bytes))
			rc = table_damaged(d, t);
	if (rc == 0 && !refresh)
		rc = map_build(d);
	if (rc == 0 && !refresh)
		d->map_of = d->grew ? 0 : d->loading_for;
	d->loading_for = 0;
	d->grew = false;
	d->refreshing = false;
	d->loaded(d, rc);
}

static void load_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;

	d->out--;
	d->load_at += req->length_bytes;
	if (rc == 0 && d->load_at < table_bytes(d) && !d->closing)
		load_next(d);
	else
		load_end(d, rc);
}

static void load_next(struct disk *d)
{
	uint64_t at = d->vol->super.table_at * d->vol->super.sector_bytes + d->load_at;

	d->load_iov = (struct iovec){d->table + d->load_at,
				     CM_MIN(table_bytes(d) - d->load_at, LOAD_CHUNK)};
	stor_req_readv(&d->load_req, at, &d->load_iov, 1, load_done, d);
	stor__disk_out(d, &d->load_req);
}

bool stor__map_ready(const struct disk *d)
{
	return d->map_of && d->map_of == stor_dev_incarnation(d->vol->dev);
}

void stor__map_load(struct disk *d, disk_loaded_fn loaded)
{
	if (d->loading_for || d->refreshing)
		return;
	d->loaded = loaded;
	d->loading_for = stor_dev_incarnation(d->vol->dev);
	d->load_at = 0;
	load_next(d);
}

void stor__map_refresh(struct disk *d, disk_loaded_fn loaded)
{
	d->loaded = loaded;
	d->refreshing = true;
	d->load_at = 0;
	load_next(d);
}

/* The new part of the map is read with the rest of it at the next request. */
int stor__map_resize(struct disk *d, uint64_t size_bytes)
{
	uint64_t n = stor__vol_extents_of(d->vol, size_bytes), *map;

	map = realloc(d->map, n * sizeof *map);
	if (!map)
		return -ENOMEM;
	d->map = map;
	for (uint64_t l = d->n_logical; l < n; l++)
		d->map[l] = MAP_NOWHERE;
	d->n_logical = n;
	d->map_of = 0;
	d->grew = d->loading_for != 0;
	return 0;
}
