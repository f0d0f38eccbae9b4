/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_cmd.c - the life of a SCSI command: gather data, check, R2T, medium, answer; barriers,
 * aborts.
 *
 * The point of no return is the medium: a command that was accepted and has its data waits there
 * for injected delays and stalls, and it *will* land, also when its session, its registration or
 * its initiator is gone by then. Real arrays do that, and fencing must survive it. An abort of such
 * a command only takes its answer away; whoever must know that it ended waits on a barrier.
 *
 * Parses the command PDU's header fields.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <stdlib.h>
#include <string.h>

static uint16_t decode_lun(const uint8_t *p)
{
	uint16_t v = san_get16(p);

	if (p[2] || p[3] || p[4] || p[5] || p[6] || p[7])
		return 0xffff;
	switch (v >> 14) {
	case 0: /* peripheral device addressing, bus 0 */
		return v <= 0xff ? v : 0xffff;
	case 1: /* flat space */
		return v & 0x3fff;
	default:
		return 0xffff;
	}
}

struct san_cmd *san_cmd_new(struct san_conn *c)
{
	struct san_cmd *cmd = calloc(1, sizeof *cmd);
	const uint8_t *h = c->bhs;

	if (!cmd)
		return NULL;
	cmd->san = c->san;
	cmd->conn = c;
	cmd->nexus = c->nexus;
	memcpy(cmd->bhs, h, SAN_BHS);
	cmd->immediate = h[0] & 0x40;
	cmd->is_read = h[1] & 0x40;
	cmd->is_write = h[1] & 0x20;
	cmd->unsol_open = cmd->is_write && !(h[1] & 0x80);
	cmd->lun_no = decode_lun(h + 8);
	cmd->itt = san_get32(h + 16);
	cmd->edtl = san_get32(h + 20);
	cmd->cmdsn = san_get32(h + 24);
	memcpy(cmd->cdb, h + 32, 16);
	cmd->start_ns = san_now_ns();
	cmd->seq = ++c->san->cmd_seq;
	if (cmd->is_write && cmd->edtl) {
		cmd->out_cap = cmd->edtl < SAN_MAX_XFER ? cmd->edtl : SAN_MAX_XFER;
		cmd->out = malloc(cmd->out_cap);
		if (!cmd->out) {
			free(cmd);
			return NULL;
		}
	}
	if (cmd->lun_no < c->san->nluns) {
		cmd->lun = c->san->luns[cmd->lun_no];
		cmd->on_lun = true;
		TAILQ_INSERT_TAIL(&cmd->lun->tasks, cmd, in_lun);
	}
	TAILQ_INSERT_TAIL(&c->cmds, cmd, in_conn);
	c->queued++;
	return cmd;
}

static void leave_conn(struct san_cmd *cmd)
{
	struct san_conn *c = cmd->conn;

	if (!c)
		return;
	if (c->rx_cmd == cmd) {
		c->rx_cmd = NULL;
		c->rx_dst = NULL;
	}
	TAILQ_REMOVE(&c->cmds, cmd, in_conn);
	c->queued--;
	cmd->conn = NULL;
}

void san_cmd_free(struct san_cmd *cmd)
{
	struct san *san = cmd->san;
	uint64_t waiting = cmd->barriers;
	bool medium = cmd->state == SAN_CMD_MEDIUM;
	struct san_nexus *nexus = cmd->nexus;

	leave_conn(cmd);
	if (cmd->on_lun)
		TAILQ_REMOVE(&cmd->lun->tasks, cmd, in_lun);
	if (cmd->parked)
		TAILQ_REMOVE(&san->parked, cmd, in_park);
	free(cmd->out);
	san_buf_put(cmd->in);
	free(cmd);
	if (medium)
		nexus->inflight--;
	while (waiting) {
		int slot = __builtin_ctzll(waiting);

		waiting &= waiting - 1;
		san->barriers[slot].pending--;
		san_barrier_go(san, slot);
	}
}

/* --- barriers --------------------------------------------------------------------------- */

/* Returns a slot to add commands to, or -1. It starts with one count, which _go() gives back. */
int san_barrier_new(struct san *san, void (*done)(struct san *san, void *arg), void *arg)
{
	unsigned int i;

	for (i = 0; i < SAN_LEN(san->barriers); i++) {
		struct san_barrier *b = &san->barriers[i];

		if (b->used)
			continue;
		b->used = true;
		b->pending = 0;
		b->done = done;
		b->arg = arg;
		return (int)i;
	}
	return -1;
}

void san_barrier_add(struct san *san, int slot, struct san_cmd *cmd)
{
	if (cmd->state != SAN_CMD_MEDIUM || cmd->barriers & 1ull << slot)
		return;
	cmd->barriers |= 1ull << slot;
	san->barriers[slot].pending++;
}

/* Calls back when nothing is pending any more, perhaps at once. */
void san_barrier_go(struct san *san, int slot)
{
	struct san_barrier *b = &san->barriers[slot];

	if (!b->used || b->pending)
		return;
	b->used = false;
	b->done(san, b->arg);
}

/* Takes a command back if that is still possible, else only its answer; slot -1 = no barrier. */
void san_abort(struct san_cmd *cmd, int slot)
{
	if (cmd->state == SAN_CMD_MEDIUM) {
		cmd->aborted = true;
		if (slot >= 0)
			san_barrier_add(cmd->san, slot, cmd);
	} else if (!cmd->in_order && cmd->conn) {
		cmd->aborted = true; /* its CmdSN is still due: goes when its turn comes */
	} else {
		san_cmd_free(cmd);
	}
}

/* --- execution -------------------------------------------------------------------------- */

void san_cmd_done(struct san_cmd *cmd)
{
	if (cmd->told && cmd->status == SAN_GOOD)
		san_sense(cmd, cmd->told_key, cmd->told_code);
	san_log_cmd(cmd);
	if (cmd->drop_after && cmd->conn)
		san_conn_close(cmd->conn, "dropped after a command, as told");
	else if (!cmd->aborted && !cmd->silent && cmd->conn)
		san_respond(cmd);
	san_cmd_free(cmd);
}

static void execute(struct san_cmd *cmd)
{
	if (cmd->status || cmd->nothing || !cmd->op || cmd->op->run(cmd))
		san_cmd_done(cmd);
}

static bool must_stall(const struct san_cmd *cmd)
{
	return cmd->lun && cmd->lun->stalled && cmd->op && cmd->op->cls != SAN_CLASS_OTHER;
}

static void to_medium(struct san_cmd *cmd)
{
	cmd->state = SAN_CMD_MEDIUM;
	cmd->nexus->inflight++;
	if (cmd->out_len > cmd->want)
		cmd->out_len = cmd->want; /* the peer sent more than the CDB takes */
	if (cmd->due_ns || must_stall(cmd)) {
		cmd->parked = true;
		TAILQ_INSERT_TAIL(&cmd->san->parked, cmd, in_park);
		return;
	}
	execute(cmd);
}

void san_cmd_unpark(struct san *san, uint64_t now_ns)
{
	struct san_cmd *cmd, *next;

	for (cmd = TAILQ_FIRST(&san->parked); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, in_park);
		if (cmd->due_ns > now_ns || must_stall(cmd))
			continue;
		TAILQ_REMOVE(&san->parked, cmd, in_park);
		cmd->parked = false;
		execute(cmd);
		next = TAILQ_FIRST(&san->parked); /* execute() may end others */
	}
}

int san_cmd_next_timeout_ms(struct san *san, uint64_t now_ns)
{
	uint64_t best = UINT64_MAX;
	struct san_cmd *cmd;

	TAILQ_FOREACH (cmd, &san->parked, in_park) {
		uint64_t left = cmd->due_ns > now_ns ? cmd->due_ns - now_ns : 0;

		if (!must_stall(cmd) && left < best)
			best = left;
	}
	if (best == UINT64_MAX)
		return -1;
	return best / 1000000 > 60000 ? 60000 : (int)((best + 999999) / 1000000);
}

/* Asks for the next pieces of data, as many at once as was negotiated. */
void san_cmd_send_r2t(struct san_cmd *cmd)
{
	struct san_conn *c = cmd->conn;
	uint32_t i;

	for (i = 0; i < c->par.max_r2t && cmd->r2t_off < cmd->want; i++) {
		struct san_r2t *r = &cmd->r2t[i];
		uint8_t h[SAN_BHS] = {0x31, 0x80};

		if (r->open)
			continue;
		r->open = true;
		r->off = cmd->r2t_off;
		r->len = cmd->want - cmd->r2t_off;
		if (r->len > c->par.max_burst)
			r->len = c->par.max_burst;
		r->done = 0;
		r->datasn = 0;
		cmd->r2t_off += r->len;
		memcpy(h + 8, cmd->bhs + 8, 8);
		san_put32(h + 16, cmd->itt);
		san_put32(h + 20, i);
		san_session_stat(c, h, false);
		san_put32(h + 36, cmd->r2t_sn++);
		san_put32(h + 40, r->off);
		san_put32(h + 44, r->len);
		san_send(c, h, NULL, 0, NULL);
	}
}

/* In order and with all unsolicited data: look at the command, then get the rest of its data. */
void san_cmd_begin(struct san_cmd *cmd)
{
	if (cmd->aborted) {
		san_cmd_free(cmd);
		return;
	}
	if (cmd->lun)
		cmd->key = san_pr_key(cmd->lun, cmd->nexus);
	if (cmd->data_error)
		san_sense(cmd, SAN_KEY_ABORTED, 0x4b00);
	else if (san_scsi_prepare(cmd) == 0 && cmd->is_write)
		cmd->want = cmd->cdb_len < cmd->edtl ? cmd->cdb_len : cmd->edtl;
	if (cmd->cut) {
		san_conn_close(cmd->conn, "dropped before a command, as told"); /* frees cmd */
		return;
	}
	if (cmd->status || !cmd->is_write || cmd->out_len >= cmd->want) {
		to_medium(cmd);
		return;
	}
	cmd->state = SAN_CMD_R2T;
	cmd->r2t_off = cmd->out_len;
	san_cmd_send_r2t(cmd);
}

/* The last piece of solicited data arrived, or it was wrong. */
void san_cmd_data_done(struct san_cmd *cmd)
{
	if (cmd->state != SAN_CMD_R2T)
		return;
	if (cmd->data_error)
		san_sense(cmd, SAN_KEY_ABORTED, 0x4b00);
	to_medium(cmd);
}

/* The session is gone: what is on the medium goes on, the rest never was. */
void san_cmd_detach(struct san_conn *c)
{
	struct san_cmd *cmd;

	while ((cmd = TAILQ_FIRST(&c->cmds))) {
		leave_conn(cmd);
		if (cmd->state != SAN_CMD_MEDIUM)
			san_cmd_free(cmd);
	}
}

/* Power is gone: nothing that waits on the medium will land. */
void san_cmds_power_cut(struct san *san)
{
	unsigned int i;

	for (i = 0; i < san->nluns; i++) {
		struct san_cmd *cmd = TAILQ_FIRST(&san->luns[i]->tasks);

		while (cmd) {
			if (cmd->own_barrier) { /* ends through the others: its barrier must not
						   dangle */
				cmd = TAILQ_NEXT(cmd, in_lun);
				continue;
			}
			cmd->aborted = true;
			san_cmd_free(cmd);
			cmd = TAILQ_FIRST(&san->luns[i]->tasks);
		}
	}
}
