/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_clock.h - the one clock: monotonic nanoseconds, replaceable by a virtual clock in simulations.
 *
 * CLOCK_BOOTTIME, so that a host that was suspended sees its leases as expired. Thread: [any].
 */
#ifndef CM_CLOCK_H
#define CM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CM_NS_PER_MS 1000000ull
#define CM_NS_PER_S  1000000000ull

uint64_t cm_now_ns(void);
static inline uint64_t cm_now_ms(void)
{
	return cm_now_ns() / CM_NS_PER_MS;
}
/* Wall clock, for people's eyes only (logs, events): never for intervals. */
uint64_t cm_wall_ns(void);

/* Tests: switch to a virtual clock that starts at ns and moves only by cm_clock_advance(). */
void cm_clock_set_virtual(bool on, uint64_t ns);
void cm_clock_advance(uint64_t ns);
bool cm_clock_is_virtual(void);

#endif
