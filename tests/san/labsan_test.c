/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_test.c - tests of what iscsi-test-cu does not judge: power cuts, injected trouble, APTPL,
 * the write log, authentication.
 *
 * Every test starts its own labsan on 127.0.0.1 with a free port. Order is read from the write log,
 * never from clocks.
 */
#include "config.h"

#include <errno.h>
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
		snprintf(name, sizeof name, "h%d", i);
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

static void test_grow(void **state)
{
	struct labsan_proc p;
	struct ini a;

	(void)state;
	start(&p, plain);
	login(&a, &p, "a", 1);
	assert_int_equal(ini_write(&a, 0, 131072, 1, 1, false, 512), CHECK);
	ctl(&p, "grow 0 128M");
	assert_int_equal(ini_read(&a, 0, 131072, 1, 512, &rep), CHECK);
	assert_int_equal(rep.sense, 0x062a09);
	assert_int_equal(ini_write(&a, 0, 131072, 1, 'g', false, 512), GOOD);
	assert_int_equal(peek(&a, 131072), 'g');
	assert_int_equal(labsan_proc_ctl(&p, NULL, 0, "grow 0 1M"), -EIO);
	ini_close(&a);
	stop(&p);
}

/* --- login ------------------------------------------------------------------------------ */

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
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

		snprintf(p.args[p.nargs], sizeof p.args[0], "%.*s%s%s",
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
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_keeps_some),
		cmocka_unit_test(test_aptpl),
		cmocka_unit_test(test_compare_and_write_unknown_outcome),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_hang_and_stall),
		cmocka_unit_test(test_counting_by_compare_and_write),
		cmocka_unit_test(test_big_and_4k),
		cmocka_unit_test(test_write_log),
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_chap_and_acl),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
