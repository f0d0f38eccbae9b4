/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_barrier.c - nothing of a former owner lands behind the next one's writes, whatever becomes of the sessions, of the keys
 * and of those who shut out: a barrier is a fact that somebody saw, never an absence. Against labsan, which can
 * hold a write for as long as a test wants.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "tests/san/sanstuck.h"

/* A fencer is killed in the middle of its PREEMPT AND ABORT: the next one finds the key gone. */
static void test_two_fencers(void **state)
{
	struct fix *f = *state;
	struct party c = {0};

	three_and_a_stuck_write(f, &c);
	third_dies_fencing(f, &c, c.own.dev);
	take_over_begins(&f->b, permit_now(f, &f->b));
	takes_over_behind_it(f, &f->b);
}

/* The only fencer loses its session in the middle of it, and tries again. */
static void test_answer_lost(void **state)
{
	struct fix *f = *state;

	two_and_a_stuck_write(f);
	take_over_begins(&f->b, permit_now(f, &f->b));
	san_turn_ms(f->loop, 300);
	assert_false(f->b.own.answered);
	san_ctl(&f->t, "drop iqn.2026-01.test.host:node-b");
	takes_over_behind_it(f, &f->b);
}

/* The new owner dies between its COMPARE AND WRITE and the barrier: the third one takes both over. */
static void test_taker_dies(void **state)
{
	struct fix *f = *state;
	struct party c = {0};
	struct stor_block b;

	three_and_a_stuck_write(f, &c);
	take_over_begins(&c, permit_now(f, &c));
	san_turn_ms(f->loop, 300);
	assert_false(c.own.answered);
	b = block_now(f, &f->b);
	assert_string_equal(b.owner.node, "node-c");
	assert_true(b.shut[0].key && !b.owner.keys[0].key);
	san_ctl(&f->t, "drop iqn.2026-01.test.host:node-c");
	party_close(&c);
	take_over_begins(&f->b, permit_now(f, &f->b));
	takes_over_behind_it(f, &f->b);
}

/* The same against one's own last session: the one that aborts it is lost, too. */
static void test_own_session(void **state)
{
	struct fix *f = *state;
	unsigned renewals;

	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	stuck_write(f, &f->a.own, 0, 1);
	san_ctl(&f->t, "drop all"); /* session 1 ends with the write in flight */
	san_turn_ms(f->loop, 250);  /* session 2 waits in its PREEMPT AND ABORT */
	assert_false(f->a.own.answered);
	san_ctl(&f->t, "drop all"); /* session 2 ends, too */
	renewals = f->a.own.renewals;
	san_turn_ms(f->loop, 600);
	assert_false(f->a.own.answered);
	assert_int_equal(f->a.own.renewals, renewals);
	san_ctl(&f->t, "release all");
	assert_int_equal(san_wait(&f->a.own), 0);
	assert_int_equal(write_data(&f->a, 2), 0);
	san_turn_ms(f->loop, 300);
	assert_int_equal(read_data(&f->a), 2);
	assert_true(f->a.own.renewals > renewals);
}

/*
 * The session of the second store is down, with a write that the array still has, when the owner dies; all the while it
 * renewed its lease on the first one.
 */
static void second_store_down(struct fix *f, bool exclusive)
{
	struct stor_permit *permit;
	uint64_t key;
	unsigned n;

	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	second_store(f, &f->a, "node-a", 1, exclusive);
	if (!exclusive)
		second_store(f, &f->b, "node-b", 2, false);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 1), 0);
	key = stor_dev_pr_key(f->a.extra.dev);
	stuck_write(f, &f->a.extra, 1, 'A');
	san_ctl(&f->t, "error lun=1 what=lose class=all");
	n = f->a.own.renewals;
	SAN_UNTIL(f->loop, f->a.own.renewals >= n + 5);
	{
		struct stor_block b = block_now(f, &f->a);

		assert_true(block_names(&b, key));
	}
	permit = permit_now(f, &f->b);
	party_close(&f->a); /* its power goes: nothing of it goes out on LUN 1 */
	san_ctl(&f->t, "clear");
	if (exclusive)
		second_store(f, &f->b, "node-b", 2, true);
	party_enters(f, &f->b);
	take_over_begins(&f->b, permit);
	takes_over_behind_it(f, &f->b);
}

static void test_second_store(void **state)
{
	NOT_JOINED();
	second_store_down(*state, false);
}

static void test_second_store_exclusive(void **state)
{
	NOT_JOINED();
	second_store_down(*state, true);
}

/* With 40 admissions that failed in between: the session that wrote is not forgotten. */
static void test_many_sessions(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	struct stor_dev_status st;
	struct stor_block b;
	uint64_t key;

	party_open(f, &f->a, "node-a", 1);
	second_store(f, &f->a, "node-a", 1, false);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 1), 0);
	key = stor_dev_pr_key(f->a.extra.dev);
	stuck_write(f, &f->a.extra, 1, 'A'); /* which costs the session */
	assert_int_equal(cm_fault_arm("iscsi_registered=error:5", NULL), 0);
	do {
		cm_loop_turn(f->loop, 20);
		stor_dev_get_status(f->a.extra.dev, &st);
	} while (st.reconnects < 40);
	f->a.own.renewals = 0;
	SAN_UNTIL(f->loop, f->a.own.renewals > 1);
	b = block_now(f, &f->a);
	assert_true(block_names(&b, key));
	cm_fault_arm("", NULL);
	san_ctl(&f->t, "release all");
	assert_int_equal(san_wait(&f->a.extra), 0);
}

/* As many LUNs as the block has room for, and not one more. */
static void test_room(void **state)
{
	struct fix *f = *state;
	struct san_host e[STOR_OWNER_KEYS];
	struct stor_dev_opts o = {.gated = true, .io_timeout_ms = T_MS, .host_slot = 1,
				  .initiator = "iqn.2026-01.test.host:node-a"};
	unsigned per = joined ? 2 : 1, n = 0;
	struct stor_block b;
	char url[256];

	memset(e, 0, sizeof e);
	party_open(f, &f->a, "node-a", 1);
	san_url(&f->t, 0, joined ? "?lock=1&unmap=no" : NULL, url, sizeof url);
	while (per * (n + 2) <= STOR_OWNER_KEYS) {
		o.isid = 900 + n;
		assert_int_equal(san_open(&e[n], f->loop, url, &o), 0);
		assert_int_equal(stor_lease_guard(f->a.own.lease, e[n++].dev), 0);
	}
	o.isid = 900 + n;
	assert_int_equal(san_open(&e[n], f->loop, url, &o), 0);
	assert_int_equal(stor_lease_guard(f->a.own.lease, e[n].dev), CM_E_VOL_LIMIT);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	for (unsigned i = 0; i < n; i++)
		SAN_UNTIL(f->loop, stor_dev_pr_key(e[i].dev));
	san_turn_ms(f->loop, 3 * T_MS);
	b = block_now(f, &f->a);
	for (unsigned i = 0; i < n; i++) {
		struct stor_key keys[STOR_DEV_LUNS];
		unsigned k = stor_dev_keys(e[i].dev, keys);

		assert_int_equal(k, per);
		while (k)
			assert_true(block_names(&b, keys[--k].key));
	}
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
	san_close(&f->a.own);
	memset(&f->a.own, 0, sizeof f->a.own);
	for (unsigned i = 0; i <= n; i++)
		san_close(&e[i]);
}

/* Proof (d) of a fencer that has one of the two LUNs only: the block goes on naming the other key until somebody has both. */
static void test_vacated(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	struct stor_block b;
	uint64_t key;

	key = dies_with_a_second_store(f);
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	vacates(f, &f->b);
	b = block_now(f, &f->b);
	/* The first LUN's was gone before anybody saw its end: it may be there, too. */
	assert_true(b.shut[0].key == key || b.shut[1].key == key);
	second_store(f, &f->b, "node-b", 2, false);
	party_enters(f, &f->b);
	f->b.own.answered = false;
	stor_lease_acquire(f->b.own.lease, san_answer, &f->b.own);
	takes_over_behind_it(f, &f->b);
	b = block_now(f, &f->b);
	assert_false(b.shut[0].key);
}

struct fenced {
	bool done;
	int rc;
};

static void on_fenced(int rc, const struct cm_err *err, void *arg)
{
	struct fenced *d = arg;

	(void)err;
	d->rc = rc;
	d->done = true;
}

static int fence(struct fix *f, struct party *p, uint64_t key)
{
	struct stor_key victim = {.key = key};
	struct fenced d = {.done = false};

	stor_dev_fence(p->own.dev, &victim, 1, on_fenced, &d);
	SAN_UNTIL(f->loop, d.done);
	return d.rc;
}

/* A fencer that was shut out itself meanwhile, and sends nothing else that would tell it: a new session registers anew. */
static void test_fencer_without_key(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	uint32_t incarnation;

	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->a);
	party_enters(f, &f->b);
	incarnation = stor_dev_incarnation(f->b.own.dev);
	assert_int_equal(fence(f, &f->a, stor_dev_pr_key(f->b.own.dev)), 0);
	assert_int_equal(fence(f, &f->b, stor_pr_key(7, 1)), CM_E_SAN_CONFLICT);
	SAN_UNTIL(f->loop, stor_dev_incarnation(f->b.own.dev) != incarnation && stor_dev_usable(f->b.own.dev));
	assert_int_equal(fence(f, &f->b, stor_pr_key(7, 1)), 0);
}

int main(int argc, char **argv)
{
#define SLOPPY(t) cmocka_unit_test_setup_teardown(t, setup_sloppy, fix_teardown)
#define T(t) cmocka_unit_test_setup_teardown(t, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		T(test_two_fencers),  T(test_answer_lost),	      T(test_taker_dies),    T(test_own_session),
		SLOPPY(test_own_session),
		T(test_second_store), T(test_second_store_exclusive), T(test_many_sessions), T(test_room),
		T(test_vacated),      T(test_fencer_without_key),
	};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
