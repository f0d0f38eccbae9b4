/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A work of the payload natively, and whose fault it is if an engine has another result: one that differs is computed
 * natively again, several times. What comes every time is compared; what came only once is the host's. Pure.
 */
#ifndef RIG_NATIVE_H
#define RIG_NATIVE_H

#include <stdint.h>

enum rig_verdict {
	RIG_AGREE,
	RIG_HOST_ODD,	  /* the first native result does not come again, and the engine's is the usual one */
	RIG_NO_ANSWER,	  /* the host has no usual result */
	RIG_ENGINE_WRONG,
};

uint64_t rig_native(unsigned int work, uint64_t amount);
/* `first` is what rig_native() gave, `got` the engine's. Prints what is not in order, beginning with `who`. */
enum rig_verdict rig_native_judge(const char *who, unsigned int work, uint64_t amount, uint64_t first, uint64_t got);

#endif
