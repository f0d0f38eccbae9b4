/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One decoded guest instruction, and how one hands over to the next.
 *
 * A block is an array of struct soft_op. A handler does the work of its op and ends with
 * SOFT_NEXT(cpu, op). In an optimised build that is a tail call straight into the next handler, so
 * there is no dispatch loop and every handler has its own, well predicted, indirect jump. A handler
 * that must leave the block (rip is set, nothing more to run here) returns NULL.
 *
 * A compiler cannot make a tail call where the address of a local variable has escaped: files with
 * such handlers define SOFT_LOOPED before their includes. There, and in debug and sanitizer builds,
 * the same macro returns the next op and the run loop goes round. Both kinds mix freely.
 *
 * [vcpu] everything here runs on the thread of the vCPU that owns the ops. Ops are private to one
 * vCPU.
 */
#ifndef SOFT_OP_H
#define SOFT_OP_H

#include <stddef.h>
#include <stdint.h>

struct soft_cpu;
struct soft_op;

typedef const struct soft_op *(*soft_fn)(struct soft_cpu *cpu, const struct soft_op *op);

/*
 * Indices into soft_cpu.gpr[]. 0-15 are the architectural registers. Three more make every address
 * the same sum: SOFT_REG_PAGE holds the linear address of the page that the running block lies in
 * (so [rip+disp32] is an ordinary base + disp), SOFT_REG_ZERO holds 0 (no base, no index).
 */
enum {
	SOFT_RAX,
	SOFT_RCX,
	SOFT_RDX,
	SOFT_RBX,
	SOFT_RSP,
	SOFT_RBP,
	SOFT_RSI,
	SOFT_RDI,
	SOFT_R8,
	SOFT_R9,
	SOFT_R10,
	SOFT_R11,
	SOFT_R12,
	SOFT_R13,
	SOFT_R14,
	SOFT_R15,
	SOFT_REG_PAGE,
	SOFT_REG_FAR,
	SOFT_REG_ZERO,
	SOFT_NR_GPR = 20,
};

/* Segments, in ModRM order; SOFT_SEG_NONE has base 0 and is what 64-bit code uses for ES, CS, SS
 * and DS. */
enum { SOFT_ES, SOFT_CS, SOFT_SS, SOFT_DS, SOFT_FS, SOFT_GS, SOFT_SEG_NONE, SOFT_NR_SEG = 8 };

/* What a block's ops were decoded for; part of its key. */
#define SOFT_MODE_16	 0x01u /* exactly one of these three: default operand and address size */
#define SOFT_MODE_32	 0x02u
#define SOFT_MODE_64	 0x04u
#define SOFT_MODE_NO_FPU 0x08u /* CR0.EM: x87 is #NM, SSE is #UD */
#define SOFT_MODE_TS	 0x10u /* CR0.TS: x87, MMX and SSE are #NM */
#define SOFT_MODE_NO_SSE 0x20u /* CR4.OSFXSR is clear: SSE is #UD */
#define SOFT_MODE_BREAK	 0x40u /* DR7 enables a breakpoint: one instruction a block, see soft_break.h */

#define SOFT_INSN_MAX 15u /* bytes of the longest instruction */

/* soft_op.flags */
#define SOFT_OP_ADDR32 0x01u /* effective address is truncated to 32 bits */
#define SOFT_OP_ADDR16 0x02u /* ... to 16 bits */
#define SOFT_OP_LIN32  0x04u /* linear address is truncated to 32 bits (outside of 64-bit mode) */
#define SOFT_OP_ODD_EA (SOFT_OP_ADDR32 | SOFT_OP_ADDR16 | SOFT_OP_LIN32)
#define SOFT_OP_STACK                                                                              \
	0x08u /* the address is formed from RSP or RBP: a non-canonical one is #SS, not #GP */
#define SOFT_OP_LOCK   0x10u /* LOCK prefix */
#define SOFT_OP_REP    0x20u /* F3 prefix on a string instruction */
#define SOFT_OP_REPNE  0x40u /* F2 prefix on a string instruction */
#define SOFT_OP_LINKED 0x80u /* soft_op.link is valid (branches only) */

/*
 * 32 bytes, two to a cache line. Operands are what the decoder made of ModRM:
 *  - reg, rm: register numbers, REX folded in. For 8-bit operands of integer instructions they are
 * byte offsets into gpr[] (so that AH is 1 and SPL is 32); for vector operands plain xmm numbers.
 *  - base, index, scale, disp, seg: the memory operand; use soft_ea().
 *  - imm: immediate, sign-extended; or the branch target as an offset from the page base.
 * SSE and x87 use `imm` and `aux` as they like.
 */
struct soft_op {
	soft_fn fn;
	uint64_t imm;
	union {
		struct {
			int32_t disp;
			uint8_t base;
			uint8_t index;
			uint8_t scale;
			uint8_t seg;
		};
		const struct soft_op *link; /* branches: first op of the target block, if it lies in
					       the same page */
	};
	uint16_t off; /* of the first byte within the page; crossing instructions may end beyond
			 4096 */
	uint8_t len;  /* bytes, prefixes included */
	uint8_t n;    /* this is the n-th instruction of the block, from 1 */
	uint8_t reg;
	uint8_t rm;
	uint8_t flags;
	uint8_t aux;
};

_Static_assert(sizeof(struct soft_op) == 32, "an op is half a cache line");

#if defined(__OPTIMIZE__) && !defined(HV_SANITIZED) && !defined(SOFT_LOOPED)
#define SOFT_THREADED	   1
#define SOFT_GOTO(cpu, op) return (op)->fn((cpu), (op))
#else
#define SOFT_THREADED	   0
#define SOFT_GOTO(cpu, op) return ((void)(cpu), (op))
#endif
#define SOFT_NEXT(cpu, op) SOFT_GOTO((cpu), (op) + 1)

#endif
