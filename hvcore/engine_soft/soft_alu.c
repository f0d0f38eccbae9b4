/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eight classic operations (ADD OR ADC SBB AND SUB XOR CMP), TEST, and INC DEC NEG NOT.
 *
 * One line at the bottom of the macros is one operation; the macros make it into all widths and
 * operand forms. Does no decoding. Works on values that the guest chose: every memory access goes
 * through soft_mem.h.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

#define CF soft_cf(&cpu->flags)

/* destination is a register: the source is B */
#define TO_REG(W, NAME, EXPR, FLAGS, B)                                                            \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) b = (SOFT_T(W))(B), a = SOFT_GET(W, op->reg);                            \
		SOFT_T(W) r = (SOFT_T(W))(EXPR);                                                   \
                                                                                                   \
		FLAGS(&cpu->flags, W, r, a, b);                                                    \
		SOFT_SET(W, op->reg, r);                                                           \
		SOFT_NEXT(cpu, op);                                                                \
	}

/* destination is memory at EA: the source is B */
#define TO_MEM(W, NAME, EXPR, FLAGS, EA, B)                                                        \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, EA);                                                    \
		SOFT_T(W) b = (SOFT_T(W))(B), a = *p, r = (SOFT_T(W))(EXPR);                       \
                                                                                                   \
		*p = r;                                                                            \
		FLAGS(&cpu->flags, W, r, a, b);                                                    \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}

/* the same with LOCK */
#define TO_MEM_LOCKED(W, NAME, EXPR, FLAGS, B)                                                     \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
		SOFT_T(W) b = (SOFT_T(W))(B), a, r;                                                \
                                                                                                   \
		SOFT_ATOMIC(W, p, EXPR);                                                           \
		FLAGS(&cpu->flags, W, r, a, b);                                                    \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}

/* nothing is written but flags: operands A and B */
#define TO_FLAGS(W, NAME, EXPR, FLAGS, A, B)                                                       \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) a = (SOFT_T(W))(A), b = (SOFT_T(W))(B), r = (SOFT_T(W))(EXPR);           \
                                                                                                   \
		FLAGS(&cpu->flags, W, r, a, b);                                                    \
		SOFT_NEXT(cpu, op);                                                                \
	}

#define WRITING_W(W, N, EXPR, FLAGS)                                                               \
	TO_REG(W, N##W##_rr, EXPR, FLAGS, SOFT_GET(W, op->rm))                                     \
	TO_REG(W, N##W##_ri, EXPR, FLAGS, op->imm)                                                 \
	TO_REG(W, N##W##_rm, EXPR, FLAGS, SOFT_LD(W, soft_ea(cpu, op)))                            \
	TO_REG(W, N##W##_rd, EXPR, FLAGS, SOFT_LD(W, soft_ea_flat(cpu, op)))                       \
	TO_MEM(W, N##W##_mr, EXPR, FLAGS, soft_ea(cpu, op), SOFT_GET(W, op->reg))                  \
	TO_MEM(W, N##W##_dr, EXPR, FLAGS, soft_ea_flat(cpu, op), SOFT_GET(W, op->reg))             \
	TO_MEM(W, N##W##_mi, EXPR, FLAGS, soft_ea(cpu, op), op->imm)                               \
	TO_MEM(W, N##W##_di, EXPR, FLAGS, soft_ea_flat(cpu, op), op->imm)                          \
	TO_MEM_LOCKED(W, N##W##_lr, EXPR, FLAGS, SOFT_GET(W, op->reg))                             \
	TO_MEM_LOCKED(W, N##W##_li, EXPR, FLAGS, op->imm)

#define READING_W(W, N, EXPR, FLAGS)                                                               \
	TO_FLAGS(W, N##W##_rr, EXPR, FLAGS, SOFT_GET(W, op->reg), SOFT_GET(W, op->rm))             \
	TO_FLAGS(W, N##W##_ri, EXPR, FLAGS, SOFT_GET(W, op->reg), op->imm)                         \
	TO_FLAGS(W, N##W##_rm, EXPR, FLAGS, SOFT_GET(W, op->reg), SOFT_LD(W, soft_ea(cpu, op)))    \
	TO_FLAGS(W, N##W##_rd, EXPR, FLAGS, SOFT_GET(W, op->reg),                                  \
		 SOFT_LD(W, soft_ea_flat(cpu, op)))                                                \
	TO_FLAGS(W, N##W##_mr, EXPR, FLAGS, SOFT_LD(W, soft_ea(cpu, op)), SOFT_GET(W, op->reg))    \
	TO_FLAGS(W, N##W##_dr, EXPR, FLAGS, SOFT_LD(W, soft_ea_flat(cpu, op)),                     \
		 SOFT_GET(W, op->reg))                                                             \
	TO_FLAGS(W, N##W##_mi, EXPR, FLAGS, SOFT_LD(W, soft_ea(cpu, op)), op->imm)                 \
	TO_FLAGS(W, N##W##_di, EXPR, FLAGS, SOFT_LD(W, soft_ea_flat(cpu, op)), op->imm)

#define ALL_WIDTHS(HOW, N, EXPR, FLAGS)                                                            \
	HOW(8, N, EXPR, FLAGS)                                                                     \
	HOW(16, N, EXPR, FLAGS)                                                                    \
	HOW(32, N, EXPR, FLAGS)                                                                    \
	HOW(64, N, EXPR, FLAGS)

#define LOGIC(f, W, r, a, b) ((void)(a), (void)(b), SOFT_FLAGS_LOGIC(f, W, r))

ALL_WIDTHS(WRITING_W, add, a + b, SOFT_FLAGS_ADD)
ALL_WIDTHS(WRITING_W, or, a | b, LOGIC)
ALL_WIDTHS(WRITING_W, adc, a + b + CF, SOFT_FLAGS_ADD)
ALL_WIDTHS(WRITING_W, sbb, a - b - CF, SOFT_FLAGS_SUB)
ALL_WIDTHS(WRITING_W, and, (a & b), LOGIC)
ALL_WIDTHS(WRITING_W, sub, a - b, SOFT_FLAGS_SUB)
ALL_WIDTHS(WRITING_W, xor, a ^ b, LOGIC)
ALL_WIDTHS(READING_W, cmp, a - b, SOFT_FLAGS_SUB)
ALL_WIDTHS(READING_W, test, (a & b), LOGIC)

#define WRITING_ROW(N, W)                                                                          \
	{                                                                                          \
		[SOFT_RR] = N##W##_rr, [SOFT_RI] = N##W##_ri, [SOFT_RM] = N##W##_rm,               \
		[SOFT_RD] = N##W##_rd, [SOFT_MR] = N##W##_mr, [SOFT_DR] = N##W##_dr,               \
		[SOFT_MI] = N##W##_mi, [SOFT_DI] = N##W##_di, [SOFT_LR] = N##W##_lr,               \
		[SOFT_LI] = N##W##_li,                                                             \
	}
#define READING_ROW(N, W)                                                                          \
	{                                                                                          \
		[SOFT_RR] = N##W##_rr, [SOFT_RI] = N##W##_ri, [SOFT_RM] = N##W##_rm,               \
		[SOFT_RD] = N##W##_rd, [SOFT_MR] = N##W##_mr, [SOFT_DR] = N##W##_dr,               \
		[SOFT_MI] = N##W##_mi, [SOFT_DI] = N##W##_di,                                      \
	}
#define TABLE(ROW, N)                                                                              \
	{                                                                                          \
		ROW(N, 8), ROW(N, 16), ROW(N, 32), ROW(N, 64)                                      \
	}

const soft_fn soft_alu[SOFT_NR_ALU][SOFT_NR_WIDTHS][SOFT_NR_FORMS] = {
	[SOFT_ADD] = TABLE(WRITING_ROW, add),	[SOFT_OR] = TABLE(WRITING_ROW, or),
	[SOFT_ADC] = TABLE(WRITING_ROW, adc),	[SOFT_SBB] = TABLE(WRITING_ROW, sbb),
	[SOFT_AND] = TABLE(WRITING_ROW, and),	[SOFT_SUB] = TABLE(WRITING_ROW, sub),
	[SOFT_XOR] = TABLE(WRITING_ROW, xor),	[SOFT_CMP] = TABLE(READING_ROW, cmp),
	[SOFT_TEST] = TABLE(READING_ROW, test),
};

/* --- one operand --------------------------------------------------------- */

/* INC and DEC leave CF as it was; they overflow when the result is the extreme value EDGE. */
static inline void count_flags(struct soft_flags *f, int64_t r, bool of, bool af)
{
	uint64_t cf = f->carry >> 63;

	f->zero = (uint64_t)r;
	f->sign = r;
	f->carry = cf << 63 | (cf ^ of) << 62 | (uint64_t)af << 3;
}

#define INC_FLAGS(f, W, r, a)                                                                      \
	count_flags(f, (int##W##_t)(r), (r) == (SOFT_T(W))1 << (W - 1), (r) % 16 == 0)
#define DEC_FLAGS(f, W, r, a)                                                                      \
	count_flags(f, (int##W##_t)(r), (a) == (SOFT_T(W))1 << (W - 1), (a) % 16 == 0)
#define NEG_FLAGS(f, W, r, a) SOFT_FLAGS_SUB(f, W, r, (SOFT_T(W))0, a)
#define NO_FLAGS(f, W, r, a)  ((void)0)

#define UNARY_W(W, N, EXPR, FLAGS)                                                                 \
	SOFT_H(N##W##_r)                                                                           \
	{                                                                                          \
		SOFT_T(W) a = SOFT_GET(W, op->rm), r = (SOFT_T(W))(EXPR);                          \
                                                                                                   \
		FLAGS(&cpu->flags, W, r, a);                                                       \
		SOFT_SET(W, op->rm, r);                                                            \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##W##_m)                                                                           \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
		SOFT_T(W) a = *p, r = (SOFT_T(W))(EXPR);                                           \
                                                                                                   \
		*p = r;                                                                            \
		FLAGS(&cpu->flags, W, r, a);                                                       \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##W##_l)                                                                           \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
		SOFT_T(W) a, r;                                                                    \
                                                                                                   \
		SOFT_ATOMIC(W, p, EXPR);                                                           \
		FLAGS(&cpu->flags, W, r, a);                                                       \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}

ALL_WIDTHS(UNARY_W, inc, a + 1, INC_FLAGS)
ALL_WIDTHS(UNARY_W, dec, a - 1, DEC_FLAGS)
ALL_WIDTHS(UNARY_W, neg, 0 - a, NEG_FLAGS)
ALL_WIDTHS(UNARY_W, not, ~a, NO_FLAGS)

#define UNARY_TABLE(N)                                                                             \
	{                                                                                          \
		{N##8_r, N##8_m, N##8_l}, {N##16_r, N##16_m, N##16_l},                             \
			{N##32_r, N##32_m, N##32_l}, {N##64_r, N##64_m, N##64_l},                  \
	}

const soft_fn soft_unary[SOFT_NR_UNARY][SOFT_NR_WIDTHS][SOFT_NR_UFORMS] = {
	[SOFT_INC] = UNARY_TABLE(inc),
	[SOFT_DEC] = UNARY_TABLE(dec),
	[SOFT_NEG] = UNARY_TABLE(neg),
	[SOFT_NOT] = UNARY_TABLE(not ),
};
