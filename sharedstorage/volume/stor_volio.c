/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volio.c - blocking I/O of a volume's metadata work: a worker waits for the loop. Parses
 * nothing.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "sharedstorage/volume/stor_volume_int.h"

struct vol_wait {
	struct stor_dev *dev;
	struct stor_req req;
	struct iovec iov;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
	int rc;
};

static void wait_done(struct stor_req *req, int rc)
{
	struct vol_wait *w = req->arg;

	pthread_mutex_lock(&w->lock);
	w->rc = rc;
	w->done = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static void wait_submit(void *arg)
{
	struct vol_wait *w = arg;

	stor_dev_submit(w->dev, &w->req);
}

static int vol_run(struct vol_wait *w, struct stor_dev *dev, unsigned flags)
{
	int rc;

	w->dev = dev;
	w->req.flags |= flags;
	w->done = false;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	/* Not into w->rc: the request may have ended, with an error there, before this call comes
	 * back. */
	rc = cm_loop_post(stor_dev_loop(dev), wait_submit, w);
	if (rc == 0) {
		pthread_mutex_lock(&w->lock);
		while (!w->done)
			pthread_cond_wait(&w->wake, &w->lock);
		rc = w->rc;
		pthread_mutex_unlock(&w->lock);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	return rc;
}

static int vol_fail(struct cm_err *err, int rc, const char *what, uint64_t offset)
{
	return rc ? cm_err_set(err, rc, "cannot %s the volume at byte %llu: %s", what,
			       (unsigned long long)offset, cm_err_text(rc))
		  : 0;
}

static int vol_read(struct stor_dev *dev, uint64_t offset, void *buf, uint64_t bytes,
		    unsigned flags, struct cm_err *err)
{
	struct vol_wait w = {.iov = {buf, bytes}};

	stor_req_readv(&w.req, offset, &w.iov, 1, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, flags), "read", offset);
}

int stor__vol_read(struct stor_dev *dev, uint64_t offset, void *buf, uint64_t bytes,
		   struct cm_err *err)
{
	return vol_read(dev, offset, buf, bytes, STOR_REQ_ADMIN, err);
}

int stor__vol_write(struct stor_dev *dev, uint64_t offset, const void *buf, uint64_t bytes,
		    struct cm_err *err)
{
	struct vol_wait w = {.iov = {(void *)(uintptr_t)buf, bytes}};

	stor_req_writev(&w.req, offset, &w.iov, 1, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, STOR_REQ_FUA), "write", offset);
}

int stor__vol_zero(struct stor_dev *dev, uint64_t offset, uint64_t bytes, struct cm_err *err)
{
	struct vol_wait w = {.rc = 0};

	stor_req_write_zeroes(&w.req, offset, bytes, true, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, 0), "clear", offset);
}

int stor__vol_flush(struct stor_dev *dev, struct cm_err *err)
{
	struct vol_wait w = {.rc = 0};

	stor_req_flush(&w.req, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, 0), "flush", 0);
}

int stor__vol_caw(struct stor_dev *dev, uint64_t offset, const void *compare, const void *swap,
		  uint32_t sector, struct cm_err *err)
{
	uint8_t now[STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	struct vol_wait w = {.rc = 0};
	int rc;

	stor_req_caw(&w.req, offset, compare, swap, sector, wait_done, &w);
	rc = vol_run(&w, dev, 0);
	if (rc == CM_E_LEASE_MISCOMPARE)
		return rc;
	if (rc == CM_E_LEASE_UNKNOWN) {
		/* An ordinary read waits for the next admission, and that is behind the barrier:
		 * what it sees is final. */
		rc = vol_read(dev, offset, now, sector, 0, err);
		return rc ? rc : memcmp(now, swap, sector) ? CM_E_LEASE_MISCOMPARE : 0;
	}
	return vol_fail(err, rc, "change", offset);
}

uint8_t *stor__vol_region(struct stor_volume *vol, uint64_t at, uint64_t sectors, int *rc,
			  struct cm_err *err)
{
	uint64_t s = vol->super.sector_bytes;
	uint8_t *buf = aligned_alloc(4096, (sectors * s + 4095) / 4096 * 4096);

	if (!buf) {
		*rc = cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	*rc = stor__vol_read(vol->dev, at * s, buf, sectors * s, err);
	if (*rc) {
		free(buf);
		return NULL;
	}
	return buf;
}

void stor__vol_pause(unsigned tries)
{
	uint32_t r = 0;
	struct timespec ts;

	CM_ASSERT(getrandom(&r, sizeof r, 0) == sizeof r);
	ts = (struct timespec){.tv_nsec = (long)(r % (1000000u * (CM_MIN(tries, 16u) + 1)))};
	nanosleep(&ts, NULL);
}
