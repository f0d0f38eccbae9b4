/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_fileio.c - requests of a file device as blocking system calls.
 *
 * Memory that O_DIRECT does not take is copied through a bounce buffer. COMPARE AND WRITE is an
 * open-file-description lock around read, compare, write and fdatasync, so it holds between
 * processes (and hosts, if the file system's locks do). Parses nothing.
 */
#include "config.h"

#include "sharedstorage/dev/stor_fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_sys.h"

bool stor__fileio_aligned(const struct iovec *iov, int niov)
{
	for (int i = 0; i < niov; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) % STOR_FILEIO_ALIGN)
			return false;
	return true;
}

/* Walks an iovec array without changing it. */
struct iov_at {
	const struct iovec *iov;
	int niov, i;
	size_t done; /* of iov[i] */
};

static void iov_copy(struct iov_at *at, uint8_t *flat, size_t n, bool to_flat)
{
	while (n && at->i < at->niov) {
		size_t step = CM_MIN(n, at->iov[at->i].iov_len - at->done);
		uint8_t *p = (uint8_t *)at->iov[at->i].iov_base + at->done;

		if (to_flat)
			memcpy(flat, p, step);
		else
			memcpy(p, flat, step);
		flat += step;
		n -= step;
		at->done += step;
		if (at->done == at->iov[at->i].iov_len) {
			at->i++;
			at->done = 0;
		}
	}
}

static int pread_full(int fd, void *buf, size_t n, uint64_t off)
{
	while (n) {
		ssize_t got = cm_sys.pread(fd, buf, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EIO; /* shrunk below us */
		buf = (uint8_t *)buf + got;
		n -= (size_t)got;
		off += (size_t)got;
	}
	return 0;
}

static int pwrite_full(int fd, const void *buf, size_t n, uint64_t off)
{
	while (n) {
		ssize_t put = cm_sys.pwrite(fd, buf, n, (off_t)off);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		buf = (const uint8_t *)buf + put;
		n -= (size_t)put;
		off += (size_t)put;
	}
	return 0;
}

static int file_bounced(struct stor_fileio *f, struct stor_req *r)
{
	struct iov_at at = {.iov = r->iov, .niov = r->niov};
	size_t cap = CM_MIN(r->length_bytes, (uint64_t)STOR_FILEIO_MAX);
	uint64_t off = r->offset_bytes, left = r->length_bytes;
	void *buf;
	int rc = 0;

	if (posix_memalign(&buf, 4096, cap))
		return -ENOMEM;
	while (left && !rc) {
		size_t n = CM_MIN(left, (uint64_t)cap);

		if (r->op == STOR_OP_WRITE) {
			iov_copy(&at, buf, n, true);
			rc = pwrite_full(f->fd, buf, n, off);
		} else {
			rc = pread_full(f->fd, buf, n, off);
			if (!rc)
				iov_copy(&at, buf, n, false);
		}
		off += n;
		left -= n;
	}
	free(buf);
	return rc;
}

static int file_rw(struct stor_fileio *f, struct stor_req *r)
{
	ssize_t n;

	if (f->direct && !stor__fileio_aligned(r->iov, r->niov))
		return file_bounced(f, r);
	do {
		n = r->op == STOR_OP_READ
			    ? cm_sys.preadv(f->fd, r->iov, r->niov, (off_t)r->offset_bytes)
			    : cm_sys.pwritev(f->fd, r->iov, r->niov, (off_t)r->offset_bytes);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EINVAL ? file_bounced(f, r) : -errno;
	/* A short transfer is rare (signal, end of space): the slow path does it again and says
	 * why. */
	return (uint64_t)n == r->length_bytes ? 0 : file_bounced(f, r);
}

static int file_zeroes(struct stor_fileio *f, struct stor_req *r)
{
	int mode = FALLOC_FL_KEEP_SIZE |
		   (r->flags & STOR_REQ_UNMAP || r->op == STOR_OP_DISCARD ? FALLOC_FL_PUNCH_HOLE
									  : FALLOC_FL_ZERO_RANGE);
	uint64_t left = r->length_bytes, off = r->offset_bytes;
	void *zero;
	int rc = 0;

	if (!cm_sys.fallocate(f->fd, mode, (off_t)off, (off_t)left))
		return 0;
	if (r->op == STOR_OP_DISCARD)
		return errno == EOPNOTSUPP ? 0 : -errno;
	if (posix_memalign(&zero, 4096, STOR_FILEIO_MAX))
		return -ENOMEM;
	memset(zero, 0, STOR_FILEIO_MAX);
	for (size_t n; left && !rc; off += n, left -= n) {
		n = CM_MIN(left, (uint64_t)STOR_FILEIO_MAX);
		rc = pwrite_full(f->fd, zero, n, off);
	}
	free(zero);
	return rc;
}

int stor__fileio_lock(int fd, short type, uint64_t off, uint64_t len)
{
	struct flock fl = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)off, .l_len = (off_t)len};
	int rc;

	do
		rc = fcntl(fd, F_OFD_SETLKW, &fl);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static int file_caw_locked(struct stor_fileio *f, struct stor_req *r, void *buf)
{
	size_t n = r->length_bytes;
	int rc = pread_full(f->fd, buf, n, r->offset_bytes);

	if (rc)
		return rc;
	if (memcmp(buf, r->compare, n))
		return CM_E_LEASE_MISCOMPARE;
	rc = cm_fault("file_caw_before_write");
	if (rc)
		return rc;
	memcpy(buf, r->swap, n);
	rc = pwrite_full(f->fd, buf, n, r->offset_bytes);
	if (!rc)
		rc = cm_sys.fdatasync(f->fd) ? -errno : 0;
	if (!rc)
		rc = cm_fault("file_caw_after_write");
	/* Something may have been written: the caller must read back. */
	return rc ? CM_E_LEASE_UNKNOWN : 0;
}

static int file_caw(struct stor_fileio *f, struct stor_req *r)
{
	void *buf;
	int rc;

	if (posix_memalign(&buf, 4096, r->length_bytes))
		return -ENOMEM;
	pthread_mutex_lock(&f->caw_lock);
	rc = stor__fileio_lock(f->fd, F_WRLCK, r->offset_bytes, r->length_bytes);
	if (!rc) {
		rc = file_caw_locked(f, r, buf);
		stor__fileio_lock(f->fd, F_UNLCK, r->offset_bytes, r->length_bytes);
	}
	pthread_mutex_unlock(&f->caw_lock);
	free(buf);
	return rc;
}

int stor__fileio_do(struct stor_fileio *f, struct stor_req *r)
{
	int rc = 0;

	switch (r->op) {
	case STOR_OP_READ:
		return file_rw(f, r);
	case STOR_OP_WRITE:
		rc = file_rw(f, r);
		if (!rc && r->flags & STOR_REQ_FUA)
			rc = cm_sys.fdatasync(f->fd) ? -errno : 0;
		return rc;
	case STOR_OP_FLUSH:
		return cm_sys.fdatasync(f->fd) ? -errno : 0;
	case STOR_OP_DISCARD:
	case STOR_OP_WRITE_ZEROES:
		return file_zeroes(f, r);
	case STOR_OP_CAW:
		return file_caw(f, r);
	case STOR_OP_NONE:
		break;
	}
	return -EINVAL;
}
