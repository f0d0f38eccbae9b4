/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volclaim.c - which VM uses a disk: taking and releasing claims (the rules are in
 * stor_volume.h). Whether a VM runs is said by its ownership block, here or, by the witness, on
 * another volume; what could not be looked at counts as running. Parses nothing.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

#define USED STOR_SLOT_IN(STOR_DISKSLOT_USED)

void stor_volume_set_witness(struct stor_volume *vol, stor_witness_fn fn, void *arg)
{
	vol->witness = fn;
	vol->witness_arg = arg;
}

/* --- does the VM of a claim run? ------------------------------------------ */

static int claim_busy(const struct stor_volume *vol, const struct stor_diskslot *d,
		      const char *disk, const struct stor_block *b, struct cm_err *err)
{
	char vm[STOR_UUID_TEXT];

	stor_uuid_format(&d->vm, vm);
	return cm_err_set(err, CM_E_DISK_BUSY, "disk %s of volume %s is in use by VM %s on node %s", disk,
			  vol->super.name, vm, b->owner.node);
}

/* why: what the witness said, "" nothing. */
static int claim_unseen(const struct stor_volume *vol, const struct stor_diskslot *d,
			const char *disk, const char *why, struct cm_err *err)
{
	char vm[STOR_UUID_TEXT], home[STOR_UUID_TEXT];

	stor_uuid_format(&d->vm, vm);
	stor_uuid_format(&d->home, home);
	if (stor_uuid_is_zero(&d->home))
		return cm_err_set(err, CM_E_DISK_CLAIMED,
				  "disk %s of volume %s is claimed by VM %s (node %s), which has no ownership block that "
				  "would tell whether it runs",
				  disk, vol->super.name, vm, d->node);
	return cm_err_set(err, CM_E_DISK_CLAIMED,
			  "disk %s of volume %s is claimed by VM %s (node %s), and its ownership block (on %s) cannot be "
			  "looked at%s%s",
			  disk, vol->super.name, vm, d->node, home, why[0] ? ": " : "", why);
}

int stor__claim_unused(struct stor_volume *vol, const struct stor_diskslot *d, const char *disk,
		       struct cm_err *err)
{
	struct cm_err why = CM_ERR_INIT;
	struct stor_block b;
	int rc;

	if (!d->held)
		return 0;
	if (stor_uuid_equal(&d->home, &vol->super.id))
		rc = stor_volume_vm_owned(vol, &d->vm, &b, &why);
	else if (vol->witness && !stor_uuid_is_zero(&d->home))
		rc = vol->witness(&d->home, &d->vm, &b, &why, vol->witness_arg);
	else
		rc = CM_E_DISK_CLAIMED;
	if (rc == 0)
		return 0;
	return rc > 0 ? claim_busy(vol, d, disk, &b, err) : claim_unseen(vol, d, disk, why.text, err);
}

int stor__disk_unused(struct stor_volume *vol, const struct stor_diskslot *d,
		      const struct stor_uuid *but, struct cm_err *err)
{
	struct stor_slots *t;
	int rc = stor__claim_unused(vol, d, d->name, err);

	if (rc)
		return rc;
	t = stor__slots_load(vol, &rc, err);
	for (unsigned i = 0; t && i < STOR_VOL_DISKS && rc == 0; i++) {
		const struct stor_diskslot *r = &t->d[i];

		if (r->state == STOR_DISKSLOT_USED && r->kind == STOR_DISKSLOT_READER &&
		    stor_uuid_equal(&r->of, &d->id) && !(but && stor_uuid_equal(&r->vm, but)))
			rc = stor__claim_unused(vol, r, d->name, err);
	}
	stor__slots_free(t);
	return rc;
}

/* --- taking and releasing ------------------------------------------------- */

void stor__claim_set(struct stor_diskslot *d, const struct stor_claim *c)
{
	d->held = true;
	d->vm = c->vm;
	d->home = c->home;
	d->epoch = c->epoch;
	memcpy(d->node, c->node, sizeof d->node);
}

struct claiming {
	const struct stor_claim *claim;
	bool keep;
};

bool stor__claim_same(const struct stor_diskslot *d, const struct stor_claim *c)
{
	return d->held && stor_uuid_equal(&d->vm, &c->vm) && stor_uuid_equal(&d->home, &c->home);
}

static int edit_claim(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		      struct cm_err *err)
{
	const struct claiming *k = arg;
	const struct stor_claim *c = k->claim;
	int rc = 0;

	if (k->keep && !stor_uuid_equal(&d->vm, &c->vm))
		return cm_err_set(err, CM_E_DISK_BUSY,
				  "another VM has used disk %s since this one was saved: the saved state does not fit it any "
				  "more (hvctl start --fresh discards it)",
				  d->name);
	if (stor__claim_same(d, c) && d->epoch > c->epoch)
		return cm_err_set(err, CM_E_DISK_BUSY,
				  "disk %s is in use by a later start of this VM (node %s, epoch %llu); if there is none (an "
				  "ownership block that was made anew): hvctl disk release", d->name,
				  d->node, (unsigned long long)d->epoch);
	if (!stor__claim_same(d, c))
		rc = stor__disk_unused(vol, d, &c->vm, err);
	stor__claim_set(d, c);
	memset(d->to, 0, sizeof d->to); /* a rename under way gives way */
	return rc;
}

int stor_volume_disk_claim(struct stor_volume *vol, const char *disk, const struct stor_claim *claim,
			   bool keep, struct stor_disk_info *info, struct cm_err *err)
{
	const struct claiming k = {.claim = claim, .keep = keep};
	struct stor_diskslot d;
	unsigned slot;
	int rc;

	CM_ASSERT(!stor_uuid_is_zero(&claim->vm));
	/* Written even if it is ours already: the slot changes, so nobody who saw us stopped can
	 * take the disk with what he read then. */
	rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_claim, &k, &slot, &d, err);
	if (rc == 0 && info)
		stor__disk_info_fill(vol, slot, &d, 0, info);
	return rc;
}

static int edit_release(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
			struct cm_err *err)
{
	const struct stor_claim *c = arg;

	(void)vol;
	(void)err;
	if (!stor__claim_same(d, c) || d->epoch > c->epoch)
		return STOR_SLOT_AS_IS;
	d->held = false;
	return 0;
}

int stor_volume_disk_release(struct stor_volume *vol, const char *disk,
			     const struct stor_claim *claim, struct cm_err *err)
{
	int rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_release, claim, NULL, NULL, err);

	return rc == STOR_SLOT_AS_IS ? 0 : rc;
}

static int edit_shared(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
		       struct cm_err *err)
{
	const struct stor_uuid *vm = arg;

	(void)vol;
	if (!d->held || !stor_uuid_equal(&d->vm, vm))
		return cm_err_set(err, CM_E_DISK_BUSY, "disk %s is not claimed by this VM", d->name);
	return STOR_SLOT_AS_IS;
}

int stor_volume_disk_shared(struct stor_volume *vol, const char *disk, const struct stor_uuid *vm,
			    struct stor_disk_info *info, struct cm_err *err)
{
	struct stor_diskslot d;
	unsigned slot;
	int rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_shared, vm, &slot, &d, err);

	if (rc != STOR_SLOT_AS_IS)
		return rc;
	stor__disk_info_fill(vol, slot, &d, 0, info);
	return 0;
}
