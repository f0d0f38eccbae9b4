/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_converge.h - when to stop copying and hand over: a pure function over what was measured.
 *
 * Forecast blackout = remaining / bandwidth + fixed part. Thread: [any].
 */
#ifndef MIG_CONVERGE_H
#define MIG_CONVERGE_H

#include <stdint.h>

enum mig_verdict {
	MIG_VERDICT_NONE = 0,
	MIG_GO_ON,   /* another round */
	MIG_SWITCH,  /* the forecast fits: hand over */
	MIG_GIVE_UP, /* it will not converge */
};
const char *mig_verdict_name(enum mig_verdict v);

#define MIG_STALL_ROUNDS 8u  /* rounds without a new minimum of the forecast */
#define MIG_ROUNDS_MAX   64u

struct mig_converge {
	/* Measured; the caller fills them before every mig_converge_judge. */
	uint32_t round;             /* rounds done */
	uint64_t round_bytes;       /* sent in the last round */
	uint64_t round_ns;          /* and how long that took, until the peer had it */
	uint64_t remaining_bytes;   /* dirty now */
	uint64_t fixed_ns;          /* pause, drain, state, commit, resume */
	uint64_t max_blackout_ns;
	/* Kept from call to call; zero at first. */
	uint64_t bandwidth_bytes_s; /* smoothed */
	uint64_t dirty_bytes_s;
	uint64_t forecast_ns, best_forecast_ns;
	uint32_t stalled;           /* rounds since best_forecast_ns */
};

enum mig_verdict mig_converge_judge(struct mig_converge *c);

#endif
