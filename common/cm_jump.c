/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_jump.c - see cm_jump.h. Parses nothing.
 */
#include "config.h"

#include "common/cm_jump.h"

#include <stdatomic.h>
#include <time.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "common/cm_clock.h"

/* Intervals from which the counter's speed is taken: long enough for reading the clocks not to matter. */
#define LEARN_MIN_NS (100 * CM_NS_PER_MS)

/* A pause makes the counter look faster, so the slowest of the last intervals counts; an odd one is forgotten. */
#define LEARNED 8

/* Ticks per 2^20 ns; 0: not known, or no use. */
static atomic_uint_fast64_t tsc_rate;
static atomic_uint_fast64_t pretended_ns;

void cm_jump_pretend(uint64_t ns)
{
	atomic_fetch_add(&pretended_ns, ns);
}

static uint64_t tsc_now(void)
{
#ifdef __x86_64__
	static _Atomic int usable; /* 1 yes, -1 no */

	if (!usable) {
		unsigned a, b, c, d = 0;

		usable = __get_cpuid(0x80000007, &a, &b, &c, &d) && d & 1u << 8 ? 1 : -1;
	}
	return usable > 0 ? __rdtsc() : 0;
#else
	return 0;
#endif
}

uint64_t cm_ticks(void)
{
	return tsc_now();
}

static uint64_t wall_now(void)
{
	return (cm_clock_is_virtual() ? cm_now_ns() : cm_wall_ns()) + pretended_ns;
}

/*
 * A thread may lose the CPU between any two of these readings, for long on a busy host. So they are taken in an
 * order in which that only makes a jump look smaller: for a mark ours before the others, to compare with one
 * ours after the others; and for what is learned, so that the counter looks faster.
 */
struct cm_mark cm_mark(void)
{
	struct cm_mark m = {.now_ns = cm_now_ns()};

	m.wall_ns = wall_now();
	m.tsc = cm_clock_is_virtual() ? 0 : tsc_now();
	return m;
}

/* Time in which this host ran: the counter may stand still while it sleeps. */
static uint64_t awake_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * CM_NS_PER_S + (uint64_t)t.tv_nsec;
}

void cm_jump_learn(void)
{
	static uint64_t from_ns, from_tsc, rates[LEARNED];
	static unsigned next;
	uint64_t before = tsc_now(), ns = awake_ns(), after = tsc_now(), slowest = 0;

	if (cm_clock_is_virtual() || !after || (from_tsc && after > from_tsc && ns - from_ns < LEARN_MIN_NS))
		return;
	if (from_tsc && after > from_tsc)
		rates[next++ % LEARNED] = (uint64_t)(((unsigned __int128)(after - from_tsc) << 20) / (ns - from_ns));
	from_ns = ns;
	from_tsc = before;
	for (unsigned i = 0; i < LEARNED; i++)
		if (rates[i] && (!slowest || rates[i] < slowest))
			slowest = rates[i];
	tsc_rate = slowest;
}

static uint64_t ahead(uint64_t other_ns, uint64_t ns)
{
	return (int64_t)other_ns > (int64_t)ns ? other_ns - ns : 0;
}

uint64_t cm_jump_ns(const struct cm_mark *since)
{
	uint64_t wall = wall_now(), tsc = cm_clock_is_virtual() ? 0 : tsc_now();
	uint64_t ns = cm_now_ns() - since->now_ns, rate = tsc_rate;
	uint64_t jump = ahead(wall - since->wall_ns, ns), tsc_ns;

	if (rate && since->tsc && tsc > since->tsc) {
		tsc_ns = (uint64_t)(((unsigned __int128)(tsc - since->tsc) << 20) / rate);
		jump = ahead(tsc_ns, ns) > jump ? ahead(tsc_ns, ns) : jump;
	}
	return jump;
}
