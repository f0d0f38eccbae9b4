/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One random instruction with its input, and what came out of it: the common language of the generator (insn_gen.c),
 * the host CPU (insn_native.c), the interpreter (insn_soft.c) and the comparison (check_insn.c).
 *
 * Memory: six pages at INSN_DATA_LA, of which the bytes around the five page borders ("strips") are operands. State images
 * reach beyond them: there each case finds the same bytes, whatever those before it did (insn_gen_lay()).
 * Code: one page at INSN_CODE_LA, full of int3 but for the instruction and, if it is no branch, a jump out behind it.
 */
#ifndef INSN_CASE_H
#define INSN_CASE_H

#include <stdbool.h>
#include <stdint.h>

#define INSN_PAGE	4096u
#define INSN_CODE_LA	0x10000000ull
#define INSN_DATA_LA	0x20001000ull
#define INSN_DATA_PAGES	6u
#define INSN_STRIPS	(INSN_DATA_PAGES - 1)
#define INSN_STRIP_HALF	128u
#define INSN_STRIP	(2 * INSN_STRIP_HALF)
#define INSN_NONE	-1	/* no exception */
#define INSN_BYTES	16u
#define INSN_TF		0x100u	/* single step: #DB behind the instruction */
#define INSN_AC		0x40000u /* alignment checks */

/* What each data page lets user code do: '-' not mapped, 'w' read and write, 'r' read only. */
#define INSN_DATA_RIGHTS "-wwrw-"

struct insn_regs {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags;
	uint8_t fx[512] __attribute__((aligned(16)));	/* FXSAVE image */
};

struct insn_case {
	struct insn_regs in;
	uint8_t mem[INSN_STRIPS][INSN_STRIP] __attribute__((aligned(16)));
	uint8_t code[INSN_BYTES];
	uint32_t len;
	uint32_t form;
	uint32_t opsize;	/* bytes of the integer operand */
	uint64_t target;	/* linear address of the memory operand */
	bool branch;
};

struct insn_result {
	struct insn_regs regs;
	uint8_t mem[INSN_STRIPS][INSN_STRIP] __attribute__((aligned(16)));
	int32_t vector;		/* INSN_NONE or the exception */
	uint32_t error;
	uint64_t cr2;
};

/* First byte of strip i, as an offset into the data pages. */
static inline uint32_t insn_strip_offset(unsigned int i)
{
	return (i + 1) * INSN_PAGE - INSN_STRIP_HALF;
}

#endif
