/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disktake.c - taking extents for first writes, and giving discarded ones back, in batches.
 *
 * A batch is a set of extents whose entries lie in one sector of the table: one COMPARE AND WRITE
 * (free -> being cleared) takes all of them, they are cleared at the same time, one flush makes
 * that durable (after a power cut of the SAN another disk's old data would show), one COMPARE AND
 * WRITE (being cleared -> used) ends it. A disk has one batch at a time; writes into extents that
 * it has never wait for it. Each disk begins to look for space at another sector, so hosts seldom
 * meet; who lost a race reads that sector again. A crash leaves extents that are "being cleared":
 * they read as zero and are taken up by the next write. Parses data of the disk by stor_volfmt.c
 * only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_buf.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_disk_int.h"

#define FLUSH_TRIES 3u

static void take_start(struct disk *d);
static void take_caw(struct disk *d, enum take_step step);
static void take_clear(struct disk *d);

bool stor__take_busy(const struct disk *d)
{
	return d->take.step != TAKE_NONE;
}

static uint32_t entries(const struct disk *d)
{
	return stor_table_entries(d->vol->super.sector_bytes);
}

static uint8_t *table_sector(const struct disk *d, uint64_t t)
{
	return d->table + t * d->vol->super.sector_bytes;
}

/* --- the end of a batch -------------------------------------------------- */

static bool in_batch(const struct take *k, uint64_t logical)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->item[i].logical == logical)
			return true;
	return false;
}

static void batch_end(struct disk *d, int rc)
{
	struct take *k = &d->take;
	struct part *p, *next;

	k->step = TAKE_NONE;
	for (unsigned i = 0; i < k->n; i++)
		if (k->item[i].writer)
			stor__part_end_later(k->item[i].writer, rc);
	for (p = TAILQ_FIRST(&d->waiting); p && rc; p = next) {
		next = TAILQ_NEXT(p, link);
		if (!in_batch(k, p->logical))
			continue;
		TAILQ_REMOVE(&d->waiting, p, link);
		stor__part_end_later(p, rc);
	}
	k->n = 0;
	stor__disk_pump(d);
	stor__disk_maybe_closed(d);
}

/* The entries of the batch are as we wanted them. */
static void batch_done(struct disk *d, bool given)
{
	struct take *k = &d->take;

	for (unsigned i = 0; i < k->n; i++)
		d->map[k->item[i].logical] = given ? MAP_NOWHERE : k->item[i].extent;
	k->refreshed = false;
	batch_end(d, 0);
}

/* Whatever was taken stays ours: the next write goes on with it. */
static void batch_failed(struct disk *d, int rc)
{
	struct take *k = &d->take;
	bool giving = k->step == TAKE_GIVE || (k->step == TAKE_LOOK && k->looking_for == TAKE_GIVE);

	for (unsigned i = 0; i < k->n; i++) {
		struct take_item *it = &k->item[i];

		if (giving)
			d->map[it->logical] = it->extent;
		else if (k->step != TAKE_CAW &&
			 !(k->step == TAKE_LOOK && k->looking_for == TAKE_CAW))
			d->map[it->logical] = it->extent | MAP_HALF;
	}
	if (k->step == TAKE_LOOK)
		d->map_of = 0; /* how it ended is not known: read everything again */
	batch_end(d, rc);
}

/* --- the steps ----------------------------------------------------------- */

static bool entry_ours(const struct disk *d, const struct stor_extent *e, uint64_t logical)
{
	return stor_extent_is(e, d->slot, d->desc.generation) && e->logical == logical;
}

static void look_done(struct stor_req *req, int rc);

static void take_look(struct disk *d)
{
	struct take *k = &d->take;
	uint32_t s = d->vol->super.sector_bytes;

	k->looking_for = k->step;
	k->step = TAKE_LOOK;
	k->iov = (struct iovec){k->before, s};
	stor_req_readv(&k->req, (d->vol->super.table_at + k->sector) * s, &k->iov, 1, look_done, d);
	stor__disk_out(d, &k->req);
}

/* A race was lost here: the next search begins elsewhere. */
static void other_hint(struct disk *d)
{
	uint64_t n = stor_table_in_use(&d->vol->super);

	d->take.hint = (d->take.sector + 1 + cm_le64(d->desc.id.b + 8) % n) % n;
}

/* What the sector says now decides: items that are not ours are dropped (their writers wait again).
 */
static void looked(struct disk *d)
{
	struct take *k = &d->take;
	uint32_t per = entries(d);
	unsigned keep = 0, used = 0;

	for (unsigned i = 0; i < k->n; i++) {
		struct take_item *it = &k->item[i];
		struct stor_extent e = stor_table_get(k->before, (uint32_t)(it->extent % per));

		if (!entry_ours(d, &e, it->logical)) {
			d->map[it->logical] = MAP_NOWHERE;
			if (it->writer)
				TAILQ_INSERT_HEAD(&d->waiting, it->writer, link);
			continue;
		}
		used += e.state == STOR_EXTENT_USED;
		k->item[keep++] = *it;
	}
	k->n = keep;
	if (keep == 0) {
		if (k->looking_for == TAKE_CAW)
			other_hint(d);
		batch_end(d, 0); /* lost: the pump begins again (or everything was given back) */
	} else if (k->looking_for == TAKE_GIVE) {
		take_caw(d, TAKE_GIVE);
	} else if (used == keep) {
		batch_done(d, false);
	} else if (k->looking_for == TAKE_CAW) {
		take_clear(d);
	} else {
		take_caw(d, TAKE_USE);
	}
}

static void look_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	struct take *k = &d->take;
	uint32_t s = d->vol->super.sector_bytes;

	d->out--;
	if (d->closing)
		rc = -ECANCELED;
	if (rc == 0 && stor_table_check(k->before, s))
		rc = CM_E_VOL_CORRUPT;
	if (rc) {
		batch_failed(d, rc);
		return;
	}
	memcpy(table_sector(d, k->sector), k->before, s);
	looked(d);
}

static void caw_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	struct take *k = &d->take;

	d->out--;
	if (!d->closing &&
	    (rc == CM_E_LEASE_MISCOMPARE || rc == CM_E_LEASE_UNKNOWN || rc == CM_E_SAN_LOST)) {
		take_look(d);
		return;
	}
	rc = rc ? rc : d->closing ? -ECANCELED : cm_fault("stor.disk.grow");
	if (rc) {
		if (k->step == TAKE_CAW)
			d->map_of = 0; /* it may have happened */
		batch_failed(d, rc);
		return;
	}
	memcpy(table_sector(d, k->sector), k->after, d->vol->super.sector_bytes);
	if (k->step == TAKE_CAW)
		take_clear(d);
	else
		batch_done(d, k->step == TAKE_GIVE);
}

static void take_caw(struct disk *d, enum take_step step)
{
	struct take *k = &d->take;
	uint32_t s = d->vol->super.sector_bytes, per = entries(d);

	k->step = step;
	memcpy(k->before, table_sector(d, k->sector), s);
	memcpy(k->after, k->before, s);
	for (unsigned i = 0; i < k->n; i++) {
		struct stor_extent e = {.state = step == TAKE_CAW ? STOR_EXTENT_ZEROING
								  : STOR_EXTENT_USED,
					.disk = (uint16_t)d->slot,
					.generation = d->desc.generation & STOR_EXTENT_GEN_MASK,
					.logical = (uint32_t)k->item[i].logical};

		if (step == TAKE_GIVE)
			memset(&e, 0, sizeof e);
		stor_table_put(k->after, (uint32_t)(k->item[i].extent % per), &e);
	}
	stor_table_seal(k->after, s);
	stor_req_caw(&k->req, (d->vol->super.table_at + k->sector) * s, k->before, k->after, s,
		     caw_done, d);
	stor__disk_out(d, &k->req);
}

static void flush_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	struct take *k = &d->take;

	d->out--;
	if (rc && !d->closing && ++k->flushes < FLUSH_TRIES) {
		take_clear(d); /* the SAN lost something, maybe these zeroes: once more */
		return;
	}
	rc = rc ? rc : d->closing ? -ECANCELED : cm_fault("stor.disk.grow");
	if (rc)
		batch_failed(d, rc);
	else
		take_caw(d, TAKE_USE);
}

static void clear_done(struct disk *d, int rc)
{
	struct take *k = &d->take;

	if (rc && !k->rc)
		k->rc = rc;
	if (--k->out)
		return;
	rc = k->rc ? k->rc : d->closing ? -ECANCELED : cm_fault("stor.disk.grow");
	if (rc) {
		batch_failed(d, rc);
		return;
	}
	k->step = TAKE_FLUSH;
	stor_req_flush(&k->req, flush_done, d);
	stor__disk_out(d, &k->req);
}

static void zero_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;

	d->out--;
	clear_done(d, rc);
}

static void writer_done(struct stor_req *req, int rc)
{
	struct part *p = req->arg;

	stor__part_landed(p);
	clear_done(p->disk, rc);
}

static void take_clear(struct disk *d)
{
	const struct stor_super *v = &d->vol->super;
	struct take *k = &d->take;

	k->step = TAKE_CLEAR;
	k->rc = 0;
	k->out = k->n;
	for (unsigned i = 0; i < k->n; i++) {
		struct take_item *it = &k->item[i];

		if (it->writer) {
			stor__part_fly(it->writer, it->extent, writer_done);
			continue;
		}
		stor_req_write_zeroes(&it->req, v->data_at + it->extent * v->extent_bytes,
				      v->extent_bytes, true, zero_done, d);
		stor__disk_out(d, &it->req);
	}
}

/* --- choosing ------------------------------------------------------------ */

static void add_item(struct disk *d, uint64_t logical, uint64_t extent)
{
	struct take *k = &d->take;

	k->item[k->n++] = (struct take_item){.logical = logical, .extent = extent};
}

/* Writes of a whole extent go out in place of the zeroes: they are done only when the batch is. */
static void find_writers(struct disk *d)
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
	uint32_t per = entries(d);

	for (; *i < per && t * per + *i < d->vol->super.extents; (*i)++)
		if (stor_table_get(table_sector(d, t), *i).state == STOR_EXTENT_FREE)
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

static bool wants(const struct disk *d, const struct part *p)
{
	return p->sub.op == STOR_OP_WRITE && p->logical < d->n_logical &&
	       !in_batch(&d->take, p->logical);
}

/* Extents that are ours already but were not cleared: of one sector, without a first step. */
static bool choose_half(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p;

	TAILQ_FOREACH (p, &d->waiting, link) {
		uint64_t m = p->logical < d->n_logical ? d->map[p->logical] : MAP_NOWHERE;

		if (!wants(d, p) || m == MAP_NOWHERE || !(m & MAP_HALF) || k->n == TAKE_ITEMS)
			continue;
		m &= MAP_EXTENT;
		if (k->n && m / entries(d) != k->sector)
			continue;
		k->sector = m / entries(d);
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
		if (l >= d->n_logical || d->map[l] != MAP_NOWHERE || in_batch(k, l) ||
		    !next_free(d, k->sector, i))
			break;
		add_item(d, l, k->sector * entries(d) + (*i)++);
	}
	k->last = k->item[k->n - 1].logical;
}

static bool choose_free(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p;
	uint32_t i;

	if (!find_sector(d, &i))
		return false;
	TAILQ_FOREACH (p, &d->waiting, link) {
		if (!wants(d, p) || d->map[p->logical] != MAP_NOWHERE)
			continue;
		if (k->n == TAKE_ITEMS || !next_free(d, k->sector, &i))
			break;
		add_item(d, p->logical, k->sector * entries(d) + i++);
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
static bool choose_going(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p;

	TAILQ_FOREACH (p, &d->waiting, link) {
		uint64_t m = d->map[p->logical];

		if (m == MAP_NOWHERE || !(m & MAP_GOING) || k->n == TAKE_ITEMS ||
		    in_batch(k, p->logical) || still_flying(d, p->logical))
			continue;
		m &= MAP_EXTENT;
		if (k->n && m / entries(d) != k->sector)
			continue;
		k->sector = m / entries(d);
		add_item(d, p->logical, m);
	}
	return k->n > 0;
}

/* --- the beginning of a batch -------------------------------------------- */

static bool anyone_wants(const struct disk *d)
{
	const struct part *p;

	TAILQ_FOREACH (p, &d->waiting, link)
		if (wants(d, p) && (d->map[p->logical] & MAP_HALF)) /* or NOWHERE */
			return true;
	return false;
}

static void take_full(struct disk *d)
{
	struct take *k = &d->take;
	struct part *p, *next;

	if (!k->refreshed) {
		/* As far as we know; others may have given something back. */
		k->refreshed = true;
		stor__map_refresh(d);
		return;
	}
	k->refreshed = false;
	cm_warning("volume %s is full: a write to disk %s fails", d->vol->super.name, d->desc.name);
	for (p = TAILQ_FIRST(&d->waiting); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (!wants(d, p) || d->map[p->logical] != MAP_NOWHERE)
			continue;
		TAILQ_REMOVE(&d->waiting, p, link);
		stor__part_end_later(p, CM_E_VOL_FULL);
	}
}

static void take_start(struct disk *d)
{
	struct take *k = &d->take;

	if (k->step != TAKE_NONE || d->refreshing || d->closing || !stor__map_ready(d))
		return;
	k->n = 0;
	k->flushes = 0;
	if (choose_going(d)) {
		take_caw(d, TAKE_GIVE);
	} else if (!anyone_wants(d)) {
		return;
	} else if (choose_half(d)) {
		find_writers(d);
		take_clear(d);
	} else if (!choose_free(d)) {
		take_full(d);
	} else if (k->n) {
		find_writers(d);
		take_caw(d, TAKE_CAW);
	}
}

static void take_posted(void *arg)
{
	struct disk *d = arg;

	d->out--;
	d->take.posted = false;
	take_start(d);
	stor__disk_maybe_closed(d);
}

void stor__take_soon(struct disk *d)
{
	if (d->take.posted || TAILQ_EMPTY(&d->waiting) || d->closing)
		return;
	d->take.posted = true;
	d->out++;
	cm_loop_defer(d->dev.loop, take_posted, d);
}
