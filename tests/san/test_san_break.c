/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_break.c - what a reader with fresh eyes tried against the barrier: LUNs that have one tag, commands in the middle of a LUN
 * RESET, keys of LUNs that the VM does not have now, peers that say what they like of themselves, hand-over with a store that is down.
 * Against labsan.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "tests/san/sanstuck.h"

static int setup_luns(void **state, const char *a, const char *b)
{
	return fix_setup_luns(state, a, b, NULL);
}

/* Two LUNs with one stor_lun_tag(). */
static int setup_one_tag(void **state)
{
	return setup_luns(state, "disk0,thin,size=64M,serial=SNHE4DS5DL", "lock1,size=16M,serial=SNGUK9QU2E");
}

static int setup_no_serial(void **state)
{
	return setup_luns(state, "disk0,thin,size=64M,serial=none", "lock1,size=16M,serial=none");
}

static void both_have_two_stores(struct fix *f)
{
	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	second_store(f, &f->a, "node-a", 1, false);
	second_store(f, &f->b, "node-b", 2, false);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	party_enters(f, &f->b);
	assert_int_equal(write_data(&f->a, 1), 0);
}

/* node-c dies in the PREEMPT AND ABORT on the second LUN: a LUN RESET of the first one says nothing of it. */
static void test_tag(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	struct party c = {0};

	party_open(f, &c, "node-c", 3);
	second_store(f, &c, "node-c", 3, false);
	both_have_two_stores(f);
	party_enters(f, &c);
	stuck_write(f, &f->a.extra, 1, 'A');
	third_dies_fencing(f, &c, c.extra.dev);
	take_over_begins(&f->b, permit_now(f, &f->b));
	takes_over_behind_it(f, &f->b);
}

/* A fencer that has the first LUN only resets it, and its block is FREE: the second one's key stays to be shut out. */
static void test_tag_vacated(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;

	dies_with_a_second_store(f);
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	vacates(f, &f->b);
	second_store(f, &f->b, "node-b", 2, false);
	party_enters(f, &f->b);
	f->b.own.answered = false;
	stor_lease_acquire(f->b.own.lease, san_answer, &f->b.own);
	takes_over_behind_it(f, &f->b);
}

static void test_tags_are_one(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;

	party_open(f, &f->a, "node-a", 1);
	second_store(f, &f->a, "node-a", 1, false);
	assert_int_equal(stor_dev_lun(f->a.own.dev), stor_dev_lun(f->a.extra.dev));
}

/* --- commands in the middle of a LUN RESET ---------------------------------------------------- */

static void begins_reset(struct fix *f, struct party *c)
{
	three_and_a_stuck_write(f, c);
	third_dies_fencing(f, c, c->own.dev);
	take_over_begins(&f->b, permit_now(f, &f->b));
	san_turn_ms(f->loop, 300); /* in its LUN RESET now */
	assert_false(f->b.own.answered);
}

/* The taker is closed (hvctl stop, SIGTERM) while it waits. */
static void test_close_in_reset(void **state)
{
	struct fix *f = *state;
	struct party c = {0};

	begins_reset(f, &c);
	party_close(&f->b);
	san_ctl(&f->t, "release all");
}

static void on_keys(int rc, const uint64_t *keys, unsigned n, void *arg)
{
	(void)keys;
	(void)n;
	(void)rc; /* the session may be down */
	*(bool *)arg = true;
}

/* Somebody reads the keys meanwhile. */
static void test_keys_in_reset(void **state)
{
	struct fix *f = *state;
	struct party c = {0};
	bool read = false;

	begins_reset(f, &c);
	stor_dev_read_keys(f->b.own.dev, on_keys, &read);
	SAN_UNTIL(f->loop, read);
	takes_over_behind_it(f, &f->b);
}

/* The same in the admission of a session whose predecessor's end was not seen; then it is closed. */
static void test_close_in_own_reset(void **state)
{
	struct fix *f = *state;

	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	stuck_write(f, &f->a.own, 0, 1);
	san_ctl(&f->t, "drop all");
	san_turn_ms(f->loop, 250); /* in PREEMPT AND ABORT */
	san_ctl(&f->t, "drop all");
	san_turn_ms(f->loop, 1200); /* in the LUN RESET */
	party_close(&f->a);
	san_ctl(&f->t, "release all");
}

static void on_fenced(int rc, const struct cm_err *err, void *arg)
{
	(void)rc;
	(void)err;
	*(bool *)arg = true;
}

static void set_bool(void *arg)
{
	*(bool *)arg = true;
}

/* fence_hvsan is ended by its time limit: no lease is in between. */
static void test_close_dev_in_reset(void **state)
{
	static struct stor_key keys[1];
	struct fix *f = *state;
	bool fenced = false, gone = false;

	two_and_a_stuck_write(f);
	keys[0] = (struct stor_key){.key = stor_pr_key(9, 77)}; /* gone already */
	stor_dev_fence(f->b.own.dev, keys, 1, on_fenced, &fenced);
	san_turn_ms(f->loop, 100);
	assert_false(fenced);
	stor_lease_close(f->b.own.lease, set_bool, &f->b.own.lease_gone);
	SAN_UNTIL(f->loop, f->b.own.lease_gone);
	f->b.own.lease = NULL;
	stor_dev_close(f->b.own.dev, set_bool, &gone);
	SAN_UNTIL(f->loop, gone);
	f->b.own.dev = NULL;
	san_ctl(&f->t, "release all");
}

/* COMPARE AND WRITE on a lock LUN (another VM's block) while a fence waits for its LUN RESET: one of it, and it ends. */
static void test_guard_in_reset(void **state)
{
	static struct stor_key keys[1];
	static uint8_t zero[512], one[512];
	static struct stor_req r;
	struct fix *f = *state;
	bool fenced = false, was = joined;

	joined = true;
	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	party_enters(f, &f->b);
	keys[0] = (struct stor_key){.key = stor_pr_key(9, 77)};
	memset(one, 1, sizeof one);
	san_ctl(&f->t, "delay ms=300 lun=1 class=write count=1"); /* the array is slow: a's next renewal */
	san_turn_ms(f->loop, 500);
	stor_dev_fence(f->b.own.dev, keys, 1, on_fenced, &fenced);
	for (unsigned i = 0; i < 20 && !fenced; i++) {
		memset(&r, 0, sizeof r);
		stor_req_caw(&r, 16384 + 512 * i, zero, one, 512, NULL, NULL);
		r.flags = STOR_REQ_ADMIN;
		f->b.own.answered = false;
		san_submit(&f->b.own, &r);
		SAN_UNTIL(f->loop, f->b.own.answered);
	}
	SAN_UNTIL(f->loop, fenced);
	joined = was;
}

struct chain {
	struct stor_dev *dev;
	struct stor_key keys[1];
	unsigned n;
};

static void on_chain(int rc, const struct cm_err *err, void *arg)
{
	struct chain *c = arg;

	(void)err;
	assert_int_equal(rc, 0);
	if (++c->n < 3)
		stor_dev_fence(c->dev, c->keys, 1, on_chain, c);
}

/* A fence from the answer of a fence. */
static void test_fence_in_fence(void **state)
{
	static struct chain c;
	struct fix *f = *state;

	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	c = (struct chain){.dev = f->b.own.dev, .keys = {{.key = stor_pr_key(9, 77), .ended = true}}};
	stor_dev_fence(c.dev, c.keys, 1, on_chain, &c);
	SAN_UNTIL(f->loop, c.n >= 3);
	san_turn_ms(f->loop, 300);
	assert_int_equal(c.n, 3);
}

/* --- looks ------------------------------------------------------------------------------------ */

/* One read that fails when a new session looks at the block. */
static void test_look_fails(void **state)
{
	struct fix *f = *state;
	unsigned n;

	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	san_ctl(&f->t, "error what=3/11/00 lun=%u class=read count=1", joined ? 1u : 0u);
	san_ctl(&f->t, "drop all");
	n = f->a.own.renewals;
	SAN_UNTIL(f->loop, f->a.own.renewals > n + 1);
}

/* Without serial numbers keys are tagged by the LUN's designator, on every host alike. */
static void test_no_serial(void **state)
{
	struct fix *f = *state;
	struct party c = {0};

	begins_reset(f, &c);
	assert_true(stor_dev_lun(f->b.own.dev) != 0);
	assert_int_equal(stor_dev_lun(f->a.own.dev), stor_dev_lun(f->b.own.dev));
	takes_over_behind_it(f, &f->b);
}

/* A FREE block names the key of a LUN that the VM does not have for a while. */
static void test_lun_comes_back(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	struct party c = {0};

	dies_with_a_second_store(f);
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	vacates(f, &f->b);
	/* Started without the second disk, stopped, */
	assert_int_equal(SAN_LEASE(&f->b.own, acquire), 0);
	assert_int_equal(SAN_LEASE(&f->b.own, release), 0);
	party_close(&f->b);
	/* and started with it. */
	party_open(f, &c, "node-c", 3);
	second_store(f, &c, "node-c", 3, false);
	party_enters(f, &c);
	c.own.answered = false;
	stor_lease_acquire(c.own.lease, san_answer, &c.own);
	takes_over_behind_it(f, &c);
	party_close(&c);
}

/* --- what a peer says of itself --------------------------------------------------------------- */

static void peer_says(struct fix *f, const char *node, uint64_t key)
{
	struct stor_owner peer;

	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	party_enters(f, &f->b);
	stor_lease_self(f->b.own.lease, &peer);
	snprintf(peer.node, sizeof peer.node, "%s", node);
	if (key)
		peer.keys[0] = (struct stor_key){.key = key};
	assert_int_equal(SAN_LEASE(&f->a.own, intent, &peer), CM_E_BAD_VALUE);
	assert_int_equal(block_now(f, &f->b).state, STOR_BLOCK_RUNNING);
	assert_int_equal(write_data(&f->a, 2), 0);
}

static void test_peer_name(void **state)
{
	peer_says(*state, "node b", 0);
}

static void test_peer_no_name(void **state)
{
	peer_says(*state, "", 0);
}

/* The key of a host that has nothing to do with it, or of no host at all. */
static void test_peer_key(void **state)
{
	peer_says(*state, "node-b", stor_pr_key(3, 1));
}

static void test_peer_no_key(void **state)
{
	peer_says(*state, "node-b", 1);
}

/* --- hand-over while the second store is down ------------------------------------------------- */

static void store_goes_down(struct fix *f)
{
	stuck_write(f, &f->a.extra, 1, 'A');
	san_ctl(&f->t, "error lun=1 what=lose class=all nexus=" NODE("node-a"));
	san_ctl(&f->t, "drop " NODE("node-a"));
	SAN_UNTIL(f->loop, f->a.own.stalled && f->a.extra.stalled);
	SAN_UNTIL(f->loop, !f->a.own.stalled);
	f->a.own.answered = false;
}

static void test_commit_down(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	struct stor_owner peer;

	both_have_two_stores(f);
	stor_lease_self(f->b.own.lease, &peer);
	assert_int_equal(SAN_LEASE(&f->a.own, intent, &peer), 0);
	store_goes_down(f);
	assert_int_equal(SAN_LEASE(&f->a.own, commit), 0);
	f->b.own.answered = false;
	stor_lease_accept(f->b.own.lease, san_answer, &f->b.own);
	takes_over_behind_it(f, &f->b);
}

static void test_release_down(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;

	both_have_two_stores(f);
	store_goes_down(f);
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
	f->b.own.answered = false;
	stor_lease_acquire(f->b.own.lease, san_answer, &f->b.own);
	takes_over_behind_it(f, &f->b);
}

/* A close ends, although the PREEMPT AND ABORT is never answered. */
static void test_close_in_preempt(void **state)
{
	struct fix *f = *state;

	two_and_a_stuck_write(f);
	take_over_begins(&f->b, permit_now(f, &f->b));
	san_turn_ms(f->loop, 200);
	assert_false(f->b.own.answered);
	party_close(&f->b);
	san_ctl(&f->t, "release all");
}

int main(int argc, char **argv)
{
#define WITH(t, s) cmocka_unit_test_setup_teardown(t, s, fix_teardown)
#define T(t)	   WITH(t, fix_setup)
	const struct CMUnitTest tests[] = {
		{"test_tag", test_tag, fix_setup, fix_teardown, NULL},
		{"test_tag_same", test_tag, setup_one_tag, fix_teardown, NULL},
		{"test_tag_vacated", test_tag_vacated, fix_setup, fix_teardown, NULL},
		{"test_tag_vacated_same", test_tag_vacated, setup_one_tag, fix_teardown, NULL},
		WITH(test_tags_are_one, setup_one_tag),
		T(test_close_in_reset),
		T(test_keys_in_reset),
		WITH(test_close_in_own_reset, setup_sloppy),
		T(test_close_dev_in_reset),
		T(test_guard_in_reset),
		T(test_fence_in_fence),
		T(test_look_fails),
		WITH(test_no_serial, setup_no_serial),
		T(test_lun_comes_back),
		T(test_peer_name),
		T(test_peer_no_name),
		T(test_peer_key),
		T(test_peer_no_key),
		T(test_commit_down),
		T(test_release_down),
		T(test_close_in_preempt),
	};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
