/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pxkit.c - see pxkit.h. */
#include "config.h"

#include "tests/unit/pxkit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_log.h"

char pk_dir[] = "/tmp/test_px.XXXXXX";

const struct px_self pk_self = {"test", "n1"};

static void verb_echo(struct px_req *q, void *ctx)
{
	(void)ctx;
	px_req_progress(q, "{\"half\":true}");
	px_req_ok(q, px_req_arg(q, "text"));
}

static void verb_size(struct px_req *q, void *ctx)
{
	struct cm_err err = CM_ERR_INIT;
	uint64_t n;
	char doc[32];

	(void)ctx;
	if (px_req_u64(q, "n", 5, 1, 1 << 30, &n, &err)) {
		px_req_fail(q, &err);
		return;
	}
	snprintf(doc, sizeof doc, "%lu", (unsigned long)n);
	px_req_ok(q, doc);
}

/* Answered only when whoever asked is gone. */
static void verb_hold(struct px_req *q, void *ctx)
{
	((struct pk_server *)ctx)->held = q;
}

static const struct px_verb verbs[] = {
	{"hold", "", verb_hold, false},
	{"echo", "text", verb_echo, false},
	{"size", "vm n", verb_size, false},
};

static void srv_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct pk_server *s = arg;

	if (m->type == PX_REQUEST)
		px_verbs_run(verbs, CM_ARRAY_LEN(verbs), NULL, 0, c, &s->reqs, m, s);
}

static void srv_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	struct pk_server *s = arg;

	(void)code;
	(void)text;
	for (size_t i = 0; i < CM_ARRAY_LEN(s->chan); i++)
		if (s->chan[i] == c)
			s->chan[i] = NULL;
	px_reqs_gone(&s->reqs);
}

void pk_server_end(struct pk_server *s)
{
	for (size_t i = 0; i < CM_ARRAY_LEN(s->chan); i++)
		if (s->chan[i])
			px_chan_close(s->chan[i]);
	px_reqs_gone(&s->reqs);
	px_server_close(s->srv);
	cm_loop_free(s->loop);
}

static const struct px_chan_ops srv_ops = {.message = srv_message, .closed = srv_closed};

static void server_accept(struct px_server *srv, int fd, void *arg)
{
	struct pk_server *s = arg;

	(void)srv;
	for (size_t i = 0; i < CM_ARRAY_LEN(s->chan); i++)
		if (!s->chan[i]) {
			s->chan[i] = s->tls ? px_chan_new_tls(s->loop, fd, s->tls, true, NULL,
							      &pk_self, &srv_ops, s)
					    : px_chan_new(s->loop, fd, &pk_self, &srv_ops, s);
			return;
		}
	close(fd);
}

void *pk_server_thread(void *arg)
{
	struct pk_server *s = arg;

	cm_loop_run(s->loop);
	return NULL;
}

void pk_server_begin(struct pk_server *s, const char *name)
{
	memset(s, 0, sizeof *s);
	snprintf(s->path, sizeof s->path, "%s/%s", pk_dir, name);
	s->loop = cm_loop_new(NULL);
	s->srv = px_server_unix(s->loop, s->path, 0600, (gid_t)-1, server_accept, s, NULL);
	assert_non_null(s->srv);
}

uint16_t pk_server_begin_tls(struct pk_server *s, struct px_tls *tls)
{
	memset(s, 0, sizeof *s);
	s->tls = tls;
	s->loop = cm_loop_new(NULL);
	s->srv = px_server_tcp(s->loop, "127.0.0.1", 0, server_accept, s, NULL);
	assert_non_null(s->srv);
	return px_server_port(s->srv);
}

int pk_sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	return system(cmd);
}

int pk_group_setup(void **state)
{
	(void)state;
	cm_log_set_level(CM_LOG_CRIT);
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(pk_dir) ? 0 : -1;
}

int pk_group_teardown(void **state)
{
	(void)state;
	return pk_sh("rm -rf %s", pk_dir);
}
