/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FXSAVE, FXRSTOR, LDMXCSR, STMXCSR and the image that they share with the VM's saved state.
 *
 * Parses guest data: the image (reserved MXCSR bits are refused, every other pattern is a legal state).
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_fxsave.h"

#include <string.h>

#include "hvcore/engine_soft/soft_fp.h"
#include "hvcore/engine_soft/soft_sse.h"

#define MXCSR_MASK_AT 28u
#define ST_AT	      32u
#define XMM_AT	      160u
#define SW_TOP	      0x3800u
#define SW_SUMMARY    0x8080u

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

void soft_fxsave_image(const struct soft_cpu *cpu, uint8_t *image, bool wide)
{
	const struct soft_x87 *x = &cpu->x87;

	memset(image, 0, SOFT_FXSAVE_USED);
	put16(image, x->cw);
	put16(image + 2, (uint16_t)((x->sw & ~SW_TOP) | x->top << 11));
	image[4] = x->valid;
	put16(image + 6, x->fop);
	if (wide) {
		put64(image + 8, x->fip);
		put64(image + 16, x->fdp);
	} else {
		put32(image + 8, (uint32_t)x->fip);
		put32(image + 16, (uint32_t)x->fdp);
	}
	put32(image + 24, cpu->mxcsr);
	put32(image + MXCSR_MASK_AT, SOFT_MXCSR_VALID);
	for (unsigned int i = 0; i < 8; i++) {
		put64(image + ST_AT + i * 16, x->r[(x->top + i) & 7].mant);
		put16(image + ST_AT + i * 16 + 8, x->r[(x->top + i) & 7].exp_sign);
	}
	memcpy(image + XMM_AT, cpu->xmm, sizeof cpu->xmm);
}

bool soft_fxrstor_image(struct soft_cpu *cpu, const uint8_t *image, bool wide)
{
	struct soft_x87 *x = &cpu->x87;
	uint32_t mxcsr = get32(image + 24);

	if (mxcsr & ~SOFT_MXCSR_VALID)
		return false;
	x->cw = (get16(image) & 0x1f7f) | 0x40;
	x->sw = get16(image + 2) & (uint16_t)~SW_TOP;
	x->top = get16(image + 2) >> 11 & 7;
	x->valid = image[4];
	x->fop = get16(image + 6) & 0x7ff;
	x->fip = wide ? get64(image + 8) : get32(image + 8);
	x->fdp = wide ? get64(image + 16) : get32(image + 16);
	for (unsigned int i = 0; i < 8; i++) {
		x->r[(x->top + i) & 7].mant = get64(image + ST_AT + i * 16);
		x->r[(x->top + i) & 7].exp_sign = get16(image + ST_AT + i * 16 + 8);
	}
	soft_x87_update_summary(cpu);
	cpu->mxcsr = mxcsr;
	cpu->fp_live = false;
	memcpy(cpu->xmm, image + XMM_AT, sizeof cpu->xmm);
	return true;
}

void soft_x87_update_summary(struct soft_cpu *cpu)
{
	struct soft_x87 *x = &cpu->x87;

	x->sw &= (uint16_t)~SW_SUMMARY;
	if (x->sw & ~x->cw & 0x3f)
		x->sw |= SW_SUMMARY;
}

void soft_x87_init(struct soft_cpu *cpu)
{
	struct soft_x87 *x = &cpu->x87;

	x->cw = 0x37f;
	x->sw = 0;
	x->top = 0;
	x->valid = 0;
	x->fop = 0;
	x->fip = 0;
	x->fdp = 0;
}

void soft_fpu_reset(struct soft_cpu *cpu)
{
	memset(&cpu->x87, 0, sizeof cpu->x87);
	memset(cpu->xmm, 0, sizeof cpu->xmm);
	soft_x87_init(cpu);
	cpu->mxcsr = SOFT_MXCSR_DEFAULT;
	cpu->fp_live = false;
}

/* --- instructions ------------------------------------------------------------------ */

#define HANDLER(name) static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

static uint64_t aligned_ea(struct soft_cpu *cpu, const struct soft_op *op)
{
	uint64_t la = soft_ea(cpu, op);

	if (la & 15)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	return la;
}

static void fxsave(struct soft_cpu *cpu, const struct soft_op *op, bool wide)
{
	uint8_t image[SOFT_FXSAVE_USED];
	uint64_t la = aligned_ea(cpu, op);

	soft_fp_sync(cpu);
	soft_fxsave_image(cpu, image, wide);
	soft_st_bytes(cpu, op, la, image, sizeof image);
}

static void fxrstor(struct soft_cpu *cpu, const struct soft_op *op, bool wide)
{
	uint8_t image[SOFT_FXSAVE_BYTES];

	soft_ld_bytes(cpu, op, aligned_ea(cpu, op), image, sizeof image);
	if (!soft_fxrstor_image(cpu, image, wide))
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

HANDLER(fxsave32)
{
	fxsave(cpu, op, false);
	SOFT_NEXT(cpu, op);
}

HANDLER(fxsave64)
{
	fxsave(cpu, op, true);
	SOFT_NEXT(cpu, op);
}

HANDLER(fxrstor32)
{
	fxrstor(cpu, op, false);
	SOFT_NEXT(cpu, op);
}

HANDLER(fxrstor64)
{
	fxrstor(cpu, op, true);
	SOFT_NEXT(cpu, op);
}

HANDLER(ldmxcsr)
{
	uint32_t mxcsr = soft_ld32(cpu, op, soft_ea(cpu, op));

	if (mxcsr & ~SOFT_MXCSR_VALID)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	cpu->mxcsr = mxcsr;
	cpu->fp_live = false;
	SOFT_NEXT(cpu, op);
}

HANDLER(stmxcsr)
{
	soft_fp_sync(cpu);
	soft_st32(cpu, op, soft_ea(cpu, op), cpu->mxcsr);
	SOFT_NEXT(cpu, op);
}

#define AE(x, w, k, m) SOFT_ROW_(SOFT_MAP_0F, SOFT_PFX_NONE, 0xae, x, w, k, 0, NULL, m, NULL, NULL)

/* FXSAVE and FXRSTOR are of kind x87: CR0.EM gives #NM, and they work without CR4.OSFXSR. */
static const struct soft_sse_row rows[] = {
	AE(0, 0, SOFT_INSN_X87, fxsave32), AE(0, 1, SOFT_INSN_X87, fxsave64),
	AE(1, 0, SOFT_INSN_X87, fxrstor32), AE(1, 1, SOFT_INSN_X87, fxrstor64),
	AE(2, SOFT_SSE_ANY, SOFT_INSN_SSE, ldmxcsr), AE(3, SOFT_SSE_ANY, SOFT_INSN_SSE, stmxcsr),
};

const struct soft_sse_table soft_sse_state = { rows, sizeof rows / sizeof rows[0] };
