/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mechanics of the soft engine that no comparison with a real CPU shows: changed code, links
 * between blocks, TLB, dirty log, timers, start of a second processor. Each test enters a fragment
 * of soft_guest.S through hv_engine_ops.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_err.h"
#include "common/cm_log.h"
#include "hvcore/engine_soft/soft_decode.h"
#include "tests/unit/softkit.h"

FRAGMENT(smc);
FRAGMENT(smc_far);
FRAGMENT(host_wrote);
FRAGMENT(callee);
FRAGMENT(invlpg);
FRAGMENT(unknown);
FRAGMENT(trap);
FRAGMENT(limited);
FRAGMENT(single_step);
FRAGMENT(step);
FRAGMENT(dirty);
FRAGMENT(deadline);
FRAGMENT(tick);
FRAGMENT(wake_ap);
FRAGMENT(ap);
FRAGMENT(for_ever);
FRAGMENT(rounds);
FRAGMENT(touch);

static void test_changes_next_instruction(void **state)
{
	struct guest *g = GUEST(1, smc);

	(void)state;
	assert_int_equal(guest_run(g), 0x2222);
	guest_free(g);
}

static void test_changes_other_page(void **state)
{
	struct guest *g = GUEST(1, smc_far);

	(void)state;
	guest_put(g, CALLEE, guest_callee, guest_callee_end);
	guest_run(g);
	assert_int_equal(g->count, 6);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(g->reports[i], 1 + i);
	guest_free(g);
}

static void test_host_changes_code(void **state)
{
	struct guest *g = GUEST(1, host_wrote);

	(void)state;
	guest_put(g, CALLEE, guest_callee, guest_callee_end);
	g->patch = true;
	assert_int_equal(guest_run(g), 2);
	assert_int_equal(g->reports[0], 1);
	guest_free(g);
}

static void test_invlpg_of_large_page(void **state)
{
	struct guest *g = GUEST(1, invlpg);

	(void)state;
	guest_put64(g, 0x203000, 0xaaaa);
	guest_put64(g, 0x403000, 0xbbbb);
	assert_int_equal(guest_run(g), 0xbbbb);
	assert_int_equal(g->reports[0], 0xaaaa);
	guest_free(g);
}

static void test_unknown_instruction(void **state)
{
	struct guest *g = GUEST(1, unknown);
	struct hv_engine_counters n;
	char text[512] = "";
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	cm_log_init("test", CM_LOG_INFO, fds[1]);
	guest_put(g, HANDLER, guest_trap, guest_trap_end);
	guest_gate(g, 6, HANDLER);
	assert_int_equal(guest_run(g), 0xdead);
	hv_engine_soft.counters(g->e, 0, &n);
	assert_int_equal(n.unknown_insns, 1);
	cm_log_fini();
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof text - 1) > 0);
	assert_non_null(strstr(text, "c4 e2 79 18 c0"));
	close(fds[0]);
	guest_free(g);
}

/* Nobody checks the limit of a segment, so 32-bit code does not get one that has a limit. */
static void test_limited_segment_is_refused(void **state)
{
	struct guest *g = GUEST(1, limited);
	struct hv_engine_counters n;

	(void)state;
	guest_put64(g, GDT + 32, 0x000092000000ffffull);
	guest_put(g, HANDLER, guest_trap, guest_trap_end);
	guest_gate(g, 6, HANDLER);
	assert_int_equal(guest_run(g), 0xdead);
	hv_engine_soft.counters(g->e, 0, &n);
	assert_int_equal(n.unknown_insns, 1);
	guest_free(g);
}

/* NOP NOP PUSHFQ ANDL, and the POPFQ that ends it. */
static void test_single_step(void **state)
{
	struct guest *g = GUEST(1, single_step);

	(void)state;
	guest_put(g, HANDLER, guest_step, guest_step_end);
	guest_gate(g, 1, HANDLER);
	assert_int_equal(guest_run(g), 5);
	guest_free(g);
}

/* Without a handler for it the first exception ends in a triple fault, which is told and harms
 * nothing. */
static void test_triple_fault(void **state)
{
	struct guest *g = GUEST(1, unknown);

	(void)state;
	assert_int_equal(guest_go(g, 0), HV_RUN_SHUTDOWN);
	assert_non_null(strstr(hv_engine_soft.vcpu_error(g->e, 0), "triple fault"));
	guest_free(g);
}

static void test_dirty_log(void **state)
{
	struct guest *g = GUEST(1, dirty);
	uint64_t map[RAM_BYTES / 4096 / 64];
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	assert_int_equal(hv_engine_soft.dirty_start(g->e, 0, &err), 0);
	memset(map, 0, sizeof map);
	assert_int_equal(hv_engine_soft.dirty_fetch(g->e, 0, map), 0);
	for (size_t i = 0; i < sizeof map / 8; i++)
		assert_true(map[i] == UINT64_MAX);
	assert_int_equal(hv_engine_soft.dirty_clear(g->e, 0, 0, RAM_BYTES / 4096, map), 0);
	guest_run(g);
	memset(map, 0, sizeof map);
	assert_int_equal(hv_engine_soft.dirty_fetch(g->e, 0, map), 0);
	/* the page tables got their A and D bits */
	assert_true((map[0] & ~(1ull << 7)) ==
		    (1ull << (PML4 >> 12) | 1ull << (PDPT >> 12) | 1ull << (PD >> 12)));
	assert_true(map[1] ==
		    (1ull << (0x50 - 0x40) | 1ull << (0x52 - 0x40) | 1ull << (0x54 - 0x40)));
	for (size_t i = 2; i < sizeof map / 8; i++)
		assert_true(map[i] == 0);
	guest_free(g);
}

static void test_halts_until_deadline(void **state)
{
	struct guest *g = GUEST(1, deadline);
	struct hv_engine_counters n;

	(void)state;
	guest_put(g, HANDLER, guest_tick, guest_tick_end);
	guest_gate(g, 0x40, HANDLER);
	assert_int_equal(guest_run(g), 0x600d);
	hv_engine_soft.counters(g->e, 0, &n);
	assert_int_equal(n.exits_halt, 1);
	assert_int_equal(n.exits_irq, 1);
	guest_free(g);
}

static void *run_first(void *arg)
{
	struct guest *g = arg;

	return (void *)(uintptr_t)guest_go(g, 0);
}

/* Handlers hand over by tail calls: if one did not, this would run out of stack. */
static void test_stack_stays_flat(void **state)
{
	struct guest *g = GUEST(1, rounds);
	pthread_attr_t small;
	pthread_t thread;
	void *how;

	(void)state;
	pthread_attr_init(&small);
	assert_int_equal(pthread_attr_setstacksize(&small, 256 << 10), 0);
	assert_int_equal(pthread_create(&thread, &small, run_first, g), 0);
	pthread_join(thread, &how);
	pthread_attr_destroy(&small);
	assert_int_equal((uintptr_t)how, HV_RUN_KICKED);
	assert_int_equal(g->reports[0], 3000000);
	guest_free(g);
}

/* A vCPU whose host was frozen asks whether it may go on; nobody has to kick it. */
static void test_frozen_host(void **state)
{
	int status, pid = fork();

	(void)state;
	if (!pid) {
		struct guest *g = GUEST(1, for_ever);

		alarm(60); /* it did not ask */
		_exit(hv_engine_soft.vcpu_run(g->e, 0) == HV_RUN_KICKED ? 0 : 1);
	}
	do { /* until it has come so far */
		usleep(100000);
		kill(pid, SIGSTOP);
		usleep(200000);
		kill(pid, SIGCONT);
	} while (waitpid(pid, &status, WNOHANG) == 0);
	assert_int_equal(status, 0);
}

static void *run_second(void *arg)
{
	struct guest *g = arg;

	return (void *)(uintptr_t)guest_go(g, 1);
}

static void test_second_processor(void **state)
{
	struct guest *g = GUEST(2, wake_ap);
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) gdtr = {31, GDT};
	pthread_t second;
	void *how;

	(void)state;
	guest_put(g, AP_CODE, guest_ap, guest_ap_end);
	memcpy(g->ram + AP_GDTR, &gdtr, sizeof gdtr);
	assert_int_equal(pthread_create(&second, NULL, run_second, g), 0);
	assert_int_equal(guest_run(g), 0x77);
	pthread_join(second, &how);
	assert_int_equal((uintptr_t)how, HV_RUN_KICKED);
	guest_free(g);
}

/* --- being watched ------------------------------------------------------------ */

#define EVENTS 256u

struct found {
	const char *name;
	uint64_t value;
};

static void find(void *arg, const char *name, uint64_t value)
{
	struct found *f = arg;

	if (strcmp(f->name, name) == 0)
		f->value = value;
}

static uint64_t tally(struct guest *g, const char *name)
{
	struct found f = {.name = name, .value = UINT64_MAX};

	hv_engine_soft.tally(g->e, 0, find, &f);
	assert_true(f.value != UINT64_MAX);
	return f.value;
}

/* Every event begins where the one before it ended: nothing is left out. */
static unsigned traced(struct guest *g, struct hv_trace_event *e, uint64_t *total)
{
	unsigned n = hv_engine_soft.trace_get(g->e, 0, e, EVENTS, total);

	for (unsigned i = 0; i + 1 < n; i++)
		assert_int_equal(e[i].at + e[i].insns, e[i + 1].at);
	assert_true(n > 0);
	assert_int_equal(e[n - 1].at + e[n - 1].insns, tally(g, "insns.done"));
	return n;
}

/* XOR, the loop's entry, four more turns of it, and what a link would have hidden. */
static void test_trace_of_blocks(void **state)
{
	struct guest *g = GUEST(1, smc_far);
	struct hv_trace_event e[EVENTS];
	struct cm_err err = CM_ERR_INIT;
	unsigned n, calls = 0, more = 0;
	uint64_t total;

	(void)state;
	guest_put(g, CALLEE, guest_callee, guest_callee_end);
	assert_int_equal(hv_engine_soft.trace_set(g->e, EVENTS, &err), 0);
	assert_int_equal(hv_engine_soft.trace_get(g->e, 0, e, EVENTS, &total), 0);
	guest_run(g);
	assert_int_equal(g->count, 6); /* as without a trace */
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(g->reports[i], 1 + i);
	n = traced(g, e, &total);
	assert_int_equal(total, n);
	assert_int_equal(e[0].rip, CODE);
	assert_int_equal(e[0].at, 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(e[i].kind, HV_TRACE_BLOCK);
		assert_int_equal(e[i].gpa, e[i].rip); /* mapped one to one */
		assert_int_equal(e[i].cpl, 0);
		if (e[i].rip == CALLEE) {
			calls += e[i].times;
			assert_int_equal(e[i].insns, 2);
		}
	}
	assert_int_equal(calls, 5);
	assert_true(tally(g, "blocks.invalidated") >= 4); /* its code changed between calls */
	/* Off: the ring stays. On again: it is empty. */
	assert_int_equal(hv_engine_soft.trace_set(g->e, 0, &err), 0);
	more = hv_engine_soft.trace_get(g->e, 0, e, 3, &total);
	assert_int_equal(more, 3);
	assert_int_equal(total, n);
	assert_int_equal(hv_engine_soft.trace_set(g->e, EVENTS, &err), 0);
	assert_int_equal(hv_engine_soft.trace_get(g->e, 0, e, EVENTS, &total), 0);
	guest_free(g);
}

/* A loop of one block is one event with its turns; a ring keeps the last. */
static void test_trace_of_a_loop(void **state)
{
	struct guest *g = GUEST(1, touch);
	struct hv_trace_event e[EVENTS];
	struct cm_err err = CM_ERR_INIT;
	unsigned n, turns = 0;
	uint64_t total;

	(void)state;
	*(uint32_t *)(void *)(g->ram + 0x30000) = 50;
	assert_int_equal(hv_engine_soft.trace_set(g->e, 64, &err), 0);
	assert_int_equal(guest_run(g), 0x70c4);
	n = hv_engine_soft.trace_get(g->e, 0, e, EVENTS, &total);
	assert_int_equal(n, 64);
	assert_true(total > 64);
	traced(g, e, &total);
	for (unsigned i = 0; i < n; i++)
		turns += e[i].times == 49 || e[i].times == 48;
	assert_true(turns > 10);
	guest_free(g);
}

static void test_trace_of_an_exception(void **state)
{
	struct guest *g = GUEST(1, unknown);
	struct hv_trace_event e[EVENTS];
	struct hv_unknown_insn last[4];
	struct cm_err err = CM_ERR_INIT;
	uint64_t total;

	(void)state;
	guest_put(g, HANDLER, guest_trap, guest_trap_end);
	guest_gate(g, 6, HANDLER);
	assert_int_equal(hv_engine_soft.trace_set(g->e, EVENTS, &err), 0);
	assert_int_equal(guest_run(g), 0xdead);
	assert_true(traced(g, e, &total) >= 3);
	assert_int_equal(e[0].kind, HV_TRACE_BLOCK);
	assert_int_equal(e[0].insns, 0); /* its first instruction was it */
	assert_int_equal(e[1].kind, HV_TRACE_EXCEPTION);
	assert_int_equal(e[1].vector, 6);
	assert_int_equal(e[1].rip, CODE);
	assert_int_equal(e[2].kind, HV_TRACE_BLOCK);
	assert_int_equal(e[2].rip, HANDLER);
	assert_int_equal(hv_engine_soft.unknown(g->e, 0, last, 4), 1);
	assert_int_equal(last[0].rip, CODE);
	assert_int_equal(last[0].bytes & 0xffffffffff, 0xc01879e2c4);
	assert_int_equal(tally(g, "exceptions.UD"), 1);
	guest_free(g);
}

/* A step is a block of its own, and its #DB an event: as often as the handler counts. */
static void test_trace_of_steps(void **state)
{
	struct guest *g = GUEST(1, single_step);
	struct hv_trace_event e[EVENTS];
	struct cm_err err = CM_ERR_INIT;
	unsigned n, steps = 0;
	uint64_t total;

	(void)state;
	guest_put(g, HANDLER, guest_step, guest_step_end);
	guest_gate(g, 1, HANDLER);
	assert_int_equal(hv_engine_soft.trace_set(g->e, EVENTS, &err), 0);
	assert_int_equal(guest_run(g), 5);
	n = traced(g, e, &total);
	for (unsigned i = 1; i < n; i++)
		if (e[i].kind == HV_TRACE_EXCEPTION && e[i].vector == 1) {
			assert_int_equal(e[i - 1].insns, 1);
			steps++;
		}
	assert_int_equal(steps, 5);
	guest_free(g);
}

static void test_trace_of_an_interrupt(void **state)
{
	struct guest *g = GUEST(1, deadline);
	struct hv_trace_event e[EVENTS];
	struct cm_err err = CM_ERR_INIT;
	unsigned n, found = 0;
	uint64_t total;

	(void)state;
	guest_put(g, HANDLER, guest_tick, guest_tick_end);
	guest_gate(g, 0x40, HANDLER);
	assert_int_equal(hv_engine_soft.trace_set(g->e, EVENTS, &err), 0);
	assert_int_equal(guest_run(g), 0x600d);
	n = traced(g, e, &total);
	for (unsigned i = 0; i < n; i++)
		if (e[i].kind == HV_TRACE_INTERRUPT) {
			assert_int_equal(e[i].vector, 0x40);
			assert_int_equal(e[i + 1].rip, HANDLER);
			found++;
		}
	assert_int_equal(found, 1);
	assert_int_equal(tally(g, "interrupts.40-4f"), 1);
	assert_int_equal(tally(g, "exits.hlt"), 1);
	assert_true(tally(g, "time.halted_ns") > 0);
	guest_free(g);
}

/* Pages read in turn: a few fit into the TLB, twice its size never does. */
static double read_hits(uint32_t pages)
{
	struct guest *g = GUEST(1, touch);
	struct cm_err err = CM_ERR_INIT;
	uint64_t reads, hits;

	*(uint32_t *)(void *)(g->ram + 0x30000) = pages;
	assert_int_equal(hv_engine_soft.sample_set(g->e, true, &err), 0);
	assert_int_equal(guest_run(g), 0x70c4);
	reads = tally(g, "sample.reads");
	hits = tally(g, "sample.read_hits");
	assert_true(tally(g, "sample.windows") >= 1 && reads > 100 && hits <= reads);
	assert_true(tally(g, "sample.block_hits") < tally(g, "sample.blocks"));
	assert_int_equal(hv_engine_soft.sample_set(g->e, false, &err), 0);
	guest_free(g);
	return (double)hits / (double)reads;
}

static void test_samples_of_hit_rates(void **state)
{
	(void)state;
	assert_true(read_hits(8) > 0.9);
	assert_true(read_hits(1024) < 0.1);
}

/* The dirty log's slow writes are counted once a page and pass. */
static void test_counts_dirty_writes(void **state)
{
	struct guest *g = GUEST(1, dirty);
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	assert_int_equal(hv_engine_soft.dirty_start(g->e, 0, &err), 0);
	guest_run(g);
	assert_int_equal(tally(g, "dirty.slow_writes"), 3);
	guest_free(g);
}

/* --- the decoder alone ------------------------------------------------------- */

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Any bytes, at the very end of readable memory: never read beyond, and the same answer with more
 * bytes behind. */
static void test_decoder_reads_no_further(void **state)
{
	static const unsigned int modes[] = {SOFT_MODE_64, SOFT_MODE_32, SOFT_MODE_16,
					     SOFT_MODE_64 | SOFT_MODE_TS};
	uint8_t *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = 0x9e3779b97f4a7c15ull;

	(void)state;
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(mprotect(page + 4096, 4096, PROT_NONE), 0);
	for (unsigned int i = 0; i < 400000; i++) {
		unsigned int have = 1 + (unsigned int)(next_random(&seed) % 16),
			     mode = modes[i % 4], len, again;
		uint8_t bytes[32], *at = page + 4096 - have;
		struct soft_op a = {.off = 0}, b = {.off = 0};
		bool ends;

		for (unsigned int k = 0; k < sizeof bytes; k++)
			bytes[k] = (uint8_t)(next_random(&seed) >> 24);
		if (i % 3)
			bytes[0] = 0x0f;
		memcpy(at, bytes, have);
		len = soft_decode_one(at, have, mode, &a, &ends);
		assert_true(len <= 15 && (len <= have || have >= 15));
		if (!len)
			continue;
		again = soft_decode_one(bytes, sizeof bytes, mode, &b, &ends);
		assert_int_equal(len, again);
		assert_ptr_equal(a.fn, b.fn);
		assert_non_null(a.fn);
	}
	munmap(page, 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_next_instruction),
		cmocka_unit_test(test_changes_other_page),
		cmocka_unit_test(test_host_changes_code),
		cmocka_unit_test(test_invlpg_of_large_page),
		cmocka_unit_test(test_unknown_instruction),
		cmocka_unit_test(test_limited_segment_is_refused),
		cmocka_unit_test(test_single_step),
		cmocka_unit_test(test_triple_fault),
		cmocka_unit_test(test_dirty_log),
		cmocka_unit_test(test_halts_until_deadline),
		cmocka_unit_test(test_stack_stays_flat),
		cmocka_unit_test(test_frozen_host),
		cmocka_unit_test(test_second_processor),
		cmocka_unit_test(test_trace_of_blocks),
		cmocka_unit_test(test_trace_of_a_loop),
		cmocka_unit_test(test_trace_of_an_exception),
		cmocka_unit_test(test_trace_of_steps),
		cmocka_unit_test(test_trace_of_an_interrupt),
		cmocka_unit_test(test_samples_of_hit_rates),
		cmocka_unit_test(test_counts_dirty_writes),
		cmocka_unit_test(test_decoder_reads_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
