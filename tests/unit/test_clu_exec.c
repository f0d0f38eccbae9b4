/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clu_exec.c - programs that are run beside the loop: output, exit codes, time-outs, too much
 * output, a kill.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/pcmk/clu_exec.h"
#include "common/cm_loop.h"

struct seen {
	struct cm_loop *loop;
	int exit_code, calls;
	bool timed_out, too_much;
	char out[64], errs[64];
	size_t out_len;
};

static void on_end(const struct clu_exec_result *r, void *arg)
{
	struct seen *s = arg;

	s->calls++;
	s->exit_code = r->exit_code;
	s->timed_out = r->timed_out;
	s->too_much = r->too_much;
	s->out_len = r->out_len;
	snprintf(s->out, sizeof s->out, "%s", r->out);
	snprintf(s->errs, sizeof s->errs, "%s", r->errs);
	cm_loop_stop(s->loop, 0);
}

static struct seen run_shell(const char *script, unsigned timeout_ms)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct seen s = {.loop = cm_loop_new(NULL)};

	assert_non_null(clu_exec_start(s.loop, argv, timeout_ms, on_end, &s, NULL));
	assert_int_equal(s.calls, 0);
	cm_loop_run(s.loop);
	cm_loop_free(s.loop);
	assert_int_equal(s.calls, 1);
	return s;
}

static void test_exec(void **state)
{
	struct seen s = run_shell("echo out; echo err >&2; exit 3", 0);
	const char *const nothing[] = {"/nonexistent/program", NULL};
	struct cm_err err = CM_ERR_INIT;
	struct cm_loop *loop;

	(void)state;
	assert_int_equal(s.exit_code, 3);
	assert_string_equal(s.out, "out\n");
	assert_string_equal(s.errs, "err\n");
	s = run_shell("kill -9 $$", 0);
	assert_int_equal(s.exit_code, -1);
	assert_false(s.timed_out);
	s = run_shell("exec sleep 1000", 50);
	assert_true(s.timed_out && s.exit_code == -1);
	s = run_shell("head -c 3000000 /dev/zero", 0);
	assert_int_equal(s.out_len, 3000000);
	s = run_shell("exec cat /dev/zero", 0);
	assert_true(s.too_much && s.exit_code == -1);
	loop = cm_loop_new(NULL);
	assert_null(clu_exec_start(loop, nothing, 0, on_end, NULL, &err));
	assert_string_not_equal(err.text, "");
	cm_loop_free(loop);
}

static void test_exec_kill(void **state)
{
	const char *const argv[] = {"sleep", "1000", NULL};
	struct seen s = {.loop = cm_loop_new(NULL)};
	struct clu_exec *x = clu_exec_start(s.loop, argv, 0, on_end, &s, NULL);

	(void)state;
	assert_non_null(x);
	clu_exec_kill(x);
	cm_loop_turn(s.loop, 0);
	cm_loop_free(s.loop);
	assert_int_equal(s.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_exec_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
