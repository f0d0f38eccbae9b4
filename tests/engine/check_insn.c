/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_insn: random instructions with random operands, natively on the host CPU against the interpreter.
 *
 *   check_insn [--count N] [--seed S] [--form PREFIX] [--list] [--corrupt] [--odd-host N]
 *
 * The seed is printed; the same seed gives the same cases. A case that differs is run natively again (insn_host.h): what
 * the host does only sometimes is counted as the host's, and beyond a limit the host is no judge.
 *
 * --corrupt plants errors of every kind into results of the interpreter, one in a hundred cases, to prove that they are
 * seen. --odd-host spoils one in N native results, as an unrepeatable host does.
 *
 * Exit: 0 agree, 1 differ (with --corrupt: every planted error was found), 2 usage, 3 a planted error was not found,
 * 77 skipped.
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
#include "tests/engine/insn_host.h"
#include "tests/engine/insn_plant.h"
#include "tests/engine/insn_soft.h"

#define SKIPPED 77
#define ESCAPED 3
#define REPORTS_PER_FORM 2u
#define REPORTS 40u
#define PLANT_EVERY 100u
#define JUDGED_PER_FORM 100u /* a form that was wrong so often is not run again any more */

struct options {
	uint64_t count;
	uint64_t seed;
	const char *form;
	uint32_t odd_host;
	bool corrupt;
};

struct tally {
	uint64_t cases, faults, bad;
};

/* A case that differs, until it is judged. */
struct suspect {
	struct insn_case c;
	struct insn_result native, soft;
	enum insn_plant planted;
};

struct run {
	const struct options *o;
	struct insn_host host;
	struct insn_soft *soft;
	unsigned int *forms, form_count;
	struct tally *tally;		/* by form */
	struct suspect *suspects;	/* INSN_BATCH of them */
	struct insn_gen plants;
	enum insn_plant due, last;	/* due: planted into the next case where it shows */
	uint64_t planted[INSN_PLANTS], found[INSN_PLANTS];
	uint64_t done, bad;
	unsigned int reports;
};

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "count", required_argument, NULL, 'c' }, { "seed", required_argument, NULL, 's' },
		{ "form", required_argument, NULL, 'f' },  { "list", no_argument, NULL, 'l' },
		{ "corrupt", no_argument, NULL, 'x' },	   { "odd-host", required_argument, NULL, 'o' },
		{ 0 },
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
		case 'o':
			o->odd_host = (uint32_t)strtoul(optarg, NULL, 0);
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

static void plant(struct run *r, struct suspect *s)
{
	s->planted = INSN_PLANT_NONE;
	if (r->due == INSN_PLANT_NONE && insn_gen_next(&r->plants) % PLANT_EVERY == 0)
		r->due = r->last = r->last % (INSN_PLANTS - 1) + 1;
	if (r->due == INSN_PLANT_NONE || !insn_equal(&s->c, &s->native, &s->soft) ||
	    !insn_plant(r->due, insn_gen_next(&r->plants), &s->c, &s->native, &s->soft))
		return;
	r->planted[r->due]++;
	s->planted = r->due;
	r->due = INSN_PLANT_NONE;
}

static void settle(struct run *r, const struct suspect *s)
{
	struct tally *t = &r->tally[s->c.form];
	enum insn_verdict verdict = INSN_ENGINE_WRONG;

	if (t->bad < JUDGED_PER_FORM || r->o->corrupt)
		verdict = insn_host_judge(&r->host, &s->c, &s->native, &s->soft);
	if (verdict == INSN_VERDICT_NONE)
		exit(1);
	if (verdict != INSN_ENGINE_WRONG)
		return;
	r->bad++;
	r->found[s->planted]++;
	if (t->bad++ < REPORTS_PER_FORM && r->reports++ < REPORTS)
		insn_report(stdout, &s->c, &s->native, &s->soft);
}

static void run_batch(struct run *r, struct insn_gen *gen, unsigned int batch)
{
	const struct insn_case *cases = r->host.native.cases;
	unsigned int suspects = 0;

	for (unsigned int i = 0; i < batch; i++)
		insn_gen_case(gen, r->forms[(r->done + i) % r->form_count], &r->host.native.cases[i]);
	if (insn_host_run(&r->host, batch))
		exit(1);
	for (unsigned int i = 0; i < batch; i++) {
		struct suspect *s = &r->suspects[suspects];
		struct tally *t = &r->tally[cases[i].form];

		s->c = cases[i];
		s->native = r->host.native.results[i];
		insn_soft_run(r->soft, &s->c, &s->soft);
		if (r->o->corrupt)
			plant(r, s);
		t->cases++;
		t->faults += s->native.vector != INSN_NONE;
		suspects += !insn_equal(&s->c, &s->native, &s->soft);
	}
	for (unsigned int i = 0; i < suspects; i++)
		settle(r, &r->suspects[i]);
	r->done += batch;
}

static void run(struct run *r)
{
	struct insn_gen gen;

	insn_gen_seed(&gen, r->o->seed);
	insn_gen_seed(&r->plants, r->o->seed + 1);
	while (r->done < r->o->count) {
		uint64_t left = r->o->count - r->done;

		run_batch(r, &gen, left < INSN_BATCH ? (unsigned int)left : INSN_BATCH);
		if (!r->o->corrupt && insn_host_over_limit(&r->host, r->done))
			break;
	}
}

static void print_summary(const struct run *r, double seconds)
{
	uint64_t faults = 0;
	unsigned int bad_forms = 0;

	for (unsigned int i = 0; i < insn_form_count; i++) {
		const struct tally *t = &r->tally[i];

		faults += t->faults;
		if (!t->bad)
			continue;
		bad_forms++;
		printf("%-20s %" PRIu64 " of %" PRIu64 " cases differ\n", insn_forms[i].name, t->bad, t->cases);
	}
	insn_host_print(&r->host, r->done);
	printf("check_insn: seed %" PRIu64 ": %" PRIu64 " cases (%" PRIu64 " with an exception), %" PRIu64
	       " differ in %u forms, %.1f s\n", r->o->seed, r->done, faults, r->bad, bad_forms, seconds);
}

/* Was every planted error found, and blamed on the interpreter? With all forms there is room for every kind. */
static int check_plants(const struct run *r)
{
	bool good = true;

	for (enum insn_plant k = 1; k < INSN_PLANTS; k++) {
		printf("check_insn: planted %-15s %" PRIu64 ", found %" PRIu64 "\n", insn_plant_name(k), r->planted[k], r->found[k]);
		good &= r->found[k] == r->planted[k] && (r->planted[k] || r->o->form);
	}
	if (!good)
		printf("check_insn: a planted error was NOT FOUND\n");
	return good ? 1 : ESCAPED;
}

static int conclude(const struct run *r)
{
	if (r->o->corrupt)
		return check_plants(r);
	if (r->bad)
		return 1;
	if (!r->host.no_answer && !insn_host_over_limit(&r->host, r->done))
		return 0;
	printf("SKIP: check_insn: this host is no judge: %" PRIu64 " of %" PRIu64 " cases are not repeatable on its CPU\n",
	       r->host.odd + r->host.no_answer, r->done);
	return SKIPPED;
}

static void free_all(struct run *r)
{
	insn_soft_free(r->soft);
	free(r->suspects);
	free(r->forms);
	free(r->tally);
}

int main(int argc, char **argv)
{
	struct options o = { .count = 1000000, .seed = (uint64_t)time(NULL) };
	struct run r = { .o = &o,
			 .tally = calloc(insn_form_count, sizeof *r.tally),
			 .forms = calloc(insn_form_count, sizeof *r.forms),
			 .suspects = aligned_alloc(16, INSN_BATCH * sizeof *r.suspects) };
	struct timespec from, to;
	int rc;

	if (!r.tally || !r.forms || !r.suspects || !parse(argc, argv, &o)) {
		fprintf(stderr, "usage: check_insn [--count N] [--seed S] [--form PREFIX] [--list] [--corrupt] [--odd-host N]\n");
		return 2;
	}
	r.form_count = choose_forms(&o, r.forms);
	if (!r.form_count) {
		fprintf(stderr, "no form begins with '%s'\n", o.form);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	cm_log_set_level(CM_LOG_ERR); /* unknown instructions are warnings */
	rc = insn_host_open(&r.host, o.seed, o.odd_host);
	if (rc == -ENOTSUP) {
		printf("SKIP: check_insn: this host is no x86-64, there is nothing to compare with\n");
		return SKIPPED;
	}
	r.soft = insn_soft_new();
	if (rc || !r.soft) {
		fprintf(stderr, "cannot start: %s\n", strerror(rc ? -rc : ENOMEM));
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	run(&r);
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_summary(&r, (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
	rc = conclude(&r);
	insn_host_close(&r.host);
	free_all(&r);
	return rc;
}
