/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_clock.c - monotonic and virtual clock. Parses nothing.
 */
#include "config.h"

#include "common/cm_clock.h"

#include <stdatomic.h>
#include <time.h>

static atomic_bool clock_virtual;
static atomic_uint_fast64_t clock_virtual_ns;

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t cm_now_ns(void)
{
	if (atomic_load_explicit(&clock_virtual, memory_order_relaxed))
		return atomic_load(&clock_virtual_ns);
	return clock_read(CLOCK_BOOTTIME);
}

uint64_t cm_wall_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

void cm_clock_set_virtual(bool on, uint64_t ns)
{
	atomic_store(&clock_virtual_ns, ns);
	atomic_store(&clock_virtual, on);
}

bool cm_clock_is_virtual(void)
{
	return atomic_load_explicit(&clock_virtual, memory_order_relaxed);
}

void cm_clock_advance(uint64_t ns)
{
	atomic_fetch_add(&clock_virtual_ns, ns);
}
