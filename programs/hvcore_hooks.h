/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_hooks.h - what fencing/ and migration/ do inside hvcore (hvcore_main.c wires it). [loop]
 */
#ifndef HVCORE_HOOKS_H
#define HVCORE_HOOKS_H

#include "hvcore/hv_core.h"

extern const struct hv_core_hooks hvcore_hooks;
/* Verbs of the control socket beside hvcore's own; their ctx is the hv_core. */
#define HVCORE_VERBS 6
extern const struct px_verb hvcore_verbs[HVCORE_VERBS];
/* Before privileges are dropped. Without hvwatchdogd nothing happens. */
void hvcore_watchdog_connect(const Hv__CoreStart *start);

#endif
