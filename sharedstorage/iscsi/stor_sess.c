/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_sess.c - the only file that includes libiscsi.
 *
 * libiscsi's own reconnect and timeouts are off (they replay old writes, and leave buffers in use).
 * A command that is not answered in its time costs the session, never just the command; so does a path check that is
 * not answered within io_timeout, whatever is under way. Nothing is
 * submitted from a callback of a dying context, and the context is destroyed only at the loop's
 * fixed point.
 *
 * Parses no payload; PDUs are parsed by libiscsi.
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_sess.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "common/cm_trace.h"
#include "sharedstorage/dev/stor_timing.h"

TAILQ_HEAD(stor_cmds, stor_cmd);

struct stor_sess {
	struct stor_sess_cfg cfg;
	struct iscsi_context *ctx;
	struct cm_io io;
	bool io_on, logged_in, dead, closing, servicing, final, nop_out, push_due;
	struct cm_timer tick, idle;
	struct stor_cmds cmds;
	unsigned ncmds;	 /* in cmds */
	unsigned window; /* see stor__sess_window */
	unsigned unsent; /* PDUs that were queued since the last push, as far as we know of them */
	uint64_t begun_ns, heard_ns, nop_ns, tick_ns; /* tick_ns: when the next one is due */
	stor_reset_fn reset_done;
	void *reset_arg;
	uint64_t reset_ns;
	struct cm_err why;
	char portal[80], redirect[128];
};

static void sess_bury(void *arg);

static void sess_fail(struct stor_sess *s, int code, const char *what, const char *word)
{
	if (s->dead)
		return;
	s->dead = true;
	if (code)
		cm_err_set(&s->why, code, "%s: %s%.*s", s->portal, what, (int)strcspn(word, "\n"),
			   word);
	if (s->io_on)
		cm_io_fini(&s->io);
	s->io_on = false;
	cm_timer_disarm(&s->tick);
	cm_timer_disarm(&s->idle);
	cm_loop_defer(s->cfg.loop, sess_bury, s);
}

/* The callbacks of a destroyed context see s->dead and only give their memory back. */
static void sess_bury(void *arg)
{
	struct stor_sess *s = arg;
	struct stor_cmd *c;

	s->cfg.dying(s, &s->why, s->cfg.arg);
	iscsi_destroy_context(s->ctx);
	s->ctx = NULL;
	while ((c = TAILQ_FIRST(&s->cmds))) {
		TAILQ_REMOVE(&s->cmds, c, link);
		s->ncmds--;
		if (c->task)
			scsi_free_scsi_task(c->task);
		c->task = NULL;
		c->status = STOR_CMD_LOST;
		c->done(c);
	}
	if (s->reset_done)
		s->reset_done(CM_E_SAN_LOST, s->reset_arg);
	cm_timer_fini(&s->tick);
	cm_timer_fini(&s->idle);
	s->cfg.down(s, s->final, &s->why, s->cfg.arg);
	free(s);
}

/* --- events ------------------------------------------------------------------------- */

static void sess_io(struct cm_io *io, unsigned events, void *arg);

/* After every call into libiscsi: which descriptor, which events. */
static void sess_rearm(struct stor_sess *s)
{
	int fd, events;
	unsigned want;

	if (s->dead)
		return;
	fd = iscsi_get_fd(s->ctx);
	if (fd < 0)
		return sess_fail(s, CM_E_SAN_LOST, "no connection", "");
	events = iscsi_which_events(s->ctx);
	want = (events & POLLIN ? CM_READ : 0) | (events & POLLOUT ? CM_WRITE : 0);
	if (s->io_on && s->io.fd != fd) {
		cm_io_fini(&s->io);
		s->io_on = false;
	}
	if (!s->io_on) {
		cm_io_init(&s->io, s->cfg.loop, fd, sess_io, s);
		s->io_on = true;
	}
	if (!want)
		cm_timer_arm_ms(&s->idle, 100);
	if (cm_io_want(&s->io, want))
		sess_fail(s, CM_E_SAN_LOST, "the socket cannot be watched", "");
}

/* False: it is dead. */
static bool sess_serve(struct stor_sess *s, int revents)
{
	int rc;

	s->servicing = true;
	rc = iscsi_service(s->ctx, revents);
	s->servicing = false;
	if (!s->dead && rc < 0)
		sess_fail(s, CM_E_SAN_LOST, "the connection broke: ", iscsi_get_error(s->ctx));
	return !s->dead;
}

static void sess_cork(struct stor_sess *s, int on)
{
	/* A socket that refuses it only sends smaller segments. */
	(void)setsockopt(iscsi_get_fd(s->ctx), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* Something is left, and not because of the socket. PDUs count; most commands are one. */
static void sess_look_at_window(struct stor_sess *s)
{
	unsigned left;

	if (iscsi_which_events(s->ctx) & POLLOUT)
		return;
	left = (unsigned)iscsi_out_queue_length(s->ctx);
	if (left)
		s->window = s->ncmds > left ? s->ncmds - left : 1;
}

/*
 * Writes what is queued without asking first whether the socket takes it: it nearly always does,
 * and asking costs a turn of the loop and two changes of what is watched. libiscsi writes each
 * PDU's header and data by a call of its own; corked they leave as few full segments instead, and
 * the target wakes up once. (One PDU without data is one segment anyway.)
 */
static void sess_push(struct stor_sess *s)
{
	bool cork = s->unsent != 1;

	s->unsent = 0;
	if (!s->logged_in || (s->io_on && s->io.want & CM_WRITE) ||
	    !(iscsi_which_events(s->ctx) & POLLOUT))
		return;
	if (cork)
		sess_cork(s, 1);
	if (!sess_serve(s, POLLOUT))
		return;
	if (cork)
		sess_cork(s, 0);
	sess_look_at_window(s);
}

static void sess_push_due(void *arg)
{
	struct stor_sess *s = arg;

	s->push_due = false;
	if (s->dead) /* sess_bury comes after us */
		return;
	sess_push(s);
	sess_rearm(s);
}

/* All that is sent in this turn of the loop goes out together at its end. */
static void sess_push_soon(struct stor_sess *s)
{
	if (s->servicing || s->push_due)
		return;
	s->push_due = true;
	cm_loop_defer(s->cfg.loop, sess_push_due, s);
}

static void sess_service(struct stor_sess *s, int revents)
{
	if (s->dead || !sess_serve(s, revents))
		return;
	sess_push(s); /* what the callbacks sent */
	sess_rearm(s);
}

static void sess_io(struct cm_io *io, unsigned events, void *arg)
{
	struct stor_sess *s = arg;

	(void)io;
	s->heard_ns = events & CM_READ ? cm_now_ns() : s->heard_ns;
	sess_service(s, (events & CM_READ ? POLLIN : 0) | (events & CM_WRITE ? POLLOUT : 0));
}

static void sess_idle(struct cm_timer *timer, void *arg)
{
	(void)timer;
	sess_rearm(arg);
}

static void sess_nop_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct stor_sess *s = arg;

	(void)ctx;
	(void)data;
	if (!s->dead && status == SCSI_STATUS_GOOD)
		s->nop_out = false;
}

/* Oldest first, but limits differ: look at all of them (there are at most some hundred). */
static const struct stor_cmd *sess_overdue(const struct stor_sess *s, uint64_t now)
{
	const struct stor_cmd *c;

	TAILQ_FOREACH (c, &s->cmds, link) {
		uint64_t limit = c->timeout_ms ? c->timeout_ms : STOR_IO(s->cfg.io_timeout_ms);

		if (now - c->sent_ns > limit * CM_NS_PER_MS)
			return c;
	}
	return NULL;
}

static void sess_check_path(struct stor_sess *s, uint64_t now)
{
	s->nop_out = true;
	s->nop_ns = now;
	if (iscsi_nop_out_async(s->ctx, sess_nop_done, NULL, 0, s))
		return sess_fail(s, CM_E_SAN_LOST, "no path check", "");
	sess_rearm(s);
}

static uint64_t sess_tick_ms(const struct stor_sess *s)
{
	return CM_MAX(s->cfg.io_timeout_ms / 8, 10u);
}

static void sess_arm_tick(struct stor_sess *s, uint64_t now)
{
	s->tick_ns = now + sess_tick_ms(s) * CM_NS_PER_MS;
	cm_timer_arm_ms(&s->tick, sess_tick_ms(s));
}

static void sess_tick(struct cm_timer *timer, void *arg)
{
	struct stor_sess *s = arg;
	uint64_t now = cm_now_ns(), t = s->cfg.io_timeout_ms;
	bool late = now > s->tick_ns + sess_tick_ms(s) * CM_NS_PER_MS;

	(void)timer;
	sess_arm_tick(s, now);
	if (late) /* this process was stopped: first what came meanwhile is read */
		return;
	if (s->closing) {
		if (now - s->begun_ns > STOR_PING(t) * CM_NS_PER_MS)
			sess_fail(s, 0, "", "");
		return;
	}
	if (!s->logged_in) {
		if (now - s->begun_ns > STOR_IO(t) * CM_NS_PER_MS)
			sess_fail(s, CM_E_SAN_TIMEOUT, "no login in time", "");
		return;
	}
	if (s->nop_out && now - s->nop_ns > STOR_IO(t) * CM_NS_PER_MS)
		return sess_fail(s, CM_E_SAN_TIMEOUT, "no answer to a path check", "");
	if (sess_overdue(s, now))
		return sess_fail(s, CM_E_SAN_TIMEOUT, "no answer in time", "");
	if (s->reset_done && now - s->reset_ns > s->cfg.barrier_ms * CM_NS_PER_MS)
		return sess_fail(s, CM_E_SAN_TIMEOUT, "no answer to a LUN RESET", "");
	if (!s->nop_out && now - s->heard_ns > STOR_PING(t) * CM_NS_PER_MS)
		sess_check_path(s, now);
}

/* --- login ----------------------------------------------------------------------------- */

/* libiscsi has the login status only in its words: "...Status: Authentication failure(513)". */
static unsigned sess_login_status(const char *words)
{
	const char *p = strrchr(words, '(');

	return p ? (unsigned)strtoul(p + 1, NULL, 10) : 0;
}

static void sess_logged_in(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct stor_sess *s = arg;

	(void)data;
	if (s->dead)
		return;
	if (status != SCSI_STATUS_GOOD) {
		const char *words = iscsi_get_error(ctx);
		unsigned code = sess_login_status(words);

		if (status == SCSI_STATUS_REDIRECT || code >> 8 == 1) {
			snprintf(s->redirect, sizeof s->redirect, "%s", iscsi_get_target_address(ctx));
			return sess_fail(s, CM_E_SAN_LOGIN, "the login is redirected to ", s->redirect);
		}
		/* class 2: the initiator is at fault; trying again changes nothing */
		s->final = code >> 8 == 2;
		sess_fail(s, CM_E_SAN_LOGIN, "", words);
		return;
	}
	s->logged_in = true;
	s->heard_ns = cm_now_ns();
	s->cfg.up(s, s->cfg.arg);
}

static void sess_connected(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct stor_sess *s = arg;

	(void)data;
	if (s->dead)
		return;
	if (status != SCSI_STATUS_GOOD)
		return sess_fail(s, CM_E_SAN_LOST, "cannot connect: ", iscsi_get_error(ctx));
	if (iscsi_login_async(ctx, sess_logged_in, s))
		sess_fail(s, CM_E_SAN_LOGIN, "cannot log in: ", iscsi_get_error(ctx));
}

static int sess_setup(struct stor_sess *s, const struct stor_sess_cfg *c)
{
	struct iscsi_context *x = s->ctx;
	int rc;

	/* 40 bits of ours in the "random" format: type 10b, 24 bits, 16 bits of qualifier */
	rc = iscsi_set_isid_random(x, (uint32_t)(c->isid >> 16) & 0xffffff,
				   (uint32_t)c->isid & 0xffff);
	rc |= iscsi_set_targetname(x, c->target);
	rc |= iscsi_set_session_type(x, ISCSI_SESSION_NORMAL);
	rc |= iscsi_set_header_digest(x, c->header_digest ? ISCSI_HEADER_DIGEST_CRC32C
							  : ISCSI_HEADER_DIGEST_NONE);
	rc |= iscsi_set_immediate_data(x, ISCSI_IMMEDIATE_DATA_YES);
	rc |= iscsi_set_initial_r2t(x, ISCSI_INITIAL_R2T_NO);
	if (c->user && *c->user)
		rc |= iscsi_set_initiator_username_pwd(x, c->user, c->secret);
	if (c->target_user && *c->target_user)
		rc |= iscsi_set_target_username_pwd(x, c->target_user, c->target_secret);
	iscsi_set_noautoreconnect(x, 1);
	iscsi_set_timeout(x, 0);
	iscsi_set_tcp_user_timeout(x, (int)STOR_IO(c->io_timeout_ms));
	return rc;
}

static void sess_begin(void *arg)
{
	struct stor_sess *s = arg;

	if (s->dead)
		return;
	if (iscsi_connect_async(s->ctx, s->portal, sess_connected, s))
		return sess_fail(s, CM_E_SAN_LOST, "cannot connect: ", iscsi_get_error(s->ctx));
	sess_rearm(s);
}

struct stor_sess *stor__sess_new(const struct stor_sess_cfg *cfg, struct cm_err *err)
{
	struct stor_sess *s = calloc(1, sizeof *s);

	if (s)
		s->ctx = iscsi_create_context(cfg->initiator);
	if (!s || !s->ctx || sess_setup(s, cfg)) {
		cm_err_set(err, -ENOMEM, "cannot set up an iSCSI session");
		if (s && s->ctx)
			iscsi_destroy_context(s->ctx);
		free(s);
		return NULL;
	}
	s->cfg = *cfg;
	s->cfg.user = s->cfg.secret = s->cfg.target_user = s->cfg.target_secret = NULL;
	s->cfg.portal = s->cfg.target = s->cfg.initiator = NULL;
	snprintf(s->portal, sizeof s->portal, "%s", cfg->portal);
	TAILQ_INIT(&s->cmds);
	s->begun_ns = cm_now_ns();
	cm_timer_init(&s->tick, cfg->loop, sess_tick, s);
	cm_timer_init(&s->idle, cfg->loop, sess_idle, s);
	sess_arm_tick(s, s->begun_ns);
	cm_loop_defer(cfg->loop, sess_begin, s);
	return s;
}

/* --- commands ---------------------------------------------------------------------------- */

/* Sense data of an earlier command: this one was not executed, however well that one ended (SPC-4 4.5.7). */
static bool sess_deferred(const struct scsi_task *task)
{
	unsigned code = task->sense.error_type & 0x7f;

	return code == 0x71 || code == 0x73;
}

static void sess_cmd_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct stor_cmd *c = arg;
	struct stor_sess *s = c->sess;
	struct scsi_task *task = c->task;

	(void)ctx;
	(void)data;
	if (s->dead) /* sess_bury ends it */
		return;
	if (status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_TIMEOUT)
		return sess_fail(s, CM_E_SAN_LOST, "the session broke", "");
	TAILQ_REMOVE(&s->cmds, c, link);
	s->ncmds--;
	c->status = status;
	c->key = c->asc = c->ascq = 0;
	c->deferred = false;
	c->actual_bytes = c->length_bytes;
	if (status == SCSI_STATUS_CHECK_CONDITION) {
		c->key = (uint8_t)task->sense.key;
		c->asc = (uint8_t)(task->sense.ascq >> 8);
		c->ascq = (uint8_t)task->sense.ascq;
		c->deferred = sess_deferred(task);
		if (c->deferred && (c->key <= STOR_KEY_RECOVERED || c->key == STOR_KEY_COMPLETED))
			c->key = STOR_KEY_ABORTED;
	}
	if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW)
		c->actual_bytes -= (uint32_t)CM_MIN(task->residual, (size_t)c->length_bytes);
	c->task = NULL;
	scsi_free_scsi_task(task);
	c->done(c);
}

/* From 256 on the flat addressing of SAM; libiscsi sends what it is given. */
static uint32_t sess_lun(unsigned lun)
{
	return lun < 256 ? lun : 0x4000 | lun;
}

void stor__sess_send(struct stor_sess *s, struct stor_cmd *c)
{
	static const int dirs[] = {SCSI_XFER_NONE, SCSI_XFER_READ, SCSI_XFER_WRITE};
	struct scsi_task *task;

	c->sess = s;
	c->sent_ns = cm_now_ns();
	c->task = NULL;
	TAILQ_INSERT_TAIL(&s->cmds, c, link);
	s->ncmds++;
	if (s->dead)
		return; /* ends with the session */
	task = scsi_create_task(c->cdb.len, c->cdb.b, dirs[c->dir], (int)c->length_bytes);
	if (!task)
		return sess_fail(s, CM_E_SAN_LOST, "no memory", "");
	c->task = task;
	if (c->dir == STOR_DIR_IN)
		scsi_task_set_iov_in(task, (struct scsi_iovec *)(void *)c->iov, c->niov);
	else if (c->dir == STOR_DIR_OUT)
		scsi_task_set_iov_out(task, (struct scsi_iovec *)(void *)c->iov, c->niov);
	if (iscsi_scsi_command_async(s->ctx, (int)sess_lun(c->lun), task, sess_cmd_done, NULL, c))
		return sess_fail(s, CM_E_SAN_LOST, "cannot send: ", iscsi_get_error(s->ctx));
	s->unsent += c->dir == STOR_DIR_OUT ? 2 : 1;
	sess_push_soon(s);
}

uint64_t stor__sess_oldest_ns(const struct stor_sess *s)
{
	const struct stor_cmd *c = TAILQ_FIRST(&s->cmds);

	return c ? c->sent_ns : 0;
}

const char *stor__sess_redirect(const struct stor_sess *s)
{
	return s->redirect;
}

unsigned stor__sess_window(struct stor_sess *s)
{
	unsigned n = s->window;

	s->window = 0;
	return n;
}

static void sess_reset_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct stor_sess *s = arg;
	stor_reset_fn done = s->reset_done;
	uint32_t response = data && status == SCSI_STATUS_GOOD ? *(const uint32_t *)data : 255;

	(void)ctx;
	if (s->dead)
		return;
	s->reset_done = NULL;
	done(response ? CM_E_SAN_SENSE : 0, s->reset_arg);
}

void stor__sess_lun_reset(struct stor_sess *s, unsigned lun, stor_reset_fn done, void *arg)
{
	CM_ASSERT(!s->reset_done && TAILQ_EMPTY(&s->cmds));
	s->reset_done = done;
	s->reset_arg = arg;
	s->reset_ns = cm_now_ns();
	s->nop_out = false; /* a path check under way is cancelled with everything else */
	if (s->dead)
		return;
	if (iscsi_task_mgmt_lun_reset_async(s->ctx, sess_lun(lun), sess_reset_done, s))
		return sess_fail(s, CM_E_SAN_LOST, "cannot reset: ", iscsi_get_error(s->ctx));
	if (!s->servicing)
		sess_rearm(s);
}

void stor__sess_kill(struct stor_sess *s, int code, const char *why)
{
	sess_fail(s, code, why, "");
}

static void sess_logged_out(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct stor_sess *s = arg;

	(void)ctx;
	(void)status;
	(void)data;
	if (!s->dead)
		sess_fail(s, 0, "", "");
}

void stor__sess_close(struct stor_sess *s)
{
	if (s->dead || s->closing)
		return;
	s->closing = true;
	s->begun_ns = cm_now_ns();
	if (!s->logged_in || iscsi_logout_async(s->ctx, sess_logged_out, s))
		return sess_fail(s, 0, "", "");
	if (!s->servicing)
		sess_rearm(s);
}
