/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_respond.c - turns a finished SCSI command into Data-In and response PDUs with residuals.
 *
 * Parses nothing.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <string.h>

#define FLAG_FINAL 0x80
#define FLAG_OVER  0x04
#define FLAG_UNDER 0x02
#define FLAG_STAT  0x01

static uint8_t residual(const struct san_cmd *cmd, uint32_t *count)
{
	uint32_t total = cmd->in_len ? cmd->in_len : cmd->is_write ? cmd->cdb_len : 0;

	*count = 0;
	if (cmd->nothing)
		total = 0;
	if (cmd->status == SAN_CHECK && !cmd->is_write)
		total = 0;
	if (total > cmd->edtl) {
		*count = total - cmd->edtl;
		return FLAG_OVER;
	}
	if (total < cmd->edtl) {
		*count = cmd->edtl - total;
		return FLAG_UNDER;
	}
	return 0;
}

/* Sends the data; the last PDU carries the good status, so that no response PDU is needed. */
static void send_data(struct san_cmd *cmd, uint32_t len)
{
	struct san_conn *c = cmd->conn;
	uint32_t off = 0, burst = 0, sn = 0, resid;
	uint8_t flags = residual(cmd, &resid);

	while (off < len) {
		uint8_t h[SAN_BHS] = {0x25};
		uint32_t n = len - off;

		if (n > c->par.max_xmit)
			n = c->par.max_xmit;
		if (n > c->par.max_burst - burst)
			n = c->par.max_burst - burst;
		burst += n;
		if (burst == c->par.max_burst || off + n == len) {
			h[1] = FLAG_FINAL;
			burst = 0;
		}
		memcpy(h + 8, cmd->bhs + 8, 8);
		san_put32(h + 16, cmd->itt);
		san_put32(h + 20, SAN_NO_TAG);
		if (off + n == len) {
			h[1] |= FLAG_STAT | flags;
			h[3] = cmd->status;
			san_put32(h + 44, resid);
			san_session_stat(c, h, true);
		} else {
			san_session_stat(c, h, false);
			san_put32(h + 24, 0);
		}
		san_put32(h + 36, sn++);
		san_put32(h + 40, off);
		san_send(c, h, cmd->in->data + off, n, cmd->in);
		off += n;
	}
}

void san_respond(struct san_cmd *cmd)
{
	struct san_conn *c = cmd->conn;
	uint8_t h[SAN_BHS] = {0x21, FLAG_FINAL}, sense[2 + sizeof cmd->sense];
	uint32_t len = cmd->in_len < cmd->edtl ? cmd->in_len : cmd->edtl, resid;

	c->queued--; /* the window may open by one already in this answer */
	if (cmd->status == SAN_GOOD && cmd->is_read && len) {
		send_data(cmd, len);
		c->queued++;
		return;
	}
	h[1] |= residual(cmd, &resid);
	h[3] = cmd->status;
	san_put32(h + 16, cmd->itt);
	san_session_stat(c, h, true);
	san_put32(h + 44, resid);
	san_put16(sense, cmd->sense_len);
	memcpy(sense + 2, cmd->sense, cmd->sense_len);
	san_send(c, h, sense, cmd->sense_len ? 2u + cmd->sense_len : 0, NULL);
	c->queued++;
}
