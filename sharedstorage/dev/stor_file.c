/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_file.c - a file or block device of this host as a stor_dev.
 *
 * O_DIRECT is used where the file system takes 512-byte requests; memory that it does not take is
 * copied through a bounce buffer. With O_DIRECT, plain reads and writes go through io_uring
 * (stor_uring.h) if there is one. Everything else, and what io_uring did not do whole, is for a few
 * worker threads with blocking system calls; their completions come back through cm_loop_post, many
 * at a time. COMPARE AND WRITE is an open-file-description
 * lock around read, compare, write and fdatasync, so it holds between processes (and hosts, if the
 * file system's locks do).
 *
 * opts.exclusive_to: each user locks a byte far behind the end, for reading, at a place made from
 * who it is; then no other byte there may be locked. Of two that come at once at least one sees the
 * other; the two ends of a move lock the same byte.
 *
 * Does no fencing: a file has no other hosts. Data parsed: none (sizes come from the kernel).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "common/cm_sys.h"
#include "sharedstorage/dev/stor_dev_int.h"
#include "sharedstorage/dev/stor_uring.h"

#define FILE_THREADS 4
#define FILE_ALIGN   512u
#define FILE_BOUNCE  (1u << 20)

struct stor_file {
	struct stor_dev dev; /* first */
	int fd;
	bool direct, blockdev;
	struct stor_uring *ring;  /* NULL: threads do everything */
	pthread_mutex_t lock;	  /* guards the lists, idle, stop and result_posted */
	pthread_mutex_t caw_lock; /* OFD locks do not tell threads of one description apart */
	pthread_cond_t wake;
	struct stor_reqs todo, finished;
	pthread_t threads[FILE_THREADS];
	unsigned nthreads, idle;
	bool stop, result_posted, closing;
};

static struct stor_file *file_of(struct stor_dev *dev)
{
	return CM_CONTAINER(dev, struct stor_file, dev);
}

/* --- blocking work, [worker] ------------------------------------------------------ */

static bool iov_aligned(const struct iovec *iov, int niov)
{
	for (int i = 0; i < niov; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) % FILE_ALIGN)
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

static int file_bounced(struct stor_file *f, struct stor_req *r)
{
	struct iov_at at = {.iov = r->iov, .niov = r->niov};
	size_t cap = CM_MIN(r->length_bytes, (uint64_t)FILE_BOUNCE);
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

static int file_rw(struct stor_file *f, struct stor_req *r)
{
	ssize_t n;

	if (f->direct && !iov_aligned(r->iov, r->niov))
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

static int file_zeroes(struct stor_file *f, struct stor_req *r)
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
	if (posix_memalign(&zero, 4096, FILE_BOUNCE))
		return -ENOMEM;
	memset(zero, 0, FILE_BOUNCE);
	for (size_t n; left && !rc; off += n, left -= n) {
		n = CM_MIN(left, (uint64_t)FILE_BOUNCE);
		rc = pwrite_full(f->fd, zero, n, off);
	}
	free(zero);
	return rc;
}

static int file_ofd_lock(int fd, short type, uint64_t off, uint64_t len)
{
	struct flock fl = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)off, .l_len = (off_t)len};
	int rc;

	do
		rc = fcntl(fd, F_OFD_SETLKW, &fl);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static int file_caw_locked(struct stor_file *f, struct stor_req *r, void *buf)
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

static int file_caw(struct stor_file *f, struct stor_req *r)
{
	void *buf;
	int rc;

	if (posix_memalign(&buf, 4096, r->length_bytes))
		return -ENOMEM;
	pthread_mutex_lock(&f->caw_lock);
	rc = file_ofd_lock(f->fd, F_WRLCK, r->offset_bytes, r->length_bytes);
	if (!rc) {
		rc = file_caw_locked(f, r, buf);
		file_ofd_lock(f->fd, F_UNLCK, r->offset_bytes, r->length_bytes);
	}
	pthread_mutex_unlock(&f->caw_lock);
	free(buf);
	return rc;
}

static int file_do(struct stor_file *f, struct stor_req *r)
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

static void file_results(void *arg);

static void *file_worker(void *arg)
{
	struct stor_file *f = arg;
	struct stor_req *r;
	bool post;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		while (!(r = TAILQ_FIRST(&f->todo)) && !f->stop) {
			f->idle++;
			pthread_cond_wait(&f->wake, &f->lock);
			f->idle--;
		}
		if (!r)
			break;
		TAILQ_REMOVE(&f->todo, r, link);
		r->word[0] = 1; /* running: cannot be cancelled */
		pthread_mutex_unlock(&f->lock);
		r->rc = file_do(f, r);
		pthread_mutex_lock(&f->lock);
		TAILQ_INSERT_TAIL(&f->finished, r, link);
		post = !f->result_posted;
		f->result_posted = true;
		if (post && cm_loop_post(f->dev.loop, file_results, f))
			f->result_posted = false; /* no memory: the next one tries again */
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* --- [loop] ------------------------------------------------------------------------ */

static void file_closed_check(struct stor_file *f)
{
	if (f->closing && !f->dev.inflight) {
		f->closing = false;
		stor__dev_closed(&f->dev);
	}
}

static void file_results(void *arg)
{
	struct stor_file *f = arg;
	struct stor_reqs batch = TAILQ_HEAD_INITIALIZER(batch);
	struct stor_req *r;

	pthread_mutex_lock(&f->lock);
	f->result_posted = false;
	TAILQ_CONCAT(&batch, &f->finished, link);
	pthread_mutex_unlock(&f->lock);
	while ((r = TAILQ_FIRST(&batch))) {
		TAILQ_REMOVE(&batch, r, link);
		stor__dev_end(&f->dev, r, r->rc);
	}
	file_closed_check(f);
}

static void file_to_threads(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_file *f = file_of(dev);
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	req->word[0] = 0;
	if (!f->idle && f->nthreads < FILE_THREADS) {
		rc = pthread_create(&f->threads[f->nthreads], NULL, file_worker, f);
		if (!rc)
			f->nthreads++;
	}
	if (f->nthreads) {
		TAILQ_INSERT_TAIL(&f->todo, req, link);
		pthread_cond_signal(&f->wake);
		rc = 0;
	}
	pthread_mutex_unlock(&f->lock);
	if (rc)
		stor__dev_end_later(dev, req, -rc);
}

static void file_ring_done(struct stor_req *req, int res, void *arg)
{
	struct stor_file *f = arg;

	if (res >= 0 && (uint64_t)res == req->length_bytes)
		stor__dev_end(&f->dev, req, 0);
	else if (res >= 0 || res == -EINVAL || res == -EAGAIN || res == -EINTR)
		file_to_threads(&f->dev, req); /* they find out, or do it in other pieces */
	else
		stor__dev_end(&f->dev, req, res);
	file_closed_check(f);
}

static void file_submit(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_file *f = file_of(dev);
	bool plain = req->op == STOR_OP_READ ||
		     (req->op == STOR_OP_WRITE && !(req->flags & STOR_REQ_FUA));

	if (f->ring && plain && iov_aligned(req->iov, req->niov) &&
	    stor__uring_submit(f->ring, req))
		return;
	file_to_threads(dev, req);
}

static void file_cancel(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_file *f = file_of(dev);
	struct stor_req *r;

	pthread_mutex_lock(&f->lock);
	TAILQ_FOREACH (r, &f->todo, link)
		if (r == req)
			break;
	if (r)
		TAILQ_REMOVE(&f->todo, r, link);
	pthread_mutex_unlock(&f->lock);
	if (r)
		stor__dev_end_later(dev, r, -ECANCELED);
}

static void file_close_tick(void *arg)
{
	file_closed_check(arg);
}

static void file_close(struct stor_dev *dev)
{
	struct stor_file *f = file_of(dev);

	f->closing = true;
	cm_loop_defer(dev->loop, file_close_tick, f);
}

static void file_free(struct stor_dev *dev)
{
	struct stor_file *f = file_of(dev);

	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_broadcast(&f->wake);
	pthread_mutex_unlock(&f->lock);
	for (unsigned i = 0; i < f->nthreads; i++)
		pthread_join(f->threads[i], NULL);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->caw_lock);
	pthread_cond_destroy(&f->wake);
	stor__uring_free(f->ring);
	if (f->fd >= 0)
		cm_sys.close(f->fd);
	free(f);
}

/* Nobody else can be on a file of ours: there is nothing to shut out. */
static void file_fence(struct stor_dev *dev, const uint64_t *keys, unsigned nkeys,
		       stor_fence_fn done, void *arg)
{
	struct cm_err none = CM_ERR_INIT;

	(void)dev;
	(void)keys;
	(void)nkeys;
	done(0, &none, arg);
}

static void file_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg)
{
	(void)dev;
	done(0, NULL, 0, arg);
}

static const struct stor_dev_ops file_ops = {
	.name = "file",
	.submit = file_submit,
	.cancel = file_cancel,
	.close = file_close,
	.free = file_free,
	.fence = file_fence,
	.read_keys = file_read_keys,
};

static bool file_takes_direct(int fd)
{
	void *buf;
	ssize_t n;

	if (posix_memalign(&buf, 4096, 4096))
		return false;
	/* 512-aligned but not 4096-aligned on purpose: the sectors that we shall ask for. */
	n = pread(fd, (uint8_t *)buf + FILE_ALIGN, FILE_ALIGN, FILE_ALIGN);
	free(buf);
	return n >= 0;
}

#define FILE_USERS (1ll << 61) /* the users' bytes begin here; so many there are, too */

/* Is a byte of [from, to) locked by somebody else's description? 0, 1 or -errno. */
static int file_locked(int fd, off_t from, off_t to)
{
	struct flock fl = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = to - from};

	if (from == to)
		return 0;
	if (fcntl(fd, F_OFD_GETLK, &fl))
		return -errno;
	return fl.l_type != F_UNLCK;
}

static int file_alone(struct stor_file *f, const struct stor_url *u, struct cm_err *err)
{
	off_t at = FILE_USERS + (off_t)(f->dev.opts.exclusive_to % FILE_USERS);
	int rc, others;

	if (!f->dev.opts.exclusive_to)
		return 0;
	rc = file_ofd_lock(f->fd, F_RDLCK, (uint64_t)at, 1);
	if (rc)
		return cm_err_set(err, rc, "%s cannot be locked: %s", u->path, strerror(-rc));
	others = file_locked(f->fd, FILE_USERS, at);
	if (!others)
		others = file_locked(f->fd, at + 1, 2 * FILE_USERS);
	if (others < 0)
		return cm_err_set(err, others, "%s cannot be locked: %s", u->path,
				  strerror(-others));
	return others ? cm_err_set(err, CM_E_DISK_BUSY, "%s is in use by another VM", u->path) : 0;
}

static int file_open_fd(struct stor_file *f, const struct stor_url *u, struct cm_err *err)
{
	const struct stor_dev_opts *o = &f->dev.opts;
	int flags = (o->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;

	if (o->exclusive_create) {
		f->fd = cm_sys.open(u->path, flags | O_CREAT | O_EXCL, 0600);
		if (f->fd >= 0 && cm_sys.ftruncate(f->fd, (off_t)o->size_bytes))
			return cm_err_set(err, -errno, "cannot size %s: %s", u->path,
					  strerror(errno));
		if (f->fd < 0 && errno != EEXIST)
			return cm_err_set(err, -errno, "cannot create %s: %s", u->path,
					  strerror(errno));
	}
	if (f->fd < 0)
		f->fd = cm_sys.open(u->path, flags, 0);
	if (f->fd < 0)
		return cm_err_set(err, errno == ENOENT ? CM_E_NO_FILE : -errno,
				  "cannot open %s: %s", u->path, strerror(errno));
	if (u->direct) {
		int fl = fcntl(f->fd, F_GETFL);

		f->direct = fl >= 0 && !fcntl(f->fd, F_SETFL, fl | O_DIRECT);
		if (f->direct && !file_takes_direct(f->fd)) {
			f->direct = false;
			fcntl(f->fd, F_SETFL, fl);
		}
		if (!f->direct && u->direct > 0)
			return cm_err_set(err, CM_E_BAD_URL, "%s cannot do O_DIRECT with 512 bytes",
					  u->path);
	}
	return 0;
}

static int file_fill_info(struct stor_file *f, const struct stor_url *u, struct cm_err *err)
{
	struct stor_dev_info *info = &f->dev.info;
	uint64_t bytes;
	struct stat st;

	if (fstat(f->fd, &st))
		return cm_err_set(err, -errno, "cannot stat %s", u->path);
	bytes = (uint64_t)st.st_size;
	f->blockdev = S_ISBLK(st.st_mode);
	if (f->blockdev && cm_sys.ioctl(f->fd, BLKGETSIZE64, &bytes))
		return cm_err_set(err, -errno, "cannot tell the size of %s", u->path);
	if (!f->blockdev && !S_ISREG(st.st_mode))
		return cm_err_set(err, CM_E_BAD_URL, "%s is neither a file nor a block device",
				  u->path);
	info->sector_bytes = u->sector_bytes;
	info->capacity_bytes = bytes - bytes % u->sector_bytes;
	if (!info->capacity_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s is empty", u->path);
	info->max_transfer_bytes = FILE_BOUNCE;
	info->readonly = f->dev.opts.readonly;
	info->can_discard = info->discard_zeroes = info->can_write_zeroes = true;
	return 0;
}

static void file_ready(void *arg)
{
	struct stor_dev *dev = arg;

	stor__dev_up(dev);
	if (dev->opts.exclusive_to && dev->state != STOR_DEV_CLOSING)
		stor__dev_event(dev, STOR_EVENT_EXCLUSIVE, NULL);
}

struct stor_dev *stor__file_open(struct cm_loop *loop, const struct stor_url *url,
				 const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_file *f = calloc(1, sizeof *f);
	struct cm_err why = CM_ERR_INIT;

	if (!f) {
		cm_err_set(err, -ENOMEM, "no memory for a file device");
		return NULL;
	}
	f->fd = -1;
	TAILQ_INIT(&f->todo);
	TAILQ_INIT(&f->finished);
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_init(&f->caw_lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	stor__dev_init(&f->dev, &file_ops, loop, opts);
	if (file_open_fd(f, url, &why) || file_fill_info(f, url, &why) ||
	    file_alone(f, url, &why)) {
		cm_err_set(err, why.code, "%s", why.text);
		cm_timer_fini(&f->dev.stall_timer);
		free(f->dev.initiator);
		file_free(&f->dev);
		return NULL;
	}
	if (f->direct)
		f->ring = stor__uring_new(loop, f->fd, file_ring_done, f);
	cm_loop_defer(loop, file_ready, &f->dev);
	return &f->dev;
}
