/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_volleak.c - volume check --repair while others work on the volume: what they took
 * since it looked at the slots is theirs, and what it ends of theirs ends with words and harms
 * nobody. The complaints of the check are the moments at which the others act.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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

static void let_go(struct stor_volume *vol, struct stor_dev *dev)
{
	stor_volume_free(vol);
	vk_close_dev(dev);
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
	let_go(vol, dev);
}

static void finish(void)
{
	vk_check_clean(other.vol, false, 0);
	if (other.disk)
		vk_close_dev(other.disk);
	let_go(other.vol, other.dev);
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
	let_go(vol, dev);
}

/* --- work that the repair ends, or that comes late ------------------------------------------ */

/* Another host's work, in a process of its own: frozen at a fault point, it goes on later. */
static pid_t child(void (*fn)(struct stor_volume *vol), bool format, const char *point)
{
	struct stor_volume *vol;
	struct stor_dev *dev;
	char spec[64];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vk_start();
	vol = vk_attach(&dev, format);
	snprintf(spec, sizeof spec, "%s=stop", point);
	VK_MUST(cm_fault_arm(spec, NULL) == 0);
	fn(vol);
	_exit(0);
}

static void ended(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A volume that `prepare` made; then `work` is frozen at the point. This process has no threads
 * before. */
static pid_t frozen(void (*prepare)(struct stor_volume *vol), void (*work)(struct stor_volume *vol),
		    const char *point)
{
	pid_t pid;
	int status;

	vk_new_file(VK_BYTES, 512);
	ended(child(prepare, true, "none"));
	pid = child(work, false, point);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	vk_start();
	return pid;
}

static void thaw(pid_t pid)
{
	assert_int_equal(kill(pid, SIGCONT), 0);
	ended(pid);
}

static void nothing(struct stor_volume *vol)
{
	(void)vol;
}

static void with_thick(struct stor_volume *vol)
{
	VK_MUST(stor_volume_disk_create(vol, "t", 4 * VK_EXTENT, true, NULL) == 0);
}

static void grow_in_vain(struct stor_volume *vol)
{
	struct cm_err err = CM_ERR_INIT;

	VK_MUST(stor_volume_disk_resize(vol, "t", 8 * VK_EXTENT, &err) == CM_E_DISK_BUSY);
	VK_MUST(strstr(err.text, "growth of disk t was ended"));
}

static void create_in_vain(struct stor_volume *vol)
{
	VK_MUST(stor_volume_disk_create(vol, "late", 4 * VK_EXTENT, true, NULL) == CM_E_DISK_BUSY);
}

/* Thawed, the work harms nobody: what the disk has is read back. */
static void must_stay(pid_t pid, struct stor_volume *vol, struct stor_dev *dev, const char *name,
		      unsigned extents, unsigned seed)
{
	struct stor_dev *disk;
	int rc;

	thaw(pid);
	disk = vk_open_dev(vol, name, &rc);
	assert_int_equal(rc, 0);
	for (unsigned i = 0; i < extents; i++)
		must_read(disk, i, seed + i);
	vk_close_dev(disk);
	vk_check_clean(vol, false, 0);
	let_go(vol, dev);
	vk_stop();
	vk_end_file();
}

/* A growth that was frozen while the repair ended it and all space went to others. */
static void late_growth(const char *point)
{
	pid_t pid = frozen(with_thick, grow_in_vain, point);
	struct stor_volume_report r;
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, false);

	assert_int_equal(stor_volume_check(vol, true, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.unfinished, 1);
	use_up(vol);
	must_stay(pid, vol, dev, "rest", 8, 200);
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

static void write_all(struct stor_volume *vol, const char *name, unsigned extents)
{
	struct stor_dev *disk;
	int rc;

	disk = vk_open_dev(vol, name, &rc);
	assert_int_equal(rc, 0);
	for (unsigned i = 0; i < extents; i++)
		write_extent(disk, i, i);
	vk_close_dev(disk);
}

/* ... and then the disk was grown again, by another host: what that one took stays. */
static void test_late_growth_again(void **state)
{
	pid_t pid = frozen(with_thick, grow_in_vain, "stor.disk.grown");
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, false);
	struct stor_disk_info di;

	(void)state;
	assert_int_equal(stor_volume_disk_resize(vol, "t", 10 * VK_EXTENT, NULL), 0);
	write_all(vol, "t", 10);
	use_up(vol);
	assert_int_equal(stor_volume_disk_info(vol, "t", &di, NULL), 0);
	assert_int_equal(di.allocated_bytes, 10 * VK_EXTENT);
	must_stay(pid, vol, dev, "t", 10, 0);
}

/* A creation that was frozen: the disk was deleted, and another one has its name and its slot. */
static void test_late_creation(void **state)
{
	pid_t pid = frozen(nothing, create_in_vain, "stor.disk.filling");
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, false);

	(void)state;
	assert_int_equal(stor_volume_disk_delete(vol, "late", NULL), 0);
	assert_int_equal(stor_volume_disk_create(vol, "late", 4 * VK_EXTENT, true, NULL), 0);
	write_all(vol, "late", 4);
	must_stay(pid, vol, dev, "late", 4, 0);
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
	let_go(vol, dev);
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
	let_go(vol2, dev2);
	vol2 = vk_attach(&dev2, false);
	assert_int_equal(stor_volume_info(vol2, &vi, NULL), 0);
	assert_int_equal(vi.extents, extents);
	let_go(vol2, dev2);
	let_go(vol, dev);
}

#define ROW(t) cmocka_unit_test_setup_teardown(t, vk_setup, vk_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_growth),
		cmocka_unit_test(test_late_growth_taken),
		cmocka_unit_test(test_late_growth_again),
		cmocka_unit_test(test_late_creation),
		ROW(test_grow),
		ROW(test_grow_thick),
		ROW(test_create),
		ROW(test_image),
		ROW(test_reuse),
		ROW(test_grow_over_leak),
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
