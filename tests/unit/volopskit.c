/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volops.c - see volops.h.
 */
#include "config.h"

#include "tests/unit/volops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volfmt.h"

static const struct stor_uuid vm_a = {{1, 2, 3}}, vm_b = {{4, 5, 6}};
char vo_where[96] = "?";
uint32_t vo_sector = 512;

/* --- data ---------------------------------------------------------------- */

int vo_write(struct stor_volume *vol, const char *disk, uint64_t at, size_t n, unsigned seed)
{
	uint8_t *a = malloc(n);
	struct stor_dev *d;
	int rc;

	d = vk_open_dev(vol, disk, &rc);
	MUST(rc == 0);
	vk_fill(a, n, seed);
	rc = vk_disk_io(d, true, at, a, n);
	vk_close_dev(d);
	free(a);
	return rc;
}

int vo_read(struct stor_volume *vol, const char *disk, uint64_t at, size_t n, unsigned seed)
{
	uint8_t *a = malloc(n), *b = malloc(n), *zero = calloc(1, vo_sector);
	struct stor_dev *d;
	int rc, all = 1;

	d = vk_open_dev(vol, disk, &rc);
	MUST(rc == 0);
	vk_fill(a, n, seed);
	MUST(vk_disk_io(d, false, at, b, n) == 0);
	vk_close_dev(d);
	for (size_t i = 0; i < n; i += vo_sector) {
		if (memcmp(a + i, b + i, vo_sector) == 0)
			continue;
		all = 0;
		MUST(memcmp(zero, b + i, vo_sector) == 0);
	}
	free(a);
	free(b);
	free(zero);
	return all;
}

static void must_be_zero(struct stor_volume *vol, const char *disk, uint64_t at, size_t n)
{
	uint8_t *b = malloc(n);
	struct stor_dev *d;
	int rc;

	d = vk_open_dev(vol, disk, &rc);
	MUST(rc == 0);
	MUST(vk_disk_io(d, false, at, b, n) == 0);
	MUST(b[0] == 0 && memcmp(b, b + 1, n - 1) == 0);
	vk_close_dev(d);
	free(b);
}

void vo_leave_junk(struct stor_volume *vol)
{
	MUST(stor_volume_disk_create(vol, "junk", 8 * VK_EXTENT, false, NULL) == 0);
	for (unsigned i = 0; i < 8; i++) {
		MUST(vo_write(vol, "junk", i * VK_EXTENT, 4096, 99) == 0);
		MUST(vo_write(vol, "junk", (i + 1) * VK_EXTENT - 4096, 4096, 99) == 0);
	}
	MUST(stor_volume_disk_delete(vol, "junk", NULL) == 0);
}

static bool has_disk(struct stor_volume *vol, const char *name, struct stor_disk_info *info)
{
	struct stor_disk_info own;
	int rc = stor_volume_disk_info(vol, name, info ? info : &own, NULL);

	MUST(rc == 0 || rc == CM_E_NO_DISK);
	return rc == 0;
}

static int write_block(struct stor_volume *vol, const struct stor_uuid *vm)
{
	struct stor_block b = {.state = STOR_BLOCK_FREE, .vm = *vm, .epoch = 1};
	static uint8_t zero[4096], next[4096];
	uint64_t at;

	MUST(stor_volume_vm_block(vol, vm, true, &at, NULL) == 0);
	stor_block_encode(&b, next, vo_sector);
	return vk_caw(stor_volume_dev(vol), at, zero, next, vo_sector);
}

/* --- operations ---------------------------------------------------------- */

static int run_format(struct stor_volume *vol)
{
	return stor_volume_format(stor_volume_dev(vol), "again", VK_EXTENT, NULL);
}

static int state_format(struct stor_volume *vol)
{
	struct stor_volume_info vi;

	MUST(stor_volume_info(vol, &vi, NULL) == 0);
	if (strcmp(vi.name, "again") != 0)
		return 0; /* the old one, whole */
	MUST(vi.disks == 0 && vi.extents == vi.extents_free);
	return 1;
}

static int run_host(struct stor_volume *vol)
{
	uint16_t slot;

	return stor_volume_host_slot(vol, "node9", &slot, NULL);
}

static int state_host(struct stor_volume *vol)
{
	struct stor_volume_info vi;

	MUST(stor_volume_info(vol, &vi, NULL) == 0);
	return vi.hosts == 1;
}

static int run_create(struct stor_volume *vol)
{
	return stor_volume_disk_create(vol, "d", 4 * VK_EXTENT, false, NULL);
}

static int state_create(struct stor_volume *vol)
{
	return has_disk(vol, "d", NULL);
}

static int run_thick(struct stor_volume *vol)
{
	int rc = stor_volume_disk_delete(vol, "d", NULL);

	/* what an interrupted creation left is removed by name */
	return rc && rc != CM_E_NO_DISK
		       ? rc
		       : stor_volume_disk_create(vol, "d", 3 * VK_EXTENT, true, NULL);
}

static int state_thick(struct stor_volume *vol)
{
	struct stor_disk_info info;

	if (!has_disk(vol, "d", &info))
		return 0;
	MUST(info.allocated_bytes == 3 * VK_EXTENT);
	must_be_zero(vol, "d", 0, 3 * VK_EXTENT);
	return 1;
}

static void with_disk(struct stor_volume *vol)
{
	MUST(run_create(vol) == 0);
	MUST(vo_write(vol, "d", VK_EXTENT - 4096, 8192, 5) == 0);
}

static int run_delete(struct stor_volume *vol)
{
	return stor_volume_disk_delete(vol, "d", NULL);
}

static int state_delete(struct stor_volume *vol)
{
	if (!has_disk(vol, "d", NULL))
		return 1;
	MUST(vo_read(vol, "d", VK_EXTENT - 4096, 8192, 5) == 1);
	return 0;
}

static int run_resize(struct stor_volume *vol)
{
	return stor_volume_disk_resize(vol, "d", 6 * VK_EXTENT, NULL);
}

static int state_resize(struct stor_volume *vol)
{
	struct stor_disk_info info;

	MUST(has_disk(vol, "d", &info));
	MUST(info.size_bytes == 6 * VK_EXTENT || info.size_bytes == 4 * VK_EXTENT);
	MUST(vo_read(vol, "d", VK_EXTENT - 4096, 8192, 5) == 1);
	return info.size_bytes == 6 * VK_EXTENT;
}

static void with_thick(struct stor_volume *vol)
{
	MUST(run_thick(vol) == 0);
}

static int run_resize_thick(struct stor_volume *vol)
{
	return stor_volume_disk_resize(vol, "d", 5 * VK_EXTENT, NULL);
}

static int state_resize_thick(struct stor_volume *vol)
{
	struct stor_disk_info info;

	MUST(has_disk(vol, "d", &info));
	if (info.size_bytes == 5 * VK_EXTENT)
		MUST(info.allocated_bytes == 5 * VK_EXTENT);
	else
		MUST(info.size_bytes == 3 * VK_EXTENT);
	return info.size_bytes == 5 * VK_EXTENT;
}

static int run_rename(struct stor_volume *vol)
{
	return stor_volume_disk_rename(vol, "d", "e", NULL);
}

static int state_rename(struct stor_volume *vol)
{
	bool d = has_disk(vol, "d", NULL), e = has_disk(vol, "e", NULL);

	MUST(d != e);
	MUST(vo_read(vol, e ? "e" : "d", VK_EXTENT - 4096, 8192, 5) == 1);
	return e;
}

static int run_claim(struct stor_volume *vol)
{
	return stor_volume_disk_claim(vol, "d", &vm_a, NULL);
}

static int state_claim(struct stor_volume *vol)
{
	struct stor_disk_info info;

	MUST(has_disk(vol, "d", &info));
	MUST(stor_uuid_is_zero(&info.vm) || stor_uuid_equal(&info.vm, &vm_a));
	return !stor_uuid_is_zero(&info.vm);
}

static int run_image(struct stor_volume *vol)
{
	return stor_volume_image_create(vol, &vm_a, 4 * VK_EXTENT, NULL);
}

static int image_state(struct stor_volume *vol, struct stor_image_info *info)
{
	int rc = stor_volume_image_find(vol, &vm_a, info, NULL);

	MUST(rc == 0 || rc == CM_E_NO_DISK);
	return rc == 0;
}

static int state_image(struct stor_volume *vol)
{
	struct stor_image_info info;

	return image_state(vol, &info);
}

static int write_image(struct stor_volume *vol)
{
	uint8_t a[8192];
	struct stor_dev *d;
	int rc;

	d = vk_open_image(vol, &vm_a, &rc);
	MUST(rc == 0);
	vk_fill(a, sizeof a, 6);
	rc = vk_disk_io(d, true, VK_EXTENT - 4096, a, sizeof a);
	vk_close_dev(d);
	return rc;
}

static void with_image(struct stor_volume *vol)
{
	MUST(run_image(vol) == 0);
	MUST(write_image(vol) == 0);
}

static int run_seal(struct stor_volume *vol)
{
	return stor_volume_image_seal(vol, &vm_a, NULL);
}

static int state_seal(struct stor_volume *vol)
{
	struct stor_image_info info;

	MUST(image_state(vol, &info));
	return info.sealed;
}

static void with_sealed(struct stor_volume *vol)
{
	with_image(vol);
	MUST(run_seal(vol) == 0);
}

static int run_consume(struct stor_volume *vol)
{
	struct stor_image_info info;

	MUST(image_state(vol, &info));
	return stor_volume_image_consume(vol, &vm_a, &info.id, NULL);
}

static int state_consume(struct stor_volume *vol)
{
	struct stor_image_info info;

	if (!image_state(vol, &info))
		return 1;
	MUST(info.sealed);
	return 0;
}

static int run_drop(struct stor_volume *vol)
{
	return stor_volume_image_drop(vol, &vm_a, NULL);
}

/* A whole life of a saved state. Every moment in between is a good one. */
static int run_save(struct stor_volume *vol)
{
	struct stor_image_info info;
	int rc = stor_volume_image_drop(vol, &vm_a, NULL);

	rc = rc == CM_E_NO_DISK ? 0 : rc;
	rc = rc ? rc : run_image(vol);
	rc = rc ? rc : write_image(vol);
	rc = rc ? rc : run_seal(vol);
	rc = rc ? rc : stor_volume_image_find(vol, &vm_a, &info, NULL);
	return rc ? rc : stor_volume_image_consume(vol, &vm_a, &info.id, NULL);
}

static int state_save(struct stor_volume *vol)
{
	struct stor_image_info info;
	uint8_t a[8192], b[8192];
	struct stor_dev *d;
	int rc;

	if (!image_state(vol, &info) || !info.sealed)
		return 0;
	d = vk_open_image(vol, &vm_a, &rc);
	MUST(rc == 0);
	vk_fill(a, sizeof a, 6);
	MUST(vk_disk_io(d, false, VK_EXTENT - 4096, b, sizeof b) == 0);
	MUST(memcmp(a, b, sizeof a) == 0); /* sealed is complete */
	vk_close_dev(d);
	return 0;
}

/* Text that does not deflate: several sectors. */
static void conf_text(char *out, size_t n, unsigned seed)
{
	srand(seed);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)rand();
}

static int put(struct stor_volume *vol, unsigned seed, size_t n)
{
	char text[3000];

	conf_text(text, n, seed);
	return stor_volume_config_put(vol, &vm_a, "web", text, n, NULL);
}

static bool conf_is(struct stor_volume *vol, unsigned seed, size_t n)
{
	char want[3000], *text;
	size_t got;
	bool same;
	int rc = stor_volume_config_get(vol, &vm_a, &text, &got, NULL);

	MUST(rc == 0 || rc == CM_E_NO_VM);
	if (rc)
		return false;
	conf_text(want, n, seed);
	same = got == n && memcmp(want, text, n) == 0;
	free(text);
	return same;
}

static int run_put(struct stor_volume *vol)
{
	return put(vol, 1, 2500);
}

static int state_put(struct stor_volume *vol)
{
	char *text = NULL;
	size_t n;
	int rc = stor_volume_config_get(vol, &vm_a, &text, &n, NULL);

	free(text);
	MUST(rc == CM_E_NO_VM || (rc == 0 && conf_is(vol, 1, 2500)));
	return rc == 0;
}

static void with_config(struct stor_volume *vol)
{
	MUST(put(vol, 2, 900) == 0);
}

static int state_put_again(struct stor_volume *vol)
{
	bool now = conf_is(vol, 1, 2500);

	MUST(now || conf_is(vol, 2, 900));
	return now;
}

static int run_put_twice(struct stor_volume *vol)
{
	int rc = put(vol, 3, 100);

	return rc ? rc : put(vol, 1, 2500);
}

static int state_put_twice(struct stor_volume *vol)
{
	bool now = conf_is(vol, 1, 2500);

	MUST(now || conf_is(vol, 3, 100) || conf_is(vol, 2, 900));
	return now;
}

static int run_config_drop(struct stor_volume *vol)
{
	return stor_volume_config_drop(vol, &vm_a, NULL);
}

static int state_config_drop(struct stor_volume *vol)
{
	char *text;
	size_t n;
	int rc = stor_volume_config_get(vol, &vm_a, &text, &n, NULL);

	if (rc == CM_E_NO_VM)
		return 1;
	free(text);
	MUST(rc == 0 && conf_is(vol, 2, 900));
	return 0;
}

static int run_block(struct stor_volume *vol)
{
	return write_block(vol, &vm_b);
}

static int state_block(struct stor_volume *vol)
{
	uint64_t at;
	int rc = stor_volume_vm_block(vol, &vm_b, false, &at, NULL);

	MUST(rc == 0 || rc == CM_E_NO_VM);
	return rc == 0;
}

static void with_block(struct stor_volume *vol)
{
	MUST(run_block(vol) == 0);
}

static int run_forget(struct stor_volume *vol)
{
	return stor_volume_vm_forget(vol, &vm_b, NULL);
}

static int state_forget(struct stor_volume *vol)
{
	return !state_block(vol);
}

static void with_thin(struct stor_volume *vol)
{
	MUST(stor_volume_disk_create(vol, "d", 8 * VK_EXTENT, false, NULL) == 0);
}

/* Into three new extents: one batch, and then a sequential writer's next ones. */
static int run_write(struct stor_volume *vol)
{
	int rc = vo_write(vol, "d", VK_EXTENT / 2, 2 * VK_EXTENT, 8);

	return rc ? rc : vo_write(vol, "d", 3 * VK_EXTENT, 2 * VK_EXTENT, 9);
}

static int state_write(struct stor_volume *vol)
{
	int one = vo_read(vol, "d", VK_EXTENT / 2, 2 * VK_EXTENT, 8);

	must_be_zero(vol, "d", 0, VK_EXTENT / 2);
	must_be_zero(vol, "d", 5 * VK_EXTENT / 2, VK_EXTENT / 2);
	must_be_zero(vol, "d", 5 * VK_EXTENT, 3 * VK_EXTENT);
	return vo_read(vol, "d", 3 * VK_EXTENT, 2 * VK_EXTENT, 9) && one;
}

static void with_half(struct stor_volume *vol)
{
	with_thin(vol);
	MUST(cm_fault_arm("stor.disk.grow=error:5@1", NULL) == 0);
	MUST(vo_write(vol, "d", VK_EXTENT / 2, 2 * VK_EXTENT, 8) == -5);
	MUST(cm_fault_arm("", NULL) == 0);
}

static void with_written(struct stor_volume *vol)
{
	with_thin(vol);
	MUST(vo_write(vol, "d", 0, 4 * VK_EXTENT, 8) == 0);
}

/* Gives two extents back, and takes one again. */
static int run_discard(struct stor_volume *vol)
{
	struct stor_dev *d;
	int rc, rc2;

	d = vk_open_dev(vol, "d", &rc);
	MUST(rc == 0);
	rc = vk_discard(d, VK_EXTENT, 2 * VK_EXTENT);
	rc2 = rc ? rc : vo_write(vol, "d", VK_EXTENT, 4096, 11);
	vk_close_dev(d);
	return rc2;
}

static int state_discard(struct stor_volume *vol)
{
	uint8_t *a = malloc(4 * VK_EXTENT), *b = malloc(4 * VK_EXTENT), fresh[4096];
	struct stor_dev *d;
	bool old, gone = true;
	int rc;

	d = vk_open_dev(vol, "d", &rc);
	MUST(rc == 0);
	vk_fill(a, 4 * VK_EXTENT, 8);
	vk_fill(fresh, sizeof fresh, 11);
	MUST(vk_disk_io(d, false, 0, b, 4 * VK_EXTENT) == 0);
	vk_close_dev(d);
	MUST(memcmp(a, b, VK_EXTENT) == 0);
	MUST(memcmp(a + 3 * VK_EXTENT, b + 3 * VK_EXTENT, VK_EXTENT) == 0);
	for (unsigned x = 1; x <= 2; x++) { /* each of the two: old or zero (or the new write) */
		const uint8_t *p = b + x * VK_EXTENT;

		old = memcmp(p, a + x * VK_EXTENT, VK_EXTENT) == 0;
		for (size_t i = x == 1 ? sizeof fresh : 0; i < VK_EXTENT && !old; i++)
			MUST(p[i] == 0);
		gone = gone && !old;
	}
	gone = gone && memcmp(b + VK_EXTENT, fresh, sizeof fresh) == 0;
	free(a);
	free(b);
	return gone;
}

/* Everything that repair repairs, at once. */
static void with_wreck(struct stor_volume *vol)
{
	with_disk(vol);
	MUST(cm_fault_arm("stor.disk.deleting=error:5", NULL) == 0);
	MUST(stor_volume_disk_delete(vol, "d", NULL) == -5);
	MUST(cm_fault_arm("stor.disk.claimed=error:5", NULL) == 0);
	MUST(stor_volume_disk_create(vol, "x", VK_EXTENT, false, NULL) == -5);
	MUST(cm_fault_arm("", NULL) == 0);
	with_block(vol);
	MUST(run_forget(vol) == 0);
	vk_poke(0, "broken super block", 18);
}

static int run_repair(struct stor_volume *vol)
{
	struct stor_volume_report r;

	return stor_volume_check(vol, true, NULL, NULL, &r, NULL);
}

static int state_repair(struct stor_volume *vol)
{
	struct stor_volume_report r;

	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	return !r.leaked_extents && !r.unfinished && !r.bad_structures;
}

static int run_create_delete(struct stor_volume *vol)
{
	int rc = run_thick(vol);

	return rc ? rc : run_delete(vol);
}

static int state_create_delete(struct stor_volume *vol)
{
	struct stor_disk_info info;

	if (has_disk(vol, "d", &info))
		MUST(info.allocated_bytes == 3 * VK_EXTENT);
	return 0;
}

static void nothing(struct stor_volume *vol)
{
	(void)vol;
}

#define OP(n, p, r, s) .name = n, .prepare = p, .run = r, .state = s
const struct vo_op vo_ops[] = {
	{OP("format", nothing, run_format, state_format), .formats = true, .large = true},
	{OP("host slot", nothing, run_host, state_host)},
	{OP("disk create", nothing, run_create, state_create)},
	{OP("disk create thick", nothing, run_thick, state_thick)},
	{OP("disk delete", with_disk, run_delete, state_delete)},
	{OP("disk resize", with_disk, run_resize, state_resize)},
	{OP("disk resize thick", with_thick, run_resize_thick, state_resize_thick),
	 .no_repeat = true},
	{OP("disk rename", with_disk, run_rename, state_rename), .large = true},
	{OP("claim", with_disk, run_claim, state_claim)},
	{OP("image create", nothing, run_image, state_image)},
	{OP("image seal", with_image, run_seal, state_seal)},
	{OP("image consume", with_sealed, run_consume, state_consume)},
	{OP("image drop", with_sealed, run_drop, state_consume)},
	{OP("image, whole life", nothing, run_save, state_save), .no_end = true},
	{OP("config put", nothing, run_put, state_put), .large = true},
	{OP("config put again", with_config, run_put, state_put_again), .large = true},
	{OP("config put twice", with_config, run_put_twice, state_put_twice)},
	{OP("config drop", with_config, run_config_drop, state_config_drop)},
	{OP("block", nothing, run_block, state_block)},
	{OP("forget", with_block, run_forget, state_forget)},
	{OP("first writes", with_thin, run_write, state_write), .large = true},
	{OP("writes after a crash", with_half, run_write, state_write), .large = true},
	{OP("discard and write", with_written, run_discard, state_discard)},
	{OP("repair", with_wreck, run_repair, state_repair), .repairs = true},
	{OP("create and delete", nothing, run_create_delete, state_create_delete), .no_end = true},
};
const unsigned vo_count = sizeof vo_ops / sizeof *vo_ops;
