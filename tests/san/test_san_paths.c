/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_paths.c - what arrays do that a plain target does not: a portal that cannot serve now, a login that is sent
 * elsewhere, a LUN without a serial number, no WRITE SAME, a pool that is full. labsan only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "tests/san/santest.h"

#define ONE  "127.0.0.1"
#define TWO  "127.0.0.2"
#define DATA 1048576u

struct fix {
	struct san_target t;
	struct cm_loop *loop;
	struct san_host h;
	char both[256]; /* LUN 0 by either portal */
	uint8_t data[8192];
};

static const struct stor_dev_opts opts = {.host_slot = 3, .io_timeout_ms = 400};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){.kind = SAN_LABSAN,
				   .luns = {"disk0,thin,size=64M", "disk1,size=64M,serial=none,ids=t10",
					    "disk2,size=64M,serial=none,ids=eui", "disk3,size=64M,serial=none,ids=none"}};
	f->loop = cm_loop_new(NULL);
	if (san_start(&f->t))
		exit(77);
	snprintf(f->both, sizeof f->both, "iscsi://" ONE ":%d," TWO ":%d/" SAN_IQN "/0", f->t.port, f->t.port);
	memset(f->data, 'p', sizeof f->data);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	san_close(&f->h);
	san_stop(&f->t);
	cm_loop_free(f->loop);
	free(f);
	return 0;
}

static void goes_by(struct fix *f, const char *address)
{
	struct stor_dev_status st;
	char portal[80];

	snprintf(portal, sizeof portal, "%s:%d", address, f->t.port);
	stor_dev_get_status(f->h.dev, &st);
	assert_string_equal(st.path, portal);
}

static int write_some(struct fix *f)
{
	return san_rw(&f->h, true, DATA, f->data, 4096, 0);
}

/* --- paths -------------------------------------------------------------------------------- */

/* The path goes on to refuse: the write is done by the other one. */
static void test_left_for_the_other(void **state)
{
	static const char *const refusals[] = {"02/04/0a", "02/04/0b", "02/04/0c", "02/3e/01", "02/04/01",
					       "busy",	   "0b/47/03"};
	struct fix *f = *state;

	for (unsigned i = 0; i < CM_ARRAY_LEN(refusals); i++) {
		print_message("%s\n", refusals[i]);
		assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
		assert_int_equal(write_some(f), 0);
		goes_by(f, ONE);
		san_ctl(&f->t, "error what=%s class=write portal=" ONE, refusals[i]);
		assert_int_equal(write_some(f), 0);
		goes_by(f, TWO);
		san_ctl(&f->t, "clear");
		san_close(&f->h);
	}
}

/* Where neither serves it waits, and goes on by one that does. */
static void test_neither_serves(void **state)
{
	struct fix *f = *state;
	struct stor_req r;
	struct iovec iov = {f->data, 4096};

	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	san_ctl(&f->t, "error what=02/04/0a class=all");
	stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
	san_submit(&f->h, &r);
	SAN_UNTIL(f->loop, f->h.stalled);
	san_turn_ms(f->loop, 1000);
	assert_false(f->h.answered);
	san_ctl(&f->t, "clear");
	assert_int_equal(san_wait(&f->h), 0);
	SAN_UNTIL(f->loop, !f->h.stalled);
	/* one of them serves from the beginning */
	san_close(&f->h);
	san_ctl(&f->t, "error what=02/04/0b class=all portal=" ONE);
	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	assert_int_equal(write_some(f), 0);
	goes_by(f, TWO);
}

/* --- redirection ------------------------------------------------------------------------------ */

static void test_redirected(void **state)
{
	struct fix *f = *state;
	char url[256];

	san_url(&f->t, 0, NULL, url, sizeof url);
	for (unsigned i = 0; i < 2; i++) {
		san_ctl(&f->t, "redirect 0 " TWO ":%d%s", f->t.port, i ? ",1 permanent" : "");
		assert_int_equal(san_open(&f->h, f->loop, url, &opts), 0);
		assert_int_equal(write_some(f), 0);
		goes_by(f, TWO);
		san_ctl(&f->t, "drop all"); /* the next login begins where the URL says */
		SAN_UNTIL(f->loop, f->h.stalled);
		assert_int_equal(write_some(f), 0);
		goes_by(f, TWO);
		san_ctl(&f->t, "redirect 0 none");
		san_ctl(&f->t, "drop all");
		SAN_UNTIL(f->loop, f->h.stalls == 2);
		assert_int_equal(write_some(f), 0);
		goes_by(f, ONE);
		san_close(&f->h);
	}
}

static void test_redirected_in_a_circle(void **state)
{
	struct fix *f = *state;
	char url[256];

	san_url(&f->t, 0, NULL, url, sizeof url);
	san_ctl(&f->t, "redirect 0 " TWO ":%d", f->t.port);
	san_ctl(&f->t, "redirect 1 " ONE ":%d", f->t.port);
	assert_int_equal(san_open(&f->h, f->loop, url, &opts), CM_E_SAN_LOGIN);
	assert_non_null(strstr(f->h.words, "again and again"));
	san_close(&f->h);
	/* the other portal of the URL is well */
	san_ctl(&f->t, "redirect 1 none");
	san_ctl(&f->t, "redirect 0 " ONE ":%d", f->t.port);
	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	assert_int_equal(write_some(f), 0);
	goes_by(f, TWO);
}

static void test_redirected_to_a_name(void **state)
{
	struct fix *f = *state;
	char url[256];

	san_url(&f->t, 0, NULL, url, sizeof url);
	san_ctl(&f->t, "redirect 0 san.example.com:3260,1");
	assert_int_equal(san_open(&f->h, f->loop, url, &opts), CM_E_SAN_LOGIN);
	assert_non_null(strstr(f->h.words, "'san.example.com:3260,1', which is no numeric address"));
}

/* --- what it is ------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
	static const char *const begins[] = {"", "t10.LABSAN", "eui."};
	struct fix *f = *state;
	uint32_t tag[3];
	char url[256];

	for (unsigned i = 0; i < 3; i++) {
		san_url(&f->t, i, NULL, url, sizeof url);
		assert_int_equal(san_open(&f->h, f->loop, url, &opts), 0);
		assert_int_equal(strncmp(stor_dev_info(f->h.dev)->serial, begins[i], strlen(begins[i])), 0);
		tag[i] = stor_dev_lun(f->h.dev);
		assert_true(tag[i] != 0);
		san_ctl(&f->t, "drop all"); /* the next session finds the same */
		SAN_UNTIL(f->loop, f->h.stalled);
		assert_int_equal(write_some(f), 0);
		assert_int_equal(stor_dev_lun(f->h.dev), tag[i]);
		san_close(&f->h);
	}
	assert_true(tag[0] != tag[1] && tag[1] != tag[2] && tag[0] != tag[2]);
	san_url(&f->t, 3, NULL, url, sizeof url);
	assert_int_equal(san_open(&f->h, f->loop, url, &opts), CM_E_SAN_UNSAFE);
	assert_non_null(strstr(f->h.words, "give it one at the array"));
}

/* WRITE SAME and UNMAP are not there, or not with UNMAP=1, whatever the pages say. */
static void test_no_write_same(void **state)
{
	static const char *const lacks[] = {"write-same", "write-same,unmap", "unmap"};
	struct fix *f = *state;
	uint8_t back[sizeof f->data];
	struct stor_req r;

	for (unsigned i = 0; i < 2 * CM_ARRAY_LEN(lacks); i++) {
		san_ctl(&f->t, "lacks %s", lacks[i / 2]);
		assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(san_rw(&f->h, true, DATA, f->data, sizeof f->data, 0), 0);
			stor_req_write_zeroes(&r, DATA, 4096, i % 2, NULL, NULL);
			assert_int_equal(san_do(&f->h, &r), 0);
			assert_int_equal(san_rw(&f->h, false, DATA, back, sizeof back, 0), 0);
			assert_true(!back[0] && !memcmp(back, back + 1, 4095));
			assert_memory_equal(back + 4096, f->data, 4096);
			stor_req_discard(&r, DATA, 4096, NULL, NULL);
			assert_int_equal(san_do(&f->h, &r), 0);
		}
		san_close(&f->h);
	}
}

/* --- answers that are easily taken for another one ----------------------------------------- */

static void written(struct fix *f, uint64_t at)
{
	uint8_t back[4096];

	assert_int_equal(san_rw(&f->h, false, at, back, sizeof back, 0), 0);
	assert_memory_equal(back, f->data, sizeof back);
}

/* Sense data of an earlier command (SPC-4 4.5.7): this one was not executed, however well that one ended. */
static void test_deferred(void **state)
{
	static const char *const earlier[] = {"00/00/00", "01/0c/01", "0f/00/00"};
	struct fix *f = *state;
	struct stor_req r;

	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	for (unsigned i = 0; i < CM_ARRAY_LEN(earlier); i++) {
		stor_req_write_zeroes(&r, DATA, 4096, false, NULL, NULL);
		assert_int_equal(san_do(&f->h, &r), 0);
		san_ctl(&f->t, "error what=%s deferred=yes class=write count=1", earlier[i]);
		assert_int_equal(write_some(f), 0);
		written(f, DATA);
	}
}

/* An earlier write was said to be done and could not be kept, as another command learns: a flush must not say it is durable. */
static void test_deferred_loss(void **state)
{
	struct fix *f = *state;
	uint8_t back[4096];
	struct stor_req r;

	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	assert_int_equal(write_some(f), 0);
	san_ctl(&f->t, "error what=03/0c/00 deferred=yes class=read count=1");
	assert_int_equal(san_rw(&f->h, false, 2 * DATA, back, sizeof back, 0), 0);
	stor_req_flush(&r, NULL, NULL);
	assert_int_equal(san_do(&f->h, &r), CM_E_IO);
	assert_int_equal(san_do(&f->h, &r), 0);
}

/* GOOD, with a residual count that says that nothing was taken: no success. */
static void test_moved_nothing(void **state)
{
	struct fix *f = *state;

	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	san_ctl(&f->t, "error what=nothing class=write count=1");
	assert_int_equal(write_some(f), CM_E_IO);
	assert_int_equal(write_some(f), 0);
	written(f, DATA);
}

static void late(struct stor_req *req, int rc)
{
	*(int *)req->arg = rc;
}

/* The LUN number stands for another disk for a while: what was said to be written is on ours. */
static void another_lun(struct fix *f, unsigned host_slot, bool at_once)
{
	struct stor_dev_opts o = opts;
	static struct stor_req r[4]; /* a test that fails leaves them under way */
	static struct iovec iov;
	static int rc[4];

	iov = (struct iovec){f->data, 4096};
	o.host_slot = (uint16_t)host_slot;
	o.io_timeout_ms = 10000;
	assert_int_equal(san_open(&f->h, f->loop, f->both, &o), 0);
	assert_int_equal(write_some(f), 0);
	san_ctl(&f->t, "delay ms=3600000 class=pr,other");
	san_ctl(&f->t, "remap 0 1");
	for (unsigned i = 0; i < 4; i++) {
		rc[i] = 1;
		stor_req_writev(&r[i], DATA + i * 4096, &iov, 1, late, &rc[i]);
		stor_dev_submit(f->h.dev, &r[i]);
		if (!at_once || i == 3)
			san_turn_ms(f->loop, 300);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(rc[i], 1);
	san_ctl(&f->t, "remap 0 1");
	san_ctl(&f->t, "clear");
	san_ctl(&f->t, "release all");
	for (unsigned i = 0; i < 4; i++) {
		SAN_UNTIL(f->loop, rc[i] <= 0);
		assert_int_equal(rc[i], 0);
		written(f, DATA + i * 4096);
	}
}

static void test_another_lun(void **state)
{
	another_lun(*state, 3, false);
}

/* Those that were under way already may have gone to the other disk: they are no success, and are sent again. */
static void test_another_lun_under_way(void **state)
{
	another_lun(*state, 3, true);
}

static void test_another_lun_without_key(void **state)
{
	another_lun(*state, 0, false);
}

static void test_another_lun_without_key_under_way(void **state)
{
	another_lun(*state, 0, true);
}

/* A new VM's block is taken from zeroes, which another disk has, too: what was taken there is not ours. */
static void test_another_lun_block(void **state)
{
	static const uint8_t zero[512];
	static struct stor_req w[2], caw;
	static struct iovec iov;
	static int rc[3];
	struct fix *f = *state;
	struct stor_dev_opts o = opts;
	uint8_t back[512];

	iov = (struct iovec){f->data, 4096};
	o.io_timeout_ms = 10000;
	assert_int_equal(san_open(&f->h, f->loop, f->both, &o), 0);
	assert_int_equal(write_some(f), 0);
	san_ctl(&f->t, "delay ms=3600000 class=other");
	san_ctl(&f->t, "remap 0 1");
	for (unsigned i = 0; i < 2; i++) { /* each meets one attention */
		rc[i] = 1;
		stor_req_writev(&w[i], DATA, &iov, 1, late, &rc[i]);
		stor_dev_submit(f->h.dev, &w[i]);
	}
	rc[2] = 1;
	stor_req_caw(&caw, 2 * DATA, zero, f->data, 512, late, &rc[2]);
	stor_dev_submit(f->h.dev, &caw);
	san_turn_ms(f->loop, 300);
	san_ctl(&f->t, "remap 0 1");
	san_ctl(&f->t, "clear");
	san_ctl(&f->t, "release all");
	for (unsigned i = 0; i < 3; i++)
		SAN_UNTIL(f->loop, rc[i] <= 0);
	assert_int_equal(san_rw(&f->h, false, 2 * DATA, back, sizeof back, 0), 0);
	assert_true(rc[2] != 0 || memcmp(back, f->data, sizeof back) == 0);
}

/* --- a full pool ------------------------------------------------------------------------------ */

static void test_no_space(void **state)
{
	struct fix *f = *state;
	struct iovec iov = {f->data, 4096};
	struct stor_dev_status st;
	uint8_t back[4096];
	struct stor_req r, other;

	assert_int_equal(san_open(&f->h, f->loop, f->both, &opts), 0);
	san_ctl(&f->t, "error what=07/27/07 class=write");
	stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
	san_submit(&f->h, &r);
	SAN_UNTIL(f->loop, f->h.stalled || f->h.answered);
	assert_false(f->h.answered);
	stor_dev_get_status(f->h.dev, &st);
	assert_non_null(strstr(st.why, "no space left"));
	san_turn_ms(f->loop, 1200);
	assert_false(f->h.answered);
	/* what needs no space goes on, and that is not mistaken for the end of it */
	stor_req_flush(&other, NULL, NULL);
	assert_int_equal(san_do(&f->h, &other), 0);
	assert_int_equal(san_rw(&f->h, false, 0, back, sizeof back, 0), 0);
	assert_int_equal(f->h.stalls, 1);
	assert_int_equal(f->h.resumes, 0);
	san_ctl(&f->t, "clear");
	assert_int_equal(san_wait(&f->h), 0);
	SAN_UNTIL(f->loop, !f->h.stalled);
	stor_dev_get_status(f->h.dev, &st);
	assert_string_equal(st.why, "");
	assert_int_equal(st.reconnects, 0);
	assert_int_equal(san_rw(&f->h, false, DATA, back, sizeof back, 0), 0);
	assert_memory_equal(back, f->data, sizeof back);
}

/* Only the operator's limit makes an error of it. */
static void test_no_space_limit(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = opts;

	o.fail_after_ms = 1000;
	assert_int_equal(san_open(&f->h, f->loop, f->both, &o), 0);
	san_ctl(&f->t, "error what=07/27/07 class=write");
	assert_int_equal(write_some(f), CM_E_SAN_TIMEOUT);
	san_ctl(&f->t, "clear");
	assert_int_equal(write_some(f), 0);
	SAN_UNTIL(f->loop, !f->h.stalled);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_left_for_the_other), T(test_neither_serves),
		T(test_redirected),	    T(test_redirected_in_a_circle),
		T(test_redirected_to_a_name), T(test_identity),
		T(test_no_write_same),	    T(test_no_space),
		T(test_no_space_limit),	    T(test_deferred), T(test_deferred_loss),
		T(test_moved_nothing),	    T(test_another_lun),
		T(test_another_lun_without_key), T(test_another_lun_under_way), T(test_another_lun_block),
		T(test_another_lun_without_key_under_way),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
