/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_vol.c - a crash at every write, enumerated: each operation on a volume is done by a
 * child process that dies by SIGKILL just before its k-th change of the device, and just after it,
 * for every k until the operation ends alive. Each time a fresh process must find a volume without
 * bad structures or doubly used extents, the operation wholly there or wholly not, the other
 * disk's data intact, repair must leave nothing behind, and the operation must be possible again.
 *
 * With CRASH_SAN (tests/san) the volume is a LUN of labsan with a volatile cache, and the power of
 * the SAN is cut with each crash: what was not made durable in time is lost, or a part of it.
 *
 * Children never return into the test: they _exit.
 */
#include "config.h"

#include "tests/unit/volkit.h"
#include "tests/unit/volopskit.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"
#ifdef CRASH_SAN
#include "tests/san/santest.h"
#endif

/* --- one crash ----------------------------------------------------------- */

#define KEEP_SEED 77u

static void check_keep(struct stor_volume *vol)
{
	MUST(vo_read(vol, "keep", VK_EXTENT - 4096, 8192, KEEP_SEED) == 1);
}

/* Runs fn in a child with its own loop; its exit code, or minus the signal. */
static int child(void (*fn)(const struct vo_op *op, unsigned arg), const struct vo_op *op,
		 unsigned arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		vk_start();
		fn(op, arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void do_prepare(const struct vo_op *op, unsigned arg)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);

	(void)arg;
	vo_leave_junk(vol);
	MUST(stor_volume_disk_create(vol, "keep", 3 * VK_EXTENT, false, NULL) == 0);
	MUST(vo_write(vol, "keep", VK_EXTENT - 4096, 8192, KEEP_SEED) == 0);
	op->prepare(vol);
	MUST(vk_flush(dev) == 0);
}

/* arg: 2k before, 2k + 1 after the k-th change (from 1). */
static void do_crash(const struct vo_op *op, unsigned arg)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, false);
	char spec[64];

	snprintf(spec, sizeof spec, "stor.dev.change%s=kill@%u", arg % 2 ? "d" : "", arg / 2);
	MUST(cm_fault_arm(spec, NULL) == 0);
	MUST(op->run(vol) == 0);
	MUST(vk_flush(dev) == 0);
}

static void count_free(struct stor_volume *vol)
{
	struct stor_volume_info vi;
	struct stor_volume_report r;

	/* nothing is lost: what is not free belongs to somebody */
	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	MUST(r.leaked_extents == 0 && r.doubly_used_extents == 0);
	MUST(r.bad_structures == 0 && r.unfinished == 0);
	MUST(stor_volume_info(vol, &vi, NULL) == 0);
}

/* arg: the operation ended alive. */
static void do_verify(const struct vo_op *op, unsigned arg)
{
	struct stor_volume_report r;
	struct stor_dev *dev;
	struct stor_volume *vol;
	int rc, before, after;

	dev = vk_open_dev(NULL, NULL, &rc);
	MUST(rc == 0);
	rc = stor_volume_open(dev, &vol, NULL);
	if (op->formats && rc == CM_E_VOL_FORMAT && !arg)
		return; /* no volume: wholly not there */
	MUST(rc == 0);
	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	MUST(r.doubly_used_extents == 0);
	MUST(r.bad_structures == 0 || op->formats || op->repairs);
	before = op->state(vol);
	MUST(before || !arg || op->no_end);
	if (!op->formats || !before)
		check_keep(vol);
	MUST(stor_volume_check(vol, true, NULL, NULL, &r, NULL) == 0);
	count_free(vol);
	after = op->state(vol);
	MUST(after >= before);
	if (!op->formats)
		check_keep(vol);
	if (!after) {
		MUST(op->run(vol) == 0);
		MUST(stor_volume_open(dev, &vol, NULL) == 0);
		MUST(op->state(vol) == 1 || op->no_end);
	}
	if (!op->formats)
		check_keep(vol);
	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	MUST(r.leaked_extents == 0 && r.doubly_used_extents == 0 && r.bad_structures == 0);
}

/* Without repair in between: the operation is simply done again. */
static void do_again(const struct vo_op *op, unsigned arg)
{
	struct stor_dev *dev;
	struct stor_volume *vol;
	struct stor_volume_report r;
	int rc;

	(void)arg;
	dev = vk_open_dev(NULL, NULL, &rc);
	MUST(rc == 0);
	rc = stor_volume_open(dev, &vol, NULL);
	if (op->formats && rc)
		return;
	MUST(rc == 0);
	if (!op->state(vol) && !op->no_repeat)
		MUST(op->run(vol) == 0);
	MUST(stor_volume_open(dev, &vol, NULL) == 0);
	MUST(stor_volume_check(vol, true, NULL, NULL, &r, NULL) == 0);
	MUST(r.doubly_used_extents == 0);
	count_free(vol);
	if (!op->formats)
		check_keep(vol); /* a format was done again */
}

/* --- the file, or the LUN of a SAN --------------------------------------- */

#ifdef CRASH_SAN
static struct san_target san;

static void store_begin(void)
{
	char path[128];

	san = (struct san_target){
		.kind = SAN_LABSAN, .luns = {"disk0,thin,size=36M"}, .extra = "--cache volatile"};
	if (san_start(&san))
		exit(77);
	snprintf(path, sizeof path, "%s/disk0", san.dir);
	vk_use_file(path);
	/* what is unmapped is durable at once on labsan; zeroes that are written are not */
	san_url(&san, 0, "?unmap=no", vk_url, sizeof vk_url);
}

static void store_end(void)
{
	vk_end_file();
	san_stop(&san);
}

/* Nothing of the SAN's cache is left, or a random part. to: what the LUN holds when it is back. */
static void store_crash(unsigned k, int from)
{
	san_ctl(&san, "power-cut keep=%u seed=%u", k % 3 * 40, k);
	if (from >= 0)
		vk_copy(from, vk_file());
	san_ctl(&san, "power-on");
}
#else
static void store_begin(void)
{
	vk_new_file(36u << 20, vo_sector);
}

static void store_end(void)
{
	vk_end_file();
}

static void store_crash(unsigned k, int from)
{
	(void)k;
	if (from >= 0)
		vk_copy(from, vk_file());
}
#endif

/* Every child reads whole regions, some ten megabytes each time, and on a virtual machine most of
 * that costs is page faults (7/8 of this test's time): memory that was freed is used again, and
 * comes in large pages. */
static void cheap_memory(void)
{
	const size_t huge = 2u << 20, all = 64u << 20;
	char *p;

	if (!mallopt(M_MMAP_THRESHOLD, 1 << 30) || !mallopt(M_TRIM_THRESHOLD, 1 << 30) ||
	    !mallopt(M_ARENA_MAX, 1))
		return; /* a sanitizer's allocator */
	p = aligned_alloc(huge, all);
	if (p)
		(void)madvise(p, all, MADV_HUGEPAGE);
	free(p);
}

static void crash_everywhere(const struct vo_op *op)
{
	int saved = memfd_create("saved", 0), crashed = memfd_create("crashed", 0);
	unsigned k, ends = 0;

	snprintf(vo_where, sizeof vo_where, "%s: prepare", op->name);
	store_begin();
	assert_int_equal(child(do_prepare, op, 0), 0);
	store_crash(0, -1);
	vk_copy(vk_file(), saved);
	for (k = 2; ends < 2; k++) {
		int rc;

		store_crash(0, saved);
		snprintf(vo_where, sizeof vo_where, "%s, %u byte sectors, %s change %u", op->name,
			 vo_sector, k % 2 ? "after" : "before", k / 2);
		rc = child(do_crash, op, k);
		if (rc != -SIGKILL && rc != 0)
			fail_msg("%s: the operation failed", vo_where);
		store_crash(k, -1);
		vk_copy(vk_file(), crashed);
		ends = rc == 0 ? ends + 1 : 0;
		if (child(do_verify, op, rc == 0))
			fail_msg("%s: see above", vo_where);
		store_crash(0, crashed);
		if (child(do_again, op, 0))
			fail_msg("%s: done again: see above", vo_where);
	}
	print_message("           %s: %u crashes\n", op->name, k - 4);
	assert_true(k > 4); /* it changed something */
	close(saved);
	close(crashed);
	store_end();
}

static void run_some(const struct vo_op *ops, unsigned n)
{
	const char *only = getenv("VOLCRASH"); /* one operation, by name */

	for (unsigned i = 0; i < n; i++)
		if (only ? strcmp(only, ops[i].name) == 0 : vo_sector == 512 || ops[i].large)
			crash_everywhere(&ops[i]);
}

static void run_all(uint32_t bytes)
{
	vo_sector = bytes;
	run_some(vo_disk_ops, vo_disk_count);
	run_some(vo_vm_ops, vo_vm_count);
}

static void test_512(void **state)
{
	(void)state;
	run_all(512);
}

#ifndef CRASH_SAN
static void test_4096(void **state)
{
	(void)state;
	run_all(4096);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_512),
#ifndef CRASH_SAN
		cmocka_unit_test(test_4096),
#endif
	};

	cheap_memory();
	cm_log_set_level(CM_LOG_NONE);
	if (cm_fault_arm("x=error", NULL) == CM_E_UNSUPPORTED) {
		puts("SKIP: no fault points in this build");
		return 77;
	}
	cm_fault_arm("", NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
