/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volfmt.c - encoders and decoders of a cluster volume's sectors. Pure. Parses data of the
 * disk.
 */
#include "config.h"

#include "sharedstorage/stor_volfmt.h"

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"

/* Every sector: magic[8], then the structure, CRC32C in the last four bytes. */
#define CRC_BYTES 4u
static const char super_magic[8] = "HVVOLUM1", host_magic[8] = "HVHOST01",
		  disk_magic[8] = "HVDISK01", table_magic[4] = "HVET";

static bool all_zero(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static void seal(uint8_t *out, uint32_t n)
{
	cm_put_le32(out + n - CRC_BYTES, cm_crc32c(0, out, n - CRC_BYTES));
}

/* 0, -ENODATA, or CM_E_VOL_CORRUPT. */
static int check(const uint8_t *in, uint32_t n, const char magic[8])
{
	if (all_zero(in, n))
		return -ENODATA;
	if (memcmp(in, magic, 8) != 0 ||
	    cm_le32(in + n - CRC_BYTES) != cm_crc32c(0, in, n - CRC_BYTES))
		return CM_E_VOL_CORRUPT;
	return 0;
}

static int get_name(const uint8_t *in, char *out)
{
	if (!memchr(in, '\0', STOR_DISK_NAME))
		return CM_E_VOL_CORRUPT;
	memcpy(out, in, STOR_DISK_NAME);
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

int stor_super_plan(uint64_t capacity, uint32_t sector, uint64_t extent, struct stor_super *s,
		    struct cm_err *err)
{
	uint64_t n, at;

	memset(s, 0, sizeof *s);
	if (!extent)
		extent = choose_extent(capacity);
	if (extent < STOR_VOL_EXTENT_MIN || extent > STOR_VOL_EXTENT_MAX || (extent & (extent - 1)))
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "extents must be a power of two from 1M to 1G");
	if (sector != 512 && sector != 4096)
		return cm_err_set(err, CM_E_VOL_LIMIT, "sectors of %u bytes are not supported",
				  sector);
	n = CM_MIN(capacity / extent, STOR_VOL_EXTENTS);
	s->sector_bytes = sector;
	s->extent_bytes = extent;
	at = 8; /* super blocks, and room to grow */
	s->hosts_at = at;
	at += STOR_VOL_HOSTS;
	s->vms_at = at;
	at += STOR_VOL_VMS;
	s->disks_at = at;
	at += STOR_VOL_DISKS;
	s->table_at = at;
	s->table_sectors = (n + stor_table_entries(sector) - 1) / stor_table_entries(sector);
	at += s->table_sectors;
	s->data_at = round_up(at * sector, extent);
	if (s->data_at + extent > capacity)
		return cm_err_set(
			err, CM_E_VOL_LIMIT,
			"the device is too small for a volume: %llu MiB, wanted %llu MiB or more",
			(unsigned long long)(capacity >> 20),
			(unsigned long long)((s->data_at + extent) >> 20));
	s->extents = CM_MIN(n, (capacity - s->data_at) / extent);
	return 0;
}

void stor_super_encode(const struct stor_super *s, uint8_t *out)
{
	memset(out, 0, s->sector_bytes);
	memcpy(out, super_magic, 8);
	cm_put_le32(out + 8, 1); /* format version */
	cm_put_le32(out + 12, s->sector_bytes);
	memcpy(out + 16, s->id.b, 16);
	memcpy(out + 32, s->name, STOR_DISK_NAME);
	cm_put_le64(out + 96, s->extent_bytes);
	cm_put_le64(out + 104, s->extents);
	cm_put_le64(out + 112, s->hosts_at);
	cm_put_le64(out + 120, s->vms_at);
	cm_put_le64(out + 128, s->disks_at);
	cm_put_le64(out + 136, s->table_at);
	cm_put_le64(out + 144, s->table_sectors);
	cm_put_le64(out + 152, s->data_at);
	seal(out, s->sector_bytes);
}

int stor_super_decode(const uint8_t *in, uint32_t sector, struct stor_super *s)
{
	uint64_t regions;
	int rc;

	memset(s, 0, sizeof *s);
	if (memcmp(in, super_magic, 8) != 0)
		return all_zero(in, sector) ? -ENODATA : CM_E_VOL_FORMAT;
	rc = check(in, sector, super_magic);
	if (rc)
		return rc;
	if (cm_le32(in + 8) != 1 || cm_le32(in + 12) != sector)
		return CM_E_VOL_FORMAT;
	s->sector_bytes = sector;
	memcpy(s->id.b, in + 16, 16);
	rc = get_name(in + 32, s->name);
	if (rc)
		return rc;
	s->extent_bytes = cm_le64(in + 96);
	s->extents = cm_le64(in + 104);
	s->hosts_at = cm_le64(in + 112);
	s->vms_at = cm_le64(in + 120);
	s->disks_at = cm_le64(in + 128);
	s->table_at = cm_le64(in + 136);
	s->table_sectors = cm_le64(in + 144);
	s->data_at = cm_le64(in + 152);
	/* The only layout of this version; everything else is damage, however good its checksum. */
	regions = s->extent_bytes;
	if (regions < STOR_VOL_EXTENT_MIN || regions > STOR_VOL_EXTENT_MAX ||
	    (regions & (regions - 1)) || s->extents == 0 || s->extents > STOR_VOL_EXTENTS ||
	    s->hosts_at != 8 || s->vms_at != s->hosts_at + STOR_VOL_HOSTS ||
	    s->disks_at != s->vms_at + STOR_VOL_VMS ||
	    s->table_at != s->disks_at + STOR_VOL_DISKS || s->table_sectors > STOR_VOL_EXTENTS ||
	    s->table_sectors * stor_table_entries(sector) < s->extents ||
	    s->data_at % s->extent_bytes ||
	    s->data_at < (s->table_at + s->table_sectors) * sector || s->data_at >> 60)
		return CM_E_VOL_CORRUPT;
	return 0;
}

/* --- host and disk slots ------------------------------------------------- */

void stor_hostslot_encode(const struct stor_hostslot *h, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, host_magic, 8);
	cm_put_le16(out + 8, h->slot);
	memcpy(out + 16, h->node, STOR_NODE_NAME);
	seal(out, sector);
}

int stor_hostslot_decode(const uint8_t *in, uint32_t sector, struct stor_hostslot *h)
{
	int rc = check(in, sector, host_magic);

	memset(h, 0, sizeof *h);
	if (rc)
		return rc;
	h->slot = cm_le16(in + 8);
	return get_name(in + 16, h->node);
}

void stor_diskslot_encode(const struct stor_diskslot *d, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, disk_magic, 8);
	out[8] = (uint8_t)d->state;
	out[9] = d->thick ? 1 : 0;
	cm_put_le32(out + 12, d->generation);
	cm_put_le64(out + 16, d->size_bytes);
	memcpy(out + 24, d->id.b, 16);
	memcpy(out + 40, d->name, STOR_DISK_NAME);
	seal(out, sector);
}

int stor_diskslot_decode(const uint8_t *in, uint32_t sector, struct stor_diskslot *d)
{
	int rc = check(in, sector, disk_magic);

	memset(d, 0, sizeof *d);
	if (rc)
		return rc;
	if (in[8] < STOR_DISKSLOT_FREE || in[8] > STOR_DISKSLOT_DELETING || in[9] > 1)
		return CM_E_VOL_CORRUPT;
	d->state = (enum stor_diskslot_state)in[8];
	d->thick = in[9];
	d->generation = cm_le32(in + 12);
	d->size_bytes = cm_le64(in + 16);
	memcpy(d->id.b, in + 24, 16);
	return get_name(in + 40, d->name);
}

/* --- the extent table ---------------------------------------------------- */

int stor_table_check(const uint8_t *s, uint32_t sector)
{
	if (all_zero(s, sector))
		return 0;
	if (memcmp(s, table_magic, 4) != 0 ||
	    cm_le32(s + 4) != cm_crc32c(0, s + STOR_TABLE_HEADER, sector - STOR_TABLE_HEADER))
		return CM_E_VOL_CORRUPT;
	return 0;
}

struct stor_extent stor_table_get(const uint8_t *s, uint32_t i)
{
	const uint8_t *p = s + STOR_TABLE_HEADER + i * STOR_EXTENT_BYTES;

	return (struct stor_extent){.state = p[0] > STOR_EXTENT_USED ? STOR_EXTENT_USED
								     : (enum stor_extent_state)p[0],
				    .disk = p[1],
				    .generation = cm_le16(p + 2),
				    .logical = cm_le32(p + 4)};
}

void stor_table_put(uint8_t *s, uint32_t i, const struct stor_extent *e)
{
	uint8_t *p = s + STOR_TABLE_HEADER + i * STOR_EXTENT_BYTES;

	p[0] = (uint8_t)e->state;
	p[1] = e->disk;
	cm_put_le16(p + 2, e->generation);
	cm_put_le32(p + 4, e->logical);
}

void stor_table_seal(uint8_t *s, uint32_t sector)
{
	memcpy(s, table_magic, 4);
	/* A count of changes: the same contents never come twice, so a late COMPARE AND WRITE
	 * cannot succeed. */
	cm_put_le64(s + 8, cm_le64(s + 8) + 1);
	cm_put_le32(s + 4, cm_crc32c(0, s + STOR_TABLE_HEADER, sector - STOR_TABLE_HEADER));
}
