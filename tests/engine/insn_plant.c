/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors on purpose. The interpreter's are such that the comparison must see each of them: so they keep away from flags
 * that are undefined, from state images with fields of their maker's taste, and from what is up to the CPU.
 */
#include "config.h"

#include "tests/engine/insn_plant.h"

#include <string.h>

#include "tests/engine/insn_compare.h"
#include "tests/engine/insn_form.h"

#define DEBUG_TRAP 1
#define UNKNOWN_OPCODE 6
#define PAGE_FAULT 14
#define ALIGNMENT 17
#define PF_WRITE 2u
#define MXCSR_ROUND 0x20 /* in its second byte */
#define FLAGS 0xcd5ull

static const char *const names[INSN_PLANTS] = {
	[INSN_PLANT_NONE] = "none",	  [INSN_PLANT_GPR] = "register",	[INSN_PLANT_RIP] = "rip",
	[INSN_PLANT_FLAG] = "flag",	  [INSN_PLANT_MEMORY] = "memory",	[INSN_PLANT_XMM] = "xmm",
	[INSN_PLANT_ST] = "st",		  [INSN_PLANT_MXCSR] = "mxcsr",		[INSN_PLANT_UNKNOWN] = "spurious #UD",
	[INSN_PLANT_LOST] = "lost exception", [INSN_PLANT_LOST_AC] = "lost #AC", [INSN_PLANT_ERROR] = "error code",
	[INSN_PLANT_CR2] = "cr2",
};

const char *insn_plant_name(enum insn_plant kind)
{
	return names[kind];
}

void insn_plant_unknown(const struct insn_case *c, struct insn_result *r)
{
	r->regs = c->in;
	memcpy(r->mem, c->mem, sizeof r->mem);
	r->vector = UNKNOWN_OPCODE;
	r->error = 0;
}

static bool flip_flag(uint64_t random, const struct insn_case *c, const struct insn_result *native, struct insn_result *soft)
{
	uint64_t bit = 1ull << random % 12;

	if (!(bit & FLAGS & insn_flags_mask(c, native)))
		return false;
	soft->regs.rflags ^= bit;
	return true;
}

static bool flip_memory(uint64_t random, const struct insn_case *c, struct insn_result *soft)
{
	if (insn_forms[c->form].flags & F_XIMM)
		return false;
	soft->mem[random % INSN_STRIPS][random >> 8 & (INSN_STRIP - 1)] ^= (uint8_t)(1u << (random >> 16 & 7));
	return true;
}

static bool lose_exception(struct insn_result *soft, bool ac)
{
	if (soft->vector == INSN_NONE || soft->vector == DEBUG_TRAP || (ac && soft->vector != ALIGNMENT))
		return false;
	soft->vector = INSN_NONE;
	return true;
}

static bool spoil_fault(enum insn_plant kind, struct insn_result *soft)
{
	if (soft->vector != PAGE_FAULT)
		return false;
	if (kind == INSN_PLANT_ERROR)
		soft->error ^= PF_WRITE;
	else
		soft->cr2 ^= 8;
	return true;
}

bool insn_plant(enum insn_plant kind, uint64_t random, const struct insn_case *c, const struct insn_result *native,
		struct insn_result *soft)
{
	if (native->vector != soft->vector || !insn_compared_whole(c, native))
		return false;
	switch (kind) {
	case INSN_PLANT_GPR:
		soft->regs.gpr[random & 15] ^= 1ull << (random >> 8 & 63);
		return true;
	case INSN_PLANT_RIP:
		soft->regs.rip++;
		return true;
	case INSN_PLANT_FLAG:
		return flip_flag(random, c, native, soft);
	case INSN_PLANT_MEMORY:
		return flip_memory(random, c, soft);
	case INSN_PLANT_XMM:
		soft->regs.fx[160 + (random & 255)] ^= (uint8_t)(1u << (random >> 8 & 7));
		return true;
	case INSN_PLANT_ST:
		soft->regs.fx[32 + 16 * (random & 7) + (random >> 8) % 10] ^= (uint8_t)(1u << (random >> 16 & 7));
		return true;
	case INSN_PLANT_MXCSR:
		soft->regs.fx[25] ^= MXCSR_ROUND;
		return true;
	case INSN_PLANT_UNKNOWN:
		if (soft->vector == UNKNOWN_OPCODE)
			return false;
		insn_plant_unknown(c, soft);
		return true;
	case INSN_PLANT_LOST:
	case INSN_PLANT_LOST_AC:
		return lose_exception(soft, kind == INSN_PLANT_LOST_AC);
	case INSN_PLANT_ERROR:
	case INSN_PLANT_CR2:
		return spoil_fault(kind, soft);
	case INSN_PLANT_NONE:
	case INSN_PLANTS:
	default:
		return false;
	}
}

void insn_plant_odd(uint64_t random, const struct insn_case *c, struct insn_result *native)
{
	if (native->vector != INSN_NONE && random % 2)
		native->vector = INSN_NONE;
	else
		insn_plant_unknown(c, native);
}
