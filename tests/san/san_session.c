/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_session.c - PDUs of the full feature phase: CmdSN order, SCSI command and Data-Out, NOP,
 * Text, Logout; and the list of I_T nexuses with their unit attentions.
 *
 * Parses the peer's headers. Each PDU comes twice: san_session_header() when its header is
 * complete, to say where its data goes, and san_session_pdu() when all of it is there.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define OP_NOP	  0x00
#define OP_SCSI	  0x01
#define OP_TMF	  0x02
#define OP_TEXT	  0x04
#define OP_DATA	  0x05
#define OP_LOGOUT 0x06

#define REJECT_PROTOCOL	   0x04
#define REJECT_UNSUPPORTED 0x05

/* --- nexuses ---------------------------------------------------------------------------- */

struct san_nexus *san_nexus_by_id(struct san *san, unsigned int id)
{
	struct san_nexus *n;

	TAILQ_FOREACH (n, &san->nexuses, link)
		if (n->id == id)
			return n;
	return NULL;
}

/* Finds or makes the nexus; a fresh one owes its initiator a power-on unit attention. */
struct san_nexus *san_nexus_get(struct san *san, const char *name, const uint8_t *isid,
				uint16_t tpgt, bool *fresh)
{
	struct san_nexus *n;
	unsigned int i;

	*fresh = false;
	TAILQ_FOREACH (n, &san->nexuses, link)
		if (n->tpgt == tpgt && memcmp(n->isid, isid, 6) == 0 &&
		    strcasecmp(n->name, name) == 0)
			return n;
	n = calloc(1, sizeof *n);
	if (!n)
		return NULL;
	*fresh = true;
	n->id = ++san->last_nexus;
	n->tpgt = tpgt;
	memcpy(n->isid, isid, 6);
	snprintf(n->name, sizeof n->name, "%s", name);
	TAILQ_INSERT_TAIL(&san->nexuses, n, link);
	for (i = 0; i < san->nluns; i++)
		san_ua_add(n, san->luns[i], 0x2900);
	return n;
}

void san_ua_add(struct san_nexus *n, const struct san_lun *lun, uint16_t code)
{
	struct san_uaq *q = &n->ua[lun->no];
	unsigned int i;

	for (i = 0; i < q->count; i++)
		if (q->code[i] == code)
			return;
	if (q->count == SAN_UA_MAX) {
		memmove(q->code, q->code + 1, sizeof q->code - sizeof q->code[0]);
		q->count--;
	}
	q->code[q->count++] = code;
}

void san_ua_all(struct san *san, const struct san_lun *lun, const struct san_nexus *except,
		uint16_t code)
{
	struct san_nexus *n;

	TAILQ_FOREACH (n, &san->nexuses, link)
		if (n != except)
			san_ua_add(n, lun, code);
}

/* --- sequence numbers ------------------------------------------------------------------- */

void san_session_start(struct san_conn *c)
{
	c->max_cmdsn = c->exp_cmdsn + c->san->window - 1;
}

/* Fills StatSN, ExpCmdSN and MaxCmdSN of an answer. The window never shrinks. */
void san_session_stat(struct san_conn *c, uint8_t *bhs, bool advance)
{
	uint32_t room = c->queued < c->san->window ? c->san->window - c->queued : 0;
	uint32_t max = c->exp_cmdsn + room - 1;

	if (san_sn_lt(c->max_cmdsn, max))
		c->max_cmdsn = max;
	san_put32(bhs + 24, c->statsn);
	san_put32(bhs + 28, c->exp_cmdsn);
	san_put32(bhs + 32, c->max_cmdsn);
	if (advance)
		c->statsn++;
}

static bool outside_window(const struct san_conn *c, uint32_t cmdsn)
{
	return san_sn_lt(cmdsn, c->exp_cmdsn) || san_sn_lt(c->max_cmdsn, cmdsn);
}

static struct san_cmd *held_cmd(struct san_conn *c)
{
	struct san_cmd *cmd;

	TAILQ_FOREACH (cmd, &c->cmds, in_conn)
		if (!cmd->in_order && !cmd->immediate && cmd->cmdsn == c->exp_cmdsn)
			return cmd;
	return NULL;
}

/* A gap may have closed: lets commands go that waited for their turn. */
static void drain_held(struct san_conn *c)
{
	while (!c->dead) {
		struct san_cmd *cmd = held_cmd(c);

		if (cmd) {
			c->exp_cmdsn++;
			cmd->in_order = true;
			if (cmd->aborted)
				san_cmd_free(cmd);
			else if (!cmd->unsol_open)
				san_cmd_begin(cmd);
		} else if (c->seen[c->exp_cmdsn % SAN_QUEUE]) {
			c->seen[c->exp_cmdsn++ % SAN_QUEUE] = false;
		} else {
			break;
		}
	}
}

/* CmdSN of a PDU that is no SCSI command; it acts at once, its number is taken in order. */
static void take_cmdsn(struct san_conn *c)
{
	uint32_t sn = san_get32(c->bhs + 24);

	if (c->bhs[0] & 0x40)
		return;
	c->seen[sn % SAN_QUEUE] = true;
	drain_held(c);
}

/* --- SCSI command and Data-Out ---------------------------------------------------------- */

static struct san_cmd *find_itt(struct san_conn *c, uint32_t itt)
{
	struct san_cmd *cmd;

	TAILQ_FOREACH (cmd, &c->cmds, in_conn)
		if (cmd->itt == itt)
			return cmd;
	return NULL;
}

static int header_scsi(struct san_conn *c)
{
	struct san_cmd *cmd;

	if (c->queued >= 2 * SAN_QUEUE)
		return -EPROTO;
	cmd = san_cmd_new(c);
	if (!cmd)
		return -ENOMEM;
	c->rx_cmd = cmd;
	if (!c->rx_len)
		return 0;
	if (!cmd->is_write || !c->par.immediate_data || c->rx_len > cmd->edtl)
		return -EPROTO;
	if (c->rx_len <= cmd->out_cap)
		c->rx_dst = cmd->out;
	return 0;
}

static void header_unsolicited(struct san_conn *c, struct san_cmd *cmd)
{
	uint32_t off = san_get32(c->bhs + 40);

	if (!cmd->unsol_open || off != cmd->out_len || san_get32(c->bhs + 36) != cmd->unsol_sn ||
	    (uint64_t)off + c->rx_len > cmd->edtl || off + c->rx_len > c->par.first_burst) {
		cmd->data_error = true;
		return;
	}
	cmd->unsol_sn++;
	if (off + c->rx_len <= cmd->out_cap)
		c->rx_dst = cmd->out + off;
}

static void header_solicited(struct san_conn *c, struct san_cmd *cmd, uint32_t ttt)
{
	uint32_t off = san_get32(c->bhs + 40);
	struct san_r2t *r = ttt < SAN_MAX_R2T ? &cmd->r2t[ttt] : NULL;

	if (!r || !r->open || cmd->state != SAN_CMD_R2T) {
		cmd->data_error = true;
		return;
	}
	if (off != r->off + r->done || san_get32(c->bhs + 36) != r->datasn ||
	    c->rx_len > r->len - r->done) {
		cmd->data_error = true;
		return;
	}
	r->datasn++;
	c->rx_dst = cmd->out + off; /* an R2T never asks for more than out_cap */
}

static void header_data(struct san_conn *c)
{
	struct san_cmd *cmd = find_itt(c, san_get32(c->bhs + 16));
	uint32_t ttt = san_get32(c->bhs + 20);

	c->rx_cmd = cmd;
	if (!cmd || cmd->state == SAN_CMD_MEDIUM || cmd->data_error) {
		if (cmd && cmd->state == SAN_CMD_MEDIUM)
			c->rx_cmd = NULL;
		return; /* its command ended, or is failing: nobody wants the data */
	}
	if (ttt == SAN_NO_TAG)
		header_unsolicited(c, cmd);
	else
		header_solicited(c, cmd, ttt);
}

int san_session_header(struct san_conn *c)
{
	uint8_t op = c->bhs[0] & 0x3f;

	c->rx_ignore = false;
	if (c->discovery && op != OP_TEXT && op != OP_LOGOUT && op != OP_NOP)
		return -EPROTO;
	if (op != OP_DATA && !(c->bhs[0] & 0x40) && outside_window(c, san_get32(c->bhs + 24))) {
		c->rx_ignore = true;
		return 0;
	}
	if (op == OP_SCSI)
		return header_scsi(c);
	if (op == OP_DATA) {
		header_data(c);
		return 0;
	}
	if (c->rx_len) {
		c->rx_tmp = malloc(c->rx_len);
		if (!c->rx_tmp)
			return -ENOMEM;
		c->rx_dst = c->rx_tmp;
	}
	return 0;
}

static void pdu_scsi(struct san_conn *c)
{
	struct san_cmd *cmd = c->rx_cmd;

	if (!cmd) { /* aborted while its data arrived */
		take_cmdsn(c);
		return;
	}
	cmd->out_len = c->rx_len;
	if (!cmd->immediate) {
		drain_held(c); /* it may itself be the one whose turn it is */
		return;
	}
	cmd->in_order = true;
	if (!cmd->unsol_open)
		san_cmd_begin(cmd);
}

static void solicited_done(struct san_conn *c, struct san_cmd *cmd)
{
	struct san_r2t *r = &cmd->r2t[san_get32(c->bhs + 20)];

	r->done += c->rx_len;
	cmd->out_len += c->rx_len;
	if (!(c->bhs[1] & 0x80))
		return;
	if (r->done != r->len)
		cmd->data_error = true;
	r->open = false;
}

static void pdu_data(struct san_conn *c)
{
	struct san_cmd *cmd = c->rx_cmd;
	bool final = c->bhs[1] & 0x80, unsolicited = san_get32(c->bhs + 20) == SAN_NO_TAG;

	if (!cmd)
		return;
	if (unsolicited) {
		if (!cmd->data_error)
			cmd->out_len += c->rx_len;
		if (!final || !cmd->unsol_open)
			return;
		cmd->unsol_open = false;
		if (cmd->in_order)
			san_cmd_begin(cmd);
		return;
	}
	if (!cmd->data_error)
		solicited_done(c, cmd);
	if (cmd->data_error ? final : cmd->out_len >= cmd->want)
		san_cmd_data_done(cmd);
	else if (final)
		san_cmd_send_r2t(cmd);
}

/* --- the other PDUs --------------------------------------------------------------------- */

static void reject(struct san_conn *c, uint8_t reason)
{
	uint8_t h[SAN_BHS] = {0x3f, 0x80, reason};

	san_put32(h + 16, SAN_NO_TAG);
	san_session_stat(c, h, true);
	san_send(c, h, c->bhs, SAN_BHS, NULL);
}

static void pdu_nop(struct san_conn *c)
{
	uint8_t h[SAN_BHS] = {0x20, 0x80};
	uint32_t len = c->rx_len < c->par.max_xmit ? c->rx_len : c->par.max_xmit;

	if (san_get32(c->bhs + 16) == SAN_NO_TAG)
		return;
	take_cmdsn(c);
	memcpy(h + 8, c->bhs + 8, 12);
	san_put32(h + 20, SAN_NO_TAG);
	san_session_stat(c, h, true);
	san_send(c, h, c->rx_tmp, len, NULL);
}

static int add_portal(struct san_conn *c, const struct san_portal *p, char *out, size_t cap,
		      size_t *len)
{
	char value[160], addr[INET6_ADDRSTRLEN];
	struct sockaddr_storage ss;
	socklen_t slen = sizeof ss;

	snprintf(addr, sizeof addr, "%s", p->addr);
	if (strcmp(addr, "0.0.0.0") == 0 || strcmp(addr, "::") == 0) {
		/* any address: tell the peer the one it came in by */
		if (getsockname(c->io.fd, (struct sockaddr *)&ss, &slen) < 0)
			return -errno;
		if (ss.ss_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, addr,
				  sizeof addr);
		else
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ss)->sin6_addr, addr,
				  sizeof addr);
	}
	snprintf(value, sizeof value, strchr(addr, ':') ? "[%s]:%u,%u" : "%s:%u,%u", addr, p->port,
		 p->tpgt);
	return san_text_add(out, cap, len, "TargetAddress", value);
}

static void pdu_text(struct san_conn *c)
{
	uint8_t h[SAN_BHS] = {0x24, 0x80};
	char out[4096];
	size_t len = 0;
	const char *what = NULL;
	unsigned int i;

	take_cmdsn(c);
	if (c->bhs[1] & 0x40 || !san_text_valid(c->rx_tmp, c->rx_len)) {
		reject(c, REJECT_PROTOCOL);
		return;
	}
	if (c->rx_len)
		what = san_text_get(c->rx_tmp, c->rx_len, "SendTargets");
	if (what && (strcmp(what, "All") == 0 || strcasecmp(what, c->san->iqn) == 0 ||
		     (!*what && !c->discovery))) {
		(void)san_text_add(out, sizeof out, &len, "TargetName", c->san->iqn);
		for (i = 0; i < c->san->nportals; i++)
			(void)add_portal(c, &c->san->portals[i], out, sizeof out, &len);
	}
	memcpy(h + 16, c->bhs + 16, 4);
	san_put32(h + 20, SAN_NO_TAG);
	san_session_stat(c, h, true);
	san_send(c, h, (const uint8_t *)out, (uint32_t)len, NULL);
}

static void pdu_logout(struct san_conn *c)
{
	uint8_t h[SAN_BHS] = {0x26, 0x80};

	take_cmdsn(c);
	if ((c->bhs[1] & 0x7f) > 1)
		h[2] = 2; /* connection recovery is not supported */
	memcpy(h + 16, c->bhs + 16, 4);
	san_session_stat(c, h, true);
	san_send(c, h, NULL, 0, NULL);
	if (!h[2])
		c->close_after = true;
}

void san_session_pdu(struct san_conn *c)
{
	if (c->rx_ignore)
		return;
	switch (c->bhs[0] & 0x3f) {
	case OP_SCSI:
		pdu_scsi(c);
		break;
	case OP_DATA:
		pdu_data(c);
		break;
	case OP_NOP:
		pdu_nop(c);
		break;
	case OP_TMF:
		take_cmdsn(c);
		san_tmf_pdu(c, c->bhs);
		break;
	case OP_TEXT:
		pdu_text(c);
		break;
	case OP_LOGOUT:
		pdu_logout(c);
		break;
	default:
		take_cmdsn(c);
		reject(c, REJECT_UNSUPPORTED);
		break;
	}
}
