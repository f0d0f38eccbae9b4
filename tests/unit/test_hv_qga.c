/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_qga.c - the guest agent: what is parsed, a talk, and an agent that lies.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_loop.h"
#include "hvcore/hv_qga.h"
#include "hvcore/hv_qga_parse.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_port.h"

static struct hv_qga_span span(const char *s)
{
	return (struct hv_qga_span){s, strlen(s)};
}

static void agent_parse(void **state)
{
	static const char good[] =
		" { \"a\\\"}\" : [1,{\"b\":2}] , \"return\": {\"version\":\"7.2\\n\\u0001\"} ,\"n\":-42 } ";
	struct hv_qga_span v, w;
	char text[8];
	int64_t n;

	(void)state;
	assert_true(hv_qga_member(span(good), "return", &v));
	assert_true(hv_qga_member(v, "version", &w));
	assert_true(hv_qga_text(w, text, sizeof text));
	assert_string_equal(text, "7.2nu00");
	assert_true(hv_qga_member(span(good), "n", &v) && hv_qga_i64(v, &n));
	assert_int_equal(n, -42);
	assert_false(hv_qga_member(span(good), "b", &v));
	assert_false(hv_qga_i64(span("9223372036854775808"), &n));
	assert_false(hv_qga_i64(span("-"), &n) || hv_qga_i64(span("1.5"), &n) || hv_qga_i64(span(""), &n));
	assert_false(hv_qga_text(span("\"open"), text, sizeof text));
	assert_false(hv_qga_text(span("\"a\\\""), text, sizeof text));
	/* Every cut of it, in a block of exactly that size, so that a sanitizer sees a step too far. */
	for (size_t cut = 0; cut < sizeof good; cut++) {
		char *copy = malloc(cut + !cut);

		assert_non_null(copy);
		memcpy(copy, good, cut);
		if (hv_qga_member((struct hv_qga_span){copy, cut}, "n", &v))
			assert_true(v.p + v.n <= copy + cut);
		(void)hv_qga_text((struct hv_qga_span){copy, cut}, text, sizeof text);
		free(copy);
	}
}

/* The guest's end of the port, in one process with the client. */
struct agent_bench {
	struct hv_lock lock;
	struct cm_loop *loop;
	struct hv_port port;
	struct hv_qga *qga;
	char heard[1024];
	size_t len;
	int answers, rc;
	char text[128];
};

static size_t agent_hears(void *dev, const uint8_t *data, size_t len)
{
	struct agent_bench *b = dev;
	size_t n = len > 7 ? 7 : len; /* always in pieces */

	assert_true(b->len + n < sizeof b->heard);
	memcpy(b->heard + b->len, data, n);
	b->len += n;
	b->heard[b->len] = '\0';
	return n;
}

static void agent_turn(struct agent_bench *b)
{
	for (int i = 0; i < 40; i++) {
		hv_lock_take(&b->lock);
		if (b->port.room)
			b->port.room(b->port.arg);
		hv_lock_drop(&b->lock);
		cm_loop_turn(b->loop, 5);
	}
}

static void agent_says(struct agent_bench *b, const char *data, size_t len)
{
	hv_lock_take(&b->lock);
	b->port.output(b->port.arg, (const uint8_t *)data, len);
	hv_lock_drop(&b->lock);
	agent_turn(b);
}

static void agent_opens(struct agent_bench *b, bool open)
{
	hv_lock_take(&b->lock);
	b->port.opened(b->port.arg, open);
	hv_lock_drop(&b->lock);
	agent_turn(b);
}

static void agent_done(void *arg, int rc, const char *text)
{
	struct agent_bench *b = arg;

	b->answers++;
	b->rc = rc;
	snprintf(b->text, sizeof b->text, "%s", text);
}

static void agent_begin(struct agent_bench *b)
{
	struct cm_err err = CM_ERR_INIT;

	memset(b, 0, sizeof *b);
	hv_lock_init(&b->lock);
	b->loop = cm_loop_new(&err);
	assert_non_null(b->loop);
	assert_int_equal(hv_qga_new(&b->qga, b->loop, &b->lock, &b->port), 0);
	b->port.input = agent_hears;
	b->port.dev = b;
}

static void agent_end(struct agent_bench *b)
{
	hv_qga_free(b->qga);
	assert_null(b->port.output);
	cm_loop_free(b->loop);
}

/* Through the handshake. */
static void agent_connects(struct agent_bench *b)
{
	char line[64];
	const char *id;

	b->len = 0;
	agent_opens(b, true);
	id = strstr(b->heard, "\"id\":");
	assert_non_null(id);
	assert_int_equal(b->heard[0], (char)0xff);
	assert_false(hv_qga_connected(b->qga));
	agent_says(b, "{\"return\": 1}\n", 14); /* of an earlier life */
	assert_null(strstr(b->heard, "guest-info"));
	snprintf(line, sizeof line, "junk\xff{\"return\": %ld}\n", strtol(id + 5, NULL, 10));
	agent_says(b, line, strlen(line));
	assert_non_null(strstr(b->heard, "guest-info"));
	agent_says(b, "{\"return\": {\"version\": \"7.2\"}}\n", 31);
	agent_says(b, "{\"return\": \"thawed\"}\n", 21);
	assert_true(hv_qga_connected(b->qga));
}

static void agent_talk(void **state)
{
	struct agent_bench b;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	agent_begin(&b);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_PING, agent_done, &b, &err), CM_E_VM_STATE);
	agent_connects(&b);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_FREEZE, agent_done, &b, &err), 0);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_PING, agent_done, &b, &err), CM_E_VM_STATE);
	agent_turn(&b);
	assert_non_null(strstr(b.heard, "guest-fsfreeze-freeze"));
	agent_says(&b, "{\"return\": 3}\n", sizeof "{\"return\": 3}\n" - 1);
	assert_int_equal(b.answers, 1);
	assert_int_equal(b.rc, 0);
	assert_string_equal(b.text, "{\"frozen\":3}");
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_SHUTDOWN, agent_done, &b, &err), 0);
	agent_says(&b, "{\"error\": {\"class\":\"X\",\"desc\":\"is \\\"off\\\"\"}}\n", sizeof "{\"error\": {\"class\":\"X\",\"desc\":\"is \\\"off\\\"\"}}\n" - 1);
	assert_int_equal(b.answers, 2);
	assert_int_equal(b.rc, CM_E_VM_STATE);
	assert_string_equal(b.text, "is \"off\"");
	/* A port that shuts during a shutdown is what was wanted; during a ping it is not. */
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_PING, agent_done, &b, &err), 0);
	agent_opens(&b, false);
	assert_false(hv_qga_connected(b.qga));
	agent_connects(&b); /* notices that the port was shut meanwhile */
	assert_int_equal(b.answers, 3);
	assert_int_equal(b.rc, CM_E_VM_STATE);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_SHUTDOWN, agent_done, &b, &err), 0);
	agent_end(&b);
	assert_int_equal(b.answers, 4);
	assert_int_equal(b.rc, 0);
}

static void agent_hostile(void **state)
{
	static char flood[100000];
	struct agent_bench b;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	agent_begin(&b);
	agent_connects(&b);
	memset(flood, '{', sizeof flood);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_TIME, agent_done, &b, &err), 0);
	agent_says(&b, flood, sizeof flood);
	agent_says(&b, flood, sizeof flood);
	agent_says(&b, "\n\n\xff\n{}\n{\"return\"\n[[[\n\0\n", sizeof "\n\n\xff\n{}\n{\"return\"\n[[[\n\0\n" - 1);
	assert_int_equal(b.answers, 0);
	agent_says(&b, "{\"return\": \"noon\"}\n", sizeof "{\"return\": \"noon\"}\n" - 1);
	assert_int_equal(b.answers, 1);
	assert_int_equal(b.rc, CM_E_PROTO);
	srandom(7);
	for (int i = 0; i < 50; i++) {
		for (size_t k = 0; k < 500; k++)
			flood[k] = "{}[]\",:\\\n\xff 1a-"[random() % 14];
		hv_lock_take(&b.lock);
		b.port.output(b.port.arg, (const uint8_t *)flood, 500);
		hv_lock_drop(&b.lock);
		cm_loop_turn(b.loop, 5);
	}
	agent_says(&b, "\n", sizeof "\n" - 1);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_TIME, agent_done, &b, &err), 0);
	agent_says(&b, "{\"return\": 5}\n", sizeof "{\"return\": 5}\n" - 1);
	assert_int_equal(b.answers, 2);
	assert_int_equal(b.rc, 0);
	agent_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agent_parse),
		cmocka_unit_test(agent_talk),
		cmocka_unit_test(agent_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
