/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clu_conf.c - hvcluster.conf: what is wrong in it is refused, with the line and what is wanted.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/node/clu_conf.h"

static struct clu_conf conf;

static int parse(const char *text, const char *words)
{
	struct cm_err err = CM_ERR_INIT;
	int rc;

	clu_conf_default(&conf);
	rc = clu_conf_parse(text, strlen(text), "it", &conf, &err);
	if (words)
		assert_non_null(strstr(err.text, words));
	return rc;
}

static void test_good(void **state)
{
	(void)state;
	assert_int_equal(parse("", NULL), 0);
	assert_int_equal(conf.picture_ms, 2000);
	assert_true(conf.watchdog_required);
	assert_int_equal(parse("# words\n node = n1 \npicture_ms = 200\nreserve_mb=0\nstandalone = yes\nwatchdog_required = no\n", NULL),
			 0);
	assert_false(conf.watchdog_required);
	assert_string_equal(conf.node, "n1");
	assert_int_equal(conf.picture_ms, 200);
	assert_int_equal(conf.reserve_mb, 0);
	assert_true(conf.standalone);
}

static void test_bad(void **state)
{
	(void)state;
	assert_int_equal(parse("node = n1\npicture_ms = 199\n", "it line 2: picture_ms: 199 is too little, at least 200"), CM_E_BAD_VALUE);
	assert_int_equal(parse("picture_ms = 2s", "picture_ms: '2s' is no number"), CM_E_BAD_VALUE);
	assert_int_equal(parse("reserve_mb = 4294967296", "reserve_mb: '4294967296' is no number"), CM_E_BAD_VALUE);
	assert_int_equal(parse("picture = 2000", "unknown key 'picture'"), CM_E_BAD_VALUE);
	assert_int_equal(parse("standalone = 1", "'1' is not yes or no"), CM_E_BAD_VALUE);
	assert_int_equal(parse("picture_ms 2000", "want 'key = value'"), CM_E_BAD_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
