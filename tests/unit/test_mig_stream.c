/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mig_stream.c - what the other end says of itself is looked at before anybody acts on it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "migration/mig_stream.h"
#include "sharedstorage/dev/stor_key.h"

static int said(const struct mig_welcome *w, struct mig_welcome *got)
{
	struct cm_err err = CM_ERR_INIT;
	struct cm_buf b;
	int rc;

	cm_buf_init(&b, 65536);
	mig_welcome_encode(&b, w);
	rc = mig_welcome_decode(b.data, b.len, got, &err);
	cm_buf_fini(&b);
	return rc;
}

static void test_welcome_owner(void **state)
{
	struct mig_welcome w = {.format = MIG_FORMAT, .owner = {.node = "node-b", .host_slot = 2}}, got;

	(void)state;
	w.owner.keys[0] = (struct stor_key){.key = stor_pr_key(2, 7), .lun = 0xcdef0123};
	assert_int_equal(said(&w, &got), 0);
	assert_int_equal(got.owner.keys[0].key, w.owner.keys[0].key);
	assert_int_equal(got.owner.keys[0].lun, 0xcdef0123);
	w.owner.keys[0].key = stor_pr_key(3, 7); /* of another host */
	assert_int_equal(said(&w, &got), CM_E_MIG_PEER);
	w.owner.keys[0].key = 7; /* of nobody */
	assert_int_equal(said(&w, &got), CM_E_MIG_PEER);
	w.owner.keys[0].key = 0;
	snprintf(w.owner.node, sizeof w.owner.node, "node b");
	assert_int_equal(said(&w, &got), CM_E_MIG_PEER);
	w.owner.node[0] = 0;
	assert_int_equal(said(&w, &got), CM_E_MIG_PEER);
	w.code = 1; /* it refuses: then there is no owner */
	assert_int_equal(said(&w, &got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_welcome_owner)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
