/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Integer vector arithmetic: add, subtract, compare, multiply, logic, shifts, SSE2 and SSSE3, and MMX by adapter.
 *
 * Kernels are plain C over lanes; the compiler makes vector code of them. Read soft_sse.h first.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_sse.h"

/* name: d.lane[i] = expr of a (destination) and b (source), for all n lanes */
#define LANES(name, lane, n, type, expr)                                                                              \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n); i++) {                                                              \
			type a = d->lane[i], b = s->lane[i];                                                          \
                                                                                                                      \
			(void)a;                                                                                      \
			d->lane[i] = (__typeof__(d->lane[0]))(expr);                                                  \
		}                                                                                                     \
	}

static inline int32_t clamp(int32_t v, int32_t low, int32_t high)
{
	return v < low ? low : v > high ? high : v;
}

LANES(paddb, u8, 16, uint32_t, a + b)
LANES(paddw, u16, 8, uint32_t, a + b)
LANES(paddd, u32, 4, uint32_t, a + b)
LANES(paddq, u64, 2, uint64_t, a + b)
LANES(psubb, u8, 16, uint32_t, a - b)
LANES(psubw, u16, 8, uint32_t, a - b)
LANES(psubd, u32, 4, uint32_t, a - b)
LANES(psubq, u64, 2, uint64_t, a - b)
LANES(paddsb, s8, 16, int32_t, clamp(a + b, INT8_MIN, INT8_MAX))
LANES(paddsw, s16, 8, int32_t, clamp(a + b, INT16_MIN, INT16_MAX))
LANES(psubsb, s8, 16, int32_t, clamp(a - b, INT8_MIN, INT8_MAX))
LANES(psubsw, s16, 8, int32_t, clamp(a - b, INT16_MIN, INT16_MAX))
LANES(paddusb, u8, 16, int32_t, clamp(a + b, 0, UINT8_MAX))
LANES(paddusw, u16, 8, int32_t, clamp(a + b, 0, UINT16_MAX))
LANES(psubusb, u8, 16, int32_t, clamp(a - b, 0, UINT8_MAX))
LANES(psubusw, u16, 8, int32_t, clamp(a - b, 0, UINT16_MAX))
LANES(pavgb, u8, 16, uint32_t, (a + b + 1) >> 1)
LANES(pavgw, u16, 8, uint32_t, (a + b + 1) >> 1)
LANES(pminub, u8, 16, uint32_t, a < b ? a : b)
LANES(pmaxub, u8, 16, uint32_t, a > b ? a : b)
LANES(pminsw, s16, 8, int32_t, a < b ? a : b)
LANES(pmaxsw, s16, 8, int32_t, a > b ? a : b)
LANES(pcmpeqb, u8, 16, uint32_t, a == b ? 0xff : 0)
LANES(pcmpeqw, u16, 8, uint32_t, a == b ? 0xffff : 0)
LANES(pcmpeqd, u32, 4, uint32_t, a == b ? 0xffffffff : 0)
LANES(pcmpgtb, s8, 16, int32_t, a > b ? -1 : 0)
LANES(pcmpgtw, s16, 8, int32_t, a > b ? -1 : 0)
LANES(pcmpgtd, s32, 4, int32_t, a > b ? -1 : 0)
LANES(pand, u64, 2, uint64_t, a & b)
LANES(pandn, u64, 2, uint64_t, ~a & b)
LANES(por, u64, 2, uint64_t, a | b)
LANES(pxor, u64, 2, uint64_t, a ^ b)
LANES(pmullw, u16, 8, uint32_t, a *b)
LANES(pmulhw, s16, 8, int32_t, a *b >> 16)
LANES(pmulhuw, u16, 8, uint32_t, a *b >> 16)
LANES(pmulhrsw, s16, 8, int32_t, ((a * b >> 14) + 1) >> 1)
LANES(pmuludq, u64, 2, uint64_t, (uint64_t)(uint32_t)a * (uint32_t)b)
LANES(pabsb, s8, 16, int32_t, b < 0 ? -b : b)
LANES(pabsw, s16, 8, int32_t, b < 0 ? -b : b)
LANES(pabsd, u32, 4, uint32_t, b >> 31 ? 0 - b : b)
LANES(psignb, s8, 16, int32_t, b < 0 ? -a : b ? a : 0)
LANES(psignw, s16, 8, int32_t, b < 0 ? -a : b ? a : 0)
LANES(psignd, u32, 4, uint32_t, b >> 31 ? 0 - a : b ? a : 0)

static void pmaddwd(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	(void)imm;
	for (unsigned int i = 0; i < 4; i++)
		d->u32[i] = (uint32_t)(d->s16[2 * i] * s->s16[2 * i]) +
			    (uint32_t)(d->s16[2 * i + 1] * s->s16[2 * i + 1]);
}

static void pmaddubsw(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	(void)imm;
	for (unsigned int i = 0; i < 8; i++)
		d->s16[i] = (int16_t)clamp(d->u8[2 * i] * s->s8[2 * i] + d->u8[2 * i + 1] * s->s8[2 * i + 1], INT16_MIN,
					   INT16_MAX);
}

static void psadbw(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	(void)imm;
	for (unsigned int half = 0; half < 2; half++) {
		uint32_t sum = 0;

		for (unsigned int i = half * 8; i < half * 8 + 8; i++)
			sum += (uint32_t)(d->u8[i] > s->u8[i] ? d->u8[i] - s->u8[i] : s->u8[i] - d->u8[i]);
		d->u64[half] = sum;
	}
}

/* Horizontal: pairs of the destination make the low half, pairs of the source the high one. */
#define HORIZONTAL(name, lane, n, type, expr)                                                                         \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		const union soft_xmm t = *d;                                                                          \
                                                                                                                      \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n); i++) {                                                              \
			const union soft_xmm *from = i < (n) / 2 ? &t : s;                                            \
			type a = from->lane[2 * i % (n)], b = from->lane[2 * i % (n) + 1];                            \
                                                                                                                      \
			d->lane[i] = (__typeof__(d->lane[0]))(expr);                                                  \
		}                                                                                                     \
	}

HORIZONTAL(phaddw, u16, 8, uint32_t, a + b)
HORIZONTAL(phaddd, u32, 4, uint32_t, a + b)
HORIZONTAL(phaddsw, s16, 8, int32_t, clamp(a + b, INT16_MIN, INT16_MAX))
HORIZONTAL(phsubw, u16, 8, uint32_t, a - b)
HORIZONTAL(phsubd, u32, 4, uint32_t, a - b)
HORIZONTAL(phsubsw, s16, 8, int32_t, clamp(a - b, INT16_MIN, INT16_MAX))

/* --- shifts: the count is the low 64 bits of the source ---------------------------- */

#define SHIFT(name, lane, n, bits, over, expr)                                                                        \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		uint64_t count = s->u64[0];                                                                           \
                                                                                                                      \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n); i++)                                                                \
			d->lane[i] = (__typeof__(d->lane[0]))(count < (bits) ? (expr) : (over));                      \
	}

SHIFT(psrlw, u16, 8, 16, 0, d->u16[i] >> count)
SHIFT(psrld, u32, 4, 32, 0, d->u32[i] >> count)
SHIFT(psrlq, u64, 2, 64, 0, d->u64[i] >> count)
SHIFT(psraw, s16, 8, 16, d->s16[i] >> 15, d->s16[i] >> count)
SHIFT(psrad, s32, 4, 32, d->s32[i] >> 31, d->s32[i] >> count)
SHIFT(psllw, u16, 8, 16, 0, (uint32_t)d->u16[i] << count)
SHIFT(pslld, u32, 4, 32, 0, d->u32[i] << count)
SHIFT(psllq, u64, 2, 64, 0, d->u64[i] << count)

static void psrldq(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	const union soft_xmm t = *d;
	uint64_t count = s->u64[0];

	(void)imm;
	for (unsigned int i = 0; i < 16; i++)
		d->u8[i] = i + count < 16 ? t.u8[i + count] : 0;
}

static void pslldq(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	const union soft_xmm t = *d;
	uint64_t count = s->u64[0];

	(void)imm;
	for (unsigned int i = 0; i < 16; i++)
		d->u8[i] = i >= count ? t.u8[i - count] : 0;
}

/* Shift by immediate: the operand is the rm register. */
static const struct soft_op *shift_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_xmm_of(op->aux, 0);

	soft_sse_kernel(op)(&cpu->xmm[op->rm], &s, 0);
	SOFT_NEXT(cpu, op);
}

static const struct soft_op *mmx_shift_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
	union soft_xmm d = soft_xmm_of(cpu->x87.r[op->rm & 7].mant, 0);
	const union soft_xmm s = soft_xmm_of(op->aux, 0);

	soft_mmx_enter(cpu, op);
	soft_sse_kernel(op)(&d, &s, 0);
	soft_mmx_set(cpu, op->rm & 7, d.u64[0]);
	SOFT_NEXT(cpu, op);
}

#define V(o, kern)	 SOFT_V128(SOFT_MAP_0F, SOFT_PFX_66, o, kern, SOFT_SSE_MMX_LOW)
#define V38(o, kern, f)	 SOFT_V128(SOFT_MAP_0F38, SOFT_PFX_66, o, kern, f)
#define GROUP(o, x, kern)                                                                                             \
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_66, o, x, SOFT_SSE_ANY, SOFT_INSN_SSE, SOFT_SSE_IMM8, shift_imm, NULL, kern,  \
		  NULL),                                                                                              \
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_NONE, o, x, SOFT_SSE_ANY, SOFT_INSN_MMX, SOFT_SSE_IMM8, mmx_shift_imm, NULL,  \
		  kern, NULL)
#define GROUP_SSE(o, x, kern)                                                                                         \
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_66, o, x, SOFT_SSE_ANY, SOFT_INSN_SSE, SOFT_SSE_IMM8, shift_imm, NULL, kern,  \
		  NULL)

static const struct soft_sse_row rows[] = {
	V(0x64, pcmpgtb), V(0x65, pcmpgtw), V(0x66, pcmpgtd), V(0x74, pcmpeqb), V(0x75, pcmpeqw), V(0x76, pcmpeqd),
	GROUP(0x71, 2, psrlw), GROUP(0x71, 4, psraw), GROUP(0x71, 6, psllw), GROUP(0x72, 2, psrld),
	GROUP(0x72, 4, psrad), GROUP(0x72, 6, pslld), GROUP(0x73, 2, psrlq), GROUP(0x73, 6, psllq),
	GROUP_SSE(0x73, 3, psrldq), GROUP_SSE(0x73, 7, pslldq),
	V(0xd1, psrlw), V(0xd2, psrld), V(0xd3, psrlq), V(0xd4, paddq), V(0xd5, pmullw), V(0xd8, psubusb),
	V(0xd9, psubusw), V(0xda, pminub), V(0xdb, pand), V(0xdc, paddusb), V(0xdd, paddusw), V(0xde, pmaxub),
	V(0xdf, pandn), V(0xe0, pavgb), V(0xe1, psraw), V(0xe2, psrad), V(0xe3, pavgw), V(0xe4, pmulhuw),
	V(0xe5, pmulhw), V(0xe8, psubsb), V(0xe9, psubsw), V(0xea, pminsw), V(0xeb, por), V(0xec, paddsb),
	V(0xed, paddsw), V(0xee, pmaxsw), V(0xef, pxor), V(0xf1, psllw), V(0xf2, pslld), V(0xf3, psllq),
	V(0xf4, pmuludq), V(0xf5, pmaddwd), V(0xf6, psadbw), V(0xf8, psubb), V(0xf9, psubw), V(0xfa, psubd),
	V(0xfb, psubq), V(0xfc, paddb), V(0xfd, paddw), V(0xfe, paddd),
	/* the float forms of logic are the same on bits */
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0x54, pand, 0), SOFT_V128(SOFT_MAP_0F, SOFT_PFX_66, 0x54, pand, 0),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0x55, pandn, 0), SOFT_V128(SOFT_MAP_0F, SOFT_PFX_66, 0x55, pandn, 0),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0x56, por, 0), SOFT_V128(SOFT_MAP_0F, SOFT_PFX_66, 0x56, por, 0),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0x57, pxor, 0), SOFT_V128(SOFT_MAP_0F, SOFT_PFX_66, 0x57, pxor, 0),
	/* SSSE3 */
	V38(0x01, phaddw, SOFT_SSE_MMX_PACK), V38(0x02, phaddd, SOFT_SSE_MMX_PACK), V38(0x03, phaddsw, SOFT_SSE_MMX_PACK),
	V38(0x04, pmaddubsw, SOFT_SSE_MMX_LOW), V38(0x05, phsubw, SOFT_SSE_MMX_PACK), V38(0x06, phsubd, SOFT_SSE_MMX_PACK),
	V38(0x07, phsubsw, SOFT_SSE_MMX_PACK), V38(0x08, psignb, SOFT_SSE_MMX_LOW), V38(0x09, psignw, SOFT_SSE_MMX_LOW),
	V38(0x0a, psignd, SOFT_SSE_MMX_LOW), V38(0x0b, pmulhrsw, SOFT_SSE_MMX_LOW), V38(0x1c, pabsb, SOFT_SSE_MMX_LOW),
	V38(0x1d, pabsw, SOFT_SSE_MMX_LOW), V38(0x1e, pabsd, SOFT_SSE_MMX_LOW),
};

const struct soft_sse_table soft_sse_ints = { rows, sizeof rows / sizeof rows[0] };
