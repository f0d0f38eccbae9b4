/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_err.c - error codes have names, texts and advice; the first error wins.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_err.h"

static void err_each(int code, void *arg)
{
	int *n = arg;

	assert_true(code <= -2000);
	assert_int_equal(cm_err_find(cm_err_name(code)), code);
	assert_true(strlen(cm_err_text(code)) > 0 && strlen(cm_err_fix(code)) > 0);
	(*n)++;
}

static void test_err(void **state)
{
	struct cm_err e = CM_ERR_INIT;
	int n = 0;

	(void)state;
	cm_err_each(err_each, &n);
	assert_true(n > 40);
	assert_int_equal(cm_err_find("2003"), CM_E_NO_VM);
	assert_int_equal(cm_err_find("ENOENT"), -ENOENT);
	assert_int_equal(cm_err_find("nonsense"), 0);
	assert_int_equal(cm_err_set(&e, CM_E_NO_VM, "no VM '%s'", "a"), CM_E_NO_VM);
	cm_err_set(&e, CM_E_IO, "later");
	assert_int_equal(e.code, CM_E_NO_VM); /* the first one wins */
	cm_err_prefix(&e, "start");
	assert_string_equal(e.text, "start: no VM 'a'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
