/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_stream.c - the verbs that last: console and events --follow. Run an event loop until they
 * end.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/hvctl.h"
#include "proto/px_client.h"

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

struct stream {
	struct hvctl *h;
	struct cm_loop *loop;
	struct px_client *client;
	struct cm_io in;
	uint32_t id;
	int rc;
	bool raw;
	struct termios saved;
};

static const struct px_self self = {"hvctl", ""};

static void stream_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct stream *s = arg;

	if (r && r->more)
		return;
	s->rc = err->code ? hvctl_fail(s->h, err) : 0;
	cm_loop_stop(s->loop, 0);
}

static void stream_event(struct px_client *c, const Hv__Event *e, void *arg)
{
	struct stream *s = arg;
	struct json_object *o = json_object_new_object();

	(void)c;
	json_object_object_add(o, "seq", json_object_new_uint64(e->seq));
	json_object_object_add(o, "wall_ns", json_object_new_uint64(e->wall_ns));
	json_object_object_add(o, "node", json_object_new_string(e->node));
	json_object_object_add(o, "vm", json_object_new_string(e->vm));
	json_object_object_add(o, "kind", json_object_new_string(e->kind));
	json_object_object_add(o, "severity", json_object_new_string(e->severity));
	json_object_object_add(o, "text", json_object_new_string(e->text));
	if (e->doc[0])
		json_object_object_add(o, "details", json_tokener_parse(e->doc));
	if (s->h->json)
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		hvctl_show_event(o);
	fflush(stdout);
	json_object_put(o);
}

static void stream_data(struct px_client *c, const Hv__Data *d, void *arg)
{
	struct stream *s = arg;
	size_t done = 0;

	(void)c;
	while (done < d->bytes.len) {
		ssize_t n = write(1, d->bytes.data + done, d->bytes.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (d->end)
		cm_loop_stop(s->loop, 0);
}

static void stream_typed(struct cm_io *io, unsigned events, void *arg)
{
	struct stream *s = arg;
	uint8_t buf[256], *escape;
	Hv__Data d = HV__DATA__INIT;
	ssize_t n = read(0, buf, sizeof buf);

	(void)events;
	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) { /* end of input: output goes on until the console ends */
		cm_io_want(io, 0);
		return;
	}
	escape = s->raw ? memchr(buf, CONSOLE_ESCAPE, (size_t)n) : NULL;
	if (escape)
		n = escape - buf;
	d.id = s->id;
	d.bytes = (ProtobufCBinaryData){(size_t)n, buf};
	if (n)
		px_client_send_data(s->client, &d);
	if (escape)
		cm_loop_stop(s->loop, 0);
}

static int stream_run(struct hvctl *h, struct px_ask *ask, bool input)
{
	static const struct px_client_ops ops = {.event = stream_event, .data = stream_data};
	struct stream s = {.h = h};
	struct cm_err err = CM_ERR_INIT;
	struct termios raw;

	signal(SIGPIPE, SIG_IGN);
	s.loop = cm_loop_new(&err);
	s.client = s.loop ? px_client_unix(s.loop, h->socket, &self, &ops, &s, &err) : NULL;
	if (!s.client) {
		cm_loop_free(s.loop);
		return hvctl_fail(h, &err);
	}
	px_client_call(s.client, &ask->req, 0, stream_answer, &s);
	s.id = ask->req.id;
	if (input) {
		cm_io_init(&s.in, s.loop, 0, stream_typed, &s);
		cm_io_want(&s.in, CM_READ);
	}
	if (input && isatty(0) && tcgetattr(0, &s.saved) == 0) {
		fprintf(stderr, "console of %s; Ctrl-] ends\n", ask->req.vm);
		raw = s.saved;
		cfmakeraw(&raw);
		s.raw = tcsetattr(0, TCSADRAIN, &raw) == 0;
	}
	cm_loop_run(s.loop);
	if (s.raw) {
		tcsetattr(0, TCSADRAIN, &s.saved);
		fputc('\n', stderr);
	}
	if (input)
		cm_io_fini(&s.in);
	px_client_close(s.client);
	cm_loop_free(s.loop);
	return s.rc;
}

int hvctl_console(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	(void)v;
	return stream_run(h, ask, true);
}

int hvctl_events(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	return ask->req.n_args ? stream_run(h, ask, false) : hvctl_call(h, v, ask);
}
