/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volfmt.c - encoders and decoders of a cluster volume's sectors. Pure. Parses data of the
 * disk.
 */
#include "config.h"

#include "sharedstorage/volume/stor_volfmt.h"

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"

/* Every sector: magic[8], then the structure, CRC32C in the last four bytes. */
#define CRC_BYTES 4u
static const char super_magic[8] = "HVVOLUM1", host_magic[8] = "HVHOST01",
		  disk_magic[8] = "HVDISK01", conf_magic[8] = "HVCONF01",
		  body_magic[8] = "HVCBODY1", gone_magic[8] = "HVFORGOT", table_magic[4] = "HVET";

static bool all_zero(const uint8_t *p, uint32_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
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
	seal(out, s->sector_bytes);
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
		return all_zero(in, sector) ? -ENODATA : CM_E_VOL_FORMAT;
	rc = check(in, sector, super_magic);
	if (rc)
		return rc;
	if (cm_le32(in + 8) != STOR_VOL_FORMAT || cm_le32(in + 12) != sector)
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
	s->configs_at = cm_le64(in + 136);
	s->bodies_at = cm_le64(in + 144);
	s->table_at = cm_le64(in + 152);
	s->table_sectors = cm_le64(in + 160);
	s->data_at = cm_le64(in + 168);
	s->changes = cm_le64(in + 176);
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
	out[9] = (uint8_t)d->kind;
	out[10] = d->thick ? 1 : 0;
	out[11] = d->sealed ? 1 : 0;
	cm_put_le32(out + 12, d->generation);
	cm_put_le64(out + 16, d->size_bytes);
	cm_put_le64(out + 24, d->grow_bytes);
	cm_put_le64(out + 32, d->changes);
	out[40] = d->held ? 1 : 0;
	memcpy(out + 48, d->id.b, 16);
	memcpy(out + 64, d->vm.b, 16);
	memcpy(out + 80, d->name, STOR_DISK_NAME);
	memcpy(out + 144, d->to, STOR_DISK_NAME);
	memcpy(out + 208, d->home.b, 16);
	cm_put_le64(out + 224, d->epoch);
	memcpy(out + 232, d->node, STOR_NODE_NAME);
	memcpy(out + 304, d->of.b, 16);
	seal(out, sector);
}

static bool kind_sane(const struct stor_diskslot *d)
{
	bool vm = !stor_uuid_is_zero(&d->vm), of = !stor_uuid_is_zero(&d->of);

	switch (d->kind) {
	case STOR_DISKSLOT_DISK:
		return !of && (vm || !d->held);
	case STOR_DISKSLOT_IMAGE:
		return !of && vm && !d->held;
	case STOR_DISKSLOT_READER:
		return of && vm && d->held;
	}
	return false;
}

/* What no writer of ours can have written. */
static bool diskslot_sane(const struct stor_diskslot *d)
{
	if (d->state == STOR_DISKSLOT_FREE)
		return true;
	return stor_name_valid(d->name) && d->size_bytes > 0 && d->size_bytes >> 60 == 0 &&
	       d->grow_bytes >> 60 == 0 && (!d->to[0] || stor_name_valid(d->to)) && kind_sane(d);
}

int stor_diskslot_decode(const uint8_t *in, uint32_t sector, struct stor_diskslot *d)
{
	int rc = check(in, sector, disk_magic);

	memset(d, 0, sizeof *d);
	if (rc)
		return rc;
	if (in[8] < STOR_DISKSLOT_FREE || in[8] > STOR_DISKSLOT_FILLING ||
	    in[9] > STOR_DISKSLOT_READER || in[10] > 1 || in[11] > 1 || in[40] > 1)
		return CM_E_VOL_CORRUPT;
	d->state = (enum stor_diskslot_state)in[8];
	d->kind = (enum stor_diskslot_kind)in[9];
	d->thick = in[10];
	d->sealed = in[11];
	d->generation = cm_le32(in + 12);
	d->size_bytes = cm_le64(in + 16);
	d->grow_bytes = cm_le64(in + 24);
	d->changes = cm_le64(in + 32);
	memcpy(d->id.b, in + 48, 16);
	memcpy(d->vm.b, in + 64, 16);
	d->held = in[40];
	memcpy(d->home.b, in + 208, 16);
	memcpy(d->of.b, in + 304, 16);
	d->epoch = cm_le64(in + 224);
	rc = get_name(in + 80, d->name);
	rc = rc ? rc : get_name(in + 144, d->to);
	rc = rc ? rc : get_name(in + 232, d->node);
	return rc ? rc : diskslot_sane(d) ? 0 : CM_E_VOL_CORRUPT;
}

/* --- configurations ------------------------------------------------------ */

void stor_confhead_encode(const struct stor_confhead *h, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, conf_magic, 8);
	out[8] = h->used ? 2 : 1;
	out[9] = h->copy;
	cm_put_le64(out + 16, h->changes);
	memcpy(out + 24, h->vm.b, 16);
	memcpy(out + 40, h->nonce.b, 16);
	memcpy(out + 56, h->writer.b, 16);
	cm_put_le32(out + 72, h->text_bytes);
	cm_put_le32(out + 76, h->deflated_bytes);
	cm_put_le32(out + 80, h->deflated_crc);
	memcpy(out + 96, h->name, STOR_DISK_NAME);
	seal(out, sector);
}

int stor_confhead_decode(const uint8_t *in, uint32_t sector, struct stor_confhead *h)
{
	int rc = check(in, sector, conf_magic);

	memset(h, 0, sizeof *h);
	if (rc)
		return rc;
	h->used = in[8] == 2;
	h->copy = in[9];
	h->changes = cm_le64(in + 16);
	memcpy(h->vm.b, in + 24, 16);
	memcpy(h->nonce.b, in + 40, 16);
	memcpy(h->writer.b, in + 56, 16);
	h->text_bytes = cm_le32(in + 72);
	h->deflated_bytes = cm_le32(in + 76);
	h->deflated_crc = cm_le32(in + 80);
	rc = get_name(in + 96, h->name);
	if (rc || in[8] < 1 || in[8] > 2)
		return CM_E_VOL_CORRUPT;
	if (h->used &&
	    (stor_uuid_is_zero(&h->vm) || !stor_name_valid(h->name) ||
	     (h->copy > 1 && h->copy != STOR_CONFIG_NO_COPY) || h->text_bytes > STOR_CONFIG_TEXT ||
	     h->deflated_bytes > STOR_CONFIG_DEFLATED))
		return CM_E_VOL_CORRUPT;
	return 0;
}

void stor_confbody_encode(const struct stor_confbody *b, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, body_magic, 8);
	memcpy(out + 8, b->nonce.b, 16);
	cm_put_le16(out + 24, b->index);
	cm_put_le16(out + 26, b->bytes);
	memcpy(out + 28, b->data, b->bytes);
	seal(out, sector);
}

int stor_confbody_decode(const uint8_t *in, uint32_t sector, struct stor_confbody *b)
{
	int rc = check(in, sector, body_magic);

	memset(b, 0, sizeof *b);
	if (rc)
		return rc;
	memcpy(b->nonce.b, in + 8, 16);
	b->index = cm_le16(in + 24);
	b->bytes = cm_le16(in + 26);
	b->data = in + 28;
	return b->bytes > stor_confbody_room(sector) ? CM_E_VOL_CORRUPT : 0;
}

/* --- forgotten VMs ------------------------------------------------------- */

void stor_forgotten_encode(const struct stor_uuid *vm, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, gone_magic, 8);
	memcpy(out + 16, vm->b, 16);
	seal(out, sector);
}

bool stor_forgotten_is(const uint8_t *in, uint32_t sector)
{
	return check(in, sector, gone_magic) == 0;
}

/* --- the extent table ---------------------------------------------------- */

int stor_table_check(const uint8_t *s, uint32_t sector)
{
	if (all_zero(s, sector))
		return 0;
	if (memcmp(s, table_magic, 4) != 0 || cm_le32(s + 4) != cm_crc32c(0, s + 8, sector - 8))
		return CM_E_VOL_CORRUPT;
	for (uint32_t i = 0; i < stor_table_entries(sector); i++)
		if (cm_le16(s + STOR_TABLE_HEADER + i * STOR_EXTENT_BYTES + 2) >> 14 >
		    STOR_EXTENT_USED)
			return CM_E_VOL_CORRUPT;
	return 0;
}

/* slot 16 | state 2, generation 14 | logical 32 */
struct stor_extent stor_table_get(const uint8_t *s, uint32_t i)
{
	const uint8_t *p = s + STOR_TABLE_HEADER + i * STOR_EXTENT_BYTES;
	uint16_t word = cm_le16(p + 2);

	return (struct stor_extent){.state = (enum stor_extent_state)(word >> 14),
				    .disk = cm_le16(p),
				    .generation = word & STOR_EXTENT_GEN_MASK,
				    .logical = cm_le32(p + 4)};
}

void stor_table_put(uint8_t *s, uint32_t i, const struct stor_extent *e)
{
	uint8_t *p = s + STOR_TABLE_HEADER + i * STOR_EXTENT_BYTES;

	cm_put_le16(p, e->disk);
	cm_put_le16(p + 2, (uint16_t)(e->state << 14 | (e->generation & STOR_EXTENT_GEN_MASK)));
	cm_put_le32(p + 4, e->logical);
}

void stor_table_seal(uint8_t *s, uint32_t sector)
{
	memcpy(s, table_magic, 4);
	cm_put_le64(s + 8, cm_le64(s + 8) + 1);
	cm_put_le32(s + 4, cm_crc32c(0, s + 8, sector - 8));
}
