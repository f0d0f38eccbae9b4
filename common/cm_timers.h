/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_timers.h - the armed timers of a loop by due time. For cm_loop.c and its test; everybody else
 * uses the cm_timer_* calls of cm_loop.h.
 *
 * A binary heap in an array; each timer knows its place in it, so removing one costs no search.
 * Timers that are due at the same instant come in any order.
 *
 * Thread: [loop]. Ownership: timers are borrowed while they are in.
 */
#ifndef CM_TIMERS_H
#define CM_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct cm_timer;

struct cm_timers {
	struct cm_timer **heap; /* the earliest one first */
	size_t n, cap;
};

/* t->due_ns is set; t is not in. Aborts if there is no memory: a lease timer must not be lost
 * silently. */
void cm__timers_add(struct cm_timers *set, struct cm_timer *t);
/* t is in. */
void cm__timers_remove(struct cm_timers *set, struct cm_timer *t);
/* NULL: none. */
struct cm_timer *cm__timers_first(const struct cm_timers *set);
void cm__timers_fini(struct cm_timers *set);

#endif
