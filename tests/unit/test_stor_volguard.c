/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_volguard.c - what lies on a LUN that is to become a volume: each kind of data is seen
 * and named, an empty LUN is empty, and a volume is the one that is meant.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "common/cm_buf.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "sharedstorage/volume/stor_volguard.h"

static struct stor_found look(void)
{
	struct cm_err err = CM_ERR_INIT;
	struct stor_found f;
	struct stor_dev *dev;
	int rc;

	dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(rc, 0);
	rc = stor_volume_look(dev, &f, &err);
	if (rc)
		fail_msg("%s", err.text);
	vk_close_dev(dev);
	return f;
}

static void must_find(const char *words)
{
	struct stor_found f = look();

	if (!f.any || !strstr(f.words, words))
		fail_msg("found '%s', wanted '%s'", f.words, words);
}

static void run(const char *fmt, ...) cm_printf(1, 2);
static void run(const char *fmt, ...)
{
	char line[512], path[64];
	size_t n;
	va_list ap;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), vk_file());
	va_start(ap, fmt);
	n = (size_t)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	snprintf(line + n, sizeof line - n, " %s >/dev/null 2>&1", path);
	assert_int_equal(system(line), 0);
}

static void test_empty(void **state)
{
	(void)state;
	assert_false(look().any);
}

static void test_ext4(void **state)
{
	(void)state;
	run("PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext4 -L letters");
	must_find("ext4 (label 'letters')");
}

static void test_swap(void **state)
{
	(void)state;
	run("PATH=$PATH:/sbin:/usr/sbin mkswap");
	must_find("swap");
}

static void test_mbr(void **state)
{
	uint8_t s[512] = {0};

	(void)state;
	s[446 + 4] = 0x83; /* type */
	cm_put_le32(s + 446 + 8, 2048);
	cm_put_le32(s + 446 + 12, 4096);
	s[510] = 0x55;
	s[511] = 0xaa;
	vk_poke(0, s, sizeof s);
	must_find("a partition table (dos)");
}

/* The second header alone: the first one is gone. */
static void test_gpt_at_the_end(void **state)
{
	static uint8_t entries[128 * 128];
	const uint64_t last = VK_BYTES / 512 - 1;
	uint8_t h[512] = {0};

	(void)state;
	entries[0] = 0xaf; /* type and id: any */
	entries[16] = 1;
	cm_put_le64(entries + 32, 2048);
	cm_put_le64(entries + 40, 4096);
	memcpy(h, "EFI PART", 8);
	cm_put_le32(h + 8, 0x10000);
	cm_put_le32(h + 12, 92);
	cm_put_le64(h + 24, last);
	cm_put_le64(h + 32, 1);
	cm_put_le64(h + 40, 34);
	cm_put_le64(h + 48, last - 33);
	h[56] = 7;
	cm_put_le64(h + 72, last - 32);
	cm_put_le32(h + 80, 128);
	cm_put_le32(h + 84, 128);
	cm_put_le32(h + 88, (uint32_t)crc32(0, entries, sizeof entries));
	cm_put_le32(h + 16, (uint32_t)crc32(0, h, 92));
	vk_poke((off_t)(last - 32) * 512, entries, sizeof entries);
	vk_poke((off_t)last * 512, h, sizeof h);
	{
		uint8_t s[512] = {0}; /* the protective one */

		s[446 + 4] = 0xee;
		cm_put_le32(s + 446 + 8, 1);
		cm_put_le32(s + 446 + 12, (uint32_t)last);
		s[510] = 0x55;
		s[511] = 0xaa;
		vk_poke(0, s, sizeof s);
	}
	must_find("a partition table (gpt)");
}

/* LVM's checksum: the usual polynomial, another beginning, not inverted. */
static uint32_t lvm_crc(const uint8_t *p, size_t n)
{
	uint32_t c = 0xf597a6cf;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (unsigned k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
	}
	return c;
}

static void test_lvm(void **state)
{
	uint8_t s[512] = {0};

	(void)state;
	memcpy(s, "LABELONE", 8);
	cm_put_le64(s + 8, 1);
	cm_put_le32(s + 20, 32);
	memcpy(s + 24, "LVM2 001", 8);
	memcpy(s + 32, "abcdefghijklmnopqrstuvwxyz012345", 32);
	cm_put_le32(s + 16, lvm_crc(s + 20, sizeof s - 20));
	vk_poke(512, s, sizeof s);
	must_find("LVM2_member");
}

static void test_cluster_peers(void **state)
{
	uint8_t s[512] = {0};

	(void)state;
	memcpy(s, "SBD_SBD_", 8);
	vk_poke(0, s, sizeof s);
	must_find("an SBD device");
	memset(s, 0, sizeof s);
	cm_put_le32(s, 0x12212010);
	vk_poke(0, s, sizeof s);
	must_find("leases of sanlock");
	memset(s, 0, sizeof s);
	memcpy(s, "HVOWNBLK", 8);
	vk_poke(0, s, sizeof s);
	must_find("an ownership block");
}

/* --- a volume of ours ------------------------------------------------------- */

static void make(struct stor_uuid *id)
{
	struct stor_uuid vm = {{1}};
	struct stor_volume_info vi;
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);

	assert_int_equal(stor_volume_disk_create(vol, "a", VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "b", VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_config_put(vol, &vm, "x", "y", 1, NULL), 0);
	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	*id = vi.id;
	stor_volume_free(vol);
	vk_close_dev(dev);
}

static void test_volume(void **state)
{
	struct stor_found f;
	struct stor_super s;
	struct stor_uuid id;
	uint8_t zero[1024] = {0}, forming[512];

	(void)state;
	make(&id);
	must_find("volume 'v0' (2 disks, 0 saved states, 1 VM definition)");
	f = look();
	assert_true(stor_uuid_equal(&id, &f.volume));
	vk_poke(0, zero, 512); /* by the second copy */
	must_find("volume 'v0' (2 disks");
	vk_poke(0, "HVVOLUM9", 8); /* of another release */
	vk_poke(512, zero, 512);
	must_find("of another release");
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	stor_forming_encode(&s, forming);
	vk_poke(0, forming, sizeof forming);
	must_find("was interrupted");
}

/* The URL says which volume it means. */
static void test_meant(void **state)
{
	struct stor_uuid id, no = {{9}};
	struct cm_err err = CM_ERR_INIT;
	char plain[256], url[256];
	struct stor_volume *vol;
	struct stor_dev *dev;
	int rc;

	(void)state;
	make(&id);
	snprintf(plain, sizeof plain, "%s", vk_url);
	assert_int_equal(stor_url_bind(plain, &id, 0, url, sizeof url, NULL), 0);
	snprintf(vk_url, sizeof vk_url, "%s", url);
	dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(stor_volume_open(dev, &vol, NULL), 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
	assert_int_equal(stor_url_bind(plain, &no, 0, url, sizeof url, NULL), 0);
	snprintf(vk_url, sizeof vk_url, "%s", url);
	dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(stor_volume_open(dev, &vol, &err), CM_E_VOL_OTHER);
	assert_non_null(strstr(err.text, "hvctl volume attach"));
	vk_close_dev(dev);
	snprintf(vk_url, sizeof vk_url, "%s", plain);
}

/* --- two that make a volume at once ----------------------------------------- */

struct maker {
	struct stor_dev *dev;
	int rc;
	pthread_t thread;
};

static void *make_one(void *arg)
{
	struct maker *m = arg;

	m->rc = stor_volume_format(m->dev, "v0", VK_EXTENT, NULL);
	return NULL;
}

static void test_two_makers(void **state)
{
	struct stor_volume *vol;
	struct maker m[2];
	unsigned ok;
	int rc;

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		for (unsigned i = 0; i < 2; i++)
			m[i].dev = vk_open_dev(NULL, NULL, &rc);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&m[i].thread, NULL, make_one, &m[i]), 0);
		ok = 0;
		for (unsigned i = 0; i < 2; i++) {
			pthread_join(m[i].thread, NULL);
			assert_true(m[i].rc == 0 || m[i].rc == CM_E_DISK_BUSY);
			ok += m[i].rc == 0;
		}
		assert_true(ok >= 1); /* both: one after the other */
		assert_int_equal(stor_volume_open(m[0].dev, &vol, NULL), 0);
		vk_check_clean(vol, false, 0);
		stor_volume_free(vol);
		for (unsigned i = 0; i < 2; i++)
			vk_close_dev(m[i].dev);
	}
}

/* --- a VM that runs --------------------------------------------------------- */

static void put_block(uint64_t renewal, uint32_t io_timeout_ms)
{
	struct stor_block b = {.state = STOR_BLOCK_RUNNING,
			       .vm = {{1}},
			       .epoch = 1,
			       .renewal = renewal,
			       .io_timeout_ms = io_timeout_ms,
			       .owner = {.node = "n7", .pid = 1}};
	uint8_t s[512];

	stor_block_encode(&b, s, sizeof s);
	vk_poke(80 * 512, s, sizeof s);
}

static void *renew(void *arg)
{
	for (uint64_t n = 2; !*(volatile bool *)arg; n++) {
		put_block(n, 5000); /* a long T: this machine may be slow */
		usleep(1000);
	}
	return NULL;
}

static void test_alive(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct stor_uuid id;
	struct stor_dev *dev;
	volatile bool stop = false;
	pthread_t thread;
	int rc;

	(void)state;
	make(&id);
	dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(stor_volume_alive(dev, &err), 0);
	put_block(1, 100);
	assert_int_equal(stor_volume_alive(dev, &err), 0); /* a dead owner's */
	assert_int_equal(pthread_create(&thread, NULL, renew, (void *)(uintptr_t)&stop), 0);
	rc = stor_volume_alive(dev, &err);
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(rc, CM_E_DISK_BUSY);
	assert_non_null(strstr(err.text, "runs on node n7"));
	vk_close_dev(dev);
}

#define ROW(t) cmocka_unit_test_setup_teardown(t, vk_setup, vk_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_empty),
		ROW(test_ext4),
		ROW(test_swap),
		ROW(test_mbr),
		ROW(test_gpt_at_the_end),
		ROW(test_lvm),
		ROW(test_cluster_peers),
		ROW(test_volume),
		ROW(test_meant),
		ROW(test_two_makers),
		ROW(test_alive),
	};

	cm_log_set_level(CM_LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
