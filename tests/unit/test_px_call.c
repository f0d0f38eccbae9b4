/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of proto/: frames, channels, verbs, calls, mutual TLS, single-use keys. */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "proto/px_call.h"
#include "proto/px_chan.h"
#include "proto/px_client.h"
#include "proto/px_req.h"
#include "proto/px_tls.h"

static char dir[] = "/tmp/test_proto.XXXXXX";

static void test_frame(void **state)
{
	Hv__Hello h = HV__HELLO__INIT;
	struct cm_buf b;
	struct px_msg m;
	size_t used;

	(void)state;
	h.min_version = 1;
	h.max_version = 3;
	h.program = (char *)"x";
	cm_buf_init(&b, 1 << 20);
	assert_int_equal(px_frame_put(&b, PX_HELLO, &h), 0);
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(px_frame_get(b.data, n, &used, &m), 0);
		assert_int_equal(used, 0);
	}
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), 0);
	assert_int_equal(used, b.len);
	assert_int_equal(((Hv__Hello *)m.msg)->max_version, 3);
	px_msg_free(&m);
	b.data[4] = 99;
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), CM_E_PROTO);
	b.data[4] = PX_HELLO;
	cm_put_le32(b.data, 5000);
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), CM_E_PROTO_TOO_BIG);
	cm_put_le32(b.data, (uint32_t)(b.len - PX_HEADER_BYTES));
	b.data[PX_HEADER_BYTES] = 0xff; /* a field tag that runs off */
	assert_int_equal(px_frame_get(b.data, b.len, &used, &m), CM_E_PROTO);
	cm_buf_fini(&b);
}

/* --- a server thread with a small table of verbs ------------------------- */

struct server {
	struct cm_loop *loop;
	struct px_server *srv;
	struct px_reqs reqs;
	struct px_tls *tls;
	struct px_chan *chan[16]; /* open ones */
	struct px_req *held;
	char path[128];
};

static const struct px_self self = {"test", "n1"};

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
	((struct server *)ctx)->held = q;
}

static const struct px_verb verbs[] = {
	{"hold", "", verb_hold, false},
	{"echo", "text", verb_echo, false},
	{"size", "vm n", verb_size, false},
};

static void srv_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct server *s = arg;

	if (m->type == PX_REQUEST)
		px_verbs_run(verbs, CM_ARRAY_LEN(verbs), NULL, 0, c, &s->reqs, m, s);
}

static void srv_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	struct server *s = arg;

	(void)code;
	(void)text;
	for (size_t i = 0; i < CM_ARRAY_LEN(s->chan); i++)
		if (s->chan[i] == c)
			s->chan[i] = NULL;
	px_reqs_gone(&s->reqs);
}

static void srv_end(struct server *s)
{
	for (size_t i = 0; i < CM_ARRAY_LEN(s->chan); i++)
		if (s->chan[i])
			px_chan_close(s->chan[i]);
	px_reqs_gone(&s->reqs);
	px_server_close(s->srv);
	cm_loop_free(s->loop);
}

static const struct px_chan_ops srv_ops = {.message = srv_message, .closed = srv_closed};

static void srv_accept(struct px_server *srv, int fd, void *arg)
{
	struct server *s = arg;

	(void)srv;
	for (size_t i = 0; i < CM_ARRAY_LEN(s->chan); i++)
		if (!s->chan[i]) {
			s->chan[i] = s->tls ? px_chan_new_tls(s->loop, fd, s->tls, true, NULL,
							      &self, &srv_ops, s)
					    : px_chan_new(s->loop, fd, &self, &srv_ops, s);
			return;
		}
	close(fd);
}

static void *srv_thread(void *arg)
{
	struct server *s = arg;

	cm_loop_run(s->loop);
	return NULL;
}

static void test_call(void **state)
{
	struct server s = {0};
	struct px_ask a;
	struct cm_err err = CM_ERR_INIT;
	Hv__Reply *r;
	pthread_t th;
	char *big;

	(void)state;
	snprintf(s.path, sizeof s.path, "%s/s.sock", dir);
	px_ask_init(&a, "echo", NULL);
	assert_int_equal(px_call(s.path, &self, &a.req, 1000, NULL, &r, &err), CM_E_NO_DAEMON);
	s.loop = cm_loop_new(NULL);
	s.srv = px_server_unix(s.loop, s.path, 0600, (gid_t)-1, srv_accept, &s, NULL);
	assert_non_null(s.srv);
	pthread_create(&th, NULL, srv_thread, &s);

	px_ask_arg(&a, "text", "\"hi\"");
	assert_int_equal(px_call(s.path, &self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, 0);
	assert_string_equal(r->doc, "\"hi\"");
	hv__reply__free_unpacked(r, NULL);

	px_ask_init(&a, "size", NULL);
	assert_int_equal(px_call(s.path, &self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, CM_E_USAGE); /* needs a vm */
	hv__reply__free_unpacked(r, NULL);
	px_ask_init(&a, "size", "v");
	px_ask_arg(&a, "n", "4K");
	assert_int_equal(px_call(s.path, &self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_string_equal(r->doc, "4096");
	hv__reply__free_unpacked(r, NULL);
	px_ask_init(&a, "size", "v");
	px_ask_arg(&a, "n", "4x");
	assert_int_equal(px_call(s.path, &self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, CM_E_BAD_VALUE);
	hv__reply__free_unpacked(r, NULL);
	px_ask_init(&a, "dance", NULL);
	assert_int_equal(px_call(s.path, &self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, CM_E_UNSUPPORTED);
	hv__reply__free_unpacked(r, NULL);
	big = malloc(300000);
	memset(big, 'a', 299999);
	big[299999] = '\0';
	px_ask_init(&a, "echo", NULL);
	px_ask_arg(&a, "text", big);
	cm_err_clear(&err);
	assert_int_equal(px_call(s.path, &self, &a.req, 5000, NULL, &r, &err), CM_E_PROTO_TOO_BIG);
	free(big);

	cm_loop_stop(s.loop, 0);
	pthread_join(th, NULL);
	srv_end(&s);
	assert_int_not_equal(access(s.path, F_OK), 0);
}

struct answers {
	unsigned ok, failed;
};

static void on_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct answers *n = arg;

	if (r && r->more)
		return;
	assert_true(!err->code == (r && r->code == 0));
	*(r ? &n->ok : &n->failed) += 1;
}

static void later(struct cm_timer *t, void *arg)
{
	(void)t;
	*(bool *)arg = true;
}

/* A server's last answers are heard although it is known to be gone; what it never answered fails. */
static void test_linger(void **state)
{
	struct server s = {0};
	struct answers n = {0, 0};
	struct px_client *c;
	struct cm_timer t;
	struct px_ask a;
	bool passed = false;

	(void)state;
	snprintf(s.path, sizeof s.path, "%s/l.sock", dir);
	s.loop = cm_loop_new(NULL);
	s.srv = px_server_unix(s.loop, s.path, 0600, (gid_t)-1, srv_accept, &s, NULL);
	assert_non_null(s.srv);
	c = px_client_unix(s.loop, s.path, &self, NULL, NULL, NULL);
	assert_non_null(c);
	px_ask_init(&a, "hold", NULL);
	px_client_call(c, &a.req, 0, on_answer, &n);
	px_ask_init(&a, "echo", NULL);
	px_ask_arg(&a, "text", "1");
	px_client_call(c, &a.req, 0, on_answer, &n);
	px_client_linger(c);
	while (!n.ok)
		cm_loop_turn(s.loop, 100);
	assert_int_equal(n.failed, 0);
	px_chan_close(s.chan[0]);
	s.chan[0] = NULL;
	px_reqs_gone(&s.reqs);
	px_req_ok(s.held, NULL);
	while (!n.failed)
		cm_loop_turn(s.loop, 100);
	cm_timer_init(&t, s.loop, later, &passed);
	cm_timer_arm_ms(&t, 1);
	while (!passed)
		cm_loop_turn(s.loop, 100);
	cm_timer_fini(&t);
	assert_int_equal(n.ok, 1);
	assert_int_equal(n.failed, 1);
	srv_end(&s);
}

static int sh(const char *fmt, ...) cm_printf(1, 2);
static int sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	return system(cmd);
}

static void make_ca(const char *name)
{
	assert_int_equal(sh("cd %s && openssl req -x509 -newkey ec -pkeyopt "
			    "ec_paramgen_curve:P-256 -nodes -keyout "
			    "%s.key -out %s.crt -subj /CN=%s -days 2 2>/dev/null",
			    dir, name, name, name),
			 0);
}

static void make_node(const char *ca, const char *name)
{
	assert_int_equal(
		sh("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		   "-keyout %s.key "
		   "-out %s.csr -subj /CN=%s 2>/dev/null && echo subjectAltName=DNS:%s > %s.ext && "
		   "openssl x509 -req -in %s.csr -CA %s.crt -CAkey %s.key -CAcreateserial -extfile "
		   "%s.ext "
		   "-out %s.crt -days 2 2>/dev/null && chmod 0400 %s.key",
		   dir, name, name, name, name, name, name, ca, ca, name, name, name),
		0);
}

static struct px_tls *load(const char *ca, const char *name, struct cm_err *err)
{
	char c[160], k[160], a[160];

	snprintf(c, sizeof c, "%s/%s.crt", dir, name);
	snprintf(k, sizeof k, "%s/%s.key", dir, name);
	snprintf(a, sizeof a, "%s/%s.crt", dir, ca);
	return px_tls_new(c, k, a, err);
}

struct tls_client {
	struct cm_loop *loop;
	int code;
	char peer[64];
	char *doc;
};

static void cl_ready(struct px_chan *c, void *arg)
{
	struct tls_client *t = arg;

	snprintf(t->peer, sizeof t->peer, "%s", px_chan_peer_name(c));
}

static void cl_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct tls_client *t = arg;
	Hv__Reply *r = m->msg;

	if (r->more)
		return;
	t->doc = strdup(r->doc);
	px_chan_close(c);
	cm_loop_stop(t->loop, 1);
}

static void cl_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	struct tls_client *t = arg;

	(void)c;
	(void)text;
	t->code = code;
	cm_loop_stop(t->loop, 2);
}

static const struct px_chan_ops cl_ops = {cl_ready, cl_message, cl_closed, NULL};

static int tls_try(struct px_tls *ctl, const char *expect, uint16_t port, struct tls_client *t)
{
	struct px_ask a;
	struct px_chan *c;
	int rc;

	memset(t, 0, sizeof *t);
	t->loop = cm_loop_new(NULL);
	c = px_chan_connect_tls(t->loop, "127.0.0.1", port, ctl, expect, &self, &cl_ops, t, NULL);
	assert_non_null(c);
	px_ask_init(&a, "echo", NULL);
	a.req.id = 9;
	px_ask_arg(&a, "text", "tls");
	assert_int_equal(px_chan_send(c, PX_REQUEST, &a.req),
			 0); /* queued until the handshake is done */
	rc = cm_loop_run(t->loop);
	cm_loop_free(t->loop);
	return rc;
}

static void test_tls(void **state)
{
	struct server s = {0};
	struct tls_client t;
	struct px_tls *n2, *evil;
	struct cm_err err = CM_ERR_INIT;
	pthread_t th;
	uint16_t port;

	(void)state;
	make_ca("ca");
	make_ca("ca2");
	make_node("ca", "node1");
	make_node("ca", "node2");
	make_node("ca2", "node3");
	s.tls = load("ca", "node1", NULL);
	n2 = load("ca", "node2", NULL);
	evil = load("ca2", "node3", NULL);
	assert_true(s.tls && n2 && evil);
	s.loop = cm_loop_new(NULL);
	s.srv = px_server_tcp(s.loop, "127.0.0.1", 0, srv_accept, &s, NULL);
	port = px_server_port(s.srv);
	pthread_create(&th, NULL, srv_thread, &s);

	assert_int_equal(tls_try(n2, "node1", port, &t), 1);
	assert_string_equal(t.peer, "node1");
	assert_string_equal(t.doc, "tls");
	free(t.doc);
	assert_int_equal(tls_try(n2, "node9", port, &t), 2); /* not the node we want */
	assert_int_equal(t.code, CM_E_TLS);
	assert_int_equal(tls_try(evil, "node1", port, &t), 2); /* another cluster's certificate */

	cm_loop_stop(s.loop, 0);
	pthread_join(th, NULL);
	srv_end(&s);
	px_tls_free(s.tls);
	px_tls_free(n2);
	px_tls_free(evil);
	assert_int_equal(sh("chmod 0644 %s/node2.key", dir), 0);
	assert_null(load("ca", "node2", &err));
	assert_int_equal(err.code, CM_E_TLS);
}

struct stream_end {
	int fd;
	bool server;
	struct px_psk psk;
	struct px_stream *s;
	struct cm_err err;
};

static void *stream_open(void *arg)
{
	struct stream_end *e = arg;

	e->s = px_stream_new(e->fd, e->server, &e->psk, 3000, &e->err);
	return NULL;
}

static void *stream_send(void *arg)
{
	struct stream_end *e = arg;
	uint8_t *data = malloc(3 << 20);

	for (int i = 0; i < 3 << 20; i++)
		data[i] = (uint8_t)(i * 7);
	assert_int_equal(px_stream_write(e->s, data, 3 << 20), 0);
	free(data);
	return NULL;
}

static void test_stream(void **state)
{
	struct stream_end a = {.server = false}, b = {.server = true};
	uint8_t *got = malloc(3 << 20);
	int sv[2];
	pthread_t th;

	(void)state;
	assert_int_equal(px_psk_make(&a.psk), 0);
	b.psk = a.psk;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	a.fd = sv[0];
	b.fd = sv[1];
	pthread_create(&th, NULL, stream_open, &a);
	stream_open(&b);
	pthread_join(th, NULL);
	assert_true(a.s && b.s);
	pthread_create(&th, NULL, stream_send, &a);
	assert_int_equal(px_stream_read(b.s, got, 3 << 20), 0);
	pthread_join(th, NULL);
	for (int i = 0; i < 3 << 20; i++)
		assert_int_equal(got[i], (uint8_t)(i * 7));
	px_stream_free(a.s);
	assert_int_equal(px_stream_read(b.s, got, 1), CM_E_PROTO_CLOSED);
	px_stream_free(b.s);

	/* the same identity with another key gets nothing */
	b.psk.key[0] ^= 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	a.fd = sv[0];
	b.fd = sv[1];
	pthread_create(&th, NULL, stream_open, &a);
	stream_open(&b);
	pthread_join(th, NULL);
	assert_null(b.s);
	assert_int_not_equal(b.err.code, 0);
	if (a.s)
		px_stream_free(a.s);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_call), cmocka_unit_test(test_linger),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_stream),
	};
	int rc;

	cm_log_set_level(CM_LOG_CRIT);
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sh("rm -rf %s", dir);
	return rc;
}
