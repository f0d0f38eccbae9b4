/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace ring and the windows of samples. See soft_watch.h. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/engine_soft/soft_mem.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_watch.h"

/* One instruction in 200 is some eight times as slow: a few percent while sampling is on. */
#define WINDOW_INSNS 1000u
#define WINDOW_EVERY 200000u

/* --- on and off ---------------------------------------------------------- */

static int watch_new(struct soft_cpu *cpu)
{
	struct soft_watch *w;

	if (cpu->watch)
		return 0;
	w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->seed = 0x9e3779b97f4a7c15ull + cpu->index;
	for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++)
		w->none.rd[i].tag = w->none.wr[i].tag = SOFT_TLB_NONE;
	for (unsigned int i = 0; i < SOFT_XTLB_SIZE; i++)
		w->none.ex[i].tag = SOFT_TLB_NONE;
	cpu->watch = w;
	return 0;
}

/* limit 0 is always right: the next block end looks around. */
static void settle(struct soft_cpu *cpu)
{
	cpu->observed = cpu->watch->tracing || cpu->probed;
	soft_set_cpl(cpu, cpu->cpl); /* chooses the TLB set */
	atomic_store(&cpu->limit, 0);
}

/* What was left of a block that ran when it was last seen. */
static void close_block(struct soft_cpu *cpu)
{
	struct soft_watch *w = cpu->watch;

	if (w->open)
		w->ring[(w->next - 1) % w->size].insns += cpu->icount - w->entered;
	w->open = false;
}

int soft_watch_trace(struct soft_cpu *cpu, uint32_t events)
{
	struct hv_trace_event *ring = NULL;
	struct soft_watch *w;

	if (!events && !cpu->watch)
		return 0;
	if (events)
		ring = calloc(events, sizeof *ring);
	if ((events && !ring) || watch_new(cpu)) {
		free(ring);
		return -ENOMEM;
	}
	w = cpu->watch;
	close_block(cpu);
	if (events) {
		free(w->ring);
		w->ring = ring;
		w->size = events;
		w->next = 0;
	}
	w->tracing = events != 0;
	settle(cpu);
	return 0;
}

int soft_watch_sample(struct soft_cpu *cpu, bool on)
{
	if (!on && !cpu->watch)
		return 0;
	if (watch_new(cpu))
		return -ENOMEM;
	cpu->watch->sampling = on;
	cpu->watch->window = cpu->icount;
	cpu->probed = false;
	settle(cpu);
	return 0;
}

void soft_watch_free(struct soft_cpu *cpu)
{
	if (!cpu->watch)
		return;
	free(cpu->watch->ring);
	free(cpu->watch);
	cpu->watch = NULL;
}

unsigned int soft_watch_events(const struct soft_cpu *cpu, struct hv_trace_event *out,
			       unsigned int max, uint64_t *total)
{
	const struct soft_watch *w = cpu->watch;
	unsigned int n;

	*total = w && w->ring ? w->next : 0;
	if (!*total)
		return 0;
	n = *total < w->size ? (unsigned int)*total : w->size;
	n = n < max ? n : max;
	for (unsigned int i = 0; i < n; i++)
		out[i] = w->ring[(w->next - n + i) % w->size];
	if (w->open && n)
		out[n - 1].insns += cpu->icount - w->entered;
	return n;
}

/* --- the trace ----------------------------------------------------------- */

static void record(struct soft_cpu *cpu, const struct hv_trace_event *e)
{
	struct soft_watch *w = cpu->watch;

	w->ring[w->next++ % w->size] = *e;
}

/* The exec TLB has just been asked for this page. */
static uint64_t physical(struct soft_cpu *cpu)
{
	const struct soft_xtlb_entry *x =
		&soft_own_tlb(cpu)->ex[(cpu->rip >> 12) & (SOFT_XTLB_SIZE - 1)];

	return x->gpa + (cpu->rip & (SOFT_PAGE - 1));
}

static void trace_block(struct soft_cpu *cpu)
{
	struct soft_watch *w = cpu->watch;
	struct hv_trace_event e = {.at = cpu->icount,
				   .rip = cpu->rip,
				   .gpa = physical(cpu),
				   .times = 1,
				   .kind = HV_TRACE_BLOCK,
				   .cpl = cpu->cpl};
	struct hv_trace_event *last = w->open ? &w->ring[(w->next - 1) % w->size] : NULL;

	close_block(cpu);
	/* A block that is its own successor (a loop) is one event. */
	if (last && last->rip == e.rip && last->gpa == e.gpa && last->cpl == e.cpl)
		last->times++;
	else
		record(cpu, &e);
	w->open = true;
	w->entered = cpu->icount;
}

void soft_watch_event(struct soft_cpu *cpu, const struct soft_pending *p)
{
	struct hv_trace_event e = {.at = cpu->icount,
				   .rip = cpu->rip,
				   .cr2 = p->vector == SOFT_PAGE_FAULT ? cpu->cr2 : 0,
				   .error = p->error,
				   .times = 1,
				   .vector = (int16_t)p->vector,
				   .kind = p->hard   ? HV_TRACE_INTERRUPT
					   : p->soft ? HV_TRACE_SOFTWARE
						     : HV_TRACE_EXCEPTION,
				   .cpl = cpu->cpl};

	if (!cpu->watch->tracing)
		return;
	close_block(cpu);
	record(cpu, &e);
}

/* --- samples ------------------------------------------------------------- */

void soft_watch_look(struct soft_cpu *cpu)
{
	struct soft_watch *w = cpu->watch;

	if (cpu->probed && cpu->icount >= w->until) {
		cpu->probed = false;
		w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
		w->window = cpu->icount + WINDOW_EVERY / 2 + (w->seed >> 33) % WINDOW_EVERY;
		settle(cpu);
	} else if (w->sampling && !cpu->probed && cpu->icount >= w->window) {
		cpu->probed = true;
		w->until = cpu->icount + WINDOW_INSNS;
		cpu->count.sampled.windows++;
		settle(cpu);
	}
}

void soft_watch_access(struct soft_cpu *cpu, enum soft_access how, bool hit)
{
	cpu->count.sampled.accesses[how]++;
	cpu->count.sampled.hits[how] += hit;
}

void soft_watch_block(struct soft_cpu *cpu, uint64_t misses)
{
	if (cpu->watch->tracing)
		trace_block(cpu);
	if (!cpu->probed)
		return;
	cpu->count.sampled.blocks++;
	cpu->count.sampled.block_hits += cpu->count.block_misses == misses;
}
