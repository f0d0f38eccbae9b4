/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_world.c - time, chance and the queue of what happens next. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/cluster/sim_mem.h"

struct chunk {
	struct chunk *next;
	max_align_t data[];
};

uint64_t sim_now;
static uint64_t state, seqs;
static bool verbose;
static char finding[512];
static struct chunk *chunks;
static struct sim_event **heap, **spare;
static size_t nheap, capheap, nspare, capspare;

void sim_world_begin(uint64_t seed, bool talk)
{
	state = seed * 0x9e3779b97f4a7c15u + 0x1234567;
	sim_now = 1000 * SIM_S;
	seqs = 0;
	verbose = talk;
	finding[0] = '\0';
}

void sim_world_end(void)
{
	struct chunk *c;

	while ((c = chunks)) {
		chunks = c->next;
		sim_mem_real_free(c);
	}
	sim_mem_real_free(heap);
	sim_mem_real_free(spare);
	heap = spare = NULL;
	nheap = capheap = nspare = capspare = 0;
}

void *sim_alloc(size_t bytes)
{
	struct chunk *c = sim_mem_real_calloc(sizeof *c + bytes);

	c->next = chunks;
	chunks = c;
	return c->data;
}

/* --- chance -------------------------------------------------------------------- */

uint64_t sim_random(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t sim_below(uint64_t n)
{
	return sim_random() % n;
}

uint64_t sim_between(uint64_t lo, uint64_t hi)
{
	return lo + sim_below(hi - lo + 1);
}

bool sim_chance(unsigned permille)
{
	return sim_below(1000) < permille;
}

/* --- what happens next --------------------------------------------------------- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	return a->prio != b->prio ? a->prio < b->prio : a->seq < b->seq;
}

static void grow(struct sim_event ***list, size_t n, size_t *cap)
{
	if (n < *cap)
		return;
	*cap = *cap ? 2 * *cap : 256;
	*list = sim_mem_real_realloc(*list, *cap * sizeof **list);
}

static void push(struct sim_event *ev)
{
	size_t i = nheap;

	grow(&heap, nheap, &capheap);
	for (nheap++; i && before(ev, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = ev;
}

static struct sim_event *pop(void)
{
	struct sim_event *top = heap[0], *last = heap[--nheap];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < nheap) {
		k += k + 1 < nheap && before(heap[k + 1], heap[k]);
		if (!before(heap[k], last))
			break;
		heap[i] = heap[k];
		i = k;
	}
	heap[i] = last;
	return top;
}

struct sim_event *sim_at_proc(struct sim_proc *proc, uint64_t at, unsigned prio, void (*fn)(void *arg), void *arg)
{
	struct sim_event *ev = nspare ? spare[--nspare] : sim_alloc(sizeof *ev);

	*ev = (struct sim_event){CM_MAX(at, sim_now), seqs++, prio, proc, fn, arg};
	push(ev);
	return ev;
}

struct sim_event *sim_at(uint64_t at, void (*fn)(void *arg), void *arg)
{
	return sim_at_proc(NULL, at, 1, fn, arg);
}

void sim_cancel(struct sim_event *ev)
{
	ev->fn = NULL;
}

void sim_again(struct sim_event *ev, uint64_t at)
{
	ev->at = CM_MAX(at, sim_now);
	push(ev);
}

void sim_run(uint64_t until, bool (*dispatch)(struct sim_event *ev))
{
	while (nheap && heap[0]->at <= until && !finding[0]) {
		struct sim_event *ev = pop();

		sim_now = ev->at;
		if (ev->fn && ev->proc && dispatch(ev))
			continue;
		if (ev->fn && !ev->proc)
			ev->fn(ev->arg);
		grow(&spare, nspare, &capspare);
		spare[nspare++] = ev;
	}
	if (!finding[0])
		sim_now = until;
}

/* --- words ---------------------------------------------------------------------- */

void sim_found(const char *fmt, ...)
{
	va_list ap;

	if (finding[0])
		return;
	va_start(ap, fmt);
	vsnprintf(finding, sizeof finding, fmt, ap);
	va_end(ap);
	sim_say("FOUND: %s", finding);
}

const char *sim_finding(void)
{
	return finding[0] ? finding : NULL;
}

bool sim_is_verbose(void)
{
	return verbose;
}

void sim_say(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	printf("%10.4f ", (double)(sim_now - 1000 * SIM_S) / (double)SIM_S);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}
