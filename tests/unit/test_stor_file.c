/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_file.c - many requests at once on a file device, by io_uring where there is one and by
 * threads: what was written is what is read, aligned or not, and a file that shrank gives an error,
 * not data.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/stor_open.h"

#define REQUESTS 300u /* more than the ring takes at once */
#define BYTES	 4096u

struct one {
	struct stor_req req;
	struct iovec iov[2];
	uint8_t *data;
	int rc;
};

struct fix {
	struct cm_loop *loop;
	struct stor_dev *dev;
	char path[32];
	struct one one[REQUESTS];
	uint8_t *memory;
	unsigned busy;
	bool ready, gone;
};

static void on_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		     void *arg)
{
	(void)dev;
	(void)err;
	assert_int_not_equal(event, STOR_EVENT_FAILED);
	((struct fix *)arg)->ready = true;
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->gone = true;
}

static void on_done(struct stor_req *req, int rc)
{
	struct fix *f = req->arg;

	CM_CONTAINER(req, struct one, req)->rc = rc;
	f->busy--;
}

static void begin(struct fix *f, const char *options)
{
	struct stor_dev_opts o = {.exclusive_create = true,
				  .size_bytes = REQUESTS * BYTES,
				  .event = on_event,
				  .event_arg = f};
	char url[64];

	snprintf(f->path, sizeof f->path, "test_stor_file.%d", (int)getpid());
	unlink(f->path);
	snprintf(url, sizeof url, "file:%s%s", f->path, options);
	f->loop = cm_loop_new(NULL);
	f->dev = stor_dev_open(f->loop, url, &o, NULL);
	assert_non_null(f->dev);
	while (!f->ready)
		cm_loop_turn(f->loop, 100);
	f->memory = aligned_alloc(4096, (REQUESTS + 1) * BYTES);
	assert_non_null(f->memory);
}

static void end(struct fix *f)
{
	stor_dev_close(f->dev, on_gone, f);
	while (!f->gone)
		cm_loop_turn(f->loop, 100);
	cm_loop_free(f->loop);
	free(f->memory);
	unlink(f->path);
}

/* All at once; every third one lies off the alignment that O_DIRECT wants. */
static void all(struct fix *f, bool write)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct one *o = &f->one[i];

		o->data = f->memory + i * BYTES + (i % 3 ? 0 : 8);
		o->iov[0] = (struct iovec){o->data, 512};
		o->iov[1] = (struct iovec){o->data + 512, BYTES - 512 - (i % 3 ? 0 : 512)};
		if (write) {
			memset(o->data, (int)i, o->iov[0].iov_len + o->iov[1].iov_len);
			stor_req_writev(&o->req, i * BYTES, o->iov, 2, on_done, f);
			if (i % 7 == 0)
				o->req.flags = STOR_REQ_FUA;
		} else {
			stor_req_readv(&o->req, i * BYTES, o->iov, 2, on_done, f);
		}
		o->rc = 1;
		f->busy++;
		stor_dev_submit(f->dev, &o->req);
	}
	assert_int_equal(f->busy, REQUESTS); /* done is never called from inside submit */
	while (f->busy)
		cm_loop_turn(f->loop, 100);
}

static void round_trip(const char *options)
{
	struct fix f = {0};

	begin(&f, options);
	all(&f, true);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_int_equal(f.one[i].rc, 0);
	memset(f.memory, 0xee, (REQUESTS + 1) * BYTES);
	all(&f, false);
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct one *o = &f.one[i];
		size_t n = o->iov[0].iov_len + o->iov[1].iov_len;

		assert_int_equal(o->rc, 0);
		for (size_t at = 0; at < n; at++)
			assert_int_equal(o->data[at], i & 0xff);
	}
	/* the second half is gone: short reads must not look like success */
	assert_int_equal(truncate(f.path, REQUESTS / 2 * BYTES), 0);
	all(&f, false);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_int_equal(f.one[i].rc == 0, i < REQUESTS / 2);
	end(&f);
}

static void test_default(void **state)
{
	(void)state;
	round_trip("");
}

static void test_buffered(void **state)
{
	(void)state;
	round_trip("?direct=no");
}

/* Closing while requests are under way waits for all of them. */
static void test_close(void **state)
{
	struct fix f = {0};

	(void)state;
	begin(&f, "");
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct one *o = &f.one[i];

		o->iov[0] = (struct iovec){f.memory + i * BYTES, BYTES};
		stor_req_readv(&o->req, i * BYTES, o->iov, 1, on_done, &f);
		f.busy++;
		stor_dev_submit(f.dev, &o->req);
	}
	end(&f);
	assert_int_equal(f.busy, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_buffered),
		cmocka_unit_test(test_close),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
