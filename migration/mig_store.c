/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_store.c - a ring of chunks between the migration thread and the device's loop. Parses
 * nothing.
 *
 * A chunk is the thread's while IDLE or FULL, and the loop's while POSTED or FLYING. Chunks are
 * used in order, so the stream's order is theirs.
 */
#include "config.h"

#include "migration/mig_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_loop.h"
#include "sharedstorage/dev/stor_dev.h"

enum chunk_state { CHUNK_NONE = 0, CHUNK_IDLE, CHUNK_POSTED, CHUNK_FLYING, CHUNK_FULL };

struct chunk {
	struct mig_store *store;
	enum chunk_state state;
	uint64_t offset_bytes;
	uint8_t *data;
	struct iovec iov;
	struct stor_req req;
};

struct mig_store {
	struct stor_dev *dev;
	struct cm_loop *loop;
	bool writes;
	uint64_t capacity_bytes;
	uint32_t sector_bytes;
	struct chunk chunk[MIG_STORE_DEPTH];
	struct chunk flush; /* data unused */

	/* the thread's */
	unsigned at;	     /* chunk in use */
	size_t used;	     /* bytes of it */
	uint64_t next_bytes; /* offset of the next chunk to read */
	bool begun;

	pthread_mutex_t lock; /* guards what follows, and the chunks' states */
	pthread_cond_t wake;
	int error; /* the first one */
	bool aborted;
	uint64_t moved_bytes;
};

struct mig_store *mig_store_new(struct stor_dev *dev, bool writes, struct cm_err *err)
{
	struct mig_store *s = calloc(1, sizeof *s);
	bool ok = s != NULL;

	for (unsigned i = 0; ok && i < MIG_STORE_DEPTH; i++) {
		s->chunk[i] = (struct chunk){.store = s,
					     .state = CHUNK_IDLE,
					     .data = aligned_alloc(4096, MIG_STORE_CHUNK)};
		ok = s->chunk[i].data != NULL;
	}
	if (!ok) {
		cm_err_set(err, CM_E_NO_MEMORY, "no memory for the buffers of an image");
		for (unsigned i = 0; s && i < MIG_STORE_DEPTH; i++)
			free(s->chunk[i].data);
		free(s);
		return NULL;
	}
	s->flush = (struct chunk){.store = s, .state = CHUNK_IDLE};
	s->dev = dev;
	s->loop = stor_dev_loop(dev);
	s->writes = writes;
	s->capacity_bytes = stor_dev_info(dev)->capacity_bytes;
	s->sector_bytes = stor_dev_info(dev)->sector_bytes;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	return s;
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void chunk_ended(struct chunk *c, int rc)
{
	struct mig_store *s = c->store;

	pthread_mutex_lock(&s->lock);
	c->state = s->writes ? CHUNK_IDLE : CHUNK_FULL;
	if (rc < 0 && !s->error)
		s->error = rc;
	if (rc == 0)
		s->moved_bytes += c->iov.iov_len;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

static void chunk_done(struct stor_req *req, int rc)
{
	chunk_ended(req->arg, rc);
}

static void chunk_submit(void *arg)
{
	struct chunk *c = arg;
	struct mig_store *s = c->store;
	bool aborted;

	pthread_mutex_lock(&s->lock);
	aborted = s->aborted;
	c->state = CHUNK_FLYING;
	pthread_mutex_unlock(&s->lock);
	if (aborted)
		chunk_ended(c, -ECANCELED);
	else
		stor_dev_submit(s->dev, &c->req);
}

void mig_store_abort(struct mig_store *s)
{
	bool flying[MIG_STORE_DEPTH + 1];

	pthread_mutex_lock(&s->lock);
	s->aborted = true;
	if (!s->error)
		s->error = -ECANCELED;
	for (unsigned i = 0; i < MIG_STORE_DEPTH; i++)
		flying[i] = s->chunk[i].state == CHUNK_FLYING;
	flying[MIG_STORE_DEPTH] = s->flush.state == CHUNK_FLYING;
	pthread_mutex_unlock(&s->lock);
	/* Only this thread ends a flight, so what flew flies still; done never comes from inside
	 * the call. */
	for (unsigned i = 0; i < MIG_STORE_DEPTH; i++)
		if (flying[i])
			stor_dev_cancel(s->dev, &s->chunk[i].req);
	if (flying[MIG_STORE_DEPTH])
		stor_dev_cancel(s->dev, &s->flush.req);
}

/* --- on the thread ---------------------------------------------------------------------------- */

static void store_post(struct chunk *c)
{
	pthread_mutex_lock(&c->store->lock);
	c->state = CHUNK_POSTED;
	pthread_mutex_unlock(&c->store->lock);
	CM_ASSERT(cm_loop_post(c->store->loop, chunk_submit, c) == 0);
}

/* Until the chunk is the thread's again; the store's error. */
static int store_wait(struct chunk *c)
{
	struct mig_store *s = c->store;
	int rc;

	pthread_mutex_lock(&s->lock);
	while (c->state == CHUNK_POSTED || c->state == CHUNK_FLYING)
		pthread_cond_wait(&s->wake, &s->lock);
	rc = s->error;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void mig_store_settle(struct mig_store *s)
{
	for (unsigned i = 0; i < MIG_STORE_DEPTH; i++)
		(void)store_wait(&s->chunk[i]);
	(void)store_wait(&s->flush);
}

void mig_store_free(struct mig_store *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	for (unsigned i = 0; i < MIG_STORE_DEPTH; i++)
		free(s->chunk[i].data);
	free(s);
}

/* The chunk in use goes out. len: whole sectors. */
static int store_put(struct mig_store *s, size_t len)
{
	struct chunk *c = &s->chunk[s->at];
	int rc = cm_fault("mig.store.write");

	if (rc < 0)
		return rc;
	if (c->offset_bytes + len > s->capacity_bytes)
		return CM_E_VOL_FULL;
	c->iov = (struct iovec){c->data, len};
	stor_req_writev(&c->req, c->offset_bytes, &c->iov, 1, chunk_done, c);
	store_post(c);
	s->at = (s->at + 1) % MIG_STORE_DEPTH;
	s->used = 0;
	rc = store_wait(&s->chunk[s->at]);
	s->chunk[s->at].offset_bytes = c->offset_bytes + len;
	return rc;
}

int mig_store_write(struct mig_store *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = CM_MIN(len, (size_t)MIG_STORE_CHUNK - s->used);
		int rc = 0;

		memcpy(s->chunk[s->at].data + s->used, p, n);
		s->used += n;
		p += n;
		len -= n;
		if (s->used == MIG_STORE_CHUNK)
			rc = store_put(s, s->used);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int mig_store_sync(struct mig_store *s)
{
	size_t whole = (s->used + s->sector_bytes - 1) / s->sector_bytes * s->sector_bytes;
	int rc = 0;

	if (s->used) {
		memset(s->chunk[s->at].data + s->used, 0, whole - s->used);
		rc = store_put(s, whole);
	}
	for (unsigned i = 0; i < MIG_STORE_DEPTH; i++) {
		int each = store_wait(&s->chunk[i]);

		rc = rc ? rc : each;
	}
	rc = rc ? rc : cm_fault("mig.store.sync");
	if (rc < 0)
		return rc;
	s->flush.iov.iov_len = 0;
	stor_req_flush(&s->flush.req, chunk_done, &s->flush);
	store_post(&s->flush);
	return store_wait(&s->flush);
}

/* Reads ahead into c; past the end of the device it stays empty. */
static void store_get(struct mig_store *s, struct chunk *c)
{
	uint64_t len = s->capacity_bytes - CM_MIN(s->next_bytes, s->capacity_bytes);

	len = CM_MIN(len, (uint64_t)MIG_STORE_CHUNK);
	c->iov = (struct iovec){c->data, len};
	if (!len) {
		c->state = CHUNK_FULL;
		return;
	}
	stor_req_readv(&c->req, s->next_bytes, &c->iov, 1, chunk_done, c);
	s->next_bytes += len;
	store_post(c);
}

int mig_store_read(struct mig_store *s, void *data, size_t len)
{
	uint8_t *p = data;

	for (unsigned i = 0; !s->begun && i < MIG_STORE_DEPTH; i++)
		store_get(s, &s->chunk[i]);
	s->begun = true;
	while (len) {
		struct chunk *c = &s->chunk[s->at];
		int rc = store_wait(c);
		size_t n;

		if (rc == 0 && s->used == 0)
			rc = cm_fault("mig.store.read");
		if (rc == 0 && s->used == c->iov.iov_len)
			rc = CM_E_STREAM_TRUNCATED;
		if (rc < 0)
			return rc;
		n = CM_MIN(len, c->iov.iov_len - s->used);
		memcpy(p, c->data + s->used, n);
		s->used += n;
		p += n;
		len -= n;
		if (s->used < c->iov.iov_len || c->iov.iov_len < MIG_STORE_CHUNK)
			continue;
		store_get(s, c);
		s->at = (s->at + 1) % MIG_STORE_DEPTH;
		s->used = 0;
	}
	return 0;
}

uint64_t mig_store_bytes(struct mig_store *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->moved_bytes;
	pthread_mutex_unlock(&s->lock);
	return n;
}
