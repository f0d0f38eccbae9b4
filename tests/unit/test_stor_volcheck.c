/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits and damage of a cluster volume: each limit that docs/DISK.md states is refused with its
 * error; each structure that is damaged or cut off gives a clear error or a complaint, never a
 * crash, and hides nothing else.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

/* --- limits -------------------------------------------------------------- */

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

/* --- damage -------------------------------------------------------------- */

static unsigned complaints;

static void count(const char *text, void *arg)
{
	(void)arg;
	assert_true(*text);
	complaints++;
}

static void ignore_disk(const struct stor_disk_info *d, void *arg)
{
	(void)d;
	++*(unsigned *)arg;
}

static void ignore_config(const struct stor_uuid *vm, const char *name, const char *text, size_t n,
			  void *arg)
{
	(void)vm;
	(void)name;
	(void)n;
	*(unsigned *)arg += text != NULL;
}

static void ignore_vm(const struct stor_block *b, uint64_t at, void *arg)
{
	(void)b;
	(void)at;
	++*(unsigned *)arg;
}

static char *dump(struct stor_volume *vol, const char *what)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(stor_volume_dump(vol, what, f, NULL), 0);
	fclose(f);
	return text;
}

/* Everything that reads, after something was damaged. */
static void use_all(struct stor_volume *vol, unsigned *disks, unsigned *configs, unsigned *vms,
		    struct stor_volume_report *r)
{
	struct stor_volume_info vi;
	uint16_t slot;
	int rc = stor_volume_info(vol, &vi, NULL);

	assert_true(rc == 0 || rc == CM_E_VOL_CORRUPT);
	*disks = *configs = *vms = complaints = 0;
	rc = stor_volume_each_disk(vol, ignore_disk, disks, NULL);
	assert_true(rc == 0 || rc == CM_E_VOL_CORRUPT);
	assert_int_equal(stor_volume_each_config(vol, ignore_config, configs, NULL), 0);
	assert_int_equal(stor_volume_each_vm(vol, ignore_vm, vms, NULL), 0);
	rc = stor_volume_host_slot(vol, "n1", &slot, NULL);
	assert_int_equal(rc, 0);
	assert_int_equal(stor_volume_check(vol, false, count, NULL, r, NULL), 0);
}

static void test_damage(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_uuid vm[2] = {{{1}}, {{2}}};
	struct stor_block b = {.state = STOR_BLOCK_FREE, .epoch = 1};
	unsigned disks, configs, vms;
	struct stor_volume_report r;
	uint8_t sector[512], old[512], data[4096];
	struct stor_super s;
	char *text;
	uint64_t at;
	uint16_t slot;
	int rc;

	(void)state;
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	assert_int_equal(stor_volume_host_slot(vol, "n1", &slot, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		char name[3] = {'d', (char)('0' + i), 0};

		assert_int_equal(stor_volume_disk_create(vol, name, 4 * VK_EXTENT, false, NULL), 0);
		disk = vk_open_dev(vol, name, &rc);
		vk_fill(data, sizeof data, i);
		assert_int_equal(vk_disk_io(disk, true, 0, data, sizeof data), 0);
		vk_close_dev(disk);
		assert_int_equal(
			stor_volume_config_put(vol, &vm[i], name, "memory = 1G\n", 12, NULL), 0);
		b.vm = vm[i];
		assert_int_equal(stor_volume_vm_block(vol, &vm[i], true, &at, NULL), 0);
		stor_block_encode(&b, sector, sizeof sector);
		vk_poke((off_t)at, sector, sizeof sector);
	}
	{
		/* where; what is left of disks, configurations, VMs; can it be repaired away */
		const struct {
			uint64_t sector;
			unsigned disks, configs, vms;
		} places[] = {
			{s.hosts_at + 5, 2, 2, 2},
			{s.vms_at + 1, 2, 2, 1},
			{s.disks_at, 1, 2, 2},
			{s.configs_at + 1, 2, 1, 2},
			{s.bodies_at + 16, 2, 1, 2} /* copy 0 of header 1 */,
		};

		for (size_t i = 0; i < CM_ARRAY_LEN(places); i++)
			for (unsigned kind = 0; kind < 3; kind++) {
				off_t off = (off_t)places[i].sector * 512;

				assert_int_equal(pread(vk_file(), old, 512, off), 512);
				memcpy(sector, old, 512);
				if (kind == 0)
					memset(sector, 0x5a, 512);
				else if (kind == 1)
					memset(sector + 100, 0xff, 412); /* cut off, torn */
				else
					sector[17] ^= 4;
				vk_poke(off, sector, 512);
				use_all(vol, &disks, &configs, &vms, &r);
				assert_int_equal(disks, places[i].disks);
				assert_int_equal(configs, places[i].configs);
				assert_int_equal(vms, places[i].vms);
				assert_int_equal(r.bad_structures, 1);
				assert_int_equal(complaints, 1);
				assert_int_equal(r.leaked_extents, 0);
				text = dump(vol, "all");
				assert_non_null(strstr(text, "DAMAGED"));
				free(text);
				/* repair makes nothing worse */
				assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL),
						 0);
				assert_int_equal(r.repaired_extents, 0);
				vk_poke(off, old, 512);
				vk_check_clean(vol, false, 0);
			}
	}
	/* the table: nothing is allocated from it or freed in it */
	assert_int_equal(pread(vk_file(), old, 512, (off_t)s.table_at * 512), 512);
	memset(sector, 0x5a, 512);
	vk_poke((off_t)s.table_at * 512, sector, 512);
	use_all(vol, &disks, &configs, &vms, &r);
	assert_int_equal(r.bad_structures, 1);
	assert_int_equal(stor_volume_disk_create(vol, "thick", VK_EXTENT, true, NULL),
			 CM_E_VOL_CORRUPT);
	assert_int_equal(stor_volume_disk_delete(vol, "d0", NULL), CM_E_VOL_CORRUPT);
	disk = vk_open_dev(vol, "d1", &rc);
	assert_int_equal(vk_disk_io(disk, false, 0, data, sizeof data), CM_E_VOL_CORRUPT);
	vk_close_dev(disk);
	vk_poke((off_t)s.table_at * 512, old, 512);
	disk = vk_open_dev(vol, "d1", &rc);
	assert_int_equal(vk_disk_io(disk, false, 0, data, sizeof data), 0);
	vk_close_dev(disk);
	stor_volume_free(vol);
	vk_close_dev(dev);
}

/* A bit flipped anywhere in the metadata, and random bytes: survived. */
static void test_random_damage(void **state)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true), *again;
	struct stor_uuid vm = {{1}};
	struct stor_volume_report r;
	struct stor_super s;
	uint8_t sector[512], old[512];
	uint16_t slot;

	(void)state;
	srand(7);
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	assert_int_equal(stor_volume_host_slot(vol, "n1", &slot, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "d", 4 * VK_EXTENT, true, NULL), 0);
	assert_int_equal(stor_volume_config_put(vol, &vm, "x", "y", 1, NULL), 0);
	for (unsigned i = 0; i < 60; i++) {
		static const unsigned spots[] = {0, 1, 8, 73, 1096, 2121, 3160, 19528};
		off_t off = (off_t)spots[i % CM_ARRAY_LEN(spots)] * 512;
		char *text;

		assert_int_equal(pread(vk_file(), old, 512, off), 512);
		memcpy(sector, old, 512);
		for (unsigned k = 0; k < (i % 2 ? 1u : 200u); k++)
			sector[rand() % 512] ^= (uint8_t)(1 << rand() % 8);
		vk_poke(off, sector, 512);
		assert_int_equal(stor_volume_open(dev, &again, NULL), 0);
		assert_int_equal(stor_volume_check(again, false, NULL, NULL, &r, NULL), 0);
		assert_int_equal(r.bad_structures, 1);
		text = dump(again, "");
		free(text);
		stor_volume_free(again);
		vk_poke(off, old, 512);
	}
	stor_volume_free(vol);
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
		cmocka_unit_test_setup_teardown(test_damage, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_random_damage, vk_setup, vk_teardown),
	};

	cm_log_set_level(CM_LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
