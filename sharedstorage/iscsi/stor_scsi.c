/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_scsi.c - builds CDBs (SBC-3, SPC-4) and reads what targets answer. Pure.
 *
 * Parses data of the target: every length is checked against what came, wrong shapes are errors.
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_scsi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/cm_buf.h"

static struct stor_cdb cdb(uint8_t op, uint8_t len)
{
	struct stor_cdb c = {.len = len};

	c.b[0] = op;
	return c;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

struct stor_cdb stor__cdb_tur(void)
{
	return cdb(0x00, 6);
}

struct stor_cdb stor__cdb_inquiry(int vpd_page, uint16_t alloc)
{
	struct stor_cdb c = cdb(0x12, 6);

	if (vpd_page >= 0) {
		c.b[1] = 1;
		c.b[2] = (uint8_t)vpd_page;
	}
	put16(c.b + 3, alloc);
	return c;
}

struct stor_cdb stor__cdb_read_capacity(uint32_t alloc)
{
	struct stor_cdb c = cdb(0x9e, 16);

	c.b[1] = 0x10;
	cm_put_be32(c.b + 10, alloc);
	return c;
}

struct stor_cdb stor__cdb_rw(bool write, uint64_t lba, uint32_t blocks, bool fua)
{
	struct stor_cdb c = cdb(write ? 0x8a : 0x88, 16);

	c.b[1] = fua ? 0x08 : 0;
	cm_put_be64(c.b + 2, lba);
	cm_put_be32(c.b + 10, blocks);
	return c;
}

struct stor_cdb stor__cdb_sync(void)
{
	return cdb(0x91, 16);
}

struct stor_cdb stor__cdb_caw(uint64_t lba, uint8_t blocks)
{
	struct stor_cdb c = cdb(0x89, 16);

	c.b[1] = 0x08; /* FUA: an owner must survive a power cut of the SAN */
	cm_put_be64(c.b + 2, lba);
	c.b[13] = blocks;
	return c;
}

struct stor_cdb stor__cdb_write_same(uint64_t lba, uint32_t blocks, bool unmap)
{
	struct stor_cdb c = cdb(0x93, 16);

	c.b[1] = unmap ? 0x08 : 0;
	cm_put_be64(c.b + 2, lba);
	cm_put_be32(c.b + 10, blocks);
	return c;
}

struct stor_cdb stor__cdb_unmap(uint16_t list_bytes)
{
	struct stor_cdb c = cdb(0x42, 10);

	put16(c.b + 7, list_bytes);
	return c;
}

static struct stor_cdb cdb_long(uint8_t op, uint64_t lba, uint32_t blocks)
{
	struct stor_cdb c = cdb(op, 16);

	cm_put_be64(c.b + 2, lba);
	cm_put_be32(c.b + 10, blocks);
	return c;
}

struct stor_cdb stor__cdb_write_verify(uint64_t lba, uint32_t blocks)
{
	return cdb_long(0x8e, lba, blocks);
}

struct stor_cdb stor__cdb_orwrite(uint64_t lba, uint32_t blocks)
{
	return cdb_long(0x8b, lba, blocks);
}

struct stor_cdb stor__cdb_pr_in(uint8_t service, uint16_t alloc)
{
	struct stor_cdb c = cdb(0x5e, 10);

	c.b[1] = service;
	put16(c.b + 7, alloc);
	return c;
}

struct stor_cdb stor__cdb_pr_out(uint8_t service, uint8_t type, uint32_t list_bytes)
{
	struct stor_cdb c = cdb(0x5f, 10);

	c.b[1] = service;
	c.b[2] = type; /* scope 0: the logical unit */
	cm_put_be32(c.b + 5, list_bytes);
	return c;
}

void stor__unmap_list(uint8_t out[STOR_UNMAP_BYTES], uint64_t lba, uint32_t blocks)
{
	memset(out, 0, STOR_UNMAP_BYTES);
	put16(out, STOR_UNMAP_BYTES - 2);
	put16(out + 2, 16);
	cm_put_be64(out + 8, lba);
	cm_put_be32(out + 16, blocks);
}

int stor__decode_capacity(const uint8_t *d, size_t len, struct stor_capacity *c)
{
	*c = (struct stor_capacity){0};
	if (len < 15)
		return CM_E_SAN_SENSE;
	c->blocks = cm_be64(d) + 1;
	c->block_bytes = cm_be32(d + 8);
	c->thin = d[14] & 0x80;
	c->zeroes = d[14] & 0x40;
	if (!c->blocks || (c->block_bytes != 512 && c->block_bytes != 4096) ||
	    c->blocks > (uint64_t)INT64_MAX / c->block_bytes)
		return CM_E_SAN_SENSE;
	return 0;
}

/* The body of a VPD page; NULL if it is not that page or shorter than min. */
static const uint8_t *vpd(const uint8_t *d, size_t len, uint8_t page, size_t min, size_t *body)
{
	if (len < 4 || d[1] != page)
		return NULL;
	*body = CM_MIN((size_t)cm_be16(d + 2), len - 4);
	return *body >= min ? d + 4 : NULL;
}

int stor__decode_serial(const uint8_t *d, size_t len, char *out, size_t cap)
{
	size_t n, at = 0;
	const uint8_t *p = vpd(d, len, 0x80, 0, &n);

	out[0] = 0;
	if (!p)
		return CM_E_SAN_SENSE;
	for (size_t i = 0; i < n && at + 1 < cap; i++)
		if (isgraph(p[i]))
			out[at++] = (char)p[i];
	out[at] = 0;
	return 0;
}

enum { ID_T10 = 1, ID_EUI64 = 2, ID_NAA = 3 };

/* The higher the better; 0: no use. Vendor specific ones and names of the port are none. */
static unsigned id_rank(const uint8_t *p, size_t n)
{
	bool binary = (p[0] & 0x0f) == 1;

	if (p[1] & 0x30 || !n) /* association: not the logical unit */
		return 0;
	switch (p[1] & 0x0f) {
	case ID_NAA:
		return !binary || n < 8 ? 0 : p[4] >> 4 == 6 ? 4 : p[4] >> 4 == 3 ? 1 : 3;
	case ID_EUI64:
		return binary && n >= 8 ? 3 : 0;
	case ID_T10:
		return !binary && n > 8 ? 2 : 0;
	default:
		return 0;
	}
}

static void id_print(const uint8_t *p, size_t n, char *out, size_t cap)
{
	static const char *const names[] = {[ID_T10] = "t10.", [ID_EUI64] = "eui.", [ID_NAA] = "naa."};
	unsigned type = p[1] & 0x0f;
	size_t at = (size_t)snprintf(out, cap, "%s", names[type]);

	/* Longer than fits: what is left over counts by its checksum. */
	for (size_t i = 0; i < n && at + 16 < cap; i++)
		if (type != ID_T10)
			at += (size_t)snprintf(out + at, cap - at, "%02x", p[4 + i]);
		else if (isgraph(p[4 + i]))
			out[at++] = (char)p[4 + i];
	out[at] = 0;
	if (at + 16 >= cap)
		snprintf(out + at, cap - at, "-%08x", cm_crc32c(0, p + 4, n));
}

int stor__decode_lun_id(const uint8_t *d, size_t len, char *out, size_t cap)
{
	const uint8_t *p, *best = NULL;
	unsigned rank = 0;
	size_t n;

	CM_ASSERT(cap > 32);
	out[0] = 0;
	p = vpd(d, len, 0x83, 0, &n);
	for (; p && n >= 4 && p[3] <= n - 4; n -= 4 + p[3], p += 4 + p[3]) {
		unsigned r = id_rank(p, p[3]);

		if (r > rank) {
			rank = r;
			best = p;
		}
	}
	if (!best)
		return CM_E_SAN_SENSE;
	id_print(best, best[3], out, cap);
	return 0;
}

int stor__decode_limits(const uint8_t *d, size_t len, struct stor_limits *l)
{
	size_t n;
	const uint8_t *p = vpd(d, len, 0xb0, 12, &n);

	*l = (struct stor_limits){0};
	if (!p)
		return CM_E_SAN_SENSE;
	l->max_caw_blocks = p[1];
	l->max_transfer_blocks = cm_be32(p + 4);
	if (n >= 20)
		l->max_unmap_blocks = cm_be32(p + 16);
	if (n >= 40)
		l->max_write_same_blocks = cm_be64(p + 32);
	return 0;
}

int stor__decode_provisioning(const uint8_t *d, size_t len, bool *unmap, bool *ws16_unmap)
{
	size_t n;
	const uint8_t *p = vpd(d, len, 0xb2, 2, &n);

	*unmap = *ws16_unmap = false;
	if (!p)
		return CM_E_SAN_SENSE;
	*unmap = p[1] & 0x80;
	*ws16_unmap = p[1] & 0x40;
	return 0;
}

void stor__sense_print(int status, uint8_t key, uint8_t asc, uint8_t ascq, char *out, size_t cap)
{
	static const char *const keys[16] = {
		"NO SENSE",	  "RECOVERED",	     "NOT READY",      "MEDIUM ERROR",
		"HARDWARE ERROR", "ILLEGAL REQUEST", "UNIT ATTENTION", "DATA PROTECT",
		"BLANK CHECK",	  "VENDOR",	     "COPY ABORTED",   "ABORTED COMMAND",
		"RESERVED",	  "OVERFLOW",	     "MISCOMPARE",     "COMPLETED"};

	if (status == STOR_SCSI_CHECK)
		snprintf(out, cap, "%s %02x/%02x", keys[key & 15], asc, ascq);
	else if (status == STOR_SCSI_CONFLICT)
		snprintf(out, cap, "RESERVATION CONFLICT");
	else
		snprintf(out, cap, "status %02x", (unsigned)status & 0xff);
}
