/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * beatd.c - the heartbeat of the Linux test guest: the same bytes on the debug port as the bare
 *guest's (tests/guest/README.md).
 *
 *	beatd RATE	beats a second
 *
 * "@" first, then 0x80..0xbf counting up modulo 64. A beat that could not be in time is not made up
 *for.
 */
#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/io.h>
#include <time.h>

#define DEBUG_PORT 0xe9

int main(int argc, char **argv)
{
	unsigned long rate = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct timespec due, now;
	unsigned sequence = 0;
	long period_ns;

	if (rate < 1 || rate > 100000)
		errx(2, "usage: beatd RATE");
	if (ioperm(DEBUG_PORT, 1, 1) < 0)
		err(1, "ioperm");
	period_ns = 1000000000l / (long)rate;
	outb('@', DEBUG_PORT);
	clock_gettime(CLOCK_MONOTONIC, &due);
	for (;;) {
		outb((uint8_t)(0x80 | (sequence++ & 0x3f)), DEBUG_PORT);
		due.tv_nsec += period_ns;
		due.tv_sec += due.tv_nsec / 1000000000l;
		due.tv_nsec %= 1000000000l;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > due.tv_sec ||
		    (now.tv_sec == due.tv_sec && now.tv_nsec > due.tv_nsec))
			due = now;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	}
}
