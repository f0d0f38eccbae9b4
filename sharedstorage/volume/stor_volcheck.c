/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volcheck.c - reads every structure of a volume, says what is wrong, and repairs what can be:
 * super block copies, operations that a crash interrupted, leaked extents. Parses data of the disk
 * by stor_volfmt.c and stor_lease_disk.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

struct checker {
	struct stor_volume *vol;
	struct stor_slots *slots;
	uint8_t *seen[STOR_VOL_DISKS]; /* one byte per logical extent of a disk that has extents */
	bool repair;
	void (*complaint)(const char *text, void *arg);
	void *arg;
	struct stor_volume_report *r;
	uint64_t sector; /* of the table, that is being looked at */
	uint64_t leaked, doubly;
};

static void complain(struct checker *c, const char *fmt, ...) cm_printf(2, 3);
static void complain(struct checker *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (c->complaint)
		c->complaint(text, c->arg);
}

/* --- super block, hosts, blocks ------------------------------------------ */

static int check_supers(struct checker *c, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096))), good[STOR_SECTOR_MAX];
	int rc = stor__vol_read(c->vol->dev, 0, two, 2ull * s, err);

	stor_super_encode(&c->vol->super, good);
	for (unsigned i = 0; i < STOR_VOL_SUPERS && rc == 0; i++) {
		struct stor_super other;

		if (memcmp(two + i * s, good, s) == 0)
			continue;
		if (stor_super_decode(two + i * s, s, &other)) {
			c->r->bad_structures++;
			complain(c, "copy %u of the super block is damaged", i);
		} else {
			c->r->unfinished++;
			complain(c, "copy %u of the super block is older than the other", i);
		}
		if (c->repair)
			rc = stor__vol_write(c->vol->dev, (uint64_t)i * s, good, s, err);
	}
	return rc;
}

static int check_hosts(struct checker *c, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	struct stor_hostslot h;
	int rc;
	uint8_t *region =
		stor__vol_region(c->vol, c->vol->super.hosts_at, STOR_VOL_HOSTS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_HOSTS; i++) {
		int bad = stor_hostslot_decode(region + i * s, s, &h);

		if (bad == CM_E_VOL_CORRUPT || (bad == 0 && h.slot != i + 1)) {
			c->r->bad_structures++;
			complain(c, "host slot %u is damaged", i + 1);
		}
	}
	free(region);
	return rc;
}

static int check_blocks(struct checker *c, struct cm_err *err)
{
	static const uint8_t zero[STOR_SECTOR_MAX];
	uint32_t s = c->vol->super.sector_bytes;
	uint64_t at = c->vol->super.vms_at;
	int rc;
	uint8_t *region = stor__vol_region(c->vol, at, STOR_VOL_VMS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_VMS && rc == 0; i++) {
		const uint8_t *p = region + (size_t)i * s;
		struct stor_block b;

		bool forgotten = stor_forgotten_is(p, s);
		int why = forgotten ? 0 : stor_block_decode(p, s, &b);
		bool bad = why == CM_E_LEASE_CORRUPT, other = why == CM_E_LEASE_FORMAT;

		c->r->unfinished += forgotten;
		c->r->bad_structures += bad || other;
		if (bad)
			complain(c, "ownership sector %u is damaged", i);
		if (other) /* whole, and perhaps of a VM that runs: never repaired away */
			complain(c, "ownership sector %u has a format of another release", i);
		if (c->repair && (forgotten || bad))
			rc = stor__vol_caw(c->vol->dev, (at + i) * s, p, zero, s, err);
	}
	free(region);
	return rc;
}

/* --- configurations ------------------------------------------------------ */

static int check_config(struct checker *c, unsigned i, const uint8_t *p, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	struct cm_err own = CM_ERR_INIT;
	struct stor_confhead h, none;
	uint8_t sector[STOR_SECTOR_MAX];
	char *text = NULL;
	int rc = stor_confhead_decode(p, s, &h);

	if (rc == CM_E_VOL_CORRUPT) {
		c->r->bad_structures++;
		complain(c, "configuration header %u is damaged", i);
		return 0;
	}
	if (rc || !h.used)
		return 0;
	if (h.copy != STOR_CONFIG_NO_COPY) {
		rc = stor__vol_config_text(c->vol, i, &h, &text, &own);
		free(text);
		if (rc == 0 || (rc != -EAGAIN && rc != CM_E_VOL_CORRUPT))
			return rc ? cm_err_set(err, rc, "%s", own.text) : 0;
		c->r->bad_structures++;
		complain(c, "the configuration of VM %s is damaged", h.name);
		return 0;
	}
	c->r->unfinished++;
	complain(c, "the first configuration of VM %s was interrupted", h.name);
	if (!c->repair)
		return 0;
	none = (struct stor_confhead){.changes = h.changes + 1};
	stor_confhead_encode(&none, sector, s);
	return stor__vol_caw(c->vol->dev, (c->vol->super.configs_at + i) * s, p, sector, s, err);
}

static int check_configs(struct checker *c, struct cm_err *err)
{
	int rc;
	uint8_t *region =
		stor__vol_region(c->vol, c->vol->super.configs_at, STOR_VOL_VMS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_VMS && rc == 0; i++)
		rc = check_config(c, i, region + (size_t)i * c->vol->super.sector_bytes, err);
	free(region);
	return rc;
}

/* --- disk slots ---------------------------------------------------------- */

static const char *slot_noun(const struct stor_diskslot *d)
{
	return d->kind == STOR_DISKSLOT_IMAGE ? "saved state" : "disk";
}

/* What an interrupted operation left in a slot: words, and the slot as it should be. */
static const char *slot_left(const struct stor_diskslot *d, struct stor_diskslot *fixed)
{
	const struct stor_diskslot gone = {.state = STOR_DISKSLOT_FREE,
					   .generation = d->generation};

	*fixed = *d;
	switch (d->state) {
	case STOR_DISKSLOT_DELETING:
		*fixed = gone;
		return "deletion";
	case STOR_DISKSLOT_CREATING:
	case STOR_DISKSLOT_FILLING:
		*fixed = gone;
		return "creation";
	case STOR_DISKSLOT_USED:
		memset(fixed->to, 0, sizeof fixed->to);
		fixed->grow_bytes = 0;
		return d->to[0] ? "renaming" : d->grow_bytes ? "growth" : NULL;
	case STOR_DISKSLOT_NONE:
	case STOR_DISKSLOT_FREE:
		break;
	}
	return NULL;
}

static int check_slots(struct checker *c, struct cm_err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0; i++) {
		struct stor_diskslot *d = &c->slots->d[i], fixed;
		const char *left = slot_left(d, &fixed);

		if (c->slots->bad[i]) {
			c->r->bad_structures++;
			complain(c, "disk slot %u is damaged", i);
		}
		if (left) {
			c->r->unfinished++;
			complain(c, "the %s of %s %s was interrupted", left, slot_noun(d), d->name);
		}
		/* A disk that goes keeps its slot until its extents are back. */
		if (left && c->repair && d->state == STOR_DISKSLOT_USED) {
			rc = stor__slot_write(c->vol, c->slots, i, &fixed, err);
			if (rc == 0)
				*d = fixed;
		}
		if (rc || d->state != STOR_DISKSLOT_USED)
			continue;
		c->seen[i] = calloc(
			stor__vol_extents_of(c->vol, CM_MAX(d->size_bytes, d->grow_bytes)), 1);
		if (!c->seen[i])
			rc = cm_err_set(err, -ENOMEM, "out of memory");
	}
	return rc;
}

static int free_slots(struct checker *c, struct cm_err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < STOR_VOL_DISKS && rc == 0 && c->repair; i++) {
		struct stor_diskslot *d = &c->slots->d[i], fixed;

		if (d->state != STOR_DISKSLOT_USED && slot_left(d, &fixed))
			rc = stor__slot_write(c->vol, c->slots, i, &fixed, err);
	}
	return rc;
}

/* --- the table ----------------------------------------------------------- */

/* Does the extent belong to a living disk, at a place that the disk has, and only once? */
static bool extent_lives(struct checker *c, const struct stor_extent *e)
{
	const struct stor_diskslot *d;

	if (e->disk >= STOR_VOL_DISKS)
		return false;
	if (c->slots->bad[e->disk])
		return true; /* of a disk that cannot be read: nothing of it is given away */
	if (!c->seen[e->disk])
		return false;
	d = &c->slots->d[e->disk];
	return stor_extent_is(e, e->disk, d->generation) &&
	       e->logical < stor__vol_extents_of(c->vol, CM_MAX(d->size_bytes, d->grow_bytes));
}

static bool check_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	static const struct stor_extent none = {.state = STOR_EXTENT_FREE};
	struct checker *c = arg;
	bool changed = false, again = c->sector == first;

	c->sector = first;
	for (uint32_t i = 0; i < n; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		if (e.state == STOR_EXTENT_FREE)
			continue;
		if (extent_lives(c, &e)) {
			if (!again && !c->slots->bad[e.disk] && c->seen[e.disk][e.logical]++) {
				c->r->doubly_used_extents++;
				complain(c, "disk %s: extent %u is mapped twice",
					 c->slots->d[e.disk].name, e.logical);
			}
			continue;
		}
		if (!again) {
			c->r->leaked_extents++;
			complain(c, "extent %llu belongs to no disk (slot %u, generation %u)",
				 (unsigned long long)(first + i), e.disk, e.generation);
			c->r->repaired_extents += c->repair;
		}
		if (c->repair) {
			stor_table_put(sector, i, &none);
			changed = true;
		}
	}
	return changed;
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
			complain(c, "sector %llu of the extent table is damaged",
				 (unsigned long long)t);
		}
	free(table);
	c->r->bad_structures += bad;
	c->sector = UINT64_MAX;
	if (rc == 0 && bad == 0)
		rc = stor__vol_table_walk(c->vol, check_sector, c, err);
	/* With a damaged sector nothing is taken for leaked. */
	return rc;
}

int stor_volume_check(struct stor_volume *vol, bool repair,
		      void (*complaint)(const char *text, void *arg), void *arg,
		      struct stor_volume_report *report, struct cm_err *err)
{
	struct checker *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return cm_err_set(err, -ENOMEM, "out of memory");
	memset(report, 0, sizeof *report);
	*c = (struct checker){
		.vol = vol, .repair = repair, .complaint = complaint, .arg = arg, .r = report};
	rc = stor__vol_check_claims(vol, repair, complaint, arg, report, err);
	rc = rc ? rc : check_supers(c, err);
	rc = rc ? rc : check_hosts(c, err);
	rc = rc ? rc : check_blocks(c, err);
	rc = rc ? rc : check_configs(c, err);
	if (rc == 0)
		c->slots = stor__slots_load(vol, &rc, err);
	rc = rc ? rc : check_slots(c, err);
	rc = rc ? rc : check_table(c, err);
	rc = rc ? rc : free_slots(c, err);
	if (rc == CM_E_LEASE_MISCOMPARE)
		rc = cm_err_set(err, CM_E_DISK_BUSY,
				"somebody else works on volume %s: repair it when nothing does",
				vol->super.name);
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		free(c->seen[i]);
	stor__slots_free(c->slots);
	free(c);
	return rc;
}
