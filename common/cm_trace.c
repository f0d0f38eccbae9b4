/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_trace.c - flight recorder ring. No allocation, no locks; a torn record is possible and
 * harmless. Parses nothing.
 */
#include "config.h"

#include "common/cm_trace.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_err.h"

#define TRACE_SLOTS 4096u

struct trace_slot {
	uint64_t when_ns;
	const char *what, *fmt;
	uint64_t a, b;
	uint32_t tid;
};

static struct trace_slot trace_ring[TRACE_SLOTS];
static atomic_uint_fast64_t trace_next;
static _Thread_local uint32_t trace_tid;

void cm_trace_record(const char *what, const char *fmt, uint64_t a, uint64_t b)
{
	struct trace_slot *s = &trace_ring[atomic_fetch_add(&trace_next, 1) % TRACE_SLOTS];

	if (!trace_tid)
		trace_tid = (uint32_t)gettid();
	s->when_ns = cm_now_ns();
	s->what = what;
	s->fmt = fmt;
	s->a = a;
	s->b = b;
	s->tid = trace_tid;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void cm_trace_dump(FILE *to)
{
	uint64_t next = atomic_load(&trace_next);
	uint64_t i = next > TRACE_SLOTS ? next - TRACE_SLOTS : 0;

	fprintf(to, "flight recorder: %lu events, last %lu follow\n", (unsigned long)next,
		(unsigned long)(next - i));
	for (; i < next; i++) {
		const struct trace_slot *s = &trace_ring[i % TRACE_SLOTS];

		if (!s->what)
			continue;
		fprintf(to, "%lu.%06lu [%u] %s ", (unsigned long)(s->when_ns / 1000000000u),
			(unsigned long)(s->when_ns / 1000u % 1000000u), s->tid, s->what);
		fprintf(to, s->fmt, s->a, s->b);
		fputc('\n', to);
	}
}
#pragma GCC diagnostic pop

static void trace_fatal(int sig)
{
	/* Best effort in a dying process: stdio is not async-signal-safe, a second fault just ends
	 * it. */
	signal(sig, SIG_DFL);
	fprintf(stderr, "hvcluster: fatal signal %d\n", sig);
	cm_trace_dump(stderr);
	fflush(stderr);
	raise(sig);
}

void cm_trace_install_handlers(void)
{
#ifndef HV_SANITIZED /* the sanitizers report these themselves, and better */
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	struct sigaction sa = {.sa_handler = trace_fatal, .sa_flags = SA_NODEFER};

	for (size_t i = 0; i < CM_ARRAY_LEN(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
#else
	(void)trace_fatal;
#endif
}
