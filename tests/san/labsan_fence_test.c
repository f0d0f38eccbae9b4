/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_fence_test.c - tests of barriers, fencing and registrations: who may write, and what still
 * lands.
 *
 * Every test starts its own labsan on 127.0.0.1 with a free port. Order is read from the write log,
 * never from clocks.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/san/labsan_check.h"
#include "tests/san/san_wire.h"

static struct ini_reply rep, rep2;

/* --- barriers --------------------------------------------------------------------------- */

#define FOR_EVER 3600000 /* until the test says "release" */

/* A's write of 'A' to block 5 waits on the medium when this returns. */
static void send_late_write(struct labsan_proc *p, struct ini *a)
{
	static uint8_t old_data[512];

	memset(old_data, 'A', sizeof old_data);
	ctl(p, "delay ms=%d nexus=%s class=write count=1", FOR_EVER, a->name);
	assert_int_equal(ini_send_write(a, 0, 5, old_data, &rep), 0);
	assert_int_equal(ini_pr_in(a, 0, 0, &rep2), GOOD); /* makes libiscsi send both */
	wait_on_medium(p, 1);
}

/* B writes after it shut A out; returns what a read sees when A's write has landed too. */
static int write_after(struct labsan_proc *p, struct ini *a, struct ini *b)
{
	int seen;

	ini_settle(b, 0);
	assert_int_equal(ini_write(b, 0, 5, 1, 'B', false, 512), GOOD);
	ctl(p, "release");
	seen = peek(b, 5);
	assert_int_equal(log_count(p, "\"op\":\"write16\"", a->name), 1);
	ini_settle(a, 0);
	assert_int_equal(ini_write(a, 0, 5, 1, 'X', false, 512), CONFLICT);
	assert_int_equal(peek(b, 5), seen);
	return seen;
}

static void test_preempt_alone_is_no_barrier(void **state)
{
	struct labsan_proc p;
	struct ini a, b;

	(void)state;
	start(&p, plain);
	two_hosts(&p, &a, &b);
	send_late_write(&p, &a);
	assert_int_equal(ini_pr_out(&b, 0, PREEMPT, WEAR, 0xb, 0xa, false), GOOD);
	assert_int_equal(write_after(&p, &a, &b), 'A');
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

static void test_preempt_abort_waits(void **state)
{
	static struct ini_reply abort_reply;
	uint8_t param[24] = {0};
	struct labsan_proc p;
	struct ini a, b;

	(void)state;
	start(&p, plain);
	two_hosts(&p, &a, &b);
	send_late_write(&p, &a);
	assert_int_equal(ini_send_pr_out(&b, 0, PREEMPT_ABORT, WEAR, 0xb, 0xa, param, &abort_reply),
			 0);
	assert_int_equal(ini_pr_in(&b, 0, 0, &rep2), GOOD);
	assert_int_equal(san_get32(rep2.data + 4), 8); /* A's key is gone at once ... */
	assert_false(abort_reply.done);		       /* ... but the answer waits */
	ctl(&p, "release");
	assert_int_equal(ini_wait(&b, &abort_reply), GOOD);
	assert_int_equal(write_after(&p, &a, &b), 'B');
	assert_true(log_line(&p, "write16", a.name) < log_line(&p, "pr-preempt-abort", b.name));
	assert_int_equal(log_count(&p, "write16", "\"answered\":false"), 1);
	assert_false(rep.done); /* an aborted command is not answered */
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

static void test_lun_reset_waits(void **state)
{
	struct labsan_proc p;
	struct ini a, b;
	int response = -2;

	(void)state;
	start(&p, plain);
	two_hosts(&p, &a, &b);
	send_late_write(&p, &a);
	assert_int_equal(ini_pr_out(&b, 0, PREEMPT, WEAR, 0xb, 0xa, false), GOOD);
	assert_int_equal(ini_send_lun_reset(&b, 0, &response), 0);
	ini_settle(&b, 0);
	assert_int_equal(response, -2); /* still waiting */
	ctl(&p, "release");
	while (response == -2)
		ini_settle(&b, 0);
	assert_int_equal(response, 0);
	assert_int_equal(write_after(&p, &a, &b), 'B');
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

/* A dropped session's write lands; a new login of the same nexus waits for it, if strict. */
static void relogin(const char *mode, int expect)
{
	struct labsan_proc p;
	struct ini a, again;

	start(&p, plain);
	ctl(&p, "reinstate %s", mode);
	login(&a, &p, "a", 1);
	send_late_write(&p, &a);
	ctl(&p, "drop %s", a.name);
	assert_int_equal(ini_wait(&a, &rep), INI_CANCELLED);
	if (strcmp(mode, "strict") == 0) {
		/* a login that is given up meanwhile does no harm */
		assert_int_equal(ini_open_begin(&again, &p, "a", 1), 0);
		ini_close(&again);
		assert_int_equal(ini_open_begin(&again, &p, "a", 1), 0);
		ctl(&p, "release");
		assert_int_equal(ini_open_end(&again), 0);
		ini_settle(&again, 0);
	} else {
		login(&again, &p, "a", 1);
	}
	assert_int_equal(ini_write(&again, 0, 5, 1, 'B', false, 512), GOOD);
	ctl(&p, "release");
	assert_int_equal(peek(&again, 5), expect);
	assert_int_equal(log_count(&p, "write16", "\"answered\":false"), 1);
	ini_close(&a);
	ini_close(&again);
	stop(&p);
}

static void test_relogin_strict(void **state)
{
	(void)state;
	relogin("strict", 'B');
}

static void test_relogin_sloppy(void **state)
{
	(void)state;
	relogin("sloppy", 'A');
}

/* --- fencing ---------------------------------------------------------------------------- */

struct write_kind {
	const char *name;
	uint8_t op, flags;
	uint32_t len; /* of the data sent */
	int cdb_len;
};

/* Nothing that changes blocks may pass for a host that is not registered. */
static void test_fenced_host_writes_nothing(void **state)
{
	static const struct write_kind kinds[] = {
		{"write6", 0x0a, 0, 512, 6},
		{"write10", 0x2a, 0, 512, 10},
		{"write12", 0xaa, 0, 512, 12},
		{"write16", 0x8a, 0, 512, 16},
		{"write-verify10", 0x2e, 0, 512, 10},
		{"write-verify12", 0xae, 0, 512, 12},
		{"write-verify16", 0x8e, 0, 512, 16},
		{"orwrite", 0x8b, 0, 512, 16},
		{"write-same10", 0x41, 0, 512, 10},
		{"write-same16", 0x93, 0, 512, 16},
		{"write-same16 unmap", 0x93, 8, 512, 16},
		{"unmap", 0x42, 0, 24, 10},
		{"caw", 0x89, 0, 1024, 16},
	};
	struct labsan_proc p;
	struct ini a, b;
	size_t k;

	(void)state;
	start(&p, plain);
	two_hosts(&p, &a, &b);
	assert_int_equal(ini_write(&a, 0, 0, 8, 'A', false, 512), GOOD);
	assert_int_equal(ini_pr_out(&b, 0, PREEMPT_ABORT, WEAR, 0xb, 0xa, false), GOOD);
	ini_settle(&a, 0);
	for (k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		uint8_t cdb[16] = {kinds[k].op, kinds[k].flags}, data[1024] = {0};
		int n = kinds[k].cdb_len, status;

		if (n == 6)
			cdb[4] = 1;
		else if (kinds[k].op == 0x42)
			cdb[8] = 24;
		else if (n == 10)
			cdb[8] = 1;
		else if (n == 12)
			cdb[9] = 1;
		else
			cdb[13] = 1;
		data[1] = 22;
		data[3] = 16;
		data[19] = 8;
		status = ini_do(&a, 0, cdb, n, 'w', data, kinds[k].len, &rep);
		if (status != CONFLICT)
			fail_msg("%s: status %#x", kinds[k].name, status);
	}
	assert_int_equal(peek(&a, 0), 'A'); /* type 7 lets everybody read */
	assert_int_equal(ini_sync(&a, 0), CONFLICT);
	assert_int_equal(ini_write(&b, 0, 0, 1, 'B', false, 512), GOOD);
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

static void test_unit_attentions(void **state)
{
	const uint8_t tur[6] = {0};
	struct labsan_proc p;
	struct ini a, b;

	(void)state;
	start(&p, plain);
	assert_int_equal(ini_open(&a, &p, "a", 1, NULL), 0);
	assert_int_equal(ini_do(&a, 0, tur, 6, '-', NULL, 0, &rep), CHECK);
	assert_int_equal(rep.sense, 0x062900);
	ini_close(&a);
	two_hosts(&p, &b, &a);
	assert_int_equal(ini_pr_out(&b, 0, PREEMPT, WEAR, 0xa, 0xb, false), GOOD);
	assert_int_equal(ini_do(&a, 0, tur, 6, '-', NULL, 0, &rep), CHECK);
	assert_int_equal(rep.sense, 0x062a05);
	assert_int_equal(ini_pr_out(&a, 0, REGISTER, 0, 0, 0xc, false), GOOD);
	assert_int_equal(ini_pr_out(&b, 0, RELEASE, WEAR, 0xa, 0, false), GOOD);
	assert_int_equal(ini_do(&a, 0, tur, 6, '-', NULL, 0, &rep), CHECK);
	assert_int_equal(rep.sense, 0x062a04);
	assert_int_equal(ini_pr_out(&b, 0, CLEAR, 0, 0xa, 0, false), GOOD);
	assert_int_equal(ini_do(&a, 0, tur, 6, '-', NULL, 0, &rep), CHECK);
	assert_int_equal(rep.sense, 0x062a03);
	assert_int_equal(ini_lun_reset(&b, 0), 0);
	assert_int_equal(ini_do(&a, 0, tur, 6, '-', NULL, 0, &rep), CHECK);
	assert_int_equal(rep.sense, 0x062903);
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

/* A registration belongs to the nexus: a new session with the same ISID has it, another ISID has
 * not. */
static void test_registration_survives_session(void **state)
{
	struct labsan_proc p;
	struct ini a, again, other;

	(void)state;
	start(&p, plain);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_pr_out(&a, 0, REGISTER, 0, 0, 0xa, false), GOOD);
	assert_int_equal(ini_pr_out(&a, 0, RESERVE, WEAR, 0xa, 0, false), GOOD);
	ini_close(&a);
	login(&again, &p, "a", 1);
	assert_int_equal(ini_write(&again, 0, 0, 1, 1, false, 512), GOOD);
	login(&other, &p, "a", 2);
	assert_int_equal(ini_write(&other, 0, 0, 1, 1, false, 512), CONFLICT);
	assert_int_equal(ini_pr_out(&other, 0, REGISTER, 0, 0, 0xa2, false), GOOD);
	assert_int_equal(ini_pr_in(&other, 0, 3, &rep), GOOD);
	assert_int_equal(san_get32(rep.data), 2);	/* generation */
	assert_int_equal(san_get64(rep.data + 8), 0xa); /* first key */
	assert_int_equal(rep.data[8 + 12] & 1, 1);	/* holder, as all are */
	assert_int_equal(rep.data[8 + 24], 0x45);	/* iSCSI name and ISID */
	assert_string_equal((char *)rep.data + 8 + 28, "iqn.2026-01.test:a,i,0x004856000001");
	ini_close(&again);
	ini_close(&other);
	stop(&p);
}

/* Lesser arrays: what is not there is refused in the way arrays do, what leaks passes the fence. */
static void test_lesser_array(void **state)
{
	static const char *const args[] = {"--lun", "%s/d0,thin,size=16M", "--lacks",
					   "caw,pr-preempt-abort", NULL};
	const uint8_t unmap[10] = {0x42, 0, 0, 0, 0, 0, 0, 0, 24};
	uint8_t zero[512] = {0}, list[24] = {0, 22, 0, 16};
	uint8_t param[24] = {0};
	struct labsan_proc p;
	struct ini a, b;

	(void)state;
	start(&p, args);
	two_hosts(&p, &a, &b);
	assert_int_equal(ini_caw(&a, 0, 1, zero, zero, false), CHECK);
	assert_int_equal(ini_send_pr_out(&b, 0, PREEMPT_ABORT, WEAR, 0xb, 0xa, param, &rep), 0);
	assert_int_equal(ini_wait(&b, &rep), CHECK);
	assert_int_equal(rep.sense, 0x052400);
	assert_int_equal(ini_pr_out(&b, 0, PREEMPT, WEAR, 0xb, 0xa, false), GOOD);
	ini_settle(&a, 0);
	list[19] = 1;
	assert_int_equal(ini_do(&a, 0, unmap, 10, 'w', list, 24, &rep), CONFLICT);
	ctl(&p, "leaks unmap,write-same");
	assert_int_equal(ini_do(&a, 0, unmap, 10, 'w', list, 24, &rep), GOOD);
	assert_int_equal(ini_write(&a, 0, 0, 1, 1, false, 512), CONFLICT);
	ctl(&p, "leaks none");
	ctl(&p, "lacks none");
	assert_int_equal(ini_do(&a, 0, unmap, 10, 'w', list, 24, &rep), CONFLICT);
	assert_int_equal(ini_caw(&b, 0, 1, zero, zero, false), GOOD);
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preempt_alone_is_no_barrier),
		cmocka_unit_test(test_preempt_abort_waits),
		cmocka_unit_test(test_lun_reset_waits),
		cmocka_unit_test(test_relogin_strict),
		cmocka_unit_test(test_relogin_sloppy),
		cmocka_unit_test(test_fenced_host_writes_nothing),
		cmocka_unit_test(test_unit_attentions),
		cmocka_unit_test(test_registration_survives_session),
		cmocka_unit_test(test_lesser_array),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
