/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_fsm.h - full-table state machines that print themselves.
 *
 * A machine is a 2-D table [state][event] of cells. Every cell is an action with its next state,
 * IGN (nothing happens, by intent) or BAD (must not happen; logged as an error and nothing
 * changes). A cell that was left out is neither and is refused by cm_fsm_check, so tables are
 * complete. Only cm_fsm_feed changes the state, and it writes one line: "LABEL: RUN
 * --LEASE_LOST(renewal timed out)--> STOPPING".
 *
 * Actions return the next event to feed (0: none), they never set the state. State and event 0 are
 * invalid by rule.
 *
 * Thread: a machine belongs to one thread.
 */
#ifndef CM_FSM_H
#define CM_FSM_H

#include <stdbool.h>
#include <stdio.h>

#include "common/cm_err.h"

enum cm_fsm_kind { CM_FSM_MISSING = 0, CM_FSM_ACT, CM_FSM_IGN, CM_FSM_BAD };

/* The state has changed already when the action runs. event_arg is what the feeder gave. */
typedef unsigned (*cm_fsm_action_fn)(void *ctx, void *event_arg);

struct cm_fsm_cell {
	enum cm_fsm_kind kind;
	unsigned next;
	cm_fsm_action_fn action; /* may be NULL: only the state changes */
};
// clang-format off
#define CM_ACT(next_state, fn) { CM_FSM_ACT, next_state, fn }
#define CM_IGN                 { CM_FSM_IGN, 0, NULL }
#define CM_BAD                 { CM_FSM_BAD, 0, NULL }
// clang-format on

struct cm_fsm_def {
	const char *name;
	unsigned states, events; /* counts including the invalid 0 */
	const char *const *state_names, *const *event_names;
	const struct cm_fsm_cell
		*cells; /* states * events, row by row; row 0 and column 0 unused */
};

struct cm_fsm {
	const struct cm_fsm_def *def;
	void *ctx;
	const char *label; /* borrowed */
	unsigned state;
	bool feeding;
};

void cm_fsm_init(struct cm_fsm *m, const struct cm_fsm_def *def, unsigned state, void *ctx,
		 const char *label);
/* Feeds one event and those that actions return. reason: for the log, may be "". False: a BAD cell
 * was hit. */
bool cm_fsm_feed(struct cm_fsm *m, unsigned event, const char *reason, void *event_arg);
const char *cm_fsm_state_name(const struct cm_fsm *m);
/* 0 if every cell is filled and every next state exists; else fills err with the first hole. */
int cm_fsm_check(const struct cm_fsm_def *def, struct cm_err *err);
void cm_fsm_dot(const struct cm_fsm_def *def, FILE *to);

/* X-macro helpers: from LIST(XX) with XX(NAME) make the enum and the names. */
#define CM_FSM_ENUM_ROW(n) n,
#define CM_FSM_NAME_ROW(n) #n,

/*
 * The definition of a machine: names and sizes come from the lists, so they cannot drift from the enums.
 * States and events have an invalid 0 (X_NONE) and end with X_COUNT. All machines are written alike:
 *
 *	#define LAMP_STATES(XX) XX(OFF) XX(LIT)
 *	#define LAMP_EVENTS(XX) XX(PUSH) XX(BREAK)
 *	enum { S_NONE,
 *	#define XX(n) S_##n,
 *	       LAMP_STATES(XX)
 *	#undef XX
 *	       S_COUNT };                           (the same for E_)
 *	#define A(next, fn) CM_ACT(S_##next, fn)
 *	#define ON(s, e)    [S_##s * E_COUNT + E_##e]
 *	static const struct cm_fsm_cell lamp_cells[S_COUNT * E_COUNT] = {
 *		ON(OFF, PUSH) = A(LIT, act_light),
 *		ON(OFF, BREAK) = CM_IGN,
 *		...
 *	};
 *	CM_FSM_DEFINE(lamp_def, "lamp", LAMP_STATES, LAMP_EVENTS, lamp_cells);
 *
 * The first state of the list is the one that a machine begins in; tests/unit/test_cm_fsm.c walks every machine.
 */
#define CM_FSM_DEFINE(def, text, STATES, EVENTS, table)                                            \
	static const char *const def##_states[] = {"NONE", STATES(CM_FSM_NAME_ROW)};               \
	static const char *const def##_events[] = {"NONE", EVENTS(CM_FSM_NAME_ROW)};               \
	_Static_assert(CM_ARRAY_LEN(def##_states) * CM_ARRAY_LEN(def##_events) ==                  \
			       sizeof table / sizeof(struct cm_fsm_cell),                          \
		       "a row or a column of the table is missing");                               \
	static const struct cm_fsm_def def = {                                                     \
		.name = text,                                                                      \
		.states = CM_ARRAY_LEN(def##_states),                                              \
		.events = CM_ARRAY_LEN(def##_events),                                              \
		.state_names = def##_states,                                                       \
		.event_names = def##_events,                                                       \
		.cells = table,                                                                    \
	}

#endif
