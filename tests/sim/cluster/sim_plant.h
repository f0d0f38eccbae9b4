/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_plant.h - errors that can be planted, to see that they are found. The product is not touched: a plant stands between
 * two of its files (the linker wraps the call, tests/sim/local.mk), is one of its fault points, or is in the simulation.
 */
#ifndef SIM_PLANT_H
#define SIM_PLANT_H

#include <stdbool.h>

/* XX(NAME, "name", "what is wrong") */
#define SIM_PLANTS(XX) \
	XX(NO_WAIT, "no-wait", "proof (d) does not wait for STOR_DEAD") \
	XX(NO_BARRIER, "no-barrier", "a former owner's keys are not shut out") \
	XX(NO_ABORT, "no-abort", "PREEMPT without ABORT") \
	XX(NO_RESET, "no-reset", "a key that is gone counts as a barrier: no LUN RESET") \
	XX(KEY_FORGOTTEN, "key-forgotten", "the key of the second LUN is not in the block") \
	XX(OLDER_STAYS, "older-stays", "a new session does not abort what its own older one left") \
	XX(FROM_ANSWER, "from-answer", "a permit counts from the answer of a renewal, not from its start") \
	XX(NO_WATCHDOG, "no-watchdog", "a stopped process is not killed when its lease is over") \
	XX(OLD_EVIDENCE, "old-evidence", "evidence about an older owner is accepted") \
	XX(OLD_HISTORY, "old-history", "the history of fencing is believed without quorum") \
	XX(SAN_IS_OFF, "san-is-off", "a node that was shut out of the SAN is taken for one that is off") \
	XX(NO_DRAIN, "no-drain", "a move commits with writes under way") \
	XX(NO_COMMIT, "no-commit", "a move's source gives the VM away without the commit write") \
	XX(MERE_RESUME, "mere-resume", "a move's source runs on without asking the block") \
	XX(MERE_ACCEPT, "mere-accept", "a move's destination runs on a word, without the block") \
	XX(STALE_HEIR, "stale-heir", "an heir takes over though the intent is gone")

enum sim_plant {
	SIM_PLANT_NONE = 0,
#define XX(n, name, what) SIM_PLANT_##n,
	SIM_PLANTS(XX)
#undef XX
	SIM_PLANT_COUNT
};

/* NONE if there is none of that name. */
enum sim_plant sim_plant_find(const char *name);
const char *sim_plant_name(enum sim_plant plant);
const char *sim_plant_what(enum sim_plant plant);
void sim_plant(enum sim_plant plant);
bool sim_plant_is(enum sim_plant plant);

#endif
