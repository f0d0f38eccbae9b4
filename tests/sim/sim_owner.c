/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_owner.c - an exhaustive search of the ownership protocol: two hosts, one block, crashes, frozen processes, lost
 * sessions, late commands, a hand-over with all its ends, takeover with each proof, a fencer that frees the block.
 *
 * The decisions are the product's own: stor__lease_seek, stor__lease_judge and stor__lease_next are called on every
 * step. Every state that can be reached with a limited number of writes is visited (breadth first), and in each these
 * must hold:
 *   1  never do both hosts run the VM
 *   2  no guest write lands behind another host's, or behind a newer one of its own host
 *   3  no host runs on memory that the other one has outrun
 *   4  the VM's memory is never let go by both (a commit never meets a destination that gave up)
 *   5  no host takes itself for robbed while the block is its own
 * Then the same search runs with one planted error at a time, and must find a violation in each.
 *
 * Host 0 owns at first and is the source; host 1 is the destination, or starts the VM anew.
 */
#include "config.h"

#include "tests/sim/sim_owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/lease/stor_lease_int.h"

static const char *const bug_names[] = {
	"none", "takeover without waiting", "commit without drain", "retry of a COMPARE AND WRITE",
	"resume on a mere read", "read-back without the barrier", "commit on freshly read bytes",
	"abort by message", "takeover with memory whose intent is gone", "PREEMPT without ABORT", "a key that is gone taken for the end of its writes",
	"shut out of the SAN taken for switched off", "a changed block is freed"};

struct sim sim;

/* --- the visited set and the queue ------------------------------------------------------------ */

#define SET_BITS 23
static struct world *queue;
static uint32_t *set, *parent, queued, queue_cap, current;

static uint64_t hash(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = 14695981039346656037ull;

	while (n--)
		h = (h ^ *b++) * 1099511628211ull;
	return h ^ h >> 29;
}

static void check(const struct world *w)
{
	if (sim_active(&w->h[0]) && sim_active(&w->h[1]))
		sim.violated = "both hosts run the VM";
	for (int i = 0; i < 2; i++) {
		const struct ahost *h = &w->h[i], *o = &w->h[1 - i];

		if (sim_active(h) && h->use_mem && h->mem == MEM_STALE)
			sim.violated = "a host runs on memory that the other one has outrun";
		if (h->mode == M_GONE && w->block.owner == i + 1 && h->life == ALIVE && h->gave_up == 2)
			sim.violated = "a host takes itself for robbed, but the block is its own";
		if (i == 1 && w->block.owner == 2 && w->block.epoch == 2 && !w->block.shut && h->gave_up == 1 &&
		    h->mode == M_NONE && o->gave_up == 3)
			sim.violated = "both ends let the VM go";
	}
}

void sim_visit(const struct world *w)
{
	uint32_t i = (uint32_t)(hash(w, sizeof *w) & ((1u << SET_BITS) - 1));

	for (; set[i]; i = (i + 1) & ((1u << SET_BITS) - 1))
		if (!memcmp(&queue[set[i] - 1], w, sizeof *w))
			return;
	if (queued == queue_cap) {
		fprintf(stderr, "too many states\n");
		exit(2);
	}
	queue[queued] = *w;
	parent[queued++] = current;
	set[i] = queued;
	check(w);
	if (sim.violated && !sim.violating)
		sim.violating = queued;
}

static uint32_t search(enum bug b, bool fencer)
{
	struct world w;

	sim.bug = b;
	sim.with_fencer = fencer;
	sim.violated = NULL;
	sim.violating = 0;
	queued = current = 0;
	memset(set, 0, sizeof(uint32_t) << SET_BITS);
	memset(&w, 0, sizeof w);
	w.block = (struct ablock){.state = STOR_BLOCK_RUNNING, .owner = 1, .epoch = 1, .nonce = 1};
	w.nonces = 1;
	w.h[0] = (struct ahost){.life = ALIVE, .mode = M_HELD, .valid = 1, .run = 1, .session = 1,
				.admitted = 1, .last = w.block};
	w.h[1] = (struct ahost){.life = ALIVE, .session = 1};
	sim_visit(&w);
	for (uint32_t i = 0; i < queued && !sim.violated; i++) {
		w = queue[i];
		current = i;
		sim_steps(&w);
	}
	return queued;
}

/* How it came to it, oldest first. */
static void print_path(uint32_t i)
{
	static const char *const lives[] = {"dead", "alive", "frozen"};
	static const char *const modes[] = {"NONE", "TAKE", "FENCE", "HELD", "WRITE", "UNSURE", "GONE"};
	const struct world *w = &queue[i];

	if (i)
		print_path(parent[i]);
	printf("  block %c->%c e%u n%u shut%u phase %u |", "-01"[w->block.owner], "-01"[w->block.peer],
	       w->block.epoch, w->block.nonce, w->block.shut, w->phase);
	for (int k = 0; k < 2; k++) {
		const struct ahost *h = &w->h[k];

		printf(" %s %s %s%s%s%s%s mem%u cmd%u>%u old%u>%u w%u%u |", lives[h->life], modes[h->mode],
		       h->op ? stor__lease_op_name(h->op) : "", h->run ? " run" : "", h->valid ? " valid" : "",
		       h->doubt ? " doubt" : "", h->session ? "" : " cut", h->mem, h->cmd.exp, h->cmd.next.nonce,
		       h->old.exp, h->old.next.nonce, h->write, h->old_write);
	}
	puts("");
}

/* True if the search ended as it must. */
static bool run(enum bug b, bool fencer)
{
	uint32_t n = search(b, fencer);
	bool good = !sim.violated == (b == BUG_NONE);

	printf("%-45s %8u states  %s\n",
	       b	? bug_names[b]
	       : fencer ? "the protocol with fence_hvsan"
			: "the protocol as it is",
	       n, sim.violated ? sim.violated : "nothing wrong");
	if (!good && sim.violated)
		print_path((sim.violating ? sim.violating : current + 1) - 1);
	return good;
}

int main(void)
{
	int bad = 0;

	queue_cap = 6u << 20;
	queue = calloc(queue_cap, sizeof *queue);
	set = calloc(1u << SET_BITS, sizeof *set);
	parent = calloc(queue_cap, sizeof *parent);
	if (!queue || !set || !parent)
		return 2;
	for (int b = BUG_NONE; b < BUG_COUNT; b++)
		bad += !run(b, b >= BUG_SAN_IS_OFF);
	bad += !run(BUG_NONE, true);
	if (bad)
		printf("FAIL: %d searches did not end as they must\n", bad);
	free(queue);
	free(set);
	free(parent);
	return bad != 0;
}
