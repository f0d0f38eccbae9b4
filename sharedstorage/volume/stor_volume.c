/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volume.c - a cluster volume as a whole: open, grow, host slots (stor_volmake.c makes one). Disks are in
 * stor_voldisk.c, their data path in stor_disk*.c. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

/* --- open ------------------------------------------------------------------- */

int stor__super_choose(const uint8_t *two, uint32_t sector, struct stor_super *s)
{
	struct stor_super other;
	int rc = stor_super_decode(two, sector, s),
	    rc2 = stor_super_decode(two + sector, sector, &other);

	if (rc2 == 0 && (rc || other.changes > s->changes)) {
		*s = other;
		return 0;
	}
	return rc;
}

static int no_volume(struct stor_dev *dev, const uint8_t *sector, int rc, struct cm_err *err)
{
	uint32_t s = stor_dev_info(dev)->sector_bytes;
	struct stor_bound b;

	if (stor_bound_decode(sector, s, &b) == 0)
		return cm_err_set(err, CM_E_VOL_OTHER,
				  "this LUN has the data of volume %s, whose metadata lies on a lock LUN "
				  "(serial number '%s'): its URL needs lock=LUN",
				  b.name, b.lock_serial);
	if (stor_forming_is(sector, s))
		return cm_err_set(err, CM_E_VOL_FORMAT,
				  "no volume is there: one is being made, or that was interrupted");
	return cm_err_set(err, rc == -ENODATA ? CM_E_VOL_FORMAT : rc, "no volume is there: %s",
			  rc == -ENODATA ? "the device is empty" : cm_err_text(rc));
}

/* A lock LUN and its data LUN name each other, so no two data LUNs have one extent table. */
static int check_bound(struct stor_volume *vol, struct stor_dev *data, struct stor_dev *lock,
		       struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	const char *have = stor_dev_info(data)->serial, *meta = stor_dev_info(lock)->serial;
	uint32_t s = vol->super.sector_bytes;
	struct stor_bound b;
	int rc;

	if (!vol->super.locked)
		return cm_err_set(err, CM_E_VOL_OTHER,
				  "volume %s lies wholly on the LUN that the URL calls a lock LUN: it is "
				  "no lock LUN of another one",
				  vol->super.name);
	if (strcmp(vol->super.data_serial, have) != 0)
		return cm_err_set(err, CM_E_VOL_OTHER,
				  "the lock LUN belongs to volume %s, whose data LUN has the serial number "
				  "'%s', not '%s': each data LUN needs a lock LUN of its own",
				  vol->super.name, vol->super.data_serial, have);
	rc = stor__vol_read(data, 0, sector, s, err);
	if (rc)
		return rc;
	rc = stor_bound_decode(sector, s, &b);
	if (rc || !stor_uuid_equal(&b.volume, &vol->super.id) || strcmp(b.lock_serial, meta) != 0)
		return cm_err_set(err, CM_E_VOL_OTHER,
				  "the lock LUN belongs to volume %s, the data LUN to %s%s: check lock= in "
				  "the URL",
				  vol->super.name, rc ? "no volume that has a lock LUN" : "another: ",
				  rc ? "" : b.name);
	return 0;
}

/* Is it the volume that is meant, on the LUNs that it was made on? */
static int check_identity(struct stor_volume *vol, struct cm_err *err)
{
	const struct stor_uuid *want = stor_dev_volume(vol->dev);
	struct stor_dev *data = stor_dev_part(vol->dev, 0), *lock = stor_dev_part(vol->dev, 1);
	char is[STOR_UUID_TEXT], meant[STOR_UUID_TEXT];

	if (!stor_uuid_is_zero(want) && !stor_uuid_equal(want, &vol->super.id)) {
		stor_uuid_format(&vol->super.id, is);
		stor_uuid_format(want, meant);
		return cm_err_set(err, CM_E_VOL_OTHER,
				  "volume %s with the UUID %s lies there, not the one with the UUID %s that "
				  "is meant: hvctl volume forget and hvctl volume attach take the one that "
				  "is there",
				  vol->super.name, is, meant);
	}
	if (data && lock)
		return check_bound(vol, data, lock, err);
	if (vol->super.locked)
		return cm_err_set(err, CM_E_VOL_OTHER,
				  "this is the lock LUN of volume %s: its URL is that of the data LUN "
				  "(serial number '%s') with lock=LUN",
				  vol->super.name, vol->super.data_serial);
	return 0;
}

int stor_volume_open(struct stor_dev *dev, struct stor_volume **out, struct cm_err *err)
{
	const struct stor_dev_info *info = stor_dev_info(dev);
	uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	struct stor_volume *vol = calloc(1, sizeof *vol);
	int rc;

	*out = NULL;
	if (!vol)
		return cm_err_set(err, -ENOMEM, "out of memory");
	vol->dev = dev;
	rc = stor__vol_read(dev, 0, two, 2ull * info->sector_bytes, err);
	if (rc)
		goto fail;
	rc = stor__super_choose(two, info->sector_bytes, &vol->super);
	if (rc) {
		rc = no_volume(dev, two, rc, err);
		goto fail;
	}
	rc = check_identity(vol, err);
	if (rc)
		goto fail;
	if (vol->super.data_at + vol->super.extents * vol->super.extent_bytes >
	    info->capacity_bytes) {
		rc = cm_err_set(err, CM_E_VOL_CORRUPT,
				"volume %s is larger than its device: was the LUN shrunk?",
				vol->super.name);
		goto fail;
	}
	*out = vol;
	return 0;
fail:
	free(vol);
	return rc;
}

void stor_volume_free(struct stor_volume *vol)
{
	free(vol);
}

struct stor_dev *stor_volume_dev(struct stor_volume *vol)
{
	return vol->dev;
}

struct attach {
	struct stor_dev *dev;
	stor_volume_fn done;
	void *arg;
	struct stor_volume *vol;
	struct cm_err err;
	pthread_t thread;
};

static void attach_done(void *arg)
{
	struct attach *a = arg;

	pthread_join(a->thread, NULL);
	a->done(a->vol, &a->err, a->arg);
	free(a);
}

static void *attach_thread(void *arg)
{
	struct attach *a = arg;

	/* On failure vol stays NULL and err has the words. */
	if (stor_volume_open(a->dev, &a->vol, &a->err))
		a->vol = NULL;
	CM_ASSERT(cm_loop_post(stor_dev_loop(a->dev), attach_done, a) == 0);
	return NULL;
}

static void attach_failed(void *arg)
{
	struct attach *a = arg;

	a->done(NULL, &a->err, a->arg);
	free(a);
}

void stor_volume_attach(struct stor_dev *dev, stor_volume_fn done, void *arg)
{
	struct attach *a = calloc(1, sizeof *a);

	CM_ASSERT(a);
	a->dev = dev;
	a->done = done;
	a->arg = arg;
	if (pthread_create(&a->thread, NULL, attach_thread, a)) {
		cm_err_set(&a->err, -EAGAIN, "cannot start a thread");
		cm_loop_defer(stor_dev_loop(dev), attach_failed, a);
	}
}

struct stor_uuid stor_volume_id(const struct stor_volume *vol)
{
	return vol->super.id;
}

/* --- growth -------------------------------------------------------------- */

/* Copy 1 first, copy 0 after it; the later one counts, so each COMPARE AND WRITE may be the last
 * thing that happens. */
int stor_volume_grow(struct stor_volume *vol, uint64_t *extents, struct cm_err *err)
{
	uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096))), next[STOR_SECTOR_MAX];
	uint32_t s = vol->super.sector_bytes;
	struct stor_super now;
	uint64_t capacity = stor_dev_info(vol->dev)->capacity_bytes, most;
	int rc = stor__vol_read(vol->dev, 0, two, 2ull * s, err);

	rc = rc ? rc : stor__super_choose(two, s, &now);
	if (rc)
		return cm_err_set(err, rc, "the super block of volume %s cannot be read",
				  vol->super.name);
	most = now.table_sectors * stor_table_entries(s);
	*extents = stor_super_extents(&now, capacity);
	if (*extents == now.extents && *extents < (capacity - now.data_at) / now.extent_bytes)
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "volume %s was made to grow to %llu GiB and has them", now.name,
				  (unsigned long long)(most * now.extent_bytes >> 30));
	if (*extents != now.extents) {
		now.extents = *extents;
		now.changes++;
	}
	stor_super_encode(&now, next);
	for (unsigned copy = STOR_VOL_SUPERS; copy-- > 0 && rc == 0;) {
		if (memcmp(two + copy * s, next, s) == 0)
			continue;
		rc = stor__vol_caw(vol->dev, copy * (uint64_t)s, two + copy * s, next, s, err);
	}
	if (rc == CM_E_LEASE_MISCOMPARE)
		return cm_err_set(err, CM_E_DISK_BUSY,
				  "another host grows volume %s at this moment", now.name);
	if (rc == 0)
		vol->super = now;
	return rc;
}

/* --- host slots ---------------------------------------------------------- */

int stor_volume_host_slot(struct stor_volume *vol, const char *node, uint16_t *slot,
			  struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	uint8_t *region, sector[STOR_SECTOR_MAX];
	int rc = 0, free_at;

	for (unsigned tries = 0; tries < STOR_VOL_TRIES; tries++) {
		struct stor_hostslot h;

		if (tries)
			stor__vol_pause(tries);
		region = stor__vol_region(vol, vol->super.hosts_at, STOR_VOL_HOSTS, &rc, err);
		if (!region)
			return rc;
		free_at = -1;
		for (unsigned i = 0; i < STOR_VOL_HOSTS; i++) {
			rc = stor_hostslot_decode(region + i * s, s, &h);
			if (rc == 0 && strcmp(h.node, node) == 0) {
				*slot = h.slot;
				free(region);
				return 0;
			}
			if (rc == -ENODATA && free_at < 0)
				free_at = (int)i;
		}
		if (free_at < 0) {
			free(region);
			return cm_err_set(err, CM_E_VOL_LIMIT,
					  "volume %s has no free host slot (%u)", vol->super.name,
					  STOR_VOL_HOSTS);
		}
		memset(&h, 0, sizeof h);
		snprintf(h.node, sizeof h.node, "%s", node);
		h.slot = (uint16_t)(free_at + 1);
		stor_hostslot_encode(&h, sector, s);
		rc = stor__vol_caw(vol->dev, (vol->super.hosts_at + (unsigned)free_at) * s,
				   region + (unsigned)free_at * s, sector, s, err);
		free(region);
		if (rc == 0) {
			*slot = h.slot;
			return 0;
		}
		if (rc != CM_E_LEASE_MISCOMPARE)
			return rc;
	}
	return cm_err_set(err, CM_E_IO, "the host slots of volume %s change all the time",
			  vol->super.name);
}

/* --- info ---------------------------------------------------------------- */

int stor_volume_info(struct stor_volume *vol, struct stor_volume_info *info, struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	struct stor_slots *t;
	uint8_t *region;
	int rc;

	*info = (struct stor_volume_info){
		.id = vol->super.id,
		.sector_bytes = s,
		.extent_bytes = vol->super.extent_bytes,
		.extents = vol->super.extents,
		.extents_max = vol->super.table_sectors * stor_table_entries(s),
	};
	memcpy(info->name, vol->super.name, sizeof info->name);
	t = stor__slots_load(vol, &rc, err);
	if (!t)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_DISKS; i++) {
		bool used = t->d[i].state == STOR_DISKSLOT_USED;

		info->disks += used && t->d[i].kind == STOR_DISKSLOT_DISK;
		info->images += used && t->d[i].kind == STOR_DISKSLOT_IMAGE;
	}
	stor__slots_free(t);
	region = stor__vol_region(vol, vol->super.hosts_at, STOR_VOL_HOSTS, &rc, err);
	if (!region)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_HOSTS; i++) {
		struct stor_hostslot h;

		info->hosts += stor_hostslot_decode(region + i * s, s, &h) == 0;
	}
	free(region);
	region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, &rc, err);
	if (!region)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		struct stor_block b;

		info->vms += stor_block_decode(region + (size_t)i * s, s, &b) == 0;
	}
	free(region);
	return stor__vol_table_count(vol, NULL, NULL, &info->extents_free, err);
}
