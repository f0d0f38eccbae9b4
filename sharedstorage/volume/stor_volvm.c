/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volvm.c - ownership sectors of a volume: where a VM's block is, and who runs.
 *
 * A VM's block is searched from the hash of its UUID on. A new VM gets the first sector after the
 * hash that was never used. Any two hosts that give a VM its first block choose the same
 * sector, and its COMPARE AND WRITE from zero decides; except while volume check --repair makes a forgotten one unused
 * again: then both may win one, and stor_volume_vm_alone tells at least one of them of the other. Parses data of the disk by
 * stor_lease_disk.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

unsigned stor__vol_vm_hash(const struct stor_uuid *vm)
{
	return (vm->b[0] | (unsigned)vm->b[1] << 8 | (unsigned)vm->b[2] << 16) % STOR_VOL_VMS;
}

/* Index of the VM's sector (of two, the one that somebody owns), -1 none; *unused: the first never used one, -1 none; *unread: one that
 * cannot be read (it may be any VM's), -1 none, and why. */
static int block_find(const struct stor_volume *vol, const uint8_t *region,
		      const struct stor_uuid *vm, struct stor_block *b, int *unused, int *unread, int *why)
{
	uint32_t s = vol->super.sector_bytes;
	struct stor_block is;
	int found = -1;

	*unused = *unread = -1;
	for (unsigned n = 0; n < STOR_VOL_VMS; n++) {
		unsigned i = (stor__vol_vm_hash(vm) + n) % STOR_VOL_VMS;
		int rc = stor_block_decode(region + (size_t)i * s, s, &is);

		if (rc == 0 && stor_uuid_equal(&is.vm, vm) && (found < 0 || is.state == STOR_BLOCK_RUNNING)) {
			found = (int)i;
			*b = is;
			if (is.state == STOR_BLOCK_RUNNING)
				break;
		}
		if (rc == -ENODATA && *unused < 0)
			*unused = (int)i;
		if (rc && rc != -ENODATA && !stor_forgotten_is(region + (size_t)i * s, s)) {
			*unread = (int)i;
			*why = rc;
		}
	}
	return found;
}

/* Nobody can tell whose it was: taking it for nobody's could let a VM run twice. */
static int block_unread(const struct stor_volume *vol, int i, int why, struct cm_err *err)
{
	if (why == CM_E_LEASE_FORMAT)
		return cm_err_set(err, why,
				  "ownership sector %d of volume %s has a format of another release and may be "
				  "this VM's: run the same release on all nodes",
				  i, vol->super.name);
	return cm_err_set(err, CM_E_LEASE_CORRUPT,
			  "ownership sector %d of volume %s is damaged and may be this VM's: stop "
			  "all VMs, then hvctl volume check --repair",
			  i, vol->super.name);
}

int stor_volume_vm_block(struct stor_volume *vol, const struct stor_uuid *vm, bool create,
			 uint64_t *offset, struct cm_err *err)
{
	struct stor_block b;
	int rc, unused, unread, why, i;
	uint8_t *region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, &rc, err);

	if (!region)
		return rc;
	i = block_find(vol, region, vm, &b, &unused, &unread, &why);
	free(region);
	if (i < 0 && unread >= 0)
		return block_unread(vol, unread, why, err);
	if (i < 0 && !create)
		return cm_err_set(err, CM_E_NO_VM, "volume %s has no ownership block of that VM",
				  vol->super.name);
	if (i < 0 && unused < 0)
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "volume %s has no room for more VMs (%u); hvctl volume check "
				  "--repair gives back those of deleted VMs",
				  vol->super.name, STOR_VOL_VMS);
	/* The first acquire claims an unused one by COMPARE AND WRITE from zero. */
	*offset = (vol->super.vms_at + (unsigned)(i < 0 ? unused : i)) * vol->super.sector_bytes;
	return 0;
}

int stor_volume_vm_owned(struct stor_volume *vol, const struct stor_uuid *vm, struct stor_block *b,
			 struct cm_err *err)
{
	int rc, unused, unread, why, i;
	uint8_t *region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, &rc, err);

	if (!region)
		return rc;
	i = block_find(vol, region, vm, b, &unused, &unread, &why);
	free(region);
	if (i < 0 && unread >= 0)
		return block_unread(vol, unread, why, err);
	return i >= 0 && b->state == STOR_BLOCK_RUNNING;
}

int stor_volume_vm_alone(struct stor_volume *vol, const struct stor_uuid *vm, uint64_t offset, struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	struct stor_block b;
	int rc;
	uint8_t *region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_VMS && rc == 0; i++)
		if ((vol->super.vms_at + i) * s != offset && stor_block_decode(region + (size_t)i * s, s, &b) == 0 &&
		    stor_uuid_equal(&b.vm, vm) && b.state == STOR_BLOCK_RUNNING)
			rc = cm_err_set(err, CM_E_LEASE_HELD, "node %s owns the VM by another ownership sector (%u): start it again",
					b.owner.node, i);
	free(region);
	return rc;
}

int stor_volume_vm_forget(struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX] __attribute__((aligned(4096))), gone[STOR_SECTOR_MAX];
	uint32_t s = vol->super.sector_bytes;
	struct stor_block b;
	uint64_t offset;
	int rc = stor_volume_vm_block(vol, vm, false, &offset, err);

	rc = rc ? rc : stor__vol_read(vol->dev, offset, sector, s, err);
	if (rc)
		return rc;
	rc = stor_block_decode(sector, s, &b);
	if (rc || !stor_uuid_equal(&b.vm, vm))
		return cm_err_set(err, CM_E_LEASE_MISCOMPARE, "the ownership block changed");
	if (b.state != STOR_BLOCK_FREE)
		return cm_err_set(err, CM_E_LEASE_HELD, "node %s owns the VM", b.owner.node);
	stor_forgotten_encode(vm, gone, s);
	rc = stor__vol_caw(vol->dev, offset, sector, gone, s, err);
	return rc == CM_E_LEASE_MISCOMPARE
		       ? cm_err_set(err, rc, "the ownership block changed: the VM is being started")
		       : rc;
}

int stor_volume_each_vm(struct stor_volume *vol, stor_volume_vm_fn fn, void *arg,
			struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes;
	int rc;
	uint8_t *region = stor__vol_region(vol, vol->super.vms_at, STOR_VOL_VMS, &rc, err);

	if (!region)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_VMS; i++) {
		struct stor_block b;

		if (stor_block_decode(region + (size_t)i * s, s, &b) == 0)
			fn(&b, (vol->super.vms_at + i) * s, arg);
	}
	free(region);
	return 0;
}
