/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_char.c - history ring and attached descriptor of a serial port or console port.
 *
 * Does: keep the latest output, pass it to whoever is attached, pass input to the device.
 * Does not: interpret a single byte. Output is the guest's, input is the operator's.
 */
#include "config.h"

#include "hvcore/machine/hv_char.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_loop.h"

#define RING_BYTES  (64u << 10) /* a power of two */
#define INPUT_BYTES 512u
#define ESCAPE_KEY  0x01u /* Ctrl-A */

struct hv_char {
	struct cm_loop *loop;
	struct hv_lock *lock;
	hv_char_input_fn input;
	void *input_arg;

	uint64_t head; /* bytes ever said by the guest; ring index is head % RING_BYTES */
	uint64_t sent; /* how far the attached reader is */
	uint64_t lost;
	uint8_t ring[RING_BYTES];

	int tap_fd;	 /* -1: none */
	uint64_t tapped; /* how far the tap is */

	bool attached, out_waits;
	int in_fd, out_fd, in_flags, out_flags;
	struct cm_io in, out;
	hv_char_gone_fn gone;
	void *gone_arg;
	hv_char_gone_fn escape;
	void *escape_arg;
	bool escaping;		      /* Ctrl-A was the last byte */
	uint8_t pending[INPUT_BYTES]; /* read from in_fd, not yet taken by the device */
	size_t pending_at, pending_len;
	/* Output comes from vCPU threads; the loop writes it out. */
	bool flush_posted;
	bool dead;
};

int hv_char_new(struct hv_char **out, struct cm_loop *loop, struct hv_lock *lock)
{
	struct hv_char *c = calloc(1, sizeof *c);

	*out = c;
	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->lock = lock;
	c->tap_fd = -1;
	return 0;
}

static void char_release(void *arg)
{
	free(arg);
}

void hv_char_set_input(struct hv_char *c, hv_char_input_fn fn, void *arg)
{
	c->input = fn;
	c->input_arg = arg;
}

/* Loop thread, lock held. 0: all is written, or the reader is slow and we wait for it. */
static int flush_out(struct hv_char *c)
{
	if (c->head - c->sent > RING_BYTES) {
		c->lost += c->head - c->sent - RING_BYTES;
		c->sent = c->head - RING_BYTES;
	}
	while (c->sent < c->head) {
		size_t at = c->sent % RING_BYTES;
		size_t n = CM_MIN(c->head - c->sent, RING_BYTES - at);
		ssize_t w = write(c->out_fd, c->ring + at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno == EAGAIN) {
			c->out_waits = true;
			return cm_io_want(&c->out, CM_WRITE);
		}
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		c->sent += (uint64_t)w;
	}
	if (c->out_waits) {
		c->out_waits = false;
		return cm_io_want(&c->out, 0);
	}
	return 0;
}

static void flush_tap(struct hv_char *c)
{
	if (c->head - c->tapped > RING_BYTES)
		c->tapped = c->head - RING_BYTES;
	while (c->tapped < c->head) {
		size_t at = c->tapped % RING_BYTES;
		size_t n = CM_MIN(c->head - c->tapped, RING_BYTES - at);
		ssize_t w = write(c->tap_fd, c->ring + at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			c->lost += n;
		c->tapped += w > 0 ? (uint64_t)w : n;
	}
}

void hv_char_free(struct hv_char *c)
{
	if (!c)
		return;
	/* The last words of the guest. */
	if (c->tap_fd >= 0)
		flush_tap(c);
	if (c->attached)
		(void)flush_out(c);
	hv_char_detach(c);
	c->dead = true;
	/* A posted flush may still be on its way; it is run before what is posted after it. */
	if (cm_loop_post(c->loop, char_release, c) < 0)
		CM_ASSERT(!"out of memory while freeing");
}

void hv_char_tap(struct hv_char *c, int fd)
{
	c->tap_fd = fd;
	c->tapped = c->head;
}

/* Called with the lock held; drops it around the owner's callback. */
static void reader_gone(struct hv_char *c)
{
	hv_char_gone_fn gone = c->gone;
	void *arg = c->gone_arg;

	hv_char_detach(c);
	if (!gone)
		return;
	hv_lock_drop(c->lock);
	gone(arg);
	hv_lock_take(c->lock);
}

static void on_flush(void *arg)
{
	struct hv_char *c = arg;

	if (c->dead)
		return;
	hv_lock_take(c->lock);
	c->flush_posted = false;
	if (c->tap_fd >= 0)
		flush_tap(c);
	if (c->attached && !c->out_waits && flush_out(c) < 0)
		reader_gone(c);
	hv_lock_drop(c->lock);
}

static void on_out(struct cm_io *io, unsigned events, void *arg)
{
	struct hv_char *c = arg;

	(void)io;
	(void)events;
	hv_lock_take(c->lock);
	if (c->attached && flush_out(c) < 0)
		reader_gone(c);
	hv_lock_drop(c->lock);
}

/* Gives what is pending to the device. True: all of it was taken. */
static bool feed_device(struct hv_char *c)
{
	while (c->pending_len && c->input) {
		size_t n = c->input(c->input_arg, c->pending + c->pending_at, c->pending_len);

		if (!n)
			break;
		CM_ASSERT(n <= c->pending_len);
		c->pending_at += n;
		c->pending_len -= n;
	}
	return c->pending_len == 0;
}

/* Takes the escape sequences out of what was typed. True: the escape was typed. */
static bool take_escapes(struct hv_char *c)
{
	size_t out = 0;
	bool hit = false;

	for (size_t i = 0; i < c->pending_len; i++) {
		uint8_t b = c->pending[i];

		if (c->escaping) {
			c->escaping = false;
			if (b == 'x' || b == 'X') {
				hit = true;
				continue;
			}
		} else if (b == ESCAPE_KEY) {
			c->escaping = true;
			continue;
		}
		c->pending[out++] = b;
	}
	c->pending_len = out;
	return hit;
}

void hv_char_set_escape(struct hv_char *c, hv_char_gone_fn fn, void *arg)
{
	c->escape = fn;
	c->escape_arg = arg;
}

static void on_in(struct cm_io *io, unsigned events, void *arg)
{
	struct hv_char *c = arg;
	ssize_t n;

	(void)io;
	(void)events;
	hv_lock_take(c->lock);
	if (!c->attached)
		goto out;
	if (feed_device(c)) {
		n = read(c->in_fd, c->pending, sizeof c->pending);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			/* The end of input alone does not end the output. */
			if (cm_io_want(&c->in, 0) < 0 || c->gone)
				reader_gone(c);
			goto out;
		}
		c->pending_at = 0;
		c->pending_len = n > 0 ? (size_t)n : 0;
		if (c->escape && take_escapes(c))
			c->escape(c->escape_arg);
	}
	if (!feed_device(c) && cm_io_want(&c->in, 0) < 0)
		reader_gone(c);
out:
	hv_lock_drop(c->lock);
}

static void on_input_ready(void *arg)
{
	struct hv_char *c = arg;

	if (c->dead)
		return;
	hv_lock_take(c->lock);
	if (c->attached && c->in_fd >= 0 && feed_device(c) && cm_io_want(&c->in, CM_READ) < 0)
		reader_gone(c);
	hv_lock_drop(c->lock);
}

void hv_char_input_ready(struct hv_char *c)
{
	if (c->attached && c->pending_len)
		(void)cm_loop_post(c->loop, on_input_ready, c);
}

void hv_char_output(struct hv_char *c, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		c->ring[(c->head + i) % RING_BYTES] = data[i];
	c->head += len;
	if (c->flush_posted || (c->tap_fd < 0 && (!c->attached || c->out_waits)))
		return;
	c->flush_posted = cm_loop_post(c->loop, on_flush, c) == 0;
}

static int nonblocking(int fd, int *old)
{
	*old = fcntl(fd, F_GETFL);
	if (*old < 0 || fcntl(fd, F_SETFL, *old | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* A plain file or /dev/null cannot be watched: there is no input then. */
static bool watchable(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && (!S_ISCHR(st.st_mode) || isatty(fd));
}

int hv_char_attach(struct hv_char *c, int in_fd, int out_fd, size_t replay, hv_char_gone_fn gone,
		   void *arg)
{
	uint64_t have = CM_MIN(c->head, RING_BYTES);
	int rc;

	if (c->attached)
		return -EBUSY;
	c->in_fd = in_fd;
	c->out_fd = out_fd;
	rc = nonblocking(out_fd, &c->out_flags);
	if (rc == 0 && in_fd >= 0)
		rc = nonblocking(in_fd, &c->in_flags);
	if (rc < 0)
		return rc;
	c->attached = true;
	c->out_waits = false;
	c->gone = gone;
	c->gone_arg = arg;
	c->pending_len = 0;
	c->sent = c->head - CM_MIN(have, replay);
	cm_io_init(&c->out, c->loop, out_fd, on_out, c);
	if (in_fd >= 0) {
		cm_io_init(&c->in, c->loop, in_fd, on_in, c);
		rc = watchable(in_fd) ? cm_io_want(&c->in, CM_READ) : 0;
	}
	if (rc == 0)
		rc = flush_out(c);
	if (rc < 0)
		hv_char_detach(c);
	return rc;
}

void hv_char_detach(struct hv_char *c)
{
	if (!c->attached)
		return;
	c->attached = false;
	cm_io_fini(&c->out);
	if (c->in_fd >= 0) {
		cm_io_fini(&c->in);
		(void)fcntl(c->in_fd, F_SETFL, c->in_flags);
	}
	(void)fcntl(c->out_fd, F_SETFL, c->out_flags);
}

size_t hv_char_history(struct hv_char *c, uint8_t *out, size_t cap)
{
	size_t n = CM_MIN(CM_MIN(c->head, RING_BYTES), cap);

	for (size_t i = 0; i < n; i++)
		out[i] = c->ring[(c->head - n + i) % RING_BYTES];
	return n;
}

uint64_t hv_char_lost(const struct hv_char *c)
{
	return c->lost;
}
