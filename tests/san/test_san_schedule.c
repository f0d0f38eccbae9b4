/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_schedule.c - random schedules: an owner dies with writes in the array, a second host or a third one after it takes over, while
 * sessions drop and answers are lost. Nobody takes over before the writes have ended, and everybody can in the end. Against labsan.
 *
 *   SEED=N  begins at seed N    COUNT=N  that many (else a few)
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_err.h"
#include "sharedstorage/lease/stor_permit_int.h"
#include "tests/san/sanstuck.h"

static uint32_t seed;

static unsigned rnd(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static const char *const nodes[] = {"node-a", "node-b", "node-c"};

static void random_fault(struct fix *f)
{
	static const char *const what[] = {"lose", "drop-after", "drop-before", "busy", "6/29/03", "b/44/00"};
	static const char *const cls[] = {"pr", "pr", "caw", "other", "read", "all"};
	unsigned w = rnd(CM_ARRAY_LEN(what)), c = rnd(CM_ARRAY_LEN(cls)), lun = rnd(2), skip = rnd(5);

	switch (rnd(4)) {
	case 0:
		san_ctl(&f->t, "drop " NODE("%s"), nodes[rnd(3)]);
		break;
	case 1:
		san_ctl(&f->t, "drop all");
		break;
	default:
		san_ctl(&f->t, "error what=%s lun=%u class=%s count=1 skip=%u", what[w], lun, cls[c], skip);
	}
	san_turn_ms(f->loop, rnd(T_MS));
}

static void faults(struct fix *f, unsigned below)
{
	for (unsigned i = rnd(below); i; i--)
		random_fault(f);
}

/* Mostly without unregistering. */
static void dies(struct fix *f, struct party *p, const char *node)
{
	if (rnd(3)) {
		san_ctl(&f->t, "error what=drop-before class=pr count=50 nexus=" NODE("%s"), node);
		if (rnd(2))
			san_ctl(&f->t, "drop " NODE("%s"), node);
	}
	party_close(p);
	san_ctl(&f->t, "clear");
}

/* On each store that it has. */
static void writes(struct party *p, bool two, int value)
{
	p->data = &p->own;
	assert_int_equal(write_data(p, value), 0);
	if (two) {
		p->data = &p->extra;
		assert_int_equal(write_data(p, value), 0);
	}
}

static void reads(struct party *p, bool two, int value)
{
	p->data = &p->own;
	assert_int_equal(read_data(p), value);
	if (two) {
		p->data = &p->extra;
		assert_int_equal(read_data(p), value);
	}
}

static void open_all(struct fix *f, struct party *p[], unsigned n, bool two)
{
	for (unsigned i = 0; i < n; i++) {
		party_open(f, p[i], nodes[i], (uint16_t)(i + 1));
		if (two)
			second_store(f, p[i], nodes[i], (uint16_t)(i + 1), false);
	}
	assert_int_equal(SAN_LEASE(&p[0]->own, acquire), 0);
	for (unsigned i = 1; i < n; i++)
		party_enters(f, p[i]);
	writes(p[0], two, 1);
}

static void one_schedule(struct fix *f)
{
	struct party c = {0}, *p[] = {&f->a, &f->b, &c};
	struct stor_permit *permit;
	bool two = rnd(2) && !joined, third = rnd(2);
	unsigned stuck = two ? rnd(3) : 1; /* 1: on the first store, 2: on the second one, 0: on both */

	open_all(f, p, third ? 3 : 2, two);
	if (stuck != 2)
		stuck_write(f, &f->a.own, 0, 'A');
	if (stuck != 1)
		stuck_write(f, &f->a.extra, 1, 'A');
	faults(f, 3);
	permit = permit_now(f, &f->b);
	assert_string_equal(permit->victim.node, nodes[0]);
	dies(f, &f->a, nodes[0]);
	if (third) {
		take_over_begins(&c, permit);
		san_turn_ms(f->loop, rnd(600));
		faults(f, 2);
		dies(f, &c, nodes[2]);
		permit = permit_now(f, &f->b);
	}
	take_over_begins(&f->b, permit);
	faults(f, 4);
	san_turn_ms(f->loop, rnd(1000));
	assert_false(f->b.own.answered && f->b.own.rc == 0); /* the array still has a write of the first owner */
	san_ctl(&f->t, "clear");
	san_ctl(&f->t, "release all");
	while (san_wait(&f->b.own)) { /* it lost its session meanwhile */
		san_turn_ms(f->loop, 300);
		take_over_begins(&f->b, permit_now(f, &f->b));
	}
	writes(&f->b, two, 'B');
	san_turn_ms(f->loop, 200);
	reads(&f->b, two, 'B');
}

static void test_schedules(void **state)
{
	unsigned first = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 1;
	unsigned count = getenv("COUNT") ? (unsigned)atoi(getenv("COUNT")) : 6;

	(void)state;
	for (unsigned s = first; s < first + count; s++) {
		void *f;

		print_message("seed %u\n", s);
		seed = s * 7919u;
		rnd(2);
		assert_int_equal(fix_setup(&f), 0);
		one_schedule(f);
		fix_teardown(&f);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedules)};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
