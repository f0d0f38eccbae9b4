/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk.c - the data path of one disk of a cluster volume: requests are cut at extent borders
 * and sent on to the volume's device; opening, closing, reloading. stor_diskmap.c knows where each
 * extent is, stor_disktake.c takes new ones. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_disk_int.h"

static struct disk *disk_of(struct stor_dev *dev)
{
	return CM_CONTAINER(dev, struct disk, dev);
}

void stor__disk_out(struct disk *d, struct stor_req *r)
{
	d->out++;
	stor_dev_submit(d->vol->dev, r);
}

void stor__disk_maybe_closed(struct disk *d)
{
	if (!d->closing || d->closed || d->out || d->dev.inflight)
		return;
	d->closed = true; /* a request's done may have closed us: once is enough */
	stor_dev_closed(&d->dev);
}

uint8_t *stor__sectors_alloc(uint64_t bytes)
{
	uint8_t *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	CM_ASSERT(p);
	return p;
}

/* --- the parts of a request ---------------------------------------------- */

/* Memory of small requests is kept. (Not where a sanitizer shall see who uses one that ended.) */
#ifdef HV_SANITIZED
#define PART_SPARE 0u
#else
#define PART_SPARE 64u
#endif

static void part_free(struct part *p)
{
	struct disk *d = p->disk;

	if (!p->plain || d->n_spare + 1 > PART_SPARE) {
		free(p);
		return;
	}
	d->n_spare++;
	TAILQ_INSERT_HEAD(&d->spare, p, link);
}

void stor__part_end(struct part *p, int rc)
{
	struct whole *w = p->whole;
	struct disk *d = p->disk;
	struct stor_req *req = w->req;
	bool last = --w->parts == 0;

	if (rc && !w->rc)
		w->rc = rc;
	rc = w->rc;
	if (last && w != &p->only)
		free(w);
	part_free(p);
	if (last)
		stor_dev_end(&d->dev, req, rc);
	stor__disk_maybe_closed(d);
}

/* To the device; done calls stor__part_landed first. */
void stor__part_fly(struct part *p, uint64_t extent, stor_done_fn done)
{
	struct disk *d = p->disk;

	p->sub.offset_bytes =
		d->vol->super.data_at + extent * d->vol->super.extent_bytes + p->inside;
	p->sub.done = done;
	p->flies = true;
	TAILQ_INSERT_TAIL(&d->flying, p, link);
	stor__disk_out(d, &p->sub);
}

void stor__part_landed(struct part *p)
{
	struct disk *d = p->disk;

	d->out--;
	if (p->flies)
		TAILQ_REMOVE(&d->flying, p, link);
	p->flies = false;
	if (d->map[p->logical] != MAP_NOWHERE && d->map[p->logical] & MAP_GOING)
		stor__take_soon(d); /* its discard may have waited for us */
}

static void part_done(struct stor_req *sub, int rc)
{
	struct part *p = sub->arg;

	stor__part_landed(p);
	stor__part_end(p, rc);
}

struct part_late {
	struct part *part;
	int rc;
};

static void part_late_end(void *arg)
{
	struct part_late *l = arg;

	stor__part_end(l->part, l->rc);
	free(l);
}

/* Ends a part that is not out, not from inside submit. */
void stor__part_end_later(struct part *p, int rc)
{
	struct part_late *l = malloc(sizeof *l);

	CM_ASSERT(l);
	*l = (struct part_late){p, rc};
	cm_loop_defer(p->disk->dev.loop, part_late_end, l);
}

static void part_zero_fill(struct part *p)
{
	for (int i = 0; i < p->sub.niov; i++)
		memset(p->sub.iov[i].iov_base, 0, p->sub.iov[i].iov_len);
	stor__part_end_later(p, 0);
}

static void part_wait(struct part *p)
{
	TAILQ_INSERT_TAIL(&p->disk->waiting, p, link);
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
			part_wait(p);
		} else if (p->sub.op == STOR_OP_DISCARD && !d->vol->dev->info.can_discard) {
			stor__part_end_later(p, 0); /* a hint that the device cannot take */
		} else {
			stor__part_fly(p, where, part_done);
		}
		return;
	}
	if (where != MAP_NOWHERE && where & MAP_GOING) {
		part_wait(p);
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
		part_wait(p);
		return;
	case STOR_OP_NONE:
	case STOR_OP_FLUSH:
	case STOR_OP_CAW:
		break;
	}
	stor__part_end_later(p, -EINVAL);
}

void stor__disk_pump(struct disk *d)
{
	struct parts list = TAILQ_HEAD_INITIALIZER(list);
	struct part *p;

	if (TAILQ_EMPTY(&d->waiting) || d->closing || !stor__map_ready(d))
		return;
	TAILQ_CONCAT(&list, &d->waiting, link);
	while ((p = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, p, link);
		part_go(p);
	}
	stor__take_soon(d);
}

void stor__disk_fail(struct disk *d, int rc)
{
	struct part *p;

	while ((p = TAILQ_FIRST(&d->waiting))) {
		TAILQ_REMOVE(&d->waiting, p, link);
		stor__part_end_later(p, rc);
	}
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

static void part_init(struct part *p, struct disk *d, struct whole *w, const struct stor_req *req)
{
	*p = (struct part){.disk = d, .whole = w};
	p->sub.op = req->op;
	p->sub.flags = req->flags & (STOR_REQ_FUA | STOR_REQ_UNMAP);
	p->sub.arg = p;
}

/* One of several of a request. */
static struct part *part_new(struct disk *d, struct whole *w)
{
	/* not calloc: glibc's takes no memory from its cache of the thread */
	struct part *p = malloc(sizeof *p + (size_t)w->req->niov * sizeof p->iov[0]);

	CM_ASSERT(p);
	part_init(p, d, w, w->req);
	w->parts++;
	return p;
}

/* The whole request. */
static struct part *part_only(struct disk *d, struct stor_req *req)
{
	struct part *p = TAILQ_FIRST(&d->spare);

	if (p) {
		TAILQ_REMOVE(&d->spare, p, link);
		d->n_spare--;
	} else {
		p = malloc(sizeof *p);
		CM_ASSERT(p);
	}
	part_init(p, d, &p->only, req);
	p->plain = true;
	p->only = (struct whole){.req = req, .parts = 1};
	p->sub.length_bytes = req->length_bytes;
	p->sub.iov = req->iov;
	p->sub.niov = req->niov;
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
	bool ready = stor__map_ready(d);
	size_t skip = 0;
	int i = 0;

	CM_ASSERT(w);
	*w = (struct whole){.req = req, .parts = 1}; /* ours, until all are made */
	while (left) {
		uint64_t n = CM_MIN(left, e - (at & (e - 1)));
		struct part *p = part_new(d, w);

		part_place(p, at);
		p->sub.length_bytes = n;
		if (req->op == STOR_OP_READ || req->op == STOR_OP_WRITE)
			part_iov(p, req->iov, &i, &skip, n);
		if (ready)
			part_go(p);
		else
			part_wait(p);
		at += n;
		left -= n;
	}
	w->parts--; /* parts end from the loop only, so at least one is still out */
	CM_ASSERT(w->parts > 0);
	if (ready)
		stor__take_soon(d);
}

static void disk_submit(struct stor_dev *dev, struct stor_req *req)
{
	struct disk *d = disk_of(dev);
	uint64_t e = d->vol->super.extent_bytes;
	struct part *p;

	if (req->op != STOR_OP_FLUSH && (req->offset_bytes & (e - 1)) + req->length_bytes > e) {
		submit_parts(d, req);
		return;
	}
	p = part_only(d, req);
	if (req->op == STOR_OP_FLUSH) {
		p->sub.done = flush_done;
		stor__disk_out(d, &p->sub);
		return;
	}
	part_place(p, req->offset_bytes);
	if (!stor__map_ready(d)) {
		part_wait(p);
		return;
	}
	part_go(p);
	stor__take_soon(d);
}

static void disk_cancel(struct stor_dev *dev, struct stor_req *req)
{
	/* Parts that are out end by themselves; those that wait for an extent would wait for long.
	 */
	struct disk *d = disk_of(dev);
	struct part *p, *next;

	for (p = TAILQ_FIRST(&d->waiting); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->whole->req == req) {
			TAILQ_REMOVE(&d->waiting, p, link);
			stor__part_end_later(p, -ECANCELED);
		}
	}
}

static void disk_close(struct stor_dev *dev)
{
	struct disk *d = disk_of(dev);

	d->closing = true;
	stor__disk_fail(d, -ECANCELED);
	stor__disk_maybe_closed(d);
}

static void disk_free(struct stor_dev *dev)
{
	struct disk *d = disk_of(dev);
	struct part *p;

	while ((p = TAILQ_FIRST(&d->spare))) {
		TAILQ_REMOVE(&d->spare, p, link);
		free(p);
	}
	free(d->map);
	free(d->table);
	free(d->take.before);
	free(d->take.after);
	free(d->slots);
	free(d);
}

static void disk_fence(struct stor_dev *dev, const uint64_t *keys, unsigned nkeys,
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
	.stacked = true,
	.submit = disk_submit,
	.cancel = disk_cancel,
	.close = disk_close,
	.free = disk_free,
	.fence = disk_fence,
	.read_keys = disk_read_keys,
};

/* --- opening ------------------------------------------------------------- */

/* Reads all disk slots into d->slots. */
static void slots_read(struct disk *d, stor_done_fn done, unsigned flags)
{
	uint64_t s = d->vol->super.sector_bytes;

	if (!d->slots)
		d->slots = stor__sectors_alloc(STOR_VOL_DISKS * s);
	d->slots_iov = (struct iovec){d->slots, STOR_VOL_DISKS * s};
	stor_req_readv(&d->slots_req, d->vol->super.disks_at * s, &d->slots_iov, 1, done, d);
	d->slots_req.flags = flags;
	stor__disk_out(d, &d->slots_req);
}

static void disk_found(struct disk *d)
{
	const struct stor_dev_info *v = stor_dev_info(d->vol->dev);
	const struct stor_super *super = &d->vol->super;
	struct stor_dev_status st;

	d->n_logical = stor__vol_extents_of(d->vol, d->desc.size_bytes);
	d->map = malloc(d->n_logical * sizeof *d->map);
	CM_ASSERT(d->map);
	d->table = stor__sectors_alloc(stor_table_in_use(super) * super->sector_bytes);
	d->take.before = stor__sectors_alloc(STOR_SECTOR_MAX);
	d->take.after = stor__sectors_alloc(STOR_SECTOR_MAX);
	d->take.hint = cm_le64(d->desc.id.b) % stor_table_in_use(super);
	d->take.last = UINT64_MAX - 1;
	d->dev.info = *v;
	d->dev.info.capacity_bytes = d->desc.size_bytes;
	d->dev.info.readonly = d->dev.opts.readonly || v->readonly;
	d->dev.info.can_write_zeroes = true;
	d->dev.info.can_discard = true; /* whole extents, at least */
	stor_dev_get_status(d->vol->dev, &st);
	d->lost_seen = st.lost_flushes;
	stor_dev_up(&d->dev);
}

static bool slot_find(struct disk *d)
{
	uint32_t s = d->vol->super.sector_bytes;

	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		if (stor_diskslot_decode(d->slots + (size_t)i * s, s, &d->desc) == 0 &&
		    d->desc.state == STOR_DISKSLOT_USED && d->desc.kind == d->kind &&
		    strcmp(d->desc.name, d->name) == 0) {
			d->slot = i;
			return true;
		}
	return false;
}

static void open_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	struct cm_err err = CM_ERR_INIT;

	d->out--;
	if (d->closing) {
		stor__disk_maybe_closed(d);
		return;
	}
	if (rc == 0 && slot_find(d)) {
		disk_found(d);
		return;
	}
	cm_err_set(&err, rc ? rc : CM_E_NO_DISK,
		   rc ? "volume %s: disk '%s' cannot be opened" : "volume %s has no disk '%s'",
		   d->vol->super.name, d->name);
	stor_dev_open_failed(&d->dev, &err);
}

static struct stor_dev *disk_open(struct stor_volume *vol, enum stor_diskslot_kind kind,
				  const char *name, const struct stor_dev_opts *opts)
{
	struct stor_dev_opts own = *opts;
	struct disk *d = calloc(1, sizeof *d);

	CM_ASSERT(d);
	own.gated = false; /* the volume's device is the gate */
	stor_dev_init(&d->dev, &disk_ops, stor_dev_loop(vol->dev), &own);
	d->vol = vol;
	d->kind = kind;
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->flying);
	TAILQ_INIT(&d->spare);
	memcpy(d->name, name, strlen(name) + 1);
	slots_read(d, open_done, STOR_REQ_ADMIN);
	return &d->dev;
}

struct stor_dev *stor_disk_open(struct stor_volume *vol, const char *disk,
				const struct stor_dev_opts *opts, struct cm_err *err)
{
	if (!stor_name_valid(disk)) {
		cm_err_set(err, CM_E_NO_DISK, "'%s' is no disk name", disk);
		return NULL;
	}
	return disk_open(vol, STOR_DISKSLOT_DISK, disk, opts);
}

struct stor_dev *stor_image_open(struct stor_volume *vol, const struct stor_uuid *vm,
				 const struct stor_dev_opts *opts, struct cm_err *err)
{
	char name[STOR_UUID_TEXT];

	(void)err;
	stor_uuid_format(vm, name);
	return disk_open(vol, STOR_DISKSLOT_IMAGE, name, opts);
}

/* --- reloading ----------------------------------------------------------- */

static int reload_apply(struct disk *d)
{
	uint32_t s = d->vol->super.sector_bytes;
	struct stor_diskslot now;
	int rc = stor_diskslot_decode(d->slots + (size_t)d->slot * s, s, &now);

	if (rc == CM_E_VOL_CORRUPT)
		return rc;
	if (rc || now.state != STOR_DISKSLOT_USED || !stor_uuid_equal(&now.id, &d->desc.id))
		return CM_E_NO_DISK;
	if (now.size_bytes > d->desc.size_bytes) {
		rc = stor__map_resize(d, now.size_bytes);
		if (rc)
			return rc;
		d->desc = now;
		d->dev.info.capacity_bytes = now.size_bytes;
		stor_dev_tell(&d->dev, STOR_EVENT_RESIZED, NULL);
	}
	d->desc = now;
	return 0;
}

static void reload_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	stor_disk_reload_fn done = d->reload_done;

	d->out--;
	d->reload_done = NULL;
	rc = d->closing ? -ECANCELED : rc ? rc : reload_apply(d);
	done(rc, d->desc.size_bytes, d->reload_arg);
	stor__disk_maybe_closed(d);
}

void stor_disk_reload(struct stor_dev *dev, stor_disk_reload_fn done, void *arg)
{
	struct disk *d = disk_of(dev);

	CM_ASSERT(dev->ops == &disk_ops && d->map);
	if (d->reload_done || d->closing) {
		done(d->closing ? -ECANCELED : -EBUSY, d->desc.size_bytes, arg);
		return;
	}
	d->reload_done = done;
	d->reload_arg = arg;
	slots_read(d, reload_done, 0);
}
