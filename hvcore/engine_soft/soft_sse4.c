/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SSE4.1 and CRC32: blends, widening moves, minima and maxima, dot products, rounding, inserts and extracts. The
 * string comparisons of SSE4.2 are in soft_sse_string.c. Read soft_sse.h first.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_sse.h"

#define HANDLER(name) static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/* --- lanes --------------------------------------------------------------------------- */

#define LANES(name, lane, n, type, expr)                                                                              \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n); i++) {                                                              \
			type a = d->lane[i], b = s->lane[i];                                                          \
                                                                                                                      \
			d->lane[i] = (__typeof__(d->lane[0]))(expr);                                                  \
		}                                                                                                     \
	}

LANES(pcmpeqq, u64, 2, uint64_t, a == b ? ~0ull : 0)
LANES(pcmpgtq, s64, 2, int64_t, a > b ? -1 : 0)
LANES(pminsb, s8, 16, int32_t, a < b ? a : b)
LANES(pminsd, s32, 4, int32_t, a < b ? a : b)
LANES(pminuw, u16, 8, uint32_t, a < b ? a : b)
LANES(pminud, u32, 4, uint32_t, a < b ? a : b)
LANES(pmaxsb, s8, 16, int32_t, a > b ? a : b)
LANES(pmaxsd, s32, 4, int32_t, a > b ? a : b)
LANES(pmaxuw, u16, 8, uint32_t, a > b ? a : b)
LANES(pmaxud, u32, 4, uint32_t, a > b ? a : b)
LANES(pmulld, u32, 4, uint32_t, a *b)
LANES(pmuldq, s64, 2, int64_t, (int64_t)(int32_t)a *(int32_t)b)

/* Widen the low lanes of the source. */
#define WIDEN(name, to, n, from)                                                                                      \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		(void)imm;                                                                                            \
		for (unsigned int i = 0; i < (n); i++)                                                                \
			d->to[i] = s->from[i];                                                                        \
	}

WIDEN(pmovsxbw, s16, 8, s8)
WIDEN(pmovsxbd, s32, 4, s8)
WIDEN(pmovsxbq, s64, 2, s8)
WIDEN(pmovsxwd, s32, 4, s16)
WIDEN(pmovsxwq, s64, 2, s16)
WIDEN(pmovsxdq, s64, 2, s32)
WIDEN(pmovzxbw, u16, 8, u8)
WIDEN(pmovzxbd, u32, 4, u8)
WIDEN(pmovzxbq, u64, 2, u8)
WIDEN(pmovzxwd, u32, 4, u16)
WIDEN(pmovzxwq, u64, 2, u16)
WIDEN(pmovzxdq, u64, 2, u32)

#define BLEND(name, lane, n)                                                                                          \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		for (unsigned int i = 0; i < (n); i++)                                                                \
			if (imm >> i & 1)                                                                             \
				d->lane[i] = s->lane[i];                                                              \
	}

BLEND(blendps, u32, 4)
BLEND(blendpd, u64, 2)
BLEND(pblendw, u16, 8)

static void phminposuw(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	unsigned int best = 0;

	(void)imm;
	for (unsigned int i = 1; i < 8; i++)
		if (s->u16[i] < s->u16[best])
			best = i;
	*d = (union soft_xmm){ .u16 = { s->u16[best], (uint16_t)best } };
}

static void mpsadbw(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	const union soft_xmm t = *d;
	unsigned int left = imm & 4, right = (imm & 3) * 4;

	for (unsigned int i = 0; i < 8; i++) {
		int sum = 0;

		for (unsigned int j = 0; j < 4; j++) {
			int difference = t.u8[left + i + j] - s->u8[right + j];

			sum += difference < 0 ? -difference : difference;
		}
		d->u16[i] = (uint16_t)sum;
	}
}

static void insertps_lane(union soft_xmm *d, uint32_t lane, unsigned int imm)
{
	d->u32[imm >> 4 & 3] = lane;
	for (unsigned int i = 0; i < 4; i++)
		if (imm >> i & 1)
			d->u32[i] = 0;
}

static void insertps(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	insertps_lane(d, s->u32[imm >> 6], imm);
}

/* From memory there is only one lane to choose. */
static void insertps_m(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	insertps_lane(d, s->u32[0], imm);
}

/* --- blends by the mask in xmm0 --------------------------------------------------------- */

#define BLENDV(name, lane, n, top)                                                                                    \
	static void name(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)                     \
	{                                                                                                             \
		const union soft_xmm mask = cpu->xmm[0];                                                              \
                                                                                                                      \
		for (unsigned int i = 0; i < (n); i++)                                                                \
			if (mask.lane[i] >> (top))                                                                    \
				cpu->xmm[op->reg].lane[i] = s->lane[i];                                               \
	}                                                                                                             \
	HANDLER(name##_r)                                                                                             \
	{                                                                                                             \
		const union soft_xmm s = cpu->xmm[op->rm];                                                            \
                                                                                                                      \
		name(cpu, op, &s);                                                                                    \
		SOFT_NEXT(cpu, op);                                                                                   \
	}                                                                                                             \
	HANDLER(name##_m)                                                                                             \
	{                                                                                                             \
		const union soft_xmm s = soft_ld128_a(cpu, op, soft_ea(cpu, op));                                     \
                                                                                                                      \
		name(cpu, op, &s);                                                                                    \
		SOFT_NEXT(cpu, op);                                                                                   \
	}

BLENDV(pblendvb, u8, 16, 7)
BLENDV(blendvps, u32, 4, 31)
BLENDV(blendvpd, u64, 2, 63)

/* --- PTEST ------------------------------------------------------------------------------- */

static void ptest(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)
{
	const union soft_xmm *d = &cpu->xmm[op->reg];
	uint64_t and = (s->u64[0] & d->u64[0]) | (s->u64[1] & d->u64[1]);
	uint64_t andn = (s->u64[0] & ~d->u64[0]) | (s->u64[1] & ~d->u64[1]);

	soft_flags_load(&cpu->flags, (and ? 0 : SOFT_ZF) | (andn ? 0 : SOFT_CF));
}

HANDLER(ptest_r)
{
	ptest(cpu, op, &cpu->xmm[op->rm]);
	SOFT_NEXT(cpu, op);
}

HANDLER(ptest_m)
{
	const union soft_xmm s = soft_ld128_a(cpu, op, soft_ea(cpu, op));

	ptest(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

/* --- extract and insert ---------------------------------------------------------------------- */

#define EXTRACT(name, lane, mask, bits)                                                                               \
	HANDLER(name##_r)                                                                                             \
	{                                                                                                             \
		cpu->gpr[op->rm] = cpu->xmm[op->reg].lane[op->aux & (mask)];                                          \
		SOFT_NEXT(cpu, op);                                                                                   \
	}                                                                                                             \
	HANDLER(name##_m)                                                                                             \
	{                                                                                                             \
		soft_st##bits(cpu, op, soft_ea(cpu, op), cpu->xmm[op->reg].lane[op->aux & (mask)]);                   \
		SOFT_NEXT(cpu, op);                                                                                   \
	}
EXTRACT(pextrb, u8, 15, 8)
EXTRACT(pextrw, u16, 7, 16)
EXTRACT(pextrd, u32, 3, 32)
EXTRACT(pextrq, u64, 1, 64)

#define INSERT(name, lane, mask, bits)                                                                                \
	HANDLER(name##_r)                                                                                             \
	{                                                                                                             \
		cpu->xmm[op->reg].lane[op->aux & (mask)] = (uint##bits##_t)cpu->gpr[op->rm];                          \
		SOFT_NEXT(cpu, op);                                                                                   \
	}                                                                                                             \
	HANDLER(name##_m)                                                                                             \
	{                                                                                                             \
		uint##bits##_t v = soft_ld##bits(cpu, op, soft_ea(cpu, op));                                          \
                                                                                                                      \
		cpu->xmm[op->reg].lane[op->aux & (mask)] = v;                                                         \
		SOFT_NEXT(cpu, op);                                                                                   \
	}
INSERT(pinsrb, u8, 15, 8)
INSERT(pinsrd, u32, 3, 32)
INSERT(pinsrq, u64, 1, 64)

/* --- CRC32 (polynomial 11EDC6F41, bits reflected) --------------------------------------------- */

static uint64_t crc32(uint64_t crc, uint64_t data, unsigned int bytes)
{
	uint32_t c = (uint32_t)crc;

	for (unsigned int i = 0; i < bytes; i++) {
		c ^= (uint8_t)(data >> i * 8);
		for (unsigned int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
	}
	return c;
}

/* op->imm: how far the source byte is up in its register (8 for AH, CH, DH, BH) */
HANDLER(crc32b_r)
{
	cpu->gpr[op->reg] = crc32(cpu->gpr[op->reg], cpu->gpr[op->rm] >> op->imm, 1);
	SOFT_NEXT(cpu, op);
}

HANDLER(crc32b_m)
{
	cpu->gpr[op->reg] = crc32(cpu->gpr[op->reg], soft_ld8(cpu, op, soft_ea(cpu, op)), 1);
	SOFT_NEXT(cpu, op);
}

/* op->imm: bytes of the operand */
HANDLER(crc32_r)
{
	cpu->gpr[op->reg] = crc32(cpu->gpr[op->reg], cpu->gpr[op->rm], (unsigned int)op->imm);
	SOFT_NEXT(cpu, op);
}

HANDLER(crc32_m)
{
	uint64_t data = 0;

	soft_ld_bytes(cpu, op, soft_ea(cpu, op), &data, (unsigned int)op->imm);
	cpu->gpr[op->reg] = crc32(cpu->gpr[op->reg], data, (unsigned int)op->imm);
	SOFT_NEXT(cpu, op);
}

int soft_crc32_decode(const struct soft_decode *d, struct soft_op *op)
{
	if (d->opcode == 0xf0) {
		op->fn = d->is_mem ? crc32b_m : crc32b_r;
		op->imm = 0;
		if (!d->is_mem && !d->rex && d->rm >= 4) {
			op->rm = d->rm & 3;
			op->imm = 8;
		}
	} else {
		op->fn = d->is_mem ? crc32_m : crc32_r;
		op->imm = d->rex_w ? 8 : d->opsize16 ? 2 : 4;
	}
	return SOFT_INSN_INT;
}

/* --- the table -------------------------------------------------------------------------------- */

#define P66 SOFT_PFX_66
#define V38(o, kern) SOFT_V128(SOFT_MAP_0F38, P66, o, kern, 0)
#define V3A(o, kern) SOFT_V128(SOFT_MAP_0F3A, P66, o, kern, SOFT_SSE_IMM8)
#define NARROW(o, m, kern)                                                                                            \
	SOFT_ROW_(SOFT_MAP_0F38, P66, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, 0, soft_sse_r, m, kern, NULL)
#define HAND38(o, r, m) SOFT_HAND(SOFT_MAP_0F38, P66, o, SOFT_INSN_SSE, r, m)
#define HAND3A(o, w, r, m)                                                                                            \
	SOFT_ROW_(SOFT_MAP_0F3A, P66, o, SOFT_SSE_ANY, w, SOFT_INSN_SSE, SOFT_SSE_IMM8, r, m, NULL, NULL)

static const struct soft_sse_row rows[] = {
	HAND38(0x10, pblendvb_r, pblendvb_m), HAND38(0x14, blendvps_r, blendvps_m), HAND38(0x15, blendvpd_r, blendvpd_m),
	HAND38(0x17, ptest_r, ptest_m),
	NARROW(0x20, soft_sse_m64, pmovsxbw), NARROW(0x21, soft_sse_m32, pmovsxbd), NARROW(0x22, soft_sse_m16, pmovsxbq),
	NARROW(0x23, soft_sse_m64, pmovsxwd), NARROW(0x24, soft_sse_m32, pmovsxwq), NARROW(0x25, soft_sse_m64, pmovsxdq),
	NARROW(0x30, soft_sse_m64, pmovzxbw), NARROW(0x31, soft_sse_m32, pmovzxbd), NARROW(0x32, soft_sse_m16, pmovzxbq),
	NARROW(0x33, soft_sse_m64, pmovzxwd), NARROW(0x34, soft_sse_m32, pmovzxwq), NARROW(0x35, soft_sse_m64, pmovzxdq),
	V38(0x28, pmuldq), V38(0x29, pcmpeqq), V38(0x37, pcmpgtq), V38(0x38, pminsb), V38(0x39, pminsd), V38(0x3a, pminuw),
	V38(0x3b, pminud), V38(0x3c, pmaxsb), V38(0x3d, pmaxsd), V38(0x3e, pmaxuw), V38(0x3f, pmaxud), V38(0x40, pmulld),
	V38(0x41, phminposuw),
	V3A(0x0c, blendps), V3A(0x0d, blendpd), V3A(0x0e, pblendw), V3A(0x42, mpsadbw),
	HAND3A(0x14, SOFT_SSE_ANY, pextrb_r, pextrb_m), HAND3A(0x15, SOFT_SSE_ANY, pextrw_r, pextrw_m),
	HAND3A(0x16, 0, pextrd_r, pextrd_m), HAND3A(0x16, 1, pextrq_r, pextrq_m),
	HAND3A(0x17, SOFT_SSE_ANY, pextrd_r, pextrd_m), /* extractps */
	HAND3A(0x20, SOFT_SSE_ANY, pinsrb_r, pinsrb_m), HAND3A(0x22, 0, pinsrd_r, pinsrd_m),
	HAND3A(0x22, 1, pinsrq_r, pinsrq_m),
	SOFT_ROW_(SOFT_MAP_0F3A, P66, 0x21, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, SOFT_SSE_IMM8, soft_sse_r, NULL,
		  insertps, NULL),
	SOFT_ROW_(SOFT_MAP_0F3A, P66, 0x21, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, SOFT_SSE_IMM8, NULL, soft_sse_m32,
		  insertps_m, NULL),
};

const struct soft_sse_table soft_sse_fours = { rows, sizeof rows / sizeof rows[0] };
