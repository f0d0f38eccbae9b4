/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volopskit.c - operations on disks, and what they share with volvmopskit.c. See volopskit.h.
 */
#include "config.h"

#include "tests/unit/volopskit.h"

#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"

char vo_where[96] = "?";
uint32_t vo_sector = 512;

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

bool vo_has_disk(struct stor_volume *vol, const char *name, struct stor_disk_info *info)
{
	struct stor_disk_info own;
	int rc = stor_volume_disk_info(vol, name, info ? info : &own, NULL);

	MUST(rc == 0 || rc == CM_E_NO_DISK);
	return rc == 0;
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
	return vo_has_disk(vol, "d", NULL);
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

	if (!vo_has_disk(vol, "d", &info))
		return 0;
	MUST(info.allocated_bytes == 3 * VK_EXTENT);
	must_be_zero(vol, "d", 0, 3 * VK_EXTENT);
	return 1;
}

void vo_with_disk(struct stor_volume *vol)
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
	if (!vo_has_disk(vol, "d", NULL))
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

	MUST(vo_has_disk(vol, "d", &info));
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

	MUST(vo_has_disk(vol, "d", &info));
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
	bool d = vo_has_disk(vol, "d", NULL), e = vo_has_disk(vol, "e", NULL);

	MUST(d != e);
	MUST(vo_read(vol, e ? "e" : "d", VK_EXTENT - 4096, 8192, 5) == 1);
	return e;
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

static int run_create_delete(struct stor_volume *vol)
{
	int rc = run_thick(vol);

	return rc ? rc : run_delete(vol);
}

static int state_create_delete(struct stor_volume *vol)
{
	struct stor_disk_info info;

	if (vo_has_disk(vol, "d", &info))
		MUST(info.allocated_bytes == 3 * VK_EXTENT);
	return 0;
}

void vo_nothing(struct stor_volume *vol)
{
	(void)vol;
}

#define OP(n, p, r, s) .name = n, .prepare = p, .run = r, .state = s
const struct vo_op vo_disk_ops[] = {
	{OP("format", vo_nothing, run_format, state_format), .formats = true, .large = true},
	{OP("host slot", vo_nothing, run_host, state_host)},
	{OP("disk create", vo_nothing, run_create, state_create)},
	{OP("disk create thick", vo_nothing, run_thick, state_thick)},
	{OP("disk delete", vo_with_disk, run_delete, state_delete)},
	{OP("disk resize", vo_with_disk, run_resize, state_resize)},
	{OP("disk resize thick", with_thick, run_resize_thick, state_resize_thick)},
	{OP("disk rename", vo_with_disk, run_rename, state_rename), .large = true},
	{OP("first writes", with_thin, run_write, state_write), .large = true},
	{OP("writes after a crash", with_half, run_write, state_write), .large = true},
	{OP("discard and write", with_written, run_discard, state_discard)},
	{OP("create and delete", vo_nothing, run_create_delete, state_create_delete), .no_end = true},
};
const unsigned vo_disk_count = CM_ARRAY_LEN(vo_disk_ops);
