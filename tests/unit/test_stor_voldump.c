/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_voldump.c - golden images: two frozen volumes (512- and 4096-byte sectors) that must load for ever. Each is
 * tests/golden/volume-SECTOR.z: zlib of {u64 number, sector} for each sector that is not zero; its
 * dump, character by character, is volume-SECTOR.dump. `test_stor_voldump make DIR` made them: it
 * is run again only for a new format, next to the old ones.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "common/cm_buf.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

#define GOLDEN_BYTES (40u << 20)
#define PLAIN_MAX    (4u << 20)

static const struct stor_uuid vm_web = {{0x10, 1, 2, 3}}, vm_db = {{0x20, 1, 2, 3}},
			      vm_gone = {{0x30, 1, 2, 3}};
static const char conf_web[] = "memory = 2G\ncpus = 4\ndisk = golden/web\n";
static const char *const dumps[] = {"all", "map:web", "map:thick",
				    "map:10010203-0000-0000-0000-000000000000"};

static char *dump_all(struct stor_volume *vol)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	for (size_t i = 0; i < CM_ARRAY_LEN(dumps); i++) {
		fprintf(f, "--- %s\n", dumps[i]);
		assert_int_equal(stor_volume_dump(vol, dumps[i], f, NULL), 0);
	}
	fclose(f);
	return text;
}

static void golden_name(char *out, size_t cap, const char *dir, uint32_t sector, const char *kind)
{
	snprintf(out, cap, "%s/volume-%u.%s", dir, sector, kind);
}

static void make_block(struct stor_volume *vol, const struct stor_uuid *vm, const char *node,
		       uint32_t sector)
{
	struct stor_block b = {.state = node ? STOR_BLOCK_RUNNING : STOR_BLOCK_FREE,
			       .vm = *vm,
			       .epoch = 5,
			       .renewal = 9,
			       .io_timeout_ms = 2000,
			       .nonce = {{0xaa, 0xbb}}};
	uint8_t next[4096];
	uint64_t at;

	if (node) {
		b.owner = (struct stor_owner){
			.pid = 42, .host_slot = 1, .watchdog = STOR_WATCHDOG_SOFT, .keys = {{.key = 0x4856000100000001, .lun = 7}}};
		snprintf(b.owner.node, sizeof b.owner.node, "%s", node);
	}
	VK_MUST(stor_volume_vm_block(vol, vm, true, &at, NULL) == 0);
	stor_block_encode(&b, next, sector);
	vk_poke((off_t)at, next, sector);
}

/* --- load ---------------------------------------------------------------- */

static uint8_t *read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = calloc(1, PLAIN_MAX);

	if (!f)
		fail_msg("%s is missing", path);
	*n = fread(p, 1, PLAIN_MAX - 1, f);
	fclose(f);
	return p;
}

static void load(uint32_t sector)
{
	uint8_t *packed, *plain = malloc(PLAIN_MAX);
	uLongf bytes = PLAIN_MAX;
	char path[256];
	size_t n;

	golden_name(path, sizeof path, GOLDEN_DIR, sector, "z");
	packed = read_file(path, &n);
	assert_int_equal(uncompress(plain, &bytes, packed, n), Z_OK);
	for (uint8_t *p = plain; p < plain + bytes; p += 8 + sector)
		vk_poke((off_t)(cm_le64(p) * sector), p + 8, sector);
	free(packed);
	free(plain);
}

static int claim_web(struct stor_volume *vol, const struct stor_uuid *vm)
{
	const struct stor_claim c = {.vm = *vm, .home = stor_volume_id(vol), .epoch = 5, .node = "node1"};

	return stor_volume_disk_claim(vol, "web", &c, false, NULL, NULL);
}

static void check_contents(struct stor_volume *vol)
{
	struct stor_dev *d;
	uint8_t a[8192], b[8192];
	struct stor_image_info image;
	uint64_t at;
	char *text;
	size_t n;
	int rc;

	d = vk_open_dev(vol, "web", &rc);
	assert_int_equal(rc, 0);
	vk_fill(a, sizeof a, 1);
	assert_int_equal(vk_disk_io(d, false, VK_EXTENT - 4096, b, sizeof b), 0);
	assert_memory_equal(a, b, sizeof a);
	/* and it goes on living */
	assert_int_equal(vk_disk_io(d, true, 2 * VK_EXTENT, a, sizeof a), 0);
	vk_close_dev(d);
	assert_int_equal(stor_volume_config_get(vol, &vm_web, &text, &n, NULL), 0);
	assert_string_equal(text, conf_web);
	free(text);
	assert_int_equal(stor_volume_image_find(vol, &vm_web, &image, NULL), 0);
	assert_true(image.sealed);
	assert_int_equal(stor_volume_image_consume(vol, &vm_web, &image.id, NULL), 0);
	assert_int_equal(stor_volume_vm_block(vol, &vm_web, false, &at, NULL), 0);
	/* a damaged sector may be any VM's that has no other */
	assert_int_equal(stor_volume_vm_block(vol, &vm_gone, true, &at, NULL), CM_E_LEASE_CORRUPT);
	assert_int_equal(claim_web(vol, &vm_db), CM_E_DISK_BUSY);
	assert_int_equal(stor_volume_disk_create(vol, "new", VK_EXTENT, true, NULL), 0);
}

static void golden(uint32_t sector)
{
	struct stor_volume_report r;
	struct stor_volume *vol;
	struct stor_dev *dev;
	char path[256], *text;
	uint8_t *want;
	uint64_t at;
	size_t n;

	vk_new_file(GOLDEN_BYTES, sector);
	load(sector);
	vk_start();
	vol = vk_attach(&dev, false);
	text = dump_all(vol);
	golden_name(path, sizeof path, GOLDEN_DIR, sector, "dump");
	want = read_file(path, &n);
	assert_string_equal(text, (char *)want);
	free(text);
	free(want);
	assert_int_equal(stor_volume_check(vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.bad_structures, 1);
	assert_int_equal(r.unfinished, 3); /* a deletion, a creation, a forgotten VM */
	assert_int_equal(r.leaked_extents, 1);
	check_contents(vol);
	/* it holds disk web, and nothing is repaired under it */
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), CM_E_DISK_BUSY);
	make_block(vol, &vm_web, NULL, sector);
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(stor_volume_vm_block(vol, &vm_gone, false, &at, NULL), CM_E_NO_VM);
	assert_int_equal(stor_volume_check(vol, false, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.bad_structures, 0);
	assert_int_equal(r.leaked_extents + r.doubly_used_extents + r.unfinished, 0);
	stor_volume_free(vol);
	vk_close_dev(dev);
	vk_stop();
	vk_end_file();
}

static void test_512(void **state)
{
	(void)state;
	golden(512);
}

static void test_4096(void **state)
{
	(void)state;
	golden(4096);
}

/* --- make ---------------------------------------------------------------- */

static void make_write(struct stor_dev *d, int rc)
{
	uint8_t a[8192];

	VK_MUST(rc == 0);
	vk_fill(a, sizeof a, 1);
	VK_MUST(vk_disk_io(d, true, VK_EXTENT - 4096, a, sizeof a) == 0);
	vk_close_dev(d);
}

static int read_thick(struct stor_volume *vol)
{
	const struct stor_claim c = {
		.vm = vm_web, .home = stor_volume_id(vol), .epoch = 5, .node = "node1"};
	struct stor_disk_info info;

	return stor_volume_reader_claim(vol, "thick", &c, &info, NULL);
}

static void make_volume(struct stor_volume *vol, uint32_t sector)
{
	static const char broken[] = "no ownership block, but something";
	struct stor_dev *d;
	uint16_t slot;
	int rc;

	VK_MUST(stor_volume_host_slot(vol, "node1", &slot, NULL) == 0);
	VK_MUST(stor_volume_host_slot(vol, "node2", &slot, NULL) == 0);
	make_block(vol, &vm_web, "node1", sector);
	make_block(vol, &vm_db, NULL, sector);
	make_block(vol, &vm_gone, NULL, sector);
	VK_MUST(stor_volume_vm_forget(vol, &vm_gone, NULL) == 0);
	vk_poke((72 + 1000) * (off_t)sector, broken, sizeof broken);
	VK_MUST(stor_volume_disk_create(vol, "web", 4 * VK_EXTENT, false, NULL) == 0);
	d = vk_open_dev(vol, "web", &rc);
	make_write(d, rc);
	VK_MUST(claim_web(vol, &vm_web) == 0);
	VK_MUST(stor_volume_disk_create(vol, "thick", 2 * VK_EXTENT, true, NULL) == 0);
	VK_MUST(read_thick(vol) == 0);
	VK_MUST(stor_volume_image_create(vol, &vm_web, 3 * VK_EXTENT, NULL) == 0);
	d = vk_open_image(vol, &vm_web, &rc);
	make_write(d, rc);
	VK_MUST(stor_volume_image_seal(vol, &vm_web, NULL) == 0);
	VK_MUST(stor_volume_disk_create(vol, "going", VK_EXTENT, true, NULL) == 0);
	cm_fault_arm("stor.disk.deleting=error:5", NULL);
	VK_MUST(stor_volume_disk_delete(vol, "going", NULL) == -5);
	cm_fault_arm("stor.disk.claimed=error:5", NULL);
	VK_MUST(stor_volume_disk_create(vol, "coming", VK_EXTENT, false, NULL) == -5);
	cm_fault_arm("", NULL);
	VK_MUST(stor_volume_config_put(vol, &vm_web, "web", "old\n", 4, NULL) == 0);
	VK_MUST(stor_volume_config_put(vol, &vm_web, "web", conf_web, strlen(conf_web), NULL) == 0);
	VK_MUST(stor_volume_config_put(vol, &vm_db, "db", "x\n", 2, NULL) == 0);
	VK_MUST(stor_volume_config_drop(vol, &vm_db, NULL) == 0);
}

static void save(const char *dir, uint32_t sector, const char *text)
{
	uint8_t *plain = malloc(PLAIN_MAX), *packed, one[4096];
	uLongf bytes;
	size_t n = 0;
	char path[256];
	FILE *f;

	for (uint64_t i = 0; i < GOLDEN_BYTES / sector; i++) {
		VK_MUST(pread(vk_file(), one, sector, (off_t)(i * sector)) == (ssize_t)sector);
		if (one[0] == 0 && memcmp(one, one + 1, sector - 1) == 0)
			continue;
		VK_MUST(n + 8 + sector <= PLAIN_MAX);
		cm_put_le64(plain + n, i);
		memcpy(plain + n + 8, one, sector);
		n += 8 + sector;
	}
	bytes = compressBound(n);
	packed = malloc(bytes);
	VK_MUST(compress2(packed, &bytes, plain, n, 9) == Z_OK);
	golden_name(path, sizeof path, dir, sector, "z");
	f = fopen(path, "wb");
	VK_MUST(f && fwrite(packed, 1, bytes, f) == bytes && fclose(f) == 0);
	golden_name(path, sizeof path, dir, sector, "dump");
	f = fopen(path, "wb");
	VK_MUST(f && fputs(text, f) >= 0 && fclose(f) == 0);
	free(plain);
	free(packed);
}

static int make(const char *dir)
{
	for (uint32_t sector = 512; sector <= 4096; sector *= 8) {
		struct stor_volume *vol;
		struct stor_dev *dev;
		char *text;

		vk_new_file(GOLDEN_BYTES, sector);
		vk_start();
		vol = vk_attach(&dev, true);
		make_volume(vol, sector);
		text = dump_all(vol);
		stor_volume_free(vol);
		vk_close_dev(dev);
		save(dir, sector, text);
		free(text);
		vk_stop();
		vk_end_file();
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_512),
		cmocka_unit_test(test_4096),
	};

	cm_log_set_level(CM_LOG_NONE);
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return make(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
