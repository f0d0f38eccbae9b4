/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_px_call.c - one call: no server, answers, progress, arguments that are refused, a request
 * that is too big.
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
#include <unistd.h>

#include <cmocka.h>

#include "proto/px_call.h"
#include "tests/unit/pxkit.h"

static void test_call(void **state)
{
	struct pk_server s = {.loop = NULL};
	struct px_ask a;
	struct cm_err err = CM_ERR_INIT;
	Hv__Reply *r;
	pthread_t th;
	char *big;

	(void)state;
	snprintf(s.path, sizeof s.path, "%s/s.sock", pk_dir);
	px_ask_init(&a, "echo", NULL);
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 1000, NULL, &r, &err), CM_E_NO_DAEMON);
	pk_server_begin(&s, "s.sock");
	pthread_create(&th, NULL, pk_server_thread, &s);

	px_ask_arg(&a, "text", "\"hi\"");
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, 0);
	assert_string_equal(r->doc, "\"hi\"");
	hv__reply__free_unpacked(r, NULL);

	px_ask_init(&a, "size", NULL);
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, CM_E_USAGE); /* needs a vm */
	hv__reply__free_unpacked(r, NULL);
	px_ask_init(&a, "size", "v");
	px_ask_arg(&a, "n", "4K");
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_string_equal(r->doc, "4096");
	hv__reply__free_unpacked(r, NULL);
	px_ask_init(&a, "size", "v");
	px_ask_arg(&a, "n", "4x");
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, CM_E_BAD_VALUE);
	hv__reply__free_unpacked(r, NULL);
	px_ask_init(&a, "dance", NULL);
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 5000, NULL, &r, NULL), 0);
	assert_int_equal(r->code, CM_E_UNSUPPORTED);
	hv__reply__free_unpacked(r, NULL);
	big = malloc(300000);
	memset(big, 'a', 299999);
	big[299999] = '\0';
	px_ask_init(&a, "echo", NULL);
	px_ask_arg(&a, "text", big);
	cm_err_clear(&err);
	assert_int_equal(px_call(s.path, &pk_self, &a.req, 5000, NULL, &r, &err), CM_E_PROTO_TOO_BIG);
	free(big);

	cm_loop_stop(s.loop, 0);
	pthread_join(th, NULL);
	pk_server_end(&s);
	assert_int_not_equal(access(s.path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
	};

	return cmocka_run_group_tests(tests, pk_group_setup, pk_group_teardown);
}
