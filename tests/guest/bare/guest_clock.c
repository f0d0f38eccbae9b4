/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_clock.c - mode=clock: clock and processor checks on every processor.
 *
 *	slack=NS	how far kvmclock may differ between processors before it counts as a step
 *back (0) clockfail=1	stop the guest at the first step back (otherwise only counted)
 *
 * Every processor reads the TSC and kvmclock in bursts, sleeps 1 ms by its own LAPIC timer, and
 *counts: TSC steps back on the same processor, kvmclock steps back on the same processor and
 *against the highest value that any processor has seen, the greatest gap between two bursts (a
 *pause or migration shows there), and whether atomic additions of all processors to one word add
 *up. The boot processor reports once a second.
 */
#include "guest.h"

#define BURST 64u

static struct clock_cpu {
	volatile uint64_t bursts, tsc_back, clock_back, cross_back, max_gap_ns, added;
	uint64_t tsc, ns;
	uint8_t pad[64];
} cpu_state[GUEST_MAX_CPUS];

static volatile uint64_t highest_ns, sum;
static uint64_t slack_ns, said_ns, due_ns;

static uint64_t read_ns(unsigned cpu)
{
	return guest_has_kvmclock ? guest_kvmclock_ns(cpu) : cpu ? 0 : guest_now_ns();
}

static void look(unsigned cpu, struct clock_cpu *c)
{
	uint64_t high = __atomic_load_n(&highest_ns, __ATOMIC_SEQ_CST);
	uint64_t tsc = guest_tsc(), ns = read_ns(cpu);

	if (tsc < c->tsc)
		c->tsc_back++;
	if (ns < c->ns)
		c->clock_back++;
	if (ns && ns + slack_ns < high)
		c->cross_back++;
	if (c->ns && ns > c->ns && ns - c->ns > c->max_gap_ns)
		c->max_gap_ns = ns - c->ns;
	c->tsc = tsc;
	c->ns = ns;
	while (ns > high && !__atomic_compare_exchange_n(&highest_ns, &high, ns, false,
							 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static void burst(unsigned cpu)
{
	struct clock_cpu *c = &cpu_state[cpu];

	for (unsigned i = 0; i < BURST; i++) {
		look(cpu, c);
		c->added++;
		__atomic_fetch_add(&sum, 1, __ATOMIC_SEQ_CST);
	}
	c->bursts++;
}

void guest_clock_cpu(unsigned cpu)
{
	for (;;) {
		burst(cpu);
		guest_sleep_cpu(GUEST_NS_MS);
	}
}

static void init(void)
{
	slack_ns = guest_param_number("slack", 0);
	said_ns = guest_now_ns();
}

static void say(void)
{
	uint64_t added, tsc_back = 0, clock_back = 0, cross_back = 0, gap = 0, bursts = 0, before,
			after;
	unsigned cpus = 0;

	before = sum;
	added = 0;
	for (unsigned i = 0; i < GUEST_MAX_CPUS; i++) {
		const struct clock_cpu *c = &cpu_state[i];

		cpus += c->bursts > 0;
		bursts += c->bursts;
		added += c->added;
		tsc_back += c->tsc_back;
		clock_back += c->clock_back;
		cross_back += c->cross_back;
		gap = c->max_gap_ns > gap ? c->max_gap_ns : gap;
	}
	after = sum;
	guest_say("clock cpus=%u bursts=%lu tsc_back=%lu clock_back=%lu cross_back=%lu "
		  "max_gap_us=%lu",
		  cpus, bursts, tsc_back, clock_back, cross_back, gap / 1000);
	/* Each processor counts first and adds then: it is never behind the sum and at most one
	 * ahead. */
	if (added < before || added > after + GUEST_MAX_CPUS)
		guest_fail("clock: atomic additions do not add up");
	if ((tsc_back || clock_back || cross_back) && guest_param_number("clockfail", 0))
		guest_fail("clock: a clock went back");
}

static uint64_t poll(uint64_t now)
{
	if (now < due_ns)
		return due_ns;
	burst(0);
	due_ns = now + GUEST_NS_MS;
	if (now - said_ns >= GUEST_NS_S) {
		said_ns = now;
		say();
	}
	return due_ns;
}

const struct guest_module guest_clock_module = {"clock", init, poll};
