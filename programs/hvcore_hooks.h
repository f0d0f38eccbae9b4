/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_hooks.h - what fencing/ and migration/ do inside hvcore (hvcore_main.c wires it). [loop]
 */
#ifndef HVCORE_HOOKS_H
#define HVCORE_HOOKS_H

#include "hvcore/hv_core.h"
#include "migration/core/mig_core.h"

struct fen_shut_out;

/* What the hooks need to remember. Lives as long as the hv_core. */
struct hvcore_wiring {
	struct mig_core mig;
	struct fen_shut_out *watching; /* proof (d) being made */
	int watchdog_fd;	       /* -1: no hvwatchdogd */
};

/* Before privileges are dropped. Without hvwatchdogd nothing is connected. */
void hvcore_hooks_init(struct hvcore_wiring *w, const Hv__CoreStart *start,
		       struct hv_core_hooks *hooks);

#endif
