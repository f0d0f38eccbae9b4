/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_matrix.c - every answer of sanmatrix.c to COMPARE AND WRITE, WRITE, FLUSH and PR OUT, once, for 3 T, for ever, and
 * on one of two portals: what becomes of the session, of the lease, what the guest sees, and that all is well afterwards. labsan.
 *
 * Each cell is a host of its own with a lease and a place for data on one LUN. All run at the same time, so that the whole takes as
 * long as one. An owner that does not get the CPU for a while may lose its session and its lease, as it must: then only what the
 * guest saw, and the end, is looked at.
 *
 * test_san_matrix table prints docs/SAN.md's table.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "tests/san/sanmatrix.h"
#include "tests/san/santest.h"

#define T	  2000u
#define T_NS	  (T * CM_NS_PER_MS)
#define BLOCK_AT  4096u
#define DATA_AT	  (8u << 20)
#define FROZEN_NS (500 * CM_NS_PER_MS) /* without the CPU: at once, */
#define STARVED_NS (T_NS / 2)	       /* and in all */
/* A lease that is not back by then will not come. */
#define NEVER	    20u
#define NO_STORM(n) (8 * (n) + 8) /* reconnects in n T: a doubt again and again costs T/8 at least */

enum phase { WAITS, HIT, CLEARED, OVER };

struct cell {
	const struct matrix_row *row;
	enum matrix_cmd cmd;
	enum matrix_span span;
	enum phase phase;
	struct san_host h;
	char name[64];
	int rule;
	unsigned number, renewals; /* at the last step */
	uint64_t hit_ns, cleared_ns, starved_ns, reconnects;
	bool asked, early, expired, frozen; /* early: answered while the fault was on */
	struct stor_req req;
	struct iovec iov;
	uint8_t data[512];
	char fault[160];
};

static struct san_target target = {.kind = SAN_LABSAN, .luns = {"disk0,thin,size=64M", "lock1,size=16M"}};
static struct cm_loop *loop;

static enum matrix_end wanted(const struct cell *c)
{
	return c->row->end[c->cmd];
}

static bool waits(const struct cell *c)
{
	return wanted(c) != MATRIX_DONE && wanted(c) != MATRIX_ERROR;
}

/* Of the lease: its renewals, or the admission of a session, cannot go on while the fault lasts. */
static bool starves(const struct cell *c)
{
	return waits(c) && (c->cmd == MATRIX_CAW || c->cmd == MATRIX_PR) && c->span != MATRIX_ONE_PORTAL;
}

/* 3 T and a renewal before them are all that a permit has: there is no time left for another session on a busy machine. */
static bool may_expire(const struct cell *c)
{
	return starves(c) && (c->span == MATRIX_FOR_EVER || (c->span == MATRIX_FOR_3T && wanted(c) != MATRIX_SAME));
}

static void surely(struct cell *c, const char *words)
{
	if (!c->fault[0])
		snprintf(c->fault, sizeof c->fault, "%s", words);
}

static void fault(struct cell *c, const char *words)
{
	if (!c->frozen)
		surely(c, words);
}

/* --- one cell ------------------------------------------------------------------------------ */

static void cell_open(struct cell *c)
{
	struct stor_dev_opts o = {.gated = true, .host_slot = (uint16_t)(c->number + 1), .io_timeout_ms = T, .isid = c->number + 1};
	struct stor_uuid vm;
	char url[256];

	stor_uuid_random(&vm);
	snprintf(c->name, sizeof c->name, "iqn.2026-01.test.host:m%u", c->number);
	o.initiator = c->name;
	san_url(&target, 0, NULL, url, sizeof url);
	if (c->span == MATRIX_ONE_PORTAL)
		snprintf(url, sizeof url, "iscsi://127.0.0.1:%d,127.0.0.2:%d/%s/0", target.port, target.port, SAN_IQN);
	assert_int_equal(san_open(&c->h, loop, url, &o), 0);
	san_lease(&c->h, c->name + sizeof "iqn.2026-01.test.host:" - 1, o.host_slot, BLOCK_AT * (1 + c->number), &vm, T);
	assert_int_equal(SAN_LEASE(&c->h, acquire), 0);
	memset(c->data, 1, sizeof c->data);
	assert_int_equal(san_rw(&c->h, true, DATA_AT + 4096 * c->number, c->data, sizeof c->data, 0), 0);
	c->renewals = c->h.renewals;
}

/* How long we and the target have waited for a CPU in all. */
static uint64_t starved_ns(void)
{
	const int pids[] = {getpid(), target.pid};
	uint64_t sum = 0;

	for (unsigned i = 0; i < CM_ARRAY_LEN(pids); i++) {
		unsigned long long ran, waited = 0;
		char path[64];
		FILE *f;

		snprintf(path, sizeof path, "/proc/%d/schedstat", pids[i]);
		f = fopen(path, "re");
		if (f && fscanf(f, "%llu %llu", &ran, &waited) == 2)
			sum += waited;
		if (f)
			fclose(f);
	}
	return sum;
}

static void cell_ask(struct cell *c)
{
	c->asked = true;
	memset(c->data, 2, sizeof c->data);
	c->iov = (struct iovec){c->data, sizeof c->data};
	if (c->cmd == MATRIX_FLUSH)
		stor_req_flush(&c->req, NULL, NULL);
	else
		stor_req_writev(&c->req, DATA_AT + 4096 * c->number, &c->iov, 1, NULL, NULL);
	san_submit(&c->h, &c->req);
}

static uint64_t reconnects(const struct cell *c)
{
	struct stor_dev_status st;

	stor_dev_get_status(c->h.dev, &st);
	return st.reconnects;
}

/* Right behind a renewal, so that the whole time of the lease lies before it. */
static void cell_hit(struct cell *c)
{
	char line[256], answer[256], *rule;

	snprintf(line, sizeof line, "error what=%s class=%s nexus=%s%s%s", c->row->what, matrix_class(c->cmd), c->name,
		 c->span == MATRIX_ONCE ? " count=1" : "", c->span == MATRIX_ONE_PORTAL ? " portal=127.0.0.1" : "");
	c->reconnects = reconnects(c);
	san_ask(&target, line, answer, sizeof answer);
	rule = strstr(answer, "\"rule\":");
	assert_non_null(rule);
	c->rule = atoi(rule + 7);
	if (c->cmd == MATRIX_PR) /* the next session needs it */
		san_ctl(&target, "drop %s", c->name);
	c->hit_ns = cm_now_ns();
	c->starved_ns = starved_ns();
	c->renewals = c->h.renewals;
	c->phase = HIT;
	if (c->cmd != MATRIX_CAW || c->span == MATRIX_ONCE)
		cell_ask(c);
}

static void cell_clear(struct cell *c)
{
	c->early = c->h.answered;
	san_ctl(&target, "clear %d", c->rule);
	c->cleared_ns = cm_now_ns();
	c->reconnects = reconnects(c) - c->reconnects;
	c->renewals = c->h.renewals;
	c->phase = CLEARED;
}

static bool lasted(const struct cell *c, unsigned n)
{
	return cm_now_ns() - c->hit_ns >= n * T_NS;
}

/* Is it time to take the fault away? */
static bool cell_is_through(const struct cell *c)
{
	switch (c->span) {
	case MATRIX_ONCE: /* it is gone by itself; two renewals later all that can come of it has come */
		return c->h.answered && c->h.renewals >= c->renewals + 2;
	case MATRIX_FOR_3T:
		return lasted(c, 3);
	case MATRIX_FOR_EVER:
		return starves(c) ? c->expired : lasted(c, 5);
	case MATRIX_ONE_PORTAL:
		return lasted(c, 5);
	case MATRIX_SPANS:
		break;
	}
	return true;
}

static void judge_session(struct cell *c)
{
	if (c->cmd == MATRIX_PR || c->span == MATRIX_ONE_PORTAL)
		return;
	if ((wanted(c) == MATRIX_SAME || wanted(c) == MATRIX_DONE || wanted(c) == MATRIX_ERROR) && c->reconnects)
		fault(c, "the session was given up");
	if (wanted(c) == MATRIX_ANOTHER && !c->reconnects)
		surely(c, "the session went on");
	if (c->cmd == MATRIX_CAW && c->reconnects > NO_STORM((c->cleared_ns - c->hit_ns) / T_NS))
		fault(c, "a storm of reconnects");
}

static void judge(struct cell *c)
{
	bool guest_waits = waits(c) && c->cmd != MATRIX_CAW && c->span != MATRIX_ONE_PORTAL;

	judge_session(c);
	if (wanted(c) == MATRIX_ERROR && !c->h.rc)
		fault(c, "the guest saw no error");
	if (wanted(c) != MATRIX_ERROR && c->h.rc)
		surely(c, "the guest saw an error");
	if (c->span != MATRIX_ONCE && !guest_waits && !c->early && !(c->cmd == MATRIX_CAW && wanted(c) != MATRIX_SAME))
		fault(c, "the guest had to wait");
	if (c->span != MATRIX_ONCE && guest_waits && c->early)
		fault(c, "the guest had an answer before there was one");
	if (c->span != MATRIX_ONCE && guest_waits && !c->h.stalls)
		fault(c, "the guest waited, and nobody was told");
}

static void cell_step(struct cell *c)
{
	bool is_expired = c->h.lost == STOR_LOST_EXPIRED;

	if (c->h.lost > STOR_LOST_EXPIRED) {
		surely(c, "the lease was lost for ever");
		c->phase = OVER;
	}
	c->expired |= is_expired && c->phase != WAITS;
	if (is_expired && c->phase != WAITS && !may_expire(c))
		fault(c, "the lease expired");
	switch (c->phase) {
	case WAITS:
		if (c->h.renewals > c->renewals && !is_expired)
			cell_hit(c);
		break;
	case HIT:
		if (!c->asked && lasted(c, 2))
			cell_ask(c);
		if (c->asked && (cell_is_through(c) || c->fault[0]))
			cell_clear(c);
		break;
	case CLEARED:
		if (c->h.answered && c->h.renewals > c->renewals && !is_expired && !c->h.stalled) {
			judge(c);
			c->phase = OVER;
		} else if (cm_now_ns() - c->cleared_ns > NEVER * T_NS) {
			c->fault[0] = 0;
			surely(c, "the array is well again, but not the lease or the guest");
			c->phase = OVER;
		}
		break;
	case OVER:
		break;
	}
}

/* What was acknowledged is there. */
static void cell_close(struct cell *c)
{
	uint8_t back[512];

	if (c->h.answered && !c->h.rc && c->cmd != MATRIX_FLUSH) {
		c->h.answered = false;
		assert_int_equal(san_rw(&c->h, false, DATA_AT + 4096 * c->number, back, sizeof back, 0), 0);
		if (memcmp(back, c->data, sizeof back))
			surely(c, "what was acknowledged is not there");
	}
	san_close(&c->h);
}

/* --- all of them --------------------------------------------------------------------------- */

static unsigned cells_make(struct cell *cells)
{
	unsigned n = 0;

	for (unsigned i = 0; i < matrix_rows; i++)
		for (unsigned k = 0; k < MATRIX_CMDS * MATRIX_SPANS; k++) {
			struct cell c = {.row = &matrix[i], .cmd = k / MATRIX_SPANS, .span = k % MATRIX_SPANS, .number = n};

			if (c.span == MATRIX_ONE_PORTAL && !c.row->path)
				continue;
			if (getenv("MATRIX") && !strstr(c.row->what, getenv("MATRIX")))
				continue;
			cells[n++] = c;
		}
	return n;
}

static bool cells_turn(struct cell *cells, unsigned n)
{
	uint64_t before = cm_now_ns(), starved;
	bool all = true, frozen;

	cm_loop_turn(loop, 50);
	frozen = cm_now_ns() - before > FROZEN_NS;
	starved = starved_ns();
	for (unsigned i = 0; i < n; i++) {
		cells[i].frozen |= frozen || (cells[i].phase != WAITS && starved - cells[i].starved_ns > STARVED_NS);
		cell_step(&cells[i]);
		all &= cells[i].phase == OVER;
	}
	return !all;
}

static void test_matrix(void **state)
{
	struct cell *cells = calloc((size_t)matrix_rows * MATRIX_CMDS * MATRIX_SPANS, sizeof *cells);
	unsigned n = cells_make(cells), bad = 0, starved = 0;

	(void)state;
	loop = cm_loop_new(NULL);
	if (san_start(&target))
		exit(77);
	for (unsigned i = 0; i < n; i++)
		cell_open(&cells[i]);
	while (cells_turn(cells, n))
		;
	for (unsigned i = 0; i < n; i++) {
		struct cell *c = &cells[i];

		starved += c->frozen;
		cell_close(c);
		if (!c->fault[0])
			continue;
		print_message("%s %s, %s %s: %s\n", c->row->what, c->row->words, matrix_class(c->cmd), matrix_span_name(c->span),
			      c->fault);
		bad++;
	}
	print_message("%u of %u cells had not enough of the CPU and were looked at less closely\n", starved, n);
	san_stop(&target);
	cm_loop_free(loop);
	free(cells);
	if (bad)
		fail_msg("%u of %u cells are not as the table has them", bad, n);
}

/* A long write goes out in pieces; one of them is done, and the array has words for it: the others follow all the same. */
static void test_pieces(void **state)
{
	static uint8_t data[3 << 20], back[sizeof data];
	struct stor_dev_opts o = {.host_slot = 1};
	struct san_host h;
	char url[256];

	(void)state;
	loop = cm_loop_new(NULL);
	if (san_start(&target))
		exit(77);
	san_url(&target, 0, NULL, url, sizeof url);
	assert_int_equal(san_open(&h, loop, url, &o), 0);
	memset(data, 3, sizeof data);
	san_ctl(&target, "error what=01/17/01 done=yes class=write count=2");
	assert_int_equal(san_rw(&h, true, DATA_AT, data, sizeof data, 0), 0);
	assert_int_equal(san_rw(&h, false, DATA_AT, back, sizeof back, 0), 0);
	assert_memory_equal(data, back, sizeof data);
	san_close(&h);
	san_stop(&target);
	cm_loop_free(loop);
}

/* On a lock LUN a COMPARE AND WRITE is five commands: whatever is said to them, the lease comes back by itself. */
static void test_lock_lun(void **state)
{
	static const char *const classes[] = {"write", "pr"};
	struct stor_dev_opts o = {.gated = true, .host_slot = 1, .io_timeout_ms = T, .isid = 1};
	struct stor_uuid vm;
	struct san_host h;
	char url[256];

	(void)state;
	loop = cm_loop_new(NULL);
	if (san_start(&target))
		exit(77);
	stor_uuid_random(&vm);
	san_url(&target, 0, "?lock=1&unmap=no", url, sizeof url);
	assert_int_equal(san_open(&h, loop, url, &o), 0);
	san_lease(&h, "locked", 1, BLOCK_AT, &vm, STOR_IO_TIMEOUT_MIN_MS); /* its renewals only: they are to come soon */
	assert_int_equal(SAN_LEASE(&h, acquire), 0);
	for (unsigned i = 0; i < matrix_rows * CM_ARRAY_LEN(classes); i++) {
		san_ctl(&target, "error what=%s class=%s lun=1 count=3", matrix[i / 2].what, classes[i % 2]);
		h.renewals = 0;
		SAN_UNTIL(loop, h.renewals >= 2);
		san_ctl(&target, "clear");
		assert_true(h.lost <= STOR_LOST_EXPIRED);
	}
	san_close(&h);
	san_stop(&target);
	cm_loop_free(loop);
}

/* docs/SAN.md says the same. */
static void test_document(void **state)
{
	char *table = NULL, *doc = calloc(1, 65536);
	size_t len = 0;
	FILE *f = open_memstream(&table, &len);

	(void)state;
	matrix_print(f);
	fclose(f);
	f = fopen(TOP_SRCDIR "/docs/SAN.md", "re");
	assert_non_null(f);
	assert_true(fread(doc, 1, 65535, f) > 0);
	fclose(f);
	if (!strstr(doc, table))
		fail_msg("docs/SAN.md has another table: tests/san/test_san_matrix table prints it");
	free(table);
	free(doc);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_document), cmocka_unit_test(test_pieces),
					   cmocka_unit_test(test_lock_lun), cmocka_unit_test(test_matrix)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 1 && !strcmp(argv[1], "table")) {
		matrix_print(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
