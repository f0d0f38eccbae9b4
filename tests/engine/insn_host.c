/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging a case that differs, by running it natively again. The repeats come in a few groups with a pause between them,
 * so that one disturbance of the machine does not hit all of them. Which hosts need this, and why: docs/TESTING.md.
 */
#include "config.h"

#include "tests/engine/insn_host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/engine/insn_compare.h"
#include "tests/engine/insn_plant.h"

#define GROUP 4u
#define GROUP_PAUSE_NS 1000000
#define CANONICAL_BITS 47

static const char *const vector_names[] = { "no exception", "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",
					    "#TS", "#NP", "#SS", "#GP", "#PF", "15", "#MF", "#AC", "#MC", "#XM" };

int insn_host_open(struct insn_host *h, uint64_t seed, uint32_t plant_one_in)
{
	*h = (struct insn_host){ .native.pid = -1, .plant_one_in = plant_one_in };
	insn_gen_seed(&h->random, ~seed);
	return insn_native_start(&h->native);
}

void insn_host_close(struct insn_host *h)
{
	insn_native_stop(&h->native);
}

int insn_host_run(struct insn_host *h, unsigned int count)
{
	bool odd[INSN_BATCH] = { false };
	int rc;

	for (unsigned int i = 0; i < count; i++) {
		odd[i] = h->plant_one_in && insn_gen_next(&h->random) % h->plant_one_in == 0;
		h->native.struck[i] = odd[i] && insn_gen_next(&h->random) % 4;
	}
	rc = insn_native_run(&h->native, count);
	for (unsigned int i = 0; !rc && i < count; i++)
		if (odd[i] && !h->native.struck[i])
			insn_plant_odd(insn_gen_next(&h->random), &h->native.cases[i], &h->native.results[i]);
	return rc;
}

/* Runs c natively INSN_AGAIN times into to[]. */
static int run_again(struct insn_host *h, const struct insn_case *c, struct insn_result *to)
{
	const struct timespec pause = { .tv_nsec = GROUP_PAUSE_NS };

	for (unsigned int at = 0; at < INSN_AGAIN; at += GROUP) {
		nanosleep(&pause, NULL);
		for (unsigned int i = 0; i < GROUP; i++)
			h->native.cases[i] = *c;
		if (insn_host_run(h, GROUP))
			return -1;
		memcpy(to + at, h->native.results, GROUP * sizeof *to);
	}
	return 0;
}

static unsigned int count_equal(const struct insn_case *c, const struct insn_result *all, unsigned int n,
				const struct insn_result *to)
{
	unsigned int equal = 0;

	for (unsigned int i = 0; i < n; i++)
		equal += insn_equal(c, &all[i], to) && insn_equal(c, to, &all[i]);
	return equal;
}

static bool is_canonical(uint64_t la)
{
	return (uint64_t)((int64_t)(la << (63 - CANONICAL_BITS)) >> (63 - CANONICAL_BITS)) == la;
}

static unsigned int slot(const struct insn_result *r)
{
	return (unsigned int)(r->vector + 1) % INSN_VECTORS;
}

static void count_odd(struct insn_host *h, const struct insn_case *c, const struct insn_result *odd,
		      const struct insn_result *usual)
{
	h->odd++;
	h->odd_stack += !is_canonical(c->in.gpr[4]);
	h->how[slot(usual)][slot(odd)]++;
}

enum insn_verdict insn_host_judge(struct insn_host *h, const struct insn_case *c, const struct insn_result *first,
				  const struct insn_result *soft)
{
	struct insn_result *all = aligned_alloc(16, (INSN_AGAIN + 1) * sizeof *all);
	enum insn_verdict verdict = INSN_NO_ANSWER;
	unsigned int as_soft = 0, most = 0;

	if (!all || run_again(h, c, all)) {
		free(all);
		return INSN_VERDICT_NONE;
	}
	all[INSN_AGAIN] = *first;
	for (unsigned int i = 0; i < INSN_AGAIN; i++)
		as_soft += insn_equal(c, &all[i], soft);
	for (unsigned int i = 0; i <= INSN_AGAIN && most < INSN_AGREE; i++)
		most = count_equal(c, all, INSN_AGAIN + 1, &all[i]);
	if (as_soft >= INSN_AGREE)
		verdict = INSN_HOST_ODD;
	else if (most >= INSN_AGREE)
		verdict = INSN_ENGINE_WRONG;
	if (verdict == INSN_HOST_ODD)
		count_odd(h, c, first, soft);
	h->no_answer += verdict == INSN_NO_ANSWER;
	free(all);
	return verdict;
}

bool insn_host_over_limit(const struct insn_host *h, uint64_t cases)
{
	uint64_t odd = h->odd + h->no_answer;

	return odd > INSN_ODD_FEW && odd > cases / INSN_ODD_LIMIT;
}

static void print_how(unsigned int usual, unsigned int odd, uint32_t count, const char *comma)
{
	const unsigned int known = sizeof vector_names / sizeof vector_names[0];
	const char *u = usual < known ? vector_names[usual] : "?", *o = odd < known ? vector_names[odd] : "?";

	if (usual == odd)
		printf("%s%" PRIu32 " another result", comma, count);
	else if (usual == 0)
		printf("%s%" PRIu32 " spurious %s", comma, count, o);
	else if (odd == 0)
		printf("%s%" PRIu32 " lost %s", comma, count, u);
	else
		printf("%s%" PRIu32 " %s for %s", comma, count, o, u);
}

void insn_host_print(const struct insn_host *h, uint64_t cases)
{
	const char *comma = "";

	if (!h->odd && !h->no_answer)
		return;
	printf("check_insn: host: %" PRIu64 " of %" PRIu64 " cases not repeatable (", h->odd + h->no_answer, cases);
	for (unsigned int usual = 0; usual < INSN_VECTORS; usual++)
		for (unsigned int odd = 0; odd < INSN_VECTORS; odd++)
			if (h->how[usual][odd]) {
				print_how(usual, odd, h->how[usual][odd], comma);
				comma = ", ";
			}
	if (h->no_answer)
		printf("%s%" PRIu64 " without a usual result", comma, h->no_answer);
	printf("); RSP was not canonical in %" PRIu64 " of them\n", h->odd_stack);
}
