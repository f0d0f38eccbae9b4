/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_login.c - the login phase (RFC 7143 chapter 6): stages, authentication, access list, session
 * reinstatement.
 *
 * Parses the peer's login PDUs. Does not do several connections per session: a login with a TSIH is
 * refused. A new login of a nexus that has a session ends the old one and, unless told to be
 * sloppy, is answered only after the old session's commands have ended.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ST_MOVED	 0x0101 /* for now; + 1: for good */
#define ST_ERROR	 0x0200
#define ST_AUTH		 0x0201
#define ST_FORBIDDEN	 0x0202
#define ST_NOT_FOUND	 0x0203
#define ST_VERSION	 0x0205
#define ST_TOO_MANY	 0x0206
#define ST_MISSING	 0x0207
#define ST_TYPE		 0x0209
#define ST_NO_SESSION	 0x020a
#define ST_TARGET_ERROR	 0x0300

#define STAGE_SECURITY 0
#define STAGE_OPER     1
#define STAGE_FULL     3

#define TEXT_MAX 65536u

struct reply {
	char text[8192];
	size_t len;
	uint16_t status;
	bool transit;
};

static void send_reply(struct san_conn *c, const uint8_t *bhs, struct reply *r)
{
	uint8_t h[SAN_BHS] = {0x23};

	if (r->transit)
		h[1] = 0x80;
	h[1] |= bhs[1] & 0x0f;
	if (!r->transit)
		h[1] &= 0xfc;
	memcpy(h + 8, bhs + 8, 6);
	san_put16(h + 14, c->tsih ? c->tsih : san_get16(bhs + 14));
	memcpy(h + 16, bhs + 16, 4);
	san_put32(h + 24, c->statsn++);
	san_put32(h + 28, c->exp_cmdsn);
	san_put32(h + 32, c->exp_cmdsn + c->san->window - 1);
	san_put16(h + 36, r->status);
	if (r->status && r->status >> 8 != 1)
		r->len = 0;
	san_send(c, h, (const uint8_t *)r->text, (uint32_t)r->len, NULL);
	if (r->status) {
		c->close_after = true;
		if (c->san->verbose)
			fprintf(stderr, "labsan: %s %s: login refused, status %04x\n", c->peer,
				c->initiator, r->status);
	}
}

/* iSCSI names are printable and need no quoting in our logs: insist on it. */
static bool name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= SAN_NAME_MAX)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-.:_", *s))
			return false;
	return true;
}

static uint16_t check_names(struct san_conn *c, const uint8_t *text, uint32_t len)
{
	const char *name = san_text_get(text, len, "InitiatorName");
	const char *type = san_text_get(text, len, "SessionType");
	const char *target = san_text_get(text, len, "TargetName");
	unsigned int i;

	if (!name)
		return ST_MISSING;
	if (!name_ok(name))
		return ST_ERROR;
	snprintf(c->initiator, sizeof c->initiator, "%s", name);
	if (type && strcmp(type, "Discovery") == 0)
		c->discovery = true;
	else if (type && strcmp(type, "Normal") != 0)
		return ST_TYPE;
	else if (!target)
		return ST_MISSING;
	else if (strcasecmp(target, c->san->iqn) != 0)
		return ST_NOT_FOUND;
	c->named = true;
	if (!c->san->nacl)
		return 0;
	for (i = 0; i < c->san->nacl; i++)
		if (strcasecmp(c->san->acl[i], name) == 0)
			return 0;
	return ST_FORBIDDEN;
}

static uint16_t security_stage(struct san_conn *c, const uint8_t *text, uint32_t len,
			       struct reply *r)
{
	const char *method = san_text_get(text, len, "AuthMethod");
	bool need = c->san->chap_in.len != 0;

	if (method) {
		bool chap = strstr(method, "CHAP") != NULL, none = strstr(method, "None") != NULL;

		if (need ? !chap : !none)
			return ST_AUTH;
		if (san_text_add(r->text, sizeof r->text, &r->len, "AuthMethod",
				 need ? "CHAP" : "None") < 0)
			return ST_TARGET_ERROR;
		c->chap.step = 1;
		if (!need)
			c->chap.done = true;
	} else if (need) {
		if (san_chap_step(c, text, len, r->text, sizeof r->text, &r->len) < 0)
			return ST_AUTH;
	} else {
		c->chap.done = true;
	}
	return 0;
}

static uint16_t oper_stage(struct san_conn *c, const uint8_t *text, uint32_t len, struct reply *r)
{
	char num[16];

	if (c->san->chap_in.len && !c->chap.done)
		return ST_AUTH;
	if (san_text_negotiate(c, text, len, r->text, sizeof r->text, &r->len) < 0)
		return ST_ERROR;
	if (!c->said_recv) {
		c->said_recv = true;
		snprintf(num, sizeof num, "%u", SAN_MAX_RECV);
		if (san_text_add(r->text, sizeof r->text, &r->len, "MaxRecvDataSegmentLength",
				 num) < 0)
			return ST_TARGET_ERROR;
	}
	return 0;
}

static void session_ready(struct san *san, void *arg)
{
	struct san_conn *c = arg;

	(void)san;
	c->login_wait = false;
	if (!c->dead)
		san_login_finish(c);
}

/* Binds the connection to its nexus and ends an older session of the same nexus. */
static void enter_full(struct san_conn *c)
{
	struct san *san = c->san;
	struct san_cmd *cmd;
	unsigned int i;
	bool fresh;
	int slot;

	if (++san->last_tsih == 0)
		san->last_tsih = 1;
	c->tsih = san->last_tsih;
	if (c->discovery) {
		san_login_finish(c);
		return;
	}
	c->nexus = san_nexus_get(san, c->initiator, c->isid, c->tpgt, &fresh);
	if (!c->nexus) {
		san_conn_close(c, "no memory for a nexus");
		return;
	}
	if (c->nexus->conn)
		san_conn_close(c->nexus->conn, "session reinstated");
	c->nexus->conn = c;
	for (i = 0; !fresh && i < san->nluns; i++)
		san_ua_add(c->nexus, san->luns[i], 0x2907);
	if (!san->strict_reinstate || !c->nexus->inflight) {
		san_login_finish(c);
		return;
	}
	slot = san_barrier_new(san, session_ready, c);
	if (slot < 0) {
		san_conn_close(c, "too many barriers");
		return;
	}
	c->login_wait = true;
	for (i = 0; i < san->nluns; i++)
		TAILQ_FOREACH (cmd, &san->luns[i]->tasks, in_lun)
			if (cmd->nexus == c->nexus)
				san_barrier_add(san, slot, cmd);
	san_barrier_go(san, slot);
}

static struct reply *reply_of(struct san_conn *c)
{
	return (struct reply *)c->text;
}

/* The last login answer; after it the full feature phase holds. */
void san_login_finish(struct san_conn *c)
{
	struct reply *r = reply_of(c);

	send_reply(c, c->login_bhs, r);
	free(c->text);
	c->text = NULL;
	c->text_len = 0;
	c->full = true;
	san_session_start(c);
}

static uint16_t first_pdu(struct san_conn *c, const uint8_t *bhs)
{
	memcpy(c->isid, bhs + 8, 6);
	c->exp_cmdsn = san_get32(bhs + 24);
	c->statsn = san_get32(bhs + 28);
	if (bhs[3] > 0)
		return ST_VERSION;
	if (san_get16(bhs + 14) != 0)
		return ST_NO_SESSION;
	return 0;
}

/* Joins the text of PDUs that have the C bit. 1 = complete, 0 = more to come, -errno. */
static int gather(struct san_conn *c, const uint8_t *bhs, const uint8_t *data, uint32_t len)
{
	uint8_t *t;

	if (c->text_len + len > TEXT_MAX)
		return -EMSGSIZE;
	t = realloc(c->text, c->text_len + len + 1);
	if (!t)
		return -ENOMEM;
	if (len)
		memcpy(t + c->text_len, data, len);
	c->text = t;
	c->text_len += len;
	return bhs[1] & 0x40 ? 0 : 1;
}

static uint16_t one_stage(struct san_conn *c, const uint8_t *bhs, struct reply *r)
{
	int csg = bhs[1] >> 2 & 3, nsg = bhs[1] & 3;
	uint16_t st = 0;

	if (!san_text_valid(c->text, c->text_len) || csg < c->csg ||
	    (csg != STAGE_SECURITY && csg != STAGE_OPER))
		return ST_ERROR;
	c->csg = csg;
	if (!c->named)
		st = check_names(c, c->text, c->text_len);
	if (st)
		return st;
	if (c->portal->moved_to[0] && !c->discovery) {
		if (san_text_add(r->text, sizeof r->text, &r->len, "TargetAddress",
				 c->portal->moved_to) < 0)
			return ST_TARGET_ERROR;
		return ST_MOVED + c->portal->moved_for_good;
	}
	if (!c->said_tpgt) {
		char num[8];

		c->said_tpgt = true;
		snprintf(num, sizeof num, "%u", c->tpgt);
		if (!c->discovery && san_text_add(r->text, sizeof r->text, &r->len,
						  "TargetPortalGroupTag", num) < 0)
			return ST_TARGET_ERROR;
	}
	st = csg == STAGE_SECURITY ? security_stage(c, c->text, c->text_len, r)
				   : oper_stage(c, c->text, c->text_len, r);
	if (st)
		return st;
	r->transit = bhs[1] & 0x80;
	if (r->transit && (nsg <= csg || nsg == 2))
		return ST_ERROR;
	if (csg == STAGE_SECURITY && r->transit && !c->chap.done)
		r->transit = false;
	return 0;
}

void san_login_pdu(struct san_conn *c, const uint8_t *bhs, const uint8_t *data, uint32_t len)
{
	struct reply *r;
	int rc;

	if ((bhs[0] & 0x3f) != 0x03) {
		san_conn_close(c, "no login PDU");
		return;
	}
	r = calloc(1, sizeof *r);
	if (!r) {
		san_conn_close(c, "no memory");
		return;
	}
	if (c->csg < 0)
		r->status = first_pdu(c, bhs);
	rc = r->status ? 1 : gather(c, bhs, data, len);
	if (rc < 0)
		r->status = ST_ERROR;
	if (c->csg < 0)
		c->csg = 0;
	if (rc == 1 && !r->status) {
		r->status = one_stage(c, bhs, r);
		free(c->text);
		c->text = NULL;
		c->text_len = 0;
	}
	if (!r->status && r->transit && (bhs[1] & 3) == STAGE_FULL) {
		memcpy(c->login_bhs, bhs, SAN_BHS);
		c->text = (uint8_t *)r; /* kept for the answer, which may have to wait */
		enter_full(c);
		return;
	}
	send_reply(c, bhs, r);
	free(r);
}
