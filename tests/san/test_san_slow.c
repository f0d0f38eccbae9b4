/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_slow.c - an array that is slow is not dead: what the guest reads and writes may take longer than io_timeout,
 * the lease is renewed meanwhile, whatever lies in front of it, and nothing is sent twice. labsan only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "tests/san/santest.h"

/* Long enough for a machine that stands still for two seconds now and then. */
#define T_MS  1600u
#define BLOCK 4096u
#define DATA  1048576u
#define MANY  96u
#define LARGE (256u << 10)
#define HOUR  "3600000"

struct fix {
	struct san_target t;
	struct cm_loop *loop;
	struct san_host h;
	uint32_t incarnation;
	struct stor_uuid vm;
	struct stor_req req[MANY];
	struct iovec iov[MANY];
	uint8_t *mem;
	unsigned done, errors;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){.kind = SAN_LABSAN, .luns = {"disk0,thin,size=256M"}};
	f->loop = cm_loop_new(NULL);
	f->mem = aligned_alloc(4096, LARGE);
	memset(f->mem, 's', LARGE);
	stor_uuid_random(&f->vm);
	if (san_start(&f->t))
		exit(77);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	san_close(&f->h);
	san_stop(&f->t);
	cm_loop_free(f->loop);
	free(f->mem);
	free(f);
	return 0;
}

/* A VM's device, its lease held. */
static void owner(struct fix *f)
{
	struct stor_dev_opts o = {.gated = true, .host_slot = 1, .io_timeout_ms = T_MS, .isid = 1};
	char url[256];

	san_url(&f->t, 0, NULL, url, sizeof url);
	assert_int_equal(san_open(&f->h, f->loop, url, &o), 0);
	san_lease(&f->h, "node-a", 1, BLOCK, &f->vm, T_MS);
	assert_int_equal(SAN_LEASE(&f->h, acquire), 0);
	f->incarnation = stor_dev_incarnation(f->h.dev);
}

static void on_done(struct stor_req *req, int rc)
{
	struct fix *f = req->arg;

	f->done++;
	f->errors += rc != 0;
}

/* n requests at once; from 0 on. */
static void submit(struct fix *f, bool write, unsigned n, size_t bytes)
{
	f->done = f->errors = 0;
	for (unsigned i = 0; i < n; i++) {
		f->iov[i] = (struct iovec){f->mem, bytes};
		(write ? stor_req_writev : stor_req_readv)(&f->req[i], DATA + (uint64_t)i * LARGE, &f->iov[i], 1, on_done, f);
		stor_dev_submit(f->h.dev, &f->req[i]);
	}
}

/* The session of the beginning is the one of now, and the lease was never in danger. */
static void nothing_happened(struct fix *f)
{
	struct stor_dev_status st;

	stor_dev_get_status(f->h.dev, &st);
	assert_int_equal(st.reconnects, 0);
	assert_int_equal(st.incarnation, f->incarnation);
	assert_int_equal(f->h.stalls, 0);
	assert_int_equal(f->h.lost, STOR_LOST_NONE);
	assert_true(stor_lease_valid_until(f->h.lease) > cm_now_ns());
}

/* All are, and an owner's have been sent once. */
static void all_done(struct fix *f, unsigned n)
{
	SAN_UNTIL(f->loop, f->done == n || (f->incarnation && stor_dev_incarnation(f->h.dev) != f->incarnation));
	if (f->incarnation)
		nothing_happened(f);
	assert_int_equal(f->done, n);
	assert_int_equal(f->errors, 0);
}

static void renewed(struct fix *f, unsigned times)
{
	unsigned until = f->h.renewals + times;

	SAN_UNTIL(f->loop, f->h.renewals >= until || stor_dev_incarnation(f->h.dev) != f->incarnation);
	nothing_happened(f);
}

/* Each of them takes 1.5 T, and then 3 T: they are done, each sent once. */
static void test_slow_is_not_dead(void **state)
{
	static const char *const classes[] = {"write", "read", "sync"};
	struct fix *f = *state;
	struct stor_req flush;

	owner(f);
	for (unsigned k = 0; k < 4; k++) {
		const char *what = classes[k < 2 ? 0 : k - 1];

		san_ctl(&f->t, "delay ms=%u class=%s lun=0 skip=%u", k == 0 ? 3 * T_MS / 2 : 3 * T_MS, what, k == 2);
		if (k == 3) { /* reads of the lease's block are none of ours: sync is */
			f->done = f->errors = 0;
			stor_req_flush(&flush, on_done, f);
			stor_dev_submit(f->h.dev, &flush);
			all_done(f, 1);
		} else {
			submit(f, k < 2, 4, 4096);
			all_done(f, 4);
		}
		san_ctl(&f->t, "clear");
	}
}

/* Quick ones, until the device has used all that the target takes at once. */
static void use_all(struct fix *f)
{
	for (unsigned i = 0; i < 4; i++) {
		submit(f, true, MANY, 512);
		all_done(f, MANY);
	}
}

static unsigned tasks(struct fix *f)
{
	char answer[8192];
	const char *at;

	san_ask(&f->t, "luns", answer, sizeof answer);
	at = strstr(answer, "\"tasks\":");
	assert_non_null(at);
	return (unsigned)atoi(at + 8);
}

/*
 * The array keeps 96 large writes (or reads) to itself, however small its command window is: the next renewals are sent
 * and answered, and so is a path check.
 */
static void test_renewals_pass(void **state)
{
	static const unsigned windows[] = {128, 32, 8};
	struct fix *f = *state;

	for (unsigned k = 0; k < 2 * CM_ARRAY_LEN(windows); k++) {
		bool write = k % 2 == 0;

		san_ctl(&f->t, "window %u", windows[k / 2]);
		owner(f);
		use_all(f);
		san_ctl(&f->t, "delay ms=" HOUR " class=%s", write ? "write" : "read");
		submit(f, write, MANY, LARGE);
		renewed(f, 3);
		assert_int_equal(f->done, 0);
		/* what is in front of a renewal has a bound, and room was left for it */
		assert_true(tasks(f) > 0 && tasks(f) <= (8u << 20) / LARGE);
		assert_true(tasks(f) + 2 <= windows[k / 2]);
		san_ctl(&f->t, "clear");
		san_ctl(&f->t, "release all");
		all_done(f, MANY);
		assert_int_equal(SAN_LEASE(&f->h, release), 0);
		san_close(&f->h);
	}
}

/* A drain (a move, a stop) waits for what is slow; then it is over, and the block can be released. */
static void test_drain_waits(void **state)
{
	struct fix *f = *state;
	struct stor_dev_status st;

	owner(f);
	san_ctl(&f->t, "delay ms=" HOUR " class=write");
	submit(f, true, 1, 4096);
	renewed(f, 2);
	stor_dev_cancel(f->h.dev, &f->req[0]); /* its memory is in use at the target: it stays */
	renewed(f, 1);
	assert_int_equal(f->done, 0);
	stor_dev_get_status(f->h.dev, &st); /* who asks why it takes so long is told */
	assert_non_null(strstr(st.why, "has not answered a command for"));
	san_ctl(&f->t, "clear");
	san_ctl(&f->t, "release all");
	all_done(f, 1);
	assert_int_equal(SAN_LEASE(&f->h, release), 0);
}

/* A target that is gone is noticed by the path check, long before a data command's own time is over. */
static void test_dead_path(void **state)
{
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = 400};
	struct fix *f = *state;
	uint64_t begun;
	char url[256];

	san_url(&f->t, 0, "?data-timeout=600", url, sizeof url);
	assert_int_equal(san_open(&f->h, f->loop, url, &o), 0);
	assert_int_equal(san_rw(&f->h, true, DATA, f->mem, 4096, 0), 0);
	san_ctl(&f->t, "hang all");
	submit(f, true, 1, 4096);
	begun = cm_now_ns();
	SAN_UNTIL(f->loop, f->h.stalled);
	assert_true(cm_now_ns() - begun < 300000 * CM_NS_PER_MS);
	san_ctl(&f->t, "unhang all");
	all_done(f, 1);
}

/* An answer that never comes: after the time of a data command there is another session, and it is sent again. */
static void test_lost_answer(void **state)
{
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = 400};
	struct fix *f = *state;
	char url[256];

	san_url(&f->t, 0, "?data-timeout=1", url, sizeof url);
	assert_int_equal(san_open(&f->h, f->loop, url, &o), 0);
	san_ctl(&f->t, "error what=lose class=write count=1");
	submit(f, true, 1, 4096);
	all_done(f, 1);
	assert_int_equal(f->h.stalls, 1);
	assert_non_null(strstr(f->h.words, "no answer in time"));
}

/* The operator's limit holds for what the target keeps to itself, too. */
static void test_limit(void **state)
{
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = 400, .fail_after_ms = 1500};
	struct fix *f = *state;
	char url[256];

	san_url(&f->t, 0, "?data-timeout=600", url, sizeof url);
	assert_int_equal(san_open(&f->h, f->loop, url, &o), 0);
	san_ctl(&f->t, "error what=lose class=write");
	assert_int_equal(san_rw(&f->h, true, DATA, f->mem, 4096, 0), CM_E_SAN_TIMEOUT);
	san_ctl(&f->t, "clear");
	while (san_rw(&f->h, true, DATA, f->mem, 4096, 0) == CM_E_SAN_TIMEOUT)
		;
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_slow_is_not_dead), T(test_renewals_pass), T(test_drain_waits),
		T(test_dead_path),	  T(test_lost_answer),	 T(test_limit),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
