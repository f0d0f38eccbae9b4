/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_diskpart.c - the parts of requests: their memory, and their way to the volume's device and
 * back. Parses nothing.
 */
#include "config.h"

#include <stdlib.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_disk_int.h"

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

/* --- memory -------------------------------------------------------------- */

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

static void part_init(struct part *p, struct disk *d, struct whole *w, const struct stor_req *req)
{
	*p = (struct part){.disk = d, .whole = w};
	p->sub.op = req->op;
	p->sub.flags = req->flags & (STOR_REQ_FUA | STOR_REQ_UNMAP);
	p->sub.arg = p;
}

/* One of several of a request. */
struct part *stor__part_new(struct disk *d, struct whole *w)
{
	/* not calloc: glibc's takes no memory from its cache of the thread */
	struct part *p = malloc(sizeof *p + (size_t)w->req->niov * sizeof p->iov[0]);

	CM_ASSERT(p);
	part_init(p, d, w, w->req);
	w->parts++;
	return p;
}

/* The whole request. */
struct part *stor__part_only(struct disk *d, struct stor_req *req)
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

void stor__parts_free(struct disk *d)
{
	struct part *p;

	while ((p = TAILQ_FIRST(&d->spare))) {
		TAILQ_REMOVE(&d->spare, p, link);
		free(p);
	}
}

/* --- there and back ------------------------------------------------------ */

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

void stor__part_wait(struct part *p)
{
	TAILQ_INSERT_TAIL(&p->disk->waiting, p, link);
}

void stor__disk_fail(struct disk *d, int rc)
{
	struct part *p;

	while ((p = TAILQ_FIRST(&d->waiting))) {
		TAILQ_REMOVE(&d->waiting, p, link);
		stor__part_end_later(p, rc);
	}
}
