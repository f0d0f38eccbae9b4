/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_scsi.c - the table of SCSI commands and what is checked before any of them runs: logical
 * unit, unit attention, reservations, injected trouble, the fields of the CDB.
 *
 * Parses the initiator's CDB. The reservation is looked at once, when the command is accepted: one
 * that passed and waits on the medium will land although its key is preempted meanwhile. That is
 * the hole of plain PREEMPT, and PREEMPT AND ABORT closes it by waiting.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RD   SAN_OP_PR_READ
#define WR   SAN_OP_PR_WRITE
#define WRL  (SAN_OP_PR_WRITE | SAN_OP_CHANGES)
#define FREE SAN_OP_R6_FREE
#define ANY  (SAN_OP_NO_UA | SAN_OP_NO_LUN | SAN_OP_R6_FREE)
#define C(x) SAN_CLASS_##x
#define LBA4 0xff, 0xff, 0xff, 0xff
#define LBA8 LBA4, LBA4

/* clang-format off: one row, one command */
const struct san_op san_ops[] = {
	{0x00, -1, 0, C(OTHER), NULL, san_run_good, "tur", {0}},
	{0x03, -1, ANY, C(OTHER), NULL, san_run_request_sense, "request-sense", {0x01, 0, 0, 0xff}},
	{0x08, -1, RD, C(READ), san_prep_read, san_run_read, "read6", {0x1f, 0xff, 0xff, 0xff}},
	{0x0a, -1, WRL, C(WRITE), san_prep_write, san_run_write, "write6",
	 {0x1f, 0xff, 0xff, 0xff}},
	{0x12, -1, ANY, C(OTHER), NULL, san_run_inquiry, "inquiry", {0x01, 0xff, 0xff, 0xff}},
	{0x16, -1, 0, C(OTHER), NULL, san_run_reserve6, "reserve6", {0}},
	{0x17, -1, FREE, C(OTHER), NULL, san_run_release6, "release6", {0}},
	{0x1a, -1, WR, C(OTHER), NULL, san_run_mode_sense, "mode-sense6", {0x08, 0xff, 0xff, 0xff}},
	{0x1b, -1, 0, C(OTHER), NULL, san_run_good, "start-stop", {0x01, 0, 0x0f, 0xf7}},
	{0x25, -1, 0, C(OTHER), NULL, san_run_capacity10, "read-capacity10", {0, LBA4, 0, 0, 0x01}},
	{0x28, -1, RD, C(READ), san_prep_read, san_run_read, "read10",
	 {0xfa, LBA4, 0x1f, 0xff, 0xff}},
	{0x2a, -1, WRL, C(WRITE), san_prep_write, san_run_write, "write10",
	 {0xfa, LBA4, 0x1f, 0xff, 0xff}},
	{0x2e, -1, WRL, C(WRITE), san_prep_verify, san_run_write, "write-verify10",
	 {0xf6, LBA4, 0x1f, 0xff, 0xff}},
	{0x2f, -1, RD, C(READ), san_prep_verify, san_run_verify, "verify10",
	 {0xf6, LBA4, 0x1f, 0xff, 0xff}},
	{0x34, -1, RD, C(READ), san_prep_range, san_run_good, "prefetch10",
	 {0x02, LBA4, 0x1f, 0xff, 0xff}},
	{0x35, -1, WR, C(SYNC), san_prep_range, san_run_sync, "sync10",
	 {0x02, LBA4, 0x1f, 0xff, 0xff}},
	{0x41, -1, WRL, C(WRITE), san_prep_write_same, san_run_write_same, "write-same10",
	 {0xf8, LBA4, 0x1f, 0xff, 0xff}},
	{0x42, -1, WRL | SAN_OP_THIN, C(UNMAP), san_prep_unmap, san_run_unmap, "unmap",
	 {0x01, 0, 0, 0, 0, 0x1f, 0xff, 0xff}},
	{0x5a, -1, WR, C(OTHER), NULL, san_run_mode_sense, "mode-sense10",
	 {0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x00, 0, C(OTHER), NULL, san_run_pr_in, "pr-read-keys",
	 {0x00, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x01, 0, C(OTHER), NULL, san_run_pr_in, "pr-read-reservation",
	 {0x01, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x02, 0, C(OTHER), NULL, san_run_pr_in, "pr-report-capabilities",
	 {0x02, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5e, 0x03, 0, C(OTHER), NULL, san_run_pr_in, "pr-read-full-status",
	 {0x03, 0, 0, 0, 0, 0, 0xff, 0xff}},
	{0x5f, 0x00, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-register",
	 {0x00, 0, 0, 0, LBA4}},
	{0x5f, 0x01, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-reserve",
	 {0x01, 0xff, 0, 0, LBA4}},
	{0x5f, 0x02, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-release",
	 {0x02, 0xff, 0, 0, LBA4}},
	{0x5f, 0x03, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-clear",
	 {0x03, 0, 0, 0, LBA4}},
	{0x5f, 0x04, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-preempt",
	 {0x04, 0xff, 0, 0, LBA4}},
	{0x5f, 0x05, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-preempt-abort",
	 {0x05, 0xff, 0, 0, LBA4}},
	{0x5f, 0x06, SAN_OP_CHANGES, C(PR), san_prep_pr_out, san_run_pr_out, "pr-register-ignore",
	 {0x06, 0, 0, 0, LBA4}},
	{0x88, -1, RD, C(READ), san_prep_read, san_run_read, "read16", {0xfa, LBA8, LBA4, 0x1f}},
	{0x89, -1, WRL, C(CAW), san_prep_caw, san_run_caw, "caw",
	 {0xfa, LBA8, 0, 0, 0, 0xff, 0x1f}},
	{0x8a, -1, WRL, C(WRITE), san_prep_write, san_run_write, "write16",
	 {0xfa, LBA8, LBA4, 0x1f}},
	{0x8b, -1, WRL, C(WRITE), san_prep_write, san_run_orwrite, "orwrite",
	 {0xfa, LBA8, LBA4, 0x1f}},
	{0x8e, -1, WRL, C(WRITE), san_prep_verify, san_run_write, "write-verify16",
	 {0xf6, LBA8, LBA4, 0x1f}},
	{0x8f, -1, RD, C(READ), san_prep_verify, san_run_verify, "verify16",
	 {0xf6, LBA8, LBA4, 0x1f}},
	{0x90, -1, RD, C(READ), san_prep_range, san_run_good, "prefetch16",
	 {0x02, LBA8, LBA4, 0x1f}},
	{0x91, -1, WR, C(SYNC), san_prep_range, san_run_sync, "sync16", {0x02, LBA8, LBA4, 0x1f}},
	{0x93, -1, WRL, C(WRITE), san_prep_write_same, san_run_write_same, "write-same16",
	 {0xf9, LBA8, LBA4, 0x1f}},
	{0x9e, 0x10, 0, C(OTHER), NULL, san_run_capacity16, "read-capacity16",
	 {0x10, LBA8, LBA4, 0x01}},
	{0x9e, 0x12, RD | SAN_OP_THIN, C(READ), NULL, san_run_lba_status,
	 "get-lba-status", {0x12, LBA8, LBA4}},
	{0xa0, -1, ANY, C(OTHER), NULL, san_run_report_luns, "report-luns",
	 {0x00, 0xff, 0, 0, 0, LBA4}},
	{0xa3, 0x0c, FREE, C(OTHER), NULL, san_run_opcodes, "report-opcodes",
	 {0x0c, 0x87, 0xff, 0xff, 0xff, LBA4}},
	{0xa8, -1, RD, C(READ), san_prep_read, san_run_read, "read12", {0xfa, LBA4, LBA4, 0x1f}},
	{0xaa, -1, WRL, C(WRITE), san_prep_write, san_run_write, "write12",
	 {0xfa, LBA4, LBA4, 0x1f}},
	{0xae, -1, WRL, C(WRITE), san_prep_verify, san_run_write, "write-verify12",
	 {0xf6, LBA4, LBA4, 0x1f}},
	{0xaf, -1, RD, C(READ), san_prep_verify, san_run_verify, "verify12",
	 {0xf6, LBA4, LBA4, 0x1f}},
};
/* clang-format on */
const unsigned int san_nops = SAN_LEN(san_ops);

/*
 * Reads a list of command names, each of which also stands for those it is the beginning of
 * ("write-same" for both), into a mask of the table. "none" = empty. 0 or -EINVAL.
 */
int san_scsi_mask(const char *list, uint64_t *mask)
{
	uint64_t m = 0;

	_Static_assert(SAN_LEN(san_ops) <= 64, "one bit for each command");
	if (strcmp(list, "none") == 0)
		list = "";
	while (*list) {
		size_t n = strcspn(list, ","), i;
		bool found = false;

		for (i = 0; n && i < SAN_LEN(san_ops); i++)
			if (strncmp(san_ops[i].name, list, n) == 0) {
				m |= 1ull << i;
				found = true;
			}
		if (!found)
			return -EINVAL;
		list += n + (list[n] == ',');
	}
	*mask = m;
	return 0;
}

/* --- answers ---------------------------------------------------------------------------- */

void san_sense(struct san_cmd *cmd, uint8_t key, uint16_t code)
{
	cmd->status = SAN_CHECK;
	cmd->sense_len = sizeof cmd->sense;
	memset(cmd->sense, 0, sizeof cmd->sense);
	cmd->sense[0] = 0x70;
	cmd->sense[2] = key;
	cmd->sense[7] = 10;
	san_put16(cmd->sense + 12, code);
}

/* MISCOMPARE DURING VERIFY OPERATION with the offset of the first byte that differs. */
void san_miscompare(struct san_cmd *cmd, uint32_t offset)
{
	san_sense(cmd, SAN_KEY_MISCOMPARE, 0x1d00);
	cmd->sense[0] |= 0x80;
	san_put32(cmd->sense + 3, offset);
}

/* Answers with data, cut at the allocation length. */
void san_reply(struct san_cmd *cmd, const void *data, uint32_t len, uint32_t alloc)
{
	if (len > alloc)
		len = alloc;
	if (!len)
		return;
	cmd->in = san_buf_new(len);
	if (!cmd->in) {
		cmd->status = SAN_BUSY;
		return;
	}
	memcpy(cmd->in->data, data, len);
	cmd->in_len = len;
}

/* --- checks ----------------------------------------------------------------------------- */

static int find_op(struct san_cmd *cmd)
{
	bool known = false;
	unsigned int i;

	for (i = 0; i < san_nops; i++) {
		if (san_ops[i].opcode != cmd->cdb[0])
			continue;
		known = true;
		if (san_ops[i].action >= 0 && san_ops[i].action != (cmd->cdb[1] & 0x1f))
			continue;
		if (cmd->san->lacks & 1ull << i) {
			known = san_ops[i].action >= 0;
			continue;
		}
		cmd->op = &san_ops[i];
		if (cmd->op->flags & SAN_OP_THIN && cmd->lun && !cmd->lun->thin)
			known = false;
		else
			return 0;
	}
	cmd->op = NULL;
	san_sense(cmd, SAN_KEY_ILLEGAL, known ? 0x2400 : 0x2000);
	return -1;
}

static int check_attention(struct san_cmd *cmd)
{
	struct san_uaq *q = &cmd->nexus->ua[cmd->lun->no];
	uint16_t code = q->code[0];

	if (!q->count)
		return 0;
	q->count--;
	memmove(q->code, q->code + 1, q->count * sizeof q->code[0]);
	san_sense(cmd, SAN_KEY_ATTENTION, code);
	return -1;
}

static int check_reservations(struct san_cmd *cmd)
{
	const struct san_lun *lun = cmd->lun;
	bool held = lun->reserved && lun->reserved != cmd->nexus;

	if (cmd->san->leaks & 1ull << (cmd->op - san_ops))
		return 0;
	if ((held && !(cmd->op->flags & SAN_OP_R6_FREE)) ||
	    san_pr_conflict(lun, cmd->nexus, cmd->op->flags)) {
		cmd->status = SAN_CONFLICT;
		return -1;
	}
	return 0;
}

/* 0: the command may run. -1: it has its status, or it is cut. */
int san_scsi_prepare(struct san_cmd *cmd)
{
	if (!cmd->lun) {
		if (find_op(cmd) < 0)
			return -1;
		if (!(cmd->op->flags & SAN_OP_NO_LUN)) {
			cmd->op = NULL;
			san_sense(cmd, SAN_KEY_ILLEGAL, 0x2500);
			return -1;
		}
		return 0;
	}
	(void)find_op(cmd);
	if ((!cmd->op || !(cmd->op->flags & SAN_OP_NO_UA)) && cmd->nexus->ua[cmd->lun->no].count)
		return check_attention(cmd);
	if (!cmd->op)
		return -1;
	if (check_reservations(cmd) < 0)
		return -1;
	if (!san_inject_apply(cmd))
		return -1;
	if (cmd->lun->readonly && cmd->op->flags & SAN_OP_PR_WRITE &&
	    cmd->op->flags & SAN_OP_CHANGES) {
		san_sense(cmd, SAN_KEY_PROTECT, 0x2700);
		return -1;
	}
	return cmd->op->prep ? cmd->op->prep(cmd) : 0;
}
