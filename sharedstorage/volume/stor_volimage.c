/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volimage.c - saved states of VMs on a volume: disk slots of kind IMAGE, named by the VM's
 * UUID, at most one per VM. An image is created, written (stor_image_open), sealed, and consumed by
 * the one COMPARE AND WRITE after which nobody can restore it again. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "sharedstorage/volume/stor_volume_int.h"

#define USED STOR_SLOT_IN(STOR_DISKSLOT_USED)

static int no_image(const struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	char text[STOR_UUID_TEXT];

	stor_uuid_format(vm, text);
	return cm_err_set(err, CM_E_NO_DISK, "volume %s has no saved state of VM %s",
			  vol->super.name, text);
}

/* Edits the VM's image. */
static int image_edit(struct stor_volume *vol, const struct stor_uuid *vm, stor_slot_fn fn,
		      const void *arg, unsigned *slot, struct stor_diskslot *out,
		      struct cm_err *err)
{
	char name[STOR_UUID_TEXT];
	struct cm_err own = CM_ERR_INIT;
	int rc;

	stor_uuid_format(vm, name);
	rc = stor__slot_edit(vol, STOR_DISKSLOT_IMAGE, name, USED, fn, arg, slot, out, &own);
	if (rc == CM_E_NO_DISK)
		return no_image(vol, vm, err);
	return rc ? cm_err_set(err, rc, "%s", own.text) : 0;
}

int stor_volume_image_create(struct stor_volume *vol, const struct stor_uuid *vm, uint64_t size,
			     struct cm_err *err)
{
	struct stor_diskslot d = {.kind = STOR_DISKSLOT_IMAGE, .vm = *vm, .size_bytes = size};
	unsigned slot;
	int rc = stor__vol_check_size(vol, size, err);

	if (stor_uuid_is_zero(vm))
		rc = cm_err_set(err, CM_E_BAD_VALUE, "a VM's UUID is not zero");
	stor_uuid_format(vm, d.name);
	return rc ? rc : stor__slot_create(vol, &d, STOR_DISKSLOT_USED, &slot, err);
}

static int edit_seal(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	(void)vol;
	(void)arg;
	(void)err;
	d->sealed = true;
	return 0;
}

int stor_volume_image_seal(struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	int rc = stor__vol_flush(vol->dev, err);

	return rc ? rc : image_edit(vol, vm, edit_seal, NULL, NULL, NULL, err);
}

int stor_volume_image_find(struct stor_volume *vol, const struct stor_uuid *vm,
			   struct stor_image_info *info, struct cm_err *err)
{
	uint64_t *count = calloc(STOR_VOL_DISKS, sizeof *count);
	char name[STOR_UUID_TEXT];
	struct stor_slots *t;
	int rc, i;

	stor_uuid_format(vm, name);
	t = count ? stor__slots_load(vol, &rc, err) : NULL;
	if (!t) {
		rc = count ? rc : cm_err_set(err, -ENOMEM, "out of memory");
		free(count);
		return rc;
	}
	i = stor__slots_find(t, STOR_DISKSLOT_IMAGE, name, USED);
	rc = i < 0 ? no_image(vol, vm, err) : stor__vol_table_count(vol, t->d, count, NULL, err);
	if (rc == 0)
		*info = (struct stor_image_info){
			.id = t->d[i].id,
			.size_bytes = t->d[i].size_bytes,
			.allocated_bytes = count[i] * vol->super.extent_bytes,
			.sealed = t->d[i].sealed,
		};
	stor__slots_free(t);
	free(count);
	return rc;
}

struct gone {
	const struct stor_uuid *id; /* NULL: whatever it is */
	bool by_owner;
};

static int edit_gone(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		     struct cm_err *err)
{
	const struct gone *g = arg;
	const struct stor_uuid *id = g->id;
	struct stor_block b;
	int rc;

	if (!g->by_owner) {
		/* Who owns the VM later than this look makes an image of its own before it writes one, so the slot changes. */
		rc = stor_volume_vm_owned(vol, &d->vm, &b, err);
		if (rc)
			return rc < 0 ? rc
				      : cm_err_set(err, CM_E_DISK_BUSY,
						   "the VM of this saved state runs on node %s",
						   b.owner.node);
	}
	if (id && (!d->sealed || !stor_uuid_equal(&d->id, id)))
		return cm_err_set(err, CM_E_NO_DISK,
				  "volume %s has another saved state of VM %s by now",
				  vol->super.name, d->name);
	d->state = STOR_DISKSLOT_DELETING;
	return 0;
}

static int image_gone(struct stor_volume *vol, const struct stor_uuid *vm,
		      const struct gone *g, struct cm_err *err)
{
	struct stor_diskslot d;
	unsigned slot;
	int rc = image_edit(vol, vm, edit_gone, g, &slot, &d, err);

	rc = rc ? rc : cm_fault("stor.image.gone");
	return rc ? rc : stor__slot_finish_delete(vol, slot, &d, err);
}

int stor_volume_image_consume(struct stor_volume *vol, const struct stor_uuid *vm,
			      const struct stor_uuid *id, struct cm_err *err)
{
	const struct gone consumed = {.id = id, .by_owner = true};

	return image_gone(vol, vm, &consumed, err);
}

int stor_volume_image_drop(struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	const struct gone dropped = {.by_owner = true};

	return image_gone(vol, vm, &dropped, err);
}

int stor_volume_image_discard(struct stor_volume *vol, const struct stor_uuid *vm,
			      struct cm_err *err)
{
	const struct gone discarded = {.by_owner = false};

	return image_gone(vol, vm, &discarded, err);
}
