/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_supfmt.c - the layout of a cluster volume, its super block, and what else is in the first
 * sector of a LUN of ours. Pure. Parses data of the disk.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "sharedstorage/volume/stor_volfmt_int.h"

static const char super_magic[8] = "HVVOLUM1", bound_magic[8] = "HVBOUND1",
		  forming_magic[8] = "HVFORMIN";

static int get_serial(const uint8_t *in, char *out)
{
	if (!memchr(in, '\0', STOR_SERIAL))
		return CM_E_VOL_CORRUPT;
	memcpy(out, in, STOR_SERIAL);
	return 0;
}

/* --- layout -------------------------------------------------------------- */

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

static uint64_t choose_extent(uint64_t capacity)
{
	uint64_t e = 4ull << 20;

	while (capacity / e > 1ull << 20 && e < STOR_VOL_EXTENT_MAX)
		e *= 2;
	while (capacity / e < 64 && e > STOR_VOL_EXTENT_MIN)
		e /= 2;
	return e;
}

static void place_regions(struct stor_super *s)
{
	s->hosts_at = 8; /* super blocks, scratch sector, and room */
	s->vms_at = s->hosts_at + STOR_VOL_HOSTS;
	s->disks_at = s->vms_at + STOR_VOL_VMS;
	s->configs_at = s->disks_at + STOR_VOL_DISKS;
	s->bodies_at = s->configs_at + STOR_VOL_VMS;
	s->table_at = s->bodies_at +
		      (uint64_t)STOR_VOL_VMS * 2u * stor_config_body_sectors(s->sector_bytes);
}

int stor_super_plan(uint64_t capacity, uint32_t sector, uint64_t extent, uint64_t shared,
		    struct stor_super *s, struct cm_err *err)
{
	uint64_t n, most, at;
	uint32_t per;

	memset(s, 0, sizeof *s);
	if (!extent)
		extent = choose_extent(capacity);
	if (extent < STOR_VOL_EXTENT_MIN || extent > STOR_VOL_EXTENT_MAX || (extent & (extent - 1)))
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "extents must be a power of two from 1M to 1G");
	if (sector != 512 && sector != 4096)
		return cm_err_set(err, CM_E_VOL_LIMIT, "sectors of %u bytes are not supported",
				  sector);
	per = stor_table_entries(sector);
	n = capacity / extent;
	if (n > STOR_VOL_EXTENTS)
		return cm_err_set(
			err, CM_E_VOL_LIMIT,
			"%llu extents are more than a volume has (%llu): choose larger ones",
			(unsigned long long)n, (unsigned long long)STOR_VOL_EXTENTS);
	s->sector_bytes = sector;
	s->extent_bytes = extent;
	place_regions(s);
	most = (CM_MIN(n * STOR_VOL_GROWTH, STOR_VOL_EXTENTS) + per - 1) / per;
	s->table_sectors = (n + per - 1) / per;
	at = s->table_at + s->table_sectors;
	if (shared && at * sector > shared)
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "the lock LUN has %llu KiB, the volume's metadata needs %llu KiB",
				  (unsigned long long)(shared >> 10),
				  (unsigned long long)((at * sector + 1023) >> 10));
	/* Room for growth: as much as the lock LUN takes. */
	if (shared)
		most = CM_MIN(most, shared / sector - s->table_at);
	s->table_sectors = CM_MAX(s->table_sectors, most);
	at = s->table_at + s->table_sectors;
	s->data_at = round_up(CM_MAX(at * sector, shared), extent);
	if (s->data_at + extent > capacity)
		return cm_err_set(
			err, CM_E_VOL_LIMIT,
			"the device is too small for a volume: %llu MiB, wanted %llu MiB or more",
			(unsigned long long)(capacity >> 20),
			(unsigned long long)((s->data_at + extent) >> 20));
	s->extents = CM_MIN(n, (capacity - s->data_at) / extent);
	return 0;
}

uint64_t stor_super_extents(const struct stor_super *s, uint64_t capacity)
{
	uint64_t room = s->table_sectors * stor_table_entries(s->sector_bytes), n;

	if (capacity < s->data_at)
		return s->extents;
	n = CM_MIN((capacity - s->data_at) / s->extent_bytes, CM_MIN(room, STOR_VOL_EXTENTS));
	return CM_MAX(n, s->extents);
}

void stor_super_encode(const struct stor_super *s, uint8_t *out)
{
	memset(out, 0, s->sector_bytes);
	memcpy(out, super_magic, 8);
	cm_put_le32(out + 8, STOR_VOL_FORMAT);
	cm_put_le32(out + 12, s->sector_bytes);
	memcpy(out + 16, s->id.b, 16);
	memcpy(out + 32, s->name, STOR_DISK_NAME);
	cm_put_le64(out + 96, s->extent_bytes);
	cm_put_le64(out + 104, s->extents);
	cm_put_le64(out + 112, s->hosts_at);
	cm_put_le64(out + 120, s->vms_at);
	cm_put_le64(out + 128, s->disks_at);
	cm_put_le64(out + 136, s->configs_at);
	cm_put_le64(out + 144, s->bodies_at);
	cm_put_le64(out + 152, s->table_at);
	cm_put_le64(out + 160, s->table_sectors);
	cm_put_le64(out + 168, s->data_at);
	cm_put_le64(out + 176, s->changes);
	out[184] = s->locked ? 1 : 0;
	memcpy(out + 192, s->data_serial, STOR_SERIAL);
	stor__sector_seal(out, s->sector_bytes);
}

/* The only layout of this version; everything else is damage, however good its checksum. */
static bool super_sane(const struct stor_super *s)
{
	struct stor_super want = *s;
	uint64_t x = s->extent_bytes, per = stor_table_entries(s->sector_bytes);

	place_regions(&want);
	return x >= STOR_VOL_EXTENT_MIN && x <= STOR_VOL_EXTENT_MAX && !(x & (x - 1)) &&
	       s->extents > 0 && s->extents <= STOR_VOL_EXTENTS && s->hosts_at == want.hosts_at &&
	       s->vms_at == want.vms_at && s->disks_at == want.disks_at &&
	       s->configs_at == want.configs_at && s->bodies_at == want.bodies_at &&
	       s->table_at == want.table_at && s->table_sectors <= STOR_VOL_EXTENTS &&
	       s->table_sectors * per >= s->extents && s->data_at % x == 0 &&
	       s->data_at >= (s->table_at + s->table_sectors) * s->sector_bytes &&
	       s->data_at >> 60 == 0;
}

int stor_super_decode(const uint8_t *in, uint32_t sector, struct stor_super *s)
{
	int rc;

	memset(s, 0, sizeof *s);
	if (memcmp(in, super_magic, 8) != 0)
		return stor__sector_zero(in, sector) ? -ENODATA : CM_E_VOL_FORMAT;
	rc = stor__sector_check(in, sector, super_magic);
	if (rc)
		return rc;
	if (cm_le32(in + 8) != STOR_VOL_FORMAT || cm_le32(in + 12) != sector)
		return CM_E_VOL_FORMAT;
	s->sector_bytes = sector;
	memcpy(s->id.b, in + 16, 16);
	rc = stor__get_name(in + 32, s->name);
	if (rc)
		return rc;
	s->extent_bytes = cm_le64(in + 96);
	s->extents = cm_le64(in + 104);
	s->hosts_at = cm_le64(in + 112);
	s->vms_at = cm_le64(in + 120);
	s->disks_at = cm_le64(in + 128);
	s->configs_at = cm_le64(in + 136);
	s->bodies_at = cm_le64(in + 144);
	s->table_at = cm_le64(in + 152);
	s->table_sectors = cm_le64(in + 160);
	s->data_at = cm_le64(in + 168);
	s->changes = cm_le64(in + 176);
	s->locked = in[184] == 1;
	rc = get_serial(in + 192, s->data_serial);
	if (rc || in[184] > 1)
		return CM_E_VOL_CORRUPT;
	return super_sane(s) ? 0 : CM_E_VOL_CORRUPT;
}

bool stor_super_any(const uint8_t *sectors, uint32_t sector)
{
	struct stor_super s;
	bool any = false;

	for (unsigned i = 0; i < STOR_VOL_SUPERS; i++)
		any |= !stor_super_decode(sectors + i * sector, sector, &s);
	return any;
}

/* --- a data LUN that has a lock LUN, and a volume that is being made ------ */

void stor_bound_encode(const struct stor_bound *b, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, bound_magic, 8);
	memcpy(out + 16, b->volume.b, 16);
	memcpy(out + 32, b->name, STOR_DISK_NAME);
	memcpy(out + 96, b->lock_serial, STOR_SERIAL);
	stor__sector_seal(out, sector);
}

int stor_bound_decode(const uint8_t *in, uint32_t sector, struct stor_bound *b)
{
	int rc = stor__sector_check(in, sector, bound_magic);

	memset(b, 0, sizeof *b);
	if (rc)
		return rc;
	memcpy(b->volume.b, in + 16, 16);
	rc = stor__get_name(in + 32, b->name);
	return rc ? rc : get_serial(in + 96, b->lock_serial);
}

void stor_forming_encode(const struct stor_super *s, uint8_t *out)
{
	memset(out, 0, s->sector_bytes);
	memcpy(out, forming_magic, 8);
	memcpy(out + 16, s->id.b, 16);
	stor__sector_seal(out, s->sector_bytes);
}

bool stor_forming_is(const uint8_t *in, uint32_t sector)
{
	return stor__sector_check(in, sector, forming_magic) == 0;
}
