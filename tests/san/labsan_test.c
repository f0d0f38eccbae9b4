/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_test.c - tests of what iscsi-test-cu does not judge: barriers, power cuts, injected
 * trouble, APTPL, the write log, authentication.
 *
 * Every test starts its own labsan on 127.0.0.1 with a free port. Order is read from the write log,
 * never from clocks.
 */
#include "config.h"

#include "tests/san/labsan_ini.h"
#include "tests/san/labsan_proc.h"
#include "tests/san/san_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD	 0x00
#define CHECK	 0x02
#define BUSY	 0x08
#define CONFLICT 0x18
#define WEAR	 7

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE };

static struct ini_reply rep, rep2;

static const char *const plain[] = {"--lun", "%s/d0,thin,size=64M", NULL};

static void start(struct labsan_proc *p, const char *const *args)
{
	assert_int_equal(labsan_proc_start(p, args), 0);
}

static void stop(struct labsan_proc *p)
{
	assert_int_equal(labsan_proc_stop(p), 0);
}

static void login(struct ini *i, struct labsan_proc *p, const char *name, int isid)
{
	assert_int_equal(ini_open(i, p, name, isid, NULL), 0);
	ini_settle(i, 0);
}

#define ctl(p, ...) assert_int_equal(labsan_proc_ctl(p, NULL, 0, __VA_ARGS__), 0)

/* First byte of a block as it is now. */
static int peek(struct ini *i, uint64_t lba)
{
	assert_int_equal(ini_read(i, 0, lba, 1, 512, &rep2), GOOD);
	return rep2.data[0];
}

/* Waits until labsan holds n commands on the medium of LUN 0; the test then knows they passed the
 * checks. */
static void wait_on_medium(struct labsan_proc *p, int n)
{
	char json[16384], want[32];
	const char *at;
	int sum;

	snprintf(want, sizeof(want), "\"on_medium\":");
	do {
		assert_int_equal(labsan_proc_ctl(p, json, sizeof(json), "nexuses"), 0);
		for (sum = 0, at = json; (at = strstr(at, want)); at += strlen(want))
			sum += atoi(at + strlen(want));
	} while (sum < n);
}

/* Number of the first line of the write log that has both words, 0 if none; prints nothing. */
static int log_line(struct labsan_proc *p, const char *a, const char *b)
{
	FILE *f = fopen(p->log, "re");
	char line[4096];
	int n = 0, hit = 0;

	assert_non_null(f);
	while (!hit && fgets(line, sizeof(line), f)) {
		n++;
		if (strstr(line, a) && strstr(line, b))
			hit = n;
	}
	fclose(f);
	return hit;
}

static int log_count(struct labsan_proc *p, const char *a, const char *b)
{
	FILE *f = fopen(p->log, "re");
	char line[4096];
	int hits = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		hits += strstr(line, a) && strstr(line, b);
	fclose(f);
	return hits;
}

/* Registers both with type 7, A with key 0xa, B with key 0xb. */
static void two_hosts(struct labsan_proc *p, struct ini *a, struct ini *b)
{
	login(a, p, "a", 1);
	login(b, p, "b", 2);
	assert_int_equal(ini_pr_out(a, 0, REGISTER_IGNORE, 0, 0, 0xa, false), GOOD);
	assert_int_equal(ini_pr_out(b, 0, REGISTER_IGNORE, 0, 0, 0xb, false), GOOD);
	assert_int_equal(ini_pr_out(a, 0, RESERVE, WEAR, 0xa, 0, false), GOOD);
	assert_int_equal(ini_pr_out(b, 0, RESERVE, WEAR, 0xb, 0, false), GOOD);
}

/* --- barriers --------------------------------------------------------------------------- */

#define FOR_EVER 3600000 /* until the test says "release" */

/* A's write of 'A' to block 5 waits on the medium when this returns. */
static void send_late_write(struct labsan_proc *p, struct ini *a)
{
	static uint8_t old_data[512];

	memset(old_data, 'A', sizeof(old_data));
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
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
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

/* --- power ------------------------------------------------------------------------------ */

static void test_power_cut(void **state)
{
	static const char *const args[] = {
		"--lun", "%s/d0,thin,size=64M", "--cache", "volatile", "--state", "%s", NULL};
	uint8_t zero[512] = {0}, c[512] = {'C'};
	struct labsan_proc p;
	struct ini a;

	(void)state;
	start(&p, args);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_write(&a, 0, 1, 1, 'S', false, 512), GOOD);
	assert_int_equal(ini_sync(&a, 0), GOOD);
	assert_int_equal(ini_write(&a, 0, 2, 1, 'F', true, 512), GOOD);
	assert_int_equal(ini_write(&a, 0, 1, 1, 'x', false, 512), GOOD);
	assert_int_equal(ini_write(&a, 0, 3, 1, 'x', false, 512), GOOD);
	assert_int_equal(ini_caw(&a, 0, 4, zero, c, false), GOOD); /* this one is cached too */
	assert_int_equal(ini_caw(&a, 0, 5, zero, c, true), GOOD);
	assert_int_equal(peek(&a, 1), 'x');
	assert_int_equal(ini_pr_out(&a, 0, REGISTER, 0, 0, 0xa, false), GOOD);
	ctl(&p, "power-cut");
	assert_int_equal(ini_read(&a, 0, 1, 1, 512, &rep), INI_CANCELLED);
	ini_close(&a);
	assert_int_equal(ini_open(&a, &p, "a", 1, NULL), -1);
	ctl(&p, "power-on");
	login(&a, &p, "a", 1);
	assert_int_equal(peek(&a, 1), 'S');
	assert_int_equal(peek(&a, 2), 'F');
	assert_int_equal(peek(&a, 3), 0);
	assert_int_equal(peek(&a, 4), 0);
	assert_int_equal(peek(&a, 5), 'C');
	assert_int_equal(ini_pr_in(&a, 0, 0, &rep), GOOD);
	assert_int_equal(san_get32(rep.data + 4), 0); /* the key is gone */
	ini_close(&a);
	stop(&p);
}

/* keep=50 leaves whole blocks, some of them; keep=100 all. */
static void test_power_cut_keeps_some(void **state)
{
	static const char *const args[] = {"--lun", "%s/d0,size=64M", "--cache", "volatile", NULL};
	struct labsan_proc p;
	struct ini a;
	int i, kept = 0;

	(void)state;
	start(&p, args);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_write(&a, 0, 0, 100, 'x', false, 512), GOOD);
	ctl(&p, "power-cut keep=50 seed=7");
	ini_close(&a);
	ctl(&p, "power-on");
	login(&a, &p, "a", 1);
	assert_int_equal(ini_read(&a, 0, 0, 100, 512, &rep), GOOD);
	for (i = 0; i < 100 * 512; i++) {
		assert_int_equal(rep.data[i], rep.data[i / 512 * 512]);
		kept += i % 512 == 0 && rep.data[i] == 'x';
	}
	assert_in_range(kept, 1, 99);
	assert_int_equal(ini_write(&a, 0, 0, 100, 'y', false, 512), GOOD);
	ctl(&p, "power-cut keep=100");
	ini_close(&a);
	ctl(&p, "power-on");
	login(&a, &p, "a", 1);
	assert_int_equal(peek(&a, 0), 'y');
	assert_int_equal(peek(&a, 99), 'y');
	ini_close(&a);
	stop(&p);
}

/* APTPL keeps registrations and reservation over SIGKILL and power cuts; dirty cache is lost with
 * the process. */
static void test_aptpl(void **state)
{
	static const char *const args[] = {
		"--lun", "%s/d0,thin,size=64M", "--state", "%s", "--cache", "volatile", NULL};
	struct labsan_proc p;
	struct ini a, b;
	int round;

	(void)state;
	start(&p, args);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_pr_out(&a, 0, REGISTER, 0, 0, 0xa, true), GOOD);
	assert_int_equal(ini_pr_out(&a, 0, RESERVE, WEAR, 0xa, 0, true), GOOD);
	assert_int_equal(ini_write(&a, 0, 0, 1, 'x', false, 512), GOOD);
	for (round = 0; round < 2; round++) {
		ini_close(&a);
		if (round == 0) {
			labsan_proc_kill(&p, SIGKILL);
			assert_int_equal(labsan_proc_restart(&p), 0);
		} else {
			ctl(&p, "power-cut");
			ctl(&p, "power-on");
		}
		login(&b, &p, "b", 2);
		assert_int_equal(ini_write(&b, 0, 0, 1, 'b', false, 512), CONFLICT);
		ini_close(&b);
		login(&a, &p, "a", 1);
		if (round == 0)
			assert_int_equal(peek(&a, 0), 0);
		assert_int_equal(ini_write(&a, 0, 0, 1, 'a', true, 512), GOOD);
	}
	assert_int_equal(ini_pr_out(&a, 0, REGISTER, 0, 0xa, 0, false), GOOD);
	ini_close(&a);
	labsan_proc_kill(&p, SIGKILL);
	assert_int_equal(labsan_proc_restart(&p), 0);
	login(&b, &p, "b", 2);
	assert_int_equal(ini_write(&b, 0, 0, 1, 'b', false, 512), GOOD);
	ini_close(&b);
	stop(&p);
}

/* --- injected trouble ------------------------------------------------------------------- */

static void test_compare_and_write_unknown_outcome(void **state)
{
	uint8_t zero[512] = {0}, one[512] = {1}, two[512] = {2};
	struct labsan_proc p;
	struct ini a;

	(void)state;
	start(&p, plain);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_caw(&a, 0, 9, zero, one, false), GOOD);
	assert_int_equal(ini_caw(&a, 0, 9, zero, two, false), CHECK);
	ctl(&p, "error what=drop-before class=caw count=1");
	assert_int_equal(ini_caw(&a, 0, 9, one, two, false), INI_CANCELLED);
	ini_close(&a);
	login(&a, &p, "a", 1);
	assert_int_equal(peek(&a, 9), 1);
	ctl(&p, "error what=drop-after class=caw count=1");
	assert_int_equal(ini_caw(&a, 0, 9, one, two, false), INI_CANCELLED);
	ini_close(&a);
	login(&a, &p, "a", 1);
	assert_int_equal(peek(&a, 9), 2);
	ini_close(&a);
	stop(&p);
}

static void test_errors(void **state)
{
	struct labsan_proc p;
	struct ini a, b;

	(void)state;
	start(&p, plain);
	login(&a, &p, "a", 1);
	login(&b, &p, "b", 2);
	ctl(&p, "error what=busy class=write,caw nexus=%s skip=1 count=2", a.name);
	assert_int_equal(ini_write(&b, 0, 0, 1, 1, false, 512), GOOD);
	assert_int_equal(ini_write(&a, 0, 0, 1, 1, false, 512), GOOD);
	assert_int_equal(ini_write(&a, 0, 0, 1, 1, false, 512), BUSY);
	assert_int_equal(ini_read(&a, 0, 0, 1, 512, &rep), GOOD);
	assert_int_equal(ini_write(&a, 0, 0, 1, 1, false, 512), BUSY);
	assert_int_equal(ini_write(&a, 0, 0, 1, 1, false, 512), GOOD);
	ctl(&p, "error what=3/11/0 class=read");
	assert_int_equal(ini_read(&b, 0, 0, 1, 512, &rep), CHECK);
	assert_int_equal(rep.sense, 0x031100);
	ctl(&p, "clear");
	assert_int_equal(ini_read(&b, 0, 0, 1, 512, &rep), GOOD);
	assert_int_equal(labsan_proc_ctl(&p, NULL, 0, "error what=nonsense"), -EIO);
	assert_int_equal(labsan_proc_ctl(&p, NULL, 0, "delay lun=7 ms=1"), -EIO);
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

/* A hung session answers nothing, another goes on; after unhang the answer comes. A stall holds
 * block commands only. */
static void test_hang_and_stall(void **state)
{
	uint8_t data[512] = {7};
	struct labsan_proc p;
	struct ini a, b;

	(void)state;
	start(&p, plain);
	login(&a, &p, "a", 1);
	login(&b, &p, "b", 2);
	ctl(&p, "hang %s", a.name);
	assert_int_equal(ini_send_write(&a, 0, 0, data, &rep), 0);
	assert_int_equal(ini_write(&b, 0, 1, 1, 1, false, 512), GOOD);
	assert_int_equal(log_count(&p, "write16", a.name), 0);
	assert_false(rep.done);
	ctl(&p, "unhang %s", a.name);
	assert_int_equal(ini_wait(&a, &rep), GOOD);
	ctl(&p, "stall 0");
	assert_int_equal(ini_send_write(&a, 0, 2, data, &rep), 0);
	assert_int_equal(ini_pr_in(&a, 0, 0, &rep2), GOOD);
	assert_false(rep.done);
	ctl(&p, "unstall all");
	assert_int_equal(ini_wait(&a, &rep), GOOD);
	ini_close(&a);
	ini_close(&b);
	stop(&p);
}

/* --- data ------------------------------------------------------------------------------- */

#define HOSTS  4
#define ROUNDS 200

/* Four hosts count on one block by COMPARE AND WRITE; no step may be lost or done twice. */
static void test_counting_by_compare_and_write(void **state)
{
	struct labsan_proc p;
	struct ini h[HOSTS];
	uint64_t n = 0;
	char name[8];
	int i, lost = 0;

	(void)state;
	start(&p, plain);
	for (i = 0; i < HOSTS; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		login(&h[i], &p, name, i + 1);
	}
	for (i = 0; i < ROUNDS * HOSTS; i++) {
		struct ini *me = &h[i % HOSTS], *rival = &h[(i + 1) % HOSTS];
		uint8_t old[512] = {0}, mine[512] = {0};

		san_put64(old, n);
		san_put64(mine, n + 1);
		assert_int_equal(ini_caw(me, 0, 3, old, mine, false), GOOD);
		lost += ini_caw(rival, 0, 3, old, mine, false) != GOOD;
		n++;
	}
	assert_int_equal(lost, ROUNDS * HOSTS);
	assert_int_equal(ini_read(&h[0], 0, 3, 1, 512, &rep), GOOD);
	assert_int_equal(san_get64(rep.data), ROUNDS * HOSTS);
	for (i = 0; i < HOSTS; i++)
		ini_close(&h[i]);
	stop(&p);
}

static void test_big_and_4k(void **state)
{
	static const char *const args[] = {"--lun", "%s/d0,thin,size=3T", "--lun",
					   "%s/d1,thin,blocksize=4096,size=16M", NULL};
	const uint64_t last = (3ull << 40) / 512 - 1;
	struct ini_login digest = {.header_digest = true, .path = 1};
	struct labsan_proc p;
	struct ini a;

	(void)state;
	start(&p, args);
	assert_int_equal(ini_open(&a, &p, "a", 1, &digest), 0);
	ini_settle(&a, 0);
	ini_settle(&a, 1);
	assert_int_equal(ini_write(&a, 0, last, 1, 'z', false, 512), GOOD);
	assert_int_equal(peek(&a, last), 'z');
	assert_int_equal(ini_read(&a, 0, last, 2, 512, &rep), CHECK);
	assert_int_equal(rep.sense, 0x052100);
	assert_int_equal(ini_write(&a, 1, 4095, 1, 'q', false, 4096), GOOD);
	assert_int_equal(ini_read(&a, 1, 4095, 1, 4096, &rep), GOOD);
	assert_int_equal(rep.data[4095], 'q');
	/* far more than an immediate burst: R2Ts */
	assert_int_equal(ini_write(&a, 0, 0, 20000, 'R', false, 512), GOOD);
	assert_int_equal(peek(&a, 19999), 'R');
	ini_close(&a);
	stop(&p);
}

static void test_write_log(void **state)
{
	uint8_t zero[512] = {0}, one[512] = {1};
	struct labsan_proc p;
	struct ini a;
	int i;

	(void)state;
	start(&p, plain);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_pr_out(&a, 0, REGISTER, 0, 0, 0xabc, false), GOOD);
	for (i = 0; i < 50; i++)
		assert_int_equal(ini_write(&a, 0, 100 + (uint64_t)i, 1, 'w', false, 512), GOOD);
	/* each is there already, although the answer has only just come */
	assert_int_equal(log_count(&p, "\"op\":\"write16\"", "\"key\":\"0000000000000abc\""), 50);
	/* CRC32C of 512 times 'w', reckoned with another implementation */
	assert_int_equal(
		log_count(&p, "\"lba\":149,\"blocks\":1,\"bytes\":512", "\"crc\":\"00de29df\""), 1);
	assert_int_equal(ini_caw(&a, 0, 1, zero, one, false), GOOD);
	assert_int_equal(ini_caw(&a, 0, 1, zero, one, false), CHECK);
	assert_int_equal(log_count(&p, "\"op\":\"caw\"", "\"status\":0"), 1);
	assert_int_equal(log_count(&p, "\"op\":\"caw\"", "\"sense\":\"0e/1d/00\""), 1);
	ctl(&p, "mark here we are");
	assert_int_equal(log_count(&p, "\"event\":\"mark\"", "here we are"), 1);
	ini_close(&a);
	stop(&p);
}

/* --- login ------------------------------------------------------------------------------ */

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_chap_and_acl(void **state)
{
	static const char *const args[] = {"--lun",	"%s/d0,size=1M",      "--chap",
					   "joe:%s/in", "--chap-mutual",      "san:%s/out",
					   "--acl",	"iqn.2026-01.test:a", NULL};
	struct ini_login right = {.user = "joe", .password = "initiator-secret"};
	struct ini_login wrong = {.user = "joe", .password = "another-secret-"};
	struct ini_login both = right, bad_target = right;
	struct labsan_proc p;
	struct ini a;

	(void)state;
	both.target_user = bad_target.target_user = "san";
	both.target_password = "target-secret-1";
	bad_target.target_password = "target-secret-2";
	start(&p, plain);
	put_file(p.dir, "in", "initiator-secret\n");
	put_file(p.dir, "out", "target-secret-1\n");
	labsan_proc_kill(&p, SIGTERM);
	for (p.nargs = 0; args[p.nargs]; p.nargs++) {
		const char *at = strstr(args[p.nargs], "%s");

		snprintf(p.args[p.nargs], sizeof(p.args[0]), "%.*s%s%s",
			 at ? (int)(at - args[p.nargs]) : 100, args[p.nargs], at ? p.dir : "",
			 at ? at + 2 : "");
	}
	assert_int_equal(labsan_proc_restart(&p), 0);
	assert_int_equal(ini_open(&a, &p, "a", 1, &right), 0);
	ini_close(&a);
	assert_int_equal(ini_open(&a, &p, "a", 1, &both), 0);
	ini_close(&a);
	assert_int_equal(ini_open(&a, &p, "a", 1, &wrong), -1);
	assert_int_equal(ini_open(&a, &p, "a", 1, NULL), -1);
	assert_int_equal(ini_open(&a, &p, "a", 1, &bad_target), -1);
	assert_int_equal(ini_open(&a, &p, "b", 1, &right), -1);
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
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_keeps_some),
		cmocka_unit_test(test_aptpl),
		cmocka_unit_test(test_compare_and_write_unknown_outcome),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_hang_and_stall),
		cmocka_unit_test(test_counting_by_compare_and_write),
		cmocka_unit_test(test_big_and_4k),
		cmocka_unit_test(test_write_log),
		cmocka_unit_test(test_chap_and_acl),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
