/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_pr.c - answers about persistent reservations, also cut and lying ones.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_buf.h"
#include "sharedstorage/iscsi/stor_pr.h"

/* READ FULL STATUS: two iSCSI nexuses and one of another protocol; every shorter answer is refused. */
static void test_nexuses(void **state)
{
	static const char id[] = "iqn.2026-01.a:b,i,0x800000070002"; /* 32 bytes and the NUL */
	uint8_t d[8 + 3 * (24 + 40)] = {0};
	struct stor_pr_nexus out[2];
	unsigned n;

	(void)state;
	cm_put_be32(d + 4, sizeof d - 8);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *p = d + 8 + (size_t)i * 64;

		cm_put_be64(p, 0x4856000100000000ull + i);
		cm_put_be32(p + 20, 40);
		p[24] = i == 2 ? 0 : 0x45;
		p[27] = 36;
		memcpy(p + 28, id, sizeof id);
		p[28 + 31] = (uint8_t)('2' + i);
	}
	assert_int_equal(stor_pr_decode_nexuses(d, sizeof d, out, 2, &n), 0);
	assert_int_equal(n, 3); /* how many there are, not how many fit */
	assert_int_equal(out[1].key, 0x4856000100000001ull);
	assert_int_equal(out[0].isid, 0x800000070002ull);
	assert_int_equal(out[1].isid, 0x800000070003ull);
	for (size_t len = 0; len < sizeof d; len++)
		assert_int_equal(stor_pr_decode_nexuses(d, len, out, 2, &n), CM_E_SAN_SENSE);
	cm_put_be32(d + 8 + 20, 41); /* a descriptor that ends in the next one's middle */
	assert_int_equal(stor_pr_decode_nexuses(d, sizeof d, out, 2, &n), CM_E_SAN_SENSE);
	d[8 + 128 + 24] = 0x45;
	cm_put_be32(d + 8 + 20, 40);
	d[8 + 128 + 27] = 2; /* a name that is longer than it says */
	assert_int_equal(stor_pr_decode_nexuses(d, sizeof d, out, 2, &n), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nexuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
