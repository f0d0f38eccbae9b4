/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volfmt.c - encoders and decoders of a cluster volume's sectors, but for the super block
 * (stor_supfmt.c). Pure. Parses data of the disk.
 */
#include "config.h"

#include "sharedstorage/volume/stor_volfmt.h"

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_volfmt_int.h"

static const char host_magic[8] = "HVHOST01", disk_magic[8] = "HVDISK01", conf_magic[8] = "HVCONF01",
		  body_magic[8] = "HVCBODY1", gone_magic[8] = "HVFORGOT", table_magic[4] = "HVET";

/* --- host and disk slots ------------------------------------------------- */

void stor_hostslot_encode(const struct stor_hostslot *h, uint8_t *out, uint32_t sector)
{
	memset(out, 0, sector);
	memcpy(out, host_magic, 8);
	cm_put_le16(out + 8, h->slot);
	memcpy(out + 16, h->node, STOR_NODE_NAME);
	stor__sector_seal(out, sector);
}

int stor_hostslot_decode(const uint8_t *in, uint32_t sector, struct stor_hostslot *h)
{
	int rc = stor__sector_check(in, sector, host_magic);

	memset(h, 0, sizeof *h);
	if (rc)
		return rc;
	h->slot = cm_le16(in + 8);
	return stor__get_name(in + 16, h->node);
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
	cm_put_le64(out + 296, d->grower);
	out[40] = d->held ? 1 : 0;
	memcpy(out + 48, d->id.b, 16);
	memcpy(out + 64, d->vm.b, 16);
	memcpy(out + 80, d->name, STOR_DISK_NAME);
	memcpy(out + 144, d->to, STOR_DISK_NAME);
	memcpy(out + 208, d->home.b, 16);
	cm_put_le64(out + 224, d->epoch);
	memcpy(out + 232, d->node, STOR_NODE_NAME);
	memcpy(out + 304, d->of.b, 16);
	stor__sector_seal(out, sector);
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
	int rc = stor__sector_check(in, sector, disk_magic);

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
	d->grower = cm_le64(in + 296);
	memcpy(d->id.b, in + 48, 16);
	memcpy(d->vm.b, in + 64, 16);
	d->held = in[40];
	memcpy(d->home.b, in + 208, 16);
	memcpy(d->of.b, in + 304, 16);
	d->epoch = cm_le64(in + 224);
	rc = stor__get_name(in + 80, d->name);
	rc = rc ? rc : stor__get_name(in + 144, d->to);
	rc = rc ? rc : stor__get_name(in + 232, d->node);
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
	stor__sector_seal(out, sector);
}

int stor_confhead_decode(const uint8_t *in, uint32_t sector, struct stor_confhead *h)
{
	int rc = stor__sector_check(in, sector, conf_magic);

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
	rc = stor__get_name(in + 96, h->name);
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
	stor__sector_seal(out, sector);
}

int stor_confbody_decode(const uint8_t *in, uint32_t sector, struct stor_confbody *b)
{
	int rc = stor__sector_check(in, sector, body_magic);

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
	stor__sector_seal(out, sector);
}

bool stor_forgotten_is(const uint8_t *in, uint32_t sector)
{
	return stor__sector_check(in, sector, gone_magic) == 0;
}

/* --- the extent table ---------------------------------------------------- */

int stor_table_check(const uint8_t *s, uint32_t sector)
{
	if (stor__sector_zero(s, sector))
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
