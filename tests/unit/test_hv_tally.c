/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_tally.c - counters by name: rates, differences, limits, the document. No VM.
 */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/cpu/hv_tally.h"

static struct hv_tally tally(uint64_t wall_ns, uint64_t cpu_ns, uint64_t insns, uint64_t hits)
{
	struct hv_tally t = {.wall_ns = wall_ns};

	hv_tally_add_row(&t, "time.cpu_ns", cpu_ns);
	hv_tally_add_row(&t, "time.halted_ns", wall_ns / 4);
	hv_tally_add_row(&t, "insns.done", insns);
	hv_tally_add_row(&t, "exits.mmio", 3);
	hv_tally_add_row(&t, "exits.pio", 5);
	hv_tally_add_row(&t, "tlb.read_misses", 7);
	hv_tally_add_row(&t, "tlb.exec_misses", 1);
	hv_tally_add_row(&t, "sample.reads", 200);
	hv_tally_add_row(&t, "sample.read_hits", hits);
	hv_tally_add_row(&t, "sample.writes", 0);
	return t;
}

static void near(double have, double want)
{
	assert_true(fabs(have - want) < 1e-6 * (1 + fabs(want)));
}

static void rates(void **state)
{
	const struct hv_tally t = tally(2000000000, 1000000000, 100000000, 150),
			      none = {.count = 0};
	struct hv_rates r = hv_tally_rates(&t);

	(void)state;
	near(r.cpu_percent, 50);
	near(r.halted_percent, 25);
	near(r.mips_cpu, 100);
	near(r.mips_wall, 50);
	near(r.exits_per_s, 4);
	near(r.tlb_read_hit_percent, 75);
	near(r.tlb_misses_per_1000_insns, 8e-5);
	assert_true(isnan(r.tlb_write_hit_percent)); /* nothing was sampled */
	assert_true(isnan(r.block_hit_percent));
	r = hv_tally_rates(&none);
	assert_true(isnan(r.cpu_percent) && isnan(r.mips_cpu) && isnan(r.halted_percent));
}

static void differences(void **state)
{
	struct hv_tally now = tally(300, 200, 1000, 20), before = tally(100, 50, 1001, 5), sum;

	(void)state;
	hv_tally_minus(&now, &before);
	assert_int_equal(now.wall_ns, 200);
	assert_int_equal(hv_tally_get(&now, "time.cpu_ns"), 150);
	assert_int_equal(hv_tally_get(&now, "insns.done"), 0); /* not below 0 */
	assert_int_equal(hv_tally_get(&now, "sample.read_hits"), 15);
	assert_int_equal(hv_tally_get(&now, "nobody.knows"), 0);
	sum.count = 0;
	hv_tally_plus(&sum, &before);
	hv_tally_plus(&sum, &before);
	assert_int_equal(sum.wall_ns, 100); /* the same time */
	assert_int_equal(hv_tally_get(&sum, "time.cpu_ns"), 100);
	assert_int_equal(hv_tally_get(&sum, "exits.pio"), 10);
}

static void room(void **state)
{
	struct hv_tally t = {.count = 0};

	(void)state;
	for (unsigned i = 0; i < 2 * HV_TALLY_ROWS; i++)
		hv_tally_add_row(&t, "a.b", i);
	assert_int_equal(t.count, HV_TALLY_ROWS);
	assert_int_equal(t.row[HV_TALLY_ROWS - 1].value, HV_TALLY_ROWS - 1);
}

static void tally_document(void **state)
{
	struct hv_tally t = {.wall_ns = 1000000000};
	struct hv_json j;

	(void)state;
	hv_tally_add_row(&t, "time.cpu_ns", 500000000);
	hv_tally_add_row(&t, "exits.mmio", 0);
	hv_tally_add_row(&t, "exits.pio", 2);
	hv_tally_add_row(&t, "exit.one", 1); /* a group whose name begins another's */
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_tally_json(&j, "boot", &t);
	hv_json_close(&j, '}');
	assert_string_equal(hv_json_text(&j),
			    "{\"boot\":{\"wall_ms\":1000,\"rates\":{\"cpu_percent\":50.000,"
			    "\"exits_per_s\":2.000},\"counts\":{\"time\":{\"cpu_ns\":500000000},"
			    "\"exits\":{\"pio\":2},\"exit\":{\"one\":1}}}}");
	hv_json_fini(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates),
		cmocka_unit_test(differences),
		cmocka_unit_test(room),
		cmocka_unit_test(tally_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
