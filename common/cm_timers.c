/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cm_timers.c - a heap of timers; see cm_timers.h. Parses nothing. */
#include "config.h"

#include "common/cm_timers.h"

#include <stdlib.h>

#include "common/cm_loop.h"

static void timers_put(struct cm_timers *set, size_t at, struct cm_timer *t)
{
	set->heap[at] = t;
	t->at = at;
}

static void timers_up(struct cm_timers *set, size_t at, struct cm_timer *t)
{
	while (at) {
		size_t parent = (at - 1) / 2;

		if (set->heap[parent]->due_ns <= t->due_ns)
			break;
		timers_put(set, at, set->heap[parent]);
		at = parent;
	}
	timers_put(set, at, t);
}

static void timers_down(struct cm_timers *set, size_t at, struct cm_timer *t)
{
	for (size_t child; (child = 2 * at + 1) < set->n; at = child) {
		if (child + 1 < set->n && set->heap[child + 1]->due_ns < set->heap[child]->due_ns)
			child++;
		if (t->due_ns <= set->heap[child]->due_ns)
			break;
		timers_put(set, at, set->heap[child]);
	}
	timers_put(set, at, t);
}

void cm__timers_add(struct cm_timers *set, struct cm_timer *t)
{
	if (set->n == set->cap) {
		set->cap = set->cap ? 2 * set->cap : 16;
		set->heap = realloc(set->heap, set->cap * sizeof *set->heap);
		CM_ASSERT(set->heap);
	}
	timers_up(set, set->n++, t);
}

void cm__timers_remove(struct cm_timers *set, struct cm_timer *t)
{
	size_t at = t->at;
	struct cm_timer *last;

	CM_ASSERT(at < set->n && set->heap[at] == t);
	last = set->heap[--set->n];
	if (last == t)
		return;
	if (at && last->due_ns < set->heap[(at - 1) / 2]->due_ns)
		timers_up(set, at, last);
	else
		timers_down(set, at, last);
}

struct cm_timer *cm__timers_first(const struct cm_timers *set)
{
	return set->n ? set->heap[0] : NULL;
}

void cm__timers_fini(struct cm_timers *set)
{
	free(set->heap);
	*set = (struct cm_timers){0};
}
