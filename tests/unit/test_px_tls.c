/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_px_tls.c - mutual TLS between nodes, and streams under a single-use key.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "proto/px_chan.h"
#include "proto/px_req.h"
#include "proto/px_tls.h"
#include "tests/unit/pxkit.h"

static void make_ca(const char *name)
{
	assert_int_equal(pk_sh("cd %s && openssl req -x509 -newkey ec -pkeyopt "
			    "ec_paramgen_curve:P-256 -nodes -keyout "
			    "%s.key -out %s.crt -subj /CN=%s -days 2 2>/dev/null",
			    pk_dir, name, name, name),
			 0);
}

static void make_node(const char *ca, const char *name)
{
	assert_int_equal(
		pk_sh("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		   "-keyout %s.key "
		   "-out %s.csr -subj /CN=%s 2>/dev/null && echo subjectAltName=DNS:%s > %s.ext && "
		   "openssl x509 -req -in %s.csr -CA %s.crt -CAkey %s.key -CAcreateserial -extfile "
		   "%s.ext "
		   "-out %s.crt -days 2 2>/dev/null && chmod 0400 %s.key",
		   pk_dir, name, name, name, name, name, name, ca, ca, name, name, name),
		0);
}

static struct px_tls *load(const char *ca, const char *name, struct cm_err *err)
{
	char c[160], k[160], a[160];

	snprintf(c, sizeof c, "%s/%s.crt", pk_dir, name);
	snprintf(k, sizeof k, "%s/%s.key", pk_dir, name);
	snprintf(a, sizeof a, "%s/%s.crt", pk_dir, ca);
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
	c = px_chan_connect_tls(t->loop, "127.0.0.1", port, ctl, expect, &pk_self, &cl_ops, t, NULL);
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
	struct pk_server s;
	struct tls_client t;
	struct px_tls *n1, *n2, *evil;
	struct cm_err err = CM_ERR_INIT;
	pthread_t th;
	uint16_t port;

	(void)state;
	make_ca("ca");
	make_ca("ca2");
	make_node("ca", "node1");
	make_node("ca", "node2");
	make_node("ca2", "node3");
	n1 = load("ca", "node1", NULL);
	n2 = load("ca", "node2", NULL);
	evil = load("ca2", "node3", NULL);
	assert_true(n1 && n2 && evil);
	port = pk_server_begin_tls(&s, n1);
	pthread_create(&th, NULL, pk_server_thread, &s);

	assert_int_equal(tls_try(n2, "node1", port, &t), 1);
	assert_string_equal(t.peer, "node1");
	assert_string_equal(t.doc, "tls");
	free(t.doc);
	assert_int_equal(tls_try(n2, "node9", port, &t), 2); /* not the node we want */
	assert_int_equal(t.code, CM_E_TLS);
	assert_int_equal(tls_try(evil, "node1", port, &t), 2); /* another cluster's certificate */

	cm_loop_stop(s.loop, 0);
	pthread_join(th, NULL);
	pk_server_end(&s);
	px_tls_free(n1);
	px_tls_free(n2);
	px_tls_free(evil);
	assert_int_equal(pk_sh("chmod 0644 %s/node2.key", pk_dir), 0);
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
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_stream),
	};

	return cmocka_run_group_tests(tests, pk_group_setup, pk_group_teardown);
}
