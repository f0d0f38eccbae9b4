/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_tally.c - counters by name, and the rates that follow. Changes nothing; parses nothing.
 */
#include "config.h"

#include "hvcore/cpu/hv_tally.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void hv_tally_add_row(void *arg, const char *name, uint64_t value)
{
	struct hv_tally *t = arg;

	if (t->count == HV_TALLY_ROWS)
		return;
	t->row[t->count].name = name;
	t->row[t->count++].value = value;
}

static bool has(const struct hv_tally *t, const char *name)
{
	for (unsigned i = 0; i < t->count; i++)
		if (strcmp(t->row[i].name, name) == 0)
			return true;
	return false;
}

uint64_t hv_tally_get(const struct hv_tally *t, const char *name)
{
	for (unsigned i = 0; i < t->count; i++)
		if (strcmp(t->row[i].name, name) == 0)
			return t->row[i].value;
	return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void hv_tally_minus(struct hv_tally *to, const struct hv_tally *from)
{
	to->wall_ns = less(to->wall_ns, from->wall_ns);
	for (unsigned i = 0; i < to->count && i < from->count; i++)
		to->row[i].value = less(to->row[i].value, from->row[i].value);
}

void hv_tally_plus(struct hv_tally *to, const struct hv_tally *other)
{
	if (!to->count) {
		*to = *other;
		return;
	}
	for (unsigned i = 0; i < to->count && i < other->count; i++)
		to->row[i].value += other->row[i].value;
}

/* --- rates --------------------------------------------------------------- */

static double ratio(double a, double b, double unit)
{
	return b > 0 ? a / b * unit : NAN;
}

static double share(const struct hv_tally *t, const char *part, const char *whole)
{
	return ratio((double)hv_tally_get(t, part), (double)hv_tally_get(t, whole), 100);
}

static uint64_t group_sum(const struct hv_tally *t, const char *prefix)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->count; i++)
		if (strncmp(t->row[i].name, prefix, strlen(prefix)) == 0)
			sum += t->row[i].value;
	return sum;
}

struct hv_rates hv_tally_rates(const struct hv_tally *t)
{
	double wall = (double)t->wall_ns, cpu = (double)hv_tally_get(t, "time.cpu_ns");
	double insns = (double)hv_tally_get(t, "insns.done");
	bool counts_insns = has(t, "insns.done");
	struct hv_rates r = {
		.cpu_percent = ratio(cpu, wall, 100),
		.halted_percent =
			has(t, "time.halted_ns")
				? ratio((double)hv_tally_get(t, "time.halted_ns"), wall, 100)
				: (double)NAN,
		.mips_cpu = counts_insns ? ratio(insns, cpu, 1000) : (double)NAN,
		.mips_wall = counts_insns ? ratio(insns, wall, 1000) : (double)NAN,
		.exits_per_s = ratio((double)group_sum(t, "exits."), wall, 1e9),
		.tlb_read_hit_percent = share(t, "sample.read_hits", "sample.reads"),
		.tlb_write_hit_percent = share(t, "sample.write_hits", "sample.writes"),
		.tlb_exec_hit_percent = share(t, "sample.fetch_hits", "sample.fetches"),
		.block_hit_percent = share(t, "sample.block_hits", "sample.blocks"),
		.tlb_misses_per_1000_insns = ratio((double)group_sum(t, "tlb."), insns, 1e3),
		.blocks_decoded_per_million_insns =
			ratio((double)hv_tally_get(t, "blocks.decoded"), insns, 1e6),
	};

	return r;
}

/* --- the document -------------------------------------------------------- */

static void put_rate(struct hv_json *j, const char *key, double v)
{
	char text[40];

	if (!isfinite(v))
		return;
	snprintf(text, sizeof text, "%.3f", v);
	hv_json_raw(j, key, text);
}

static void put_rates(struct hv_json *j, const struct hv_tally *t)
{
	struct hv_rates r = hv_tally_rates(t);

	hv_json_open(j, "rates", '{');
	put_rate(j, "cpu_percent", r.cpu_percent);
	put_rate(j, "halted_percent", r.halted_percent);
	put_rate(j, "mips_cpu", r.mips_cpu);
	put_rate(j, "mips_wall", r.mips_wall);
	put_rate(j, "exits_per_s", r.exits_per_s);
	put_rate(j, "tlb_read_hit_percent", r.tlb_read_hit_percent);
	put_rate(j, "tlb_write_hit_percent", r.tlb_write_hit_percent);
	put_rate(j, "tlb_exec_hit_percent", r.tlb_exec_hit_percent);
	put_rate(j, "block_hit_percent", r.block_hit_percent);
	put_rate(j, "tlb_misses_per_1000_insns", r.tlb_misses_per_1000_insns);
	put_rate(j, "blocks_decoded_per_million_insns", r.blocks_decoded_per_million_insns);
	hv_json_close(j, '}');
}

/* Rows of one group follow one another. */
static void put_counts(struct hv_json *j, const struct hv_tally *t)
{
	char group[32] = "";

	hv_json_open(j, "counts", '{');
	for (unsigned i = 0; i < t->count; i++) {
		const char *dot = strchr(t->row[i].name, '.');
		int n = dot ? (int)(dot - t->row[i].name) : 0;

		if (!t->row[i].value || !n || n >= (int)sizeof group)
			continue;
		if (strncmp(group, t->row[i].name, (size_t)n) != 0 || group[n]) {
			if (group[0])
				hv_json_close(j, '}');
			snprintf(group, sizeof group, "%.*s", n, t->row[i].name);
			hv_json_open(j, group, '{');
		}
		hv_json_u64(j, dot + 1, t->row[i].value);
	}
	if (group[0])
		hv_json_close(j, '}');
	hv_json_close(j, '}');
}

void hv_tally_json(struct hv_json *j, const char *key, const struct hv_tally *t)
{
	hv_json_open(j, key, '{');
	hv_json_u64(j, "wall_ms", t->wall_ns / 1000000u);
	put_rates(j, t);
	put_counts(j, t);
	hv_json_close(j, '}');
}
