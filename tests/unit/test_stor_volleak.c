/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_volleak.c - volume check --repair while others work on the volume: what they took
 * since it looked at the slots is theirs, and what it ends of theirs ends with words and harms
 * nobody. The complaints of the check are the moments at which the others act.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

/* The volume as another host sees it, and its disks. */
static struct other {
	struct stor_dev *dev, *disk;
	struct stor_volume *vol;
	struct stor_uuid vm;
	const char *at; /* the complaint at which fn acts, once */
	void (*fn)(struct other *o);
	unsigned acted;
} other;

static uint8_t data[VK_EXTENT], back[VK_EXTENT];

static void on_complaint(const char *text, void *arg)
{
	struct other *o = arg;

	if (strstr(text, o->at) && !o->acted++)
		o->fn(o);
}

static void write_extent(struct stor_dev *disk, uint64_t extent, unsigned seed)
{
	vk_fill(data, sizeof data, seed);
	assert_int_equal(vk_disk_io(disk, true, extent * VK_EXTENT, data, sizeof data), 0);
}

static void must_read(struct stor_dev *disk, uint64_t extent, unsigned seed)
{
	vk_fill(data, sizeof data, seed);
	assert_int_equal(vk_disk_io(disk, false, extent * VK_EXTENT, back, sizeof back), 0);
	assert_memory_equal(data, back, sizeof data);
}

/* Whatever is free goes to a new disk and is written. */
static void use_up(struct stor_volume *vol)
{
	struct stor_volume_info vi;
	struct stor_dev *disk;
	int rc;

	assert_int_equal(stor_volume_info(vol, &vi, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "rest", vi.extents_free * VK_EXTENT, false, NULL), 0);
	disk = vk_open_dev(vol, "rest", &rc);
	assert_int_equal(rc, 0);
	for (uint64_t i = 0; i < vi.extents_free; i++)
		write_extent(disk, i, 200 + (unsigned)i);
	vk_close_dev(disk);
}

static void leave_creation(struct stor_volume *vol)
{
	assert_int_equal(cm_fault_arm("stor.disk.claimed=error:5", NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "left", 4 * VK_EXTENT, false, NULL), -5);
	cm_fault_arm("", NULL);
}

/* A check that finds an interrupted creation, and at that moment the other host acts; then the
 * volume is used up: nothing of the other's may be given away. */
static void repair_beside(void (*fn)(struct other *o))
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_report r;
	int rc;

	other = (struct other){.at = "creation", .fn = fn, .vm = {{7}}};
	other.vol = vk_attach(&other.dev, false);
	assert_int_equal(stor_volume_disk_create(vol, "d", 4 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "t", 4 * VK_EXTENT, true, NULL), 0);
	leave_creation(vol);
	other.disk = vk_open_dev(other.vol, "d", &rc);
	write_extent(other.disk, 0, 1);
	assert_int_equal(stor_volume_check(vol, true, on_complaint, &other, &r, NULL), 0);
	assert_int_equal(other.acted, 1);
	assert_int_equal(r.leaked_extents, 0);
	assert_int_equal(r.doubly_used_extents, 0);
	use_up(vol);
	must_read(other.disk, 0, 1);
}

static void finish(void)
{
	vk_check_clean(other.vol, false, 0);
	if (other.disk)
		vk_close_dev(other.disk);
}

static void grow_and_write(struct other *o)
{
	uint64_t size;

	assert_int_equal(stor_volume_disk_resize(o->vol, "d", 8 * VK_EXTENT, NULL), 0);
	assert_int_equal(vk_reload(o->disk, &size), 0);
	write_extent(o->disk, 6, 2);
}

static void test_grow(void **state)
{
	(void)state;
	repair_beside(grow_and_write);
	must_read(other.disk, 6, 2);
	finish();
}

static void grow_thick(struct other *o)
{
	assert_int_equal(stor_volume_disk_resize(o->vol, "t", 8 * VK_EXTENT, NULL), 0);
}

static void test_grow_thick(void **state)
{
	struct stor_disk_info di;

	(void)state;
	repair_beside(grow_thick);
	assert_int_equal(stor_volume_disk_info(other.vol, "t", &di, NULL), 0);
	assert_int_equal(di.allocated_bytes, 8 * VK_EXTENT);
	finish();
}

static void create_and_write(struct other *o)
{
	int rc;

	assert_int_equal(stor_volume_disk_create(o->vol, "new", 4 * VK_EXTENT, false, NULL), 0);
	assert_int_equal(stor_volume_disk_create(o->vol, "thick", 4 * VK_EXTENT, true, NULL), 0);
	vk_close_dev(o->disk);
	o->disk = vk_open_dev(o->vol, "new", &rc);
	write_extent(o->disk, 0, 1);
	write_extent(o->disk, 3, 2);
}

static void test_create(void **state)
{
	struct stor_disk_info di;

	(void)state;
	repair_beside(create_and_write);
	must_read(other.disk, 3, 2);
	assert_int_equal(stor_volume_disk_info(other.vol, "thick", &di, NULL), 0);
	assert_int_equal(di.allocated_bytes, 4 * VK_EXTENT);
	finish();
}

static void save_state(struct other *o)
{
	int rc;

	assert_int_equal(stor_volume_image_create(o->vol, &o->vm, 4 * VK_EXTENT, NULL), 0);
	vk_close_dev(o->disk);
	o->disk = vk_open_image(o->vol, &o->vm, &rc);
	write_extent(o->disk, 0, 1);
	write_extent(o->disk, 2, 2);
}

static void test_image(void **state)
{
	(void)state;
	repair_beside(save_state);
	must_read(other.disk, 2, 2);
	finish();
}

/* The slot of a disk that was deleted is another disk's at once, with the next generation. */
static void reuse_and_write(struct other *o)
{
	int rc;

	vk_close_dev(o->disk);
	assert_int_equal(stor_volume_disk_delete(o->vol, "d", NULL), 0);
	assert_int_equal(stor_volume_disk_create(o->vol, "e", 4 * VK_EXTENT, false, NULL), 0);
	o->disk = vk_open_dev(o->vol, "e", &rc);
	write_extent(o->disk, 0, 1);
}

static void test_reuse(void **state)
{
	(void)state;
	repair_beside(reuse_and_write);
	finish();
}

/* --- an entry behind a disk's end: nobody's, until the disk grows over it ------------------- */

static void poke_entry(const struct stor_extent *e, unsigned at)
{
	struct stor_super s;
	uint8_t sector[512];

	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	assert_int_equal(pread(vk_file(), sector, 512, (off_t)s.table_at * 512), 512);
	stor_table_put(sector, at, e);
	stor_table_seal(sector, 512);
	vk_poke((off_t)s.table_at * 512, sector, 512);
}

/* The check has read the slot, found the entry dead, and is about to free it. */
static void test_grow_over_leak(void **state)
{
	struct stor_extent e = {.state = STOR_EXTENT_USED, .disk = 0, .generation = 1, .logical = 6};
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_volume_report r;
	int rc;

	(void)state;
	other = (struct other){.at = "belongs to no disk", .fn = grow_and_write};
	other.vol = vk_attach(&other.dev, false);
	assert_int_equal(stor_volume_disk_create(vol, "d", 4 * VK_EXTENT, false, NULL), 0);
	other.disk = vk_open_dev(other.vol, "d", &rc);
	write_extent(other.disk, 0, 1);
	poke_entry(&e, 30);
	assert_int_equal(stor_volume_check(vol, true, on_complaint, &other, &r, NULL), 0);
	assert_int_equal(other.acted, 1);
	assert_int_equal(r.leaked_extents, 1);
	use_up(vol);
	must_read(other.disk, 0, 1);
	must_read(other.disk, 6, 2);
	finish();
}

/* --- work that the repair ends, or that comes late ------------------------------------------ */

struct late {
	struct stor_volume *vol;
	struct cm_err err;
	int rc;
	pthread_t thread;
};

static void *late_grow(void *arg)
{
	struct late *l = arg;

	l->rc = stor_volume_disk_resize(l->vol, "t", 8 * VK_EXTENT, &l->err);
	return NULL;
}

/* The fault point of late_begin is for the first pass only. */
static void *late_grow_skip(void *arg)
{
	struct late *l = arg;

	l->rc = stor_volume_disk_resize(l->vol, "t", 10 * VK_EXTENT, &l->err);
	return NULL;
}

static void *late_create(void *arg)
{
	struct late *l = arg;

	l->rc = stor_volume_disk_create(l->vol, "late", 4 * VK_EXTENT, true, &l->err);
	return NULL;
}

static bool says(struct stor_volume *vol, const char *words)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	bool found;

	assert_int_equal(stor_volume_dump(vol, "disks", f, NULL), 0);
	fclose(f);
	found = strstr(text, words);
	free(text);
	return found;
}

/* Begins the work, which stops at the fault point when the volume says so. */
static void late_begin(struct late *l, void *(*fn)(void *), const char *point, const char *words)
{
	char spec[64];

	snprintf(spec, sizeof spec, "%s=delay:3600000@1", point);
	assert_int_equal(cm_fault_arm(spec, NULL), 0);
	assert_int_equal(pthread_create(&l->thread, NULL, fn, l), 0);
	while (!says(l->vol, words))
		usleep(1000);
}

static void late_end(struct late *l)
{
	cm_fault_arm("", NULL);
	pthread_join(l->thread, NULL);
}

/* A growth that was frozen while the repair ended it and all space went to others. */
static void late_growth(const char *point)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct late l = {.vol = vol, .rc = 1};
	struct stor_volume_report r;
	struct stor_dev *rest;
	int rc;

	assert_int_equal(stor_volume_disk_create(vol, "t", 4 * VK_EXTENT, true, NULL), 0);
	late_begin(&l, late_grow, point, "being grown");
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 1);
	use_up(vol);
	late_end(&l);
	assert_int_equal(l.rc, CM_E_DISK_BUSY);
	assert_non_null(strstr(l.err.text, "growth of disk t was ended"));
	rest = vk_open_dev(vol, "rest", &rc);
	for (unsigned i = 0; i < 8; i++)
		must_read(rest, i, 200 + i);
	vk_close_dev(rest);
	vk_check_clean(vol, false, 0);
}

static void test_late_growth(void **state)
{
	(void)state;
	late_growth("stor.disk.growing");
}

static void test_late_growth_taken(void **state)
{
	(void)state;
	late_growth("stor.disk.grown");
}

/* ... and then the disk was grown again, by another host: what that one took stays. */
static void test_late_growth_again(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct late l = {.vol = vol, .rc = 1}, again = {.vol = vol, .rc = 1};
	struct stor_disk_info di;
	int rc;

	(void)state;
	assert_int_equal(stor_volume_disk_create(vol, "t", 4 * VK_EXTENT, true, NULL), 0);
	late_begin(&l, late_grow, "stor.disk.grown", "being grown");
	/* the first one sleeps on: points that are armed anew would wake it */
	assert_int_equal(pthread_create(&again.thread, NULL, late_grow_skip, &again), 0);
	pthread_join(again.thread, NULL);
	assert_int_equal(again.rc, 0);
	disk = vk_open_dev(vol, "t", &rc);
	for (unsigned i = 0; i < 10; i++)
		write_extent(disk, i, i);
	late_end(&l);
	assert_int_equal(l.rc, CM_E_DISK_BUSY);
	use_up(vol);
	for (unsigned i = 0; i < 10; i++)
		must_read(disk, i, i);
	vk_close_dev(disk);
	assert_int_equal(stor_volume_disk_info(vol, "t", &di, NULL), 0);
	assert_int_equal(di.allocated_bytes, 10 * VK_EXTENT);
	vk_check_clean(vol, false, 0);
}

/* A creation that was frozen: the disk was deleted, and another one has its name and its slot. */
static void test_late_creation(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct late l = {.vol = vol, .rc = 1};
	int rc;

	(void)state;
	late_begin(&l, late_create, "stor.disk.filling", "late");
	assert_int_equal(stor_volume_disk_delete(vol, "late", NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "late", 4 * VK_EXTENT, true, NULL), 0);
	disk = vk_open_dev(vol, "late", &rc);
	for (unsigned i = 0; i < 4; i++)
		write_extent(disk, i, i);
	late_end(&l);
	assert_int_equal(l.rc, CM_E_DISK_BUSY);
	for (unsigned i = 0; i < 4; i++)
		must_read(disk, i, i);
	vk_close_dev(disk);
	vk_check_clean(vol, false, 0);
}

/* Nobody but the VM that writes first clears an extent: a tool could be late. */
static void test_thick_writes_no_data(void **state)
{
	struct stor_dev *dev, *disk;
	struct stor_volume *vol = vk_attach(&dev, true);
	struct stor_super s;
	uint8_t junk[512], now[512];
	int rc;

	(void)state;
	assert_int_equal(stor_super_plan(VK_BYTES, 512, VK_EXTENT, 0, &s, NULL), 0);
	memset(junk, 'J', sizeof junk);
	for (uint64_t i = 0; i < s.extents; i++)
		vk_poke((off_t)(s.data_at + i * VK_EXTENT), junk, sizeof junk);
	assert_int_equal(stor_volume_disk_create(vol, "t", 4 * VK_EXTENT, true, NULL), 0);
	assert_int_equal(stor_volume_disk_resize(vol, "t", 8 * VK_EXTENT, NULL), 0);
	for (uint64_t i = 0; i < s.extents; i++) {
		assert_int_equal(pread(vk_file(), now, 512, (off_t)(s.data_at + i * VK_EXTENT)), 512);
		assert_memory_equal(junk, now, 512);
	}
	disk = vk_open_dev(vol, "t", &rc);
	memset(data, 0, sizeof data);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(vk_disk_io(disk, false, i * VK_EXTENT, back, sizeof back), 0);
		assert_memory_equal(data, back, sizeof data);
	}
	vk_close_dev(disk);
}

/* The volume grew since it was opened: a repair never takes it back to that size. */
static void test_volume_grown(void **state)
{
	struct stor_dev *dev, *dev2;
	struct stor_volume *vol = vk_attach(&dev, true), *vol2;
	struct stor_volume_report r;
	struct stor_volume_info vi;
	uint64_t extents;

	(void)state;
	assert_int_equal(ftruncate(vk_file(), 2 * VK_BYTES), 0);
	vol2 = vk_attach(&dev2, false);
	assert_int_equal(stor_volume_grow(vol2, &extents, NULL), 0);
	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	stor_volume_free(vol2);
	vol2 = vk_attach(&dev2, false);
	assert_int_equal(stor_volume_info(vol2, &vi, NULL), 0);
	assert_int_equal(vi.extents, extents);
}

#define ROW(t) cmocka_unit_test_setup_teardown(t, vk_setup, vk_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_grow),
		ROW(test_grow_thick),
		ROW(test_create),
		ROW(test_image),
		ROW(test_reuse),
		ROW(test_grow_over_leak),
		ROW(test_late_growth),
		ROW(test_late_growth_taken),
		ROW(test_late_growth_again),
		ROW(test_late_creation),
		ROW(test_thick_writes_no_data),
		ROW(test_volume_grown),
	};

	cm_log_set_level(CM_LOG_NONE);
	if (cm_fault_arm("x=error", NULL) == CM_E_UNSUPPORTED) {
		puts("SKIP: no fault points in this build");
		return 77;
	}
	cm_fault_arm("", NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
