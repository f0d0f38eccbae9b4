/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_loop.c - descriptors, posted calls, timers and deferred close, and the order of what is
 * due.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "common/cm_loop.h"

struct loop_seen {
	struct cm_loop *loop;
	struct cm_io io;
	struct cm_timer timer;
	int reads, closes, timers, posts;
	int pipe[2];
};

static void on_closed(void *arg)
{
	struct loop_seen *s = arg;

	s->closes++;
}

static void on_read(struct cm_io *io, unsigned events, void *arg)
{
	struct loop_seen *s = arg;
	char c;

	assert_int_equal(events, CM_READ);
	assert_int_equal(read(s->pipe[0], &c, 1), 1);
	s->reads++;
	cm_io_close(io, on_closed, s);
	cm_io_close(io, on_closed, s);	/* the second close is nothing */
	assert_int_equal(s->closes, 0); /* not inside the callback */
}

static void on_timer(struct cm_timer *t, void *arg)
{
	struct loop_seen *s = arg;

	(void)t;
	s->timers++;
	cm_loop_stop(s->loop, 7);
}

static void on_post(void *arg)
{
	struct loop_seen *s = arg;

	s->posts++;
	cm_timer_arm_ms(&s->timer, 1);
}

static void *poster(void *arg)
{
	struct loop_seen *s = arg;

	assert_int_equal(cm_loop_post(s->loop, on_post, s), 0);
	return NULL;
}

static void test_loop(void **state)
{
	struct loop_seen s = {0};
	pthread_t th;

	(void)state;
	s.loop = cm_loop_new(NULL);
	assert_non_null(s.loop);
	assert_int_equal(pipe(s.pipe), 0);
	cm_io_init(&s.io, s.loop, s.pipe[0], on_read, &s);
	assert_int_equal(cm_io_want(&s.io, CM_READ), 0);
	cm_timer_init(&s.timer, s.loop, on_timer, &s);
	assert_int_equal(write(s.pipe[1], "x", 1), 1);
	pthread_create(&th, NULL, poster, &s);
	assert_int_equal(cm_loop_run(s.loop), 7);
	pthread_join(th, NULL);
	assert_int_equal(s.reads, 1);
	assert_int_equal(s.closes, 1);
	assert_int_equal(s.posts, 1);
	assert_int_equal(s.timers, 1);
	cm_timer_fini(&s.timer);
	close(s.pipe[0]);
	close(s.pipe[1]);
	cm_loop_free(s.loop);
}

struct ring {
	struct cm_loop *loop;
	struct cm_timer t[5];
	char order[16];
	size_t rung;
	int again;
	uint64_t low_ns; /* when the last of those that were due was called */
};

static void ring(struct cm_timer *t, void *arg)
{
	struct ring *r = arg;

	assert_false(t->armed);
	r->order[r->rung++] = (char)('0' + (t - r->t));
	if (t == &r->t[0])
		cm_timer_disarm(&r->t[3]); /* due as well, but not called yet */
	if (t == &r->t[2])
		r->low_ns = cm_now_ns();
	if (t == &r->t[1] && r->again--)
		cm_timer_arm_ns(t, 0);
	if (t == &r->t[4])
		cm_loop_stop(r->loop, 0);
}

/* Whether the last timer was not due before the others had been called, as it is meant to be. */
static bool timers_ring(void)
{
	static const enum cm_prio prio[5] = {CM_PRIO_HIGH, CM_PRIO_NORMAL, CM_PRIO_LOW, CM_PRIO_NORMAL,
					     CM_PRIO_NORMAL};
	struct ring r = {.loop = cm_loop_new(NULL), .again = 2};
	uint64_t due_ns;
	bool in_time;

	for (int i = 4; i >= 0; i--) {
		cm_timer_init(&r.t[i], r.loop, ring, &r);
		cm_timer_set_prio(&r.t[i], prio[i]);
	}
	for (int i = 0; i < 4; i++)
		cm_timer_arm_ns(&r.t[i], 3u * (uint64_t)(4 - i));
	due_ns = cm_now_ns() + 20 * CM_NS_PER_MS;
	cm_timer_arm_ms(&r.t[4], 20);
	cm_timer_arm_ms(&r.t[3], 1000000);
	cm_timer_arm_ns(&r.t[3], 1); /* a second time: the first is forgotten */
	usleep(1000);
	cm_loop_run(r.loop);
	in_time = r.low_ns < due_ns;
	if (in_time)
		assert_string_equal(r.order, "011124");
	cm_timer_arm_ms(&r.t[0], UINT64_MAX / 2000000); /* for ever */
	for (int i = 0; i < 5; i++)
		cm_timer_fini(&r.t[i]);
	assert_true(!r.t[0].armed);
	cm_loop_free(r.loop);
	return in_time;
}

/* All are due when the loop gets to them: high, normal, low; a callback may take another timer away or arm
 * its own again (a normal one that does comes before the low ones, as ever). */
static void test_timers(void **state)
{
	(void)state;
	while (!timers_ring())
		continue; /* a busy machine held us up */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
