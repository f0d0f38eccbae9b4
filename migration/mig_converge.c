/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_converge.c - the convergence decision. No clock, no I/O, no log.
 */
#include "config.h"

#include "migration/mig_converge.h"

#include "common/cm_err.h"

#define NS_PER_S 1000000000ull
/* A round too short to tell a bandwidth: start-up and acknowledgement dominate it. */
#define MEASURABLE_BYTES (1ull << 20)

const char *mig_verdict_name(enum mig_verdict v)
{
	static const char *const names[] = {"none", "go-on", "switch", "give-up"};

	return (unsigned)v < CM_ARRAY_LEN(names) ? names[v] : "?";
}

static uint64_t rate(uint64_t bytes, uint64_t ns)
{
	return ns ? (uint64_t)((double)bytes * (double)NS_PER_S / (double)ns) : 0;
}

static void converge_measure(struct mig_converge *c)
{
	uint64_t now = rate(c->round_bytes, c->round_ns);

	if (!c->bandwidth_bytes_s)
		c->bandwidth_bytes_s = now;
	else if (c->round_bytes >= MEASURABLE_BYTES)
		c->bandwidth_bytes_s = (c->bandwidth_bytes_s * 3 + now) / 4;
	c->dirty_bytes_s = rate(c->remaining_bytes, c->round_ns);
	c->forecast_ns = c->fixed_ns;
	if (c->remaining_bytes)
		c->forecast_ns += c->bandwidth_bytes_s
					  ? (uint64_t)((double)c->remaining_bytes * (double)NS_PER_S /
						       (double)c->bandwidth_bytes_s)
					  : NS_PER_S * 3600;
}

enum mig_verdict mig_converge_judge(struct mig_converge *c)
{
	converge_measure(c);
	if (!c->best_forecast_ns || c->forecast_ns < c->best_forecast_ns) {
		c->best_forecast_ns = c->forecast_ns;
		c->stalled = 0;
	} else {
		c->stalled++;
	}
	if (c->forecast_ns <= c->max_blackout_ns)
		return MIG_SWITCH;
	if (c->stalled >= MIG_STALL_ROUNDS || c->round >= MIG_ROUNDS_MAX)
		return MIG_GIVE_UP;
	return MIG_GO_ON;
}
