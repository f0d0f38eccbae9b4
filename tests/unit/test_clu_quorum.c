/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clu_quorum.c - which fencing in pacemaker's history is believed by a node that lost quorum in between.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/node/clu_quorum.h"
#include "common/cm_clock.h"

static void test_quorum_without_a_gap(void **state)
{
	struct clu_quorum q = {0};

	(void)state;
	assert_false(clu_quorum_fencing_counts(&q, 100, 110)); /* never had any */
	assert_true(clu_quorum_note(&q, true, 50));
	assert_false(clu_quorum_note(&q, true, 90)); /* no news: it is since 50 */
	assert_true(clu_quorum_fencing_counts(&q, 100, 110));
	assert_true(clu_quorum_fencing_counts(&q, 100, 100));
	assert_false(clu_quorum_fencing_counts(&q, 100, 99)); /* before it was lost this time */
	assert_false(clu_quorum_fencing_counts(&q, 0, 0));    /* when is not known */
}

/* Alone from 100 to 200: the others fenced a node at 110, and it may have come back to them since. */
static void test_quorum_was_lost(void **state)
{
	struct clu_quorum q = {0};

	(void)state;
	clu_quorum_note(&q, true, 50);
	assert_true(clu_quorum_note(&q, false, 100));
	assert_false(clu_quorum_fencing_counts(&q, 100, 110));
	assert_true(clu_quorum_note(&q, true, 200));
	assert_false(clu_quorum_fencing_counts(&q, 100, 110));
	assert_false(clu_quorum_fencing_counts(&q, 100, 200)); /* before or after it came back: not known */
	assert_true(clu_quorum_fencing_counts(&q, 100, 201));
}

/* All start at once: who is missing is fenced after there is quorum. The agent has never seen it (lost: its own start). */
static void test_cluster_starts(void **state)
{
	struct clu_quorum q = {0};

	(void)state;
	clu_quorum_note(&q, true, 1003);
	assert_true(clu_quorum_fencing_counts(&q, 1000, 1060));
	assert_false(clu_quorum_fencing_counts(&q, 1000, 1001));
}

/* Its picture did not change, but it was dropped and taken back meanwhile: what was before is not believed. */
static void test_process_stood_still(void **state)
{
	struct clu_quorum q = {0};

	(void)state;
	cm_clock_set_virtual(true, CM_NS_PER_S);
	clu_quorum_note(&q, true, 50);
	assert_false(clu_quorum_beat(&q, 100));
	cm_clock_advance(CLU_QUORUM_BEAT_MS * CM_NS_PER_MS);
	assert_false(clu_quorum_beat(&q, 100));
	assert_true(clu_quorum_fencing_counts(&q, 100, 110));
	cm_clock_advance((CLU_QUORUM_STAND_MS + 1) * CM_NS_PER_MS);
	assert_true(clu_quorum_beat(&q, 120));
	assert_false(clu_quorum_fencing_counts(&q, 100, 110));
	assert_true(clu_quorum_fencing_counts(&q, 100, 121));
	cm_jump_pretend((CLU_QUORUM_STAND_MS + 1) * CM_NS_PER_MS); /* its host was paused: another clock tells */
	assert_true(clu_quorum_beat(&q, 130));
	assert_false(clu_quorum_fencing_counts(&q, 100, 121));
	cm_clock_set_virtual(false, 0);
}

/*
 * NTP sets the clock back from 1000 to 850. A node that was fenced at 990, came back and is lost now was fenced "after"
 * that by these numbers: before the step and after it the same second comes twice.
 */
static void test_clock_set_back(void **state)
{
	struct clu_quorum q = {0};

	(void)state;
	cm_clock_set_virtual(true, CM_NS_PER_S);
	clu_quorum_note(&q, true, 50);
	clu_quorum_beat(&q, 1000);
	cm_clock_advance(CLU_QUORUM_BEAT_MS * CM_NS_PER_MS);
	clu_quorum_beat(&q, 850);
	assert_false(clu_quorum_fencing_counts(&q, 855, 990));
	/* Not for ever, and no loss of quorum or standstill in between makes it forget. */
	clu_quorum_note(&q, false, 860);
	clu_quorum_note(&q, true, 870);
	cm_clock_advance((CLU_QUORUM_STAND_MS + 1) * CM_NS_PER_MS);
	clu_quorum_beat(&q, 880);
	assert_false(clu_quorum_fencing_counts(&q, 855, 990));
	clu_quorum_beat(&q, 1001);
	assert_true(clu_quorum_fencing_counts(&q, 1001, 1002));
	cm_clock_set_virtual(false, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quorum_without_a_gap),
		cmocka_unit_test(test_quorum_was_lost),
		cmocka_unit_test(test_cluster_starts),
		cmocka_unit_test(test_process_stood_still),
		cmocka_unit_test(test_clock_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
