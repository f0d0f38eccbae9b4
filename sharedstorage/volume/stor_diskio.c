/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_diskio.c - the data path of one disk of a cluster volume: requests are cut at extent borders
 * and sent on to the volume's device; what waits for the map or for an extent, and when the next
 * batch of extents is taken. stor_diskmap.c knows where each extent is, stor_disktake.c takes new
 * ones. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_disk_int.h"

static void work_soon(struct disk *d);

/* --- the parts of a request ---------------------------------------------- */

static void part_done(struct stor_req *sub, int rc)
{
	struct part *p = sub->arg;
	struct disk *d = p->disk;

	stor__part_landed(p);
	if (d->map[p->logical] != MAP_NOWHERE && d->map[p->logical] & MAP_GOING)
		work_soon(d); /* its discard may have waited for us */
	stor__part_end(p, rc);
}

static void part_zero_fill(struct part *p)
{
	for (int i = 0; i < p->sub.niov; i++)
		memset(p->sub.iov[i].iov_base, 0, p->sub.iov[i].iov_len);
	stor__part_end_later(p, 0);
}

/* Nothing of the extent is wanted any more, and the disk may give it back. */
static bool part_gives(const struct part *p)
{
	const struct disk *d = p->disk;
	uint64_t e = d->vol->super.extent_bytes,
		 all = CM_MIN(e, d->desc.size_bytes - p->logical * e);

	if (p->sub.op != STOR_OP_DISCARD &&
	    !(p->sub.op == STOR_OP_WRITE_ZEROES && (p->sub.flags & STOR_REQ_UNMAP)))
		return false;
	return !d->desc.thick && p->inside == 0 && p->sub.length_bytes == all;
}

/* The map is there: to the device, or zeroes, or wait for an extent. */
static void part_go(struct part *p)
{
	struct disk *d = p->disk;
	uint64_t where = d->map[p->logical];

	if (!(where & (MAP_HALF | MAP_GOING))) {
		if (part_gives(p)) {
			d->map[p->logical] = where | MAP_GOING;
			stor__part_wait(p);
		} else if (p->sub.op == STOR_OP_DISCARD &&
			   !stor_dev_info(d->vol->dev)->can_discard) {
			stor__part_end_later(p, 0); /* a hint that the device cannot take */
		} else {
			stor__part_fly(p, where, part_done);
		}
		return;
	}
	if (where != MAP_NOWHERE && where & MAP_GOING) {
		stor__part_wait(p);
		return;
	}
	switch (p->sub.op) {
	case STOR_OP_READ:
		part_zero_fill(p);
		return;
	case STOR_OP_DISCARD:
	case STOR_OP_WRITE_ZEROES:
		stor__part_end_later(p, 0); /* it reads as zero already */
		return;
	case STOR_OP_WRITE:
		stor__part_wait(p);
		return;
	case STOR_OP_NONE:
	case STOR_OP_FLUSH:
	case STOR_OP_CAW:
		break;
	}
	stor__part_end_later(p, -EINVAL);
}

/* --- what waits ---------------------------------------------------------- */

static void disk_pump(struct disk *d);

static void map_loaded(struct disk *d, int rc)
{
	if (rc && !d->closing)
		stor__disk_fail(d, rc);
	else
		disk_pump(d);
	stor__disk_maybe_closed(d);
}

/* True if the map of this incarnation is there; else it is being read, and the pump follows. */
static bool map_wanted(struct disk *d)
{
	if (stor__map_ready(d))
		return true;
	/* The steps of a batch are our own; the map is read again after it. */
	if (!stor__take_busy(d))
		stor__map_load(d, map_loaded);
	return false;
}

/* Something changed (map read, batch done): every waiting part tries again. */
static void disk_pump(struct disk *d)
{
	struct parts list = TAILQ_HEAD_INITIALIZER(list);
	struct part *p;

	if (TAILQ_EMPTY(&d->waiting) || d->closing || !map_wanted(d))
		return;
	TAILQ_CONCAT(&list, &d->waiting, link);
	while ((p = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, p, link);
		part_go(p);
	}
	work_soon(d);
}

static void take_over(struct disk *d)
{
	disk_pump(d);
	stor__disk_maybe_closed(d);
}

/* No free extent, as far as we know; others may have given something back. */
static void disk_full(struct disk *d)
{
	struct part *p, *next;

	if (!d->take.refreshed) {
		d->take.refreshed = true;
		stor__map_refresh(d, map_loaded);
		return;
	}
	d->take.refreshed = false;
	cm_warning("volume %s is full: a write to disk %s fails", d->vol->super.name, d->desc.name);
	for (p = TAILQ_FIRST(&d->waiting); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (!stor__choose_wants(d, p) || d->map[p->logical] != MAP_NOWHERE)
			continue;
		TAILQ_REMOVE(&d->waiting, p, link);
		stor__part_end_later(p, CM_E_VOL_FULL);
	}
}

static void work(void *arg)
{
	struct disk *d = arg;

	d->out--;
	d->posted = false;
	if (!stor__take_busy(d) && !d->refreshing && !d->closing && map_wanted(d) &&
	    !stor__take_start(d, take_over))
		disk_full(d);
	stor__disk_maybe_closed(d);
}

/* A batch begins at the end of this turn, if one is wanted. */
static void work_soon(struct disk *d)
{
	if (d->posted || TAILQ_EMPTY(&d->waiting) || d->closing)
		return;
	d->posted = true;
	d->out++;
	cm_loop_defer(d->dev.loop, work, d);
}

/* --- the backend's face -------------------------------------------------- */

/* The device fails one flush when the SAN lost writes; each disk on it has to tell its own guest.
 */
static void flush_done(struct stor_req *sub, int rc)
{
	struct part *p = sub->arg;
	struct disk *d = p->disk;
	struct stor_dev_status st;

	stor_dev_get_status(d->vol->dev, &st);
	if (st.lost_flushes != d->lost_seen && rc == 0)
		rc = CM_E_IO;
	d->lost_seen = st.lost_flushes;
	d->out--;
	stor__part_end(p, rc);
}

/* Takes the next n bytes of the request's iovec into the part. */
static void part_iov(struct part *p, const struct iovec *iov, int *i, size_t *skip, uint64_t n)
{
	p->sub.iov = p->iov;
	while (n) {
		size_t step = CM_MIN(n, iov[*i].iov_len - *skip);

		p->iov[p->sub.niov++] = (struct iovec){(uint8_t *)iov[*i].iov_base + *skip, step};
		*skip += step;
		n -= step;
		if (*skip == iov[*i].iov_len) {
			(*i)++;
			*skip = 0;
		}
	}
}

static void part_place(struct part *p, uint64_t at)
{
	uint64_t e = p->disk->vol->super.extent_bytes; /* a power of two */

	p->logical = at >> __builtin_ctzll(e);
	p->inside = at & (e - 1);
}

/* A request that crosses borders of extents. */
static void submit_parts(struct disk *d, struct stor_req *req)
{
	uint64_t e = d->vol->super.extent_bytes, at = req->offset_bytes, left = req->length_bytes;
	struct whole *w = malloc(sizeof *w);
	bool ready = map_wanted(d);
	size_t skip = 0;
	int i = 0;

	CM_ASSERT(w);
	*w = (struct whole){.req = req, .parts = 1}; /* ours, until all are made */
	while (left) {
		uint64_t n = CM_MIN(left, e - (at & (e - 1)));
		struct part *p = stor__part_new(d, w);

		part_place(p, at);
		p->sub.length_bytes = n;
		if (req->op == STOR_OP_READ || req->op == STOR_OP_WRITE)
			part_iov(p, req->iov, &i, &skip, n);
		if (ready)
			part_go(p);
		else
			stor__part_wait(p);
		at += n;
		left -= n;
	}
	w->parts--; /* parts end from the loop only, so at least one is still out */
	CM_ASSERT(w->parts > 0);
	if (ready)
		work_soon(d);
}

void stor__disk_submit(struct stor_dev *dev, struct stor_req *req)
{
	struct disk *d = stor__disk_of(dev);
	uint64_t e = d->vol->super.extent_bytes;
	struct part *p;

	if (req->op != STOR_OP_FLUSH && (req->offset_bytes & (e - 1)) + req->length_bytes > e) {
		submit_parts(d, req);
		return;
	}
	p = stor__part_only(d, req);
	if (req->op == STOR_OP_FLUSH) {
		p->sub.done = flush_done;
		stor__disk_out(d, &p->sub);
		return;
	}
	part_place(p, req->offset_bytes);
	if (!map_wanted(d)) {
		stor__part_wait(p);
		return;
	}
	part_go(p);
	work_soon(d);
}

void stor__disk_cancel(struct stor_dev *dev, struct stor_req *req)
{
	/* Parts that are out end by themselves; those that wait for an extent would wait for long.
	 */
	struct disk *d = stor__disk_of(dev);
	struct part *p, *next;

	for (p = TAILQ_FIRST(&d->waiting); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->whole->req == req) {
			TAILQ_REMOVE(&d->waiting, p, link);
			stor__part_end_later(p, -ECANCELED);
		}
	}
}
