/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_tally.h - what was counted of a vCPU, by name, at one instant; differences, sums, and the
 * rates that follow from them. Plain values; all but hv_tally_add_row pure.
 *
 * Rows are "group.name" in the order in which the engine tells them, which is always the same for
 * one engine: two tallies of one engine are subtracted and added row by row. Names are the
 * engine's.
 *
 * Thread: [any], by value.
 */
#ifndef HV_TALLY_H
#define HV_TALLY_H

#include <stdint.h>

#include "hvcore/state/hv_json.h"

#define HV_TALLY_ROWS 256u

struct hv_tally {
	uint64_t wall_ns; /* since the VM first ran; of a difference: between the two */
	unsigned count;
	struct {
		const char *name;
		uint64_t value;
	} row[HV_TALLY_ROWS];
};

/* For engine->tally: adds a row; what has no room is left out. arg: struct hv_tally. */
void hv_tally_add_row(void *arg, const char *name, uint64_t value);
/* 0 if there is no such row. */
uint64_t hv_tally_get(const struct hv_tally *t, const char *name);
/* to -= from; what would be below 0 (read while it changed) is 0. */
void hv_tally_minus(struct hv_tally *to, const struct hv_tally *from);
/* to += other, as of another vCPU of the same time; an empty `to` takes its rows. */
void hv_tally_plus(struct hv_tally *to, const struct hv_tally *other);

/* The rates that can be told from t; others are absent (NAN). */
struct hv_rates {
	double cpu_percent, halted_percent; /* of wall time; a sum may exceed 100 */
	double mips_cpu, mips_wall;	    /* soft: 10^6 instructions a second */
	double exits_per_s;
	double tlb_read_hit_percent, tlb_write_hit_percent, tlb_exec_hit_percent; /* sampled */
	double block_hit_percent;						  /* sampled */
	double tlb_misses_per_1000_insns, blocks_decoded_per_million_insns;	  /* counted */
};
struct hv_rates hv_tally_rates(const struct hv_tally *t);

/* {"wall_ms":, "rates":{}, "counts":{group:{name:value}}}; rows that are 0 are left out. */
void hv_tally_json(struct hv_json *j, const char *key, const struct hv_tally *t);

#endif
