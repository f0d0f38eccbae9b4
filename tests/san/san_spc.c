/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_spc.c - commands every SCSI device has (SPC-4): INQUIRY and its pages, MODE SENSE, REPORT
 * LUNS, REPORT SUPPORTED OPERATION CODES, REQUEST SENSE, RESERVE(6).
 *
 * Parses the initiator's CDBs.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VENDOR	"LABSAN  "
#define PRODUCT "VIRTUAL DISK    "

bool san_run_good(struct san_cmd *cmd)
{
	(void)cmd;
	return true;
}

static bool bad_field(struct san_cmd *cmd)
{
	san_sense(cmd, SAN_KEY_ILLEGAL, 0x2400);
	return true;
}

/* A number that is the same on every portal and after every restart. */
static uint64_t unit_id(const struct san_cmd *cmd)
{
	uint64_t h = 0xcbf29ce484222325ull;
	const char *s;

	for (s = cmd->san->iqn; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return (h ^ cmd->lun->no) * 0x100000001b3ull;
}

/* --- INQUIRY ---------------------------------------------------------------------------- */

static uint32_t standard(uint8_t *d, bool present)
{
	static const uint16_t versions[] = {0x00a0, 0x0960, 0x0460,
					    0x04c0}; /* SAM-5 iSCSI SPC-4 SBC-3 */
	unsigned int i;

	d[0] = present ? 0x00 : 0x7f;
	d[2] = 0x06;
	d[3] = 0x12; /* HISUP, response data format 2 */
	d[4] = 96 - 5;
	d[7] = 0x02; /* CMDQUE */
	memcpy(d + 8, VENDOR PRODUCT "0001", 28);
	for (i = 0; i < SAN_LEN(versions); i++)
		san_put16(d + 58 + 2 * i, versions[i]);
	return 96;
}

static uint32_t page_serial(const struct san_cmd *cmd, uint8_t *d)
{
	char text[17];

	if (cmd->lun->serial[0]) {
		memcpy(d + 4, cmd->lun->serial, strlen(cmd->lun->serial));
		return (uint32_t)strlen(cmd->lun->serial);
	}
	snprintf(text, sizeof text, "%016llx", (unsigned long long)unit_id(cmd));
	memcpy(d + 4, text, 16);
	return 16;
}

static uint8_t *descriptor(uint8_t *p, uint8_t proto_set, uint8_t type, const void *id, uint8_t len)
{
	p[0] = proto_set;
	p[1] = type;
	p[3] = len;
	memcpy(p + 4, id, len);
	return p + 4 + len;
}

static bool has_id(const struct san_cmd *cmd, const char *which)
{
	return !cmd->lun->ids[0] || strcmp(cmd->lun->ids, which) == 0;
}

static uint32_t page_ids(const struct san_cmd *cmd, uint8_t *d)
{
	uint8_t *p = d + 4, bin[16] = {0};
	char text[SAN_NAME_MAX + 16];
	size_t n;

	/* the target port's first, as some arrays have it */
	p = descriptor(p, 0x51, 0x93, "\x31no unit", 8);
	snprintf(text, sizeof text, VENDOR "%016llx", (unsigned long long)unit_id(cmd));
	if (has_id(cmd, "t10"))
		p = descriptor(p, 0x02, 0x01, text, 24);
	san_put64(bin, unit_id(cmd));
	if (strcmp(cmd->lun->ids, "eui") == 0)
		p = descriptor(p, 0x01, 0x02, bin, 8);
	san_put64(bin, (unit_id(cmd) & 0x0fffffffffffffffull) | 3ull << 60); /* locally assigned */
	if (has_id(cmd, "naa"))
		p = descriptor(p, 0x01, 0x03, bin, 8);
	memset(bin, 0, sizeof bin);
	san_put16(bin + 2, cmd->nexus->tpgt);
	p = descriptor(p, 0x51, 0x94, bin, 4); /* relative target port */
	p = descriptor(p, 0x51, 0x95, bin, 4); /* target port group */
	memset(text, 0, sizeof text);
	n = (size_t)snprintf(text, sizeof text, "%s,t,0x%04x", cmd->san->iqn, cmd->nexus->tpgt);
	n = (n + 1 + 3) & ~(size_t)3;
	p = descriptor(p, 0x53, 0x98, text, (uint8_t)n);
	return (uint32_t)(p - d - 4);
}

static uint32_t page_limits(const struct san_cmd *cmd, uint8_t *d)
{
	uint32_t bs = cmd->lun->bs;

	d[5] = SAN_MAX_CAW;
	san_put16(d + 6, (uint16_t)(4096 / bs));
	san_put32(d + 8, SAN_MAX_XFER / bs);
	san_put32(d + 12, (1u << 20) / bs);
	san_put32(d + 16, SAN_MAX_XFER / bs); /* PRE-FETCH */
	if (cmd->lun->thin) {
		san_put32(d + 20, (uint32_t)((512ull << 20) / bs));
		san_put32(d + 24, 256);
		san_put32(d + 28, 4096 / bs);
		san_put32(d + 32, 0x80000000);
	}
	san_put64(d + 36, SAN_MAX_WSAME / bs);
	return 60;
}

static uint32_t page_provisioning(const struct san_cmd *cmd, uint8_t *d)
{
	if (cmd->lun->thin) {
		d[5] = 0xe4; /* UNMAP, WRITE SAME(16), WRITE SAME(10), reads as zeroes */
		d[6] = 0x02; /* thin */
	}
	return 4;
}

static bool vital_page(struct san_cmd *cmd, uint8_t *d, uint32_t *len)
{
	static const uint8_t pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
	uint32_t n;

	switch (cmd->cdb[2]) {
	case 0x00:
		n = sizeof pages;
		memcpy(d + 4, pages, n);
		break;
	case 0x80:
		if (strcmp(cmd->lun->serial, "none") == 0)
			return false;
		n = page_serial(cmd, d);
		break;
	case 0x83:
		n = page_ids(cmd, d);
		break;
	case 0xb0:
		n = page_limits(cmd, d);
		break;
	case 0xb1:
		san_put16(d + 4, 1); /* not rotating */
		n = 60;
		break;
	case 0xb2:
		n = page_provisioning(cmd, d);
		break;
	default:
		return false;
	}
	d[1] = cmd->cdb[2];
	san_put16(d + 2, (uint16_t)n);
	*len = n + 4;
	return true;
}

bool san_run_inquiry(struct san_cmd *cmd)
{
	uint8_t d[512] = {0};
	uint32_t len;

	if (cmd->cdb[1] & 0x01) {
		if (!cmd->lun || !vital_page(cmd, d, &len))
			return bad_field(cmd);
	} else {
		if (cmd->cdb[2])
			return bad_field(cmd);
		len = standard(d, cmd->lun != NULL);
	}
	san_reply(cmd, d, len, san_get16(cmd->cdb + 3));
	return true;
}

/* --- MODE SENSE ------------------------------------------------------------------------- */

static uint32_t mode_page(const struct san_cmd *cmd, uint8_t page, bool changeable, uint8_t *p)
{
	p[0] = page;
	switch (page) {
	case 0x08: /* caching */
		p[1] = 0x12;
		if (!changeable && cmd->lun->cache.on)
			p[2] = 0x04; /* WCE */
		return 20;
	case 0x0a: /* control */
		p[1] = 0x0a;
		if (!changeable)
			p[3] = 0x10; /* unrestricted reordering */
		return 12;
	default:
		p[1] = 0x0a;
		return 12; /* 0x1c informational exceptions, nothing set */
	}
}

bool san_run_mode_sense(struct san_cmd *cmd)
{
	static const uint8_t pages[] = {0x08, 0x0a, 0x1c};
	bool ten = cmd->cdb[0] == 0x5a, dbd = cmd->cdb[1] & 0x08, found = false;
	uint8_t d[128] = {0}, want = cmd->cdb[2] & 0x3f, pc = cmd->cdb[2] >> 6;
	uint32_t head = ten ? 8 : 4, n = head;
	unsigned int i;

	if (pc == 3) {
		san_sense(cmd, SAN_KEY_ILLEGAL, 0x3900); /* saving is not supported */
		return true;
	}
	if (cmd->cdb[3] != 0 && cmd->cdb[3] != 0xff)
		return bad_field(cmd);
	if (!dbd) {
		uint64_t blocks = cmd->lun->blocks;

		san_put32(d + n, blocks > 0xffffffff ? 0xffffffff : (uint32_t)blocks);
		san_put24(d + n + 5, cmd->lun->bs);
		n += 8;
	}
	for (i = 0; i < sizeof pages; i++)
		if (want == 0x3f || want == pages[i]) {
			n += mode_page(cmd, pages[i], pc == 1, d + n);
			found = true;
		}
	if (!found)
		return bad_field(cmd);
	if (ten) {
		san_put16(d, (uint16_t)(n - 2));
		d[3] = (cmd->lun->readonly ? 0x80 : 0) | 0x10; /* WP, DPOFUA */
		d[7] = dbd ? 0 : 8;
	} else {
		d[0] = (uint8_t)(n - 1);
		d[2] = (cmd->lun->readonly ? 0x80 : 0) | 0x10;
		d[3] = dbd ? 0 : 8;
	}
	san_reply(cmd, d, n, ten ? san_get16(cmd->cdb + 7) : cmd->cdb[4]);
	return true;
}

/* --- reports ---------------------------------------------------------------------------- */

bool san_run_report_luns(struct san_cmd *cmd)
{
	uint8_t d[8 + 8 * SAN_MAX_LUNS] = {0};
	uint32_t n = cmd->san->nluns, i;

	if (cmd->cdb[2] > 2 || san_get32(cmd->cdb + 6) < 16)
		return bad_field(cmd);
	if (cmd->cdb[2] == 1)
		n = 0; /* well known units: none */
	san_put32(d, 8 * n);
	for (i = 0; i < n; i++)
		d[8 + 8 * i + 1] = (uint8_t)i;
	san_reply(cmd, d, 8 + 8 * n, san_get32(cmd->cdb + 6));
	return true;
}

static uint16_t cdb_size(uint8_t opcode)
{
	static const uint8_t size[8] = {6, 10, 10, 6, 16, 12, 6, 6};

	return size[opcode >> 5];
}

static bool op_here(const struct san_cmd *cmd, const struct san_op *op)
{
	if (cmd->san->lacks & 1ull << (op - san_ops))
		return false;
	return !(op->flags & SAN_OP_THIN) || cmd->lun->thin;
}

static uint32_t timeouts(uint8_t *p)
{
	memset(p, 0, 12);
	p[1] = 10;
	return 12;
}

static void all_opcodes(struct san_cmd *cmd, bool rctd, uint32_t alloc)
{
	uint8_t *d = calloc(1, 4 + san_nops * 20);
	uint32_t n = 4, i;

	if (!d) {
		cmd->status = SAN_BUSY;
		return;
	}
	for (i = 0; i < san_nops; i++) {
		const struct san_op *op = &san_ops[i];
		uint8_t *p = d + n;

		if (!op_here(cmd, op))
			continue;
		p[0] = op->opcode;
		if (op->action >= 0) {
			san_put16(p + 2, (uint16_t)op->action);
			p[5] = 0x01;
		}
		if (rctd)
			p[5] |= 0x02;
		san_put16(p + 6, cdb_size(op->opcode));
		n += 8;
		if (rctd)
			n += timeouts(d + n);
	}
	san_put32(d, n - 4);
	san_reply(cmd, d, n, alloc);
	free(d);
}

/* One command: options 1 = without, 2 = with service action, 3 = whichever it is. */
static void one_opcode(struct san_cmd *cmd, uint8_t option, bool rctd, uint32_t alloc)
{
	uint16_t action = san_get16(cmd->cdb + 4);
	uint8_t d[4 + 16 + 12] = {0}, opcode = cmd->cdb[3];
	const struct san_op *op = NULL;
	uint32_t n = 4, i;
	bool known = false, has_action = false;

	for (i = 0; i < san_nops; i++) {
		if (san_ops[i].opcode != opcode || !op_here(cmd, &san_ops[i]))
			continue;
		known = true;
		has_action = san_ops[i].action >= 0;
		if (!has_action || san_ops[i].action == action)
			op = &san_ops[i];
	}
	if ((option == 1 && known && has_action) || (option == 2 && known && !has_action)) {
		bad_field(cmd);
		return;
	}
	d[1] = op ? 0x03 : 0x01;
	if (op) {
		n += cdb_size(opcode);
		san_put16(d + 2, cdb_size(opcode));
		memcpy(d + 4, op->usage, sizeof op->usage);
		d[4] = opcode;
		if (rctd) {
			d[1] |= 0x80;
			n += timeouts(d + n);
		}
	}
	san_reply(cmd, d, n, alloc);
}

bool san_run_opcodes(struct san_cmd *cmd)
{
	uint8_t option = cmd->cdb[2] & 7;
	bool rctd = cmd->cdb[2] & 0x80;
	uint32_t alloc = san_get32(cmd->cdb + 6);

	if (option > 3)
		return bad_field(cmd);
	if (option == 0)
		all_opcodes(cmd, rctd, alloc);
	else
		one_opcode(cmd, option, rctd, alloc);
	return true;
}

bool san_run_request_sense(struct san_cmd *cmd)
{
	uint8_t d[18] = {0x70, 0, 0, 0, 0, 0, 0, 10};

	if (!cmd->lun) {
		d[2] = SAN_KEY_ILLEGAL;
		d[12] = 0x25;
	} else if (cmd->nexus->ua[cmd->lun->no].count) {
		struct san_uaq *q = &cmd->nexus->ua[cmd->lun->no];

		d[2] = SAN_KEY_ATTENTION;
		san_put16(d + 12, q->code[0]);
		q->count--;
		memmove(q->code, q->code + 1, q->count * sizeof q->code[0]);
	}
	san_reply(cmd, d, sizeof d, cmd->cdb[4]);
	return true;
}

/* --- RESERVE(6), RELEASE(6) ------------------------------------------------------------- */

bool san_run_reserve6(struct san_cmd *cmd)
{
	if (cmd->lun->pr.count)
		cmd->status = SAN_CONFLICT; /* persistent reservations are in use */
	else
		cmd->lun->reserved = cmd->nexus;
	return true;
}

bool san_run_release6(struct san_cmd *cmd)
{
	if (cmd->lun->pr.count)
		cmd->status = SAN_CONFLICT;
	else if (cmd->lun->reserved == cmd->nexus)
		cmd->lun->reserved = NULL;
	return true;
}
