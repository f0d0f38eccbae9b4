/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors on purpose: in what the interpreter computed, and in what the host did. Pure. */
#ifndef INSN_PLANT_H
#define INSN_PLANT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/engine/insn_case.h"

enum insn_plant {
	INSN_PLANT_NONE,
	INSN_PLANT_GPR,		/* a bit of a register */
	INSN_PLANT_RIP,		/* one too far */
	INSN_PLANT_FLAG,	/* a flag that is defined */
	INSN_PLANT_MEMORY,
	INSN_PLANT_XMM,
	INSN_PLANT_ST,
	INSN_PLANT_MXCSR,
	INSN_PLANT_UNKNOWN,	/* #UD, as if the instruction were not known */
	INSN_PLANT_LOST,	/* an exception that is not raised */
	INSN_PLANT_LOST_AC,	/* the same for #AC, which some hosts lose themselves */
	INSN_PLANT_ERROR,	/* another error code of #PF */
	INSN_PLANT_CR2,		/* another address of #PF */
	INSN_PLANTS,
};

const char *insn_plant_name(enum insn_plant kind);

/*
 * Plants an error into the interpreter's result, which agreed with the native one. False: in this case there is nothing
 * to spoil, or the comparison leaves this part to the CPU; the result is as it was.
 */
bool insn_plant(enum insn_plant kind, uint64_t random, const struct insn_case *c, const struct insn_result *native,
		struct insn_result *soft);

/* Nothing done, and #UD for it. */
void insn_plant_unknown(const struct insn_case *c, struct insn_result *r);

/* Makes a native result of what an unrepeatable host does sometimes: #UD for nothing, or no exception where there is one. */
void insn_plant_odd(uint64_t random, const struct insn_case *c, struct insn_result *native);

#endif
