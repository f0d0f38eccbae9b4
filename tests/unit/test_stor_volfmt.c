/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_volfmt.c - limits of a volume: each one that docs/DISK.md states is refused with its
 * error; growth.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "tests/unit/volkit.h"

static void test_hosts(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct cm_err err = CM_ERR_INIT;
	char name[16];
	uint16_t slot;

	(void)state;
	for (unsigned i = 0; i < STOR_VOL_HOSTS; i++) {
		snprintf(name, sizeof name, "n%u", i);
		assert_int_equal(stor_volume_host_slot(vol, name, &slot, NULL), 0);
		assert_int_equal(slot, i + 1);
	}
	assert_int_equal(stor_volume_host_slot(vol, "one-more", &slot, &err), CM_E_VOL_LIMIT);
	assert_non_null(strstr(err.text, "64"));
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void test_disks(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_uuid vm = {{1}};
	struct cm_err err = CM_ERR_INIT;
	struct stor_diskslot d = {.state = STOR_DISKSLOT_USED, .size_bytes = VK_EXTENT};
	struct stor_super s;
	uint8_t sector[512];

	(void)state;
	/* all but the last two slots, past the API */
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	for (unsigned i = 0; i < STOR_VOL_DISKS - 2; i++) {
		snprintf(d.name, sizeof d.name, "d%u", i);
		stor_diskslot_encode(&d, sector, sizeof sector);
		vk_poke((off_t)(s.disks_at + i) * 512, sector, sizeof sector);
	}
	assert_int_equal(stor_volume_disk_create(vol, "last", VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_image_create(vol, &vm, VK_EXTENT, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "more", VK_EXTENT, false, &err),
			 CM_E_VOL_LIMIT);
	assert_non_null(strstr(err.text, "1024"));
	vm.b[0] = 2;
	assert_int_equal(stor_volume_image_create(vol, &vm, VK_EXTENT, NULL), CM_E_VOL_LIMIT);
	assert_int_equal(stor_volume_disk_delete(vol, "d7", NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "more", VK_EXTENT, false, NULL), 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void test_vms(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_block b = {.state = STOR_BLOCK_FREE, .epoch = 1};
	struct stor_confhead h = {.used = true, .name = "x", .copy = STOR_CONFIG_NO_COPY};
	struct stor_uuid one_more = {{0xff, 0xff}};
	struct cm_err err = CM_ERR_INIT;
	struct stor_super s;
	uint8_t sector[512];
	uint64_t at;

	(void)state;
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		b.vm = h.vm = (struct stor_uuid){{(uint8_t)i, (uint8_t)(i >> 8), 7}};
		stor_block_encode(&b, sector, sizeof sector);
		vk_poke((off_t)(s.vms_at + i) * 512, sector, sizeof sector);
		stor_confhead_encode(&h, sector, sizeof sector);
		vk_poke((off_t)(s.configs_at + i) * 512, sector, sizeof sector);
	}
	assert_int_equal(stor_volume_vm_block(vol, &b.vm, true, &at, NULL), 0);
	assert_int_equal(stor_volume_vm_block(vol, &one_more, true, &at, &err), CM_E_VOL_LIMIT);
	assert_non_null(strstr(err.text, "1024"));
	cm_err_clear(&err);
	assert_int_equal(stor_volume_config_put(vol, &one_more, "x", "y", 1, &err), CM_E_VOL_LIMIT);
	assert_non_null(strstr(err.text, "1024"));
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void test_sizes(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	char name[STOR_DISK_NAME + 1];
	struct stor_super s;
	uint64_t most = STOR_VOL_DISK_EXTENTS * VK_EXTENT, mib = 1ull << 20;

	(void)state;
	assert_int_equal(stor_volume_disk_create(vol, "d", 0, false, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_volume_disk_create(vol, "d", 513, false, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_volume_disk_create(vol, "d", most + 512, false, NULL),
			 CM_E_VOL_LIMIT);
	assert_int_equal(stor_volume_disk_create(vol, "d", most, false, NULL), 0);
	assert_int_equal(stor_volume_disk_resize(vol, "d", most + 512, NULL), CM_E_VOL_LIMIT);
	memset(name, 'n', sizeof name);
	name[STOR_DISK_NAME] = '\0';
	assert_int_equal(stor_volume_disk_create(vol, name, mib, false, NULL), CM_E_BAD_VALUE);
	name[STOR_DISK_NAME - 1] = '\0';
	assert_int_equal(stor_volume_disk_create(vol, name, mib, false, NULL), 0);
	/* devices: too small, too many extents, odd sectors, odd extents, a lock LUN too small */
	assert_int_equal(stor_super_plan(10 * mib, 512, mib, 0, &s, NULL), CM_E_VOL_LIMIT);
	assert_int_equal(stor_super_plan(11 * mib, 512, mib, 0, &s, NULL), 0);
	assert_int_equal(stor_super_plan(21 * mib, 4096, mib, 0, &s, NULL), CM_E_VOL_LIMIT);
	assert_int_equal(stor_super_plan(22 * mib, 4096, mib, 0, &s, NULL), 0);
	assert_int_equal(stor_super_plan((STOR_VOL_EXTENTS + 1) * mib, 512, mib, 0, &s, NULL),
			 CM_E_VOL_LIMIT);
	assert_int_equal(stor_super_plan(STOR_VOL_EXTENTS * mib, 512, mib, 0, &s, NULL), 0);
	assert_int_equal(stor_super_plan(1ull << 54, 512, 0, 0, &s, NULL), 0); /* 16 PiB */
	assert_int_equal(s.extent_bytes, STOR_VOL_EXTENT_MAX);
	assert_int_equal(stor_super_plan(64 * mib, 512, 3 * mib, 0, &s, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_super_plan(64 * mib, 512, 2048 * mib, 0, &s, NULL), CM_E_BAD_VALUE);
	assert_int_equal(stor_super_plan(1ull << 40, 512, 0, 4 * mib, &s, NULL), CM_E_VOL_LIMIT);
	assert_int_equal(stor_super_plan(1ull << 40, 512, 0, 16 * mib, &s, NULL), 0);
	assert_true(s.data_at >= 16 * mib);
	assert_true((s.table_at + s.table_sectors) * 512 <= 16 * mib);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

/* A volume grows with its file, to four times its first size; what was there stays. */
static void test_growth(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_info vi, now;
	uint8_t a[8192], b[8192];
	uint64_t n;
	int rc;

	(void)state;
	vk_fill(a, sizeof a, 1);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "d", 2 * vi.extents * VK_EXTENT, false, NULL),
			 0);
	disk = vk_open_dev(vol, "d", &rc);
	assert_int_equal(vk_disk_io(disk, true, VK_EXTENT - 4096, a, sizeof a), 0);
	vk_close_dev(disk);
	assert_int_equal(stor_volume_grow(vol, &n, NULL), 0); /* nothing to do */
	assert_int_equal(n, vi.extents);
	stor_volume_free(vol);
	vk_close_dev(dev);
	assert_int_equal(ftruncate(vk_file(), 3 * VK_BYTES), 0);
	vol = vk_attach(&dev, false);
	assert_int_equal(stor_volume_grow(vol, &n, NULL), 0);
	assert_int_equal(n, vi.extents + 2 * VK_BYTES / VK_EXTENT);
	assert_int_equal(stor_volume_info(vol, &now, NULL), 0);
	assert_int_equal(now.extents_free, n - 2);
	disk = vk_open_dev(vol, "d", &rc);
	for (uint64_t e = vi.extents; e < 2 * vi.extents; e++)
		assert_int_equal(vk_disk_io(disk, true, e * VK_EXTENT, a, sizeof a), 0);
	assert_int_equal(vk_disk_io(disk, false, VK_EXTENT - 4096, b, sizeof b), 0);
	assert_memory_equal(a, b, sizeof a);
	vk_close_dev(disk);
	vk_check_clean(vol, false, 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
	assert_int_equal(ftruncate(vk_file(), 9ll * VK_BYTES), 0);
	vol = vk_attach(&dev, false);
	assert_int_equal(stor_volume_grow(vol, &n, NULL), 0);
	assert_true(n >= 4 * vi.extents && n <= vi.extents_max);
	assert_int_equal(stor_volume_grow(vol, &n, NULL), CM_E_VOL_LIMIT);
	vk_check_clean(vol, false, 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
	/* and a LUN that shrank is noticed */
	assert_int_equal(ftruncate(vk_file(), VK_BYTES), 0);
	dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(stor_volume_open(dev, &vol, NULL), CM_E_VOL_CORRUPT);
	vk_close_dev(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hosts, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_disks, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_vms, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_sizes, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_growth, vk_setup, vk_teardown),
	};

	cm_log_set_level(CM_LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
