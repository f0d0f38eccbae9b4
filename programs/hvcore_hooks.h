/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_hooks.h - what fencing/ and migration/ do inside hvcore, and what they have under way
 * there (hvcore_process.c wires it). [loop]
 */
#ifndef HVCORE_HOOKS_H
#define HVCORE_HOOKS_H

#include "hvcore/hv_core.h"
#include "migration/core/mig_core.h"

struct fen_takeover;

/* Of one process; lives as long as its hv_core. */
struct hvcore_parts {
	struct hv_core_hooks hooks; /* for hv_core_new; their arg is migration */
	struct mig_core migration;
	struct fen_takeover *taking; /* under way; else NULL */
	stor_lease_done_fn took;
	void *took_arg;
	int watchdog_fd;	       /* -1: nobody watches over us */
};

/* Connects to hvwatchdogd if there is one: before privileges are dropped. engine is borrowed. */
void hvcore_parts_init(struct hvcore_parts *p, const Hv__CoreStart *start,
		       const struct hv_engine_choice *engine);

/* The verbs that migration/ and fencing/ add to the control socket; their ctx is the hv_core. */
#define HVCORE_VERBS 6
extern const struct px_verb hvcore_verbs[HVCORE_VERBS];

#endif
