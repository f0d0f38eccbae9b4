/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_diskchoose.c - which extents the next batch takes or gives back: those that waiting parts
 * want, of one sector of the table, and what a sequential writer will want next. Looks at the table
 * as we know it and changes nothing but the batch. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include "sharedstorage/volume/stor_disk_int.h"

uint32_t stor__disk_entries(const struct disk *d)
{
	return stor_table_entries(d->vol->super.sector_bytes);
}

uint8_t *stor__disk_table(const struct disk *d, uint64_t t)
{
	return d->table + t * d->vol->super.sector_bytes;
}

bool stor__choose_has(const struct take *k, uint64_t logical)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->item[i].logical == logical)
			return true;
	return false;
}

static void add_item(struct disk *d, uint64_t logical, uint64_t extent)
{
	struct take *k = &d->take;

	k->item[k->n++] = (struct take_item){.logical = logical, .extent = extent};
}

/* Writes of a whole extent go out in place of the zeroes: they are done only when the batch is. */
void stor__choose_writers(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p, *next;

	for (p = TAILQ_FIRST(&d->waiting); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->sub.op != STOR_OP_WRITE || p->sub.length_bytes != d->vol->super.extent_bytes)
			continue;
		for (unsigned i = 0; i < k->n; i++) {
			if (k->item[i].logical != p->logical || k->item[i].writer)
				continue;
			TAILQ_REMOVE(&d->waiting, p, link);
			k->item[i].writer = p;
			break;
		}
	}
}

/* Next free entry of the sector from *i on; false: none. */
static bool next_free(const struct disk *d, uint64_t t, uint32_t *i)
{
	uint32_t per = stor__disk_entries(d);

	for (; *i < per && t * per + *i < d->vol->super.extents; (*i)++)
		if (stor_table_get(stor__disk_table(d, t), *i).state == STOR_EXTENT_FREE)
			return true;
	return false;
}

/* A sector with a free entry, from the hint on. */
static bool find_sector(struct disk *d, uint32_t *i)
{
	uint64_t n = stor_table_in_use(&d->vol->super);

	for (uint64_t k = 0; k < n; k++) {
		uint64_t t = (d->take.hint + k) % n;

		*i = 0;
		if (next_free(d, t, i)) {
			d->take.sector = d->take.hint = t;
			return true;
		}
	}
	return false;
}

bool stor__choose_wants(const struct disk *d, const struct part *p)
{
	return p->sub.op == STOR_OP_WRITE && p->logical < d->n_logical &&
	       !stor__choose_has(&d->take, p->logical);
}

/* Extents that are ours already but were not cleared: of one sector, without a first step. */
bool stor__choose_half(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p;

	TAILQ_FOREACH (p, &d->waiting, link) {
		uint64_t m = p->logical < d->n_logical ? d->map[p->logical] : MAP_NOWHERE;

		if (!stor__choose_wants(d, p) || m == MAP_NOWHERE || !(m & MAP_HALF) ||
		    k->n == TAKE_ITEMS)
			continue;
		m &= MAP_EXTENT;
		if (k->n && m / stor__disk_entries(d) != k->sector)
			continue;
		k->sector = m / stor__disk_entries(d);
		add_item(d, p->logical, m);
	}
	return k->n > 0;
}

/* A writer that goes on where it was is given the next extents before it asks. */
static void choose_ahead(struct disk *d, uint32_t *i)
{
	struct take *k = &d->take;
	uint64_t first = k->item[0].logical, l = k->item[k->n - 1].logical;
	unsigned n;

	k->ahead = first == k->last + 1 ? CM_MIN(CM_MAX(1u, k->ahead * 2), TAKE_AHEAD_MAX) : 0;
	for (n = 0; n < k->ahead && k->n < TAKE_ITEMS; n++) {
		l++;
		if (l >= d->n_logical || d->map[l] != MAP_NOWHERE || stor__choose_has(k, l) ||
		    !next_free(d, k->sector, i))
			break;
		add_item(d, l, k->sector * stor__disk_entries(d) + (*i)++);
	}
	k->last = k->item[k->n - 1].logical;
}

bool stor__choose_free(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p;
	uint32_t i;

	if (!find_sector(d, &i))
		return false;
	TAILQ_FOREACH (p, &d->waiting, link) {
		if (!stor__choose_wants(d, p) || d->map[p->logical] != MAP_NOWHERE)
			continue;
		if (k->n == TAKE_ITEMS || !next_free(d, k->sector, &i))
			break;
		add_item(d, p->logical, k->sector * stor__disk_entries(d) + i++);
	}
	if (k->n)
		choose_ahead(d, &i);
	return true;
}

/* --- giving back --------------------------------------------------------- */

static bool still_flying(const struct disk *d, uint64_t logical)
{
	const struct part *p;

	TAILQ_FOREACH (p, &d->flying, link)
		if (p->logical == logical)
			return true;
	return false;
}

/* Extents in GOING that no request touches any more, of one sector. */
bool stor__choose_going(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p;

	TAILQ_FOREACH (p, &d->waiting, link) {
		uint64_t m = d->map[p->logical];

		if (m == MAP_NOWHERE || !(m & MAP_GOING) || k->n == TAKE_ITEMS ||
		    stor__choose_has(k, p->logical) || still_flying(d, p->logical))
			continue;
		m &= MAP_EXTENT;
		if (k->n && m / stor__disk_entries(d) != k->sector)
			continue;
		k->sector = m / stor__disk_entries(d);
		add_item(d, p->logical, m);
	}
	return k->n > 0;
}

bool stor__choose_any(const struct disk *d)
{
	const struct part *p;

	TAILQ_FOREACH (p, &d->waiting, link)
		if (stor__choose_wants(d, p) && (d->map[p->logical] & MAP_HALF)) /* or NOWHERE */
			return true;
	return false;
}
