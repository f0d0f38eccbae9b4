/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_io.h - frames on a blocking channel: a TLS stream of a migration, or the file or block device of an image.
 *
 * Thread: one migration thread.
 */
#ifndef MIG_IO_H
#define MIG_IO_H

#include "migration/mig_stream.h"

struct mig_store;
struct px_stream;

struct mig_io {
	struct px_stream *stream; /* or */
	struct mig_store *store;  /* or */
	int fd;
	bool crc_ram;             /* memory frames carry a checksum (images) */
	uint32_t out_sequence, in_sequence;
	uint64_t out_bytes, in_bytes;
	struct cm_buf buf;        /* one small payload at a time */
};

/* Exactly one of stream (taken) and fd (taken) is given. */
void mig_io_init(struct mig_io *io, struct px_stream *stream, int fd);
/* An image on a block device; store is taken. */
void mig_io_init_store(struct mig_io *io, struct mig_store *store);
void mig_io_fini(struct mig_io *io);
/* An image: all of it is on stable storage. */
int mig_io_sync(struct mig_io *io, struct cm_err *err) cm_must_check;

int mig_io_write(struct mig_io *io, const void *data, size_t len);
int mig_io_read(struct mig_io *io, void *data, size_t len);

/* A whole frame whose payload is in io->buf (filled by the caller after mig_io_begin). */
void mig_io_begin(struct mig_io *io);
int mig_io_send(struct mig_io *io, enum mig_frame_type type, struct cm_err *err) cm_must_check;
int mig_io_send_note(struct mig_io *io, enum mig_frame_type type, const struct mig_note *n, struct cm_err *err)
	cm_must_check;
/* Memory: the table in io->buf, then the pages of each run (lengths in MIG_PAGE_BYTES x run.pages). */
int mig_io_send_ram(struct mig_io *io, const struct mig_run *run, const void *const *pages, unsigned runs,
		    struct cm_err *err) cm_must_check;

/* The next header. Its payload must be read next, whole. */
int mig_io_next(struct mig_io *io, struct mig_frame *f, struct cm_err *err) cm_must_check;
/* The rest of the frame into io->buf, its checksum verified. Not for RAM frames. */
int mig_io_payload(struct mig_io *io, const struct mig_frame *f, struct cm_err *err) cm_must_check;
/* Next frame must be `type` with a note; a BYE becomes its error. */
int mig_io_expect_note(struct mig_io *io, enum mig_frame_type type, struct mig_note *n, struct cm_err *err)
	cm_must_check;
/* The error that a BYE (in io->buf) carries. */
int mig_io_bye(struct mig_io *io, struct cm_err *err);
int mig_io_error(int rc, struct cm_err *err);

#endif
