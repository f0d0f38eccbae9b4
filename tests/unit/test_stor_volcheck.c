/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_volcheck.c - damage of a volume: each structure that is damaged or cut off gives a
 * clear error or a complaint, never a crash, and hides nothing else.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_buf.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "tests/unit/volkit.h"

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
	struct cm_err err = CM_ERR_INIT;
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
	/* a block of another release: said, and never repaired away; a new VM does not take it for nobody's */
	assert_int_equal(pread(vk_file(), old, 512, (off_t)(s.vms_at + 1) * 512), 512);
	memcpy(sector, old, 512);
	cm_put_le16(sector + 8, 9);
	cm_put_le32(sector + 508, cm_crc32c(0, sector, 508));
	vk_poke((off_t)(s.vms_at + 1) * 512, sector, 512);
	use_all(vol, &disks, &configs, &vms, &r);
	assert_int_equal(r.bad_structures, 1);
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(pread(vk_file(), data, 512, (off_t)(s.vms_at + 1) * 512), 512);
	assert_memory_equal(data, sector, 512);
	rc = stor_volume_vm_block(vol, &vm[0], true, &at, &err); /* whose was it? the other one's is found */
	assert_int_equal(rc ? stor_volume_vm_block(vol, &vm[1], true, &at, NULL)
			    : stor_volume_vm_block(vol, &vm[1], true, &at, &err),
			 rc ? 0 : CM_E_LEASE_FORMAT);
	assert_true(!rc || rc == CM_E_LEASE_FORMAT);
	assert_non_null(strstr(err.text, "another release"));
	vk_poke((off_t)(s.vms_at + 1) * 512, old, 512);
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
		cmocka_unit_test_setup_teardown(test_damage, vk_setup, vk_teardown),
		cmocka_unit_test_setup_teardown(test_random_damage, vk_setup, vk_teardown),
	};

	cm_log_set_level(CM_LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
