/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps, calls and returns of 64-bit code, and the pseudo-ops that end a block.
 *
 * Every way out of a block adds the instructions completed to icount and looks whether the run loop
 * wants the CPU back. A branch within its page goes straight to the ops of its target by op->link
 * once that is known.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

/* To op->imm, which lies in this page. */
static inline const struct soft_op *go_near(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->icount += op->n;
	if (soft_unlikely(soft_due(cpu)))
		return soft_leave(cpu, cpu->gpr[SOFT_REG_PAGE] + op->imm);
	if (soft_unlikely(!op->link))
		return soft_block_link(cpu, op, op->imm);
	SOFT_GOTO(cpu, op->link);
}

static inline const struct soft_op *go_far(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->icount += op->n;
	return soft_goto(cpu, cpu->gpr[SOFT_REG_PAGE] + op->imm);
}

static inline const struct soft_op *go_to(struct soft_cpu *cpu, const struct soft_op *op,
					  uint64_t rip)
{
	cpu->icount += op->n;
	return soft_goto(cpu, rip);
}

SOFT_HX(soft_op_end)
{
	return go_near(cpu, op);
}

SOFT_HX(soft_op_end_far)
{
	return go_far(cpu, op);
}

/* What the ops of a dropped block become: the instructions before this one are complete. */
SOFT_HX(soft_op_stale)
{
	cpu->icount += op->n - 1u;
	return soft_leave(cpu, soft_rip(cpu, op));
}

/* Ahead of an instruction whose rip-relative displacement does not fit when seen from the page
 * base. */
SOFT_HX(soft_op_set_far)
{
	cpu->gpr[SOFT_REG_FAR] = cpu->gpr[SOFT_REG_PAGE] + 2 * SOFT_PAGE;
	SOFT_NEXT(cpu, op);
}

#define JCC(I, CC, EXPR)                                                                           \
	SOFT_H(j##CC##_near)                                                                       \
	{                                                                                          \
		const struct soft_flags *f = &cpu->flags;                                          \
                                                                                                   \
		if (EXPR)                                                                          \
			return go_near(cpu, op);                                                   \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(j##CC##_far)                                                                        \
	{                                                                                          \
		const struct soft_flags *f = &cpu->flags;                                          \
                                                                                                   \
		if (EXPR)                                                                          \
			return go_far(cpu, op);                                                    \
		SOFT_NEXT(cpu, op);                                                                \
	}
SOFT_CONDITIONS(JCC)

#define JCC_ROW(I, CC, EXPR) [I] = {j##CC##_near, j##CC##_far},
const soft_fn soft_jcc[16][2] = {SOFT_CONDITIONS(JCC_ROW)};

/* LOOPNE LOOPE LOOP JRCXZ count in as much of RCX as the address size says. */
static inline bool count_down(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (op->flags & SOFT_OP_ADDR16) {
		soft_set16(cpu, SOFT_RCX, (uint16_t)(cpu->gpr[SOFT_RCX] - 1));
		return soft_get16(cpu, SOFT_RCX) != 0;
	}
	if (op->flags & SOFT_OP_ADDR32)
		return (cpu->gpr[SOFT_RCX] = (uint32_t)(cpu->gpr[SOFT_RCX] - 1)) != 0;
	return --cpu->gpr[SOFT_RCX] != 0;
}

static inline bool rcx_is_zero(const struct soft_cpu *cpu, const struct soft_op *op)
{
	if (op->flags & SOFT_OP_ADDR16)
		return !soft_get16(cpu, SOFT_RCX);
	return !(op->flags & SOFT_OP_ADDR32 ? soft_get32(cpu, SOFT_RCX) : cpu->gpr[SOFT_RCX]);
}

#define LOOP(NAME, EXPR)                                                                           \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		if (EXPR)                                                                          \
			return go_far(cpu, op);                                                    \
		SOFT_NEXT(cpu, op);                                                                \
	}
LOOP(loopne, count_down(cpu, op) && !soft_zf(&cpu->flags))
LOOP(loope, count_down(cpu, op) && soft_zf(&cpu->flags))
LOOP(loop, count_down(cpu, op))
LOOP(jrcxz, rcx_is_zero(cpu, op))

const soft_fn soft_loop[4] = {loopne, loope, loop, jrcxz};

SOFT_HX(soft_op_jmp_near)
{
	return go_near(cpu, op);
}

SOFT_HX(soft_op_jmp_far)
{
	return go_far(cpu, op);
}

static inline void push64(struct soft_cpu *cpu, const struct soft_op *op, uint64_t v)
{
	uint64_t sp = cpu->gpr[SOFT_RSP] - 8;

	soft_st64(cpu, op, sp, v);
	cpu->gpr[SOFT_RSP] = sp;
}

SOFT_HX(soft_op_call_near)
{
	push64(cpu, op, soft_next_rip(cpu, op));
	return go_near(cpu, op);
}

SOFT_HX(soft_op_call_far)
{
	push64(cpu, op, soft_next_rip(cpu, op));
	return go_far(cpu, op);
}

/* A target outside of the canonical range faults at the branch, not behind it. */
static inline void check_target(struct soft_cpu *cpu, const struct soft_op *op, uint64_t rip)
{
	if (soft_unlikely((uint64_t)((int64_t)(rip << 16) >> 16) != rip))
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

SOFT_HX(soft_op_jmp_r)
{
	uint64_t to = cpu->gpr[op->rm];

	check_target(cpu, op, to);
	return go_to(cpu, op, to);
}

SOFT_HX(soft_op_jmp_m)
{
	uint64_t to = soft_ld64(cpu, op, soft_ea(cpu, op));

	check_target(cpu, op, to);
	return go_to(cpu, op, to);
}

SOFT_HX(soft_op_call_r)
{
	uint64_t to = cpu->gpr[op->rm];

	check_target(cpu, op, to);
	push64(cpu, op, soft_next_rip(cpu, op));
	return go_to(cpu, op, to);
}

SOFT_HX(soft_op_call_m)
{
	uint64_t to = soft_ld64(cpu, op, soft_ea(cpu, op));

	check_target(cpu, op, to);
	push64(cpu, op, soft_next_rip(cpu, op));
	return go_to(cpu, op, to);
}

SOFT_HX(soft_op_ret)
{
	uint64_t to = soft_ld64(cpu, op, cpu->gpr[SOFT_RSP]);

	check_target(cpu, op, to);
	cpu->gpr[SOFT_RSP] += 8;
	return go_to(cpu, op, to);
}

SOFT_HX(soft_op_ret_i)
{
	uint64_t to = soft_ld64(cpu, op, cpu->gpr[SOFT_RSP]);

	check_target(cpu, op, to);
	cpu->gpr[SOFT_RSP] += 8 + (uint16_t)op->imm;
	return go_to(cpu, op, to);
}
