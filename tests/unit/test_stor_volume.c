/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of cluster volumes on a file: format, disks, thin and thick data, two hosts at once,
 * full, interrupted work, damage.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

static void test_data(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_disk_info info;
	struct stor_volume_info vi;
	size_t n = 3 * VK_EXTENT / 2;
	uint8_t *a = malloc(n), *b = malloc(n), *zero = calloc(1, n);
	int rc;

	(void)state;
	assert_int_equal(stor_volume_disk_create(vol, "d1", 20 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "d1", VK_EXTENT, false, NULL),
			 CM_E_DISK_EXISTS);
	assert_int_equal(stor_volume_disk_create(vol, "../x", VK_EXTENT, false, NULL),
			 CM_E_BAD_VALUE);
	vk_open_dev(vol, "d9", &rc);
	assert_int_equal(rc, CM_E_NO_DISK);
	disk = vk_open_dev(vol, "d1", &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(stor_dev_info(disk)->capacity_bytes, 20 * VK_EXTENT);
	/* thin: what was never written reads as zero and takes no space */
	memset(b, 1, n);
	assert_int_equal(vk_disk_io(disk, false, 5 * VK_EXTENT, b, n), 0);
	assert_memory_equal(b, zero, n);
	/* across two borders, and back */
	vk_fill(a, n, 3);
	assert_int_equal(vk_disk_io(disk, true, 2 * VK_EXTENT - 512 * 9, a, n), 0);
	assert_int_equal(vk_disk_io(disk, false, 2 * VK_EXTENT - 512 * 9, b, n), 0);
	assert_memory_equal(a, b, n);
	assert_int_equal(stor_volume_disk_info(vol, "d1", &info, NULL), 0);
	assert_int_equal(info.allocated_bytes, 3 * VK_EXTENT);
	assert_int_equal(vk_disk_io(disk, true, 20 * VK_EXTENT - 512, a, n), -EINVAL);
	vk_close_dev(disk);
	/* the map is found again */
	disk = vk_open_dev(vol, "d1", &rc);
	memset(b, 0, n);
	assert_int_equal(vk_disk_io(disk, false, 2 * VK_EXTENT - 512 * 9, b, n), 0);
	assert_memory_equal(a, b, n);
	/* the rest of a new extent is clear, whatever lay there before */
	assert_int_equal(vk_disk_io(disk, false, VK_EXTENT, b, VK_EXTENT - 512 * 9), 0);
	assert_memory_equal(b, zero, VK_EXTENT - 512 * 9);
	vk_close_dev(disk);
	assert_int_equal(stor_volume_disk_resize(vol, "d1", 30 * VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_disk_resize(vol, "d1", 20 * VK_EXTENT, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_volume_disk_rename(vol, "d1", "d2", NULL), 0);
	vk_check_clean(vol, false, 0);
	assert_int_equal(stor_volume_disk_delete(vol, "d1", NULL), CM_E_NO_DISK);
	assert_int_equal(stor_volume_disk_delete(vol, "d2", NULL), 0);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(vi.extents_free, vi.extents);
	vk_check_clean(vol, false, 0);
	/* a new disk does not show the old one's data */
	assert_int_equal(stor_volume_disk_create(vol, "d3", 20 * VK_EXTENT, false, NULL), 0);
	disk = vk_open_dev(vol, "d3", &rc);
	assert_int_equal(vk_disk_io(disk, true, 2 * VK_EXTENT, a, 1024), 0);
	assert_int_equal(vk_disk_io(disk, false, 2 * VK_EXTENT + 1024, b, VK_EXTENT - 1024), 0);
	assert_memory_equal(b, zero, VK_EXTENT - 1024);
	vk_close_dev(disk);
	stor_volume_free(vol);
	vk_close_dev(dev);
	free(a);
	free(b);
	free(zero);
}

static void test_full(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_info vi;
	uint8_t *a = malloc(VK_EXTENT);
	uint64_t n = 0;
	int rc;

	(void)state;
	vk_fill(a, VK_EXTENT, 9);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "thick", 4 * VK_EXTENT, true, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "huge", vi.extents * VK_EXTENT, true, NULL),
			 CM_E_VOL_FULL);
	vk_check_clean(vol, false, 0); /* and it left nothing behind */
	assert_int_equal(
		stor_volume_disk_create(vol, "thin", 2 * vi.extents * VK_EXTENT, false, NULL), 0);
	disk = vk_open_dev(vol, "thin", &rc);
	while ((rc = vk_disk_io(disk, true, n * VK_EXTENT, a, VK_EXTENT)) == 0)
		n++;
	assert_int_equal(rc, CM_E_VOL_FULL);
	assert_int_equal(n, vi.extents - 4);
	/* nothing is lost, and what exists can still be written */
	assert_int_equal(vk_disk_io(disk, true, 0, a, 4096), 0);
	assert_int_equal(stor_volume_disk_delete(vol, "thick", NULL), 0);
	assert_int_equal(vk_disk_io(disk, true, n * VK_EXTENT, a, VK_EXTENT),
			 0); /* freed space is found */
	vk_close_dev(disk);
	vk_check_clean(vol, false, 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
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

	disk = vk_open_dev(h->vol, h->disk, &h->rc);
	for (unsigned i = 0; i < 12 && h->rc == 0; i++) {
		vk_fill(a, 8192, h->seed + i);
		h->rc = vk_disk_io(disk, true, (uint64_t)i * VK_EXTENT, a, 8192);
	}
	vk_close_dev(disk);
	free(a);
	return NULL;
}

static void test_hosts(void **state)
{
	struct stor_dev *dev[2];
	struct stor_volume *vol[2] = {vk_attach(&dev[0], true), vk_attach(&dev[1], false)};
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
	assert_int_equal(stor_volume_disk_create(vol[0], "a", 16 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol[1], "b", 16 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(pthread_create(&th, NULL, host_writes, &h[0]), 0);
	host_writes(&h[1]);
	pthread_join(th, NULL);
	assert_int_equal(h[0].rc, 0);
	assert_int_equal(h[1].rc, 0);
	vk_check_clean(vol[0], false, 0);
	for (unsigned d = 0; d < 2; d++) {
		struct stor_dev *disk = vk_open_dev(vol[1 - d], h[d].disk, &rc);

		for (unsigned i = 0; i < 12; i++) {
			vk_fill(a, sizeof a, h[d].seed + i);
			assert_int_equal(
				vk_disk_io(disk, false, (uint64_t)i * VK_EXTENT, b, sizeof b), 0);
			assert_memory_equal(a, b, sizeof a);
		}
		vk_close_dev(disk);
	}
	for (unsigned d = 0; d < 2; d++) {
		stor_volume_free(vol[d]);
		vk_close_dev(dev[d]);
	}
}

static void test_interrupted(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_info vi;
	struct stor_volume_report r;
	uint8_t *a = malloc(VK_EXTENT), *b = malloc(VK_EXTENT);
	int rc;

	(void)state;
	vk_fill(a, VK_EXTENT, 5);
	assert_int_equal(stor_volume_disk_create(vol, "d", 8 * VK_EXTENT, false, NULL), 0);
	disk = vk_open_dev(vol, "d", &rc);
	/* a writer that dies after it took the extent, and after it cleared it */
	for (unsigned step = 1; step <= 2; step++) {
		char spec[48];

		snprintf(spec, sizeof spec, "stor.disk.grow=error:5@%u", step);
		assert_int_equal(cm_fault_arm(spec, NULL), 0);
		assert_int_equal(vk_disk_io(disk, true, step * VK_EXTENT, a, 4096), -5);
		cm_fault_arm("", NULL);
		vk_close_dev(disk);
		disk = vk_open_dev(vol, "d", &rc);
		memset(b, 1, 4096);
		assert_int_equal(vk_disk_io(disk, false, step * VK_EXTENT, b, 4096), 0);
		assert_int_equal(b[0], 0);
		vk_check_clean(vol, false,
			       0); /* half taken is not leaked: it belongs to the disk */
		assert_int_equal(vk_disk_io(disk, true, step * VK_EXTENT, a, 4096), 0);
		assert_int_equal(vk_disk_io(disk, false, step * VK_EXTENT, b, 4096), 0);
		assert_memory_equal(a, b, 4096);
	}
	vk_close_dev(disk);
	/* a deletion that dies in the middle leaves extents that check finds and gives back */
	assert_int_equal(cm_fault_arm("stor.disk.deleting=error:5", NULL), 0);
	assert_int_equal(stor_volume_disk_delete(vol, "d", NULL), -5);
	cm_fault_arm("", NULL);
	assert_int_equal(stor_volume_check(vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 1);
	vk_check_clean(vol, false, 2);
	vk_check_clean(vol, true, 2);
	vk_check_clean(vol, false, 0);
	assert_int_equal(stor_volume_disk_delete(vol, "d", NULL), CM_E_NO_DISK);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(vi.extents_free, vi.extents);
	stor_volume_free(vol);
	vk_close_dev(dev);
	free(a);
	free(b);
}

static void test_damage(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true), *again;
	struct stor_volume_report r;
	struct stor_super super;
	uint8_t junk[512];
	int rc;

	(void)state;
	memset(junk, 0x5a, sizeof junk);
	vk_poke(0, junk, sizeof junk);
	assert_int_equal(stor_volume_open(dev, &again, NULL), 0); /* by the second copy */
	assert_int_equal(stor_volume_check(again, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.bad_structures, 1);
	vk_check_clean(again, false, 0);
	stor_volume_free(again);
	vk_poke(0, junk, sizeof junk);
	vk_poke(512, junk, sizeof junk);
	assert_int_equal(stor_volume_open(dev, &again, NULL), CM_E_VOL_FORMAT);
	stor_volume_free(vol);
	vol = NULL;
	assert_int_equal(stor_volume_format(dev, "v0", VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_open(dev, &vol, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "d", 8 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &super, NULL), 0);
	vk_poke((off_t)super.table_at * 512, junk, sizeof junk);
	{
		struct stor_dev *disk = vk_open_dev(vol, "d", &rc);
		uint8_t b[4096];

		assert_int_equal(rc, 0);
		assert_int_equal(vk_disk_io(disk, false, 0, b, sizeof b), CM_E_VOL_CORRUPT);
		vk_close_dev(disk);
	}
	stor_volume_free(vol);
	vk_close_dev(dev);
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
	assert_int_equal(stor_super_plan(1ull << 40, 512, 0, 0, &sup, NULL), 0);
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
	assert_int_equal(stor_super_plan(1 << 20, 512, 0, 0, &sup, NULL), CM_E_VOL_LIMIT);
	assert_int_equal(stor_super_plan(1ull << 40, 520, 0, 0, &sup, NULL), CM_E_VOL_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoders),
		cmocka_unit_test_setup_teardown(test_data, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_full, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_hosts, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_interrupted, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_damage, vk_setup, vk_teardown),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
