/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi.c - a LUN of an iSCSI target as a stor_dev: its life.
 *
 * One session at a time; when it dies a new one is made, by the other portal first, and the full
 * re-admission runs: log in, probe, look (gate), register a new key, abort what older sessions
 * left, gate, I/O. The session after one that could write uses the other of two fixed ISIDs, so
 * that it is another nexus on every kind of target and PREEMPT AND ABORT of the older key reaches
 * what the dead session left in flight.
 *
 * Parses secrets from files (operator).
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_iscsi.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

/* --- sessions --------------------------------------------------------------------------- */

static void iscsi_sess_up(struct stor_sess *sess, void *arg)
{
	struct stor_iscsi *d = arg;

	CM_ASSERT(sess == d->sess);
	stor__iscsi_feed(d, IE_SESS_UP, d->at);
}

static void iscsi_sess_dying(struct stor_sess *sess, const struct cm_err *err, void *arg)
{
	struct stor_iscsi *d = arg;

	CM_ASSERT(sess == d->sess);
	if (!d->why.code && err->code)
		d->why = *err;
	if (d->dev.entered)
		d->entered_once = true;
	stor_dev_down(&d->dev, STOR_DEV_STALLED, &d->why);
	stor__iscsi_io_down(d);
}

/* The target wants the login elsewhere (RFC 7143, 6.3 and 11.13.5): address[:port][,tpgt]. */
static void iscsi_redirected(struct stor_iscsi *d, const char *to)
{
	cm_err_clear(&d->why);
	if (++d->hops > ISCSI_HOPS)
		cm_err_set(&d->why, CM_E_SAN_LOGIN, "%s: the login is redirected again and again, at last to %.80s", d->at,
			   to);
	else if (!stor_url_portal(to, strcspn(to, ","), d->redirect, sizeof d->redirect))
		cm_err_set(&d->why, CM_E_SAN_LOGIN,
			   "%s: the login is redirected to '%.80s', which is no numeric address: let the array redirect to "
			   "addresses, or name another portal in the URL",
			   d->at, to);
	else
		cm_err_set(&d->why, CM_E_SAN_LOGIN, "%s: the login is redirected to %s", d->at, d->redirect);
}

static void iscsi_sess_down(struct stor_sess *sess, bool final, const struct cm_err *err, void *arg)
{
	struct stor_iscsi *d = arg;

	CM_ASSERT(sess == d->sess);
	d->sess = NULL;
	if (d->holding && d->reset_done) { /* never begun, or answered already */
		stor_reset_fn done = d->reset_done;

		d->reset_done = NULL;
		done(CM_E_SAN_LOST, d->reset_arg);
	}
	d->holding = d->resetting = d->revalidating = false;
	stor__iscsi_key_is_old(d);
	if (*stor__sess_redirect(sess))
		iscsi_redirected(d, stor__sess_redirect(sess));
	if (final && !d->dev.opened)
		stor_dev_open_failed(&d->dev, err);
	stor__iscsi_feed(d, IE_SESS_DOWN, d->why.text);
}

static unsigned act_login(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;
	struct cm_err err = CM_ERR_INIT;
	struct stor_sess_cfg cfg = {.loop = d->dev.loop,
				    .portal = d->at,
				    .target = d->url.target,
				    .initiator = d->dev.opts.initiator,
				    .user = d->url.user,
				    .secret = d->secret,
				    .target_user = d->url.target_user,
				    .target_secret = d->target_secret,
				    .header_digest = d->url.header_digest,
				    .io_timeout_ms = d->dev.opts.io_timeout_ms,
				    .barrier_ms = STOR_BARRIER(d->dev.opts.io_timeout_ms,
							       d->url.data_timeout_ms),
				    .up = iscsi_sess_up,
				    .dying = iscsi_sess_dying,
				    .down = iscsi_sess_down,
				    .arg = d};

	(void)arg;
	if (d->entered_once) { /* the last one could write: be another nexus than it */
		d->isid_toggle = !d->isid_toggle;
		d->entered_once = false;
	}
	cfg.isid = (d->dev.opts.isid << 1 | d->isid_toggle) & 0xffffffffffull;
	cm_err_clear(&d->why);
	snprintf(d->at, sizeof d->at, "%s", d->redirect[0] ? d->redirect : d->url.portal[d->portal]);
	d->redirect[0] = 0; /* for this login: the next one asks again */
	stor__window_reset(d);
	d->sess = stor__sess_new(&cfg, &err);
	if (d->sess)
		return 0;
	d->why = err;
	return IE_SESS_DOWN;
}

static unsigned act_probe(void *ctx, void *arg)
{
	(void)arg;
	stor__iscsi_probe(ctx);
	return 0;
}

static unsigned act_look(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;

	(void)arg;
	stor_dev_up(&d->dev);
	return 0;
}

static unsigned act_enter(void *ctx, void *arg)
{
	(void)arg;
	stor__iscsi_enter(ctx);
	return 0;
}

static unsigned act_up(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;

	(void)arg;
	d->up_ns = cm_now_ns();
	d->hops = 0;
	d->key_entered = true;
	stor_dev_entered(&d->dev, d->key);
	return 0;
}

static unsigned act_drop(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;

	(void)arg;
	stor__sess_kill(d->sess, d->why.code ? d->why.code : CM_E_SAN_LOST, d->why.text);
	return 0;
}

/* A quarter more or less, so that the VMs of a LUN do not come back in step. */
static uint64_t iscsi_jitter(uint64_t ms)
{
	uint64_t spread = ms * STOR_RECONNECT_JITTER_PERCENT / 100;
	uint32_t r = 0;

	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		return CM_MAX(ms, 1u);
	return CM_MAX(ms - spread + r % (2 * spread + 1), 1u);
}

static unsigned act_pause(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;
	uint64_t t = d->dev.opts.io_timeout_ms;

	uint64_t pause_ms = 1;

	(void)arg;
	if (d->redirect[0]) {
		cm_info("%s: %s", d->label, d->why.text);
		cm_timer_arm_ms(&d->timer, pause_ms);
		return 0;
	}
	d->hops = 0;
	/* A session that did not last is no better than none. */
	if (d->up_ns && cm_now_ns() - d->up_ns > STOR_IO(t) * CM_NS_PER_MS)
		d->failed = 0, d->backoff_ms = 0;
	d->up_ns = 0;
	/* The other portal is tried at once; a pause only after all of them. */
	d->portal = (d->portal + 1) % d->url.portals;
	if (++d->failed % d->url.portals == 0) {
		d->backoff_ms = CM_MIN(CM_MAX(2 * d->backoff_ms, STOR_RECONNECT_MIN(t)),
				       STOR_RECONNECT_MAX(t));
		pause_ms = iscsi_jitter(d->backoff_ms);
	}
	if (!d->dev.opened && cm_now_ns() - d->opened_ns > 3 * STOR_IO(t) * CM_NS_PER_MS)
		stor_dev_open_failed(&d->dev, &d->why);
	if (d->dev.state == STOR_DEV_FAILED)
		return 0;
	cm_info("%s: %s; again in %llu ms", d->label, d->why.text, (unsigned long long)pause_ms);
	cm_timer_arm_ms(&d->timer, pause_ms);
	return 0;
}

static void iscsi_unregistered(struct stor_iscsi *d, struct stor_adm *adm, void *arg)
{
	(void)adm;
	(void)arg;
	if (d->sess)
		stor__sess_close(d->sess);
}

static unsigned act_close_up(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;

	(void)arg;
	if (d->key)
		stor__iscsi_unregister(d, iscsi_unregistered);
	else
		stor__sess_close(d->sess);
	return 0;
}

static unsigned act_closed(void *ctx, void *arg)
{
	struct stor_iscsi *d = ctx;

	(void)arg;
	cm_timer_fini(&d->timer);
	cm_timer_fini(&d->delay);
	cm_timer_fini(&d->adm_delay);
	stor_dev_closed(&d->dev);
	return 0;
}

#define A(next, fn) CM_ACT(IS_##next, fn)
#define ON(s, e)    [IS_##s * IE_COUNT + IE_##e]
#define REST_BAD(s) ON(s, SESS_UP) = CM_BAD, ON(s, PROBED) = CM_IGN, ON(s, ENTERED) = CM_IGN
/* Answers of an older step may still come after a drop was decided: they are ignored. */
static const struct cm_fsm_cell iscsi_cells[IS_COUNT * IE_COUNT] = {
	ON(LOGIN, SESS_UP) = A(PROBE, act_probe),
	ON(LOGIN, SESS_DOWN) = A(PAUSE, act_pause),
	ON(LOGIN, PROBED) = CM_BAD,
	ON(LOGIN, ENTER) = CM_IGN,
	ON(LOGIN, ENTERED) = CM_BAD,
	ON(LOGIN, BAD) = CM_IGN,
	ON(LOGIN, TIMER) = CM_IGN,
	ON(LOGIN, CLOSE) = A(CLOSING, act_close_up),

	ON(PROBE, SESS_UP) = CM_BAD,
	ON(PROBE, SESS_DOWN) = A(PAUSE, act_pause),
	ON(PROBE, PROBED) = A(LOOK, act_look),
	ON(PROBE, ENTER) = CM_IGN,
	ON(PROBE, ENTERED) = CM_BAD,
	ON(PROBE, BAD) = A(DROP, act_drop),
	ON(PROBE, TIMER) = CM_IGN,
	ON(PROBE, CLOSE) = A(CLOSING, act_close_up),

	ON(LOOK, SESS_UP) = CM_BAD,
	ON(LOOK, SESS_DOWN) = A(PAUSE, act_pause),
	ON(LOOK, PROBED) = CM_BAD,
	ON(LOOK, ENTER) = A(ENTER, act_enter),
	ON(LOOK, ENTERED) = CM_BAD,
	ON(LOOK, BAD) = A(DROP, act_drop),
	ON(LOOK, TIMER) = CM_IGN,
	ON(LOOK, CLOSE) = A(CLOSING, act_close_up),

	ON(ENTER, SESS_UP) = CM_BAD,
	ON(ENTER, SESS_DOWN) = A(PAUSE, act_pause),
	ON(ENTER, PROBED) = CM_BAD,
	ON(ENTER, ENTER) = CM_IGN,
	ON(ENTER, ENTERED) = A(UP, act_up),
	ON(ENTER, BAD) = A(DROP, act_drop),
	ON(ENTER, TIMER) = CM_IGN,
	ON(ENTER, CLOSE) = A(CLOSING, act_close_up),

	ON(UP, SESS_UP) = CM_BAD,
	ON(UP, SESS_DOWN) = A(PAUSE, act_pause),
	ON(UP, PROBED) = CM_BAD,
	ON(UP, ENTER) = CM_IGN,
	ON(UP, ENTERED) = CM_BAD,
	ON(UP, BAD) = A(DROP, act_drop),
	ON(UP, TIMER) = CM_IGN,
	ON(UP, CLOSE) = A(CLOSING, act_close_up),

	REST_BAD(DROP),
	ON(DROP, SESS_DOWN) = A(PAUSE, act_pause),
	ON(DROP, ENTER) = CM_IGN,
	ON(DROP, BAD) = CM_IGN,
	ON(DROP, TIMER) = CM_IGN,
	ON(DROP, CLOSE) = A(CLOSING, NULL),

	REST_BAD(PAUSE),
	ON(PAUSE, SESS_DOWN) = CM_BAD,
	ON(PAUSE, ENTER) = CM_IGN,
	ON(PAUSE, BAD) = CM_IGN,
	ON(PAUSE, TIMER) = A(LOGIN, act_login),
	ON(PAUSE, CLOSE) = A(OFF, act_closed),

	ON(CLOSING, SESS_UP) = CM_IGN,
	ON(CLOSING, SESS_DOWN) = A(OFF, act_closed),
	ON(CLOSING, PROBED) = CM_IGN,
	ON(CLOSING, ENTER) = CM_IGN,
	ON(CLOSING, ENTERED) = CM_IGN,
	ON(CLOSING, BAD) = CM_IGN,
	ON(CLOSING, TIMER) = CM_IGN,
	ON(CLOSING, CLOSE) = CM_BAD,

	REST_BAD(OFF),
	ON(OFF, SESS_DOWN) = CM_BAD,
	ON(OFF, ENTER) = CM_IGN,
	ON(OFF, BAD) = CM_IGN,
	ON(OFF, TIMER) = CM_IGN,
	ON(OFF, CLOSE) = CM_BAD,
};
CM_FSM_DEFINE(iscsi_def, "iscsi", ISCSI_STATES, ISCSI_EVENTS, iscsi_cells);

const struct cm_fsm_def *stor_iscsi_fsm(void)
{
	return &iscsi_def;
}

/* --- as a stor_dev --------------------------------------------------------------------- */

static void iscsi_timer(struct cm_timer *timer, void *arg)
{
	(void)timer;
	stor__iscsi_feed(arg, IE_TIMER, "");
}

static void iscsi_enter_later(void *arg)
{
	stor__iscsi_feed(arg, IE_ENTER, "let in");
}

static void iscsi_enter(struct stor_dev *dev)
{
	cm_loop_defer(dev->loop, iscsi_enter_later, dev);
}

static void iscsi_shut(struct stor_dev *dev)
{
	struct stor_iscsi *d = stor__iscsi_of(dev);

	/* The key stays until close: others shut it out, and what is in flight ends by that. */
	cm_notice("%s: shut off: %s", d->label, dev->why);
}

static void iscsi_close_later(void *arg)
{
	stor__iscsi_feed(arg, IE_CLOSE, "closed by its owner");
}

static void iscsi_close(struct stor_dev *dev)
{
	cm_loop_defer(dev->loop, iscsi_close_later, dev);
}

static void iscsi_free(struct stor_dev *dev)
{
	struct stor_iscsi *d = stor__iscsi_of(dev);

	explicit_bzero(d->secret, sizeof d->secret);
	explicit_bzero(d->target_secret, sizeof d->target_secret);
	stor__iscsi_io_fini(d);
	free(d);
}

static void iscsi_status(struct stor_dev *dev, struct stor_dev_status *st)
{
	struct stor_iscsi *d = stor__iscsi_of(dev);

	uint64_t now = cm_now_ns(), oldest = d->sess ? stor__sess_oldest_ns(d->sess) : 0;

	snprintf(st->path, sizeof st->path, "%.63s", d->at);
	/* Slow is no stall: only who asks hears of it. */
	if (!st->why[0] && oldest && now - oldest > STOR_IO(d->dev.opts.io_timeout_ms) * CM_NS_PER_MS)
		snprintf(st->why, sizeof st->why, "%s: the SAN has not answered a command for %llu s; the path is alive",
			 d->label, (unsigned long long)((now - oldest) / CM_NS_PER_S));
}

static unsigned iscsi_luns(const struct stor_dev *dev, uint32_t tags[STOR_DEV_LUNS])
{
	tags[0] = stor_dev_lun(dev);
	return dev->opts.host_slot != 0;
}

static const struct stor_dev_ops iscsi_ops = {
	.name = "iscsi",
	.submit = stor__iscsi_submit,
	.cancel = stor__iscsi_cancel,
	.close = iscsi_close,
	.free = iscsi_free,
	.fence = stor__iscsi_fence,
	.fence_cancel = stor__iscsi_fence_cancel,
	.keys = stor__iscsi_keys,
	.luns = iscsi_luns,
	.read_keys = stor__iscsi_read_keys,
	.enter = iscsi_enter,
	.shut = iscsi_shut,
	.status = iscsi_status,
};

/* One line, from a file that only its owner can read, or a descriptor. */
static int read_secret(const char *path, int fd, char *out, size_t cap, struct cm_err *err)
{
	bool own = fd <= 0;
	struct stat st;
	ssize_t n;

	if (own)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cm_err_set(err, CM_E_NO_FILE, "cannot read the secret in %s: %s", path,
				  strerror(errno));
	if (own && (fstat(fd, &st) || st.st_mode & 077)) {
		close(fd);
		return cm_err_set(err, CM_E_DENIED, "%s can be read by others: chmod 0400 it",
				  path);
	}
	n = pread(fd, out, cap - 1, 0); /* the lock LUN's session reads it, too */
	if (n < 0 && errno == ESPIPE)
		n = read(fd, out, cap - 1);
	if (own)
		close(fd);
	if (n < 0)
		n = 0;
	out[n] = 0;
	out[strcspn(out, "\r\n")] = 0;
	if (strlen(out) < 12)
		return cm_err_set(err, CM_E_BAD_VALUE, "the CHAP secret has fewer than 12 bytes");
	return 0;
}

static int iscsi_secrets(struct stor_iscsi *d, struct cm_err *err)
{
	int rc = 0;

	if (d->url.user[0])
		rc = read_secret(d->url.secret_file, d->dev.opts.secret_fd, d->secret,
				 sizeof d->secret, err);
	if (!rc && d->url.target_user[0])
		rc = read_secret(d->url.target_secret_file, -1, d->target_secret,
				 sizeof d->target_secret, err);
	return rc;
}

static void iscsi_begin(void *arg)
{
	struct stor_iscsi *d = arg;

	stor__iscsi_feed(d, IE_TIMER, "open");
}

static void iscsi_identity(struct stor_iscsi *d)
{
	char host[64] = "host", name[160];

	if (!d->dev.initiator) {
		gethostname(host, sizeof host - 1);
		snprintf(name, sizeof name, STOR_INITIATOR "%s", host);
		d->dev.initiator = strdup(name);
		CM_ASSERT(d->dev.initiator);
		d->dev.opts.initiator = d->dev.initiator;
	}
	if (!d->dev.opts.isid)
		CM_ASSERT(getrandom(&d->dev.opts.isid, sizeof d->dev.opts.isid, 0) > 0);
}

struct stor_dev *stor_iscsi_open(struct cm_loop *loop, const struct stor_url *url,
				 const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_iscsi *d = calloc(1, sizeof *d);

	if (!d) {
		cm_err_set(err, -ENOMEM, "no memory for an iSCSI device");
		return NULL;
	}
	/* libiscsi writes with writev: a broken connection must be an error, not a death. */
	signal(SIGPIPE, SIG_IGN);
	stor_dev_init(&d->dev, &iscsi_ops, loop, opts);
	d->url = *url;
	d->guarded = opts->guarded;
	d->opened_ns = cm_now_ns();
	TAILQ_INIT(&d->first);
	TAILQ_INIT(&d->sendq);
	TAILQ_INIT(&d->adm_waiting);
	TAILQ_INIT(&d->held);
	TAILQ_INIT(&d->delayed);
	TAILQ_INIT(&d->spare);
	TAILQ_INIT(&d->cawq);
	snprintf(d->label, sizeof d->label, "%.70s/%u", url->target, url->lun);
	if (iscsi_secrets(d, err)) {
		stor_dev_fini(&d->dev);
		iscsi_free(&d->dev);
		return NULL;
	}
	iscsi_identity(d);
	cm_timer_init(&d->timer, loop, iscsi_timer, d);
	cm_timer_init(&d->delay, loop, stor__iscsi_delay_tick, d);
	cm_timer_init(&d->adm_delay, loop, stor__adm_delay_tick, d);
	cm_fsm_init(&d->fsm, &iscsi_def, IS_PAUSE, d, d->label);
	cm_loop_defer(loop, iscsi_begin, d);
	return &d->dev;
}
