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
#include "fencing/fen_proof.h"
#include "sharedstorage/lease/stor_permit_int.h"
#include "tests/san/sanparty.h"

/* They use LUN 1 for something else than the lock. */
#define NOT_JOINED() \
	do { \
		if (joined) \
			skip(); \
	} while (0)

#define HELD "3600000" /* ms: until "release" */

/* A login does not wait for what the nexus' last session left. */
static int setup_sloppy(void **state)
{
	return fix_setup_with(state, "--reinstate sloppy");
}

/* A write of `value` that the array keeps to itself. Its answer never comes, or late. */
static void stuck_write(struct fix *f, struct san_host *h, unsigned lun, int value)
{
	static uint8_t d[4][4096];
	static struct iovec iov[4];
	static struct stor_req r[4];
	static unsigned k;

	k = (k + 1) % 4;
	san_ctl(&f->t, "delay ms=" HELD " lun=%u class=write count=1", lun);
	memset(d[k], value, sizeof d[k]);
	iov[k] = (struct iovec){d[k], sector};
	stor_req_writev(&r[k], DATA, &iov[k], 1, NULL, NULL);
	san_submit(h, &r[k]);
	san_turn_ms(f->loop, 50);
}

/* The takeover must wait for the stuck write; then its owner's data stays. */
static void takes_over_behind_it(struct fix *f, struct party *p)
{
	san_turn_ms(f->loop, 500);
	assert_false(p->own.answered); /* the barrier holds */
	san_ctl(&f->t, "release all");
	assert_int_equal(san_wait(&p->own), 0);
	assert_int_equal(write_data(p, 'B'), 0);
	san_turn_ms(f->loop, 300);
	assert_int_equal(read_data(p), 'B');
}

static void take_over_begins(struct fix *f, struct party *p, struct stor_permit *permit)
{
	(void)f;
	p->own.answered = false;
	stor_lease_take_over(p->own.lease, permit, false, san_answer, &p->own);
}

static void keys_of_block(const struct stor_block *b, struct stor_key *keys)
{
	memcpy(keys, b->owner.keys, sizeof b->owner.keys);
}

/* Two hosts, or three, that are registered; the first one owns the VM, and the array holds a write of it. */
static void two_and_a_stuck_write(struct fix *f)
{
	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	party_enters(f, &f->b);
	assert_int_equal(write_data(&f->a, 1), 0);
	stuck_write(f, &f->a.own, 0, 'A');
}

static void three_and_a_stuck_write(struct fix *f, struct party *c)
{
	party_open(f, c, "node-c", 3);
	party_enters(f, c);
	two_and_a_stuck_write(f);
}

static void on_fenced(int rc, const struct cm_err *err, void *arg)
{
	(void)rc;
	(void)err;
	*(bool *)arg = true;
}

/* A fencer is killed in the middle of its PREEMPT AND ABORT: the next one finds the key gone. */
static void test_two_fencers(void **state)
{
	static struct stor_key keys[STOR_OWNER_KEYS];
	struct fix *f = *state;
	struct party c = {0};
	struct stor_block b;
	bool fenced = false;

	three_and_a_stuck_write(f, &c);
	b = block_now(f, &f->b);
	keys_of_block(&b, keys);
	stor_dev_fence(c.own.dev, keys, STOR_OWNER_KEYS, on_fenced, &fenced);
	san_turn_ms(f->loop, 100);
	assert_false(fenced);
	san_ctl(&f->t, "drop iqn.2026-01.test.host:node-c");
	party_close(&c);
	take_over_begins(f, &f->b, permit_now(f, &f->b));
	takes_over_behind_it(f, &f->b);
}

/* The only fencer loses its session in the middle of it, and tries again. */
static void test_answer_lost(void **state)
{
	struct fix *f = *state;

	two_and_a_stuck_write(f);
	take_over_begins(f, &f->b, permit_now(f, &f->b));
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
	take_over_begins(f, &c, permit_now(f, &c));
	san_turn_ms(f->loop, 300);
	assert_false(c.own.answered);
	b = block_now(f, &f->b);
	assert_string_equal(b.owner.node, "node-c");
	assert_true(b.shut[0].key && !b.owner.keys[0].key);
	san_ctl(&f->t, "drop iqn.2026-01.test.host:node-c");
	party_close(&c);
	take_over_begins(f, &f->b, permit_now(f, &f->b));
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

/* A second store of the VM, on LUN 1. */
static void second_store(struct fix *f, struct party *p, const char *node, uint16_t slot, bool exclusive)
{
	struct stor_dev_opts o = {.gated = true, .host_slot = slot, .io_timeout_ms = T_MS, .isid = 500u + slot};
	char url[256], initiator[96];

	snprintf(initiator, sizeof initiator, "iqn.2026-01.test.host:%s", node);
	o.initiator = initiator;
	if (exclusive) {
		o.exclusive_to = 77;
		o.isid = 501;
	}
	san_url(&f->t, 1, NULL, url, sizeof url);
	assert_int_equal(san_open(&p->extra, f->loop, url, &o), 0);
	assert_int_equal(stor_lease_guard(p->own.lease, p->extra.dev), 0);
	p->data = &p->extra;
}

static bool block_has(const struct stor_block *b, uint64_t key)
{
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		if (b->owner.keys[i].key == key)
			return true;
	return false;
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

		assert_true(block_has(&b, key));
	}
	permit = permit_now(f, &f->b);
	party_close(&f->a); /* its power goes: nothing of it goes out on LUN 1 */
	san_ctl(&f->t, "clear");
	if (exclusive)
		second_store(f, &f->b, "node-b", 2, true);
	party_enters(f, &f->b);
	take_over_begins(f, &f->b, permit);
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
	assert_true(block_has(&b, key));
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
			assert_true(block_has(&b, keys[--k].key));
	}
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
	san_close(&f->a.own);
	memset(&f->a.own, 0, sizeof f->a.own);
	for (unsigned i = 0; i <= n; i++)
		san_close(&e[i]);
}

/* Proof (d) of a fencer that has one of the two LUNs only: the block goes on naming the other key until somebody has both. */
struct proof {
	struct fen_proof *p;
	bool done, vacated;
	int rc;
};

static void on_proof(struct fen_proof *p, const struct cm_err *err, void *arg)
{
	struct proof *x = arg;

	x->p = p;
	x->rc = err ? err->code : 0;
	x->done = true;
}

static void on_vacated(int rc, const struct cm_err *err, void *arg)
{
	struct proof *x = arg;

	(void)err;
	x->rc = rc;
	x->vacated = true;
}

static void test_vacated(void **state)
{
	NOT_JOINED();
	struct fix *f = *state;
	struct proof x = {0};
	struct stor_block b;
	uint64_t key;

	party_open(f, &f->a, "node-a", 1);
	second_store(f, &f->a, "node-a", 1, false);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 1), 0);
	key = stor_dev_pr_key(f->a.extra.dev);
	stuck_write(f, &f->a.extra, 1, 'A');
	party_close(&f->a); /* the process dies: the lease is not renewed any more */
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	assert_non_null(fen_shut_out_start(f->b.own.dev, BLOCK, on_proof, &x, NULL));
	SAN_UNTIL(f->loop, x.done);
	assert_non_null(x.p);
	fen_vacate(f->b.own.dev, BLOCK, x.p, on_vacated, &x);
	SAN_UNTIL(f->loop, x.vacated);
	assert_int_equal(x.rc, 0);
	b = block_now(f, &f->b);
	assert_int_equal(b.state, STOR_BLOCK_FREE);
	assert_true(b.shut[0].key == key && !b.shut[1].key);
	second_store(f, &f->b, "node-b", 2, false);
	party_enters(f, &f->b);
	f->b.own.answered = false;
	stor_lease_acquire(f->b.own.lease, san_answer, &f->b.own);
	takes_over_behind_it(f, &f->b);
	b = block_now(f, &f->b);
	assert_false(b.shut[0].key);
}

int main(int argc, char **argv)
{
#define SLOPPY(t) cmocka_unit_test_setup_teardown(t, setup_sloppy, fix_teardown)
#define T(t) cmocka_unit_test_setup_teardown(t, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		T(test_two_fencers),  T(test_answer_lost),	      T(test_taker_dies),    T(test_own_session),
		SLOPPY(test_own_session),
		T(test_second_store), T(test_second_store_exclusive), T(test_many_sessions), T(test_room),
		T(test_vacated),
	};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
