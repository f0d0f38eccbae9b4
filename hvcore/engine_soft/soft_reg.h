/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What handlers are written with: register access by width, and the forms of operands that they
 * come in. An 8-bit register is named by its byte offset in gpr[] (little-endian hosts), the others
 * by their number. [vcpu]
 */
#ifndef SOFT_REG_H
#define SOFT_REG_H

#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_mem.h"

/* Defines one handler. */
#define SOFT_H(name)                                                                               \
	static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/* The same, visible to the decoder. */
#define SOFT_HX(name) const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/*
 * Forms of a two-operand instruction: destination, then source. r register, m memory, d memory at
 * [base + disp] in a flat segment (four fifths of all memory operands), i immediate, l memory with
 * LOCK. A register destination is op->reg; a register source op->rm next to it, op->reg next to
 * memory.
 */
enum soft_form {
	SOFT_RR,
	SOFT_RI,
	SOFT_RM,
	SOFT_RD,
	SOFT_MR,
	SOFT_DR,
	SOFT_MI,
	SOFT_DI,
	SOFT_LR,
	SOFT_LI,
	SOFT_NR_FORMS
};

/* Operand width as a table index, from its size in bytes. */
enum { SOFT_W8, SOFT_W16, SOFT_W32, SOFT_W64, SOFT_NR_WIDTHS };

static inline uint8_t soft_get8(const struct soft_cpu *cpu, unsigned int at)
{
	return ((const uint8_t *)cpu->gpr)[at];
}

static inline uint16_t soft_get16(const struct soft_cpu *cpu, unsigned int r)
{
	return (uint16_t)cpu->gpr[r];
}

static inline uint32_t soft_get32(const struct soft_cpu *cpu, unsigned int r)
{
	return (uint32_t)cpu->gpr[r];
}

static inline uint64_t soft_get64(const struct soft_cpu *cpu, unsigned int r)
{
	return cpu->gpr[r];
}

static inline void soft_set8(struct soft_cpu *cpu, unsigned int at, uint8_t v)
{
	((uint8_t *)cpu->gpr)[at] = v;
}

static inline void soft_set16(struct soft_cpu *cpu, unsigned int r, uint16_t v)
{
	*(soft_u16 *)&cpu->gpr[r] = v;
}

static inline void soft_set32(struct soft_cpu *cpu, unsigned int r, uint32_t v)
{
	cpu->gpr[r] = v; /* the upper half is cleared */
}

static inline void soft_set64(struct soft_cpu *cpu, unsigned int r, uint64_t v)
{
	cpu->gpr[r] = v;
}

/* The address of the d forms. */
static inline uint64_t soft_ea_flat(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return cpu->gpr[op->base] + (uint64_t)(int64_t)op->disp;
}

/* Is the memory operand one that the d forms can do? */
static inline bool soft_op_is_flat(const struct soft_op *op)
{
	return op->index == SOFT_REG_ZERO && op->seg == SOFT_SEG_NONE &&
	       !(op->flags & SOFT_OP_ODD_EA);
}

#define SOFT_T(W)	  uint##W##_t
#define SOFT_GET(W, i)	  soft_get##W(cpu, (i))
#define SOFT_SET(W, i, v) soft_set##W(cpu, (i), (SOFT_T(W))(v))
#define SOFT_LD(W, la)	  soft_ld##W(cpu, op, (la))
#define SOFT_ST(W, la, v) soft_st##W(cpu, op, (la), (SOFT_T(W))(v))
#define SOFT_RMW(W, la)	  ((soft_u##W *)soft_rmw(cpu, op, (la), (W) / 8))

/* *p = EXPR of a, atomically; a and r must be declared. */
#define SOFT_ATOMIC(W, p, EXPR)                                                                    \
	do {                                                                                       \
		a = __atomic_load_n((SOFT_T(W) *)(p), __ATOMIC_RELAXED);                           \
		do                                                                                 \
			r = (SOFT_T(W))(EXPR);                                                     \
		while (!__atomic_compare_exchange_n((SOFT_T(W) *)(p), &a, r, false,                \
						    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));          \
	} while (0)

/* The sixteen conditions in encoding order, as expressions over f. */
#define SOFT_CONDITIONS(X)                                                                         \
	X(0, o, soft_of(f))                                                                        \
	X(1, no, !soft_of(f))                                                                      \
	X(2, b, soft_cf(f))                                                                        \
	X(3, nb, !soft_cf(f))                                                                      \
	X(4, z, soft_zf(f))                                                                        \
	X(5, nz, !soft_zf(f))                                                                      \
	X(6, be, soft_cf(f) || soft_zf(f))                                                         \
	X(7, nbe, !(soft_cf(f) || soft_zf(f)))                                                     \
	X(8, s, soft_sf(f))                                                                        \
	X(9, ns, !soft_sf(f))                                                                      \
	X(10, p, soft_pf(f))                                                                       \
	X(11, np, !soft_pf(f))                                                                     \
	X(12, l, soft_less(f))                                                                     \
	X(13, nl, !soft_less(f))                                                                   \
	X(14, le, soft_less(f) || soft_zf(f))                                                      \
	X(15, nle, !(soft_less(f) || soft_zf(f)))

#endif
