/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_volume.c - four processes that allocate at once on one volume: each writes first into
 * many extents of its own disk, several at a time and in its own order. Afterwards all data is
 * right, no extent is used twice and none is lost. Against labsan (COMPARE AND WRITE), and with a
 * lock LUN (labsan and stock tgt: `test_san_volume tgt`).
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "sharedstorage/volume/stor_volguard.h"
#include "tests/san/santest.h"

#define HOSTS	4u
#define EXTENTS 40u
#define BYTES	8192u

static enum san_kind kind = SAN_LABSAN;

static void disk_name(unsigned host, char out[8])
{
	snprintf(out, 8, "d%u", host);
}

static pid_t start(void (*fn)(unsigned host, int go), unsigned host, int go)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vk_host_slot = (uint16_t)(host + 1);
	vk_start();
	fn(host, go);
	_exit(0);
}

static void join(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void prepare(unsigned host, int go)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct cm_err err = CM_ERR_INIT;
	char name[8];

	(void)host;
	(void)go;
	for (unsigned i = 0; i <= HOSTS; i++) {
		disk_name(i, name);
		if (stor_volume_disk_create(vol, name, EXTENTS * VK_EXTENT, false, &err))
			fprintf(stderr, "%s\n", err.text);
		VK_MUST(err.code == 0);
	}
	VK_MUST(vk_flush(dev) == 0);
}

/* Writes extent i of the disk; several threads of one host at once, as a guest's queue would. */
struct writer {
	struct stor_dev *disk;
	unsigned host, first;
	pthread_t thread;
};
#define WRITERS 4u

static void *writes(void *arg)
{
	struct writer *w = arg;
	uint8_t a[BYTES];

	for (unsigned n = w->first; n < EXTENTS; n += WRITERS) {
		unsigned e = w->host % 2 ? n : (n * 7 + w->host) % EXTENTS; /* in order, or not */

		vk_fill(a, sizeof a, w->host * 100 + e);
		VK_MUST(vk_disk_io(w->disk, true, (uint64_t)e * VK_EXTENT + 512 * e, a, sizeof a) ==
		     0);
	}
	return NULL;
}

static void host_main(unsigned host, int go)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, false);
	struct writer w[WRITERS];
	char name[8], c;
	int rc;

	disk_name(host, name);
	disk = vk_open_dev(vol, name, &rc);
	VK_MUST(rc == 0);
	VK_MUST(read(go, &c, 1) == 1);
	for (unsigned i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){.disk = disk, .host = host, .first = i};
		VK_MUST(pthread_create(&w[i].thread, NULL, writes, &w[i]) == 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(w[i].thread, NULL);
	VK_MUST(vk_flush(disk) == 0);
	vk_close_dev(disk);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void verify(unsigned host, int go)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, false);
	struct stor_volume_report r;
	struct stor_disk_info info;
	uint8_t a[BYTES], b[BYTES];
	char name[8];
	int rc;

	(void)host;
	(void)go;
	VK_MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	VK_MUST(r.leaked_extents == 0 && r.doubly_used_extents == 0);
	VK_MUST(r.bad_structures == 0 && r.unfinished == 0);
	for (unsigned h = 0; h <= HOSTS; h++) {
		disk_name(h, name);
		VK_MUST(stor_volume_disk_info(vol, name, &info, NULL) == 0);
		VK_MUST(info.allocated_bytes == EXTENTS * VK_EXTENT);
		disk = vk_open_dev(vol, name, &rc);
		VK_MUST(rc == 0);
		for (unsigned e = 0; e < EXTENTS; e++) {
			vk_fill(a, sizeof a, h * 100 + e);
			VK_MUST(vk_disk_io(disk, false, (uint64_t)e * VK_EXTENT + 512 * e, b,
					sizeof b) == 0);
			VK_MUST(memcmp(a, b, sizeof a) == 0);
		}
		vk_close_dev(disk);
	}
}

static uint64_t allocate(unsigned first, unsigned hosts)
{
	pid_t pid[HOSTS];
	uint64_t t;
	int go[2];

	assert_int_equal(pipe(go), 0);
	for (unsigned i = 0; i < hosts; i++)
		pid[i] = start(host_main, first + i, go[0]);
	t = cm_now_ns();
	assert_int_equal(write(go[1], "0123", hosts), hosts);
	for (unsigned i = 0; i < hosts; i++)
		join(pid[i]);
	t = cm_now_ns() - t;
	close(go[0]);
	close(go[1]);
	return t;
}

static void four_at_once(const char *options)
{
	struct san_target t = {.kind = kind, .luns = {"disk0,thin,size=1G", "lock1,size=16M"}};
	uint64_t one, four;

	if (san_start(&t))
		exit(77);
	san_url(&t, 0, options, vk_url, sizeof vk_url);
	join(start(prepare, 0, -1));
	/* the latency of a real SAN, so that the rates say who waits for whom and not how fast this
	 * machine is */
	if (!options)
		san_ctl(&t, "delay ms=5");
	one = allocate(HOSTS, 1);
	four = allocate(0, HOSTS);
	if (!options)
		san_ctl(&t, "clear");
	join(start(verify, 0, -1));
	print_message("           extents taken in a second: one host %llu, %u hosts %llu\n",
		      (unsigned long long)(EXTENTS * 1000000000ull / one), HOSTS,
		      (unsigned long long)(HOSTS * EXTENTS * 1000000000ull / four));
	san_stop(&t);
}

static void test_caw(void **state)
{
	(void)state;
	if (kind == SAN_TGT)
		skip(); /* it has none */
	four_at_once(NULL);
}

static void test_lock_lun(void **state)
{
	(void)state;
	four_at_once(kind == SAN_TGT ? "?lock=2&unmap=no" : "?lock=1&unmap=no");
}

struct first_write {
	struct stor_dev *disk;
	atomic_bool done;
	int rc;
};

static void *first_write(void *arg)
{
	struct first_write *w = arg;
	uint8_t a[BYTES];

	vk_fill(a, sizeof a, 5);
	w->rc = vk_disk_io(w->disk, true, VK_EXTENT, a, sizeof a);
	atomic_store(&w->done, true);
	return NULL;
}

/* While the COMPARE AND WRITE of an allocation hangs, what is mapped is read and written. */
static void test_mapped_goes_on(void **state)
{
	struct san_target t = {.kind = SAN_LABSAN, .luns = {"disk0,thin,size=64M"}};
	struct first_write w = {.rc = 1};
	struct stor_dev_status st;
	struct stor_dev *dev;
	struct stor_volume *vol;
	uint8_t a[BYTES], b[BYTES];
	pthread_t thread;
	int rc;

	(void)state;
	if (kind == SAN_TGT)
		skip(); /* it cannot hang by command */
	if (san_start(&t))
		exit(77);
	san_url(&t, 0, NULL, vk_url, sizeof vk_url);
	vk_host_slot = 0;
	vk_start();
	vol = vk_attach(&dev, true);
	assert_int_equal(stor_volume_disk_create(vol, "d", 4 * VK_EXTENT, false, NULL), 0);
	w.disk = vk_open_dev(vol, "d", &rc);
	assert_int_equal(rc, 0);
	vk_fill(a, sizeof a, 4);
	assert_int_equal(vk_disk_io(w.disk, true, 0, a, sizeof a), 0);
	san_ctl(&t, "delay ms=3600000 class=caw count=1");
	assert_int_equal(pthread_create(&thread, NULL, first_write, &w), 0);
	do
		vk_status(dev, &st);
	while (st.inflight == 0);
	for (unsigned i = 0; i < 20; i++) {
		vk_fill(a, sizeof a, i);
		assert_int_equal(vk_disk_io(w.disk, true, BYTES * i, a, sizeof a), 0);
		assert_int_equal(vk_disk_io(w.disk, false, BYTES * i, b, sizeof b), 0);
		assert_memory_equal(a, b, sizeof a);
	}
	assert_false(atomic_load(&w.done));
	san_ctl(&t, "release");
	pthread_join(thread, NULL);
	assert_int_equal(w.rc, 0);
	vk_fill(a, sizeof a, 5);
	assert_int_equal(vk_disk_io(w.disk, false, VK_EXTENT, b, sizeof b), 0);
	assert_memory_equal(a, b, sizeof a);
	vk_check_clean(vol, false, 0);
	vk_close_dev(w.disk);
	stor_volume_free(vol);
	vk_close_dev(dev);
	vk_stop();
	san_stop(&t);
}

/* --- a lock LUN and its data LUN ------------------------------------------- */

static struct stor_dev *open_url(const struct san_target *t, unsigned lun, const char *options)
{
	struct stor_dev *dev;
	int rc;

	san_url(t, lun, options, vk_url, sizeof vk_url);
	dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(rc, 0);
	return dev;
}

static void must_open(const struct san_target *t, unsigned lun, const char *options, const char *words)
{
	struct stor_dev *dev = open_url(t, lun, options);
	struct cm_err err = CM_ERR_INIT;
	struct stor_volume *vol;
	int rc = stor_volume_open(dev, &vol, &err);

	if (words && (rc != CM_E_VOL_OTHER || !strstr(err.text, words)))
		fail_msg("wanted '%s', got %d: %s", words, rc, err.text);
	if (!words && rc)
		fail_msg("%s", err.text);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void must_look(const struct san_target *t, unsigned lun, const char *options, const char *words)
{
	struct stor_dev *dev = open_url(t, lun, options);
	struct stor_found f;

	assert_int_equal(stor_volume_look(dev, &f, NULL), 0);
	if (!strstr(f.words, words))
		fail_msg("wanted '%s', found '%s'", words, f.words);
	vk_close_dev(dev);
}

static void format(const struct san_target *t, unsigned lun, const char *options, const char *name)
{
	struct stor_dev *dev = open_url(t, lun, options);
	struct cm_err err = CM_ERR_INIT;

	if (stor_volume_format(dev, name, VK_EXTENT, &err))
		fail_msg("%s: %s", name, err.text);
	vk_close_dev(dev);
}

/* Two data LUNs cannot have one lock LUN: neither by mistake nor after --force. */
static void test_lock_lun_is_bound(void **state)
{
	struct san_target t = {.kind = kind, .luns = {"disk0,thin,size=128M", "disk1,thin,size=128M", "lock,size=16M"}};
	const char *lock = kind == SAN_TGT ? "?lock=3&unmap=no" : "?lock=2&unmap=no";

	(void)state;
	if (san_start(&t))
		exit(77);
	vk_host_slot = STOR_SLOT_TOOL;
	vk_start();
	format(&t, 0, lock, "one");
	must_open(&t, 0, lock, NULL);
	must_open(&t, 1, lock, "each data LUN needs a lock LUN of its own");
	must_look(&t, 1, lock, "on the lock LUN: the lock LUN of volume 'one' (0 disks");
	must_open(&t, 0, NULL, "needs lock=LUN");
	must_look(&t, 0, NULL, "the data of volume 'one'");
	must_open(&t, 2, NULL, "this is the lock LUN of volume one");
	format(&t, 1, lock, "two"); /* with --force */
	must_open(&t, 1, lock, NULL);
	must_open(&t, 0, lock, "belongs to volume two");
	if (kind == SAN_LABSAN) { /* volumes with all metadata on themselves */
		format(&t, 2, NULL, "three");
		must_open(&t, 1, lock, "no lock LUN of another one");
		format(&t, 0, NULL, "four");
		must_open(&t, 0, NULL, NULL);
		must_look(&t, 0, lock, "on the data LUN: volume 'four'");
	}
	vk_stop();
	san_stop(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caw), cmocka_unit_test(test_lock_lun),
		/* last: they have threads, the others fork */
		cmocka_unit_test(test_mapped_goes_on),
		cmocka_unit_test(test_lock_lun_is_bound),
	};

	if (argc > 1 && strcmp(argv[1], "tgt") == 0)
		kind = SAN_TGT;
	cm_log_set_level(CM_LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
