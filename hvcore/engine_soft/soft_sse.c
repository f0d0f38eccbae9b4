/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector instructions: finding the row of an opcode, and the generic handlers that bring operands to kernels.
 *
 * Parses guest data: opcode bytes, through struct soft_decode. Read soft_sse.h first.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_sse.h"

#include "hvcore/engine_soft/soft_fp.h"

static const struct soft_sse_table *const tables[] = {
	&soft_sse_moves, &soft_sse_ints, &soft_sse_shuffles, &soft_sse_floats, &soft_sse_fours, &soft_sse_state,
};

/* --- generic handlers ---------------------------------------------------------- */

const struct soft_op *soft_sse_r(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = cpu->xmm[op->rm];

	soft_sse_kernel(op)(&cpu->xmm[op->reg], &s, op->aux);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_m128(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_ld128_a(cpu, op, soft_ea(cpu, op));

	soft_sse_kernel(op)(&cpu->xmm[op->reg], &s, op->aux);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_m64(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_xmm_of(soft_ld64(cpu, op, soft_ea(cpu, op)), 0);

	soft_sse_kernel(op)(&cpu->xmm[op->reg], &s, op->aux);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_m32(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_xmm_of(soft_ld32(cpu, op, soft_ea(cpu, op)), 0);

	soft_sse_kernel(op)(&cpu->xmm[op->reg], &s, op->aux);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_m16(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_xmm_of(soft_ld16(cpu, op, soft_ea(cpu, op)), 0);

	soft_sse_kernel(op)(&cpu->xmm[op->reg], &s, op->aux);
	SOFT_NEXT(cpu, op);
}

/*
 * A masked underflow is reported only if the result is also inexact, an unmasked one always. The host runs with all
 * masked; so for a guest that unmasks it the kernel runs once more and flushes to zero, which reports every tiny result.
 */
static uint32_t tiny(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)
{
	union soft_xmm d = cpu->xmm[op->reg];
	uint32_t flags;

	soft_fp_load_host((cpu->mxcsr | SOFT_MXCSR_MASKS | SOFT_MXCSR_FTZ) & ~SOFT_MXCSR_FLAGS);
	soft_sse_kernel(op)(&d, s, op->aux);
	flags = soft_fp_store_host() & SOFT_MXCSR_UNDERFLOW;
	return flags; /* soft_fp_begin() comes next and loads its own */
}

/* The destination is written only when no unmasked exception came up; soft_fp_end() does not return then. */
static void fp(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)
{
	union soft_xmm d = cpu->xmm[op->reg];
	uint32_t flags = 0;

	if (soft_unlikely(!(cpu->mxcsr & SOFT_MXCSR_UNDERFLOW << 7)))
		flags = tiny(cpu, op, s);
	soft_fp_begin(cpu);
	soft_sse_kernel(op)(&d, s, op->aux);
	soft_fp_end(cpu, op, flags);
	cpu->xmm[op->reg] = d;
}

const struct soft_op *soft_sse_fp_r(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = cpu->xmm[op->rm];

	fp(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_fp_m128(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_ld128_a(cpu, op, soft_ea(cpu, op));

	fp(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_fp_m64(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_xmm_of(soft_ld64(cpu, op, soft_ea(cpu, op)), 0);

	fp(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_sse_fp_m32(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_xmm_of(soft_ld32(cpu, op, soft_ea(cpu, op)), 0);

	fp(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

/* --- MMX: eight registers, REX does not count ------------------------------------------------- */

static uint64_t mmx_load(struct soft_cpu *cpu, const struct soft_op *op, bool mem)
{
	uint64_t s;

	soft_mmx_check(cpu, op);
	s = mem ? soft_ld64(cpu, op, soft_ea(cpu, op)) : cpu->x87.r[op->rm & 7].mant;
	soft_mmx_enter(cpu, op);
	return s;
}

static void mmx_low(struct soft_cpu *cpu, const struct soft_op *op, uint64_t source)
{
	union soft_xmm d = soft_xmm_of(cpu->x87.r[op->reg & 7].mant, 0);
	const union soft_xmm s = soft_xmm_of(source, 0);

	soft_sse_kernel(op)(&d, &s, op->aux);
	soft_mmx_set(cpu, op->reg & 7, d.u64[0]);
}

static void mmx_high(struct soft_cpu *cpu, const struct soft_op *op, uint64_t source)
{
	union soft_xmm d = soft_xmm_of(cpu->x87.r[op->reg & 7].mant, 0);
	const union soft_xmm s = soft_xmm_of(source, 0);

	soft_sse_kernel(op)(&d, &s, op->aux);
	soft_mmx_set(cpu, op->reg & 7, d.u64[1]);
}

static void mmx_pack(struct soft_cpu *cpu, const struct soft_op *op, uint64_t source)
{
	union soft_xmm d = { .u64 = { cpu->x87.r[op->reg & 7].mant, source } };
	const union soft_xmm s = d;

	soft_sse_kernel(op)(&d, &s, op->aux);
	soft_mmx_set(cpu, op->reg & 7, d.u64[0]);
}

#define MMX_HANDLERS(name)                                                                                            \
	static const struct soft_op *name##_r(struct soft_cpu *cpu, const struct soft_op *op)                         \
	{                                                                                                             \
		name(cpu, op, mmx_load(cpu, op, false));                                                              \
		SOFT_NEXT(cpu, op);                                                                                   \
	}                                                                                                             \
	static const struct soft_op *name##_m(struct soft_cpu *cpu, const struct soft_op *op)                         \
	{                                                                                                             \
		name(cpu, op, mmx_load(cpu, op, true));                                                               \
		SOFT_NEXT(cpu, op);                                                                                   \
	}
MMX_HANDLERS(mmx_high)
MMX_HANDLERS(mmx_pack)

const struct soft_op *soft_mmx_low_r(struct soft_cpu *cpu, const struct soft_op *op)
{
	mmx_low(cpu, op, mmx_load(cpu, op, false));
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_mmx_low_m(struct soft_cpu *cpu, const struct soft_op *op)
{
	mmx_low(cpu, op, mmx_load(cpu, op, true));
	SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_mmx_low_m32(struct soft_cpu *cpu, const struct soft_op *op)
{
	uint32_t s;

	soft_mmx_check(cpu, op);
	s = soft_ld32(cpu, op, soft_ea(cpu, op));
	soft_mmx_enter(cpu, op);
	mmx_low(cpu, op, s);
	SOFT_NEXT(cpu, op);
}

/* --- decoding ---------------------------------------------------------------------- */

static bool matches(const struct soft_sse_row *row, const struct soft_decode *d)
{
	if (row->opcode != d->opcode || row->map != d->map || !(d->is_mem ? row->mem : row->reg))
		return false;
	if (row->pfx != d->pfx && !(d->pfx == SOFT_PFX_NONE && row->pfx == SOFT_PFX_66 && (row->flags & SOFT_SSE_MMX)))
		return false;
	if (row->ext != SOFT_SSE_ANY && row->ext != d->reg)
		return false;
	return row->w == SOFT_SSE_ANY || row->w == d->rex_w;
}

static const struct soft_sse_row *find(const struct soft_decode *d)
{
	for (unsigned int t = 0; t < sizeof tables / sizeof tables[0]; t++)
		for (unsigned int i = 0; i < tables[t]->count; i++)
			if (matches(&tables[t]->rows[i], d))
				return &tables[t]->rows[i];
	return NULL;
}

/* The row is that of the 128-bit form. */
static int decode_mmx(const struct soft_sse_row *row, const struct soft_decode *d, struct soft_op *op)
{
	if (row->flags & SOFT_SSE_MMX_HIGH)
		op->fn = d->is_mem ? mmx_high_m : mmx_high_r;
	else if (row->flags & SOFT_SSE_MMX_PACK)
		op->fn = d->is_mem ? mmx_pack_m : mmx_pack_r;
	else
		op->fn = d->is_mem ? soft_mmx_low_m : soft_mmx_low_r;
	return SOFT_INSN_MMX;
}

static void address_rdi(const struct soft_decode *d, struct soft_op *op)
{
	op->base = SOFT_RDI;
	op->index = SOFT_REG_ZERO;
	op->scale = 0;
	op->disp = 0;
	op->seg = d->seg;
	if (d->addrsize == 4)
		op->flags |= SOFT_OP_ADDR32;
}

int soft_sse_decode(struct soft_decode *d, struct soft_op *op)
{
	const struct soft_sse_row *row = d->lock ? NULL : find(d);

	if (!d->lock && d->map == SOFT_MAP_0F38 && d->pfx == SOFT_PFX_F2 && (d->opcode & 0xfe) == 0xf0)
		return soft_crc32_decode(d, op);
	if (!d->lock && d->map == SOFT_MAP_0F3A && d->pfx == SOFT_PFX_66 && (d->opcode & 0xfc) == 0x60)
		return soft_sse_string_decode(d, op);
	if (!row)
		return SOFT_INSN_UD;
	op->fn = d->is_mem ? row->mem : row->reg;
	op->imm = row->scalar ? (uint64_t)(uintptr_t)row->scalar : (uint64_t)(uintptr_t)row->kernel;
	if (row->opcode == 0xf7 && row->map == SOFT_MAP_0F) /* maskmov: the operand is [rdi] */
		address_rdi(d, op);
	op->aux = row->flags & SOFT_SSE_IMM8 ? soft_decode_imm8(d) : 0;
	if (row->pfx == SOFT_PFX_66 && d->pfx == SOFT_PFX_NONE)
		return decode_mmx(row, d, op);
	return row->kind;
}
