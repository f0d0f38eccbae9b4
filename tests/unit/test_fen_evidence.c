/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fen_evidence.c - what is a proof and what is not: powered off, another boot, reaped.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fencing/fen_proof.h"

static struct stor_block block(void)
{
	struct stor_block b;

	memset(&b, 0, sizeof b);
	b.state = STOR_BLOCK_RUNNING;
	b.epoch = 7;
	b.renewal = 100;
	b.io_timeout_ms = 100;
	stor_uuid_random(&b.vm);
	stor_uuid_random(&b.nonce);
	snprintf(b.owner.node, sizeof b.owner.node, "node1");
	stor_uuid_random(&b.owner.boot);
	stor_uuid_random(&b.owner.instance);
	b.owner.pid = 4711;
	return b;
}

static int ask(const struct stor_block *b, const char *evidence)
{
	struct fen_proof *p = NULL;
	struct cm_err err = CM_ERR_INIT;
	int rc = fen_proof_from_evidence(b, evidence, &p, &err);

	assert_true((rc == 0) == (p != NULL));
	assert_int_equal(rc, rc ? err.code : 0);
	fen_proof_free(p);
	return rc;
}

static void test_powered_off(void **state)
{
	struct stor_block b = block();

	(void)state;
	assert_int_equal(ask(&b, "powered-off node1 off 50 60"), 0);
	assert_int_equal(ask(&b, "powered-off node1 reboot 60 60"), 0);
	assert_int_equal(ask(&b, "powered-off node1 off 61 60"),
			 CM_E_LEASE_NO_PROOF); /* an earlier fencing */
	assert_int_equal(ask(&b, "powered-off node2 off 50 60"), CM_E_LEASE_NO_PROOF);
	assert_int_equal(ask(&b, "powered-off node1 on 50 60"), CM_E_LEASE_NO_PROOF);
	assert_int_equal(ask(&b, "powered-off node1 off 50 60 "), CM_E_LEASE_NO_PROOF);
	assert_int_equal(ask(&b, ""), CM_E_LEASE_NO_PROOF);
	assert_int_equal(ask(&b, "watch node1"), CM_E_LEASE_NO_PROOF); /* only an order to look */
	b.state = STOR_BLOCK_FREE;
	assert_int_equal(ask(&b, "powered-off node1 off 50 60"), CM_E_LEASE_NO_PROOF);
}

static void test_boot_and_reaped(void **state)
{
	struct stor_block b = block();
	struct fen_reaped r;
	struct stor_uuid other;
	char e[FEN_EVIDENCE_MAX];

	(void)state;
	stor_uuid_random(&other);
	assert_int_equal(fen_evidence_other_boot("node1", &other, e), 0);
	assert_int_equal(ask(&b, e), 0);
	assert_int_equal(fen_evidence_other_boot("node1", &b.owner.boot, e), 0);
	assert_int_equal(ask(&b, e), CM_E_LEASE_NO_PROOF);
	memset(&other, 0, sizeof other);
	assert_int_equal(fen_evidence_other_boot("node1", &other, e), 0);
	assert_int_equal(ask(&b, e), CM_E_LEASE_NO_PROOF);

	memset(&r, 0, sizeof r);
	snprintf(r.node, sizeof r.node, "node1");
	r.boot = b.owner.boot;
	r.instance = b.owner.instance;
	r.pid = b.owner.pid;
	assert_int_equal(fen_evidence_reaped(&r, e), 0);
	assert_int_equal(ask(&b, e), 0);
	r.pid++;
	assert_int_equal(fen_evidence_reaped(&r, e), 0);
	assert_int_equal(ask(&b, e), CM_E_LEASE_NO_PROOF);
	r.pid--;
	stor_uuid_random(&r.instance); /* a recycled pid */
	assert_int_equal(fen_evidence_reaped(&r, e), 0);
	assert_int_equal(ask(&b, e), CM_E_LEASE_NO_PROOF);
	r.instance = b.owner.instance;
	stor_uuid_random(&r.boot);
	assert_int_equal(fen_evidence_reaped(&r, e), 0);
	assert_int_equal(ask(&b, e), CM_E_LEASE_NO_PROOF);
}

/* "node1 was powered off" was looked for about one life of it; the block may be of a later one. */
static void test_fits_one_owner(void **state)
{
	struct stor_block b = block();
	struct stor_uuid other, unknown = {{0}};

	(void)state;
	stor_uuid_random(&other);
	assert_true(fen_evidence_fits(&b, &b.owner.boot, 7));
	assert_true(fen_evidence_fits(&b, &unknown, 7));
	assert_false(fen_evidence_fits(&b, &other, 7));
	assert_false(fen_evidence_fits(&b, &b.owner.boot, 6));
	assert_false(fen_evidence_fits(&b, &b.owner.boot, 0));
	assert_false(fen_evidence_fits(&b, &unknown, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_powered_off),
		cmocka_unit_test(test_boot_and_reaped),
		cmocka_unit_test(test_fits_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
