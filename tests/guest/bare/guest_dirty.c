/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_dirty.c - mode=dirty: writes pages at a set rate over a set working set.
 *
 *	set=SIZE	the working set (64M)
 *	dirty=N		page writes a second (10000; 0: as fast as it goes)
 *	order=seq|random
 *
 * Each write is one word, so the rate is bound by dirty logging and not by memory. Says once a
 *second what it reached.
 */
#include "guest.h"

#define SLICE 512u

static struct guest_pace pace;
static uint64_t *set, pages, at, written, said_ns, said_written;
static bool random_order;

static void init(void)
{
	uint64_t bytes = guest_param_number("set", 64ull << 20);
	const char *order = guest_param("order");

	pages = bytes / 4096 ? bytes / 4096 : 1;
	set = guest_pages(pages * 4096);
	random_order = order && guest_starts(order, "random");
	guest_pace_start(&pace, guest_param_number("dirty", 10000));
	said_ns = guest_now_ns();
}

static void write_one(void)
{
	uint64_t page = random_order ? guest_random() % pages : at;

	*(volatile uint64_t *)(set + page * 512 + written % 512) = written;
	at = at + 1 == pages ? 0 : at + 1;
	written++;
	pace.done++;
}

static void say(uint64_t now)
{
	guest_say("dirty pages/s=%lu", (written - said_written) * GUEST_NS_S / (now - said_ns));
	said_ns = now;
	said_written = written;
}

static uint64_t poll(uint64_t now)
{
	if (now - said_ns >= GUEST_NS_S)
		say(now);
	for (unsigned i = 0; i < SLICE; i++) {
		uint64_t due = guest_pace_due_ns(&pace, now);

		if (due > now) /* not more than 1000 wake-ups a second */
			return due > now + GUEST_NS_MS ? due : now + GUEST_NS_MS;
		write_one();
	}
	return now;
}

const struct guest_module guest_dirty_module = {"dirty", init, poll};
