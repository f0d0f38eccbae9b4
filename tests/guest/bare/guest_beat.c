/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_beat.c - mode=beat: the heartbeat. One byte to the debug port at each beat, counting up
 *modulo 64 with bit 7 set (0x80..0xbf), so that an observer with one clock sees every lost, doubled
 *or late beat.
 *
 *	rate=N	beats a second (1000)
 *
 * A beat that could not be in time is not made up for: the next one is due one period after now.
 */
#include "guest.h"

static uint64_t period_ns, due_ns;
static uint32_t sequence;

static void init(void)
{
	uint64_t rate = guest_param_number("rate", 1000);

	period_ns = GUEST_NS_S / (rate ? rate : 1);
	due_ns = 0;
}

static uint64_t poll(uint64_t now)
{
	if (now < due_ns)
		return due_ns;
	guest_outb(GUEST_DEBUG_PORT, (uint8_t)(0x80 | (sequence++ & 0x3f)));
	due_ns = due_ns + period_ns > now ? due_ns + period_ns : now + period_ns;
	return due_ns;
}

const struct guest_module guest_beat_module = {"beat", init, poll};
