/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_send.c - requests as SCSI commands: split, and sent within the target's window. What
 * comes back is for stor_iscsi_io.c. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

/* Spare ones are kept: one malloc less per request. (Not where a sanitizer shall see who uses one
 * that has ended.) */
#ifdef HV_SANITIZED
#define IO_SPARE 0
#else
#define IO_SPARE ISCSI_DEPTH
#endif

struct stor_io *stor__io_new(struct stor_iscsi *d)
{
	struct stor_io *io = TAILQ_FIRST(&d->spare);

	if (!io)
		return calloc(1, sizeof *io);
	TAILQ_REMOVE(&d->spare, io, link);
	d->nspare--;
	*io = (struct stor_io){0};
	return io;
}

void stor__io_free(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;

	d->nrefused -= io->refused;
	free(io->slice);
	free(io->buf);
	if (d->nspare + 1 > IO_SPARE) {
		free(io);
		return;
	}
	d->nspare++;
	TAILQ_INSERT_HEAD(&d->spare, io, link);
}

void stor__iscsi_io_fini(struct stor_iscsi *d)
{
	struct stor_io *io;

	while ((io = TAILQ_FIRST(&d->spare))) {
		TAILQ_REMOVE(&d->spare, io, link);
		free(io);
	}
}

bool stor__io_is_admin(const struct stor_io *io)
{
	return io->req->flags & STOR_REQ_ADMIN || io->req->op == STOR_OP_CAW;
}

static struct stor_ios *io_queue(const struct stor_io *io)
{
	return stor__io_is_admin(io) ? &io->dev->first : &io->dev->sendq;
}

void stor__io_queue(struct stor_io *io)
{
	TAILQ_INSERT_TAIL(io_queue(io), io, link);
}

void stor__io_queue_first(struct stor_io *io)
{
	TAILQ_INSERT_HEAD(io_queue(io), io, link);
}

/* --- building commands --------------------------------------------------------------------- */

/* The part of the request's memory that [at, at + n) is, as an array of its own. */
static int io_slice(struct stor_io *io, uint64_t at, uint64_t n)
{
	const struct stor_req *r = io->req;
	int i = 0, k = 0;

	if (!io->slice)
		io->slice = calloc(ISCSI_IOVS, sizeof *io->slice);
	if (!io->slice)
		return -ENOMEM;
	while (i < r->niov && at >= r->iov[i].iov_len)
		at -= r->iov[i++].iov_len;
	for (; n && i < r->niov && k < ISCSI_IOVS; i++) {
		size_t step = CM_MIN(n, (uint64_t)r->iov[i].iov_len - at);

		io->slice[k++] = (struct iovec){(uint8_t *)r->iov[i].iov_base + at, step};
		n -= step;
		at = 0;
	}
	io->cmd.iov = io->slice;
	io->cmd.niov = k;
	return n ? -E2BIG : 0; /* more pieces than fit: the caller asks for less */
}

static int io_build_rw(struct stor_io *io)
{
	struct stor_req *r = io->req;
	const struct stor_dev_info *i = &io->dev->dev.info;
	uint64_t left = r->length_bytes - io->done_bytes;
	uint64_t n = CM_MIN(left, (uint64_t)i->max_transfer_bytes);
	bool write = r->op == STOR_OP_WRITE;

	if (n == r->length_bytes && r->niov <= ISCSI_IOVS) {
		io->cmd.iov = r->iov;
		io->cmd.niov = r->niov;
	} else {
		int rc;

		while ((rc = io_slice(io, io->done_bytes, n)) == -E2BIG && n > i->sector_bytes)
			n = n / 2 / i->sector_bytes * i->sector_bytes;
		if (rc)
			return rc;
	}
	io->cmd.dir = write ? STOR_DIR_OUT : STOR_DIR_IN;
	io->cmd.length_bytes = (uint32_t)n;
	io->cmd.cdb = stor__cdb_rw(write, (r->offset_bytes + io->done_bytes) / i->sector_bytes,
				   (uint32_t)(n / i->sector_bytes), r->flags & STOR_REQ_FUA);
	return 0;
}

static void io_build_caw(struct stor_io *io)
{
	struct stor_req *r = io->req;
	uint32_t s = io->dev->dev.info.sector_bytes;

	io->own[0] = (struct iovec){(void *)(uintptr_t)r->compare, s};
	io->own[1] = (struct iovec){(void *)(uintptr_t)r->swap, s};
	io->cmd.iov = io->own;
	io->cmd.niov = 2;
	io->cmd.dir = STOR_DIR_OUT;
	io->cmd.length_bytes = 2 * s;
	io->cmd.cdb = stor__cdb_caw(r->offset_bytes / s, 1);
}

/* Zeroes as plain writes, for targets where WRITE SAME leaks past a reservation, or is not there. */
#define IO_ZEROES 65536u
static int io_build_plain_zeroes(struct stor_io *io)
{
	struct stor_req *r = io->req;
	uint32_t s = io->dev->dev.info.sector_bytes;
	uint64_t n = CM_MIN(r->length_bytes - io->done_bytes, (uint64_t)IO_ZEROES);

	if (!io->buf)
		io->buf = calloc(1, IO_ZEROES);
	if (!io->buf)
		return -ENOMEM;
	io->own[0] = (struct iovec){io->buf, n};
	io->cmd.iov = io->own;
	io->cmd.niov = 1;
	io->cmd.dir = STOR_DIR_OUT;
	io->cmd.length_bytes = (uint32_t)n;
	io->cmd.cdb = stor__cdb_rw(true, (r->offset_bytes + io->done_bytes) / s, (uint32_t)(n / s),
				   false);
	io->own[1].iov_len = n;
	return 0;
}

/* Zeroes as WRITE SAME(16) of one block of zeroes; with UNMAP where asked and possible. */
static int io_build_zeroes(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	struct stor_req *r = io->req;
	uint32_t s = d->dev.info.sector_bytes;
	bool unmap = r->flags & STOR_REQ_UNMAP && d->dev.info.can_write_zeroes;
	uint64_t limit = d->limits.max_write_same_blocks ? d->limits.max_write_same_blocks : 32768;
	uint64_t n = CM_MIN((r->length_bytes - io->done_bytes) / s, CM_MIN(limit, 262144ull));

	if (!io->buf)
		io->buf = calloc(1, s);
	if (!io->buf)
		return -ENOMEM;
	io->own[0] = (struct iovec){io->buf, s};
	io->cmd.iov = io->own;
	io->cmd.niov = 1;
	io->cmd.dir = STOR_DIR_OUT;
	io->cmd.length_bytes = s;
	io->cmd.cdb =
		stor__cdb_write_same((r->offset_bytes + io->done_bytes) / s, (uint32_t)n, unmap);
	io->own[1].iov_len = n * s; /* remembered: what this command covers */
	return 0;
}

static int io_build_discard(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	struct stor_req *r = io->req;
	uint32_t s = d->dev.info.sector_bytes;
	uint64_t limit = d->limits.max_unmap_blocks ? d->limits.max_unmap_blocks : 262144;
	uint64_t n = CM_MIN((r->length_bytes - io->done_bytes) / s, CM_MIN(limit, 0x400000ull));

	stor__unmap_list(io->small, (r->offset_bytes + io->done_bytes) / s, (uint32_t)n);
	io->own[0] = (struct iovec){io->small, sizeof io->small};
	io->cmd.iov = io->own;
	io->cmd.niov = 1;
	io->cmd.dir = STOR_DIR_OUT;
	io->cmd.length_bytes = sizeof io->small;
	io->cmd.cdb = stor__cdb_unmap(sizeof io->small);
	io->own[1].iov_len = n * s;
	return 0;
}

/* How long the target may take: io_timeout for renewals and looks at the block; D for the rest, or what is left of the
 * limit after which the owner wants an error. */
static uint64_t io_timeout_ms(const struct stor_io *io)
{
	const struct stor_iscsi *d = io->dev;
	uint64_t t = d->dev.opts.io_timeout_ms, limit = d->dev.opts.fail_after_ms, data, since;

	if (io->req->flags & STOR_REQ_ADMIN)
		return STOR_IO(t);
	if (io->req->op == STOR_OP_FLUSH || io->req->op == STOR_OP_WRITE_ZEROES)
		data = STOR_DATA_LONG(t, d->url.data_timeout_ms);
	else
		data = STOR_DATA(t, d->url.data_timeout_ms);
	if (!limit || stor__io_is_admin(io))
		return data;
	since = (cm_now_ns() - io->req->submitted_ns) / CM_NS_PER_MS;
	return CM_MIN(data, CM_MAX(STOR_IO(t), limit > since ? limit - since : 0));
}

static int io_build(struct stor_io *io)
{
	io->cmd.timeout_ms = io_timeout_ms(io);
	io->cmd.lun = io->dev->url.lun;
	io->cmd.niov = 0;
	io->cmd.dir = STOR_DIR_NONE;
	io->cmd.length_bytes = 0;
	switch (io->req->op) {
	case STOR_OP_READ:
	case STOR_OP_WRITE:
		return io_build_rw(io);
	case STOR_OP_FLUSH:
		io->cmd.cdb = stor__cdb_sync();
		return 0;
	case STOR_OP_CAW:
		io_build_caw(io);
		return 0;
	case STOR_OP_WRITE_ZEROES:
		return io->dev->url.no_unmap || io->dev->no_write_same ? io_build_plain_zeroes(io) : io_build_zeroes(io);
	case STOR_OP_DISCARD:
		return io_build_discard(io);
	case STOR_OP_NONE:
		break;
	}
	return -EINVAL;
}

/* --- how much may be under way ------------------------------------------------------------- */

void stor__window_reset(struct stor_iscsi *d)
{
	unsigned depth = d->window.depth;

	depth = depth && d->window.shut ? CM_MIN(depth, ISCSI_DEPTH_FIRST) : ISCSI_DEPTH_FIRST;
	d->window = (struct stor_window){.depth = depth, .shut = d->window.shut};
}

/* More was sent than the target takes at once: the guest gets fewer, so that there is room for others. */
static void window_look(struct stor_iscsi *d)
{
	struct stor_window *w = &d->window;
	unsigned taken = stor__sess_window(d->sess);

	if (!taken)
		return;
	w->shut = true;
	w->answered = 0;
	w->depth = CM_MIN(w->depth, taken > ISCSI_RESERVE ? taken - ISCSI_RESERVE : 1u);
}

/* It grows when it is used up: fast until the target has shown where it ends, then only now and then. */
static void window_grow(struct stor_window *w)
{
	if (++w->answered < (w->shut ? 4096u : 1u) || !w->used || w->depth >= ISCSI_DEPTH)
		return;
	w->answered = 0;
	w->used = false;
	w->depth++;
}

void stor__window_full(struct stor_iscsi *d)
{
	d->window.shut = true;
	d->window.answered = 0;
	d->window.depth = CM_MAX(CM_MIN(d->window.depth, d->window.ncmds), 1u);
}

static uint64_t *window_bytes(struct stor_io *io)
{
	return io->cmd.dir ? &io->dev->window.bytes[io->cmd.dir == STOR_DIR_OUT] : NULL;
}

void stor__window_ended(struct stor_io *io)
{
	struct stor_window *w = &io->dev->window;
	uint64_t *bytes = window_bytes(io);

	if (stor__io_is_admin(io))
		return;
	CM_ASSERT(w->ncmds > 0 && (!bytes || *bytes >= io->cmd.length_bytes));
	w->ncmds--;
	if (bytes)
		*bytes -= io->cmd.length_bytes;
	if (io->cmd.status == STOR_SCSI_GOOD)
		window_grow(w);
}

static void window_sent(struct stor_io *io)
{
	uint64_t *bytes = window_bytes(io);

	if (stor__io_is_admin(io))
		return;
	io->dev->window.ncmds++;
	if (bytes)
		*bytes += io->cmd.length_bytes;
}

/* May the guest's next one go out? One always may, however large. */
static bool window_open(struct stor_iscsi *d, const struct stor_io *io)
{
	struct stor_window *w = &d->window;
	uint64_t n = CM_MIN(io->req->length_bytes - io->done_bytes, (uint64_t)d->dev.info.max_transfer_bytes);
	uint64_t under_way;

	if (w->ncmds >= w->depth) {
		w->used = true;
		return false;
	}
	if (io->req->op != STOR_OP_READ && io->req->op != STOR_OP_WRITE)
		return true;
	under_way = w->bytes[io->req->op == STOR_OP_WRITE];
	return !under_way || under_way + n <= ISCSI_DATA_BYTES;
}

/* --- sending ------------------------------------------------------------------------------- */

static struct stor_io *io_next(struct stor_iscsi *d)
{
	struct stor_io *io = TAILQ_FIRST(&d->first);

	if (io)
		return io;
	io = TAILQ_FIRST(&d->sendq);
	return io && window_open(d, io) ? io : NULL;
}

void stor__iscsi_pump(struct stor_iscsi *d)
{
	struct stor_io *io;

	if (d->sess)
		window_look(d);
	/* While a reset or another LUN is looked into, more would go to nobody knows which disk. */
	while (d->sess && !d->holding && !d->revalidating && !d->why.code && (io = io_next(d))) {
		int rc;

		TAILQ_REMOVE(io_queue(io), io, link);
		rc = io_build(io);
		if (rc) {
			io->req->priv = NULL;
			stor_dev_end_later(&d->dev, io->req, rc);
			stor__io_free(io);
			continue;
		}
		d->ncmds++;
		window_sent(io);
		stor__flush_sent(io);
		stor__sess_send(d->sess, &io->cmd);
	}
}
