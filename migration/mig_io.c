/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_io.c - frames over TLS, a file or a block device. What comes in is the peer's or the image's; mig_stream.c checks it.
 */
#include "config.h"

#include "migration/mig_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "migration/mig_store.h"
#include "proto/px_tls.h"

#define BUF_MAX (16u << 20)

void mig_io_init(struct mig_io *io, struct px_stream *stream, int fd)
{
	*io = (struct mig_io){.stream = stream, .fd = fd, .crc_ram = !stream};
	cm_buf_init(&io->buf, BUF_MAX);
}

void mig_io_init_store(struct mig_io *io, struct mig_store *store)
{
	mig_io_init(io, NULL, -1);
	io->store = store;
}

void mig_io_fini(struct mig_io *io)
{
	cm_buf_fini(&io->buf);
	if (io->stream)
		px_stream_free(io->stream);
	else if (io->fd >= 0)
		close(io->fd);
	mig_store_free(io->store);
	io->stream = NULL;
	io->store = NULL;
	io->fd = -1;
}

static int file_write(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = cm_sys.write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -ENOSPC;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int file_read(int fd, uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = cm_sys.read(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : CM_E_STREAM_TRUNCATED;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int mig_io_write(struct mig_io *io, const void *data, size_t len)
{
	io->out_bytes += len;
	if (io->store)
		return mig_store_write(io->store, data, len);
	return io->stream ? px_stream_write(io->stream, data, len) : file_write(io->fd, data, len);
}

int mig_io_read(struct mig_io *io, void *data, size_t len)
{
	io->in_bytes += len;
	if (io->store)
		return mig_store_read(io->store, data, len);
	return io->stream ? px_stream_read(io->stream, data, len) : file_read(io->fd, data, len);
}

int mig_io_sync(struct mig_io *io, struct cm_err *err)
{
	int rc = io->store ? mig_store_sync(io->store) : cm_sys.fdatasync(io->fd) < 0 ? -errno : 0;

	return rc < 0 ? cm_err_set(err, rc, "the image is not on stable storage: %s", cm_err_text(rc)) : 0;
}

int mig_io_error(int rc, struct cm_err *err)
{
	if (rc >= 0)
		return 0;
	switch (rc) {
	case CM_E_PROTO_CLOSED:
		return cm_err_set(err, CM_E_MIG_PEER, "the other end closed the connection");
	case CM_E_TIMEOUT:
		return cm_err_set(err, CM_E_MIG_PEER, "the other end has been silent for too long");
	default:
		return cm_err_set(err, rc, "stream: %s", cm_err_text(rc));
	}
}

void mig_io_begin(struct mig_io *io)
{
	cm_buf_reset(&io->buf);
}

int mig_io_send(struct mig_io *io, enum mig_frame_type type, struct cm_err *err)
{
	struct mig_frame f = {.type = (uint16_t)type, .flags = MIG_FRAME_CRC, .length = (uint32_t)io->buf.len,
			      .sequence = io->out_sequence++};
	uint8_t head[MIG_FRAME_BYTES];
	int rc;

	if (io->buf.err)
		return cm_err_set(err, io->buf.err, "no room for a frame");
	f.crc = cm_crc32c(0, io->buf.data, io->buf.len);
	mig_frame_encode(&f, head);
	rc = mig_io_write(io, head, sizeof head);
	if (rc == 0 && io->buf.len)
		rc = mig_io_write(io, io->buf.data, io->buf.len);
	return mig_io_error(rc, err);
}

int mig_io_send_note(struct mig_io *io, enum mig_frame_type type, const struct mig_note *n, struct cm_err *err)
{
	mig_io_begin(io);
	mig_note_encode(&io->buf, n);
	return mig_io_send(io, type, err);
}

int mig_io_send_ram(struct mig_io *io, const struct mig_run *run, const void *const *pages, unsigned runs,
		    struct cm_err *err)
{
	struct mig_frame f = {.type = MIG_FRAME_RAM, .length = (uint32_t)io->buf.len, .sequence = io->out_sequence++};
	uint8_t head[MIG_FRAME_BYTES];
	int rc;

	if (io->buf.err)
		return cm_err_set(err, io->buf.err, "no room for a frame");
	for (unsigned i = 0; i < runs; i++)
		f.length += run[i].pages * MIG_PAGE_BYTES;
	if (io->crc_ram) {
		/* Only of memory that stands still: an image. A stream has TLS's own. */
		f.flags = MIG_FRAME_CRC;
		f.crc = cm_crc32c(0, io->buf.data, io->buf.len);
		for (unsigned i = 0; i < runs; i++)
			f.crc = cm_crc32c(f.crc, pages[i], (size_t)run[i].pages * MIG_PAGE_BYTES);
	}
	mig_frame_encode(&f, head);
	rc = mig_io_write(io, head, sizeof head);
	if (rc == 0)
		rc = mig_io_write(io, io->buf.data, io->buf.len);
	for (unsigned i = 0; rc == 0 && i < runs; i++)
		rc = mig_io_write(io, pages[i], (size_t)run[i].pages * MIG_PAGE_BYTES);
	return mig_io_error(rc, err);
}

int mig_io_next(struct mig_io *io, struct mig_frame *f, struct cm_err *err)
{
	uint8_t head[MIG_FRAME_BYTES];
	int rc = mig_io_read(io, head, sizeof head);

	if (rc < 0)
		return mig_io_error(rc, err);
	return mig_frame_decode(head, io->in_sequence++, f, err);
}

int mig_io_payload(struct mig_io *io, const struct mig_frame *f, struct cm_err *err)
{
	uint8_t *p;
	int rc;

	cm_buf_reset(&io->buf);
	if (f->length) {
		p = cm_buf_reserve(&io->buf, f->length);
		if (!p)
			return cm_err_set(err, io->buf.err, "no room for a frame of %u bytes", f->length);
		rc = mig_io_read(io, p, f->length);
		if (rc < 0)
			return mig_io_error(rc, err);
		cm_buf_commit(&io->buf, f->length);
	}
	if (!(f->flags & MIG_FRAME_CRC) || f->crc != cm_crc32c(0, io->buf.data, io->buf.len))
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "checksum of frame %u (%s) does not match", f->sequence,
				  mig_frame_name(f->type));
	return 0;
}

int mig_io_bye(struct mig_io *io, struct cm_err *err)
{
	struct mig_note n;
	int rc = mig_note_decode(io->buf.data, io->buf.len, &n, err);

	if (rc < 0)
		return rc;
	rc = -(int)(n.code & 0xffffu);
	return cm_err_set(err, rc ? rc : CM_E_MIG_PEER, "the other end says: %s", n.text);
}

int mig_io_expect_note(struct mig_io *io, enum mig_frame_type type, struct mig_note *n, struct cm_err *err)
{
	struct mig_frame f;
	int rc = mig_io_next(io, &f, err);

	if (rc == 0 && f.type != type && f.type != MIG_FRAME_BYE)
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s where %s was due", mig_frame_name(f.type),
				  mig_frame_name((uint16_t)type));
	if (rc == 0)
		rc = mig_io_payload(io, &f, err);
	if (rc < 0)
		return rc;
	if (f.type == MIG_FRAME_BYE)
		return mig_io_bye(io, err);
	return mig_note_decode(io->buf.data, io->buf.len, n, err);
}
