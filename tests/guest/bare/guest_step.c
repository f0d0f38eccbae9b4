/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_step.c - mode=step: the page stepper, the judge of migrated memory.
 *
 *	pages=N		how many pages (4096)
 *	steps=N		page steps a second (0: as fast as it goes)
 *
 * Pass n writes n at both ends of page 0, 1, 2 ... So at every instant the pages read n up to one
 *edge and n - 1 after it. Before a page is written both its words must be n - 1: a page that a
 *migration or a restore lost or brought back stale stops the guest with FAILED. Once in
 *CHECK_PASSES passes, and at once when time jumps (as it does after a move), the whole set is
 *looked at for exactly one edge.
 *
 * guest_step_info is at a symbol of the image: a host tool can find the pages and check a memory
 *image the same way.
 */
#include "guest.h"

#define WORDS	     512u
#define CHECK_PASSES 16u
#define JUMP_NS	     (2 * GUEST_NS_MS)
#define SLICE	     256u

struct step_info {
	char magic[8];
	uint64_t gpa, pages, pass, at; /* pages before `at` have `pass`, the others pass - 1 */
};

struct step_info guest_step_info = {"HVSTEP1", 0, 0, 0, 0};
static struct guest_pace pace;
static uint64_t last_ns, checks;

static void bad(uint64_t page, uint64_t first, uint64_t last)
{
	guest_say("page %lu has %lu and %lu in pass %lu at %lu", page, first, last,
		  guest_step_info.pass, guest_step_info.at);
	guest_fail("step: wrong page");
}

static void check_edge(void)
{
	const uint64_t *p = (const uint64_t *)guest_step_info.gpa;

	for (uint64_t i = 0; i < guest_step_info.pages; i++, p += WORDS) {
		uint64_t want = guest_step_info.pass - (i >= guest_step_info.at);

		if (p[0] != want || p[WORDS - 1] != want)
			bad(i, p[0], p[WORDS - 1]);
	}
	checks++;
}

static void init(void)
{
	guest_step_info.pages = guest_param_number("pages", 4096);
	guest_step_info.gpa = (uint64_t)guest_pages(guest_step_info.pages * 4096);
	guest_step_info.pass = 1;
	guest_pace_start(&pace, guest_param_number("steps", 0));
	last_ns = guest_now_ns();
}

static void next_pass(void)
{
	guest_step_info.at = 0;
	guest_step_info.pass++;
	if (guest_step_info.pass % CHECK_PASSES == 0)
		check_edge();
	if ((guest_step_info.pass & (guest_step_info.pass - 1)) == 0)
		guest_say("step pass=%lu checks=%lu", guest_step_info.pass, checks);
}

static void step(void)
{
	uint64_t *p = (uint64_t *)guest_step_info.gpa + guest_step_info.at * WORDS;
	uint64_t n = guest_step_info.pass;

	if (p[0] != n - 1 || p[WORDS - 1] != n - 1)
		bad(guest_step_info.at, p[0], p[WORDS - 1]);
	p[0] = n;
	p[WORDS - 1] = n;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (++guest_step_info.at == guest_step_info.pages)
		next_pass();
	pace.done++;
}

static uint64_t poll(uint64_t now)
{
	if (now - last_ns > JUMP_NS + (pace.rate ? GUEST_NS_S / pace.rate : 0))
		check_edge();
	last_ns = now;
	for (unsigned i = 0; i < SLICE; i++) {
		uint64_t due = guest_pace_due_ns(&pace, now);

		if (due > now) /* not more than 1000 wake-ups a second */
			return due > now + GUEST_NS_MS ? due : now + GUEST_NS_MS;
		step();
	}
	return now;
}

const struct guest_module guest_step_module = {"step", init, poll};
