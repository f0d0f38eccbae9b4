/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volume.c - a cluster volume as a whole: format, open, host slots, ownership sectors. Disks
 * are in stor_voldisk.c, their data path in stor_disk.c. Parses data of the disk by stor_volfmt.c
 * only.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/stor_volume_int.h"

#define VOL_CAW_TRIES 64u

/* --- blocking I/O: a worker waits for the loop --------------------------- */

struct vol_wait {
	struct stor_dev *dev;
	struct stor_req req;
	struct iovec iov;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
	int rc;
};

static void wait_done(struct stor_req *req, int rc)
{
	struct vol_wait *w = req->arg;

	pthread_mutex_lock(&w->lock);
	w->rc = rc;
	w->done = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static void wait_submit(void *arg)
{
	struct vol_wait *w = arg;

	stor_dev_submit(w->dev, &w->req);
}

static int vol_run(struct vol_wait *w, struct stor_dev *dev, unsigned flags)
{
	w->dev = dev;
	w->req.flags |= flags;
	w->done = false;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->rc = cm_loop_post(stor_dev_loop(dev), wait_submit, w);
	if (w->rc == 0) {
		pthread_mutex_lock(&w->lock);
		while (!w->done)
			pthread_cond_wait(&w->wake, &w->lock);
		pthread_mutex_unlock(&w->lock);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	return w->rc;
}

static int vol_fail(struct cm_err *err, int rc, const char *what, uint64_t offset)
{
	return rc ? cm_err_set(err, rc, "cannot %s the volume at byte %llu: %s", what,
			       (unsigned long long)offset, cm_err_text(rc))
		  : 0;
}

int stor__vol_read(struct stor_dev *dev, uint64_t offset, void *buf, uint64_t bytes,
		   struct cm_err *err)
{
	struct vol_wait w = {.iov = {buf, bytes}};

	stor_req_readv(&w.req, offset, &w.iov, 1, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, STOR_REQ_ADMIN), "read", offset);
}

int stor__vol_write(struct stor_dev *dev, uint64_t offset, const void *buf, uint64_t bytes,
		    struct cm_err *err)
{
	struct vol_wait w = {.iov = {(void *)(uintptr_t)buf, bytes}};

	stor_req_writev(&w.req, offset, &w.iov, 1, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, STOR_REQ_FUA), "write", offset);
}

int stor__vol_zero(struct stor_dev *dev, uint64_t offset, uint64_t bytes, struct cm_err *err)
{
	struct vol_wait w = {.rc = 0};

	stor_req_write_zeroes(&w.req, offset, bytes, true, wait_done, &w);
	return vol_fail(err, vol_run(&w, dev, 0), "clear", offset);
}

int stor__vol_caw(struct stor_dev *dev, uint64_t offset, const void *compare, const void *swap,
		  uint32_t sector, struct cm_err *err)
{
	struct vol_wait w = {.rc = 0};
	uint8_t now[STOR_SECTOR_MAX];
	int rc;

	stor_req_caw(&w.req, offset, compare, swap, sector, wait_done, &w);
	rc = vol_run(&w, dev, 0);
	if (rc == CM_E_LEASE_MISCOMPARE)
		return rc;
	if (rc == CM_E_LEASE_UNKNOWN) {
		rc = stor__vol_read(dev, offset, now, sector, err);
		if (rc)
			return rc;
		if (memcmp(now, swap, sector) == 0)
			return 0;
		rc = CM_E_LEASE_UNKNOWN; /* it may still land: the caller's operation fails, nothing
					    is assumed */
	}
	return vol_fail(err, rc, "change", offset);
}

uint8_t *stor__vol_region(struct stor_volume *vol, uint64_t at, uint64_t sectors,
			  struct cm_err *err)
{
	uint64_t s = vol->super.sector_bytes;
	uint8_t *buf = aligned_alloc(4096, (sectors * s + 4095) / 4096 * 4096);

	if (!buf) {
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (stor__vol_read(vol->dev, at * s, buf, sectors * s, err)) {
		free(buf);
		return NULL;
	}
	return buf;
}

/* --- format and open ----------------------------------------------------- */

int stor_volume_format(struct stor_dev *dev, const char *name, uint64_t extent_bytes,
		       struct cm_err *err)
{
	const struct stor_dev_info *info = stor_dev_info(dev);
	uint8_t sector[STOR_SECTOR_MAX] __attribute__((aligned(4096)));
	struct stor_super s;
	int rc;

	if (!stor_name_valid(name))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no volume name", name);
	rc = stor_super_plan(info->capacity_bytes, info->sector_bytes, extent_bytes, &s, err);
	if (rc)
		return rc;
	stor_uuid_random(&s.id);
	snprintf(s.name, sizeof s.name, "%s", name);
	/* The old super blocks go first and the new ones come last: a crash in between leaves no
	 * volume. */
	rc = stor__vol_zero(dev, 0, 8ull * s.sector_bytes, err);
	rc = rc ? rc
		: stor__vol_zero(dev, 8ull * s.sector_bytes, s.data_at - 8ull * s.sector_bytes,
				 err);
	stor_super_encode(&s, sector);
	rc = rc ? rc : stor__vol_write(dev, s.sector_bytes, sector, s.sector_bytes, err);
	return rc ? rc : stor__vol_write(dev, 0, sector, s.sector_bytes, err);
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
	rc = stor_super_decode(two, info->sector_bytes, &vol->super);
	if (rc)
		rc = stor_super_decode(two + info->sector_bytes, info->sector_bytes, &vol->super);
	if (rc) {
		rc = cm_err_set(err, rc == -ENODATA ? CM_E_VOL_FORMAT : rc,
				"no volume is there: %s",
				rc == -ENODATA ? "the device is empty" : cm_err_text(rc));
		goto fail;
	}
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

/* --- host slots ---------------------------------------------------------- */

int stor_volume_host_slot(struct stor_volume *vol, const char *node, uint16_t *slot,
			  struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	uint8_t *region, sector[STOR_SECTOR_MAX];
	int rc = 0, free_at;

	for (unsigned tries = 0; tries < VOL_CAW_TRIES; tries++) {
		struct stor_hostslot h;

		region = stor__vol_region(vol, vol->super.hosts_at, STOR_VOL_HOSTS, err);
		if (!region)
			return err ? err->code : CM_E_IO;
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

/* --- ownership sectors --------------------------------------------------- */

/* Where the search for a new VM's sector begins: VMs spread, so two first starts seldom meet. */
static unsigned vm_hash(const struct stor_uuid *vm)
{
	return (vm->b[0] | (unsigned)vm->b[1] << 8 | (unsigned)vm->b[2] << 16) % STOR_VOL_VMS;
}

int stor_volume_vm_block(struct stor_volume *vol, const struct stor_uuid *vm, bool create,
			 uint64_t *offset, struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	uint8_t *region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, err);
	int free_at = -1, rc = 0;

	if (!region)
		return err ? err->code : CM_E_IO;
	for (unsigned n = 0; n < STOR_VOL_VMS; n++) {
		unsigned i = (vm_hash(vm) + n) % STOR_VOL_VMS;
		struct stor_block b;

		rc = stor_block_decode(region + i * s, s, &b);
		if (rc == 0 && stor_uuid_equal(&b.vm, vm)) {
			*offset = (vol->super.vms_at + i) * s;
			free(region);
			return 0;
		}
		if (rc == -ENODATA && free_at < 0)
			free_at = (int)i;
	}
	free(region);
	if (!create)
		return cm_err_set(err, CM_E_NO_VM, "volume %s has no ownership block of that VM",
				  vol->super.name);
	if (free_at < 0)
		return cm_err_set(err, CM_E_VOL_LIMIT, "volume %s has no room for more VMs (%u)",
				  vol->super.name, STOR_VOL_VMS);
	/* The first acquire claims it by COMPARE AND WRITE from zero. */
	*offset = (vol->super.vms_at + (unsigned)free_at) * s;
	return 0;
}

int stor_volume_vm_forget(struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX] __attribute__((aligned(4096))), zero[STOR_SECTOR_MAX] = {0};
	uint32_t s = vol->super.sector_bytes;
	struct stor_block b;
	uint64_t offset;
	int rc = stor_volume_vm_block(vol, vm, false, &offset, err);

	rc = rc ? rc : stor__vol_read(vol->dev, offset, sector, s, err);
	rc = rc ? rc : stor_block_decode(sector, s, &b);
	if (rc)
		return cm_err_set(err, rc, "the ownership block cannot be read");
	if (b.state != STOR_BLOCK_FREE)
		return cm_err_set(err, CM_E_LEASE_HELD, "node %s owns the VM", b.owner.node);
	return stor__vol_caw(vol->dev, offset, sector, zero, s, err);
}

int stor_volume_each_vm(struct stor_volume *vol, stor_volume_vm_fn fn, void *arg,
			struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	uint8_t *region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, err);

	if (!region)
		return err ? err->code : CM_E_IO;
	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		struct stor_block b;

		if (stor_block_decode(region + i * s, s, &b) == 0)
			fn(&b, (vol->super.vms_at + i) * s, arg);
	}
	free(region);
	return 0;
}
