/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_voltable.c - the extent table seen as a whole: walk, count, give back, fill a thick disk.
 *
 * The table is the only truth about who has which extent; a disk's map is read from it. So an
 * allocation is one COMPARE AND WRITE, and a crash leaves nothing half linked. Parses data of the
 * disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volume_int.h"

#define WALK_BYTES (256u << 10) /* read at once */

/* One sector: until fn changes nothing, or its change is written. before: as read. */
static int walk_sector(struct stor_volume *vol, uint64_t t, uint8_t *before, stor_table_fn fn,
		       void *arg, struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes, per = stor_table_entries(s);
	uint64_t offset = (vol->super.table_at + t) * s, first = t * per;
	uint8_t after[STOR_SECTOR_MAX];

	for (unsigned tries = 0;; tries++) {
		int rc;

		if (stor_table_check(before, s))
			return cm_err_set(err, CM_E_VOL_CORRUPT,
					  "volume %s: sector %llu of the extent table is damaged",
					  vol->super.name, (unsigned long long)t);
		memcpy(after, before, s);
		if (!fn(after, first, (uint32_t)CM_MIN(per, vol->super.extents - first), arg))
			return 0;
		stor_table_seal(after, s);
		rc = stor__vol_caw(vol->dev, offset, before, after, s, err);
		if (rc != CM_E_LEASE_MISCOMPARE)
			return rc;
		stor__vol_pause(tries); /* another host was faster: look again */
		rc = stor__vol_read(vol->dev, offset, before, s, err);
		if (rc)
			return rc;
	}
}

int stor__vol_table_walk(struct stor_volume *vol, stor_table_fn fn, void *arg, struct cm_err *err)
{
	uint64_t s = vol->super.sector_bytes, sectors = stor_table_in_use(&vol->super), chunk;
	int rc = 0;

	for (uint64_t t = 0; t < sectors && rc == 0; t += chunk) {
		uint8_t *buf;

		chunk = CM_MIN(sectors - t, WALK_BYTES / s);
		buf = stor__vol_region(vol, vol->super.table_at + t, chunk, &rc, err);
		for (uint64_t i = 0; i < chunk && rc == 0; i++)
			rc = walk_sector(vol, t + i, buf + i * s, fn, arg, err);
		free(buf);
	}
	return rc;
}

/* --- counting ------------------------------------------------------------ */

struct count {
	const struct stor_diskslot *slots;
	uint64_t *of, free;
};

static bool count_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	struct count *c = arg;

	(void)first;
	for (uint32_t i = 0; i < n; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		if (e.state == STOR_EXTENT_FREE)
			c->free++;
		else if (c->slots && e.disk < STOR_VOL_DISKS &&
			 stor_extent_is(&e, e.disk, c->slots[e.disk].generation))
			c->of[e.disk]++;
	}
	return false;
}

int stor__vol_table_count(struct stor_volume *vol, const struct stor_diskslot *slots,
			  uint64_t *count, uint64_t *free_extents, struct cm_err *err)
{
	struct count c = {.slots = slots, .of = count};
	int rc = stor__vol_table_walk(vol, count_sector, &c, err);

	if (free_extents)
		*free_extents = c.free;
	return rc;
}

/* --- giving back --------------------------------------------------------- */

/* The slot is read after the sector of the table, and before the COMPARE AND WRITE of it: what the
 * slot says then was so when those bytes of the table were there already. */
static bool work_goes_on(struct stor_volume *vol, const struct stor_slot_work *w, int *rc,
			 struct cm_err *err)
{
	if (*rc == 0 && w)
		*rc = stor__slot_still(vol, w, err);
	return *rc == 0;
}

struct give {
	struct stor_volume *vol;
	const struct stor_slot_work *work;
	unsigned slot;
	uint32_t generation;
	uint64_t from;
	int rc;
	struct cm_err *err;
};

static bool give_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	static const struct stor_extent none = {.state = STOR_EXTENT_FREE};
	struct give *g = arg;
	bool changed = false;

	(void)first;
	for (uint32_t i = 0; i < n && g->rc == 0; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		if (!stor_extent_is(&e, g->slot, g->generation) || e.logical < g->from)
			continue;
		if (!changed && !work_goes_on(g->vol, g->work, &g->rc, g->err))
			return false;
		stor_table_put(sector, i, &none);
		changed = true;
	}
	return changed;
}

int stor__vol_table_free(struct stor_volume *vol, unsigned slot, uint32_t generation, uint64_t from,
			 const struct stor_slot_work *w, struct cm_err *err)
{
	struct give g = {.vol = vol, .work = w, .slot = slot, .generation = generation, .from = from, .err = err};
	int rc = stor__vol_table_walk(vol, give_sector, &g, err);

	return rc ? rc : g.rc;
}

/* --- filling a thick disk ------------------------------------------------ */

struct fill {
	struct stor_volume *vol;
	const struct stor_slot_work *work;
	uint32_t generation;
	uint64_t from, to, have;
	bool *has; /* by logical number - from */
	uint64_t next, next_at_start,
		sector; /* the next missing one; the sector that is worked on */
	int rc;
	struct cm_err *err;
};

/* What is ours already. */
static bool have_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	struct fill *f = arg;

	(void)first;
	for (uint32_t i = 0; i < n; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		if (!stor_extent_is(&e, f->work->slot, f->generation) || e.logical < f->from ||
		    e.logical >= f->to || f->has[e.logical - f->from])
			continue;
		f->has[e.logical - f->from] = true;
		f->have++;
	}
	return false;
}

static bool take_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	struct fill *f = arg;
	bool changed = false;

	if (f->sector == first)
		f->next = f->next_at_start; /* lost a race: what we chose is not ours */
	f->sector = first;
	f->next_at_start = f->next;
	for (uint32_t i = 0; i < n && f->rc == 0; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		while (f->next < f->to && f->has[f->next - f->from])
			f->next++;
		if (f->next == f->to)
			break;
		if (e.state != STOR_EXTENT_FREE)
			continue;
		if (!changed && !work_goes_on(f->vol, f->work, &f->rc, f->err))
			return false;
		e = (struct stor_extent){.state = STOR_EXTENT_ZEROING,
					 .disk = (uint16_t)f->work->slot,
					 .generation =
						 (uint16_t)(f->generation & STOR_EXTENT_GEN_MASK),
					 .logical = (uint32_t)f->next++};
		stor_table_put(sector, i, &e);
		changed = true;
	}
	return changed;
}

/* Takes; then looks at what it really got. */
static int fill_take(struct stor_volume *vol, struct fill *f, struct cm_err *err)
{
	uint64_t e = vol->super.extent_bytes, want = f->to - f->from, before;
	int rc = stor__vol_table_walk(vol, have_sector, f, err);

	while (rc == 0 && f->have < want) {
		before = f->have;
		f->next = f->from;
		f->sector = UINT64_MAX;
		rc = stor__vol_table_walk(vol, take_sector, f, err);
		rc = rc ? rc : f->rc ? f->rc : stor__vol_table_walk(vol, have_sector, f, err);
		if (rc == 0 && f->have == before)
			rc = stor__slot_still(vol, f->work, err);
		if (rc == 0 && f->have == before)
			return cm_err_set(err, CM_E_VOL_FULL,
					  "volume %s has room for %llu of %llu MiB",
					  vol->super.name, (unsigned long long)(f->have * e >> 20),
					  (unsigned long long)(want * e >> 20));
	}
	return rc;
}

int stor__vol_table_fill(struct stor_volume *vol, const struct stor_slot_work *w,
			 uint32_t generation, uint64_t from, uint64_t to, struct cm_err *err)
{
	struct fill f = {.vol = vol, .work = w, .generation = generation, .from = from, .to = to, .err = err};
	int rc;

	if (to <= from)
		return 0;
	f.has = calloc(to - from, sizeof *f.has);
	rc = f.has ? fill_take(vol, &f, err) : cm_err_set(err, -ENOMEM, "out of memory");
	free(f.has);
	return rc;
}
