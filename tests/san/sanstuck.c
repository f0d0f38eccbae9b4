/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanstuck.c - see sanstuck.h.
 */
#include "config.h"

#include "tests/san/sanstuck.h"

#include <stdio.h>
#include <string.h>

#define HELD "3600000" /* ms */

int setup_sloppy(void **state)
{
	return fix_setup_with(state, "--reinstate sloppy");
}

void stuck_write(struct fix *f, struct san_host *h, unsigned lun, int value)
{
	static uint8_t d[8][4096]; /* they outlive the function: they end with their device */
	static struct iovec iov[8];
	static struct stor_req r[8];
	static unsigned k;
	char rules[4096];

	k = (k + 1) % 8;
	san_ctl(&f->t, "delay ms=" HELD " lun=%u class=write count=1", lun);
	memset(d[k], value, sizeof d[k]);
	iov[k] = (struct iovec){d[k], sector};
	memset(&r[k], 0, sizeof r[k]);
	stor_req_writev(&r[k], DATA, &iov[k], 1, NULL, NULL);
	san_submit(h, &r[k]);
	do { /* the rule is gone when the array has the write */
		cm_loop_turn(f->loop, 10);
		san_ask(&f->t, "rules", rules, sizeof rules);
	} while (strstr(rules, "\"ms\":" HELD));
}

void second_store(struct fix *f, struct party *p, const char *node, uint16_t slot, bool exclusive)
{
	struct stor_dev_opts o = {.gated = true, .host_slot = slot, .io_timeout_ms = T_MS, .isid = 500u + slot};
	char url[256], initiator[96];

	snprintf(initiator, sizeof initiator, NODE("%s"), node);
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

uint64_t dies_with_a_second_store(struct fix *f)
{
	uint64_t key;

	party_open(f, &f->a, "node-a", 1);
	second_store(f, &f->a, "node-a", 1, false);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 1), 0);
	key = stor_dev_pr_key(f->a.extra.dev);
	stuck_write(f, &f->a.extra, 1, 'A');
	party_close(&f->a);
	return key;
}

void two_and_a_stuck_write(struct fix *f)
{
	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	party_enters(f, &f->b);
	assert_int_equal(write_data(&f->a, 1), 0);
	stuck_write(f, &f->a.own, 0, 'A');
}

void three_and_a_stuck_write(struct fix *f, struct party *c)
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

void third_dies_fencing(struct fix *f, struct party *c, struct stor_dev *on)
{
	static struct stor_key keys[STOR_OWNER_KEYS];
	static bool fenced;
	struct stor_block b = block_now(f, &f->b);

	memcpy(keys, b.owner.keys, sizeof keys);
	fenced = false;
	stor_dev_fence(on, keys, STOR_OWNER_KEYS, on_fenced, &fenced);
	san_turn_ms(f->loop, 100);
	assert_false(fenced);
	san_ctl(&f->t, "drop " NODE("node-c"));
	party_close(c);
}

void take_over_begins(struct party *p, struct stor_permit *permit)
{
	p->own.answered = false;
	stor_lease_take_over(p->own.lease, permit, false, san_answer, &p->own);
}

void takes_over_behind_it(struct fix *f, struct party *p)
{
	san_turn_ms(f->loop, 500);
	assert_false(p->own.answered); /* the barrier holds */
	san_ctl(&f->t, "release all");
	assert_int_equal(san_wait(&p->own), 0);
	assert_int_equal(write_data(p, 'B'), 0);
	san_turn_ms(f->loop, 300);
	assert_int_equal(read_data(p), 'B');
}

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

void vacates(struct fix *f, struct party *p)
{
	struct proof x = {0};

	assert_non_null(fen_shut_out_start(p->own.dev, BLOCK, on_proof, &x, NULL));
	SAN_UNTIL(f->loop, x.done);
	assert_non_null(x.p);
	fen_vacate(p->own.dev, BLOCK, x.p, on_vacated, &x);
	SAN_UNTIL(f->loop, x.vacated);
	assert_int_equal(x.rc, 0);
	assert_int_equal(block_now(f, p).state, STOR_BLOCK_FREE);
}

bool block_names(const struct stor_block *b, uint64_t key)
{
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		if (b->owner.keys[i].key == key)
			return true;
	return false;
}
