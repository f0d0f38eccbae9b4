/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cm_fsm.c - the engine of state machines, and a walk through every cell of every machine of the product.
 *
 * A new machine gets a row in `machines` (scripts/check-layers says so if it has none). docs/fsm/NAME.dot is the picture of each,
 * written by "test_cm_fsm dot NAME"; it is compared here, so a table changes only together with its picture.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/move/clu_move.h"
#include "common/cm_fsm.h"
#include "hvcore/vm/hv_vm_fsm.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"
#include "sharedstorage/iscsi/stor_iscsi.h"
#include "sharedstorage/lease/stor_lease.h"

#define CELLS_MAX 512

struct machine {
	const char *name;
	const struct cm_fsm_def *(*def)(void);
	const char *last; /* states without a way out, space separated */
};

static const struct machine machines[] = {
	{"lease", stor_lease_fsm, "GONE"},     {"iscsi", stor_iscsi_fsm, "OFF"},
	{"vm", hv_vm_fsm, "OFF"},	       {"move", clu_move_fsm, "ENDED"},
	{"mig_src", mig_src_fsm, "END"},       {"mig_dst", mig_dst_fsm, "END"},
};

/* --- the engine, by a machine of our own --------------------------------------------- */

#define T_STATES(XX) XX(OFF) XX(LIT) XX(BROKEN)
#define T_EVENTS(XX) XX(PUSH) XX(BREAK)
enum { S_NONE,
#define XX(n) S_##n,
       T_STATES(XX)
#undef XX
       S_COUNT };
enum { E_NONE,
#define XX(n) E_##n,
       T_EVENTS(XX)
#undef XX
       E_COUNT };

static unsigned act_push(void *ctx, void *arg)
{
	(void)arg;
	return ++*(unsigned *)ctx == 2 ? E_BREAK : E_NONE;
}

#define A(next, fn) CM_ACT(S_##next, fn)
#define ON(s, e)    [S_##s * E_COUNT + E_##e]
static const struct cm_fsm_cell t_cells[S_COUNT * E_COUNT] = {
	ON(OFF, PUSH) = A(LIT, act_push), ON(OFF, BREAK) = CM_IGN,
	ON(LIT, PUSH) = A(OFF, NULL),	  ON(LIT, BREAK) = A(BROKEN, NULL),
	ON(BROKEN, PUSH) = CM_BAD,	  ON(BROKEN, BREAK) = CM_IGN,
};
CM_FSM_DEFINE(t_def, "lamp", T_STATES, T_EVENTS, t_cells);

static void test_feed(void **state)
{
	unsigned pushed = 0;
	struct cm_fsm m;

	(void)state;
	assert_int_equal(cm_fsm_check(&t_def, NULL), 0);
	cm_fsm_init(&m, &t_def, S_OFF, &pushed, "t");
	assert_true(cm_fsm_feed(&m, E_BREAK, "test", NULL));
	assert_int_equal(m.state, S_OFF);
	assert_true(cm_fsm_feed(&m, E_PUSH, "test", NULL));
	assert_string_equal(cm_fsm_state_name(&m), "LIT");
	assert_true(cm_fsm_feed(&m, E_PUSH, "test", NULL));
	assert_int_equal(m.state, S_OFF);
	assert_true(cm_fsm_feed(&m, E_PUSH, "test", NULL)); /* the action's event follows */
	assert_int_equal(m.state, S_BROKEN);
	assert_false(cm_fsm_feed(&m, E_PUSH, "test", NULL));
	assert_int_equal(m.state, S_BROKEN);
}

/* --- what every machine has to fulfil -------------------------------------------------- */

static const struct cm_fsm_cell *cell_of(const struct cm_fsm_def *d, unsigned s, unsigned e)
{
	return &d->cells[s * d->events + e];
}

static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (strcspn(p, " ") == n && memcmp(p, word, n) == 0)
			return true;
	return false;
}

/* Every state but `last` has a way out, and those have none; text: what is wrong, "" nothing. */
static void judge_ends(const struct cm_fsm_def *d, const char *last, char *text, size_t cap)
{
	for (unsigned s = 1; s < d->states; s++) {
		bool out = false;

		for (unsigned e = 1; e < d->events; e++) {
			const struct cm_fsm_cell *c = cell_of(d, s, e);

			out |= c->kind == CM_FSM_ACT && c->next != s;
		}
		if (out == in_list(last, d->state_names[s])) {
			snprintf(text, cap, "%s: %s", d->state_names[s], out ? "is left" : "is never left");
			return;
		}
	}
}

/* Every state can be reached from the first one; every event is acted on somewhere. */
static void judge_use(const struct cm_fsm_def *d, char *text, size_t cap)
{
	bool reached[64] = {[1] = true}, more = true;

	assert_true(d->states <= CM_ARRAY_LEN(reached));
	while (more) {
		more = false;
		for (unsigned s = 1; s < d->states; s++)
			for (unsigned e = 1; reached[s] && e < d->events; e++) {
				const struct cm_fsm_cell *c = cell_of(d, s, e);

				if (c->kind == CM_FSM_ACT && !reached[c->next])
					more = reached[c->next] = true;
			}
	}
	for (unsigned s = 1; s < d->states; s++)
		if (!reached[s])
			snprintf(text, cap, "%s is never reached", d->state_names[s]);
	for (unsigned e = 1; e < d->events; e++) {
		bool used = false;

		for (unsigned s = 1; s < d->states; s++)
			used |= cell_of(d, s, e)->kind == CM_FSM_ACT;
		if (!used)
			snprintf(text, cap, "nothing is ever done on %s", d->event_names[e]);
	}
}

static void judge(const struct cm_fsm_def *d, const char *last, char *text, size_t cap)
{
	struct cm_err err = CM_ERR_INIT;

	text[0] = '\0';
	if (cm_fsm_check(d, &err) < 0) {
		snprintf(text, cap, "%s", err.text);
		return;
	}
	judge_ends(d, last, text, cap);
	judge_use(d, text, cap);
}

/* Feeds every event in every state, through the engine; the actions themselves are left out. */
static void walk(const struct cm_fsm_def *d)
{
	static struct cm_fsm_cell cells[CELLS_MAX];
	struct cm_fsm_def bare = *d;

	assert_true(d->states * d->events <= CM_ARRAY_LEN(cells));
	memcpy(cells, d->cells, d->states * d->events * sizeof *cells);
	for (unsigned i = 0; i < d->states * d->events; i++)
		cells[i].action = NULL;
	bare.cells = cells;
	for (unsigned s = 1; s < d->states; s++)
		for (unsigned e = 1; e < d->events; e++) {
			const struct cm_fsm_cell *c = cell_of(d, s, e);
			struct cm_fsm m;

			cm_fsm_init(&m, &bare, s, NULL, d->name);
			assert_int_equal(cm_fsm_feed(&m, e, "walk", NULL), c->kind != CM_FSM_BAD);
			assert_int_equal(m.state, c->kind == CM_FSM_ACT ? c->next : s);
		}
}

static void test_every_cell(void **state)
{
	char text[256];

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(machines); i++) {
		const struct cm_fsm_def *d = machines[i].def();

		assert_string_equal(d->name, machines[i].name);
		judge(d, machines[i].last, text, sizeof text);
		if (text[0])
			fail_msg("%s: %s", d->name, text);
		walk(d);
	}
}

/* A judge that finds nothing is worth nothing: each kind of mistake, planted. */
static void test_planted(void **state)
{
	struct cm_fsm_cell cells[S_COUNT * E_COUNT];
	struct cm_fsm_def bad = t_def;
	static const struct {
		unsigned at;
		struct cm_fsm_cell cell;
		const char *last, *say;
	} plant[] = {
		{S_LIT * E_COUNT + E_BREAK, {CM_FSM_MISSING, 0, NULL}, "BROKEN", "no cell for BREAK in LIT"},
		{S_LIT * E_COUNT + E_BREAK, {CM_FSM_ACT, S_COUNT, NULL}, "BROKEN", "leads nowhere"},
		{S_LIT * E_COUNT + E_BREAK, {CM_FSM_IGN, 0, NULL}, "BROKEN", "BREAK"},
		{S_LIT * E_COUNT + E_BREAK, {CM_FSM_ACT, S_OFF, NULL}, "BROKEN", "BROKEN is never reached"},
		{S_BROKEN * E_COUNT + E_PUSH, {CM_FSM_ACT, S_LIT, NULL}, "BROKEN", "BROKEN: is left"},
		{S_BROKEN * E_COUNT + E_PUSH, {CM_FSM_IGN, 0, NULL}, "", "BROKEN: is never left"},
	};

	(void)state;
	bad.cells = cells;
	for (size_t i = 0; i < CM_ARRAY_LEN(plant); i++) {
		char text[256];

		memcpy(cells, t_cells, sizeof cells);
		cells[plant[i].at] = plant[i].cell;
		judge(&bad, plant[i].last, text, sizeof text);
		if (!strstr(text, plant[i].say))
			fail_msg("plant %zu: \"%s\" does not say \"%s\"", i, text, plant[i].say);
	}
}

/* --- pictures ------------------------------------------------------------------------------ */

static void test_pictures(void **state)
{
	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(machines); i++) {
		char path[512], *now = NULL, kept[65536];
		size_t len = 0, n;
		FILE *f = open_memstream(&now, &len);

		assert_non_null(f);
		cm_fsm_dot(machines[i].def(), f);
		fclose(f);
		snprintf(path, sizeof path, "%s/docs/fsm/%s.dot", TOP_SRCDIR, machines[i].name);
		f = fopen(path, "re");
		if (!f)
			fail_msg("no %s: tests/unit/test_cm_fsm dot %s writes it", path, machines[i].name);
		n = fread(kept, 1, sizeof kept, f);
		fclose(f);
		if (n != len || memcmp(kept, now, n) != 0)
			fail_msg("%s is not the table's picture: tests/unit/test_cm_fsm dot %s >%s", path, machines[i].name, path);
		free(now);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_feed),
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_planted),
		cmocka_unit_test(test_pictures),
	};

	if (argc == 3 && strcmp(argv[1], "dot") == 0) {
		for (size_t i = 0; i < CM_ARRAY_LEN(machines); i++)
			if (strcmp(machines[i].name, argv[2]) == 0) {
				cm_fsm_dot(machines[i].def(), stdout);
				return 0;
			}
		fprintf(stderr, "test_cm_fsm: no machine %s\n", argv[2]);
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
