/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_wd_client.c - see fen_wd_client.h. Parses the 24 bytes of hvwatchdogd (by fen_wd.c).
 */
#include "config.h"

#include "fencing/fen_wd_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "fencing/fen_wd.h"

static void client_connect(struct fen_wd_client *c);

static void client_drop(struct fen_wd_client *c, const char *why)
{
	cm_io_fini(&c->io);
	close(c->fd);
	c->fd = -1;
	c->answered = false;
	c->unanswered = c->looks = 0;
	snprintf(c->why, sizeof c->why, "%s", why);
}

static uint64_t client_look_ns(const struct fen_wd_client *c)
{
	return STOR_STOP(c->io_timeout_ms) / 2 * CM_NS_PER_MS;
}

static bool client_is_silent(const struct fen_wd_client *c)
{
	return c->looks >= FEN_WD_LOOKS;
}

/* Later, and later still. */
static void client_pause(struct fen_wd_client *c)
{
	cm_timer_arm_ms(&c->again, c->pause_ms);
	c->pause_ms = CM_MIN(2 * c->pause_ms, STOR_RECONNECT_MAX(c->io_timeout_ms));
}

/* Connects again, now if it has been of use, and with pauses that grow. */
static void client_lost(struct fen_wd_client *c, const char *why)
{
	bool answered = c->answered;

	client_drop(c, why);
	if (answered) {
		c->pause_ms = STOR_RECONNECT_MIN(c->io_timeout_ms);
		cm_timer_arm_ms(&c->again, 0);
	} else {
		client_pause(c);
	}
}

static void client_say(struct fen_wd_client *c, enum fen_wd_type type)
{
	struct fen_wd_msg m = {.type = type, .until_ns = c->until_ns};
	int rc = c->fd < 0 ? -ENOTCONN : fen_wd_send(c->fd, &m);

	if (rc == -EAGAIN || rc == -ENOTCONN) /* it does not read, which is silence; its last word stands */
		return;
	if (rc) {
		client_lost(c, strerror(-rc));
		return;
	}
	if (!c->unanswered++) /* later words do not put its look off */
		cm_timer_arm_ns(&c->again, client_look_ns(c));
}

static void client_hear(struct fen_wd_client *c)
{
	struct fen_wd_msg m;
	int rc = 0;

	while (c->fd >= 0 && (rc = fen_wd_recv(c->fd, &m)) == 0) {
		c->answered = m.type != FEN_WD_ERROR;
		c->reset_ms = m.reset_ms;
		if (m.type == FEN_WD_ERROR)
			rc = CM_E_PROTO;
		if (c->unanswered)
			c->unanswered--;
		c->looks = 0;
		c->why[0] = '\0';
		if (rc)
			break;
	}
	if (c->fd >= 0 && !c->until_ns && !c->again.armed)
		cm_timer_arm_ns(&c->again, client_look_ns(c));
	if (c->fd < 0 || rc == -EAGAIN)
		return;
	client_lost(c, rc == -ECONNRESET ? "it has closed the connection" : "it does not understand us: another release?");
}

static void client_tell(struct fen_wd_client *c, enum stor_watchdog level)
{
	if (level == c->told)
		return;
	c->told = level;
	if (c->changed)
		c->changed(c, level, c->arg);
}

enum stor_watchdog fen_wd_client_level(struct fen_wd_client *c)
{
	enum stor_watchdog level;

	client_hear(c);
	if (client_is_silent(c))
		snprintf(c->why, sizeof c->why, "it does not answer");
	level = stor_watchdog_level(c->fd >= 0 && c->answered && !client_is_silent(c), c->reset_ms,
				    c->io_timeout_ms);
	client_tell(c, level);
	return level;
}

static void client_readable(struct cm_io *io, unsigned events, void *arg)
{
	(void)io;
	(void)events;
	fen_wd_client_level(arg);
}

static void client_connect(struct fen_wd_client *c)
{
	struct cm_err err = CM_ERR_INIT;

	c->fd = fen_wd_connect(c->path, &err);
	if (c->fd < 0) {
		c->fd = -1;
		snprintf(c->why, sizeof c->why, "%s", err.text);
		client_pause(c);
		return;
	}
	cm_io_init(&c->io, c->loop, c->fd, client_readable, c);
	cm_io_set_prio(&c->io, CM_PRIO_HIGH);
	if (cm_io_want(&c->io, CM_READ)) {
		client_drop(c, "out of memory");
		cm_timer_arm_ms(&c->again, c->pause_ms);
		return;
	}
	client_say(c, c->until_ns ? FEN_WD_ALIVE : FEN_WD_HELLO);
}

static void client_again(struct cm_timer *t, void *arg)
{
	struct fen_wd_client *c = arg;

	(void)t;
	client_hear(c);
	if (c->fd < 0) {
		client_connect(c);
	} else if (c->unanswered) {
		c->looks++;
		if (!client_is_silent(c))
			cm_timer_arm_ns(&c->again, client_look_ns(c));
	} else if (!c->until_ns) { /* nothing to say, so it is asked now and then */
		client_say(c, FEN_WD_HELLO);
	}
	fen_wd_client_level(c);
}

void fen_wd_client_init(struct fen_wd_client *c, struct cm_loop *loop, const char *path, uint32_t io_timeout_ms,
			fen_wd_changed_fn changed, void *arg)
{
	*c = (struct fen_wd_client){.loop = loop,
				    .io_timeout_ms = io_timeout_ms ? io_timeout_ms : STOR_IO_TIMEOUT_MS,
				    .changed = changed,
				    .arg = arg,
				    .fd = -1};
	c->pause_ms = STOR_RECONNECT_MIN(c->io_timeout_ms);
	cm_timer_init(&c->again, loop, client_again, c);
	cm_timer_set_prio(&c->again, CM_PRIO_HIGH);
	if (snprintf(c->path, sizeof c->path, "%s", path) >= (int)sizeof c->path)
		snprintf(c->why, sizeof c->why, "the path of its socket is too long");
	else
		client_connect(c);
}

void fen_wd_client_fini(struct fen_wd_client *c)
{
	c->changed = NULL;
	if (c->fd >= 0)
		client_drop(c, "");
	cm_timer_fini(&c->again);
}

void fen_wd_client_until(struct fen_wd_client *c, uint64_t until_ns)
{
	if (!until_ns && !c->until_ns)
		return;
	client_hear(c);
	c->until_ns = until_ns;
	client_say(c, until_ns ? FEN_WD_ALIVE : FEN_WD_BYE);
}
