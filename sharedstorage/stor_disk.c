/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk.c - the data path of one disk of a cluster volume.
 *
 * Requests are cut at extent borders and sent on to the volume's device. The map is read from the
 * extent table by ordinary requests, so not before the owner was admitted, and it is read anew in
 * each incarnation: whoever had the disk before can have changed it. A first write into an extent
 * takes one: COMPARE AND WRITE (free -> zeroing), clear it, flush, COMPARE AND WRITE (zeroing ->
 * used), then the data. A crash in between leaves an extent in "zeroing", which reads as zero and
 * is taken up again by the next write. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include "sharedstorage/stor_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/stor_dev_int.h"
#include "sharedstorage/stor_volume_int.h"

#define DISK_CHUNK   (256u << 10) /* table bytes read at once */
#define DISK_NOWHERE UINT64_MAX

struct part;

/* A request of the guest while it is with us: how many of its parts are out. */
struct whole {
	struct stor_req *req;
	unsigned parts;
	int rc;
};

/* The part of a request that lies in one extent. */
struct part {
	struct stor_req sub;
	struct whole *whole;
	struct disk *disk;
	TAILQ_ENTRY(part) wait;
	uint64_t logical, inside; /* extent number of the disk, bytes into it */
	struct iovec iov[];
};
TAILQ_HEAD(parts, part);

enum grow { GROW_NONE, GROW_TAKE, GROW_ZERO, GROW_FLUSH, GROW_USE, GROW_LOOK_TAKE, GROW_LOOK_USE };

struct disk {
	struct stor_dev dev; /* first */
	struct stor_volume *vol;
	struct stor_diskslot desc;
	unsigned slot;
	/* the map */
	uint64_t *map; /* logical -> extent, DISK_NOWHERE */
	uint64_t n_logical;
	uint8_t *table;			  /* the extent table as we know it */
	uint32_t loaded_for, loading_for; /* incarnations of the volume's device; 0 never */
	bool loading;
	uint64_t load_at;
	struct stor_req load_req;
	struct iovec load_iov;
	struct parts unmapped; /* wait for the map, or for an extent */
	/* the one extent that is being taken */
	enum grow grow;
	uint64_t grow_logical, grow_extent, hint;
	bool refreshed;
	struct stor_req grow_req;
	uint8_t *before, *after; /* one sector each */
	struct iovec grow_iov;
	uint64_t lost_seen; /* lost_flushes of the volume's device that our guest knows of */
	unsigned out;	    /* requests of ours in the volume's device */
	bool closing;
	uint8_t *slots; /* while opening */
	char name[STOR_DISK_NAME];
};

static struct disk *disk_of(struct stor_dev *dev)
{
	return CM_CONTAINER(dev, struct disk, dev);
}

static void disk_grow(struct disk *d);
static void part_go(struct part *p);

static void disk_out(struct disk *d, struct stor_req *r)
{
	d->out++;
	stor_dev_submit(d->vol->dev, r);
}

static void disk_maybe_closed(struct disk *d)
{
	if (d->closing && d->out == 0 && d->dev.inflight == 0) {
		d->closing = false; /* once: a done callback may have closed us */
		stor__dev_closed(&d->dev);
	}
}

/* --- the parts of a request ---------------------------------------------- */

static void part_end(struct part *p, int rc)
{
	struct whole *w = p->whole;
	struct disk *d = p->disk;

	if (rc && !w->rc)
		w->rc = rc;
	free(p);
	if (--w->parts == 0) {
		struct stor_req *req = w->req;

		rc = w->rc;
		free(w);
		stor__dev_end(&d->dev, req, rc);
	}
	disk_maybe_closed(d);
}

static void part_done(struct stor_req *sub, int rc)
{
	struct part *p = sub->arg;

	p->disk->out--;
	part_end(p, rc);
}

struct part_late {
	struct part *part;
	int rc;
};

static void part_late_end(void *arg)
{
	struct part_late *l = arg;

	part_end(l->part, l->rc);
	free(l);
}

/* Ends a part that never went out, not from inside submit. */
static void part_end_later(struct part *p, int rc)
{
	struct part_late *l = malloc(sizeof *l);

	CM_ASSERT(l);
	*l = (struct part_late){p, rc};
	cm_loop_defer(p->disk->dev.loop, part_late_end, l);
}

static void part_zero_fill(struct part *p)
{
	for (int i = 0; i < p->sub.niov; i++)
		memset(p->iov[i].iov_base, 0, p->iov[i].iov_len);
	part_end_later(p, 0);
}

/* The map is there: to the device, or zeroes, or wait for an extent. */
static void part_go(struct part *p)
{
	struct disk *d = p->disk;
	uint64_t extent = d->map[p->logical];

	if (extent != DISK_NOWHERE) {
		p->sub.offset_bytes =
			d->vol->super.data_at + extent * d->vol->super.extent_bytes + p->inside;
		disk_out(d, &p->sub);
		return;
	}
	switch (p->sub.op) {
	case STOR_OP_READ:
		part_zero_fill(p);
		return;
	case STOR_OP_DISCARD:
	case STOR_OP_WRITE_ZEROES:
		part_end_later(p, 0); /* it reads as zero already */
		return;
	case STOR_OP_WRITE:
		TAILQ_INSERT_TAIL(&d->unmapped, p, wait);
		disk_grow(d);
		return;
	case STOR_OP_NONE:
	case STOR_OP_FLUSH:
	case STOR_OP_CAW:
		break;
	}
	part_end_later(p, -EINVAL);
}

/* --- the map ------------------------------------------------------------- */

static void load_next(struct disk *d);

static void unmapped_go(struct disk *d)
{
	struct parts list = TAILQ_HEAD_INITIALIZER(list);
	struct part *p;

	TAILQ_CONCAT(&list, &d->unmapped, wait);
	while ((p = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, p, wait);
		part_go(p);
	}
}

static void unmapped_fail(struct disk *d, int rc)
{
	struct part *p;

	while ((p = TAILQ_FIRST(&d->unmapped))) {
		TAILQ_REMOVE(&d->unmapped, p, wait);
		part_end_later(p, rc);
	}
}

static int map_build(struct disk *d)
{
	uint32_t s = d->vol->super.sector_bytes, per = stor_table_entries(s);

	for (uint64_t l = 0; l < d->n_logical; l++)
		d->map[l] = DISK_NOWHERE;
	for (uint64_t t = 0; t < d->vol->super.table_sectors; t++) {
		const uint8_t *sector = d->table + t * s;

		if (stor_table_check(sector, s)) {
			cm_error("volume %s: sector %llu of the extent table is damaged (hvctl "
				 "volume check)",
				 d->vol->super.name, (unsigned long long)t);
			return CM_E_VOL_CORRUPT;
		}
		for (uint32_t i = 0; i < per && t * per + i < d->vol->super.extents; i++) {
			struct stor_extent e = stor_table_get(sector, i);

			if (e.state == STOR_EXTENT_USED && e.disk == d->slot &&
			    e.generation == (uint16_t)d->desc.generation &&
			    e.logical < d->n_logical)
				d->map[e.logical] = t * per + i;
		}
	}
	return 0;
}

static void load_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	uint64_t bytes = d->vol->super.table_sectors * d->vol->super.sector_bytes;

	d->out--;
	d->load_at += req->length_bytes;
	if (rc == 0 && d->load_at < bytes && !d->closing) {
		load_next(d);
		return;
	}
	d->loading = false;
	rc = rc ? rc : map_build(d);
	if (rc) {
		unmapped_fail(d, rc);
	} else {
		d->loaded_for = d->loading_for;
		unmapped_go(d);
	}
	disk_maybe_closed(d);
}

static void load_next(struct disk *d)
{
	uint64_t bytes = d->vol->super.table_sectors * d->vol->super.sector_bytes;

	d->load_iov = (struct iovec){d->table + d->load_at, CM_MIN(bytes - d->load_at, DISK_CHUNK)};
	memset(&d->load_req, 0, sizeof d->load_req);
	stor_req_readv(&d->load_req,
		       d->vol->super.table_at * d->vol->super.sector_bytes + d->load_at,
		       &d->load_iov, 1, load_done, d);
	disk_out(d, &d->load_req);
}

static bool map_ready(struct disk *d)
{
	if (d->loaded_for && d->loaded_for == d->vol->dev->incarnation)
		return true;
	/* While an extent is being taken, its steps are our own: the map is read again afterwards.
	 */
	if (!d->loading && d->grow == GROW_NONE) {
		d->loading = true;
		d->loading_for = d->vol->dev->incarnation;
		d->load_at = 0;
		load_next(d);
	}
	return false;
}

/* --- taking an extent ---------------------------------------------------- */

static void grow_end(struct disk *d, int rc)
{
	d->grow = GROW_NONE;
	if (rc)
		unmapped_fail(d, rc);
	else
		unmapped_go(d);
	disk_maybe_closed(d);
}

static uint64_t grow_sector(const struct disk *d)
{
	return d->grow_extent / stor_table_entries(d->vol->super.sector_bytes);
}

static void grow_done(struct stor_req *req, int rc);

static void grow_send_caw(struct disk *d, enum grow step, enum stor_extent_state state)
{
	uint32_t s = d->vol->super.sector_bytes, per = stor_table_entries(s);
	struct stor_extent e = {.state = state,
				.disk = (uint8_t)d->slot,
				.generation = (uint16_t)d->desc.generation,
				.logical = (uint32_t)d->grow_logical};

	memcpy(d->before, d->table + grow_sector(d) * s, s);
	memcpy(d->after, d->before, s);
	stor_table_put(d->after, (uint32_t)(d->grow_extent % per), &e);
	stor_table_seal(d->after, s);
	d->grow = step;
	memset(&d->grow_req, 0, sizeof d->grow_req);
	stor_req_caw(&d->grow_req, (d->vol->super.table_at + grow_sector(d)) * s, d->before,
		     d->after, s, grow_done, d);
	disk_out(d, &d->grow_req);
}

/* Reads the table sector again (after a lost race or an unknown outcome). */
static void grow_send_look(struct disk *d, enum grow step)
{
	uint32_t s = d->vol->super.sector_bytes;

	d->grow = step;
	d->grow_iov = (struct iovec){d->before, s};
	memset(&d->grow_req, 0, sizeof d->grow_req);
	stor_req_readv(&d->grow_req, (d->vol->super.table_at + grow_sector(d)) * s, &d->grow_iov, 1,
		       grow_done, d);
	disk_out(d, &d->grow_req);
}

static void grow_send_zero(struct disk *d)
{
	const struct stor_super *v = &d->vol->super;

	d->grow = GROW_ZERO;
	memset(&d->grow_req, 0, sizeof d->grow_req);
	stor_req_write_zeroes(&d->grow_req, v->data_at + d->grow_extent * v->extent_bytes,
			      v->extent_bytes, true, grow_done, d);
	disk_out(d, &d->grow_req);
}

/* The zeroes must be durable before the extent is in use: after a power cut of the SAN another
 * disk's old data would show. */
static void grow_send_flush(struct disk *d)
{
	d->grow = GROW_FLUSH;
	memset(&d->grow_req, 0, sizeof d->grow_req);
	stor_req_flush(&d->grow_req, grow_done, d);
	disk_out(d, &d->grow_req);
}

static bool entry_ours(const struct disk *d, const struct stor_extent *e)
{
	return e->disk == d->slot && e->generation == (uint16_t)d->desc.generation &&
	       e->logical == d->grow_logical;
}

/* An extent for grow_logical in the table as we know it: one that a crash left half taken, else a
 * free one. */
static bool grow_choose(struct disk *d, bool *half)
{
	uint32_t s = d->vol->super.sector_bytes, per = stor_table_entries(s);
	uint64_t n = d->vol->super.extents;

	*half = false;
	for (uint64_t x = 0; x < n; x++) {
		struct stor_extent e = stor_table_get(d->table + x / per * s, (uint32_t)(x % per));

		if (e.state == STOR_EXTENT_ZEROING && entry_ours(d, &e)) {
			d->grow_extent = x;
			*half = true;
			return true;
		}
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t x = (d->hint + i) % n;

		if (stor_table_get(d->table + x / per * s, (uint32_t)(x % per)).state ==
		    STOR_EXTENT_FREE) {
			d->grow_extent = x;
			d->hint = x + 1;
			return true;
		}
	}
	return false;
}

static void grow_take(struct disk *d)
{
	bool half;

	if (grow_choose(d, &half)) {
		if (half)
			grow_send_zero(d);
		else
			grow_send_caw(d, GROW_TAKE, STOR_EXTENT_ZEROING);
	} else if (!d->refreshed) {
		/* Full, as far as we know; others may have freed something: read the table again,
		 * once. */
		d->refreshed = true;
		d->grow = GROW_NONE;
		d->loaded_for = 0;
		map_ready(d);
	} else {
		cm_warning("volume %s is full: a write to disk %s fails", d->vol->super.name,
			   d->desc.name);
		d->refreshed = false;
		grow_end(d, CM_E_VOL_FULL);
	}
}

static void grow_looked(struct disk *d, bool use)
{
	uint32_t s = d->vol->super.sector_bytes, per = stor_table_entries(s);
	struct stor_extent e;

	if (stor_table_check(d->before, s)) {
		grow_end(d, CM_E_VOL_CORRUPT);
		return;
	}
	memcpy(d->table + grow_sector(d) * s, d->before, s);
	e = stor_table_get(d->before, (uint32_t)(d->grow_extent % per));
	if (entry_ours(d, &e) && e.state == STOR_EXTENT_USED) {
		d->map[d->grow_logical] = d->grow_extent;
		grow_end(d, 0);
	} else if (entry_ours(d, &e) && e.state == STOR_EXTENT_ZEROING && use) {
		grow_send_caw(d, GROW_USE, STOR_EXTENT_USED);
	} else {
		grow_take(d);
	}
}

static void grow_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	uint32_t s = d->vol->super.sector_bytes;
	enum grow step = d->grow;
	bool caw = step == GROW_TAKE || step == GROW_USE;

	d->out--;
	if (d->closing) {
		grow_end(d, -ECANCELED);
		return;
	}
	if (caw &&
	    (rc == CM_E_LEASE_MISCOMPARE || rc == CM_E_LEASE_UNKNOWN || rc == CM_E_SAN_LOST)) {
		grow_send_look(d, step == GROW_TAKE ? GROW_LOOK_TAKE : GROW_LOOK_USE);
		return;
	}
	if (rc || (rc = cm_fault("stor.disk.grow"))) {
		grow_end(d, rc);
		return;
	}
	if (caw)
		memcpy(d->table + grow_sector(d) * s, d->after, s);
	switch (step) {
	case GROW_TAKE:
		grow_send_zero(d);
		break;
	case GROW_ZERO:
		grow_send_flush(d);
		break;
	case GROW_FLUSH:
		grow_send_caw(d, GROW_USE, STOR_EXTENT_USED);
		break;
	case GROW_USE:
		d->map[d->grow_logical] = d->grow_extent;
		d->refreshed = false;
		grow_end(d, 0);
		break;
	case GROW_LOOK_TAKE:
		grow_looked(d, false);
		break;
	case GROW_LOOK_USE:
		grow_looked(d, true);
		break;
	case GROW_NONE:
		CM_ASSERT(!"no step");
	}
}

static void disk_grow(struct disk *d)
{
	struct part *p = TAILQ_FIRST(&d->unmapped);

	if (d->grow != GROW_NONE || d->loading || !p || d->closing)
		return;
	d->grow_logical = p->logical;
	grow_take(d);
}

/* --- the backend's face -------------------------------------------------- */

/* The device fails one flush when the SAN lost writes; each disk on it has to tell its own guest. */
static void flush_done(struct stor_req *sub, int rc)
{
	struct part *p = sub->arg;
	struct stor_dev_status st;

	stor_dev_get_status(p->disk->vol->dev, &st);
	if (st.lost_flushes != p->disk->lost_seen && rc == 0)
		rc = CM_E_IO;
	p->disk->lost_seen = st.lost_flushes;
	part_done(sub, rc);
}

static struct part *part_new(struct disk *d, struct whole *w, int niov)
{
	/* not calloc: glibc's takes no memory from its cache of the thread */
	struct part *p = malloc(sizeof *p + (size_t)niov * sizeof p->iov[0]);

	CM_ASSERT(p);
	*p = (struct part){.disk = d, .whole = w};
	p->sub.op = w->req->op;
	p->sub.flags = w->req->flags & (STOR_REQ_FUA | STOR_REQ_UNMAP);
	p->sub.done = part_done;
	p->sub.arg = p;
	w->parts++;
	return p;
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

static void disk_submit(struct stor_dev *dev, struct stor_req *req)
{
	struct disk *d = disk_of(dev);
	uint64_t e = d->vol->super.extent_bytes, at = req->offset_bytes, left = req->length_bytes;
	struct whole *w = malloc(sizeof *w);
	size_t skip = 0;
	bool ready;
	int i = 0;

	CM_ASSERT(w);
	*w = (struct whole){.req = req, .parts = 1}; /* ours, until all are made */
	if (req->op == STOR_OP_FLUSH) {
		struct part *p = part_new(d, w, 0);

		p->sub.done = flush_done;
		disk_out(d, &p->sub);
		left = 0;
	}
	ready = left == 0 || map_ready(d);
	while (left) {
		uint64_t n = CM_MIN(left, e - at % e);
		struct part *p = part_new(d, w, req->niov);

		p->logical = at / e;
		p->inside = at % e;
		p->sub.length_bytes = n;
		if (req->op == STOR_OP_READ || req->op == STOR_OP_WRITE)
			part_iov(p, req->iov, &i, &skip, n);
		if (ready)
			part_go(p);
		else
			TAILQ_INSERT_TAIL(&d->unmapped, p, wait);
		at += n;
		left -= n;
	}
	w->parts--; /* parts end from the loop only, so at least one is still out */
	CM_ASSERT(w->parts > 0);
}

static void disk_cancel(struct stor_dev *dev, struct stor_req *req)
{
	/* Parts that are out end by themselves; those that wait for an extent would wait for long.
	 */
	struct disk *d = disk_of(dev);
	struct part *p, *next;

	for (p = TAILQ_FIRST(&d->unmapped); p; p = next) {
		next = TAILQ_NEXT(p, wait);
		if (p->whole->req == req) {
			TAILQ_REMOVE(&d->unmapped, p, wait);
			part_end_later(p, -ECANCELED);
		}
	}
}

static void disk_close(struct stor_dev *dev)
{
	struct disk *d = disk_of(dev);

	d->closing = true;
	unmapped_fail(d, -ECANCELED);
	disk_maybe_closed(d);
}

static void disk_free(struct stor_dev *dev)
{
	struct disk *d = disk_of(dev);

	free(d->map);
	free(d->table);
	free(d->before);
	free(d->after);
	free(d->slots);
	free(d);
}

static void disk_no_fence(struct stor_dev *dev, const uint64_t *keys, unsigned nkeys,
			  stor_fence_fn done, void *arg)
{
	stor_dev_fence(disk_of(dev)->vol->dev, keys, nkeys, done, arg);
}

static void disk_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg)
{
	stor_dev_read_keys(disk_of(dev)->vol->dev, done, arg);
}

static const struct stor_dev_ops disk_ops = {
	.name = "disk",
	.submit = disk_submit,
	.cancel = disk_cancel,
	.close = disk_close,
	.free = disk_free,
	.fence = disk_no_fence,
	.read_keys = disk_read_keys,
};

/* --- opening ------------------------------------------------------------- */

static uint8_t *sectors_alloc(uint64_t bytes)
{
	uint8_t *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	CM_ASSERT(p);
	return p;
}

static void disk_found(struct disk *d)
{
	const struct stor_dev_info *v = stor_dev_info(d->vol->dev);
	uint64_t e = d->vol->super.extent_bytes;
	struct stor_dev_status st;

	d->n_logical = (d->desc.size_bytes + e - 1) / e;
	d->map = malloc(d->n_logical * sizeof *d->map);
	CM_ASSERT(d->map);
	d->table = sectors_alloc(d->vol->super.table_sectors * d->vol->super.sector_bytes);
	d->before = sectors_alloc(STOR_SECTOR_MAX);
	d->after = sectors_alloc(STOR_SECTOR_MAX);
	/* Disks begin to look for space at different places, so hosts seldom meet in one table
	 * sector. */
	d->hint = (uint64_t)d->slot * d->vol->super.extents / STOR_VOL_DISKS;
	d->dev.info = *v;
	d->dev.info.capacity_bytes = d->desc.size_bytes;
	d->dev.info.readonly = d->dev.opts.readonly || v->readonly;
	d->dev.info.can_write_zeroes = true;
	stor_dev_get_status(d->vol->dev, &st);
	d->lost_seen = st.lost_flushes;
	stor__dev_up(&d->dev);
}

static void open_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	uint32_t s = d->vol->super.sector_bytes;
	struct cm_err err = CM_ERR_INIT;
	bool found = false;

	d->out--;
	if (d->closing) {
		disk_maybe_closed(d);
		return;
	}
	for (unsigned i = 0; rc == 0 && i < STOR_VOL_DISKS && !found; i++)
		if (stor_diskslot_decode(d->slots + i * s, s, &d->desc) == 0 &&
		    d->desc.state == STOR_DISKSLOT_USED && strcmp(d->desc.name, d->name) == 0) {
			d->slot = i;
			found = true;
		}
	free(d->slots);
	d->slots = NULL;
	if (found) {
		disk_found(d);
		return;
	}
	cm_err_set(&err, rc ? rc : CM_E_NO_DISK,
		   rc ? "volume %s: disk '%s' cannot be opened" : "volume %s has no disk '%s'",
		   d->vol->super.name, d->name);
	stor__dev_open_failed(&d->dev, &err);
}

struct stor_dev *stor_disk_open(struct stor_volume *vol, const char *disk,
				const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_dev_opts own = *opts;
	struct disk *d;

	if (!stor_name_valid(disk)) {
		cm_err_set(err, CM_E_NO_DISK, "'%s' is no disk name", disk);
		return NULL;
	}
	d = calloc(1, sizeof *d);
	CM_ASSERT(d);
	own.gated = false; /* the volume's device is the gate */
	stor__dev_init(&d->dev, &disk_ops, stor_dev_loop(vol->dev), &own);
	d->vol = vol;
	TAILQ_INIT(&d->unmapped);
	memcpy(d->name, disk, strlen(disk) + 1);
	d->slots = sectors_alloc((uint64_t)STOR_VOL_DISKS * vol->super.sector_bytes);
	d->load_iov = (struct iovec){d->slots, (size_t)STOR_VOL_DISKS * vol->super.sector_bytes};
	stor_req_readv(&d->load_req, vol->super.disks_at * vol->super.sector_bytes, &d->load_iov, 1,
		       open_done, d);
	d->load_req.flags = STOR_REQ_ADMIN;
	disk_out(d, &d->load_req);
	return &d->dev;
}
