/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volstale.c - claims that their VMs left behind: cleared one by one, or seen and cleared by volume check. Parses
 * nothing.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "sharedstorage/volume/stor_volume_int.h"

#define USED STOR_SLOT_IN(STOR_DISKSLOT_USED)

static int edit_unclaim(struct stor_volume *vol, struct stor_diskslot *d, const void *arg,
			struct cm_err *err)
{
	const bool *sure = arg;
	int rc;

	if (!d->held)
		return STOR_SLOT_AS_IS;
	rc = stor__claim_unused(vol, d, d->name, err);
	if (rc == CM_E_DISK_CLAIMED && *sure) {
		cm_err_clear(err);
		rc = 0;
	}
	d->held = false;
	return rc;
}

int stor_volume_disk_unclaim(struct stor_volume *vol, const char *disk, bool sure, struct cm_err *err)
{
	struct cm_err own = CM_ERR_INIT;
	struct stor_diskslot d;
	int rc = stor__slot_edit(vol, STOR_DISKSLOT_DISK, disk, USED, edit_unclaim, &sure, NULL, &d, &own);

	if (rc >= 0)
		rc = stor__readers_unclaim(vol, &d.id, disk, sure, &own);
	return rc < 0 ? cm_err_set(err, rc, "%s", own.text) : 0;
}

/* --- what volume check says ----------------------------------------------- */

/* Its name; NULL: it is gone, and nobody reads it. A slot that is damaged may be its own. */
static const char *disk_of(const struct stor_slots *t, const struct stor_uuid *id)
{
	const char *none = NULL;

	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		if (t->d[i].kind == STOR_DISKSLOT_DISK && stor_uuid_equal(&t->d[i].id, id))
			return t->d[i].name;
		else if (t->bad[i])
			none = "(in a damaged slot)";
	return none;
}

static int check_claim(struct stor_volume *vol, struct stor_slots *t, unsigned i, bool repair, char *said,
		       size_t cap, struct cm_err *err)
{
	struct stor_diskslot d = t->d[i];
	bool reader = d.kind == STOR_DISKSLOT_READER;
	const char *name = reader ? disk_of(t, &d.of) : d.name;
	char vm[STOR_UUID_TEXT];
	int rc = name ? stor__claim_unused(vol, &d, name, err) : 0;

	said[0] = '\0';
	if (rc && repair)
		return rc;
	cm_err_clear(err);
	if (rc)
		return 0;
	stor_uuid_format(&d.vm, vm);
	snprintf(said, cap, "disk %s is claimed by VM %s, which nobody runs", name ? name : "that is gone", vm);
	if (reader)
		d = (struct stor_diskslot){.state = STOR_DISKSLOT_FREE, .generation = d.generation};
	d.held = false;
	return repair ? stor__slot_write(vol, t, i, &d, err) : 0;
}

int stor__vol_check_claims(struct stor_volume *vol, bool repair,
			   void (*complaint)(const char *text, void *arg), void *arg,
			   struct stor_volume_report *report, struct cm_err *err)
{
	struct cm_err own = CM_ERR_INIT;
	char said[256];
	int rc;
	struct stor_slots *t = stor__slots_load(vol, &rc, err);

	for (unsigned i = 0; t && i < STOR_VOL_DISKS && rc == 0; i++) {
		if (t->d[i].state != STOR_DISKSLOT_USED || !t->d[i].held)
			continue;
		rc = check_claim(vol, t, i, repair, said, sizeof said, &own);
		report->unfinished += said[0] != '\0';
		if (said[0] && complaint)
			complaint(said, arg);
	}
	stor__slots_free(t);
	return rc && own.code ? cm_err_set(err, rc, "%s", own.text) : rc;
}
