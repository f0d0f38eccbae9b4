/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All counters of a vCPU by name, "group.name". Reads words that the vCPU writes: each may be a
 * moment old, and none is torn on the hosts that this engine runs on. Parses nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <time.h>

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_watch.h"

static uint64_t halted_ns(const struct soft_cpu *cpu)
{
	uint64_t sum = cpu->count.halted_ns, since = atomic_load(&cpu->asleep_since), now;
	struct timespec t;

	if (!since)
		return sum;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return sum + (now > since ? now - since : 0);
}

static void exits(const struct soft_counters *c, hv_tally_fn fn, void *arg)
{
	fn(arg, "exits.mmio", c->exits_mmio);
	fn(arg, "exits.pio", c->exits_pio);
	fn(arg, "exits.hlt", c->exits_halt);
	fn(arg, "exits.interrupt", c->exits_irq);
	fn(arg, "exits.kick", c->kicks);
	fn(arg, "looks.event", c->wakeups);
	fn(arg, "looks.tlb_request", c->flushes);
	fn(arg, "looks.code_request", c->code_drops);
	fn(arg, "looks.slice", c->slices);
}

static void events(const struct soft_counters *c, hv_tally_fn fn, void *arg)
{
	static const char *const exception[32] = {
		"exceptions.DE", "exceptions.DB", "exceptions.NMI", "exceptions.BP",
		"exceptions.OF", "exceptions.BR", "exceptions.UD",  "exceptions.NM",
		"exceptions.DF", "exceptions.9",  "exceptions.TS",  "exceptions.NP",
		"exceptions.SS", "exceptions.GP", "exceptions.PF",  "exceptions.15",
		"exceptions.MF", "exceptions.AC", "exceptions.MC",  "exceptions.XM",
	};
	static const char *const class[16] = {
		"interrupts.00-0f", "interrupts.10-1f", "interrupts.20-2f", "interrupts.30-3f",
		"interrupts.40-4f", "interrupts.50-5f", "interrupts.60-6f", "interrupts.70-7f",
		"interrupts.80-8f", "interrupts.90-9f", "interrupts.a0-af", "interrupts.b0-bf",
		"interrupts.c0-cf", "interrupts.d0-df", "interrupts.e0-ef", "interrupts.f0-ff",
	};

	for (unsigned int i = 0; i < 32; i++)
		if (exception[i])
			fn(arg, exception[i], c->by_exception[i]);
	for (unsigned int i = 0; i < 16; i++)
		fn(arg, class[i], c -> by_class[i]);
	fn(arg, "interrupts.software", c->soft_ints);
}

static void memory(const struct soft_counters *c, hv_tally_fn fn, void *arg)
{
	fn(arg, "tlb.read_misses", c->tlb_miss[SOFT_READ]);
	fn(arg, "tlb.write_misses", c->tlb_miss[SOFT_WRITE]);
	fn(arg, "tlb.exec_misses", c->tlb_miss[SOFT_EXEC]);
	fn(arg, "dirty.slow_writes", c->dirty_writes);
}

static void blocks(const struct soft_cpu *cpu, hv_tally_fn fn, void *arg)
{
	const struct soft_counters *c = &cpu->count;

	fn(arg, "blocks.decoded", c->block_misses);
	fn(arg, "blocks.looked_up", c->block_hits);
	fn(arg, "blocks.linked", c->links);
	fn(arg, "blocks.invalidated", c->blocks_dropped);
	fn(arg, "blocks.invalidated_pages", c->pages_dropped);
	fn(arg, "blocks.dropped_all", cpu->blocks->drops - 1);
}

static void samples(const struct soft_counters *c, hv_tally_fn fn, void *arg)
{
	fn(arg, "sample.windows", c->sampled.windows);
	fn(arg, "sample.reads", c->sampled.accesses[SOFT_READ]);
	fn(arg, "sample.read_hits", c->sampled.hits[SOFT_READ]);
	fn(arg, "sample.writes", c->sampled.accesses[SOFT_WRITE]);
	fn(arg, "sample.write_hits", c->sampled.hits[SOFT_WRITE]);
	fn(arg, "sample.fetches", c->sampled.accesses[SOFT_EXEC]);
	fn(arg, "sample.fetch_hits", c->sampled.hits[SOFT_EXEC]);
	fn(arg, "sample.blocks", c->sampled.blocks);
	fn(arg, "sample.block_hits", c->sampled.block_hits);
}

void soft_tally(const struct soft_cpu *cpu, hv_tally_fn fn, void *arg)
{
	const struct soft_counters *c = &cpu->count;

	fn(arg, "time.halted_ns", halted_ns(cpu));
	fn(arg, "insns.done", cpu->icount);
	fn(arg, "insns.unknown", c->unknown_insns);
	exits(c, fn, arg);
	events(c, fn, arg);
	memory(c, fn, arg);
	blocks(cpu, fn, arg);
	samples(c, fn, arg);
}

unsigned int soft_tally_unknown(const struct soft_cpu *cpu, struct hv_unknown_insn *out,
				unsigned int max)
{
	uint64_t end = cpu->count.unknown_insns, n = end < SOFT_UNKNOWN ? end : SOFT_UNKNOWN;

	n = n < max ? n : max;
	for (uint64_t i = 0; i < n; i++)
		out[i] = cpu->unknown[(end - n + i) % SOFT_UNKNOWN];
	return (unsigned int)n;
}

/* --- in words ------------------------------------------------------------- */

static void dump_unknown(const struct soft_cpu *cpu, FILE *to)
{
	struct hv_unknown_insn last[SOFT_UNKNOWN];
	unsigned int n = soft_tally_unknown(cpu, last, SOFT_UNKNOWN);

	if (n)
		fprintf(to, "unknown instructions %" PRIu64 ", the latest (bytes, low first):\n",
			cpu->count.unknown_insns);
	for (unsigned int i = 0; i < n; i++)
		fprintf(to, "  at %" PRIu64 ": rip %#" PRIx64 " bytes %016" PRIx64 "\n", last[i].at,
			last[i].rip, last[i].bytes);
}

static void dump_events(const struct soft_cpu *cpu, FILE *to)
{
	uint64_t end = cpu->count.exceptions, at = end > SOFT_TRACE ? end - SOFT_TRACE : 0;

	fprintf(to, "the latest exceptions and interrupts:%s\n", end ? "" : " none");
	for (; at < end; at++) {
		const struct soft_trace *t = &cpu->trace[at % SOFT_TRACE];

		fprintf(to,
			"  at %" PRIu64 ": %s %d error %#x cr2 %#" PRIx64 " rip %#" PRIx64
			" cpl %u\n",
			t->icount, t->interrupt ? "interrupt" : "exception", t->vector, t->error,
			t->cr2, t->rip, t->cpl);
	}
}

void soft_tally_dump(const struct soft_cpu *cpu, FILE *to)
{
	const struct soft_counters *c = &cpu->count;

	fprintf(to,
		"instructions %" PRIu64 ", blocks decoded %" PRIu64
		" (dropped all %u times), links %" PRIu64 ", TLB misses %" PRIu64
		", exceptions and interrupts %" PRIu64 "\n",
		cpu->icount, c->block_misses, cpu->blocks->drops - 1, c->links,
		c->tlb_miss[SOFT_READ] + c->tlb_miss[SOFT_WRITE] + c->tlb_miss[SOFT_EXEC],
		c->exceptions);
	dump_unknown(cpu, to);
	dump_events(cpu, to);
}
