/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving lanes about: unpack, pack, shuffle, insert, extract, align. Read soft_sse.h first.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_sse.h"

/* Interleave the low (high) halves of destination and source. */
#define UNPACK(name, lane, n, from)                                                                                   \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		const union soft_xmm t = *d;                                                                          \
                                                                                                                      \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n) / 2; i++) {                                                          \
			d->lane[2 * i] = t.lane[(from) + i];                                                          \
			d->lane[2 * i + 1] = s->lane[(from) + i];                                                     \
		}                                                                                                     \
	}

UNPACK(punpcklbw, u8, 16, 0)
UNPACK(punpcklwd, u16, 8, 0)
UNPACK(punpckldq, u32, 4, 0)
UNPACK(punpcklqdq, u64, 2, 0)
UNPACK(punpckhbw, u8, 16, 8)
UNPACK(punpckhwd, u16, 8, 4)
UNPACK(punpckhdq, u32, 4, 2)
UNPACK(punpckhqdq, u64, 2, 1)

/* Narrow destination and source with saturation. */
#define PACK(name, lane, wide, n, low, high)                                                                          \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		const union soft_xmm t = *d;                                                                          \
                                                                                                                      \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n); i++) {                                                              \
			int32_t v = i < (n) / 2 ? t.wide[i] : s->wide[i - (n) / 2];                                   \
                                                                                                                      \
			v = v < (low) ? (low) : v > (high) ? (high) : v;                                              \
			d->lane[i] = (__typeof__(d->lane[0]))v;                                                       \
		}                                                                                                     \
	}

PACK(packsswb, s8, s16, 16, INT8_MIN, INT8_MAX)
PACK(packuswb, u8, s16, 16, 0, UINT8_MAX)
PACK(packssdw, s16, s32, 8, INT16_MIN, INT16_MAX)
PACK(packusdw, u16, s32, 8, 0, UINT16_MAX)

static void pshufd(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	for (unsigned int i = 0; i < 4; i++)
		d->u32[i] = s->u32[imm >> 2 * i & 3];
}

static void pshuflw(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	for (unsigned int i = 0; i < 4; i++)
		d->u16[i] = s->u16[imm >> 2 * i & 3];
	d->u64[1] = s->u64[1];
}

static void pshufhw(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	for (unsigned int i = 0; i < 4; i++)
		d->u16[4 + i] = s->u16[4 + (imm >> 2 * i & 3)];
	d->u64[0] = s->u64[0];
}

static void shufps(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	const union soft_xmm t = *d;

	for (unsigned int i = 0; i < 4; i++)
		d->u32[i] = (i < 2 ? &t : s)->u32[imm >> 2 * i & 3];
}

static void shufpd(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	d->u64[0] = d->u64[imm & 1];
	d->u64[1] = s->u64[imm >> 1 & 1];
}

static void pshufb(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	const union soft_xmm t = *d;

	(void)imm;
	for (unsigned int i = 0; i < 16; i++)
		d->u8[i] = s->u8[i] & 0x80 ? 0 : t.u8[s->u8[i] & 15];
}

static void pshufb_mmx(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	const union soft_xmm t = *d;

	(void)imm;
	for (unsigned int i = 0; i < 8; i++)
		d->u8[i] = s->u8[i] & 0x80 ? 0 : t.u8[s->u8[i] & 7];
}

/* Bytes imm, imm + 1, ... of destination:source. */
static void align_bytes(union soft_xmm *d, const union soft_xmm *s, unsigned int imm, unsigned int width)
{
	const union soft_xmm t = *d;

	for (unsigned int i = 0; i < width; i++) {
		unsigned int at = i + imm;

		d->u8[i] = at < width ? s->u8[at] : at < 2 * width ? t.u8[at - width] : 0;
	}
}

static void palignr(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	align_bytes(d, s, imm, 16);
}

static void palignr_mmx(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	align_bytes(d, s, imm, 8);
}

static void movsldup(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	(void)imm;
	for (unsigned int i = 0; i < 4; i++)
		d->u32[i] = s->u32[i & 2];
}

static void movshdup(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	(void)imm;
	for (unsigned int i = 0; i < 4; i++)
		d->u32[i] = s->u32[i | 1];
}

static void movddup(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	(void)imm;
	d->u64[0] = s->u64[0];
	d->u64[1] = s->u64[0];
}

/* --- words from and to general registers ----------------------------------------- */

static const struct soft_op *pinsrw_r(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->xmm[op->reg].u16[op->aux & 7] = (uint16_t)cpu->gpr[op->rm];
	SOFT_NEXT(cpu, op);
}

static const struct soft_op *pinsrw_m(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->xmm[op->reg].u16[op->aux & 7] = soft_ld16(cpu, op, soft_ea(cpu, op));
	SOFT_NEXT(cpu, op);
}

static const struct soft_op *pextrw(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->gpr[op->reg] = cpu->xmm[op->rm].u16[op->aux & 7];
	SOFT_NEXT(cpu, op);
}

static void mmx_insert(struct soft_cpu *cpu, const struct soft_op *op, unsigned int mmx, uint16_t word)
{
	union soft_xmm v = soft_xmm_of(cpu->x87.r[mmx].mant, 0);

	soft_mmx_enter(cpu, op);
	v.u16[op->aux & 3] = word;
	soft_mmx_set(cpu, mmx, v.u64[0]);
}

static const struct soft_op *mmx_pinsrw_r(struct soft_cpu *cpu, const struct soft_op *op)
{
	mmx_insert(cpu, op, op->reg & 7, (uint16_t)cpu->gpr[op->rm]);
	SOFT_NEXT(cpu, op);
}

static const struct soft_op *mmx_pinsrw_m(struct soft_cpu *cpu, const struct soft_op *op)
{
	soft_mmx_check(cpu, op);
	mmx_insert(cpu, op, op->reg & 7, soft_ld16(cpu, op, soft_ea(cpu, op)));
	SOFT_NEXT(cpu, op);
}

static const struct soft_op *mmx_pextrw(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm v = soft_xmm_of(cpu->x87.r[op->rm & 7].mant, 0);

	soft_mmx_enter(cpu, op);
	cpu->gpr[op->reg] = v.u16[op->aux & 3];
	SOFT_NEXT(cpu, op);
}

#define V(o, kern, f) SOFT_V128(SOFT_MAP_0F, SOFT_PFX_66, o, kern, f)
#define IMM_HAND(p, o, k, r, mm)                                                                                      \
	SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, SOFT_SSE_ANY, k, SOFT_SSE_IMM8, r, mm, NULL, NULL)

#define MMX_LOW(o, kern)                                                                                              \
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_NONE, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_MMX, 0, soft_mmx_low_r,        \
		  soft_mmx_low_m32, kern, NULL)
#define MMX_HIGH(o, kern)                                                                                             \
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_66, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_MMX, SOFT_SSE_MMX_HIGH,          \
		  soft_sse_r, soft_sse_m128, kern, NULL)

static const struct soft_sse_row rows[] = {
	V(0x60, punpcklbw, 0), V(0x61, punpcklwd, 0), V(0x62, punpckldq, 0),
	V(0x63, packsswb, SOFT_SSE_MMX_PACK), V(0x67, packuswb, SOFT_SSE_MMX_PACK), V(0x6b, packssdw, SOFT_SSE_MMX_PACK),
	V(0x68, punpckhbw, 0), V(0x69, punpckhwd, 0), V(0x6a, punpckhdq, 0),
	V(0x6c, punpcklqdq, 0), V(0x6d, punpckhqdq, 0),
	V(0x70, pshufd, SOFT_SSE_IMM8),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_F2, 0x70, pshuflw, SOFT_SSE_IMM8),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_F3, 0x70, pshufhw, SOFT_SSE_IMM8),
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_NONE, 0x70, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_MMX, SOFT_SSE_IMM8,
		  soft_mmx_low_r, soft_mmx_low_m, pshuflw, NULL),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0xc6, shufps, SOFT_SSE_IMM8), V(0xc6, shufpd, SOFT_SSE_IMM8),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0x14, punpckldq, 0), V(0x14, punpcklqdq, 0),
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_NONE, 0x15, punpckhdq, 0), V(0x15, punpckhqdq, 0),
	IMM_HAND(SOFT_PFX_66, 0xc4, SOFT_INSN_SSE, pinsrw_r, pinsrw_m),
	IMM_HAND(SOFT_PFX_66, 0xc5, SOFT_INSN_SSE, pextrw, NULL),
	/* SSE3 */
	SOFT_V128(SOFT_MAP_0F, SOFT_PFX_F3, 0x12, movsldup, 0), SOFT_V128(SOFT_MAP_0F, SOFT_PFX_F3, 0x16, movshdup, 0),
	SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_F2, 0x12, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, 0, soft_sse_r, soft_sse_m64,
		  movddup, NULL),
	/* SSSE3, SSE4.1 */
	SOFT_V128(SOFT_MAP_0F38, SOFT_PFX_66, 0x00, pshufb, 0),
	SOFT_ROW_(SOFT_MAP_0F38, SOFT_PFX_NONE, 0x00, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_MMX, 0, soft_mmx_low_r,
		  soft_mmx_low_m, pshufb_mmx, NULL),
	SOFT_V128(SOFT_MAP_0F3A, SOFT_PFX_66, 0x0f, palignr, SOFT_SSE_IMM8),
	SOFT_ROW_(SOFT_MAP_0F3A, SOFT_PFX_NONE, 0x0f, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_MMX, SOFT_SSE_IMM8,
		  soft_mmx_low_r, soft_mmx_low_m, palignr_mmx, NULL),
	SOFT_V128(SOFT_MAP_0F38, SOFT_PFX_66, 0x2b, packusdw, 0),
	/* MMX: low unpacks read 32 bits of memory, the high unpack is the high half of a low one */
	MMX_LOW(0x60, punpcklbw), MMX_LOW(0x61, punpcklwd), MMX_LOW(0x62, punpckldq),
	MMX_HIGH(0x68, punpcklbw), MMX_HIGH(0x69, punpcklwd), MMX_HIGH(0x6a, punpckldq),
	IMM_HAND(SOFT_PFX_NONE, 0xc4, SOFT_INSN_MMX, mmx_pinsrw_r, mmx_pinsrw_m),
	IMM_HAND(SOFT_PFX_NONE, 0xc5, SOFT_INSN_MMX, mmx_pextrw, NULL),
};

const struct soft_sse_table soft_sse_shuffles = { rows, sizeof rows / sizeof rows[0] };
