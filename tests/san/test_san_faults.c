/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_faults.c - what a SAN may do to a device that works: refuse for a while, lose its power
 * with a dirty cache, vanish from the network. The guest never sees an error before the limit that
 * its operator set, and every write that was flushed is there. `test_san_faults tgt` runs against
 * stock tgt.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "tests/san/santest.h"

#define T_MS 400u

static enum san_kind kind = SAN_LABSAN;

struct fix {
	struct san_target t;
	struct cm_loop *loop;
	char url[256];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){.kind = kind, .luns = {"disk0,thin,size=64M"}};
	f->loop = cm_loop_new(NULL);
	if (san_start(&f->t))
		exit(77);
	san_url(&f->t, 0, NULL, f->url, sizeof f->url);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	san_stop(&f->t);
	cm_loop_free(f->loop);
	free(f);
	return 0;
}

/* --- refusals ---------------------------------------------------------------------------- */

static const char *const refusals[] = {"busy",	   "full",     "02/04/01", "02/04/0a",
				       "0b/00/00", "06/3f/0e", "conflict"};

static struct iovec one_iov;
static uint8_t one_data[512];

static void submit_write(struct san_host *h, struct stor_req *r)
{
	memset(one_data, 'w', sizeof one_data);
	one_iov = (struct iovec){one_data, sizeof one_data};
	stor_req_writev(r, 65536, &one_iov, 1, NULL, NULL);
	h->answered = false;
	san_submit(h, r);
}

/* Refused for as long as it takes: the device says that it stalls, and then the write is there. */
static void test_refused(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = T_MS};
	struct stor_dev_status st;

	if (kind == SAN_TGT)
		skip();
	for (unsigned i = 0; i < CM_ARRAY_LEN(refusals); i++) {
		uint8_t back[512];
		struct san_host h;
		struct stor_req r;

		print_message("%s\n", refusals[i]);
		assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
		assert_int_equal(san_rw(&h, true, 65536, back, sizeof back, 0), 0);
		san_ctl(&f->t, "error what=%s class=write", refusals[i]);
		submit_write(&h, &r);
		SAN_UNTIL(f->loop, h.stalled || h.answered);
		san_turn_ms(f->loop, 2 * T_MS);
		assert_false(h.answered);
		assert_true(h.words[0] != 0);
		stor_dev_get_status(h.dev, &st);
		assert_true(st.why[0] != 0);
		san_ctl(&f->t, "clear");
		assert_int_equal(san_wait(&h), 0);
		SAN_UNTIL(f->loop, !h.stalled);
		assert_int_equal(h.stalls, h.resumes);
		stor_dev_get_status(h.dev, &st);
		assert_string_equal(st.why, "");
		assert_int_equal(st.state, STOR_DEV_READY);
		assert_int_equal(san_rw(&h, false, 65536, back, sizeof back, 0), 0);
		assert_memory_equal(back, one_data, sizeof back);
		san_close(&h);
	}
}

/* With a limit the same ends with an error, not earlier; the device works on afterwards. */
static void test_limit(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = T_MS, .fail_after_ms = 1500};
	struct san_host h;
	struct stor_req r;

	assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
	for (unsigned i = 0; kind == SAN_LABSAN && i < 3; i++) {
		uint64_t begun = cm_now_ns();

		san_ctl(&f->t, "error what=%s class=write", refusals[i]);
		submit_write(&h, &r);
		assert_int_equal(san_wait(&h), CM_E_SAN_TIMEOUT);
		assert_true(cm_now_ns() - begun >= o.fail_after_ms * CM_NS_PER_MS);
		san_ctl(&f->t, "clear");
		submit_write(&h, &r);
		assert_int_equal(san_wait(&h), 0);
	}
	san_kill9(&f->t);
	submit_write(&h, &r);
	assert_int_equal(san_wait(&h), CM_E_SAN_TIMEOUT);
	san_restart(&f->t);
	do
		submit_write(&h, &r);
	while (san_wait(&h));
	san_close(&h);
}

/* Cancel and close end what is refused or cannot be sent; nothing is left behind. */
static void test_cancel_and_close(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = T_MS};
	struct san_host h;
	struct stor_req r;

	assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
	if (kind == SAN_LABSAN) {
		san_ctl(&f->t, "error what=busy class=write");
		submit_write(&h, &r);
		san_turn_ms(f->loop, 50);
		do
			stor_dev_cancel(h.dev, &r);
		while (cm_loop_turn(f->loop, 10), !h.answered);
		assert_int_equal(san_wait(&h), -ECANCELED);
		submit_write(&h, &r);
		san_turn_ms(f->loop, 50);
		san_close(&h);
		assert_true(h.answered);
		assert_int_equal(h.rc, -ECANCELED);
		san_ctl(&f->t, "clear");
		assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
	}
	san_kill9(&f->t);
	SAN_UNTIL(f->loop, h.stalled);
	submit_write(&h, &r);
	stor_dev_cancel(h.dev, &r);
	assert_int_equal(san_wait(&h), -ECANCELED);
	submit_write(&h, &r);
	san_close(&h);
	assert_int_equal(h.rc, -ECANCELED);
	san_restart(&f->t);
}

/* --- a dirty cache and no power ------------------------------------------------------------ */

#define CELLS 256u /* sectors that are written, with their version in them */
#define CELL  512u

struct cells {
	struct stor_req req[CELLS];
	struct iovec iov[CELLS];
	uint8_t mem[CELLS][CELL];
	uint32_t sent[CELLS], done[CELLS],
		safe[CELLS];  /* versions; safe: done before a flush that succeeded began */
	uint32_t lost[CELLS]; /* versions up to this one may have been lost: a flush said so */
	uint32_t snapshot[CELLS];
	bool busy[CELLS];
	unsigned inflight, errors;
};

static void cell_done(struct stor_req *req, int rc)
{
	struct cells *c = req->arg;
	unsigned i = (unsigned)(req - c->req);

	c->busy[i] = false;
	c->inflight--;
	c->errors += rc != 0;
	if (!rc)
		c->done[i] = c->sent[i];
}

static void cell_write(struct san_host *h, struct cells *c, unsigned i)
{
	if (c->busy[i])
		return;
	c->busy[i] = true;
	c->inflight++;
	c->sent[i]++;
	for (unsigned k = 0; k < CELL / 4; k++)
		memcpy(c->mem[i] + 4 * k, &c->sent[i], 4);
	c->iov[i] = (struct iovec){c->mem[i], CELL};
	stor_req_writev(&c->req[i], (uint64_t)i * CELL, &c->iov[i], 1, cell_done, c);
	stor_dev_submit(h->dev, &c->req[i]);
}

/* 0 or the flush's error. What was done before a flush that failed is not safe, whatever later
 * flushes say. */
static int cells_flush(struct san_host *h, struct cells *c)
{
	struct stor_req flush;
	int rc;

	memcpy(c->snapshot, c->done, sizeof c->done);
	stor_req_flush(&flush, NULL, NULL);
	rc = san_do(h, &flush);
	for (unsigned i = 0; i < CELLS; i++)
		if (rc)
			c->lost[i] = c->done[i];
		else if (c->snapshot[i] > c->lost[i])
			c->safe[i] = c->snapshot[i];
	return rc;
}

/* Each cell has a version that was written, whole, and none older than the last one that was
 * flushed. */
static void cells_check(struct san_host *h, struct cells *c)
{
	uint8_t *back = malloc(CELLS * CELL);

	assert_int_equal(san_rw(h, false, 0, back, CELLS * CELL, 0), 0);
	for (unsigned i = 0; i < CELLS; i++) {
		uint32_t v, w;

		memcpy(&v, back + i * CELL, 4);
		for (unsigned k = 0; k < CELL / 4; k++) {
			memcpy(&w, back + i * CELL + 4 * k, 4);
			assert_int_equal(w, v);
		}
		if (v < c->safe[i] || v > c->sent[i])
			fail_msg("sector %u: version %u, but %u was flushed and %u sent", i, v,
				 c->safe[i], c->sent[i]);
	}
	free(back);
}

/*
 * Power cuts in the middle of writes and flushes; a random part of the dirty cache survives each. A
 * flush counts only if it succeeded; a cut that lost something makes one fail. (tgt: kill -9, its
 * cache is the host's and survives.)
 */
static void test_power_cut_oracle(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = T_MS};
	struct cells *c = calloc(1, sizeof *c);
	unsigned rounds = kind == SAN_LABSAN ? 12 : 3, seed = (unsigned)getpid(), good = 0, bad = 0;
	struct san_host h;

	print_message("seed %u\n", seed);
	srandom(seed);
	if (kind == SAN_LABSAN)
		san_ctl(&f->t, "cache volatile");
	assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
	for (unsigned round = 0; round < rounds; round++) {
		unsigned cut_at = 20 + (unsigned)random() % 200;

		for (unsigned step = 0; step < 300; step++) {
			cell_write(&h, c, (unsigned)random() % CELLS);
			if (step == cut_at && kind == SAN_LABSAN) {
				san_ctl(&f->t, "power-cut keep=%u seed=%u", (round % 3) * 40,
					round + seed);
				san_ctl(&f->t, "power-on");
			} else if (step == cut_at) {
				san_kill9(&f->t);
				san_restart(&f->t);
			}
			if (step % 16 == 0)
				cm_loop_turn(f->loop, 1);
			if (step % 40)
				continue;
			if (cells_flush(&h, c))
				bad++;
			else
				good++;
		}
		SAN_UNTIL(f->loop, !c->inflight);
		assert_int_equal(c->errors, 0);
		/* and one more, with all in the cache and nothing under way */
		cells_flush(&h, c);
		cell_write(&h, c, 0);
		SAN_UNTIL(f->loop, !c->inflight);
		if (kind == SAN_LABSAN) {
			h.resumes = 0;
			san_ctl(&f->t, "power-cut keep=%u seed=%u", (round % 3) * 40, round);
			san_ctl(&f->t, "power-on");
			SAN_UNTIL(f->loop, h.resumes);
		}
		cells_check(&h, c);
	}
	print_message("%u flushes succeeded, %u failed\n", good, bad);
	assert_true(good > rounds);
	san_close(&h);
	free(c);
}

/* --- the network ------------------------------------------------------------------------------ */

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok ? 0 : -1;
}

/* In a network of its own, as itself: needs no privilege where user namespaces are allowed. 0, 77.
 */
static int own_network(void)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		printf("SKIP: no network namespace: %s\n", strerror(errno));
		return 77;
	}
	snprintf(map, sizeof map, "0 %u 1", uid);
	if (!put("/proc/self/uid_map", map)) {
		put("/proc/self/setgroups", "deny");
		snprintf(map, sizeof map, "0 %u 1", gid);
		put("/proc/self/gid_map", map);
	}
	return system("ip link set lo up") ? 77 : 0;
}

/* The link goes down under I/O, for longer than the session lives, and comes back: nothing is lost,
 * nothing failed. */
static int link_child(void)
{
	struct fix f = {.t = {.kind = kind, .luns = {"disk0,thin,size=64M"}}};
	struct stor_dev_opts o = {.host_slot = 3, .io_timeout_ms = T_MS};
	struct cells *c = calloc(1, sizeof *c);
	struct san_host h;
	int rc = own_network();

	if (rc)
		return rc;
	f.loop = cm_loop_new(NULL);
	if (san_start(&f.t))
		return 77;
	san_url(&f.t, 0, NULL, f.url, sizeof f.url);
	rc = san_open(&h, f.loop, f.url, &o);
	for (unsigned round = 1; !rc && round <= 3; round++) {
		unsigned stalls = h.stalls, resumes = h.resumes;

		for (unsigned i = 0; i < CELLS; i++) {
			cell_write(&h, c, i);
			if (i == CELLS / 2)
				rc = system("ip link set lo down");
			cm_loop_turn(f.loop, 0);
		}
		SAN_UNTIL(f.loop, h.stalls > stalls);
		san_turn_ms(f.loop, round * T_MS);
		rc |= system("ip link set lo up");
		SAN_UNTIL(f.loop, h.resumes > resumes && !c->inflight);
		rc |= c->errors ? 4 : 0;
		memcpy(c->safe, c->done, sizeof c->safe);
		cells_check(&h, c);
	}
	san_close(&h);
	san_stop(&f.t);
	cm_loop_free(f.loop);
	free(c);
	return rc;
}

static void test_link_down_and_up(void **state)
{
	int pid, status;

	(void)state;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(link_child());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_refused),
		T(test_limit),
		T(test_cancel_and_close),
		T(test_power_cut_oracle),
		cmocka_unit_test(test_link_down_and_up),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 1 && !strcmp(argv[1], "tgt"))
		kind = SAN_TGT;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
