/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_sess.c - stor_sess.h over the world's queue: login, commands, time limits, death. A connection (struct conn) outlives
 * its session: the target and the network hold on to it. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_sess.h"

#include <stdlib.h>
#include <string.h>

#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_sess.h"
#include "tests/sim/cluster/sim_proc.h"
#include "tests/sim/cluster/sim_target.h"

TAILQ_HEAD(cmds, stor_cmd);

struct stor_sess {
	struct stor_sess_cfg cfg;
	struct conn *conn;
	bool logged_in, dead, closing, nop_out;
	struct cm_timer tick;
	struct cmds cmds;
	uint64_t begun_ns, reset_ns, heard_ns, nop_ns, tick_ns;
	stor_reset_fn reset_done;
	void *reset_arg;
	struct cm_err why;
};

/* One way of a connection: in order, held while the path is cut. */
struct conn {
	TAILQ_ENTRY(conn) link;
	struct sim_node *node;
	struct sim_proc *proc;
	struct stor_sess *sess; /* NULL: this end is closed */
	uint64_t nexus, up_ns, down_ns, tags;
	bool open; /* at the target */
	struct msgs {
		struct msg *first, **last;
	} held;
};

struct msg {
	struct msg *next;
	struct conn *conn;
	bool up, reset, login, fin, nop;
	unsigned lun;
	uint64_t tag;
	uint8_t cdb[16];
	uint32_t bytes;
	uint8_t data[2 * SIM_SECTOR];
	struct sim_answer answer;
};

unsigned sim_lost_answers_permille;
static TAILQ_HEAD(, conn) conns;
static struct msg *spare;

void sim_sess_begin(void)
{
	TAILQ_INIT(&conns);
	spare = NULL;
	sim_lost_answers_permille = 0;
}

/* --- the network ------------------------------------------------------------------------- */

static void arrive_up(void *arg);
static void arrive_down(void *arg);

static void hold(struct msg *m)
{
	m->next = NULL;
	*m->conn->held.last = m;
	m->conn->held.last = &m->next;
}

static void carry(struct msg *m)
{
	struct conn *c = m->conn;
	uint64_t *at = m->up ? &c->up_ns : &c->down_ns, comes;

	if (c->node->san_cut || c->held.first) {
		hold(m);
		return;
	}
	comes = sim_now + sim_between(20, 300) * 1000;
	*at = CM_MAX(*at + 1, comes);
	if (m->up)
		sim_at(*at, arrive_up, m);
	else
		sim_at_proc(c->proc, *at, 1, arrive_down, m);
}

static struct msg *msg_new(struct conn *c, bool up)
{
	struct msg *m = spare;

	if (m)
		spare = m->next;
	else
		m = sim_alloc(sizeof *m);
	memset(m, 0, offsetof(struct msg, data));
	m->conn = c;
	m->up = up;
	return m;
}

static void msg_done(struct msg *m)
{
	m->next = spare;
	spare = m;
}

void sim_sess_cut(struct sim_node *node, bool cut)
{
	struct conn *c;

	node->san_cut = cut;
	TAILQ_FOREACH (c, &conns, link) {
		struct msg *m = c->held.first, *next;

		if (c->node != node || cut)
			continue;
		c->held = (struct msgs){NULL, &c->held.first};
		for (; m; m = next) {
			next = m->next;
			carry(m);
		}
	}
}

void sim_sess_off(struct sim_node *node)
{
	struct conn *c;

	TAILQ_FOREACH (c, &conns, link)
		if (c->node == node)
			c->held = (struct msgs){NULL, &c->held.first};
}

/* --- the target's end ---------------------------------------------------------------------- */

static void answered(const struct sim_answer *a, void *arg)
{
	struct msg *m = arg;

	if (!m->conn->open || sim_chance(sim_lost_answers_permille)) {
		msg_done(m);
		return;
	}
	m->answer = *a;
	m->up = false;
	carry(m);
}

static void arrive_up(void *arg)
{
	struct msg *m = arg;
	struct conn *c = m->conn, *other;

	if (c->node->san_cut) { /* it was under way */
		hold(m);
		return;
	}
	if (m->login) {
		TAILQ_FOREACH (other, &conns, link)
			if (other->open && other->nexus == c->nexus && other->node == c->node)
				other->open = false;
		c->open = true;
		m->up = false;
		carry(m);
	} else if (!c->open) {
		m->up = false;
		if (m->fin || !c->sess) {
			msg_done(m);
		} else { /* RST */
			m->fin = true;
			carry(m);
		}
	} else if (m->fin) {
		c->open = false;
		msg_done(m);
	} else if (m->nop) {
		m->up = false;
		carry(m);
	} else if (m->reset) {
		sim_target_reset(c->nexus, m->lun, answered, m);
	} else {
		sim_target_command(c->nexus, m->lun, m->cdb, m->data, m->bytes, answered, m);
	}
}

void sim_sess_break(void)
{
	struct conn *c;

	TAILQ_FOREACH (c, &conns, link) {
		struct msg *m;

		if (!c->open)
			continue;
		c->open = false;
		m = msg_new(c, false);
		m->fin = true;
		carry(m);
	}
}

/* --- this end -------------------------------------------------------------------------------- */

static void bury(void *arg)
{
	struct stor_sess *s = arg;
	struct stor_cmd *c;

	s->cfg.dying(s, &s->why, s->cfg.arg);
	while ((c = TAILQ_FIRST(&s->cmds))) {
		TAILQ_REMOVE(&s->cmds, c, link);
		c->status = STOR_CMD_LOST;
		c->done(c);
	}
	if (s->reset_done)
		s->reset_done(CM_E_SAN_LOST, s->reset_arg);
	cm_timer_fini(&s->tick);
	s->cfg.down(s, false, &s->why, s->cfg.arg);
	free(s);
}

static void fin(struct conn *c)
{
	struct msg *m = msg_new(c, true);

	c->sess = NULL;
	m->fin = true;
	carry(m);
}

static void fail(struct stor_sess *s, int code, const char *why)
{
	if (s->dead)
		return;
	s->dead = true;
	if (code)
		cm_err_set(&s->why, code, "%s", why);
	cm_timer_disarm(&s->tick);
	fin(s->conn);
	cm_loop_defer(s->cfg.loop, bury, s);
}

static void answer(struct stor_sess *s, const struct msg *m)
{
	struct stor_cmd *c;

	TAILQ_FOREACH (c, &s->cmds, link)
		if ((uintptr_t)c->task == m->tag)
			break;
	if (!c)
		return;
	TAILQ_REMOVE(&s->cmds, c, link);
	c->status = m->answer.status;
	c->key = m->answer.key;
	c->asc = m->answer.asc;
	c->ascq = m->answer.ascq;
	c->actual_bytes = 0;
	if (c->dir == STOR_DIR_IN) {
		c->actual_bytes = CM_MIN(m->answer.bytes, (uint32_t)c->iov[0].iov_len);
		memcpy(c->iov[0].iov_base, m->answer.data, c->actual_bytes);
	}
	c->done(c);
}

static void arrive_down(void *arg)
{
	struct msg *m = arg;
	struct stor_sess *s = m->conn->sess;
	stor_reset_fn done;

	if (m->conn->node->san_cut) {
		hold(m);
		return;
	}
	if (s)
		s->heard_ns = cm_now_ns();
	if (s && !s->dead && m->nop) {
		s->nop_out = false;
	} else if (s && !s->dead && m->fin) {
		fail(s, CM_E_SAN_LOST, "the target closed the connection");
	} else if (s && !s->dead && m->login) {
		s->logged_in = true;
		s->cfg.up(s, s->cfg.arg);
	} else if (s && !s->dead && m->reset) {
		done = s->reset_done;
		s->reset_done = NULL;
		if (done)
			done(0, s->reset_arg);
	} else if (s && !s->dead) {
		answer(s, m);
	}
	msg_done(m);
}

static void arm_tick(struct stor_sess *s, uint64_t now)
{
	uint64_t ms = CM_MAX(s->cfg.io_timeout_ms / 8, 10u);

	s->tick_ns = now + ms * SIM_MS;
	cm_timer_arm_ms(&s->tick, ms);
}

static void check_path(struct stor_sess *s, uint64_t now)
{
	struct msg *m = msg_new(s->conn, true);

	s->nop_out = true;
	s->nop_ns = now;
	m->nop = true;
	carry(m);
}

/* As in stor_sess.c. */
static void tick(struct cm_timer *timer, void *arg)
{
	struct stor_sess *s = arg;
	uint64_t now = cm_now_ns(), t = s->cfg.io_timeout_ms;
	bool late = now > s->tick_ns + CM_MAX(t / 8, 10u) * SIM_MS;
	struct stor_cmd *c;

	(void)timer;
	arm_tick(s, now);
	if (late)
		return;
	if (s->closing ? now - s->begun_ns > STOR_PING(t) * SIM_MS : !s->logged_in && now - s->begun_ns > STOR_IO(t) * SIM_MS) {
		fail(s, s->closing ? 0 : CM_E_SAN_TIMEOUT, "no login in time");
		return;
	}
	if (!s->logged_in)
		return;
	if (s->nop_out && now - s->nop_ns > STOR_IO(t) * SIM_MS) {
		fail(s, CM_E_SAN_TIMEOUT, "no answer to a path check");
		return;
	}
	TAILQ_FOREACH (c, &s->cmds, link)
		if (now - c->sent_ns > (c->timeout_ms ? c->timeout_ms : STOR_IO(t)) * SIM_MS) {
			fail(s, CM_E_SAN_TIMEOUT, "no answer in time");
			return;
		}
	if (s->reset_done && now - s->reset_ns > s->cfg.barrier_ms * SIM_MS)
		fail(s, CM_E_SAN_TIMEOUT, "no answer to a LUN RESET in time");
	else if (!s->nop_out && now - s->heard_ns > STOR_PING(t) * SIM_MS)
		check_path(s, now);
}

/* Its window never shuts, and nobody is sent elsewhere. */
unsigned stor__sess_window(struct stor_sess *s)
{
	(void)s;
	return 0;
}

uint64_t stor__sess_oldest_ns(const struct stor_sess *s)
{
	const struct stor_cmd *c = TAILQ_FIRST(&s->cmds);

	return c ? c->sent_ns : 0;
}

const char *stor__sess_redirect(const struct stor_sess *s)
{
	(void)s;
	return "";
}

struct stor_sess *stor__sess_new(const struct stor_sess_cfg *cfg, struct cm_err *err)
{
	struct stor_sess *s = calloc(1, sizeof *s);
	struct conn *c = sim_alloc(sizeof *c);
	struct msg *m = msg_new(c, true);

	(void)err;
	s->cfg = *cfg;
	s->conn = c;
	TAILQ_INIT(&s->cmds);
	s->begun_ns = s->heard_ns = cm_now_ns();
	cm_timer_init(&s->tick, cfg->loop, tick, s);
	arm_tick(s, s->begun_ns);
	c->node = sim_self->node;
	c->proc = sim_self;
	c->sess = s;
	c->held.last = &c->held.first;
	c->nexus = (uint64_t)(c->node->index + 1) << 48 | cfg->isid;
	TAILQ_INSERT_TAIL(&conns, c, link);
	m->login = true;
	carry(m);
	return s;
}

void stor__sess_send(struct stor_sess *s, struct stor_cmd *c)
{
	struct msg *m = msg_new(s->conn, true);

	c->sess = s;
	c->sent_ns = cm_now_ns();
	m->tag = ++s->conn->tags;
	c->task = (void *)(uintptr_t)m->tag;
	TAILQ_INSERT_TAIL(&s->cmds, c, link);
	m->lun = c->lun;
	memcpy(m->cdb, c->cdb.b, sizeof m->cdb);
	if (c->dir == STOR_DIR_OUT)
		for (int i = 0; i < c->niov; i++) {
			CM_ASSERT(m->bytes + c->iov[i].iov_len <= sizeof m->data);
			memcpy(m->data + m->bytes, c->iov[i].iov_base, c->iov[i].iov_len);
			m->bytes += (uint32_t)c->iov[i].iov_len;
		}
	if (!s->dead)
		carry(m);
}

void stor__sess_lun_reset(struct stor_sess *s, unsigned lun, stor_reset_fn done, void *arg)
{
	struct msg *m = msg_new(s->conn, true);

	s->reset_done = done;
	s->reset_arg = arg;
	s->reset_ns = cm_now_ns();
	m->reset = true;
	m->lun = lun;
	if (!s->dead)
		carry(m);
}

void stor__sess_kill(struct stor_sess *s, int code, const char *why)
{
	fail(s, code, why);
}

void stor__sess_close(struct stor_sess *s)
{
	fail(s, 0, ""); /* a logout that nobody waits for */
}

void sim_sess_died(struct sim_proc *proc)
{
	struct conn *c;

	TAILQ_FOREACH (c, &conns, link) {
		if (c->proc == proc && c->sess && proc->node->on)
			fin(c);
		if (c->proc == proc)
			c->sess = NULL;
	}
}
