/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_rng.c - random numbers by virtio.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hv_virtiokit.h"

static void rng_bytes(void **state)
{
	struct bench *b = *state;
	struct kit_buf rx[2] = {{BENCH_DATA_GPA, 64, true}, {BENCH_DATA_GPA + 0x1000, 1 << 20, true}};
	uint8_t got[64], zero[64] = {0};
	uint32_t head, len;

	bench_start(b, &hv_dev_rng, NULL, BENCH_IDX, 1);
	kit_offer(&b->q[0], &rx[0], 1, 0);
	kit_offer(&b->q[0], &rx[1], 1, 0);
	kit_ring(&b->q[0]);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, 64);
	kit_peek(&b->k, BENCH_DATA_GPA, got, sizeof got);
	assert_memory_not_equal(got, zero, sizeof got);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_in_range(len, 1, 1 << 20); /* a huge request is answered in part */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(rng_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
