/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_insn: random instructions with random operands, natively on the host CPU against the interpreter.
 *
 *   check_insn [--count N] [--seed S] [--form PREFIX] [--list] [--per-form N] [--corrupt]
 *
 * The seed is printed; the same seed gives the same cases. --corrupt flips one bit of every thousandth result of the
 * interpreter, to prove that the comparison sees it: the run must then fail. Exit: 0 agree, 1 differ, 77 skipped.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_log.h"
#include "tests/engine/insn_compare.h"
#include "tests/engine/insn_gen.h"
#include "tests/engine/insn_native.h"
#include "tests/engine/insn_soft.h"

#define SKIPPED 77
#define REPORTS_PER_FORM 2u
#define REPORTS 40u

struct options {
	uint64_t count;
	uint64_t seed;
	const char *form;
	bool corrupt;
};

struct tally {
	uint64_t cases, faults, bad;
};

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "count", required_argument, NULL, 'c' }, { "seed", required_argument, NULL, 's' },
		{ "form", required_argument, NULL, 'f' },  { "list", no_argument, NULL, 'l' },
		{ "corrupt", no_argument, NULL, 'x' },	   { 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:s:f:l", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			o->count = strtoull(optarg, NULL, 0);
			break;
		case 's':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			o->form = optarg;
			break;
		case 'x':
			o->corrupt = true;
			break;
		case 'l':
			for (unsigned int i = 0; i < insn_form_count; i++)
				puts(insn_forms[i].name);
			exit(0);
		default:
			return false;
		}
	}
	return optind == argc;
}

/* The forms to draw from: all that the host has, or those whose name begins with --form. */
static unsigned int choose_forms(const struct options *o, unsigned int *chosen)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < insn_form_count; i++) {
		if (o->form && strncmp(insn_forms[i].name, o->form, strlen(o->form)))
			continue;
		if (insn_native_has(&insn_forms[i]))
			chosen[n++] = i;
		else
			printf("check_insn: not compared, this host has no %s\n", insn_forms[i].name);
	}
	return n;
}

static void corrupt(struct insn_result *r, uint64_t random)
{
	switch (random % 4) {
	case 0:
		r->regs.gpr[random >> 8 & 15] ^= 1ull << (random >> 16 & 63);
		break;
	case 1:
		r->mem[1][random >> 8 & 255] ^= 1;
		break;
	case 2:
		r->regs.fx[160 + (random >> 8 & 255)] ^= 1;
		break;
	default:
		r->regs.rip += 1;
		break;
	}
}

static void print_summary(const struct options *o, const struct tally *tally, uint64_t done, double seconds)
{
	uint64_t bad = 0, faults = 0;
	unsigned int bad_forms = 0;

	for (unsigned int i = 0; i < insn_form_count; i++) {
		bad += tally[i].bad;
		faults += tally[i].faults;
		if (!tally[i].bad)
			continue;
		bad_forms++;
		printf("%-20s %" PRIu64 " of %" PRIu64 " cases differ\n", insn_forms[i].name, tally[i].bad, tally[i].cases);
	}
	printf("check_insn: seed %" PRIu64 ": %" PRIu64 " cases (%" PRIu64 " with an exception), %" PRIu64
	       " differ in %u forms, %.1f s\n", o->seed, done, faults, bad, bad_forms, seconds);
}

static uint64_t run(const struct options *o, struct insn_native *native, struct insn_soft *soft,
		    const unsigned int *forms, unsigned int form_count, struct tally *tally)
{
	struct insn_gen gen;
	struct insn_result mine = { 0 };
	uint64_t done = 0, bad = 0;
	unsigned int reports = 0;

	insn_gen_seed(&gen, o->seed);
	while (done < o->count) {
		unsigned int batch = o->count - done < INSN_BATCH ? (unsigned int)(o->count - done) : INSN_BATCH;

		for (unsigned int i = 0; i < batch; i++)
			insn_gen_case(&gen, forms[(done + i) % form_count], &native->cases[i]);
		if (insn_native_run(native, batch))
			exit(1);
		for (unsigned int i = 0; i < batch; i++) {
			const struct insn_case *c = &native->cases[i];
			struct tally *t = &tally[c->form];

			insn_soft_run(soft, c, &mine);
			if (o->corrupt && (done + i) % 1000 == 0)
				corrupt(&mine, insn_gen_next(&gen));
			t->cases++;
			t->faults += native->results[i].vector != INSN_NONE;
			if (insn_equal(c, &native->results[i], &mine))
				continue;
			bad++;
			if (t->bad++ < REPORTS_PER_FORM && reports++ < REPORTS)
				insn_report(stdout, c, &native->results[i], &mine);
		}
		done += batch;
	}
	return bad;
}

int main(int argc, char **argv)
{
	struct options o = { .count = 1000000, .seed = (uint64_t)time(NULL) };
	struct insn_native native = { .pid = -1 };
	struct insn_soft *soft;
	struct tally *tally = calloc(insn_form_count, sizeof(*tally));
	unsigned int *forms = calloc(insn_form_count, sizeof(*forms)), form_count;
	struct timespec from, to;
	uint64_t bad;
	int rc;

	if (!tally || !forms || !parse(argc, argv, &o)) {
		fprintf(stderr, "usage: check_insn [--count N] [--seed S] [--form PREFIX] [--list] [--corrupt]\n");
		return 2;
	}
	form_count = choose_forms(&o, forms);
	if (!form_count) {
		fprintf(stderr, "no form begins with '%s'\n", o.form);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	cm_log_set_level(CM_LOG_ERR); /* unknown instructions are warnings */
	rc = insn_native_start(&native);
	if (rc == -ENOTSUP) {
		printf("SKIP: this host is no x86-64, there is nothing to compare with\n");
		return SKIPPED;
	}
	soft = insn_soft_new();
	if (rc || !soft) {
		fprintf(stderr, "cannot start: %s\n", strerror(rc ? -rc : ENOMEM));
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	bad = run(&o, &native, soft, forms, form_count, tally);
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_summary(&o, tally, o.count, (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
	insn_native_stop(&native);
	insn_soft_free(soft);
	free(forms);
	free(tally);
	return bad ? 1 : 0;
}
