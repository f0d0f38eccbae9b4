/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_px_client.c - a client whose server goes away: what was said before is heard, the rest
 * fails.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_loop.h"
#include "proto/px_client.h"
#include "tests/unit/pxkit.h"

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
	struct pk_server s;
	struct answers n = {0, 0};
	struct px_client *c;
	struct cm_timer t;
	struct px_ask a;
	bool passed = false;

	(void)state;
	pk_server_begin(&s, "l.sock");
	c = px_client_unix(s.loop, s.path, &pk_self, NULL, NULL, NULL);
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
	pk_server_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linger),
	};

	return cmocka_run_group_tests(tests, pk_group_setup, pk_group_teardown);
}
