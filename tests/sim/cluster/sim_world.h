/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_world.h - the world of one seed: its time, its chance, what happens next, and what was found wrong.
 *
 * Everything is decided by the seed; nothing here looks at a real clock. One thread.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_clock.h"
#include "common/cm_err.h"

#define SIM_MS CM_NS_PER_MS
#define SIM_S  CM_NS_PER_S

struct sim_proc;
struct sim_event {
	uint64_t at, seq; /* of the world's time; earlier ones of the same instant come first */
	unsigned prio;
	struct sim_proc *proc; /* who runs it; NULL: the world itself */
	void (*fn)(void *arg); /* NULL: cancelled */
	void *arg;
};

extern uint64_t sim_now; /* ns since the world began; no node knows it */

void sim_world_begin(uint64_t seed, bool verbose);
/* Frees all that sim_alloc gave. */
void sim_world_end(void);
/* Memory of the world, zeroed; lives until sim_world_end. */
void *sim_alloc(size_t bytes);

uint64_t sim_random(void);
uint64_t sim_below(uint64_t n);
uint64_t sim_between(uint64_t lo, uint64_t hi);
bool sim_chance(unsigned permille);

struct sim_event *sim_at(uint64_t at, void (*fn)(void *arg), void *arg);
struct sim_event *sim_at_proc(struct sim_proc *proc, uint64_t at, unsigned prio, void (*fn)(void *arg), void *arg);
/* It has not happened yet. */
void sim_cancel(struct sim_event *ev);
/* An event that was held back (its process stood still): it is put back as it was, not before `at`. */
void sim_again(struct sim_event *ev, uint64_t at);
/* Until then, or until something was found. dispatch: runs an event of a process, or keeps it (true). */
void sim_run(uint64_t until, bool (*dispatch)(struct sim_event *ev));

/* Something that must never be: ends the run. */
void sim_found(const char *fmt, ...) cm_printf(1, 2);
const char *sim_finding(void); /* NULL: nothing yet */
/* One line of the story, where it is wanted. */
void sim_say(const char *fmt, ...) cm_printf(1, 2);
bool sim_is_verbose(void);

#endif
