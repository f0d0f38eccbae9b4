/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volguard.c - what of value lies on a device. What libblkid looks at is copied into a file in
 * memory: the head and the tail of the device, the rest is a hole. Parses data of the disk: ours by
 * stor_volfmt.h and stor_lease_disk.h, foreign signatures by libblkid.
 */
#include "config.h"

#include "sharedstorage/volume/stor_volguard.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <blkid/blkid.h>

#include "common/cm_buf.h"
#include "common/cm_clock.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/volume/stor_volume_int.h"

/* Signatures that libblkid knows lie in these (LUKS2's second header at 4 MiB, RAID at the end). */
#define HEAD_BYTES (8ull << 20)
#define TAIL_BYTES (2ull << 20)
#define COPY_BYTES (1ull << 20)

static void found_say(struct stor_found *f, const char *fmt, ...) cm_printf(2, 3);
static void found_say(struct stor_found *f, const char *fmt, ...)
{
	size_t n = strlen(f->words);
	va_list ap;

	if (n && n + 2 < sizeof f->words)
		n += (size_t)snprintf(f->words + n, sizeof f->words - n, ", ");
	f->any = true;
	va_start(ap, fmt);
	vsnprintf(f->words + CM_MIN(n, sizeof f->words - 1), sizeof f->words - CM_MIN(n, sizeof f->words - 1), fmt, ap);
	va_end(ap);
}

/* --- ours ------------------------------------------------------------------ */

static void count_config(const struct stor_uuid *vm, const char *name, const char *text, size_t n,
			 void *arg)
{
	(void)vm;
	(void)name;
	(void)text;
	(void)n;
	++*(unsigned *)arg;
}

/* A volume whose super block is on this LUN; its other metadata is, too. */
static void found_volume(struct stor_volume *vol, struct stor_found *f)
{
	unsigned disks = 0, images = 0, configs = 0;
	int rc;
	struct stor_slots *t = stor__slots_load(vol, &rc, NULL);

	f->volume = vol->super.id;
	for (unsigned i = 0; t && i < STOR_VOL_DISKS; i++) {
		disks += t->d[i].state == STOR_DISKSLOT_USED && t->d[i].kind == STOR_DISKSLOT_DISK;
		images += t->d[i].state == STOR_DISKSLOT_USED && t->d[i].kind == STOR_DISKSLOT_IMAGE;
	}
	rc = t ? stor_volume_each_config(vol, count_config, &configs, NULL) : -EIO;
	stor__slots_free(t);
	if (rc)
		found_say(f, "volume '%s' (its disks cannot be read)", vol->super.name);
	else
		found_say(f, "%svolume '%s' (%u disk%s, %u saved state%s, %u VM definition%s)",
			  vol->super.locked ? "the lock LUN of " : "", vol->super.name, disks,
			  disks == 1 ? "" : "s", images, images == 1 ? "" : "s", configs,
			  configs == 1 ? "" : "s");
}

static void found_ours(struct stor_dev *dev, const uint8_t *two, struct stor_found *f)
{
	uint32_t s = stor_dev_info(dev)->sector_bytes;
	struct stor_volume vol = {.dev = dev};
	struct stor_bound b;

	if (stor__super_choose(two, s, &vol.super) == 0) {
		found_volume(&vol, f);
	} else if (memcmp(two, "HVVOLUM", 7) == 0 || memcmp(two + s, "HVVOLUM", 7) == 0) {
		found_say(f, "a volume of hvcluster that is damaged or of another release");
	} else if (stor_bound_decode(two, s, &b) == 0) {
		f->volume = b.volume;
		found_say(f, "the data of volume '%s', whose lock LUN has the serial number '%s'",
			  b.name, b.lock_serial);
	} else if (stor_forming_is(two, s)) {
		found_say(f, "a volume that is being made, or whose making was interrupted");
	} else if (memcmp(two, "HVOWNBLK", 8) == 0) {
		found_say(f, "an ownership block of a VM");
	}
}

/* --- others ---------------------------------------------------------------- */

/* What libblkid does not know: who keeps cluster state on a shared LUN. */
static void found_peer(const uint8_t *two, struct stor_found *f)
{
	uint32_t magic = cm_le32(two);

	if (memcmp(two, "SBD_SBD_", 8) == 0)
		found_say(f, "an SBD device (fencing by disk)");
	if (magic == 0x12212010 || magic == 0x06152010 || magic == 0x01042018)
		found_say(f, "leases of sanlock");
}

static int copy_range(struct stor_dev *dev, int fd, uint64_t from, uint64_t to, struct cm_err *err)
{
	uint8_t *buf = aligned_alloc(4096, COPY_BYTES);
	int rc = buf ? 0 : cm_err_set(err, -ENOMEM, "out of memory");

	for (uint64_t n; from < to && rc == 0; from += n) {
		n = CM_MIN(COPY_BYTES, to - from);
		rc = stor__vol_read(dev, from, buf, n, err);
		if (rc == 0 && pwrite(fd, buf, n, (off_t)from) != (ssize_t)n)
			rc = cm_err_set(err, -errno, "a file in memory cannot be written: %s", strerror(errno));
	}
	free(buf);
	return rc;
}

static const char *blkid_value(blkid_probe pr, const char *name)
{
	const char *v = NULL;

	return blkid_probe_lookup_value(pr, name, &v, NULL) == 0 ? v : NULL;
}

static int found_blkid(int fd, uint32_t sector, struct stor_found *f, struct cm_err *err)
{
	blkid_probe pr = blkid_new_probe();
	const char *type, *label, *table;
	int rc;

	if (!pr || blkid_probe_set_device(pr, fd, 0, 0) || blkid_probe_set_sectorsize(pr, sector) ||
	    blkid_probe_enable_superblocks(pr, 1) ||
	    blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL) ||
	    blkid_probe_enable_partitions(pr, 1)) {
		blkid_free_probe(pr);
		return cm_err_set(err, CM_E_IO, "libblkid cannot look at the device");
	}
	rc = blkid_do_safeprobe(pr);
	type = rc == 0 ? blkid_value(pr, "TYPE") : NULL;
	label = rc == 0 ? blkid_value(pr, "LABEL") : NULL;
	table = rc == 0 ? blkid_value(pr, "PTTYPE") : NULL;
	if (type)
		found_say(f, "%.40s%s%.60s%s", type, label ? " (label '" : "", label ? label : "",
			  label ? "')" : "");
	if (table)
		found_say(f, "a partition table (%.20s)", table);
	if (rc == -2)
		found_say(f, "several signatures that contradict each other (wipefs shows them)");
	blkid_free_probe(pr);
	return rc == -1 ? cm_err_set(err, CM_E_IO, "libblkid cannot look at the device") : 0;
}

static int found_foreign(struct stor_dev *dev, struct stor_found *f, struct cm_err *err)
{
	const struct stor_dev_info *info = stor_dev_info(dev);
	uint64_t size = info->capacity_bytes, head = CM_MIN(HEAD_BYTES, size),
		 tail = CM_MAX(head, size - CM_MIN(size, TAIL_BYTES));
	int fd = memfd_create("signatures", MFD_CLOEXEC), rc = 0;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		rc = cm_err_set(err, -errno, "a file in memory cannot be made: %s", strerror(errno));
	rc = rc ? rc : copy_range(dev, fd, 0, head, err);
	rc = rc ? rc : copy_range(dev, fd, tail, size, err);
	rc = rc ? rc : found_blkid(fd, info->sector_bytes, f, err);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int look_at(struct stor_dev *dev, struct stor_found *f, struct cm_err *err)
{
	uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	int rc = stor__vol_read(dev, 0, two, 2ull * stor_dev_info(dev)->sector_bytes, err);

	if (rc)
		return rc;
	found_ours(dev, two, f);
	if (f->any)
		return 0;
	found_peer(two, f);
	return f->any ? 0 : found_foreign(dev, f, err);
}

int stor_volume_look(struct stor_dev *dev, struct stor_found *found, struct cm_err *err)
{
	int rc = 0;

	memset(found, 0, sizeof *found);
	if (!stor_dev_part(dev, 0))
		return look_at(dev, found, err);
	for (unsigned i = 0; i < STOR_DEV_LUNS && rc == 0; i++) {
		struct stor_found one = {.any = false};

		rc = look_at(stor_dev_part(dev, i), &one, err);
		if (one.any)
			found_say(found, "%s: %s", i ? "on the lock LUN" : "on the data LUN", one.words);
		if (!stor_uuid_is_zero(&one.volume))
			found->volume = one.volume;
	}
	return rc;
}

/* --- live users ------------------------------------------------------------ */

struct alive {
	uint8_t *first; /* the blocks as they were at first */
	uint32_t sector;
	uint64_t at;	   /* of first, in sectors */
	uint64_t patience; /* ms; 0: nobody owns one */
	struct stor_block owned;
};

static void pause_ms(uint64_t ms)
{
	struct timespec ts = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

/* An owned block that is not as it was at first. */
static bool alive_seen(struct alive *a, const uint8_t *now)
{
	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		size_t o = (size_t)i * a->sector;

		if (stor_block_decode(now + o, a->sector, &a->owned) == 0 &&
		    a->owned.state == STOR_BLOCK_RUNNING && memcmp(now + o, a->first + o, a->sector) != 0)
			return true;
	}
	return false;
}

static uint64_t alive_patience(const struct alive *a)
{
	struct stor_block b;
	uint64_t most = 0;

	for (unsigned i = 0; i < STOR_VOL_VMS; i++)
		if (stor_block_decode(a->first + (size_t)i * a->sector, a->sector, &b) == 0 &&
		    b.state == STOR_BLOCK_RUNNING)
			most = CM_MAX(most, STOR_DEAD(CM_MIN(b.io_timeout_ms, STOR_IO_TIMEOUT_MAX_MS)));
	return most;
}

static int alive_on(struct stor_volume *vol, struct cm_err *err)
{
	struct alive a = {.sector = vol->super.sector_bytes, .at = vol->super.vms_at};
	uint64_t end = 0;
	int rc = 0;

	a.first = stor__vol_region(vol, a.at, STOR_VOL_VMS, &rc, err);
	if (!a.first)
		return rc;
	a.patience = alive_patience(&a);
	end = cm_now_ns() + a.patience * 1000000;
	while (rc == 0 && cm_now_ns() < end) {
		uint8_t *now;

		pause_ms(STOR_OBSERVE(a.patience / 8));
		now = stor__vol_region(vol, a.at, STOR_VOL_VMS, &rc, err);
		if (now && alive_seen(&a, now))
			rc = cm_err_set(err, CM_E_DISK_BUSY,
					"a VM of volume %s runs on node %s: stop it first", vol->super.name,
					a.owned.owner.node);
		free(now);
	}
	free(a.first);
	return rc;
}

int stor_volume_alive(struct stor_dev *dev, struct cm_err *err)
{
	bool two_luns = stor_dev_part(dev, 0);
	int rc = 0;

	for (unsigned i = 0; i < (two_luns ? STOR_DEV_LUNS : 1u) && rc == 0; i++) {
		struct stor_volume vol = {.dev = two_luns ? stor_dev_part(dev, i) : dev};
		uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096)));
		uint32_t s = stor_dev_info(vol.dev)->sector_bytes;

		rc = stor__vol_read(vol.dev, 0, two, 2ull * s, err);
		if (rc == 0 && stor__super_choose(two, s, &vol.super) == 0)
			rc = alive_on(&vol, err);
	}
	return rc;
}
