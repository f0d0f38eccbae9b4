/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_engine_choice.c - what `auto` takes, what a name takes, and what is said where nothing fits.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "hvcore/cpu/hv_engine_choice.h"

static struct hv_engine_caps fast_caps, plain_caps;
static unsigned probed;

static int probe_fast(struct hv_engine_caps *caps, struct cm_err *err)
{
	(void)err;
	probed++;
	*caps = fast_caps;
	return 0;
}

static int probe_plain(struct hv_engine_caps *caps, struct cm_err *err)
{
	(void)err;
	probed++;
	*caps = plain_caps;
	return 0;
}

static const struct hv_engine_ops fast = {.name = "fast", .probe = probe_fast};
static const struct hv_engine_ops plain = {.name = "plain", .probe = probe_plain};
static const struct hv_engine_ops *const both[] = {&fast, &plain, NULL};
static const struct hv_engine_ops *const only_fast[] = {&fast, NULL};

static int setup(void **state)
{
	(void)state;
	fast_caps = (struct hv_engine_caps){.usable = true, .runs_stock_linux = true, .words = "works"};
	plain_caps = (struct hv_engine_caps){.usable = true, .runs_stock_linux = true, .words = "slow"};
	probed = 0;
	return 0;
}

static void test_auto_takes_the_best(void **state)
{
	struct hv_engine_choice c;

	(void)state;
	hv_engine_choose(both, "auto", &c);
	assert_ptr_equal(c.ops, &fast);
	assert_string_equal(c.why, "works");
	assert_int_equal(probed, 1);
	assert_int_equal(c.kvm_fd, -1);
	hv_engine_choose(both, "", &c);
	assert_ptr_equal(c.ops, &fast);
}

/* Usable is not enough, and the reason is the best one's. */
static void test_auto_goes_on(void **state)
{
	struct hv_engine_choice c;

	(void)state;
	fast_caps = (struct hv_engine_caps){.usable = true, .words = "no stock guests"};
	hv_engine_choose(both, "auto", &c);
	assert_ptr_equal(c.ops, &plain);
	assert_string_equal(c.why, "no stock guests");
	fast_caps = (struct hv_engine_caps){.runs_stock_linux = true, .words = "not here"};
	hv_engine_choose(both, "auto", &c);
	assert_ptr_equal(c.ops, &plain);
	assert_string_equal(c.why, "not here");
}

static void test_none(void **state)
{
	struct hv_engine_choice c;

	(void)state;
	fast_caps = (struct hv_engine_caps){.words = "not here"};
	hv_engine_choose(only_fast, "auto", &c);
	assert_null(c.ops);
	assert_int_equal(c.err.code, CM_E_NO_ENGINE);
	assert_string_equal(c.why, "not here"); /* for the program that goes on */
}

/* By name nothing is tried: the engine says by itself what it lacks. */
static void test_names(void **state)
{
	struct hv_engine_choice c;

	(void)state;
	hv_engine_choose(both, "plain", &c);
	assert_ptr_equal(c.ops, &plain);
	assert_string_equal(c.why, "");
	assert_int_equal(probed, 0);
	hv_engine_choose(only_fast, "plain", &c);
	assert_null(c.ops);
	assert_int_equal(c.err.code, CM_E_BAD_VALUE);
	assert_true(hv_engine_word_is_auto("auto") && hv_engine_word_is_auto("") && !hv_engine_word_is_auto("kvm"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_auto_takes_the_best, setup),
		cmocka_unit_test_setup(test_auto_goes_on, setup),
		cmocka_unit_test_setup(test_none, setup),
		cmocka_unit_test_setup(test_names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
