/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_tmf.c - task management: ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LUN RESET, TARGET RESET.
 *
 * The answer comes only when every command concerned has ended, so an initiator may use it as a
 * barrier. Parses the peer's request header.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABORT_TASK     1
#define ABORT_TASK_SET 2
#define CLEAR_TASK_SET 4
#define LUN_RESET      5
#define WARM_RESET     6
#define COLD_RESET     7
#define TASK_REASSIGN  8

#define RSP_DONE	0
#define RSP_NO_TASK	1
#define RSP_NO_LUN	2
#define RSP_NO_REASSIGN 4
#define RSP_UNSUPPORTED 5
#define RSP_REJECTED	255

struct tmf {
	struct san_nexus *nexus;
	uint16_t tsih; /* which session of the nexus asked */
	uint32_t itt;
	uint8_t response;
	uint8_t function;
	uint16_t lun;
	bool cold;
};

static void tmf_done(struct san *san, void *arg)
{
	struct tmf *t = arg;
	struct san_conn *c = t->nexus->conn;
	uint8_t h[SAN_BHS] = {0x22, 0x80, t->response};
	char text[64];

	if (t->function >= LUN_RESET && t->response == RSP_DONE) {
		snprintf(text, sizeof text, "lun=%d nexus=%u",
			 t->function == LUN_RESET ? t->lun : -1, t->nexus->id);
		san_log_event(san, "reset", text);
	}
	if (c && c->tsih == t->tsih && !c->dead) {
		san_put32(h + 16, t->itt);
		san_session_stat(c, h, true);
		san_send(c, h, NULL, 0, NULL);
	}
	if (t->cold) {
		TAILQ_FOREACH (c, &san->conns, link) {
			if (c->nexus && c->tsih != t->tsih)
				san_conn_close(c, "target cold reset");
			else if (c->nexus)
				c->close_after = true;
		}
	}
	free(t);
}

typedef bool (*match_fn)(const struct san_cmd *cmd, const struct san_conn *c);

static bool of_nexus(const struct san_cmd *cmd, const struct san_conn *c)
{
	return cmd->nexus == c->nexus;
}

static bool all(const struct san_cmd *cmd, const struct san_conn *c)
{
	(void)cmd;
	(void)c;
	return true;
}

static void abort_lun(struct san_conn *c, struct san_lun *lun, match_fn match, int slot)
{
	struct san_cmd *cmd, *next;

	for (cmd = TAILQ_FIRST(&lun->tasks); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, in_lun);
		if (match(cmd, c))
			san_abort(cmd, slot);
	}
}

static void lun_reset(struct san_conn *c, struct san_lun *lun, int slot)
{
	struct san_nexus *n;

	abort_lun(c, lun, all, slot);
	lun->reserved = NULL;
	TAILQ_FOREACH (n, &c->san->nexuses, link)
		san_ua_add(n, lun, 0x2903);
}

static uint8_t abort_one(struct san_conn *c, const uint8_t *bhs, int slot)
{
	uint32_t ref = san_get32(bhs + 20);
	struct san_cmd *cmd;

	TAILQ_FOREACH (cmd, &c->cmds, in_conn)
		if (cmd->itt == ref) {
			san_abort(cmd, slot);
			return RSP_DONE;
		}
	return RSP_NO_TASK;
}

static uint8_t apply(struct san_conn *c, const uint8_t *bhs, struct san_lun *lun, int slot)
{
	struct san_cmd *cmd;
	unsigned int i;

	switch (bhs[1] & 0x7f) {
	case ABORT_TASK:
		return abort_one(c, bhs, slot);
	case ABORT_TASK_SET:
		abort_lun(c, lun, of_nexus, slot);
		return RSP_DONE;
	case CLEAR_TASK_SET:
		TAILQ_FOREACH (cmd, &lun->tasks, in_lun)
			if (cmd->nexus != c->nexus)
				san_ua_add(cmd->nexus, lun, 0x2f00);
		abort_lun(c, lun, all, slot);
		return RSP_DONE;
	case LUN_RESET:
		lun_reset(c, lun, slot);
		return RSP_DONE;
	case WARM_RESET:
	case COLD_RESET:
		for (i = 0; i < c->san->nluns; i++)
			lun_reset(c, c->san->luns[i], slot);
		return RSP_DONE;
	case TASK_REASSIGN:
		return RSP_NO_REASSIGN;
	default:
		return RSP_UNSUPPORTED;
	}
}

void san_tmf_pdu(struct san_conn *c, const uint8_t *bhs)
{
	uint8_t fn = bhs[1] & 0x7f;
	uint16_t no = bhs[8] >> 6 == 1 ? san_get16(bhs + 8) & 0x3fff : san_get16(bhs + 8);
	struct san_lun *lun = no < c->san->nluns ? c->san->luns[no] : NULL;
	struct tmf *t = calloc(1, sizeof *t);
	int slot;

	if (!t) {
		san_conn_close(c, "no memory");
		return;
	}
	t->nexus = c->nexus;
	t->tsih = c->tsih;
	t->itt = san_get32(bhs + 16);
	t->cold = fn == COLD_RESET;
	t->function = fn;
	t->lun = no;
	slot = san_barrier_new(c->san, tmf_done, t);
	if (slot < 0) {
		t->response = RSP_REJECTED;
		t->cold = false;
		tmf_done(c->san, t);
		return;
	}
	if (!lun && fn >= ABORT_TASK_SET && fn <= LUN_RESET)
		t->response = RSP_NO_LUN;
	else
		t->response = apply(c, bhs, lun, slot);
	san_barrier_go(c->san, slot);
}
