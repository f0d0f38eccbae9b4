/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Float vector arithmetic: SSE, SSE2 and SSE3 instructions that round, compare or convert under MXCSR.
 *
 * Which of two NaNs survives, what flags a conversion sets, how a denormal is treated: all of that is the business of
 * the host's own instruction, run between soft_fp_begin() and soft_fp_end(). So each kernel is that one instruction
 * (x86-64 hosts; soft_fp.h says what another host needs). Read soft_sse.h first.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_sse.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_fp.h"

typedef float host_xmm __attribute__((vector_size(16), may_alias));

static inline host_xmm host_load(const union soft_xmm *v)
{
	return *(const host_xmm *)(const void *)v;
}

static inline void host_store(union soft_xmm *v, host_xmm x)
{
	*(host_xmm *)(void *)v = x;
}

/* Two operands: the destination is also the first source. */
#define HOST2(name)                                                                                                   \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		host_xmm x = host_load(d), y = host_load(s);                                                          \
                                                                                                                      \
		(void)imm;                                                                                            \
		__asm__ volatile(#name " %1, %0" : "+x"(x) : "x"(y));                                                 \
		host_store(d, x);                                                                                     \
	}

/* All four widths of an operation. */
#define HOST2_ALL(name) HOST2(name##ps) HOST2(name##pd) HOST2(name##ss) HOST2(name##sd)

HOST2_ALL(add)
HOST2_ALL(sub)
HOST2_ALL(mul)
HOST2_ALL(div)
HOST2_ALL(min)
HOST2_ALL(max)
HOST2_ALL(sqrt)
HOST2(rcpps)
HOST2(rcpss)
HOST2(rsqrtps)
HOST2(rsqrtss)
HOST2(haddps)
HOST2(haddpd)
HOST2(hsubps)
HOST2(hsubpd)
HOST2(addsubps)
HOST2(addsubpd)
HOST2(cvtps2pd)
HOST2(cvtpd2ps)
HOST2(cvtss2sd)
HOST2(cvtsd2ss)
HOST2(cvtdq2ps)
HOST2(cvtps2dq)
HOST2(cvttps2dq)
HOST2(cvtdq2pd)
HOST2(cvtpd2dq)
HOST2(cvttpd2dq)

/* An immediate that is part of the host's instruction. */
#define HOST_IMM_CASE(name, n)                                                                                        \
	case n:                                                                                                       \
		__asm__ volatile(#name " %2, %1, %0" : "+x"(x) : "x"(y), "i"(n));                                     \
		break;
#define HOST_IMM_4(name, n)                                                                                           \
	HOST_IMM_CASE(name, n)                                                                                        \
	HOST_IMM_CASE(name, (n) + 1)                                                                                  \
	HOST_IMM_CASE(name, (n) + 2)                                                                                  \
	HOST_IMM_CASE(name, (n) + 3)

/* Compare: eight predicates. */
#define HOST_CMP(name)                                                                                                \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		host_xmm x = host_load(d), y = host_load(s);                                                          \
                                                                                                                      \
		switch (imm & 7) {                                                                                    \
			HOST_IMM_4(name, 0)                                                                           \
			HOST_IMM_4(name, 4)                                                                           \
		}                                                                                                     \
		host_store(d, x);                                                                                     \
	}

HOST_CMP(cmpps)
HOST_CMP(cmppd)
HOST_CMP(cmpss)
HOST_CMP(cmpsd)

/* SSE4.1: rounding mode and precision mask. */
#define HOST_ROUND(name)                                                                                              \
	static void name(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                                \
	{                                                                                                             \
		host_xmm x = host_load(d), y = host_load(s);                                                          \
                                                                                                                      \
		switch (imm & 15) {                                                                                   \
			HOST_IMM_4(name, 0)                                                                           \
			HOST_IMM_4(name, 4)                                                                           \
			HOST_IMM_4(name, 8)                                                                           \
			HOST_IMM_4(name, 12)                                                                          \
		}                                                                                                     \
		host_store(d, x);                                                                                     \
	}

HOST_ROUND(roundps)
HOST_ROUND(roundpd)
HOST_ROUND(roundss)
HOST_ROUND(roundsd)

/* Dot products: lanes that are not chosen do not take part, not even with their exceptions. */
static void dpps(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	union soft_xmm product = *d, sum;
	union soft_xmm other = *s;

	for (unsigned int i = 0; i < 4; i++)
		if (!(imm >> (4 + i) & 1))
			product.u32[i] = other.u32[i] = 0;
	mulps(&product, &other, 0);
	for (unsigned int i = 0; i < 4; i++)
		if (!(imm >> (4 + i) & 1))
			product.u32[i] = 0;
	haddps(&product, &product, 0);
	sum = product;
	haddps(&sum, &product, 0);
	for (unsigned int i = 0; i < 4; i++)
		d->u32[i] = imm >> i & 1 ? sum.u32[0] : 0;
}

static void dppd(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)
{
	union soft_xmm product = *d, other = *s;

	for (unsigned int i = 0; i < 2; i++)
		if (!(imm >> (4 + i) & 1))
			product.u64[i] = other.u64[i] = 0;
	mulpd(&product, &other, 0);
	haddpd(&product, &product, 0);
	for (unsigned int i = 0; i < 2; i++)
		d->u64[i] = imm >> i & 1 ? product.u64[0] : 0;
}

/* Compare into flags: ZF, PF, CF as RFLAGS bits; the other three are cleared. */
#define HOST_COMI(name)                                                                                               \
	static uint64_t name(const union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                      \
	{                                                                                                             \
		bool c, z, p;                                                                                         \
                                                                                                                      \
		(void)imm;                                                                                            \
		__asm__ volatile(#name " %4, %3"                                                                      \
				 : "=@ccc"(c), "=@ccz"(z), "=@ccp"(p)                                                 \
				 : "x"(host_load(d)), "x"(host_load(s)));                                             \
		return (c ? SOFT_CF : 0) | (z ? SOFT_ZF : 0) | (p ? SOFT_PF : 0);                                     \
	}

HOST_COMI(comiss)
HOST_COMI(comisd)
HOST_COMI(ucomiss)
HOST_COMI(ucomisd)

/* To a general register of 32 or 64 bits. */
#define HOST_TO_GPR(name)                                                                                             \
	static uint64_t name##_32(const union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                 \
	{                                                                                                             \
		uint32_t r;                                                                                           \
                                                                                                                      \
		(void)d;                                                                                              \
		(void)imm;                                                                                            \
		__asm__ volatile(#name " %1, %0" : "=r"(r) : "x"(host_load(s)));                                      \
		return r;                                                                                             \
	}                                                                                                             \
	static uint64_t name##_64(const union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                 \
	{                                                                                                             \
		uint64_t r;                                                                                           \
                                                                                                                      \
		(void)d;                                                                                              \
		(void)imm;                                                                                            \
		__asm__ volatile(#name " %1, %0" : "=r"(r) : "x"(host_load(s)));                                      \
		return r;                                                                                             \
	}

HOST_TO_GPR(cvtss2si)
HOST_TO_GPR(cvtsd2si)
HOST_TO_GPR(cvttss2si)
HOST_TO_GPR(cvttsd2si)

/* From a general register (or memory); the source vector carries it in its low half. */
#define HOST_FROM_GPR(name)                                                                                           \
	static void name##_32(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                           \
	{                                                                                                             \
		host_xmm x = host_load(d);                                                                            \
                                                                                                                      \
		(void)imm;                                                                                            \
		__asm__ volatile(#name "l %1, %0" : "+x"(x) : "r"(s->u32[0]));                                        \
		host_store(d, x);                                                                                     \
	}                                                                                                             \
	static void name##_64(union soft_xmm *d, const union soft_xmm *s, unsigned int imm)                           \
	{                                                                                                             \
		host_xmm x = host_load(d);                                                                            \
                                                                                                                      \
		(void)imm;                                                                                            \
		__asm__ volatile(#name "q %1, %0" : "+x"(x) : "r"(s->u64[0]));                                        \
		host_store(d, x);                                                                                     \
	}

HOST_FROM_GPR(cvtsi2ss)
HOST_FROM_GPR(cvtsi2sd)

/* --- handlers whose operands are not two vectors -------------------------------------- */

#define HANDLER(name) static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

static uint64_t scalar(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)
{
	uint64_t r;

	soft_fp_begin(cpu);
	r = soft_sse_scalar(op)(&cpu->xmm[op->reg & 15], s, 0);
	soft_fp_end(cpu, op, 0);
	return r;
}

HANDLER(to_gpr_r)
{
	const union soft_xmm s = cpu->xmm[op->rm];

	cpu->gpr[op->reg] = scalar(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

HANDLER(to_gpr_m32)
{
	const union soft_xmm s = soft_xmm_of(soft_ld32(cpu, op, soft_ea(cpu, op)), 0);

	cpu->gpr[op->reg] = scalar(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

HANDLER(to_gpr_m64)
{
	const union soft_xmm s = soft_xmm_of(soft_ld64(cpu, op, soft_ea(cpu, op)), 0);

	cpu->gpr[op->reg] = scalar(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

HANDLER(comi_r)
{
	const union soft_xmm s = cpu->xmm[op->rm];

	soft_flags_load(&cpu->flags, (uint32_t)scalar(cpu, op, &s));
	SOFT_NEXT(cpu, op);
}

HANDLER(comi_m32)
{
	const union soft_xmm s = soft_xmm_of(soft_ld32(cpu, op, soft_ea(cpu, op)), 0);

	soft_flags_load(&cpu->flags, (uint32_t)scalar(cpu, op, &s));
	SOFT_NEXT(cpu, op);
}

HANDLER(comi_m64)
{
	const union soft_xmm s = soft_xmm_of(soft_ld64(cpu, op, soft_ea(cpu, op)), 0);

	soft_flags_load(&cpu->flags, (uint32_t)scalar(cpu, op, &s));
	SOFT_NEXT(cpu, op);
}

HANDLER(from_gpr)
{
	const union soft_xmm s = soft_xmm_of(cpu->gpr[op->rm], 0);
	union soft_xmm d = cpu->xmm[op->reg];

	soft_fp_begin(cpu);
	soft_sse_kernel(op)(&d, &s, 0);
	soft_fp_end(cpu, op, 0);
	cpu->xmm[op->reg] = d;
	SOFT_NEXT(cpu, op);
}

/* MMX integers to and from float vectors: two lanes, the low halves. */
static void mmx_to_xmm(struct soft_cpu *cpu, const struct soft_op *op, uint64_t source, bool whole)
{
	const union soft_xmm s = soft_xmm_of(source, 0);
	union soft_xmm d = { .u64 = { 0 } };

	soft_fp_begin(cpu);
	soft_sse_kernel(op)(&d, &s, 0);
	soft_fp_end(cpu, op, 0);
	if (whole)
		cpu->xmm[op->reg] = d;
	else
		cpu->xmm[op->reg].u64[0] = d.u64[0];
}

HANDLER(cvtpi2ps_r)
{
	soft_mmx_enter(cpu, op);
	mmx_to_xmm(cpu, op, cpu->x87.r[op->rm & 7].mant, false);
	SOFT_NEXT(cpu, op);
}

HANDLER(cvtpi2pd_r)
{
	soft_mmx_enter(cpu, op);
	mmx_to_xmm(cpu, op, cpu->x87.r[op->rm & 7].mant, true);
	SOFT_NEXT(cpu, op);
}

/* From memory they do not touch the MMX state. */
HANDLER(cvtpi2ps_m)
{
	mmx_to_xmm(cpu, op, soft_ld64(cpu, op, soft_ea(cpu, op)), false);
	SOFT_NEXT(cpu, op);
}

HANDLER(cvtpi2pd_m)
{
	mmx_to_xmm(cpu, op, soft_ld64(cpu, op, soft_ea(cpu, op)), true);
	SOFT_NEXT(cpu, op);
}

static void xmm_to_mmx(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)
{
	union soft_xmm d = { .u64 = { 0 } };

	soft_mmx_enter(cpu, op);
	soft_fp_begin(cpu);
	soft_sse_kernel(op)(&d, s, 0);
	soft_fp_end(cpu, op, 0);
	soft_mmx_set(cpu, op->reg & 7, d.u64[0]);
}

HANDLER(cvtps2pi_r)
{
	const union soft_xmm s = soft_xmm_of(cpu->xmm[op->rm].u64[0], 0);

	soft_mmx_check(cpu, op);
	xmm_to_mmx(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

HANDLER(cvtps2pi_m)
{
	union soft_xmm s = { .u64 = { 0 } };

	soft_mmx_check(cpu, op);
	s.u64[0] = soft_ld64(cpu, op, soft_ea(cpu, op));
	xmm_to_mmx(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

HANDLER(cvtpd2pi_r)
{
	const union soft_xmm s = cpu->xmm[op->rm];

	soft_mmx_check(cpu, op);
	xmm_to_mmx(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

HANDLER(cvtpd2pi_m)
{
	union soft_xmm s;

	soft_mmx_check(cpu, op);
	s = soft_ld128_a(cpu, op, soft_ea(cpu, op));
	xmm_to_mmx(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

/* --- the table --------------------------------------------------------------------------- */

#define NP SOFT_PFX_NONE
#define P66 SOFT_PFX_66
#define F3 SOFT_PFX_F3
#define F2 SOFT_PFX_F2
#define FP(p, o, m, f, kern)                                                                                          \
	SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, f, soft_sse_fp_r, m, kern, NULL)
#define FP3A(o, m, kern)                                                                                              \
	SOFT_ROW_(SOFT_MAP_0F3A, P66, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, SOFT_SSE_IMM8, soft_sse_fp_r, m,   \
		  kern, NULL)
#define FP_ALL(o, kern)                                                                                               \
	FP(NP, o, soft_sse_fp_m128, 0, kern##ps), FP(P66, o, soft_sse_fp_m128, 0, kern##pd),                          \
	FP(F3, o, soft_sse_fp_m32, 0, kern##ss), FP(F2, o, soft_sse_fp_m64, 0, kern##sd)
#define COMI(p, o, m, sc)                                                                                             \
	SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, 0, comi_r, m, NULL, sc)
#define TO_GPR(p, o, m, sc)                                                                                           \
	SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, 0, SOFT_INSN_SSE, 0, to_gpr_r, m, NULL, sc##_32),                  \
	SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, 1, SOFT_INSN_SSE, 0, to_gpr_r, m, NULL, sc##_64)
#define FROM_GPR(p, kern)                                                                                             \
	SOFT_ROW_(SOFT_MAP_0F, p, 0x2a, SOFT_SSE_ANY, 0, SOFT_INSN_SSE, 0, from_gpr, soft_sse_fp_m32, kern##_32, NULL), \
	SOFT_ROW_(SOFT_MAP_0F, p, 0x2a, SOFT_SSE_ANY, 1, SOFT_INSN_SSE, 0, from_gpr, soft_sse_fp_m64, kern##_64, NULL)
#define MMX(p, o, r, m, kern)                                                                                         \
	SOFT_ROW_(SOFT_MAP_0F, p, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, 0, r, m, kern, NULL)

static const struct soft_sse_row rows[] = {
	FP_ALL(0x51, sqrt), FP_ALL(0x58, add), FP_ALL(0x59, mul), FP_ALL(0x5c, sub), FP_ALL(0x5d, min),
	FP_ALL(0x5e, div), FP_ALL(0x5f, max),
	FP(NP, 0x52, soft_sse_fp_m128, 0, rsqrtps), FP(F3, 0x52, soft_sse_fp_m32, 0, rsqrtss),
	FP(NP, 0x53, soft_sse_fp_m128, 0, rcpps), FP(F3, 0x53, soft_sse_fp_m32, 0, rcpss),
	FP(NP, 0x5a, soft_sse_fp_m64, 0, cvtps2pd), FP(P66, 0x5a, soft_sse_fp_m128, 0, cvtpd2ps),
	FP(F3, 0x5a, soft_sse_fp_m32, 0, cvtss2sd), FP(F2, 0x5a, soft_sse_fp_m64, 0, cvtsd2ss),
	FP(NP, 0x5b, soft_sse_fp_m128, 0, cvtdq2ps), FP(P66, 0x5b, soft_sse_fp_m128, 0, cvtps2dq),
	FP(F3, 0x5b, soft_sse_fp_m128, 0, cvttps2dq),
	FP(P66, 0xe6, soft_sse_fp_m128, 0, cvttpd2dq), FP(F2, 0xe6, soft_sse_fp_m128, 0, cvtpd2dq),
	FP(F3, 0xe6, soft_sse_fp_m64, 0, cvtdq2pd),
	FP(P66, 0x7c, soft_sse_fp_m128, 0, haddpd), FP(F2, 0x7c, soft_sse_fp_m128, 0, haddps),
	FP(P66, 0x7d, soft_sse_fp_m128, 0, hsubpd), FP(F2, 0x7d, soft_sse_fp_m128, 0, hsubps),
	FP(P66, 0xd0, soft_sse_fp_m128, 0, addsubpd), FP(F2, 0xd0, soft_sse_fp_m128, 0, addsubps),
	FP(NP, 0xc2, soft_sse_fp_m128, SOFT_SSE_IMM8, cmpps), FP(P66, 0xc2, soft_sse_fp_m128, SOFT_SSE_IMM8, cmppd),
	FP(F3, 0xc2, soft_sse_fp_m32, SOFT_SSE_IMM8, cmpss), FP(F2, 0xc2, soft_sse_fp_m64, SOFT_SSE_IMM8, cmpsd),
	FP3A(0x08, soft_sse_fp_m128, roundps), FP3A(0x09, soft_sse_fp_m128, roundpd), FP3A(0x0a, soft_sse_fp_m32, roundss),
	FP3A(0x0b, soft_sse_fp_m64, roundsd), FP3A(0x40, soft_sse_fp_m128, dpps), FP3A(0x41, soft_sse_fp_m128, dppd),
	COMI(NP, 0x2e, comi_m32, ucomiss), COMI(P66, 0x2e, comi_m64, ucomisd),
	COMI(NP, 0x2f, comi_m32, comiss), COMI(P66, 0x2f, comi_m64, comisd),
	TO_GPR(F3, 0x2c, to_gpr_m32, cvttss2si), TO_GPR(F2, 0x2c, to_gpr_m64, cvttsd2si),
	TO_GPR(F3, 0x2d, to_gpr_m32, cvtss2si), TO_GPR(F2, 0x2d, to_gpr_m64, cvtsd2si),
	FROM_GPR(F3, cvtsi2ss), FROM_GPR(F2, cvtsi2sd),
	MMX(NP, 0x2a, cvtpi2ps_r, cvtpi2ps_m, cvtdq2ps), MMX(P66, 0x2a, cvtpi2pd_r, cvtpi2pd_m, cvtdq2pd),
	MMX(NP, 0x2c, cvtps2pi_r, cvtps2pi_m, cvttps2dq), MMX(P66, 0x2c, cvtpd2pi_r, cvtpd2pi_m, cvttpd2dq),
	MMX(NP, 0x2d, cvtps2pi_r, cvtps2pi_m, cvtps2dq), MMX(P66, 0x2d, cvtpd2pi_r, cvtpd2pi_m, cvtpd2dq),
};

const struct soft_sse_table soft_sse_floats = { rows, sizeof rows / sizeof rows[0] };
