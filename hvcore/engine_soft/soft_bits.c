/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single bits: BT BTS BTR BTC, BSF BSR, POPCNT.
 *
 * BT with a register index into memory addresses a bit string: the index is signed and reaches
 * beyond the operand. BSF and BSR leave the destination alone when the source is 0, as CPUs do and
 * Linux relies on.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

#define BT(a, bit)  (a)
#define BTS(a, bit) ((a) | (bit))
#define BTR(a, bit) ((a) & ~(bit))
#define BTC(a, bit) ((a) ^ (bit))

#define BIT(W, i) ((SOFT_T(W))((SOFT_T(W))1 << ((i) & (W - 1))))

/* Address of the word that holds bit i of the string at the operand. */
#define STRING_EA(W, i)                                                                            \
	(soft_ea_plus(cpu, op,                                                                     \
		      ((int64_t)(int##W##_t)(i) >> (W == 64   ? 6                                  \
						    : W == 32 ? 5                                  \
							      : 4)) *                              \
			      (W / 8)))

static inline uint64_t soft_ea_plus(struct soft_cpu *cpu, const struct soft_op *op, int64_t bytes)
{
	struct soft_op moved;

	if (soft_likely(!(op->flags & SOFT_OP_ODD_EA)))
		return soft_ea(cpu, op) + (uint64_t)bytes;
	moved = *op;
	moved.disp = (int32_t)(op->disp + bytes);
	return soft_ea(cpu, &moved);
}

#define TEST_W(W)                                                                                  \
	SOFT_H(bt##W##_rr)                                                                         \
	{                                                                                          \
		soft_flags_set_cf(&cpu->flags,                                                     \
				  SOFT_GET(W, op->rm) & BIT(W, SOFT_GET(W, op->reg)));             \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(bt##W##_ri)                                                                         \
	{                                                                                          \
		soft_flags_set_cf(&cpu->flags, SOFT_GET(W, op->rm) & BIT(W, op->imm));             \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(bt##W##_mr)                                                                         \
	{                                                                                          \
		SOFT_T(W) i = SOFT_GET(W, op->reg);                                                \
                                                                                                   \
		soft_flags_set_cf(&cpu->flags, SOFT_LD(W, STRING_EA(W, i)) & BIT(W, i));           \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(bt##W##_mi)                                                                         \
	{                                                                                          \
		soft_flags_set_cf(&cpu->flags, SOFT_LD(W, soft_ea(cpu, op)) & BIT(W, op->imm));    \
		SOFT_NEXT(cpu, op);                                                                \
	}

#define CHANGE_R(W, NAME, HOW, I)                                                                  \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) a = SOFT_GET(W, op->rm), bit = BIT(W, I);                                \
                                                                                                   \
		SOFT_SET(W, op->rm, HOW(a, bit));                                                  \
		soft_flags_set_cf(&cpu->flags, a &bit);                                            \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define CHANGE_M(W, NAME, HOW, I, EA)                                                              \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) i = (SOFT_T(W))(I), bit = BIT(W, i), a, r;                               \
		soft_u##W *p = SOFT_RMW(W, EA);                                                    \
                                                                                                   \
		if (op->flags & SOFT_OP_LOCK) {                                                    \
			SOFT_ATOMIC(W, p, HOW(a, bit));                                            \
		} else {                                                                           \
			a = *p;                                                                    \
			*p = HOW(a, bit);                                                          \
		}                                                                                  \
		soft_flags_set_cf(&cpu->flags, a &bit);                                            \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define CHANGE_W(W, N, HOW)                                                                        \
	CHANGE_R(W, N##W##_rr, HOW, SOFT_GET(W, op->reg))                                          \
	CHANGE_R(W, N##W##_ri, HOW, op->imm)                                                       \
	CHANGE_M(W, N##W##_mr, HOW, SOFT_GET(W, op->reg), STRING_EA(W, i))                         \
	CHANGE_M(W, N##W##_mi, HOW, op->imm, soft_ea(cpu, op))

#define ALL(W) TEST_W(W) CHANGE_W(W, bts, BTS) CHANGE_W(W, btr, BTR) CHANGE_W(W, btc, BTC)
ALL(16)
ALL(32)
ALL(64)

#define ROW(N, W)                                                                                  \
	{                                                                                          \
		N##W##_rr, N##W##_ri, N##W##_mr, N##W##_mi                                         \
	}
#define TABLE(N)                                                                                   \
	{                                                                                          \
		{NULL}, ROW(N, 16), ROW(N, 32), ROW(N, 64)                                         \
	}

const soft_fn soft_bt[4][SOFT_NR_WIDTHS][4] = {TABLE(bt), TABLE(bts), TABLE(btr), TABLE(btc)};

/* --- scans --------------------------------------------------------------- */

static inline unsigned int lowest(uint64_t a)
{
	return (unsigned int)__builtin_ctzll(a);
}

static inline unsigned int highest(uint64_t a)
{
	return 63u ^ (unsigned int)__builtin_clzll(a);
}

/* ZF is by the source; the other flags are undefined and become those of the source. */
#define SCAN(W, NAME, HOW, A)                                                                      \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) a = A;                                                                   \
                                                                                                   \
		SOFT_FLAGS_LOGIC(&cpu->flags, W, a);                                               \
		if (a)                                                                             \
			SOFT_SET(W, op->reg, HOW(a));                                              \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define COUNT(W, NAME, A)                                                                          \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) a = A;                                                                   \
                                                                                                   \
		SOFT_SET(W, op->reg, __builtin_popcountll(a));                                     \
		cpu->flags = (struct soft_flags){.zero = a, .sign = 1};                            \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define SCANS_W(W)                                                                                 \
	SCAN(W, bsf##W##_r, lowest, SOFT_GET(W, op->rm))                                           \
	SCAN(W, bsf##W##_m, lowest, SOFT_LD(W, soft_ea(cpu, op)))                                  \
	SCAN(W, bsr##W##_r, highest, SOFT_GET(W, op->rm))                                          \
	SCAN(W, bsr##W##_m, highest, SOFT_LD(W, soft_ea(cpu, op)))                                 \
	COUNT(W, popcnt##W##_r, SOFT_GET(W, op->rm))                                               \
	COUNT(W, popcnt##W##_m, SOFT_LD(W, soft_ea(cpu, op)))
SCANS_W(16)
SCANS_W(32)
SCANS_W(64)

#define SCAN_TABLE(N)                                                                              \
	{                                                                                          \
		{NULL}, {N##16_r, N##16_m}, {N##32_r, N##32_m},                                    \
		{                                                                                  \
			N##64_r, N##64_m                                                           \
		}                                                                                  \
	}

const soft_fn soft_scan[3][SOFT_NR_WIDTHS][2] = {
	[SOFT_BSF] = SCAN_TABLE(bsf),
	[SOFT_BSR] = SCAN_TABLE(bsr),
	[SOFT_POPCNT] = SCAN_TABLE(popcnt),
};
