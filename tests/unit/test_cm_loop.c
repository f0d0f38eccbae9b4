/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of common/: errors, buffers, loop, state machines, fault points, clock. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_buf.h"
#include "common/cm_clock.h"
#include "common/cm_err.h"
#include "common/cm_fault.h"
#include "common/cm_fsm.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "common/cm_timers.h"

static void err_each(int code, void *arg)
{
	int *n = arg;

	assert_true(code <= -2000);
	assert_int_equal(cm_err_find(cm_err_name(code)), code);
	assert_true(strlen(cm_err_text(code)) > 0 && strlen(cm_err_fix(code)) > 0);
	(*n)++;
}

static void test_err(void **state)
{
	struct cm_err e = CM_ERR_INIT;
	int n = 0;

	(void)state;
	cm_err_each(err_each, &n);
	assert_true(n > 40);
	assert_int_equal(cm_err_find("2003"), CM_E_NO_VM);
	assert_int_equal(cm_err_find("ENOENT"), -ENOENT);
	assert_int_equal(cm_err_find("nonsense"), 0);
	assert_int_equal(cm_err_set(&e, CM_E_NO_VM, "no VM '%s'", "a"), CM_E_NO_VM);
	cm_err_set(&e, CM_E_IO, "later");
	assert_int_equal(e.code, CM_E_NO_VM); /* the first one wins */
	cm_err_prefix(&e, "start");
	assert_string_equal(e.text, "start: no VM 'a'");
}

static void test_buf(void **state)
{
	struct cm_buf b;
	struct cm_rd r;
	char s[8];

	(void)state;
	cm_buf_init(&b, 64);
	cm_buf_u8(&b, 1);
	cm_buf_u16(&b, 0x1234);
	cm_buf_u32(&b, 0xdeadbeef);
	cm_buf_u64(&b, 0x0123456789abcdefull);
	cm_buf_str(&b, "hello");
	assert_int_equal(b.err, 0);
	r = cm_rd_init(b.data, b.len);
	assert_int_equal(cm_rd_u8(&r), 1);
	assert_int_equal(cm_rd_u16(&r), 0x1234);
	assert_int_equal(cm_rd_u32(&r), 0xdeadbeef);
	assert_true(cm_rd_u64(&r) == 0x0123456789abcdefull);
	cm_rd_str(&r, s, sizeof s);
	assert_string_equal(s, "hello");
	assert_int_equal(cm_rd_left(&r), 0);
	assert_int_equal(cm_rd_u8(&r), 0);
	assert_int_equal(r.err, -EBADMSG);
	/* a string that does not fit its target is an error, not a cut */
	r = cm_rd_init(b.data + 15, b.len - 15);
	cm_rd_str(&r, s, 5);
	assert_int_equal(r.err, -EBADMSG);
	for (int i = 0; i < 20; i++)
		cm_buf_u64(&b, 0);
	assert_int_equal(b.err, -EMSGSIZE);
	assert_true(b.len <= 64);
	cm_buf_fini(&b);
	/* RFC 3720 B.4: 32 bytes of zeroes */
	assert_int_equal(cm_crc32c(0, (uint8_t[32]){0}, 32), 0x8a9136aa);
	assert_int_equal(cm_crc32c(cm_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

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

/* Any order of adding and removing: the first one is always the earliest of those that are in. */
static void test_timer_heap(void **state)
{
	struct cm_timer t[97] = {0};
	struct cm_timers set = {0};
	bool in[97] = {false};

	(void)state;
	srand(7);
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)rand() % CM_ARRAY_LEN(t), n = 0;
		struct cm_timer *first;
		uint64_t least = UINT64_MAX;

		if (in[i]) {
			cm__timers_remove(&set, &t[i]);
		} else {
			t[i].due_ns = (uint64_t)rand() % 50;
			cm__timers_add(&set, &t[i]);
		}
		in[i] = !in[i];
		for (size_t k = 0; k < CM_ARRAY_LEN(t); k++) {
			if (in[k] && t[k].due_ns < least)
				least = t[k].due_ns;
			n += in[k];
		}
		first = cm__timers_first(&set);
		assert_int_equal(set.n, n);
		assert_true(n ? first && first->due_ns == least : !first);
	}
	cm__timers_fini(&set);
}

struct ring {
	struct cm_loop *loop;
	struct cm_timer t[5];
	char order[16];
	size_t rung;
	int again;
};

static void ring(struct cm_timer *t, void *arg)
{
	struct ring *r = arg;

	assert_false(t->armed);
	r->order[r->rung++] = (char)('0' + (t - r->t));
	if (t == &r->t[0])
		cm_timer_disarm(&r->t[3]); /* due as well, but not called yet */
	if (t == &r->t[1] && r->again--)
		cm_timer_arm_ns(t, 0);
	if (t == &r->t[4])
		cm_loop_stop(r->loop, 0);
}

/* All are due when the loop gets to them: high, normal, low; a callback may take another timer away or arm
 * its own again (a normal one that does comes before the low ones, as ever). */
static void test_timers(void **state)
{
	static const enum cm_prio prio[5] = {CM_PRIO_HIGH, CM_PRIO_NORMAL, CM_PRIO_LOW, CM_PRIO_NORMAL,
					     CM_PRIO_NORMAL};
	struct ring r = {.loop = cm_loop_new(NULL), .again = 2};

	(void)state;
	for (int i = 4; i >= 0; i--) {
		cm_timer_init(&r.t[i], r.loop, ring, &r);
		cm_timer_set_prio(&r.t[i], prio[i]);
	}
	for (int i = 0; i < 4; i++)
		cm_timer_arm_ns(&r.t[i], 3u * (uint64_t)(4 - i));
	cm_timer_arm_ms(&r.t[4], 20);
	cm_timer_arm_ms(&r.t[3], 1000000);
	cm_timer_arm_ns(&r.t[3], 1); /* a second time: the first is forgotten */
	usleep(1000);
	cm_loop_run(r.loop);
	assert_string_equal(r.order, "011124");
	cm_timer_arm_ms(&r.t[0], UINT64_MAX / 2000000); /* for ever */
	for (int i = 0; i < 5; i++)
		cm_timer_fini(&r.t[i]);
	assert_true(!r.t[0].armed);
	cm_loop_free(r.loop);
}

#define T_STATES(XX) XX(T_NONE) XX(T_OFF) XX(T_ON)
#define T_EVENTS(XX) XX(TE_NONE) XX(TE_PUSH) XX(TE_BREAK) XX(TE_AGAIN)
enum t_state { T_STATES(CM_FSM_ENUM_ROW) T_STATE_COUNT };
enum t_event { T_EVENTS(CM_FSM_ENUM_ROW) T_EVENT_COUNT };
static const char *const t_states[] = {T_STATES(CM_FSM_NAME_ROW)};
static const char *const t_events[] = {T_EVENTS(CM_FSM_NAME_ROW)};

static unsigned t_push_on(void *ctx, void *arg)
{
	(void)arg;
	(*(int *)ctx)++;
	return TE_AGAIN;
}

static const struct cm_fsm_cell t_cells[T_STATE_COUNT][T_EVENT_COUNT] = {
	[T_OFF] = {[TE_PUSH] = CM_ACT(T_ON, t_push_on), [TE_BREAK] = CM_IGN, [TE_AGAIN] = CM_BAD},
	[T_ON] = {[TE_PUSH] = CM_ACT(T_OFF, NULL), [TE_BREAK] = CM_BAD, [TE_AGAIN] = CM_IGN},
};
static const struct cm_fsm_def t_def = {"toggle", T_STATE_COUNT, T_EVENT_COUNT,
					t_states, t_events,	 &t_cells[0][0]};

static void test_fsm(void **state)
{
	struct cm_fsm m;
	struct cm_fsm_cell holed[T_STATE_COUNT][T_EVENT_COUNT];
	struct cm_fsm_def bad = t_def;
	int pushed = 0;

	(void)state;
	assert_int_equal(cm_fsm_check(&t_def, NULL), 0);
	cm_fsm_init(&m, &t_def, T_OFF, &pushed, "t");
	assert_true(cm_fsm_feed(&m, TE_BREAK, "test", NULL));
	assert_true(cm_fsm_feed(&m, TE_PUSH, "test", NULL));
	assert_int_equal(m.state, T_ON);
	assert_int_equal(pushed, 1);
	assert_false(cm_fsm_feed(&m, TE_BREAK, "test", NULL));
	assert_int_equal(m.state, T_ON);
	memcpy(holed, t_cells, sizeof holed);
	holed[T_ON][TE_AGAIN].kind = CM_FSM_MISSING;
	bad.cells = &holed[0][0];
	assert_int_not_equal(cm_fsm_check(&bad, NULL), 0);
}

static void test_fault(void **state)
{
	(void)state;
#ifdef HV_FAULT_POINTS
	assert_int_equal(cm_fault_arm("a=error:5@2,b=error:28", NULL), 0);
	assert_int_equal(cm_fault("a"), 0);
	assert_int_equal(cm_fault("a"), -5);
	assert_int_equal(cm_fault("a"), 0);
	assert_int_equal(cm_fault("b"), -28);
	assert_int_equal(cm_fault_arm("a=dance", NULL), CM_E_BAD_VALUE);
	assert_int_equal(cm_fault("b"), -28); /* a bad spec changes nothing */
	assert_int_equal(cm_fault_arm("", NULL), 0);
	assert_int_equal(cm_fault("b"), 0);
#endif
}

static void test_clock(void **state)
{
	uint64_t a = cm_now_ns();

	(void)state;
	assert_true(cm_now_ns() >= a);
	cm_clock_set_virtual(true, 1000);
	cm_clock_advance(5);
	assert_int_equal(cm_now_ns(), 1005);
	cm_clock_set_virtual(false, 0);
	assert_true(cm_now_ns() >= a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),   cmocka_unit_test(test_buf),
		cmocka_unit_test(test_loop),  cmocka_unit_test(test_fsm),
		cmocka_unit_test(test_timers), cmocka_unit_test(test_timer_heap),
		cmocka_unit_test(test_fault), cmocka_unit_test(test_clock),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
