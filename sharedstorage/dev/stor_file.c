/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_file.c - a file or block device of this host as a stor_dev.
 *
 * O_DIRECT is used where the file system takes 512-byte requests. With it, plain reads and writes
 * go through io_uring (stor_uring.h) if there is one. Everything else, and what io_uring did not do
 * whole, is for a few worker threads with blocking system calls (stor_fileio.h); their completions
 * come back through cm_loop_post, many at a time.
 *
 * opts.exclusive_to: each user locks a byte far behind the end, for reading, at a place made from
 * who it is; then no other byte there may be locked. Of two that come at once at least one sees the
 * other; the two ends of a move lock the same byte.
 *
 * Does no fencing: a file has no other hosts. Data parsed: none (sizes come from the kernel).
 */
#include "config.h"

#include "sharedstorage/dev/stor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "sharedstorage/dev/stor_dev_back.h"
#include "sharedstorage/dev/stor_fileio.h"
#include "sharedstorage/dev/stor_uring.h"

#define FILE_THREADS 4

struct stor_file {
	struct stor_dev dev; /* first */
	struct stor_fileio io;
	struct stor_uring *ring; /* NULL: threads do everything */
	pthread_mutex_t lock;	 /* guards the lists, idle, stop and result_posted */
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

/* --- [worker] ---------------------------------------------------------------------- */

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
		r->rc = stor__fileio_do(&f->io, r);
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
		stor_dev_closed(&f->dev);
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
		stor_dev_end(&f->dev, r, r->rc);
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
		stor_dev_end_later(dev, req, -rc);
}

static void file_ring_done(struct stor_req *req, int res, void *arg)
{
	struct stor_file *f = arg;

	if (res >= 0 && (uint64_t)res == req->length_bytes)
		stor_dev_end(&f->dev, req, 0);
	else if (res >= 0 || res == -EINVAL || res == -EAGAIN || res == -EINTR)
		file_to_threads(&f->dev, req); /* they find out, or do it in other pieces */
	else
		stor_dev_end(&f->dev, req, res);
	file_closed_check(f);
}

static void file_submit(struct stor_dev *dev, struct stor_req *req)
{
	struct stor_file *f = file_of(dev);
	bool plain = req->op == STOR_OP_READ ||
		     (req->op == STOR_OP_WRITE && !(req->flags & STOR_REQ_FUA));

	if (f->ring && plain && stor__fileio_aligned(req->iov, req->niov) &&
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
		stor_dev_end_later(dev, r, -ECANCELED);
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
	pthread_mutex_destroy(&f->io.caw_lock);
	pthread_cond_destroy(&f->wake);
	stor__uring_free(f->ring);
	if (f->io.fd >= 0)
		cm_sys.close(f->io.fd);
	free(f);
}

/* Nobody else can be on a file of ours: there is nothing to shut out. */
static void file_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys,
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
	n = pread(fd, (uint8_t *)buf + STOR_FILEIO_ALIGN, STOR_FILEIO_ALIGN, STOR_FILEIO_ALIGN);
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
	rc = stor__fileio_lock(f->io.fd, F_RDLCK, (uint64_t)at, 1);
	if (rc)
		return cm_err_set(err, rc, "%s cannot be locked: %s", u->path, strerror(-rc));
	others = file_locked(f->io.fd, FILE_USERS, at);
	if (!others)
		others = file_locked(f->io.fd, at + 1, 2 * FILE_USERS);
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
		f->io.fd = cm_sys.open(u->path, flags | O_CREAT | O_EXCL, 0600);
		if (f->io.fd >= 0 && cm_sys.ftruncate(f->io.fd, (off_t)o->size_bytes))
			return cm_err_set(err, -errno, "cannot size %s: %s", u->path,
					  strerror(errno));
		if (f->io.fd < 0 && errno != EEXIST)
			return cm_err_set(err, -errno, "cannot create %s: %s", u->path,
					  strerror(errno));
	}
	if (f->io.fd < 0)
		f->io.fd = cm_sys.open(u->path, flags, 0);
	if (f->io.fd < 0)
		return cm_err_set(err, errno == ENOENT ? CM_E_NO_FILE : -errno,
				  "cannot open %s: %s", u->path, strerror(errno));
	if (u->direct) {
		int fl = fcntl(f->io.fd, F_GETFL);

		f->io.direct = fl >= 0 && !fcntl(f->io.fd, F_SETFL, fl | O_DIRECT);
		if (f->io.direct && !file_takes_direct(f->io.fd)) {
			f->io.direct = false;
			fcntl(f->io.fd, F_SETFL, fl);
		}
		if (!f->io.direct && u->direct > 0)
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
	bool blockdev;

	if (fstat(f->io.fd, &st))
		return cm_err_set(err, -errno, "cannot stat %s", u->path);
	bytes = (uint64_t)st.st_size;
	blockdev = S_ISBLK(st.st_mode);
	if (blockdev && cm_sys.ioctl(f->io.fd, BLKGETSIZE64, &bytes))
		return cm_err_set(err, -errno, "cannot tell the size of %s", u->path);
	if (!blockdev && !S_ISREG(st.st_mode))
		return cm_err_set(err, CM_E_BAD_URL, "%s is neither a file nor a block device",
				  u->path);
	info->sector_bytes = u->sector_bytes;
	info->capacity_bytes = bytes - bytes % u->sector_bytes;
	if (!info->capacity_bytes)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s is empty", u->path);
	info->max_transfer_bytes = STOR_FILEIO_MAX;
	info->readonly = f->dev.opts.readonly;
	info->can_discard = info->discard_zeroes = info->can_write_zeroes = true;
	return 0;
}

static void file_ready(void *arg)
{
	struct stor_dev *dev = arg;

	stor_dev_up(dev);
	if (dev->opts.exclusive_to && dev->state != STOR_DEV_CLOSING)
		stor_dev_tell(dev, STOR_EVENT_EXCLUSIVE, NULL);
}

struct stor_dev *stor_file_open(struct cm_loop *loop, const struct stor_url *url,
				const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_file *f = calloc(1, sizeof *f);
	struct cm_err why = CM_ERR_INIT;

	if (!f) {
		cm_err_set(err, -ENOMEM, "no memory for a file device");
		return NULL;
	}
	f->io.fd = -1;
	TAILQ_INIT(&f->todo);
	TAILQ_INIT(&f->finished);
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_init(&f->io.caw_lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	stor_dev_init(&f->dev, &file_ops, loop, opts);
	if (file_open_fd(f, url, &why) || file_fill_info(f, url, &why) ||
	    file_alone(f, url, &why)) {
		cm_err_set(err, why.code, "%s", why.text);
		stor_dev_fini(&f->dev);
		file_free(&f->dev);
		return NULL;
	}
	if (f->io.direct)
		f->ring = stor__uring_new(loop, f->io.fd, file_ring_done, f);
	cm_loop_defer(loop, file_ready, &f->dev);
	return &f->dev;
}
