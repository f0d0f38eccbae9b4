/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shifts and rotates: ROL ROR RCL RCR SHL SHR SAR by an immediate or CL, and SHLD SHRD.
 *
 * A count of 0 (after masking) changes nothing, flags included. OF is computed as for a count of 1,
 * which is what the manuals define; AF is cleared.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

/* CF and OF of a rotate: the others stay. */
static inline void rotate_flags(struct soft_flags *f, bool cf, bool of)
{
	f->carry = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62 | (f->carry & 8);
}

static inline void shift_flags(struct soft_flags *f, int64_t r, bool cf, bool of)
{
	f->zero = (uint64_t)r;
	f->sign = r;
	f->carry = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* Each returns the new value; n is the masked count, not 0. */
#define SHIFTS_W(W)                                                                                \
	static inline SOFT_T(W) rol##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		unsigned int k = n & (W - 1);                                                      \
		SOFT_T(W) r = k ? (SOFT_T(W))(a << k | a >> (W - k)) : a;                          \
                                                                                                   \
		rotate_flags(f, r & 1, (r & 1) ^ (r >> (W - 1)));                                  \
		return r;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W) ror##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		unsigned int k = n & (W - 1);                                                      \
		SOFT_T(W) r = k ? (SOFT_T(W))(a >> k | a << (W - k)) : a;                          \
                                                                                                   \
		rotate_flags(f, r >> (W - 1), (r >> (W - 1)) ^ (r >> (W - 2) & 1));                \
		return r;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W) rcl##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		bool cf = soft_cf(f);                                                              \
                                                                                                   \
		n %= W + 1;                                                                        \
		for (; n; n--) {                                                                   \
			bool out = a >> (W - 1);                                                   \
                                                                                                   \
			a = (SOFT_T(W))(a << 1 | cf);                                              \
			cf = out;                                                                  \
		}                                                                                  \
		rotate_flags(f, cf, cf ^ (a >> (W - 1)));                                          \
		return a;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W) rcr##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		bool cf = soft_cf(f);                                                              \
                                                                                                   \
		n %= W + 1;                                                                        \
		for (; n; n--) {                                                                   \
			bool out = a & 1;                                                          \
                                                                                                   \
			a = (SOFT_T(W))(a >> 1 | (SOFT_T(W))cf << (W - 1));                        \
			cf = out;                                                                  \
		}                                                                                  \
		rotate_flags(f, cf, (a >> (W - 1)) ^ (a >> (W - 2) & 1));                          \
		return a;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W) shl##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		SOFT_T(W) r = n < W ? (SOFT_T(W))(a << n) : 0;                                     \
		bool cf = n <= W && (a >> (W - n) & 1);                                            \
                                                                                                   \
		shift_flags(f, (int##W##_t)r, cf, cf ^ (r >> (W - 1)));                            \
		return r;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W) shr##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		SOFT_T(W) r = n < W ? (SOFT_T(W))(a >> n) : 0;                                     \
                                                                                                   \
		shift_flags(f, (int##W##_t)r, n <= W && (a >> (n - 1) & 1), a >> (W - 1));         \
		return r;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W) sar##W(struct soft_flags *f, SOFT_T(W) a, unsigned int n)          \
	{                                                                                          \
		int##W##_t s = (int##W##_t)a, r = s >> (n < W ? n : W - 1);                        \
                                                                                                   \
		shift_flags(f, r, (n <= W ? s >> (n - 1) : s >> (W - 1)) & 1, false);              \
		return (SOFT_T(W))r;                                                               \
	}

SHIFTS_W(8)
SHIFTS_W(16)
SHIFTS_W(32)
SHIFTS_W(64)

#define MASK(W) ((W) == 64 ? 63u : 31u)

/* An immediate count is masked and not 0: the decoder sees to that. */
#define SHIFT_R(W, N, FORM, COUNT)                                                                 \
	SOFT_H(N##W##_r##FORM)                                                                     \
	{                                                                                          \
		unsigned int n = (unsigned int)(COUNT)&MASK(W);                                    \
                                                                                                   \
		if (n)                                                                             \
			SOFT_SET(W, op->rm, N##W(&cpu->flags, SOFT_GET(W, op->rm), n));            \
		else if (W == 32)                                                                  \
			SOFT_SET(W, op->rm, SOFT_GET(W, op->rm));                                  \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define SHIFT_M(W, N, FORM, COUNT)                                                                 \
	SOFT_H(N##W##_m##FORM)                                                                     \
	{                                                                                          \
		unsigned int n = (unsigned int)(COUNT)&MASK(W);                                    \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
                                                                                                   \
		if (n)                                                                             \
			*p = N##W(&cpu->flags, *p, n);                                             \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define SHIFT_W(W, N)                                                                              \
	SHIFT_R(W, N, i, op->imm)                                                                  \
	SHIFT_R(W, N, c, cpu->gpr[SOFT_RCX])                                                       \
	SHIFT_M(W, N, i, op->imm)                                                                  \
	SHIFT_M(W, N, c, cpu->gpr[SOFT_RCX])
#define SHIFT(N) SHIFT_W(8, N) SHIFT_W(16, N) SHIFT_W(32, N) SHIFT_W(64, N)

SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

#define ROW(N, W)                                                                                  \
	{                                                                                          \
		N##W##_ri, N##W##_rc, N##W##_mi, N##W##_mc                                         \
	}
#define TABLE(N)                                                                                   \
	{                                                                                          \
		ROW(N, 8), ROW(N, 16), ROW(N, 32), ROW(N, 64)                                      \
	}

/* By the reg field of ModRM; 6 is a second name of SHL. */
const soft_fn soft_shift[8][SOFT_NR_WIDTHS][SOFT_NR_SFORMS] = {
	TABLE(rol), TABLE(ror), TABLE(rcl), TABLE(rcr),
	TABLE(shl), TABLE(shr), TABLE(shl), TABLE(sar),
};

/* --- double precision ---------------------------------------------------- */

/* Counts beyond 16 of the 16-bit forms are undefined; we go on with the bits of the second operand,
 * as CPUs do. */
static inline uint16_t shld16(struct soft_flags *f, uint16_t a, uint16_t b, unsigned int n)
{
	uint64_t wide = (uint64_t)a << 32 | (uint64_t)b << 16 | a;
	uint16_t r = (uint16_t)(wide << n >> 32);
	bool cf = wide >> (48 - n) & 1;

	shift_flags(f, (int16_t)r, cf, (r ^ a) >> 15);
	return r;
}

static inline uint16_t shrd16(struct soft_flags *f, uint16_t a, uint16_t b, unsigned int n)
{
	uint64_t wide = (uint64_t)a << 32 | (uint64_t)b << 16 | a;
	uint16_t r = (uint16_t)(wide >> n);
	bool cf = wide >> (n - 1) & 1;

	shift_flags(f, (int16_t)r, cf, (r ^ a) >> 15);
	return r;
}

#define DOUBLE_W(W)                                                                                \
	static inline SOFT_T(W)                                                                    \
		shld##W(struct soft_flags *f, SOFT_T(W) a, SOFT_T(W) b, unsigned int n)            \
	{                                                                                          \
		SOFT_T(W) r = a << n | b >> (W - n);                                               \
                                                                                                   \
		shift_flags(f, (int##W##_t)r, a >> (W - n) & 1, (r ^ a) >> (W - 1));               \
		return r;                                                                          \
	}                                                                                          \
	static inline SOFT_T(W)                                                                    \
		shrd##W(struct soft_flags *f, SOFT_T(W) a, SOFT_T(W) b, unsigned int n)            \
	{                                                                                          \
		SOFT_T(W) r = a >> n | b << (W - n);                                               \
                                                                                                   \
		shift_flags(f, (int##W##_t)r, a >> (n - 1) & 1, (r ^ a) >> (W - 1));               \
		return r;                                                                          \
	}
DOUBLE_W(32)
DOUBLE_W(64)

#define SHXD_FORM(W, N, FORM, COUNT)                                                               \
	SOFT_H(N##W##_r##FORM)                                                                     \
	{                                                                                          \
		unsigned int n = (unsigned int)(COUNT)&MASK(W);                                    \
		SOFT_T(W) a = SOFT_GET(W, op->rm);                                                 \
                                                                                                   \
		SOFT_SET(W, op->rm, n ? N##W(&cpu->flags, a, SOFT_GET(W, op->reg), n) : a);        \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##W##_m##FORM)                                                                     \
	{                                                                                          \
		unsigned int n = (unsigned int)(COUNT)&MASK(W);                                    \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
                                                                                                   \
		if (n)                                                                             \
			*p = N##W(&cpu->flags, *p, SOFT_GET(W, op->reg), n);                       \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define SHXD_W(W, N) SHXD_FORM(W, N, i, op->imm) SHXD_FORM(W, N, c, cpu->gpr[SOFT_RCX])
SHXD_W(16, shld)
SHXD_W(32, shld)
SHXD_W(64, shld)
SHXD_W(16, shrd)
SHXD_W(32, shrd)
SHXD_W(64, shrd)

const soft_fn soft_shxd[2][SOFT_NR_WIDTHS][SOFT_NR_SFORMS] = {
	{{NULL}, ROW(shld, 16), ROW(shld, 32), ROW(shld, 64)},
	{{NULL}, ROW(shrd, 16), ROW(shrd, 32), ROW(shrd, 64)},
};
