/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_jump.h - has more time passed than our clock says?
 *
 * CLOCK_BOOTTIME counts a suspended host's sleep, but not the time in which a host that is itself a virtual machine
 * was paused by its hypervisor. Two other clocks may have gone on: the wall clock, when it was set
 * right afterwards, and the time-stamp counter, which most hypervisors let run (used where the CPU says that it is
 * invariant). Whatever may be done "until T" ends by the clock that counted most. A wall clock that is set
 * forward looks the same as such a pause: whoever holds a permit has to ask for a new one,
 * which costs a renewal. If no clock shows the pause, nobody in the host can know of it: see stor_timing.h.
 *
 * Thread: cm_jump_learn [one thread], the others [any].
 */
#ifndef CM_JUMP_H
#define CM_JUMP_H

#include <stdint.h>

/* An instant on all clocks. */
struct cm_mark {
	uint64_t now_ns, wall_ns, tsc;
};

/* Something cheap that goes on, to ask the above only now and then; 0: there is nothing of that kind. */
uint64_t cm_ticks(void);

/* The instant of now. */
struct cm_mark cm_mark(void);
/* Learns how fast the time-stamp counter runs, from the interval since the last call. */
void cm_jump_learn(void);
/* By how much another clock has run ahead of cm_now_ns() since then, ns. */
uint64_t cm_jump_ns(const struct cm_mark *since);

/* Tests: the other clocks have run ahead by so much more. */
void cm_jump_pretend(uint64_t ns);

#endif
