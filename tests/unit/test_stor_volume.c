/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of cluster volumes on a file: format, disks, thin and thick data, two hosts at once,
 * full, interrupted work, damage.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/stor_disk.h"
#include "sharedstorage/stor_volfmt.h"
#include "sharedstorage/stor_volume.h"

#define VOL_BYTES (64u << 20)
#define EXTENT	  (1u << 20)

static char path[] = "/tmp/test_volume.XXXXXX", url[64];
static struct cm_loop *loop;
static pthread_t loop_thread;

/* --- a worker's view of asynchronous things ------------------------------ */

struct sync {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
	int rc;
	struct stor_dev *dev, *over;
	struct stor_volume *vol;
	const char *name;
	struct stor_req req;
	struct iovec iov[3];
};

static void sync_init(struct sync *s)
{
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
}

static void sync_say(struct sync *s, int rc)
{
	pthread_mutex_lock(&s->lock);
	s->rc = rc;
	s->done = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

static int sync_run(struct sync *s, cm_post_fn fn)
{
	assert_int_equal(cm_loop_post(loop, fn, s), 0);
	pthread_mutex_lock(&s->lock);
	while (!s->done)
		pthread_cond_wait(&s->wake, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return s->rc;
}

static void on_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err,
		     void *arg)
{
	struct sync *s = arg;

	(void)dev;
	if (ev == STOR_EVENT_READY || ev == STOR_EVENT_FAILED)
		sync_say(s, ev == STOR_EVENT_READY ? 0 : err->code);
}

static void do_open(void *arg)
{
	struct sync *s = arg;
	struct stor_dev_opts o = {.event = on_event, .event_arg = s};

	s->dev = s->vol ? stor_disk_open(s->vol, s->name, &o, NULL)
			: stor_dev_open(loop, url, &o, NULL);
	if (!s->dev)
		sync_say(s, -1);
}

static struct stor_dev *open_dev(struct stor_volume *vol, const char *name, int *rc)
{
	static struct sync all[64];
	static unsigned used;
	struct sync *s = &all[used++];

	assert_true(used < 64);
	sync_init(s);
	s->vol = vol;
	s->name = name;
	*rc = sync_run(s, do_open);
	return s->dev;
}

static void closed(void *arg)
{
	sync_say(arg, 0);
}

static void do_close(void *arg)
{
	struct sync *s = arg;

	stor_dev_close(s->dev, closed, s);
}

static void close_dev(struct stor_dev *dev)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	sync_run(&s, do_close);
}

static void io_done(struct stor_req *r, int rc)
{
	sync_say(r->arg, rc);
}

static void do_io(void *arg)
{
	struct sync *s = arg;

	stor_dev_submit(s->dev, &s->req);
}

static int disk_io(struct stor_dev *dev, bool write, uint64_t at, uint8_t *buf, size_t n)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	/* three uneven pieces, so that borders of extents and of iovecs do not coincide */
	s.iov[0] = (struct iovec){buf, 512};
	s.iov[1] = (struct iovec){buf + 512, n / 2 / 512 * 512};
	s.iov[2] = (struct iovec){buf + 512 + s.iov[1].iov_len, n - 512 - s.iov[1].iov_len};
	if (write)
		stor_req_writev(&s.req, at, s.iov, 3, io_done, &s);
	else
		stor_req_readv(&s.req, at, s.iov, 3, io_done, &s);
	return sync_run(&s, do_io);
}

static void *run_loop(void *arg)
{
	(void)arg;
	cm_loop_run(loop);
	return NULL;
}

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, VOL_BYTES) < 0)
		return -1;
	close(fd);
	snprintf(url, sizeof url, "file:%s", path);
	loop = cm_loop_new(NULL);
	return pthread_create(&loop_thread, NULL, run_loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	cm_fault_arm("", NULL);
	cm_loop_stop(loop, 0);
	pthread_join(loop_thread, NULL);
	cm_loop_free(loop);
	return unlink(path);
}

static struct stor_volume *attach(struct stor_dev **dev, bool format)
{
	struct stor_volume *vol = NULL;
	struct cm_err err = CM_ERR_INIT;
	int rc;

	*dev = open_dev(NULL, NULL, &rc);
	assert_int_equal(rc, 0);
	if (format)
		assert_int_equal(stor_volume_format(*dev, "v0", EXTENT, &err), 0);
	assert_int_equal(stor_volume_open(*dev, &vol, &err), 0);
	return vol;
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + (i >> 9) + seed);
}

static void check_clean(struct stor_volume *vol, bool repair, uint64_t leaked)
{
	struct stor_volume_report r;

	assert_int_equal(stor_volume_check(vol, repair, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.leaked_extents, leaked);
	assert_int_equal(r.doubly_used_extents, 0);
	assert_int_equal(r.bad_structures, 0);
}

static void test_data(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = attach(&dev, true);
	struct stor_disk_info info;
	struct stor_volume_info vi;
	size_t n = 3 * EXTENT / 2;
	uint8_t *a = malloc(n), *b = malloc(n), *zero = calloc(1, n);
	int rc;

	(void)state;
	assert_int_equal(stor_volume_disk_create(vol, "d1", 20 * EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "d1", EXTENT, false, NULL), CM_E_DISK_EXISTS);
	assert_int_equal(stor_volume_disk_create(vol, "../x", EXTENT, false, NULL), CM_E_BAD_VALUE);
	open_dev(vol, "d9", &rc);
	assert_int_equal(rc, CM_E_NO_DISK);
	disk = open_dev(vol, "d1", &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(stor_dev_info(disk)->capacity_bytes, 20 * EXTENT);
	/* thin: what was never written reads as zero and takes no space */
	memset(b, 1, n);
	assert_int_equal(disk_io(disk, false, 5 * EXTENT, b, n), 0);
	assert_memory_equal(b, zero, n);
	/* across two borders, and back */
	fill(a, n, 3);
	assert_int_equal(disk_io(disk, true, 2 * EXTENT - 512 * 9, a, n), 0);
	assert_int_equal(disk_io(disk, false, 2 * EXTENT - 512 * 9, b, n), 0);
	assert_memory_equal(a, b, n);
	assert_int_equal(stor_volume_disk_info(vol, "d1", &info, NULL), 0);
	assert_int_equal(info.allocated_bytes, 3 * EXTENT);
	assert_int_equal(disk_io(disk, true, 20 * EXTENT - 512, a, n), -EINVAL);
	close_dev(disk);
	/* the map is found again */
	disk = open_dev(vol, "d1", &rc);
	memset(b, 0, n);
	assert_int_equal(disk_io(disk, false, 2 * EXTENT - 512 * 9, b, n), 0);
	assert_memory_equal(a, b, n);
	/* the rest of a new extent is clear, whatever lay there before */
	assert_int_equal(disk_io(disk, false, EXTENT, b, EXTENT - 512 * 9), 0);
	assert_memory_equal(b, zero, EXTENT - 512 * 9);
	close_dev(disk);
	assert_int_equal(stor_volume_disk_resize(vol, "d1", 30 * EXTENT, NULL), 0);
	assert_int_equal(stor_volume_disk_resize(vol, "d1", 20 * EXTENT, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_volume_disk_rename(vol, "d1", "d2", NULL), 0);
	check_clean(vol, false, 0);
	assert_int_equal(stor_volume_disk_delete(vol, "d1", NULL), CM_E_NO_DISK);
	assert_int_equal(stor_volume_disk_delete(vol, "d2", NULL), 0);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(vi.extents_free, vi.extents);
	check_clean(vol, false, 0);
	/* a new disk does not show the old one's data */
	assert_int_equal(stor_volume_disk_create(vol, "d3", 20 * EXTENT, false, NULL), 0);
	disk = open_dev(vol, "d3", &rc);
	assert_int_equal(disk_io(disk, true, 2 * EXTENT, a, 1024), 0);
	assert_int_equal(disk_io(disk, false, 2 * EXTENT + 1024, b, EXTENT - 1024), 0);
	assert_memory_equal(b, zero, EXTENT - 1024);
	close_dev(disk);
	stor_volume_free(vol);
	close_dev(dev);
	free(a);
	free(b);
	free(zero);
}

static void test_full(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = attach(&dev, true);
	struct stor_volume_info vi;
	uint8_t *a = malloc(EXTENT);
	uint64_t n = 0;
	int rc;

	(void)state;
	fill(a, EXTENT, 9);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "thick", 4 * EXTENT, true, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "huge", vi.extents * EXTENT, true, NULL),
			 CM_E_VOL_FULL);
	check_clean(vol, false, 0); /* and it left nothing behind */
	assert_int_equal(stor_volume_disk_create(vol, "thin", 2 * vi.extents * EXTENT, false, NULL),
			 0);
	disk = open_dev(vol, "thin", &rc);
	while ((rc = disk_io(disk, true, n * EXTENT, a, EXTENT)) == 0)
		n++;
	assert_int_equal(rc, CM_E_VOL_FULL);
	assert_int_equal(n, vi.extents - 4);
	/* nothing is lost, and what exists can still be written */
	assert_int_equal(disk_io(disk, true, 0, a, 4096), 0);
	assert_int_equal(stor_volume_disk_delete(vol, "thick", NULL), 0);
	assert_int_equal(disk_io(disk, true, n * EXTENT, a, EXTENT), 0); /* freed space is found */
	close_dev(disk);
	check_clean(vol, false, 0);
	stor_volume_free(vol);
	close_dev(dev);
	free(a);
}

struct host {
	struct stor_volume *vol;
	const char *disk;
	unsigned seed;
	int rc;
};

static void *host_writes(void *arg)
{
	struct host *h = arg;
	uint8_t *a = malloc(8192);
	struct stor_dev *disk;

	disk = open_dev(h->vol, h->disk, &h->rc);
	for (unsigned i = 0; i < 12 && h->rc == 0; i++) {
		fill(a, 8192, h->seed + i);
		h->rc = disk_io(disk, true, (uint64_t)i * EXTENT, a, 8192);
	}
	close_dev(disk);
	free(a);
	return NULL;
}

static void test_hosts(void **state)
{
	struct stor_dev *dev[2];
	struct stor_volume *vol[2] = {attach(&dev[0], true), attach(&dev[1], false)};
	struct host h[2] = {{vol[0], "a", 100, 0}, {vol[1], "b", 200, 0}};
	uint8_t a[8192], b[8192];
	uint16_t slot[3];
	pthread_t th;
	int rc;

	(void)state;
	assert_int_equal(stor_volume_host_slot(vol[0], "n1", &slot[0], NULL), 0);
	assert_int_equal(stor_volume_host_slot(vol[1], "n2", &slot[1], NULL), 0);
	assert_int_equal(stor_volume_host_slot(vol[1], "n1", &slot[2], NULL), 0);
	assert_int_equal(slot[0], slot[2]);
	assert_int_not_equal(slot[0], slot[1]);
	assert_int_equal(stor_volume_disk_create(vol[0], "a", 16 * EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol[1], "b", 16 * EXTENT, false, NULL), 0);
	assert_int_equal(pthread_create(&th, NULL, host_writes, &h[0]), 0);
	host_writes(&h[1]);
	pthread_join(th, NULL);
	assert_int_equal(h[0].rc, 0);
	assert_int_equal(h[1].rc, 0);
	check_clean(vol[0], false, 0);
	for (unsigned d = 0; d < 2; d++) {
		struct stor_dev *disk = open_dev(vol[1 - d], h[d].disk, &rc);

		for (unsigned i = 0; i < 12; i++) {
			fill(a, sizeof a, h[d].seed + i);
			assert_int_equal(disk_io(disk, false, (uint64_t)i * EXTENT, b, sizeof b),
					 0);
			assert_memory_equal(a, b, sizeof a);
		}
		close_dev(disk);
	}
	for (unsigned d = 0; d < 2; d++) {
		stor_volume_free(vol[d]);
		close_dev(dev[d]);
	}
}

static void test_interrupted(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = attach(&dev, true);
	struct stor_volume_info vi;
	uint8_t *a = malloc(EXTENT), *b = malloc(EXTENT);
	int rc;

	(void)state;
	fill(a, EXTENT, 5);
	assert_int_equal(stor_volume_disk_create(vol, "d", 8 * EXTENT, false, NULL), 0);
	disk = open_dev(vol, "d", &rc);
	/* a writer that dies after it took the extent, and after it cleared it */
	for (unsigned step = 1; step <= 2; step++) {
		char spec[48];

		snprintf(spec, sizeof spec, "stor.disk.grow=error:5@%u", step);
		assert_int_equal(cm_fault_arm(spec, NULL), 0);
		assert_int_equal(disk_io(disk, true, step * EXTENT, a, 4096), -5);
		cm_fault_arm("", NULL);
		close_dev(disk);
		disk = open_dev(vol, "d", &rc);
		memset(b, 1, 4096);
		assert_int_equal(disk_io(disk, false, step * EXTENT, b, 4096), 0);
		assert_int_equal(b[0], 0);
		check_clean(vol, false, 0); /* half taken is not leaked: it belongs to the disk */
		assert_int_equal(disk_io(disk, true, step * EXTENT, a, 4096), 0);
		assert_int_equal(disk_io(disk, false, step * EXTENT, b, 4096), 0);
		assert_memory_equal(a, b, 4096);
	}
	close_dev(disk);
	/* a deletion that dies in the middle leaves extents that check finds and gives back */
	assert_int_equal(cm_fault_arm("stor.disk.deleting=error:5", NULL), 0);
	assert_int_equal(stor_volume_disk_delete(vol, "d", NULL), -5);
	cm_fault_arm("", NULL);
	assert_int_equal(stor_volume_disk_delete(vol, "d", NULL), CM_E_NO_DISK);
	check_clean(vol, false, 2);
	check_clean(vol, true, 2);
	check_clean(vol, false, 0);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(vi.extents_free, vi.extents);
	stor_volume_free(vol);
	close_dev(dev);
	free(a);
	free(b);
}

static void poke(off_t at, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, at), (ssize_t)n);
	close(fd);
}

static void test_damage(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = attach(&dev, true), *again;
	struct stor_volume_report r;
	uint8_t junk[512];
	int rc;

	(void)state;
	memset(junk, 0x5a, sizeof junk);
	poke(0, junk, sizeof junk);
	assert_int_equal(stor_volume_open(dev, &again, NULL), 0); /* by the second copy */
	assert_int_equal(stor_volume_check(again, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.bad_structures, 1);
	check_clean(again, false, 0);
	stor_volume_free(again);
	poke(0, junk, sizeof junk);
	poke(512, junk, sizeof junk);
	assert_int_equal(stor_volume_open(dev, &again, NULL), CM_E_VOL_FORMAT);
	stor_volume_free(vol);
	vol = NULL;
	assert_int_equal(stor_volume_format(dev, "v0", EXTENT, NULL), 0);
	assert_int_equal(stor_volume_open(dev, &vol, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "d", 8 * EXTENT, false, NULL), 0);
	poke((8 + STOR_VOL_HOSTS + STOR_VOL_VMS + STOR_VOL_DISKS) * 512, junk,
	     sizeof junk); /* extent table */
	{
		struct stor_dev *disk = open_dev(vol, "d", &rc);
		uint8_t b[4096];

		assert_int_equal(rc, 0);
		assert_int_equal(disk_io(disk, false, 0, b, sizeof b), CM_E_VOL_CORRUPT);
		close_dev(disk);
	}
	stor_volume_free(vol);
	close_dev(dev);
}

/* Every byte string is survived; every flipped bit is noticed. */
static void test_decoders(void **state)
{
	uint8_t s[512], t[512];
	struct stor_super sup, out;
	struct stor_diskslot d = {.state = STOR_DISKSLOT_USED,
				  .name = "x",
				  .size_bytes = 7,
				  .generation = 3},
			     e;

	(void)state;
	assert_int_equal(stor_super_plan(1ull << 40, 512, 0, &sup, NULL), 0);
	snprintf(sup.name, sizeof sup.name, "vol");
	stor_super_encode(&sup, s);
	assert_int_equal(stor_super_decode(s, 512, &out), 0);
	assert_memory_equal(&sup, &out, sizeof sup);
	stor_diskslot_encode(&d, t, 512);
	assert_int_equal(stor_diskslot_decode(t, 512, &e), 0);
	assert_memory_equal(&d, &e, sizeof d);
	for (unsigned bit = 0; bit < 512 * 8; bit++) {
		s[bit / 8] ^= (uint8_t)(1 << bit % 8);
		t[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(stor_super_decode(s, 512, &out), 0);
		assert_int_not_equal(stor_diskslot_decode(t, 512, &e), 0);
		s[bit / 8] ^= (uint8_t)(1 << bit % 8);
		t[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(stor_super_plan(1 << 20, 512, 0, &sup, NULL), CM_E_VOL_LIMIT);
	assert_int_equal(stor_super_plan(1ull << 40, 520, 0, &sup, NULL), CM_E_VOL_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoders),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
