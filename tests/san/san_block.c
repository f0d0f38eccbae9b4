/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_block.c - SCSI commands that read, write, compare or unmap blocks (SBC-3).
 *
 * Parses the initiator's CDBs and parameter lists. Each command changes its blocks in one go in the
 * one thread of labsan, so COMPARE AND WRITE is atomic against everything.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNMAP_MAX_DESC	 256u
#define UNMAP_MAX_BYTES	 (512ull << 20)
#define LBA_STATUS_DESCS 64u

/* --- CDB fields ------------------------------------------------------------------------- */

static void parse_range(struct san_cmd *cmd)
{
	const uint8_t *cdb = cmd->cdb;

	switch (cdb[0] >> 5) {
	case 0:
		cmd->lba = san_get24(cdb + 1) & 0x1fffff;
		cmd->blocks = cdb[4] ? cdb[4] : 256;
		break;
	case 4:
		cmd->lba = san_get64(cdb + 2);
		cmd->blocks = san_get32(cdb + 10);
		break;
	case 5:
		cmd->lba = san_get32(cdb + 2);
		cmd->blocks = san_get32(cdb + 6);
		break;
	default:
		cmd->lba = san_get32(cdb + 2);
		cmd->blocks = san_get16(cdb + 7);
		break;
	}
}

static int bad_field(struct san_cmd *cmd)
{
	san_sense(cmd, SAN_KEY_ILLEGAL, 0x2400);
	return -1;
}

static int check_range(struct san_cmd *cmd)
{
	uint64_t cap = cmd->lun->blocks;

	if (cmd->lba >= cap || cmd->blocks > cap - cmd->lba) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2100);
		return -1;
	}
	return 0;
}

/* No protection information here: a CDB that asks for it is wrong. */
static bool protect_bits(const struct san_cmd *cmd)
{
	return cmd->cdb[0] >> 5 && cmd->cdb[1] & 0xe0;
}

static int moves_blocks(struct san_cmd *cmd)
{
	parse_range(cmd);
	if (protect_bits(cmd))
		return bad_field(cmd);
	if (check_range(cmd) < 0)
		return -1;
	if (cmd->blocks > SAN_MAX_XFER / cmd->lun->bs)
		return bad_field(cmd);
	cmd->cdb_len = (uint32_t)cmd->blocks * cmd->lun->bs;
	return 0;
}

int san_prep_read(struct san_cmd *cmd)
{
	return moves_blocks(cmd);
}

int san_prep_write(struct san_cmd *cmd)
{
	return moves_blocks(cmd);
}

/* SYNCHRONIZE CACHE and PRE-FETCH: a range without data. */
int san_prep_range(struct san_cmd *cmd)
{
	parse_range(cmd);
	return check_range(cmd);
}

/* VERIFY and WRITE AND VERIFY share their fields; only the latter always has data. */
int san_prep_verify(struct san_cmd *cmd)
{
	uint8_t bytchk = cmd->cdb[1] >> 1 & 3;
	bool writes = (cmd->cdb[0] & 0x0f) == 0x0e;

	if (moves_blocks(cmd) < 0)
		return -1;
	if (bytchk == 2 || (writes && bytchk == 3))
		return bad_field(cmd);
	if (!writes && bytchk == 0)
		cmd->cdb_len = 0;
	if (bytchk == 3 && cmd->blocks)
		cmd->cdb_len = cmd->lun->bs;
	return 0;
}

int san_prep_caw(struct san_cmd *cmd)
{
	cmd->lba = san_get64(cmd->cdb + 2);
	cmd->blocks = cmd->cdb[13];
	if (protect_bits(cmd) || cmd->blocks > SAN_MAX_CAW)
		return bad_field(cmd);
	if (check_range(cmd) < 0)
		return -1;
	cmd->cdb_len = 2 * (uint32_t)cmd->blocks * cmd->lun->bs;
	return cmd->edtl == cmd->cdb_len ? 0 : bad_field(cmd);
}

int san_prep_write_same(struct san_cmd *cmd)
{
	uint8_t b1 = cmd->cdb[1];
	bool ndob = cmd->cdb[0] == 0x93 && b1 & 0x01;

	parse_range(cmd);
	if (protect_bits(cmd) || b1 & 0x10 || (b1 & 0x08 && !cmd->lun->thin))
		return bad_field(cmd);
	if (check_range(cmd) < 0)
		return -1;
	if (!cmd->blocks)
		cmd->blocks = cmd->lun->blocks - cmd->lba;
	if (cmd->blocks > SAN_MAX_WSAME / cmd->lun->bs)
		return bad_field(cmd);
	cmd->cdb_len = ndob ? 0 : cmd->lun->bs;
	return cmd->edtl == cmd->cdb_len ? 0 : bad_field(cmd);
}

int san_prep_unmap(struct san_cmd *cmd)
{
	if (cmd->cdb[1] & 0x01)
		return bad_field(cmd);
	cmd->cdb_len = san_get16(cmd->cdb + 7);
	if (cmd->cdb_len && cmd->cdb_len < 8) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x1a00);
		return -1;
	}
	return 0;
}

/* --- reading and writing ---------------------------------------------------------------- */

static bool failed(struct san_cmd *cmd, int rc, bool write)
{
	if (rc == 0)
		return false;
	if (rc == -ENOSPC || rc == -EDQUOT)
		san_sense(cmd, SAN_KEY_PROTECT, 0x2707);
	else if (rc == -ENOMEM)
		cmd->status = SAN_BUSY;
	else
		san_sense(cmd, SAN_KEY_MEDIUM, write ? 0x0c00 : 0x1100);
	return true;
}

static bool fua(const struct san_cmd *cmd)
{
	return cmd->cdb[0] >> 5 && cmd->cdb[1] & 0x08;
}

/* Writes for a command and notes whether that survives a power cut. True: it failed. */
static bool store(struct san_cmd *cmd, const uint8_t *data, uint32_t len, bool durable)
{
	cmd->durable = durable || !cmd->lun->cache.on;
	return failed(cmd, san_medium_write(cmd->lun, cmd->lba * cmd->lun->bs, data, len, durable),
		      true);
}

bool san_run_read(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint64_t off = cmd->lba * lun->bs;
	uint32_t len = cmd->cdb_len < cmd->edtl ? cmd->cdb_len : cmd->edtl;
	uint32_t whole = (len + 511) & ~511u;

	if (!cmd->cdb_len)
		return true;
	cmd->in = san_buf_new(whole);
	if (!cmd->in) {
		cmd->status = SAN_BUSY;
		return true;
	}
	if (fua(cmd) && failed(cmd, san_medium_sync(lun, off, whole), true))
		return true;
	if (failed(cmd, san_medium_read(lun, off, cmd->in->data, whole), false))
		return true;
	cmd->in_len = cmd->cdb_len;
	lun->reads++;
	lun->read_bytes += len;
	return true;
}

bool san_run_write(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint32_t len = cmd->out_len / lun->bs * lun->bs;
	bool durable = (cmd->cdb[0] & 0x0f) == 0x0e || fua(cmd);

	if (len && store(cmd, cmd->out, len, durable))
		return true;
	lun->writes++;
	lun->write_bytes += len;
	return true;
}

bool san_run_orwrite(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint32_t len = cmd->out_len / lun->bs * lun->bs, i;
	uint8_t *old;

	if (!len)
		return true;
	old = malloc(len);
	if (!old) {
		cmd->status = SAN_BUSY;
		return true;
	}
	if (!failed(cmd, san_medium_read(lun, cmd->lba * lun->bs, old, len), false)) {
		for (i = 0; i < len; i++)
			cmd->out[i] |= old[i];
		(void)store(cmd, cmd->out, len, fua(cmd));
	}
	free(old);
	return true;
}

/* First difference of two buffers, or len. */
static uint32_t differ_at(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t i;

	if (memcmp(a, b, len) == 0)
		return len;
	for (i = 0; a[i] == b[i]; i++)
		;
	return i;
}

bool san_run_verify(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint8_t bytchk = cmd->cdb[1] >> 1 & 3;
	uint8_t *block;
	uint64_t i;

	if (!bytchk)
		return true;
	block = malloc(lun->bs);
	if (!block) {
		cmd->status = SAN_BUSY;
		return true;
	}
	for (i = 0; i < cmd->blocks && !cmd->status; i++) {
		uint32_t at = bytchk == 3 ? 0 : (uint32_t)i * lun->bs, d;

		if (at + lun->bs > cmd->out_len)
			break;
		if (failed(cmd, san_medium_read(lun, (cmd->lba + i) * lun->bs, block, lun->bs),
			   false))
			break;
		d = differ_at(block, cmd->out + at, lun->bs);
		if (d < lun->bs)
			san_miscompare(cmd, (uint32_t)i * lun->bs + d);
	}
	free(block);
	return true;
}

bool san_run_caw(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint32_t len = (uint32_t)cmd->blocks * lun->bs, d;
	uint64_t off = cmd->lba * lun->bs;
	uint8_t *now;

	if (!len)
		return true;
	if (cmd->out_len != 2 * len) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2400);
		return true;
	}
	now = malloc(len);
	if (!now) {
		cmd->status = SAN_BUSY;
		return true;
	}
	if (!failed(cmd, san_medium_read(lun, off, now, len), false)) {
		d = differ_at(now, cmd->out, len);
		if (d < len)
			san_miscompare(cmd, d);
		else
			(void)store(cmd, cmd->out + len, len, fua(cmd));
	}
	free(now);
	lun->writes++;
	return true;
}

/* --- WRITE SAME, UNMAP ------------------------------------------------------------------ */

static int fill(struct san_lun *lun, uint64_t off, uint64_t len, const uint8_t *block)
{
	uint32_t chunk = 1u << 20, i;
	uint8_t *buf = malloc(chunk);
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	for (i = 0; i < chunk; i += lun->bs)
		memcpy(buf + i, block, lun->bs);
	while (len && rc == 0) {
		uint32_t n = len < chunk ? (uint32_t)len : chunk;

		rc = san_medium_write(lun, off, buf, n, false);
		off += n;
		len -= n;
	}
	free(buf);
	return rc;
}

bool san_run_write_same(struct san_cmd *cmd)
{
	static const uint8_t zeroes[4096];
	struct san_lun *lun = cmd->lun;
	uint64_t off = cmd->lba * lun->bs, len = cmd->blocks * lun->bs;
	const uint8_t *block = cmd->cdb_len ? cmd->out : zeroes;
	bool punch = cmd->cdb[1] & 0x08 && memcmp(block, zeroes, lun->bs) == 0;
	int rc;

	if (cmd->out_len < cmd->cdb_len) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2400);
		return true;
	}
	cmd->durable = punch || !lun->cache.on;
	if (punch)
		rc = san_medium_discard(lun, off, len);
	else
		rc = fill(lun, off, len, block);
	(void)failed(cmd, rc, true);
	lun->writes++;
	return true;
}

/* The descriptors were checked before the first one is carried out. */
static int unmap_check(struct san_cmd *cmd, uint32_t n)
{
	uint64_t total = 0, cap = cmd->lun->blocks;
	uint32_t i;

	for (i = 0; i < n; i++) {
		const uint8_t *d = cmd->out + 8 + 16 * i;
		uint64_t lba = san_get64(d);
		uint32_t blocks = san_get32(d + 8);

		if (lba > cap || blocks > cap - lba) {
			san_sense(cmd, SAN_KEY_ILLEGAL, 0x2100);
			return -1;
		}
		total += blocks;
	}
	if (n > UNMAP_MAX_DESC || total > UNMAP_MAX_BYTES / cmd->lun->bs) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2600);
		return -1;
	}
	return 0;
}

bool san_run_unmap(struct san_cmd *cmd)
{
	uint32_t n, i, bs = cmd->lun->bs;

	if (!cmd->cdb_len)
		return true;
	if (cmd->out_len < 8) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x1a00);
		return true;
	}
	n = san_get16(cmd->out + 2);
	if (n > cmd->out_len - 8)
		n = cmd->out_len - 8;
	n /= 16;
	if (unmap_check(cmd, n) < 0)
		return true;
	cmd->durable = true;
	for (i = 0; i < n && !cmd->status; i++) {
		const uint8_t *d = cmd->out + 8 + 16 * i;

		(void)failed(cmd,
			     san_medium_discard(cmd->lun, san_get64(d) * bs,
						(uint64_t)san_get32(d + 8) * bs),
			     true);
	}
	cmd->lun->writes++;
	return true;
}

bool san_run_sync(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint64_t n = cmd->blocks ? cmd->blocks : lun->blocks - cmd->lba;

	(void)failed(cmd, san_medium_sync(lun, cmd->lba * lun->bs, n * lun->bs), true);
	return true;
}

/* --- capacity --------------------------------------------------------------------------- */

bool san_run_capacity10(struct san_cmd *cmd)
{
	uint64_t last = cmd->lun->blocks - 1;
	uint8_t d[8];

	if (!(cmd->cdb[8] & 1) && san_get32(cmd->cdb + 2)) {
		bad_field(cmd);
		return true;
	}
	san_put32(d, last > 0xffffffff ? 0xffffffff : (uint32_t)last);
	san_put32(d + 4, cmd->lun->bs);
	san_reply(cmd, d, sizeof d, sizeof d);
	return true;
}

bool san_run_capacity16(struct san_cmd *cmd)
{
	uint8_t d[32] = {0};

	san_put64(d, cmd->lun->blocks - 1);
	san_put32(d + 8, cmd->lun->bs);
	d[13] = cmd->lun->bs == 512 ? 3 : 0; /* physical blocks of 4 KiB */
	if (cmd->lun->thin)
		d[14] = 0xc0; /* LBPME, LBPRZ */
	san_reply(cmd, d, sizeof d, san_get32(cmd->cdb + 10));
	return true;
}

bool san_run_lba_status(struct san_cmd *cmd)
{
	struct san_lun *lun = cmd->lun;
	uint8_t d[8 + 16 * LBA_STATUS_DESCS] = {0};
	uint32_t alloc = san_get32(cmd->cdb + 10), n = 0;
	uint64_t lba = san_get64(cmd->cdb + 2);

	if (lba >= lun->blocks) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x2100);
		return true;
	}
	while (n < LBA_STATUS_DESCS && lba < lun->blocks && (n == 0 || 8 + 16 * n < alloc)) {
		uint64_t left = lun->blocks - lba, run;
		uint8_t *p = d + 8 + 16 * n++;

		if (left > 0xffffffff)
			left = 0xffffffff;
		p[12] = san_medium_mapped(lun, lba * lun->bs, left * lun->bs, &run) ? 0 : 1;
		run = run < lun->bs ? 1 : run / lun->bs;
		san_put64(p, lba);
		san_put32(p + 8, (uint32_t)run);
		lba += run;
	}
	san_put32(d, 4 + 16 * n);
	san_reply(cmd, d, 8 + 16 * n, alloc);
	return true;
}
