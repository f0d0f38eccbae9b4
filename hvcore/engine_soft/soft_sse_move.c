/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector moves: loads, stores, halves, moves from and to general and MMX registers, sign masks. Read soft_sse.h first.
 *
 * The forms that libc's string functions live on (movdqu, movups, movaps, pmovmskb) are hand-written here and do not go
 * through a kernel.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_sse.h"

#define HANDLER(name) static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/* --- whole registers ------------------------------------------------------------- */

HANDLER(mov128_r)
{
	cpu->xmm[op->reg] = cpu->xmm[op->rm];
	SOFT_NEXT(cpu, op);
}

HANDLER(mov128_r_back)
{
	cpu->xmm[op->rm] = cpu->xmm[op->reg];
	SOFT_NEXT(cpu, op);
}

HANDLER(load128)
{
	cpu->xmm[op->reg] = soft_ld128(cpu, op, soft_ea(cpu, op));
	SOFT_NEXT(cpu, op);
}

HANDLER(load128_a)
{
	cpu->xmm[op->reg] = soft_ld128_a(cpu, op, soft_ea(cpu, op));
	SOFT_NEXT(cpu, op);
}

HANDLER(store128)
{
	soft_st128(cpu, op, soft_ea(cpu, op), &cpu->xmm[op->reg]);
	SOFT_NEXT(cpu, op);
}

HANDLER(store128_a)
{
	soft_st128_a(cpu, op, soft_ea(cpu, op), &cpu->xmm[op->reg]);
	SOFT_NEXT(cpu, op);
}

static inline void set_low32(union soft_xmm *d, const union soft_xmm *s)
{
	*d = soft_xmm_of((d->v[0] & ~0xffffffffull) | (uint32_t)s->v[0], d->v[1]);
}

/* --- parts of registers --------------------------------------------------------------- */

HANDLER(movss_r)
{
	set_low32(&cpu->xmm[op->reg], &cpu->xmm[op->rm]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movss_r_back)
{
	set_low32(&cpu->xmm[op->rm], &cpu->xmm[op->reg]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movsd_r)
{
	cpu->xmm[op->reg] = soft_xmm_of(cpu->xmm[op->rm].v[0], cpu->xmm[op->reg].v[1]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movsd_r_back)
{
	cpu->xmm[op->rm] = soft_xmm_of(cpu->xmm[op->reg].v[0], cpu->xmm[op->rm].v[1]);
	SOFT_NEXT(cpu, op);
}

/* movss, movd, movsd, movq from memory clear the rest */
HANDLER(load32)
{
	cpu->xmm[op->reg] = soft_xmm_of(soft_ld32(cpu, op, soft_ea(cpu, op)), 0);
	SOFT_NEXT(cpu, op);
}

HANDLER(load64)
{
	cpu->xmm[op->reg] = soft_xmm_of(soft_ld64(cpu, op, soft_ea(cpu, op)), 0);
	SOFT_NEXT(cpu, op);
}

HANDLER(store32)
{
	soft_st32(cpu, op, soft_ea(cpu, op), cpu->xmm[op->reg].u32[0]);
	SOFT_NEXT(cpu, op);
}

HANDLER(store64)
{
	soft_st64(cpu, op, soft_ea(cpu, op), cpu->xmm[op->reg].u64[0]);
	SOFT_NEXT(cpu, op);
}

HANDLER(load_low)
{
	uint64_t low = soft_ld64(cpu, op, soft_ea(cpu, op));

	cpu->xmm[op->reg] = soft_xmm_of(low, cpu->xmm[op->reg].v[1]);
	SOFT_NEXT(cpu, op);
}

HANDLER(load_high)
{
	uint64_t high = soft_ld64(cpu, op, soft_ea(cpu, op));

	cpu->xmm[op->reg] = soft_xmm_of(cpu->xmm[op->reg].v[0], high);
	SOFT_NEXT(cpu, op);
}

HANDLER(store_high)
{
	soft_st64(cpu, op, soft_ea(cpu, op), cpu->xmm[op->reg].u64[1]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movhlps)
{
	cpu->xmm[op->reg] = soft_xmm_of(cpu->xmm[op->rm].v[1], cpu->xmm[op->reg].v[1]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movlhps)
{
	cpu->xmm[op->reg] = soft_xmm_of(cpu->xmm[op->reg].v[0], cpu->xmm[op->rm].v[0]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movq_r)
{
	cpu->xmm[op->reg] = soft_xmm_of(cpu->xmm[op->rm].u64[0], 0);
	SOFT_NEXT(cpu, op);
}

HANDLER(movq_r_back)
{
	cpu->xmm[op->rm] = soft_xmm_of(cpu->xmm[op->reg].u64[0], 0);
	SOFT_NEXT(cpu, op);
}

/* --- general registers ------------------------------------------------------------------- */

HANDLER(movd_from_gpr)
{
	cpu->xmm[op->reg] = soft_xmm_of((uint32_t)cpu->gpr[op->rm], 0);
	SOFT_NEXT(cpu, op);
}

HANDLER(movq_from_gpr)
{
	cpu->xmm[op->reg] = soft_xmm_of(cpu->gpr[op->rm], 0);
	SOFT_NEXT(cpu, op);
}

HANDLER(movd_to_gpr)
{
	cpu->gpr[op->rm] = cpu->xmm[op->reg].u32[0];
	SOFT_NEXT(cpu, op);
}

HANDLER(movq_to_gpr)
{
	cpu->gpr[op->rm] = cpu->xmm[op->reg].u64[0];
	SOFT_NEXT(cpu, op);
}

/* The top bits of eight bytes, gathered by a multiplication: each lands in a column of its own of the top byte. */
static inline uint32_t byte_signs(uint64_t v)
{
	return (uint32_t)(((v & 0x8080808080808080ull) >> 7) * 0x0102040810204080ull >> 56);
}

HANDLER(pmovmskb)
{
	const union soft_xmm *s = &cpu->xmm[op->rm];

	cpu->gpr[op->reg] = byte_signs(s->u64[0]) | byte_signs(s->u64[1]) << 8;
	SOFT_NEXT(cpu, op);
}

HANDLER(movmskps)
{
	const union soft_xmm *s = &cpu->xmm[op->rm];

	cpu->gpr[op->reg] = s->u32[0] >> 31 | s->u32[1] >> 31 << 1 | s->u32[2] >> 31 << 2 | s->u32[3] >> 31 << 3;
	SOFT_NEXT(cpu, op);
}

HANDLER(movmskpd)
{
	const union soft_xmm *s = &cpu->xmm[op->rm];

	cpu->gpr[op->reg] = s->u64[0] >> 63 | s->u64[1] >> 63 << 1;
	SOFT_NEXT(cpu, op);
}

/* movnti: the store of a general register that does not want to stay in the caches */
HANDLER(movnti32)
{
	soft_st32(cpu, op, soft_ea(cpu, op), (uint32_t)cpu->gpr[op->reg]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movnti64)
{
	soft_st64(cpu, op, soft_ea(cpu, op), cpu->gpr[op->reg]);
	SOFT_NEXT(cpu, op);
}

/*
 * maskmovdqu, maskmovq: the bytes whose mask byte has its top bit set go to [rdi]. All of the operand must be writable,
 * as on AMD's processors; #AC wants multiples of 8.
 */
static void store_masked(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, const uint8_t *data,
			 const uint8_t *mask)
{
	uint8_t *to = soft_rmw(cpu, op, la, 8);

	for (unsigned int i = 0; i < 8; i++)
		if (mask[i] & 0x80)
			to[i] = data[i];
	soft_rmw_end(cpu, op);
}

HANDLER(maskmovdqu)
{
	const uint8_t *data = cpu->xmm[op->reg].u8, *mask = cpu->xmm[op->rm].u8;
	uint64_t la = soft_ea(cpu, op);

	soft_translate(cpu, op, la, SOFT_WRITE); /* should one of these fault, nothing is stored */
	soft_translate(cpu, op, la + 15, SOFT_WRITE);
	store_masked(cpu, op, la, data, mask);
	store_masked(cpu, op, la + 8, data + 8, mask + 8);
	SOFT_NEXT(cpu, op);
}

/* --- MMX ------------------------------------------------------------------------------------ */

HANDLER(maskmovq)
{
	const union soft_xmm data = soft_xmm_of(cpu->x87.r[op->reg & 7].mant, 0);
	const union soft_xmm mask = soft_xmm_of(cpu->x87.r[op->rm & 7].mant, 0);


	soft_mmx_check(cpu, op);
	store_masked(cpu, op, soft_ea(cpu, op), data.u8, mask.u8);
	soft_mmx_enter(cpu, op);
	SOFT_NEXT(cpu, op);
}

static inline void mmx_load_reg(struct soft_cpu *cpu, const struct soft_op *op, uint64_t value)
{
	soft_mmx_enter(cpu, op);
	soft_mmx_set(cpu, op->reg & 7, value);
}

HANDLER(mmx_movq_r)
{
	mmx_load_reg(cpu, op, cpu->x87.r[op->rm & 7].mant);
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_movq_r_back)
{
	soft_mmx_enter(cpu, op);
	soft_mmx_set(cpu, op->rm & 7, cpu->x87.r[op->reg & 7].mant);
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_load64)
{
	soft_mmx_check(cpu, op);
	mmx_load_reg(cpu, op, soft_ld64(cpu, op, soft_ea(cpu, op)));
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_load32)
{
	soft_mmx_check(cpu, op);
	mmx_load_reg(cpu, op, soft_ld32(cpu, op, soft_ea(cpu, op)));
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_store64)
{
	soft_mmx_check(cpu, op);
	soft_st64(cpu, op, soft_ea(cpu, op), cpu->x87.r[op->reg & 7].mant);
	soft_mmx_enter(cpu, op);
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_store32)
{
	soft_mmx_check(cpu, op);
	soft_st32(cpu, op, soft_ea(cpu, op), (uint32_t)cpu->x87.r[op->reg & 7].mant);
	soft_mmx_enter(cpu, op);
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_movd_from_gpr)
{
	mmx_load_reg(cpu, op, (uint32_t)cpu->gpr[op->rm]);
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_movq_from_gpr)
{
	mmx_load_reg(cpu, op, cpu->gpr[op->rm]);
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_movd_to_gpr)
{
	soft_mmx_enter(cpu, op);
	cpu->gpr[op->rm] = (uint32_t)cpu->x87.r[op->reg & 7].mant;
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_movq_to_gpr)
{
	soft_mmx_enter(cpu, op);
	cpu->gpr[op->rm] = cpu->x87.r[op->reg & 7].mant;
	SOFT_NEXT(cpu, op);
}

HANDLER(mmx_pmovmskb)
{
	soft_mmx_enter(cpu, op);
	cpu->gpr[op->reg] = byte_signs(cpu->x87.r[op->rm & 7].mant);
	SOFT_NEXT(cpu, op);
}

HANDLER(movdq2q)
{
	mmx_load_reg(cpu, op, cpu->xmm[op->rm].u64[0]);
	SOFT_NEXT(cpu, op);
}

HANDLER(movq2dq)
{
	soft_mmx_enter(cpu, op);
	cpu->xmm[op->reg] = soft_xmm_of(cpu->x87.r[op->rm & 7].mant, 0);
	SOFT_NEXT(cpu, op);
}

HANDLER(emms)
{
	soft_mmx_enter(cpu, op);
	cpu->x87.valid = 0;
	SOFT_NEXT(cpu, op);
}

#define NP SOFT_PFX_NONE
#define P66 SOFT_PFX_66
#define F3 SOFT_PFX_F3
#define F2 SOFT_PFX_F2
#define V(p, o, r, m) SOFT_HAND(SOFT_MAP_0F, p, o, SOFT_INSN_SSE, r, m)
#define M(p, o, r, m) SOFT_HAND(SOFT_MAP_0F, p, o, SOFT_INSN_MMX, r, m)
#define W(p, o, wide, k, r, m) SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, wide, k, 0, r, m, NULL, NULL)

static const struct soft_sse_row rows[] = {
	V(NP, 0x10, mov128_r, load128), V(P66, 0x10, mov128_r, load128),
	V(F3, 0x10, movss_r, load32), V(F2, 0x10, movsd_r, load64),
	V(NP, 0x11, mov128_r_back, store128), V(P66, 0x11, mov128_r_back, store128),
	V(F3, 0x11, movss_r_back, store32), V(F2, 0x11, movsd_r_back, store64),
	V(NP, 0x12, movhlps, load_low), V(P66, 0x12, NULL, load_low),
	V(NP, 0x13, NULL, store64), V(P66, 0x13, NULL, store64),
	V(NP, 0x16, movlhps, load_high), V(P66, 0x16, NULL, load_high),
	V(NP, 0x17, NULL, store_high), V(P66, 0x17, NULL, store_high),
	V(NP, 0x28, mov128_r, load128_a), V(P66, 0x28, mov128_r, load128_a),
	V(NP, 0x29, mov128_r_back, store128_a), V(P66, 0x29, mov128_r_back, store128_a),
	V(NP, 0x2b, NULL, store128_a), V(P66, 0x2b, NULL, store128_a), V(P66, 0xe7, NULL, store128_a),
	V(NP, 0x50, movmskps, NULL), V(P66, 0x50, movmskpd, NULL), V(P66, 0xd7, pmovmskb, NULL),
	V(P66, 0x6f, mov128_r, load128_a), V(F3, 0x6f, mov128_r, load128),
	V(P66, 0x7f, mov128_r_back, store128_a), V(F3, 0x7f, mov128_r_back, store128),
	V(F3, 0x7e, movq_r, load64), V(P66, 0xd6, movq_r_back, store64),
	V(F2, 0xf0, NULL, load128), V(P66, 0xf7, maskmovdqu, NULL),
	W(P66, 0x6e, 0, SOFT_INSN_SSE, movd_from_gpr, load32), W(P66, 0x6e, 1, SOFT_INSN_SSE, movq_from_gpr, load64),
	W(P66, 0x7e, 0, SOFT_INSN_SSE, movd_to_gpr, store32), W(P66, 0x7e, 1, SOFT_INSN_SSE, movq_to_gpr, store64),
	W(NP, 0xc3, 0, SOFT_INSN_INT, NULL, movnti32), W(NP, 0xc3, 1, SOFT_INSN_INT, NULL, movnti64),
	SOFT_HAND(SOFT_MAP_0F38, P66, 0x2a, SOFT_INSN_SSE, NULL, load128_a),
	M(NP, 0x6f, mmx_movq_r, mmx_load64), M(NP, 0x7f, mmx_movq_r_back, mmx_store64), M(NP, 0xe7, NULL, mmx_store64),
	W(NP, 0x6e, 0, SOFT_INSN_MMX, mmx_movd_from_gpr, mmx_load32),
	W(NP, 0x6e, 1, SOFT_INSN_MMX, mmx_movq_from_gpr, mmx_load64),
	W(NP, 0x7e, 0, SOFT_INSN_MMX, mmx_movd_to_gpr, mmx_store32),
	W(NP, 0x7e, 1, SOFT_INSN_MMX, mmx_movq_to_gpr, mmx_store64),
	M(NP, 0xd7, mmx_pmovmskb, NULL), M(NP, 0xf7, maskmovq, NULL),
	M(F2, 0xd6, movdq2q, NULL), M(F3, 0xd6, movq2dq, NULL), M(NP, 0x77, emms, emms),
};

const struct soft_sse_table soft_sse_moves = { rows, sizeof rows / sizeof rows[0] };
