/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_fsm.c - the engine of state machines: actions, IGN, BAD, follow-up events, and a hole
 * that is found.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_fsm.h"
#include "common/cm_log.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fsm),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
