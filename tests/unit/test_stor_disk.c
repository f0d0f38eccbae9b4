/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of a volume disk's data path: what it sends to the device when it takes extents
 * (batches, whole extents, ahead of a sequential writer), gives them back, and grows while it is
 * open.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

struct fix {
	struct stor_dev *dev, *disk;
	struct stor_volume *vol;
	struct stor_dev_status before;
	uint8_t *a, *b;
};

#define BUFFER (20 * VK_EXTENT)

static void begin(struct fix *f, uint64_t bytes, bool thick)
{
	uint8_t one[512];
	int rc;

	f->vol = vk_attach(&f->dev, true);
	assert_int_equal(stor_volume_disk_create(f->vol, "d", bytes, thick, NULL), 0);
	f->disk = vk_open_dev(f->vol, "d", &rc);
	assert_int_equal(rc, 0);
	f->a = malloc(BUFFER);
	f->b = malloc(BUFFER);
	vk_fill(f->a, BUFFER, 3);
	/* the map is read */
	assert_int_equal(vk_disk_io(f->disk, false, 0, f->b, 2 * sizeof one), 0);
	vk_status(f->dev, &f->before);
}

static void end(struct fix *f)
{
	vk_check_clean(f->vol, false, 0);
	vk_close_dev(f->disk);
	stor_volume_free(f->vol);
	vk_close_dev(f->dev);
	free(f->a);
	free(f->b);
}

/* COMPARE AND WRITEs and clears, writes, flushes since the last time. */
static void must_have_sent(struct fix *f, uint64_t others, uint64_t writes, uint64_t flushes)
{
	struct stor_dev_status now;

	vk_status(f->dev, &now);
	assert_int_equal(now.others - f->before.others, others);
	assert_int_equal(now.writes - f->before.writes, writes);
	assert_int_equal(now.flushes - f->before.flushes, flushes);
	f->before = now;
}

static uint64_t allocated(struct fix *f)
{
	struct stor_disk_info info;

	assert_int_equal(stor_volume_disk_info(f->vol, "d", &info, NULL), 0);
	return info.allocated_bytes / VK_EXTENT;
}

/* One request over 12 extents: 2 COMPARE AND WRITEs, 1 flush; only its two ends need clearing. */
static void test_batch(void **state)
{
	struct fix f;
	uint64_t at = VK_EXTENT / 2, n = 11 * VK_EXTENT;

	(void)state;
	begin(&f, 30 * VK_EXTENT, false);
	assert_int_equal(vk_disk_io(f.disk, true, at, f.a, n), 0);
	must_have_sent(&f, 2 + 2, 12, 1);
	assert_int_equal(allocated(&f), 12);
	assert_int_equal(vk_disk_io(f.disk, false, at, f.b, n), 0);
	assert_memory_equal(f.a, f.b, n);
	memset(f.b, 1, VK_EXTENT / 2);
	assert_int_equal(vk_disk_io(f.disk, false, 0, f.b, VK_EXTENT / 2), 0);
	assert_true(f.b[0] == 0 && !memcmp(f.b, f.b + 1, VK_EXTENT / 2 - 1));
	/* what is mapped goes straight */
	vk_status(f.dev, &f.before);
	assert_int_equal(vk_disk_io(f.disk, true, at, f.a, 4096), 0);
	must_have_sent(&f, 0, 1, 0);
	end(&f);
}

/* A sequential writer finds its next extents there already; at most TAKE_AHEAD_MAX (8) too many. */
static void test_sequential(void **state)
{
	struct fix f;
	struct stor_dev_status now;

	(void)state;
	begin(&f, 30 * VK_EXTENT, false);
	for (unsigned e = 0; e < 20; e++)
		assert_int_equal(vk_disk_io(f.disk, true, (uint64_t)e * VK_EXTENT, f.a, 4096), 0);
	vk_status(f.dev, &now);
	assert_true(now.flushes - f.before.flushes <= 6); /* batches, for 20 extents */
	assert_true(allocated(&f) >= 20 && allocated(&f) <= 28);
	for (unsigned e = 0; e < 20; e++) {
		assert_int_equal(vk_disk_io(f.disk, false, (uint64_t)e * VK_EXTENT, f.b, 4096), 0);
		assert_memory_equal(f.a, f.b, 4096);
	}
	end(&f);
}

/* A writer that jumps gets what it asked for and no more. */
static void test_random(void **state)
{
	struct fix f;

	(void)state;
	begin(&f, 30 * VK_EXTENT, false);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(
			vk_disk_io(f.disk, true, (uint64_t)(i * 7 % 30) * VK_EXTENT, f.a, 4096), 0);
	assert_int_equal(allocated(&f), 10);
	end(&f);
}

static void test_discard(void **state)
{
	struct stor_volume_info vi;
	struct fix f;

	(void)state;
	begin(&f, 16 * VK_EXTENT + 512, false);
	assert_int_equal(vk_disk_io(f.disk, true, 0, f.a, 16 * VK_EXTENT), 0);
	assert_int_equal(vk_disk_io(f.disk, true, 16 * VK_EXTENT - 512, f.a, 1024), 0);
	assert_int_equal(allocated(&f), 17);
	vk_status(f.dev, &f.before);
	/* three whole extents and two parts of others: one COMPARE AND WRITE gives the three back
	 */
	assert_int_equal(vk_discard(f.disk, VK_EXTENT / 2, 4 * VK_EXTENT), 0);
	must_have_sent(&f, 1 + 2, 0, 0);
	assert_int_equal(allocated(&f), 14);
	assert_int_equal(vk_disk_io(f.disk, false, VK_EXTENT, f.b, 3 * VK_EXTENT), 0);
	assert_true(f.b[0] == 0 && !memcmp(f.b, f.b + 1, 3 * VK_EXTENT - 1));
	/* the last one is shorter than an extent, and whole */
	assert_int_equal(vk_discard(f.disk, 16 * VK_EXTENT, 512), 0);
	assert_int_equal(allocated(&f), 13);
	/* and taken again, clear */
	assert_int_equal(vk_disk_io(f.disk, true, 2 * VK_EXTENT, f.a, 4096), 0);
	assert_int_equal(vk_disk_io(f.disk, false, 2 * VK_EXTENT + 4096, f.b, 4096), 0);
	assert_true(f.b[0] == 0 && !memcmp(f.b, f.b + 1, 4095));
	assert_int_equal(vk_disk_io(f.disk, false, 5 * VK_EXTENT, f.b, 11 * VK_EXTENT - 512), 0);
	assert_memory_equal(f.b, f.a + 5 * VK_EXTENT, 11 * VK_EXTENT - 512);
	assert_int_equal(stor_volume_info(f.vol, &vi, NULL), 0);
	assert_int_equal(vi.extents - vi.extents_free, allocated(&f));
	end(&f);
	/* a thick disk keeps its space */
	vk_teardown(NULL);
	vk_setup(NULL);
	begin(&f, 4 * VK_EXTENT, true);
	assert_int_equal(vk_disk_io(f.disk, true, 0, f.a, VK_EXTENT), 0);
	assert_int_equal(vk_discard(f.disk, 0, 2 * VK_EXTENT), 0);
	assert_int_equal(allocated(&f), 4);
	end(&f);
}

static void grow(bool thick)
{
	struct fix f;
	uint64_t size;

	begin(&f, 4 * VK_EXTENT, thick);
	vk_resized = 0;
	assert_int_equal(vk_disk_io(f.disk, true, 0, f.a, 4 * VK_EXTENT), 0);
	assert_int_equal(vk_reload(f.disk, &size), 0);
	assert_int_equal(size, 4 * VK_EXTENT);
	assert_int_equal(vk_resized, 0);
	assert_int_equal(vk_disk_io(f.disk, true, 4 * VK_EXTENT, f.a, 4096), -EINVAL);
	assert_int_equal(stor_volume_disk_resize(f.vol, "d", 9 * VK_EXTENT, NULL), 0);
	assert_int_equal(vk_reload(f.disk, &size), 0);
	assert_int_equal(size, 9 * VK_EXTENT);
	assert_int_equal(vk_resized, 1);
	assert_int_equal(stor_dev_info(f.disk)->capacity_bytes, 9 * VK_EXTENT);
	assert_int_equal(vk_disk_io(f.disk, true, 9 * VK_EXTENT - 4096, f.a, 4096), 0);
	assert_int_equal(vk_disk_io(f.disk, false, 0, f.b, 4 * VK_EXTENT), 0);
	assert_memory_equal(f.a, f.b, 4 * VK_EXTENT);
	assert_int_equal(allocated(&f), thick ? 9 : 5);
	assert_int_equal(vk_disk_io(f.disk, true, 9 * VK_EXTENT, f.a, 4096), -EINVAL);
	/* renamed while it is open: the same disk */
	assert_int_equal(stor_volume_disk_rename(f.vol, "d", "e", NULL), 0);
	assert_int_equal(vk_reload(f.disk, &size), 0);
	assert_int_equal(stor_volume_disk_rename(f.vol, "e", "d", NULL), 0);
	end(&f);
}

static void test_grow_thin(void **state)
{
	(void)state;
	grow(false);
}

static void test_grow_thick(void **state)
{
	(void)state;
	grow(true);
}

static void test_reload_deleted(void **state)
{
	struct fix f;
	uint64_t size;

	(void)state;
	begin(&f, 4 * VK_EXTENT, false);
	assert_int_equal(stor_volume_disk_delete(f.vol, "d", NULL), 0);
	assert_int_equal(vk_reload(f.disk, &size), CM_E_NO_DISK);
	assert_int_equal(stor_volume_disk_create(f.vol, "d", 8 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(vk_reload(f.disk, &size), CM_E_NO_DISK); /* another one */
	end(&f);
}

/* Ownership is lost: a disk with writes under way, to new extents and old ones, closes all the same. */
static void test_close_on_a_shut_device(void **state)
{
	struct fix f;
	struct iovec iov[3];
	struct stor_req req[3];
	int rc[3] = {1, 1, 1};

	(void)state;
	begin(&f, 30 * VK_EXTENT, false);
	assert_int_equal(vk_disk_io(f.disk, true, 0, f.a, 4096), 0);
	vk_check_clean(f.vol, false, 0);
	vk_shut(f.dev);
	memset(req, 0, sizeof req);
	for (unsigned i = 0; i < 3; i++) {
		iov[i] = (struct iovec){f.a, i == 2 ? VK_EXTENT : 4096};
		vk_write_late(f.disk, (uint64_t)i * 9 * VK_EXTENT, &iov[i], &req[i], &rc[i]);
	}
	vk_abandon(f.dev);
	vk_close_dev(f.disk);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rc[i], -ECANCELED);
	stor_volume_free(f.vol);
	vk_close_dev(f.dev);
	free(f.a);
	free(f.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_batch, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_sequential, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_random, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_discard, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_grow_thin, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_grow_thick, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_reload_deleted, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_close_on_a_shut_device, vk_setup, vk_teardown),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
