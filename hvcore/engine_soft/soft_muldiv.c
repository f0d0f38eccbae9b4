/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MUL IMUL DIV IDIV. Flags that the manuals leave undefined (all but CF and OF of a product, all of
 * a quotient) are left as the lazy flags of the low half of the product, and unchanged by
 * divisions.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

typedef __int128 s128;
typedef unsigned __int128 u128;

static inline void product_flags(struct soft_flags *f, int64_t low, bool wide)
{
	f->zero = (uint64_t)low;
	f->sign = low;
	f->carry = (uint64_t)wide << 63; /* CF = OF */
}

/* Where the halves of a double-width value live: AX for bytes, else (E)DX:(E)AX. */
#define SET_PAIR(W, lo, hi)                                                                        \
	do {                                                                                       \
		SOFT_SET(W, SOFT_RAX, lo);                                                         \
		SOFT_SET(W, SOFT_RDX, hi);                                                         \
	} while (0)

#define MULS_W(W, WU, WS)                                                                          \
	static inline void mul##W(struct soft_cpu *cpu, SOFT_T(W) b)                               \
	{                                                                                          \
		WU r = (WU)SOFT_GET(W, SOFT_RAX) * b;                                              \
                                                                                                   \
		SET_PAIR(W, r, r >> W);                                                            \
		product_flags(&cpu->flags, (int##W##_t)r, r >> W);                                 \
	}                                                                                          \
	static inline void imul##W(struct soft_cpu *cpu, SOFT_T(W) b)                              \
	{                                                                                          \
		WS r = (WS)(int##W##_t)SOFT_GET(W, SOFT_RAX) * (int##W##_t)b;                      \
                                                                                                   \
		SET_PAIR(W, r, r >> W);                                                            \
		product_flags(&cpu->flags, (int##W##_t)r, r != (int##W##_t)r);                     \
	}                                                                                          \
	static inline bool div##W(struct soft_cpu *cpu, SOFT_T(W) b)                               \
	{                                                                                          \
		WU a = (WU)SOFT_GET(W, SOFT_RDX) << W | SOFT_GET(W, SOFT_RAX);                     \
                                                                                                   \
		if (!b || a >> W >= b)                                                             \
			return false;                                                              \
		SET_PAIR(W, a / b, a % b);                                                         \
		return true;                                                                       \
	}                                                                                          \
	static inline bool idiv##W(struct soft_cpu *cpu, SOFT_T(W) ub)                             \
	{                                                                                          \
		WS a = (WS)((WU)SOFT_GET(W, SOFT_RDX) << W | SOFT_GET(W, SOFT_RAX));               \
		WS b = (int##W##_t)ub, q;                                                          \
                                                                                                   \
		if (!b || (b == -1 && a == (WS)((WU)1 << (2 * W - 1))))                            \
			return false;                                                              \
		q = a / b;                                                                         \
		if (q != (int##W##_t)q)                                                            \
			return false;                                                              \
		SET_PAIR(W, q, a % b);                                                             \
		return true;                                                                       \
	}                                                                                          \
	static inline SOFT_T(W) imul2_##W(struct soft_cpu *cpu, SOFT_T(W) a, SOFT_T(W) b)          \
	{                                                                                          \
		WS r = (WS)(int##W##_t)a * (int##W##_t)b;                                          \
                                                                                                   \
		product_flags(&cpu->flags, (int##W##_t)r, r != (int##W##_t)r);                     \
		return (SOFT_T(W))r;                                                               \
	}

MULS_W(16, uint32_t, int32_t)
MULS_W(32, uint64_t, int64_t)
MULS_W(64, u128, s128)

static inline void mul8(struct soft_cpu *cpu, uint8_t b)
{
	uint16_t r = (uint16_t)(soft_get8(cpu, 0) * b);

	soft_set16(cpu, SOFT_RAX, r);
	product_flags(&cpu->flags, (int8_t)r, r >> 8);
}

static inline void imul8(struct soft_cpu *cpu, uint8_t b)
{
	int16_t r = (int16_t)((int8_t)soft_get8(cpu, 0) * (int8_t)b);

	soft_set16(cpu, SOFT_RAX, (uint16_t)r);
	product_flags(&cpu->flags, (int8_t)r, r != (int8_t)r);
}

static inline bool div8(struct soft_cpu *cpu, uint8_t b)
{
	uint16_t a = soft_get16(cpu, SOFT_RAX);

	if (!b || a >> 8 >= b)
		return false;
	soft_set16(cpu, SOFT_RAX, (uint16_t)(a / b | (a % b) << 8));
	return true;
}

static inline bool idiv8(struct soft_cpu *cpu, uint8_t ub)
{
	int a = (int16_t)soft_get16(cpu, SOFT_RAX), b = (int8_t)ub;

	if (!b || a / b != (int8_t)(a / b))
		return false;
	soft_set16(cpu, SOFT_RAX, (uint16_t)((uint8_t)(a / b) | (a % b) << 8));
	return true;
}

#define PRODUCT(W, N)                                                                              \
	SOFT_H(N##W##_r)                                                                           \
	{                                                                                          \
		N##W(cpu, SOFT_GET(W, op->rm));                                                    \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##W##_m)                                                                           \
	{                                                                                          \
		N##W(cpu, SOFT_LD(W, soft_ea(cpu, op)));                                           \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define QUOTIENT(W, N)                                                                             \
	SOFT_H(N##W##_r)                                                                           \
	{                                                                                          \
		if (soft_unlikely(!N##W(cpu, SOFT_GET(W, op->rm))))                                \
			soft_raise(cpu, op, SOFT_DE);                                              \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##W##_m)                                                                           \
	{                                                                                          \
		if (soft_unlikely(!N##W(cpu, SOFT_LD(W, soft_ea(cpu, op)))))                       \
			soft_raise(cpu, op, SOFT_DE);                                              \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define ALL(W) PRODUCT(W, mul) PRODUCT(W, imul) QUOTIENT(W, div) QUOTIENT(W, idiv)
ALL(8)
ALL(16)
ALL(32)
ALL(64)

#define ROW(N)                                                                                     \
	{                                                                                          \
		{N##8_r, N##8_m}, {N##16_r, N##16_m}, {N##32_r, N##32_m},                          \
		{                                                                                  \
			N##64_r, N##64_m                                                           \
		}                                                                                  \
	}

/* By the reg field of ModRM minus 4. */
const soft_fn soft_muldiv[4][SOFT_NR_WIDTHS][2] = {ROW(mul), ROW(imul), ROW(div), ROW(idiv)};

/* Two and three operands: reg = A * B. */
#define IMUL(W, NAME, A, B)                                                                        \
	SOFT_H(NAME##W)                                                                            \
	{                                                                                          \
		SOFT_T(W) b = (SOFT_T(W))(B), a = (SOFT_T(W))(A);                                  \
                                                                                                   \
		SOFT_SET(W, op->reg, imul2_##W(cpu, a, b));                                        \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define IMULS_W(W)                                                                                 \
	IMUL(W, imul_rr, SOFT_GET(W, op->reg), SOFT_GET(W, op->rm))                                \
	IMUL(W, imul_rm, SOFT_GET(W, op->reg), SOFT_LD(W, soft_ea(cpu, op)))                       \
	IMUL(W, imul_rri, SOFT_GET(W, op->rm), op->imm)                                            \
	IMUL(W, imul_rmi, SOFT_LD(W, soft_ea(cpu, op)), op->imm)
IMULS_W(16)
IMULS_W(32)
IMULS_W(64)

/* [width][immediate][register, memory] */
const soft_fn soft_imul[SOFT_NR_WIDTHS][2][2] = {
	{{NULL}},
	{{imul_rr16, imul_rm16}, {imul_rri16, imul_rmi16}},
	{{imul_rr32, imul_rm32}, {imul_rri32, imul_rmi32}},
	{{imul_rr64, imul_rm64}, {imul_rri64, imul_rmi64}},
};
