/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_cancel.c - the operator is heard in every state of a lease: cancel and close while the array is busy, silent, or
 * waits in a barrier. labsan.
 *
 * Nothing here may wait for the array: what would is held for ever, or the session that carries it must be the same afterwards.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cm_log.h"
#include "tests/san/sanstuck.h"

static bool is_in(const struct party *p, const char *state)
{
	return !strcmp(stor_lease_state_name(p->own.lease), state);
}

static int cancelled(struct party *p)
{
	stor_lease_cancel(p->own.lease);
	return san_wait(&p->own);
}

static void acquire_begins(struct party *p)
{
	p->own.answered = false;
	stor_lease_acquire(p->own.lease, san_answer, &p->own);
}

/* --- nothing is owned ----------------------------------------------------------------------- */

static void test_in_read(void **state)
{
	struct fix *f = *state;

	party_open(f, &f->a, "node-a", 1);
	party_enters(f, &f->a);
	san_ctl(&f->t, "error what=busy class=read");
	acquire_begins(&f->a);
	SAN_UNTIL(f->loop, is_in(&f->a, "READ"));
	san_turn_ms(f->loop, 50);
	assert_int_equal(cancelled(&f->a), -ECANCELED);
	san_ctl(&f->t, "clear");
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
}

/* The COMPARE AND WRITE is under way: whether it happens or not, nothing more is done. */
static void test_in_take(void **state)
{
	static const char *const how[] = {"error what=busy class=caw", "error what=04/44/00 class=caw",
					  "delay ms=3600000 class=caw count=1"};
	struct fix *f = *state;

	party_open(f, &f->a, "node-a", 1);
	for (unsigned i = 0; i < CM_ARRAY_LEN(how); i++) {
		party_enters(f, &f->a);
		san_ctl(&f->t, "%s", how[i]);
		acquire_begins(&f->a);
		SAN_UNTIL(f->loop, is_in(&f->a, "TAKE"));
		assert_int_equal(cancelled(&f->a), -ECANCELED);
		assert_int_equal(f->a.own.renewals, 0);
		san_ctl(&f->t, "clear");
		san_ctl(&f->t, "release all");
	}
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
}

/* The barrier of a takeover waits for a write that the array holds. Whoever comes again waits for it, too. */
static void test_in_fence(void **state)
{
	struct fix *f = *state;
	uint32_t session;

	two_and_a_stuck_write(f);
	for (unsigned i = 0; i < 3; i++) {
		if (i)
			acquire_begins(&f->b);
		else
			take_over_begins(&f->b, permit_now(f, &f->b));
		SAN_UNTIL(f->loop, is_in(&f->b, "FENCE"));
		session = stor_dev_incarnation(f->b.own.dev);
		assert_int_equal(cancelled(&f->b), -ECANCELED);
		assert_true(is_in(&f->b, "IDLE"));
		assert_int_equal(stor_dev_incarnation(f->b.own.dev), session);
	}
	acquire_begins(&f->b);
	takes_over_behind_it(f, &f->b);
	SAN_UNTIL(f->loop, f->a.own.lost == STOR_LOST_TAKEN);
}

static void set_bool(void *arg)
{
	*(bool *)arg = true;
}

static void closes_now(struct fix *f, struct party *p)
{
	uint32_t session = stor_dev_incarnation(p->own.dev);

	stor_lease_close(p->own.lease, set_bool, &p->own.lease_gone);
	SAN_UNTIL(f->loop, p->own.lease_gone);
	p->own.lease = NULL;
	assert_int_equal(stor_dev_incarnation(p->own.dev), session);
}

static void test_close_in_fence(void **state)
{
	struct fix *f = *state;

	two_and_a_stuck_write(f);
	take_over_begins(&f->b, permit_now(f, &f->b));
	SAN_UNTIL(f->loop, is_in(&f->b, "FENCE"));
	closes_now(f, &f->b);
	assert_int_equal(san_wait(&f->b.own), -ECANCELED);
	party_close(&f->b);
	san_ctl(&f->t, "release all");
}

/* --- it owns -------------------------------------------------------------------------------- */

/* What was asked for ends in each state; the lease goes on, and nothing of it is in the block. */
static void test_owner(void **state)
{
	static const char *const states[] = {"WRITE", "UNSURE", "CHECK"};
	struct fix *f = *state;
	struct stor_owner d;

	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	stor_lease_self(f->b.own.lease, &d);
	for (unsigned i = 0; i < 2 * CM_ARRAY_LEN(states); i++) {
		san_ctl(&f->t, "error what=busy class=caw");
		san_ctl(&f->t, "delay ms=20 class=read nexus=" NODE("node-a"));
		f->a.own.answered = false;
		if (i % 2)
			stor_lease_intent(f->a.own.lease, &d, san_answer, &f->a.own);
		else
			stor_lease_release(f->a.own.lease, san_answer, &f->a.own);
		SAN_UNTIL(f->loop, is_in(&f->a, states[i / 2]));
		assert_int_equal(cancelled(&f->a), -ECANCELED);
		san_ctl(&f->t, "clear");
		f->a.own.renewals = 0;
		SAN_UNTIL(f->loop, f->a.own.renewals >= 2);
		assert_string_equal(block_now(f, &f->b).peer.node, "");
		assert_string_equal(block_now(f, &f->b).owner.node, "node-a");
	}
	assert_int_equal(write_data(&f->a, 7), 0);
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
}

static void test_close_owner(void **state)
{
	struct fix *f = *state;

	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	san_ctl(&f->t, "error what=02/04/0c class=caw");
	f->a.own.answered = false;
	stor_lease_release(f->a.own.lease, san_answer, &f->a.own);
	SAN_UNTIL(f->loop, is_in(&f->a, "UNSURE"));
	closes_now(f, &f->a);
	assert_int_equal(san_wait(&f->a.own), -ECANCELED);
}

/* An exclusive store waits for a look at the block, which the array refuses for ever. */
static void test_close_in_guard_read(void **state)
{
	struct fix *f = *state;
	static uint8_t d[512];
	static struct iovec iov = {d, sizeof d};
	static struct stor_req r;

	party_open(f, &f->a, "node-a", 1);
	second_store(f, &f->a, "node-a", 1, true);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 1), 0);
	san_ctl(&f->t, "error what=busy class=read lun=0");
	san_ctl(&f->t, "error what=drop-before class=write lun=1 count=1");
	memset(d, 2, sizeof d);
	stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
	san_submit(&f->a.extra, &r);
	SAN_UNTIL(f->loop, f->a.extra.stalled);
	san_turn_ms(f->loop, 300); /* the next session waits for its LOOK */
	closes_now(f, &f->a);
	party_close(&f->a);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		T(test_in_read), T(test_in_take),     T(test_in_fence),		  T(test_close_in_fence),
		T(test_owner),	 T(test_close_owner), T(test_close_in_guard_read),
	};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
