/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A crash at every write, enumerated: each operation on a volume is done by a child process that
 * dies by SIGKILL just before its k-th change of the device, and just after it, for every k until
 * the operation ends alive. Each time a fresh process must find a volume without bad structures or
 * doubly used extents, the operation wholly there or wholly not, the other disk's data intact,
 * repair must leave nothing behind, and the operation must be possible again.
 *
 * With CRASH_SAN (tests/san) the volume is a LUN of labsan with a volatile cache, and the power of
 * the SAN is cut with each crash: what was not made durable in time is lost, or a part of it.
 *
 * Children never return into the test: they _exit.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/stor_volfmt.h"
#ifdef CRASH_SAN
#include "tests/san/santest.h"
#endif

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s: %s:%d: %s\n", where, __FILE__, __LINE__, #x);         \
			_exit(2);                                                                  \
		}                                                                                  \
	} while (0)

static const struct stor_uuid vm_a = {{1, 2, 3}}, vm_b = {{4, 5, 6}};
static char where[96] = "?";
static uint32_t sector = 512;

struct op {
	const char *name;
	void (*prepare)(struct stor_volume *vol); /* by a process that lives */
	int (*run)(struct stor_volume *vol);
	/* 0 it has not happened, 1 it has; dies if it is neither */
	int (*state)(struct stor_volume *vol);
	bool formats;
};

/* --- data ---------------------------------------------------------------- */

static int write_disk(struct stor_volume *vol, const char *disk, uint64_t at, size_t n,
		      unsigned seed)
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

/* 1: all of it is there; 0: each sector is either there or zero (not acknowledged). */
static int read_disk(struct stor_volume *vol, const char *disk, uint64_t at, size_t n,
		     unsigned seed)
{
	uint8_t *a = malloc(n), *b = malloc(n), *zero = calloc(1, sector);
	struct stor_dev *d;
	int rc, all = 1;

	d = vk_open_dev(vol, disk, &rc);
	MUST(rc == 0);
	vk_fill(a, n, seed);
	MUST(vk_disk_io(d, false, at, b, n) == 0);
	vk_close_dev(d);
	for (size_t i = 0; i < n; i += sector) {
		if (memcmp(a + i, b + i, sector) == 0)
			continue;
		all = 0;
		MUST(memcmp(zero, b + i, sector) == 0);
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

/* A disk that was deleted: its data lies in free extents, and nobody may ever see it. */
static void leave_junk(struct stor_volume *vol)
{
	MUST(stor_volume_disk_create(vol, "junk", 8 * VK_EXTENT, false, NULL) == 0);
	for (unsigned i = 0; i < 8; i++) {
		MUST(write_disk(vol, "junk", i * VK_EXTENT, 4096, 99) == 0);
		MUST(write_disk(vol, "junk", (i + 1) * VK_EXTENT - 4096, 4096, 99) == 0);
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
	stor_block_encode(&b, next, sector);
	return vk_caw(stor_volume_dev(vol), at, zero, next, sector);
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
	MUST(write_disk(vol, "d", VK_EXTENT - 4096, 8192, 5) == 0);
}

static int run_delete(struct stor_volume *vol)
{
	return stor_volume_disk_delete(vol, "d", NULL);
}

static int state_delete(struct stor_volume *vol)
{
	if (!has_disk(vol, "d", NULL))
		return 1;
	MUST(read_disk(vol, "d", VK_EXTENT - 4096, 8192, 5) == 1);
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
	MUST(read_disk(vol, "d", VK_EXTENT - 4096, 8192, 5) == 1);
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
	MUST(read_disk(vol, e ? "e" : "d", VK_EXTENT - 4096, 8192, 5) == 1);
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
	int rc = write_disk(vol, "d", VK_EXTENT / 2, 2 * VK_EXTENT, 8);

	return rc ? rc : write_disk(vol, "d", 3 * VK_EXTENT, 2 * VK_EXTENT, 9);
}

static int state_write(struct stor_volume *vol)
{
	int one = read_disk(vol, "d", VK_EXTENT / 2, 2 * VK_EXTENT, 8);

	must_be_zero(vol, "d", 0, VK_EXTENT / 2);
	must_be_zero(vol, "d", 5 * VK_EXTENT / 2, VK_EXTENT / 2);
	must_be_zero(vol, "d", 5 * VK_EXTENT, 3 * VK_EXTENT);
	return read_disk(vol, "d", 3 * VK_EXTENT, 2 * VK_EXTENT, 9) && one;
}

static void with_half(struct stor_volume *vol)
{
	with_thin(vol);
	MUST(cm_fault_arm("stor.disk.grow=error:5@1", NULL) == 0);
	MUST(write_disk(vol, "d", VK_EXTENT / 2, 2 * VK_EXTENT, 8) == -5);
	MUST(cm_fault_arm("", NULL) == 0);
}

static void with_written(struct stor_volume *vol)
{
	with_thin(vol);
	MUST(write_disk(vol, "d", 0, 4 * VK_EXTENT, 8) == 0);
}

/* Gives two extents back, and takes one again. */
static int run_discard(struct stor_volume *vol)
{
	struct stor_dev *d;
	int rc, rc2;

	d = vk_open_dev(vol, "d", &rc);
	MUST(rc == 0);
	rc = vk_discard(d, VK_EXTENT, 2 * VK_EXTENT);
	rc2 = rc ? rc : write_disk(vol, "d", VK_EXTENT, 4096, 11);
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

static const struct op ops[] = {
	{"format", nothing, run_format, state_format, true},
	{"host slot", nothing, run_host, state_host, false},
	{"disk create", nothing, run_create, state_create, false},
	{"disk create thick", nothing, run_thick, state_thick, false},
	{"disk delete", with_disk, run_delete, state_delete, false},
	{"disk resize", with_disk, run_resize, state_resize, false},
	{"disk resize thick", with_thick, run_resize_thick, state_resize_thick, false},
	{"disk rename", with_disk, run_rename, state_rename, false},
	{"claim", with_disk, run_claim, state_claim, false},
	{"image create", nothing, run_image, state_image, false},
	{"image seal", with_image, run_seal, state_seal, false},
	{"image consume", with_sealed, run_consume, state_consume, false},
	{"image drop", with_sealed, run_drop, state_consume, false},
	{"image, whole life", nothing, run_save, state_save, false},
	{"config put", nothing, run_put, state_put, false},
	{"config put again", with_config, run_put, state_put_again, false},
	{"config put twice", with_config, run_put_twice, state_put_twice, false},
	{"config drop", with_config, run_config_drop, state_config_drop, false},
	{"block", nothing, run_block, state_block, false},
	{"forget", with_block, run_forget, state_forget, false},
	{"first writes", with_thin, run_write, state_write, false},
	{"writes after a crash", with_half, run_write, state_write, false},
	{"discard and write", with_written, run_discard, state_discard, false},
	{"repair", with_wreck, run_repair, state_repair, false},
	{"create and delete", nothing, run_create_delete, state_create_delete, false},
};

/* --- one crash ----------------------------------------------------------- */

#define KEEP_SEED 77u

static void check_keep(struct stor_volume *vol)
{
	MUST(read_disk(vol, "keep", VK_EXTENT - 4096, 8192, KEEP_SEED) == 1);
}

/* Runs fn in a child with its own loop; its exit code, or minus the signal. */
static int child(void (*fn)(const struct op *op, unsigned arg), const struct op *op, unsigned arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		vk_start();
		fn(op, arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void do_prepare(const struct op *op, unsigned arg)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, true);

	(void)arg;
	leave_junk(vol);
	MUST(stor_volume_disk_create(vol, "keep", 3 * VK_EXTENT, false, NULL) == 0);
	MUST(write_disk(vol, "keep", VK_EXTENT - 4096, 8192, KEEP_SEED) == 0);
	op->prepare(vol);
	MUST(vk_flush(dev) == 0);
}

/* arg: 2k before, 2k + 1 after the k-th change (from 1). */
static void do_crash(const struct op *op, unsigned arg)
{
	struct stor_dev *dev;
	struct stor_volume *vol = vk_attach(&dev, false);
	char spec[64];

	snprintf(spec, sizeof spec, "stor.dev.change%s=kill@%u", arg % 2 ? "d" : "", arg / 2);
	MUST(cm_fault_arm(spec, NULL) == 0);
	MUST(op->run(vol) == 0);
	MUST(vk_flush(dev) == 0);
}

static void count_free(struct stor_volume *vol)
{
	struct stor_volume_info vi;
	struct stor_volume_report r;

	/* nothing is lost: what is not free belongs to somebody */
	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	MUST(r.leaked_extents == 0 && r.doubly_used_extents == 0);
	MUST(r.bad_structures == 0 && r.unfinished == 0);
	MUST(stor_volume_info(vol, &vi, NULL) == 0);
}

/* arg: the operation ended alive. */
static void do_verify(const struct op *op, unsigned arg)
{
	struct stor_volume_report r;
	struct stor_dev *dev;
	struct stor_volume *vol;
	int rc, before, after;

	dev = vk_open_dev(NULL, NULL, &rc);
	MUST(rc == 0);
	rc = stor_volume_open(dev, &vol, NULL);
	if (op->formats && rc == CM_E_VOL_FORMAT && !arg)
		return; /* no volume: wholly not there */
	MUST(rc == 0);
	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	MUST(r.doubly_used_extents == 0);
	MUST(r.bad_structures == 0 || op->formats || op->run == run_repair);
	before = op->state(vol);
	MUST(before || !arg || op->run == run_save || op->run == run_create_delete);
	if (!op->formats || !before)
		check_keep(vol);
	MUST(stor_volume_check(vol, true, NULL, NULL, &r, NULL) == 0);
	count_free(vol);
	after = op->state(vol);
	MUST(after >= before);
	if (!op->formats)
		check_keep(vol);
	if (!after) {
		MUST(op->run(vol) == 0);
		MUST(stor_volume_open(dev, &vol, NULL) == 0);
		MUST(op->state(vol) == 1 || op->run == run_save || op->run == run_create_delete);
	}
	if (!op->formats)
		check_keep(vol);
	MUST(stor_volume_check(vol, false, NULL, NULL, &r, NULL) == 0);
	MUST(r.leaked_extents == 0 && r.doubly_used_extents == 0 && r.bad_structures == 0);
}

/* Without repair in between: the operation is simply done again. */
static void do_again(const struct op *op, unsigned arg)
{
	struct stor_dev *dev;
	struct stor_volume *vol;
	struct stor_volume_report r;
	int rc;

	(void)arg;
	dev = vk_open_dev(NULL, NULL, &rc);
	MUST(rc == 0);
	rc = stor_volume_open(dev, &vol, NULL);
	if (op->formats && rc)
		return;
	MUST(rc == 0);
	if (!op->state(vol) && op->run != run_resize_thick)
		MUST(op->run(vol) == 0);
	MUST(stor_volume_open(dev, &vol, NULL) == 0);
	MUST(stor_volume_check(vol, true, NULL, NULL, &r, NULL) == 0);
	MUST(r.doubly_used_extents == 0);
	count_free(vol);
	if (!op->formats)
		check_keep(vol); /* a format was done again */
}

/* --- the file, or the LUN of a SAN --------------------------------------- */

#ifdef CRASH_SAN
static struct san_target san;

static void store_begin(void)
{
	char path[128];

	san = (struct san_target){
		.kind = SAN_LABSAN, .luns = {"disk0,thin,size=36M"}, .extra = "--cache volatile"};
	if (san_start(&san))
		exit(77);
	snprintf(path, sizeof path, "%s/disk0", san.dir);
	vk_use_file(path);
	/* what is unmapped is durable at once on labsan; zeroes that are written are not */
	san_url(&san, 0, "?unmap=no", vk_url, sizeof vk_url);
}

static void store_end(void)
{
	vk_end_file();
	san_stop(&san);
}

/* Nothing of the SAN's cache is left, or a random part. to: what the LUN holds when it is back. */
static void store_crash(unsigned k, int from)
{
	san_ctl(&san, "power-cut keep=%u seed=%u", k % 3 * 40, k);
	if (from >= 0)
		vk_copy(from, vk_file());
	san_ctl(&san, "power-on");
}
#else
static void store_begin(void)
{
	vk_new_file(36u << 20, sector);
}

static void store_end(void)
{
	vk_end_file();
}

static void store_crash(unsigned k, int from)
{
	(void)k;
	if (from >= 0)
		vk_copy(from, vk_file());
}
#endif

static void crash_everywhere(const struct op *op)
{
	int saved = memfd_create("saved", 0), crashed = memfd_create("crashed", 0);
	unsigned k, ends = 0;

	snprintf(where, sizeof where, "%s: prepare", op->name);
	store_begin();
	assert_int_equal(child(do_prepare, op, 0), 0);
	store_crash(0, -1);
	vk_copy(vk_file(), saved);
	for (k = 2; ends < 2; k++) {
		int rc;

		store_crash(0, saved);
		snprintf(where, sizeof where, "%s, %u byte sectors, %s change %u", op->name, sector,
			 k % 2 ? "after" : "before", k / 2);
		rc = child(do_crash, op, k);
		if (rc != -SIGKILL && rc != 0)
			fail_msg("%s: the operation failed", where);
		store_crash(k, -1);
		vk_copy(vk_file(), crashed);
		ends = rc == 0 ? ends + 1 : 0;
		if (child(do_verify, op, rc == 0))
			fail_msg("%s: see above", where);
		store_crash(0, crashed);
		if (child(do_again, op, 0))
			fail_msg("%s: done again: see above", where);
	}
	print_message("           %s: %u crashes\n", op->name, k - 4);
	assert_true(k > 4); /* it changed something */
	close(saved);
	close(crashed);
	store_end();
}

/* With large sectors: those that depend on the sector size (others differ in nothing). */
static bool for_large(const struct op *op)
{
	return op->formats || op->run == run_put || op->run == run_write || op->run == run_rename;
}

static void run_all(uint32_t bytes)
{
	const char *only = getenv("VOLCRASH"); /* one operation, by name */

	sector = bytes;
	for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++)
		if (only ? strcmp(only, ops[i].name) == 0 : bytes == 512 || for_large(&ops[i]))
			crash_everywhere(&ops[i]);
}

static void test_512(void **state)
{
	(void)state;
	run_all(512);
}

#ifndef CRASH_SAN
static void test_4096(void **state)
{
	(void)state;
	run_all(4096);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_512),
#ifndef CRASH_SAN
		cmocka_unit_test(test_4096),
#endif
	};

	cm_log_set_level(CM_LOG_NONE);
	if (cm_fault_arm("x=error", NULL) == CM_E_UNSUPPORTED) {
		puts("SKIP: no fault points in this build");
		return 77;
	}
	cm_fault_arm("", NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
