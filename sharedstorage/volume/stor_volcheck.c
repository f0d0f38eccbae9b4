/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volcheck.c - reads every structure of a volume, says what is wrong, and repairs what can be:
 * super block copies, operations that a crash interrupted, leaked extents.
 *
 * Others may work on the volume at the same time. Every change is a COMPARE AND WRITE from what was
 * read; a lost race means that the thing was not left over. Disks and their extents are in
 * stor_volleak.c. Parses data of the disk by stor_volfmt.c and stor_lease_disk.c only.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/volume/stor_volcheck_int.h"

/* --- super block, hosts, blocks ------------------------------------------ */

static int repair_sector(struct checker *c, uint64_t at, const uint8_t *old, const uint8_t *fixed,
			 struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	int rc = stor__vol_caw(c->vol->dev, at * s, old, fixed, s, err);

	/* A lost race is no error: it was not left over, somebody is at it. */
	return rc == CM_E_LEASE_MISCOMPARE ? 0 : rc;
}

static int check_supers(struct checker *c, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	uint8_t two[2 * STOR_SECTOR_MAX] __attribute__((aligned(4096))), good[STOR_SECTOR_MAX];
	struct stor_super now;
	int rc = stor__vol_read(c->vol->dev, 0, two, 2ull * s, err);

	/* It may have grown since it was opened: never back to that. */
	if (rc == 0 && stor__super_choose(two, s, &now) == 0 &&
	    stor_uuid_equal(&now.id, &c->vol->super.id) && now.changes > c->vol->super.changes)
		c->vol->super = now;
	stor_super_encode(&c->vol->super, good);
	for (unsigned i = 0; i < STOR_VOL_SUPERS && rc == 0; i++) {
		struct stor_super other;

		if (memcmp(two + i * s, good, s) == 0)
			continue;
		if (stor_super_decode(two + i * s, s, &other)) {
			c->r->bad_structures++;
			stor__check_complain(c, "copy %u of the super block is damaged", i);
		} else {
			c->r->unfinished++;
			stor__check_complain(c, "copy %u of the super block is older than the other", i);
		}
		if (c->repair)
			rc = repair_sector(c, i, two + i * s, good, err);
	}
	return rc;
}

static int check_hosts(struct checker *c, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	struct stor_hostslot h;
	int rc;
	uint8_t *region =
		stor__vol_region(c->vol, c->vol->super.hosts_at, STOR_VOL_HOSTS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_HOSTS; i++) {
		int bad = stor_hostslot_decode(region + i * s, s, &h);

		if (bad == CM_E_VOL_CORRUPT || (bad == 0 && h.slot != i + 1)) {
			c->r->bad_structures++;
			stor__check_complain(c, "host slot %u is damaged", i + 1);
		}
	}
	free(region);
	return rc;
}

static int check_blocks(struct checker *c, struct cm_err *err)
{
	static const uint8_t zero[STOR_SECTOR_MAX];
	uint32_t s = c->vol->super.sector_bytes;
	uint64_t at = c->vol->super.vms_at;
	int rc;
	uint8_t *region = stor__vol_region(c->vol, at, STOR_VOL_VMS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_VMS && rc == 0; i++) {
		const uint8_t *p = region + (size_t)i * s;
		struct stor_block b;

		bool forgotten = stor_forgotten_is(p, s);
		int why = forgotten ? 0 : stor_block_decode(p, s, &b);
		bool bad = why == CM_E_LEASE_CORRUPT, other = why == CM_E_LEASE_FORMAT;

		c->r->unfinished += forgotten;
		c->r->bad_structures += bad || other;
		if (bad)
			stor__check_complain(c, "ownership sector %u is damaged", i);
		if (other) /* whole, and perhaps of a VM that runs: never repaired away */
			stor__check_complain(c, "ownership sector %u has a format of another release", i);
		if (c->repair && (forgotten || bad))
			rc = repair_sector(c, at + i, p, zero, err);
	}
	free(region);
	return rc;
}

/* --- configurations ------------------------------------------------------ */

static int check_config(struct checker *c, unsigned i, const uint8_t *p, struct cm_err *err)
{
	uint32_t s = c->vol->super.sector_bytes;
	struct cm_err own = CM_ERR_INIT;
	struct stor_confhead h, none;
	uint8_t sector[STOR_SECTOR_MAX];
	char *text = NULL;
	int rc = stor_confhead_decode(p, s, &h);

	if (rc == CM_E_VOL_CORRUPT) {
		c->r->bad_structures++;
		stor__check_complain(c, "configuration header %u is damaged", i);
		return 0;
	}
	if (rc || !h.used)
		return 0;
	if (h.copy != STOR_CONFIG_NO_COPY) {
		rc = stor__vol_config_text(c->vol, i, &h, &text, &own);
		free(text);
		if (rc == 0 || (rc != -EAGAIN && rc != CM_E_VOL_CORRUPT))
			return rc ? cm_err_set(err, rc, "%s", own.text) : 0;
		c->r->bad_structures++;
		stor__check_complain(c, "the configuration of VM %s is damaged", h.name);
		return 0;
	}
	c->r->unfinished++;
	stor__check_complain(c, "the first configuration of VM %s was interrupted", h.name);
	if (!c->repair)
		return 0;
	none = (struct stor_confhead){.changes = h.changes + 1};
	stor_confhead_encode(&none, sector, s);
	return repair_sector(c, c->vol->super.configs_at + i, p, sector, err);
}

static int check_configs(struct checker *c, struct cm_err *err)
{
	int rc;
	uint8_t *region =
		stor__vol_region(c->vol, c->vol->super.configs_at, STOR_VOL_VMS, &rc, err);

	for (unsigned i = 0; region && i < STOR_VOL_VMS && rc == 0; i++)
		rc = check_config(c, i, region + (size_t)i * c->vol->super.sector_bytes, err);
	free(region);
	return rc;
}

/* --- all of it ---------------------------------------------------------- */

int stor_volume_check(struct stor_volume *vol, bool repair,
		      void (*complaint)(const char *text, void *arg), void *arg,
		      struct stor_volume_report *report, struct cm_err *err)
{
	struct checker *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		return cm_err_set(err, -ENOMEM, "out of memory");
	memset(report, 0, sizeof *report);
	*c = (struct checker){
		.vol = vol, .repair = repair, .complaint = complaint, .arg = arg, .r = report, .err = err};
	rc = stor__vol_check_claims(vol, repair, complaint, arg, report, err);
	if (rc == CM_E_LEASE_MISCOMPARE) /* a VM claims a disk just now */
		rc = cm_err_set(err, CM_E_DISK_BUSY,
				"a VM of volume %s is being started: repair it when none runs",
				vol->super.name);
	rc = rc ? rc : check_supers(c, err);
	rc = rc ? rc : check_hosts(c, err);
	rc = rc ? rc : check_blocks(c, err);
	rc = rc ? rc : check_configs(c, err);
	rc = rc ? rc : stor__check_disks(c, err);
	free(c);
	return rc;
}
