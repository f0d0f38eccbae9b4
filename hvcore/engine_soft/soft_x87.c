/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87: decoding, operands, exceptions. The arithmetic itself is soft_x87_host.c's, the environment instructions
 * (FLDENV, FNSAVE, ...) are soft_x87_env.c's.
 *
 * An instruction runs on a copy of the state, which becomes the state when nothing can fault any more. Parses guest
 * data: opcode bytes.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_x87.h"

#include <string.h>

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_fp.h"
#include "hvcore/engine_soft/soft_fxsave.h"
#include "hvcore/engine_soft/soft_mem.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_x87_host.h"

#define HANDLER(name) static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

#define SW_SUMMARY   0x80u
#define SW_PRECISION 0x20u
#define SW_FLAGS     0x3fu

struct image {
	uint8_t bytes[512] __attribute__((aligned(16)));
};

/* The x87 part of the state as the host loads it; the vector part is neutral. */
static void take_out(struct soft_cpu *cpu, struct image *image)
{
	soft_fp_sync(cpu); /* the host's MXCSR is lost */
	soft_fxsave_image(cpu, image->bytes, true);
	memset(image->bytes + 416, 0, 96);
	memset(image->bytes + 8, 0, 16); /* the guest's instruction and data pointers stay with us */
	memcpy(image->bytes + 24, &(uint32_t){ 0x1f80 }, 4);
}

static void put_back(struct soft_cpu *cpu, const struct soft_op *op, const struct image *image)
{
	struct soft_x87 *x = &cpu->x87;
	uint16_t sw;

	memcpy(&sw, image->bytes + 2, 2);
	x->sw = sw & (uint16_t)~0x3800;
	x->top = sw >> 11 & 7;
	x->valid = image->bytes[4];
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(&x->r[(x->top + i) & 7].mant, image->bytes + 32 + i * 16, 8);
		memcpy(&x->r[(x->top + i) & 7].exp_sign, image->bytes + 32 + i * 16 + 8, 2);
	}
	x->fop = (uint16_t)((op->aux & 0xff) << 8 | (op->imm & 0xff)) & 0x7ff;
	x->fip = soft_rip(cpu, op);
}

void soft_x87_check(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(cpu->x87.sw & SW_SUMMARY))
		soft_raise(cpu, op, SOFT_MF);
}

/* op->aux: escape 0-7; op->imm: the ModRM byte, or for memory forms its reg field */

HANDLER(run_reg)
{
	struct image image;

	soft_x87_check(cpu, op);
	take_out(cpu, &image);
	soft_x87_host_reg(op->aux, (unsigned int)op->imm, &image, 2);
	put_back(cpu, op, &image);
	SOFT_NEXT(cpu, op);
}

/* FCMOVcc reads the flags. */
HANDLER(run_cmov)
{
	struct image image;

	soft_x87_check(cpu, op);
	take_out(cpu, &image);
	soft_x87_host_reg(op->aux, (unsigned int)op->imm, &image, soft_flags_arith(&cpu->flags) | 2);
	put_back(cpu, op, &image);
	SOFT_NEXT(cpu, op);
}

/* FCOMI and its kin write them: ZF, PF, CF; the others are cleared. */
HANDLER(run_comi)
{
	struct image image;
	uint64_t flags;

	soft_x87_check(cpu, op);
	take_out(cpu, &image);
	flags = soft_x87_host_reg(op->aux, (unsigned int)op->imm, &image, soft_flags_arith(&cpu->flags) | 2);
	put_back(cpu, op, &image);
	soft_flags_load(&cpu->flags, (uint32_t)flags & SOFT_ARITH);
	SOFT_NEXT(cpu, op);
}

static void run_load(struct soft_cpu *cpu, const struct soft_op *op, unsigned int bytes)
{
	uint8_t operand[16] = { 0 };
	struct image image;
	uint64_t la = soft_ea(cpu, op);

	soft_x87_check(cpu, op);
	soft_ld_bytes(cpu, op, la, operand, bytes);
	take_out(cpu, &image);
	soft_x87_host_mem(op->aux, (unsigned int)op->imm, &image, operand);
	put_back(cpu, op, &image);
	cpu->x87.fdp = la;
}

static void run_store(struct soft_cpu *cpu, const struct soft_op *op, unsigned int bytes)
{
	uint8_t operand[16] = { 0 };
	struct image image;
	uint64_t la = soft_ea(cpu, op);
	uint16_t sw;

	soft_x87_check(cpu, op);
	take_out(cpu, &image);
	soft_x87_host_mem(op->aux, (unsigned int)op->imm, &image, operand);
	memcpy(&sw, image.bytes + 2, 2);
	/* An unmasked exception other than precision keeps the result from being stored; a fault comes all the same. */
	if (sw & ~cpu->x87.cw & SW_FLAGS & ~SW_PRECISION) {
		soft_rmw(cpu, op, la, bytes);
		soft_rmw_end(cpu, op);
	} else {
		soft_st_bytes(cpu, op, la, operand, bytes);
	}
	put_back(cpu, op, &image);
	cpu->x87.fdp = la;
}

#define SIZED(n)                                                                                                      \
	HANDLER(load##n)                                                                                              \
	{                                                                                                             \
		run_load(cpu, op, n);                                                                                 \
		SOFT_NEXT(cpu, op);                                                                                   \
	}                                                                                                             \
	HANDLER(store##n)                                                                                             \
	{                                                                                                             \
		run_store(cpu, op, n);                                                                                \
		SOFT_NEXT(cpu, op);                                                                                   \
	}
SIZED(2)
SIZED(4)
SIZED(8)
SIZED(10)

/* --- decoding ----------------------------------------------------------------------- */

static const soft_fn memory_forms[SOFT_X87_ESCAPES][8] = {
	{ load4, load4, load4, load4, load4, load4, load4, load4 },
	{ load4, NULL, store4, store4, soft_x87_fldenv, soft_x87_fldcw, soft_x87_fnstenv, soft_x87_fnstcw },
	{ load4, load4, load4, load4, load4, load4, load4, load4 },
	{ load4, store4, store4, store4, NULL, load10, NULL, store10 },
	{ load8, load8, load8, load8, load8, load8, load8, load8 },
	{ load8, store8, store8, store8, soft_x87_frstor, NULL, soft_x87_fnsave, soft_x87_fnstsw },
	{ load2, load2, load2, load2, load2, load2, load2, load2 },
	{ load2, store2, store2, store2, load10, load8, store10, store8 },
};

/* A range of ModRM bytes of one escape. */
struct reg_form {
	uint8_t escape, first, last;
	soft_fn fn;
};

static const struct reg_form register_forms[] = {
	{ 0, 0xc0, 0xff, run_reg },
	{ 1, 0xc0, 0xd0, run_reg },	     /* fld fxch fnop */
	{ 1, 0xe0, 0xe1, run_reg },	     /* fchs fabs */
	{ 1, 0xe4, 0xe5, run_reg },	     /* ftst fxam */
	{ 1, 0xe8, 0xee, run_reg },	     /* constants */
	{ 1, 0xf0, 0xff, run_reg },	     /* f2xm1 ... fcos */
	{ 2, 0xc0, 0xdf, run_cmov },	     /* fcmovb fcmove fcmovbe fcmovu */
	{ 2, 0xe9, 0xe9, run_reg },	     /* fucompp */
	{ 3, 0xc0, 0xdf, run_cmov },	     /* fcmovnb ... */
	{ 3, 0xe0, 0xe1, soft_op_nop }, /* feni, fdisi: of the 8087 */
	{ 3, 0xe2, 0xe2, soft_x87_fnclex },
	{ 3, 0xe3, 0xe3, soft_x87_fninit },
	{ 3, 0xe4, 0xe4, soft_op_nop }, /* fsetpm: of the 80287 */
	{ 3, 0xe8, 0xf7, run_comi },	     /* fucomi fcomi */
	{ 4, 0xc0, 0xcf, run_reg },	     /* fadd fmul */
	{ 4, 0xe0, 0xff, run_reg },	     /* fsub fdiv */
	{ 5, 0xc0, 0xc7, run_reg },	     /* ffree */
	{ 5, 0xd0, 0xef, run_reg },	     /* fst fstp fucom fucomp */
	{ 6, 0xc0, 0xcf, run_reg },	     /* faddp fmulp */
	{ 6, 0xd9, 0xd9, run_reg },	     /* fcompp */
	{ 6, 0xe0, 0xff, run_reg },	     /* fsubp fdivp */
	{ 7, 0xe0, 0xe0, soft_x87_fnstsw_ax },
	{ 7, 0xe8, 0xf7, run_comi },	     /* fucomip fcomip */
};

static soft_fn find_register_form(unsigned int escape, unsigned int modrm)
{
	for (unsigned int i = 0; i < sizeof register_forms / sizeof register_forms[0]; i++) {
		const struct reg_form *f = &register_forms[i];

		if (f->escape == escape && modrm >= f->first && modrm <= f->last)
			return f->fn;
	}
	return NULL;
}

int soft_x87_decode(struct soft_decode *d, struct soft_op *op)
{
	unsigned int escape = d->opcode & 7;
	soft_fn fn;

	if (d->is_mem) {
		fn = memory_forms[escape][d->reg & 7];
		op->imm = d->reg & 7;
		/* The environment comes in a 14-byte and a 28-byte format. */
		if (fn == soft_x87_fldenv || fn == soft_x87_fnstenv || fn == soft_x87_frstor || fn == soft_x87_fnsave)
			op->imm = d->opsize16;
	} else {
		unsigned int modrm = 0xc0u | (unsigned int)(d->reg & 7) << 3 | (d->rm & 7);

		fn = find_register_form(escape, modrm);
		op->imm = modrm;
	}
	if (!fn || d->lock)
		return SOFT_INSN_UD;
	op->fn = fn;
	op->aux = (uint8_t)escape;
	return SOFT_INSN_X87;
}
