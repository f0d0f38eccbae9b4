/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_probe.c - the self-test of a target: each fault that it looks for is planted alone in
 * labsan and must be the only one found; stock tgt gives its documented answer; a VM that uses the
 * LUN meanwhile does not notice.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/iscsi/stor_probe.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "tests/san/santest.h"

#define SCRATCH 2u

static enum san_kind kind = SAN_LABSAN;

struct fix {
	struct san_target t;
	struct cm_loop *loop;
};

struct probed {
	struct stor_probe_report r;
	int rc;
	bool done;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){
		.kind = kind,
		.luns = {"disk0,thin,size=64M", "lock1,size=16M", "disk2,blocksize=4096,size=64M"}};
	f->loop = cm_loop_new(NULL);
	if (san_start(&f->t))
		exit(77);
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

static void on_probed(int rc, const struct stor_probe_report *r, const struct cm_err *err,
		      void *arg)
{
	struct probed *p = arg;

	(void)err;
	p->rc = rc;
	p->r = *r;
	p->done = true;
}

static struct stor_probe_cfg probe_cfg(struct fix *f, const char *url, unsigned flags,
				       uint32_t io_timeout_ms)
{
	return (struct stor_probe_cfg){.loop = f->loop,
				       .url = url,
				       .flags = flags,
				       .head_sectors = STOR_VOL_SUPERS,
				       .is_volume = stor_super_any,
				       .scratch_sector = SCRATCH,
				       .io_timeout_ms = io_timeout_ms};
}

static struct stor_probe_report probe(struct fix *f, unsigned lun, const char *options)
{
	struct probed p = {.done = false};
	struct stor_probe_cfg cfg;
	char url[256];

	san_url(&f->t, lun, options, url, sizeof url);
	cfg = probe_cfg(f, url, 0, 1000);
	assert_int_equal(stor_probe_run(&cfg, on_probed, &p, NULL), 0);
	SAN_UNTIL(f->loop, p.done);
	assert_int_equal(p.rc, 0);
	print_message("  %s%s%s\n", p.r.mode, p.r.safe ? "" : "; ", p.r.refused);
	return p.r;
}

/* A complete target, and stock tgt as it is, with each way to give its URL. */
static void test_verdict(void **state)
{
	struct fix *f = *state;
	struct stor_probe_report r = probe(f, 0, NULL);

	assert_true(r.iscsi);
	if (kind == SAN_LABSAN) {
		assert_true(r.safe && r.native_caw && r.preempt_abort && r.aptpl && r.can_unmap);
		assert_int_equal(r.leaks, 0);
		assert_string_equal(r.mode,
				    "COMPARE AND WRITE, PREEMPT AND ABORT, reservations survive a "
				    "restart (APTPL)");
		san_ctl(&f->t, "lacks write-same");
		r = probe(f, 0, NULL);
		assert_true(r.safe && !r.write_same);
		assert_string_equal(strrchr(r.mode, ',') + 2, "zeroes are written (no WRITE SAME)");
		san_ctl(&f->t, "lacks none");
		r = probe(f, 2, NULL); /* 4096-byte sectors, thick */
		assert_true(r.safe && r.native_caw && !r.can_unmap);
		return;
	}
	assert_false(r.safe || r.native_caw || r.preempt_abort || r.aptpl);
	assert_int_equal(r.leaks, STOR_LEAK_WRITE_SAME | STOR_LEAK_UNMAP | STOR_LEAK_WRITE_VERIFY |
					  STOR_LEAK_ORWRITE);
	assert_string_equal(r.leaky, "WRITE SAME, UNMAP, WRITE AND VERIFY, ORWRITE");
	assert_non_null(strstr(r.refused, "unmap=no"));
	r = probe(f, 0, "?unmap=no");
	assert_non_null(strstr(r.refused, "lock=LUN"));
	r = probe(f, 0, "?unmap=no&lock=2");
	assert_true(r.safe);
	assert_string_equal(r.mode,
			    "a lock LUN for COMPARE AND WRITE, PREEMPT and LUN RESET, a restart "
			    "drops reservations (no APTPL), no WRITE SAME and UNMAP");
}

/* Each leak alone: it is found, it and nothing else, and judged. */
static void test_each_leak(void **state)
{
	static const struct {
		const char *leaks;
		unsigned found;
		bool safe, safe_without_unmap;
	} cases[] = {
		{"write16", STOR_LEAK_WRITE, false, false},
		{"caw", STOR_LEAK_CAW, false, false},
		{"write-same16", STOR_LEAK_WRITE_SAME, false, true},
		{"unmap", STOR_LEAK_UNMAP, false, true},
		{"write-verify16", STOR_LEAK_WRITE_VERIFY, true, true},
		{"orwrite", STOR_LEAK_ORWRITE, true, true},
		{"none", 0, true, true},
	};
	struct fix *f = *state;

	if (kind == SAN_TGT)
		skip();
	for (unsigned i = 0; i < CM_ARRAY_LEN(cases); i++) {
		struct stor_probe_report r;

		san_ctl(&f->t, "leaks %s", cases[i].leaks);
		r = probe(f, 0, NULL);
		assert_int_equal(r.leaks, cases[i].found);
		assert_int_equal(r.safe, cases[i].safe);
		assert_int_equal(r.refused[0] == 0, r.safe);
		r = probe(f, 0, "?unmap=no");
		assert_int_equal(r.leaks, cases[i].found);
		assert_int_equal(r.safe, cases[i].safe_without_unmap);
	}
}

/* Each ability that is missing: it is told, with what stands in for it. */
static void test_each_lack(void **state)
{
	struct fix *f = *state;
	struct stor_probe_report r;

	if (kind == SAN_TGT)
		skip();
	san_ctl(&f->t, "lacks pr-preempt-abort");
	r = probe(f, 0, NULL);
	assert_true(r.safe && r.native_caw && !r.preempt_abort);
	assert_non_null(strstr(r.mode, "PREEMPT and LUN RESET"));
	san_ctl(&f->t, "lacks caw");
	r = probe(f, 0, NULL);
	assert_true(!r.safe && !r.native_caw && r.preempt_abort && r.needs_lock);
	assert_true(probe(f, 0, "?lock=1").safe);
	san_ctl(&f->t, "lacks unmap");
	assert_true(probe(f, 0, NULL).safe);
}

/* While a host owns and writes: its key stays alone, its data and the scratch sector are as they
 * were. */
static void test_in_use(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 7, .io_timeout_ms = 1000};
	struct san_host h;
	uint8_t all[16 * 512], back[sizeof all];
	uint64_t keys[8], key;
	char url[256];

	for (unsigned i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)(i * 7 + i / 512);
	san_url(&f->t, 0, "?unmap=no", url, sizeof url);
	assert_int_equal(san_open(&h, f->loop, url, &o), 0);
	assert_int_equal(san_rw(&h, true, 0, all, sizeof all, 0), 0);
	key = stor_dev_pr_key(h.dev);
	for (unsigned i = 0; i < 3; i++) {
		probe(f, 0, "?unmap=no");
		if (kind ==
		    SAN_TGT) /* its UNMAP leaks, and would have left zeroes: they are put back */
			assert_int_equal(probe(f, 0, NULL).leaks & STOR_LEAK_UNMAP,
					 STOR_LEAK_UNMAP);
		assert_int_equal(san_keys(&h, keys, 8), 1);
		assert_int_equal(keys[0], key);
		assert_int_equal(san_rw(&h, false, 0, back, sizeof back, 0), 0);
		assert_memory_equal(all, back, sizeof all);
	}
	assert_int_equal(h.stalls + h.conflicts, 0);
	san_close(&h);
}

static int probe_rc(struct fix *f, unsigned flags, const char *options)
{
	struct probed p = {.done = false};
	struct stor_probe_cfg cfg;
	char url[256];

	san_url(&f->t, 0, options, url, sizeof url);
	cfg = probe_cfg(f, url, flags, 400);
	assert_int_equal(stor_probe_run(&cfg, on_probed, &p, NULL), 0);
	SAN_UNTIL(f->loop, p.done);
	return p.rc;
}

/* Where it must not write it does not: no volume, or somebody has registered. */
static void test_keeps_off(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 7, .io_timeout_ms = 1000};
	struct san_host h;
	char url[256];

	assert_int_equal(probe_rc(f, STOR_PROBE_VOLUME, "?unmap=no"), CM_E_VOL_FORMAT);
	assert_int_equal(probe_rc(f, STOR_PROBE_ALONE, "?unmap=no"), 0);
	san_url(&f->t, 0, NULL, url, sizeof url);
	assert_int_equal(san_open(&h, f->loop, url, &o), 0);
	SAN_UNTIL(f->loop, stor_dev_pr_key(h.dev));
	assert_int_equal(probe_rc(f, STOR_PROBE_ALONE, "?unmap=no"), CM_E_DISK_BUSY);
	assert_int_equal(h.stalls + h.conflicts, 0);
	san_close(&h);
	assert_int_equal(probe_rc(f, STOR_PROBE_ALONE, "?unmap=no"), 0);
	assert_int_equal(probe_rc(f, STOR_PROBE_VOLUME, kind == SAN_TGT ? "?lock=2" : "?lock=1"),
			 0);
	if (kind == SAN_LABSAN) { /* not one block was written before the refusals */
		char cmd[160], log[96];

		snprintf(cmd, sizeof cmd, "test $(grep -c '\"op\":\"write16\"' %s) = %u",
			 san_log_path(&f->t, log, sizeof log), 3 * 2);
		assert_int_equal(system(cmd), 0);
	}
}

/* A target that dies in the middle: an error, no verdict, and nothing hangs. */
static void test_dies(void **state)
{
	struct fix *f = *state;
	struct probed p = {.done = false};
	struct stor_probe_cfg cfg;
	char url[256];

	if (kind == SAN_TGT)
		skip();
	san_url(&f->t, 0, NULL, url, sizeof url);
	cfg = probe_cfg(f, url, 0, 300);
	/* so that each of the stranger's commands gets as far as the fault */
	san_ctl(&f->t, "leaks write16,caw,write-same16,write-verify16,orwrite,unmap");
	for (unsigned i = 0; i < 8; i++) {
		p.done = false;
		san_ctl(&f->t, "error what=drop-before class=%s skip=%u count=1",
			i % 2 ? "write" : "read,caw", i % 2 ? i / 2 : 0);
		assert_int_equal(stor_probe_run(&cfg, on_probed, &p, NULL), 0);
		SAN_UNTIL(f->loop, p.done);
		assert_int_equal(p.rc, CM_E_SAN_LOST);
		san_ctl(&f->t, "clear");
	}
	san_ctl(&f->t, "leaks none");
	assert_true(probe(f, 0, NULL).safe);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_verdict), T(test_each_leak), T(test_each_lack),
		T(test_in_use),	 T(test_keeps_off), T(test_dies),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 1 && !strcmp(argv[1], "tgt"))
		kind = SAN_TGT;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
