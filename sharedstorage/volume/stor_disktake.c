/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disktake.c - taking extents for first writes, and giving discarded ones back, in batches.
 *
 * A batch is a set of extents whose entries lie in one sector of the table: one COMPARE AND WRITE
 * (free -> being cleared) takes all of them, they are cleared at the same time, one flush makes
 * that durable (after a power cut of the SAN another disk's old data would show), one COMPARE AND
 * WRITE (being cleared -> used) ends it. A disk has one batch at a time; writes into extents that
 * it has never wait for it. Which extents: stor_diskchoose.c. Each disk begins to look for space at
 * another sector, so hosts seldom meet; who lost a race reads that sector again. A crash leaves
 * extents that are "being cleared": they read as zero and are taken up by the next write. Parses
 * data of the disk by stor_volfmt.c only.
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

static void take_caw(struct disk *d, enum take_step step);
static void take_clear(struct disk *d);

bool stor__take_busy(const struct disk *d)
{
	return d->take.step != TAKE_NONE;
}

/* --- the end of a batch -------------------------------------------------- */

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
		if (!stor__choose_has(k, p->logical))
			continue;
		TAILQ_REMOVE(&d->waiting, p, link);
		stor__part_end_later(p, rc);
	}
	k->n = 0;
	k->done(d);
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
	uint32_t per = stor__disk_entries(d);
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
	memcpy(stor__disk_table(d, k->sector), k->before, s);
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
	memcpy(stor__disk_table(d, k->sector), k->after, d->vol->super.sector_bytes);
	if (k->step == TAKE_CAW)
		take_clear(d);
	else
		batch_done(d, k->step == TAKE_GIVE);
}

static void take_caw(struct disk *d, enum take_step step)
{
	struct take *k = &d->take;
	uint32_t s = d->vol->super.sector_bytes, per = stor__disk_entries(d);

	k->step = step;
	memcpy(k->before, stor__disk_table(d, k->sector), s);
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

/* --- the beginning of a batch -------------------------------------------- */

bool stor__take_start(struct disk *d, disk_took_fn done)
{
	struct take *k = &d->take;

	k->n = 0;
	k->flushes = 0;
	k->done = done;
	if (stor__choose_going(d)) {
		take_caw(d, TAKE_GIVE);
	} else if (!stor__choose_any(d)) {
		return true;
	} else if (stor__choose_half(d)) {
		stor__choose_writers(d);
		take_clear(d);
	} else if (!stor__choose_free(d)) {
		return false;
	} else if (k->n) {
		stor__choose_writers(d);
		take_caw(d, TAKE_CAW);
	}
	return true;
}
