/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 control, status and environment: FLDCW, FNSTSW, FNCLEX, FNINIT, FLDENV, FNSTENV, FRSTOR, FNSAVE.
 *
 * Parses guest data: environments from memory, where every pattern is a legal state. Only the protected mode formats
 * exist here, of 28 and (operand size 16) of 14 bytes.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_x87.h"

#include <string.h>

#include "hvcore/engine_soft/soft_fxsave.h"
#include "hvcore/engine_soft/soft_mem.h"

#define SW_TOP 0x3800u
#define ENV_MAX 28u
#define REGISTERS_BYTES 80u

static uint16_t status_word(const struct soft_x87 *x)
{
	return (uint16_t)((x->sw & ~SW_TOP) | x->top << 11);
}

static void set_status_word(struct soft_cpu *cpu, uint16_t sw)
{
	cpu->x87.sw = sw & (uint16_t)~SW_TOP;
	cpu->x87.top = sw >> 11 & 7;
	soft_x87_update_summary(cpu);
}

static void set_control_word(struct soft_cpu *cpu, uint16_t cw)
{
	cpu->x87.cw = (cw & 0x1f7f) | 0x40;
	soft_x87_update_summary(cpu);
}

/* Two tag bits for a register: 0 valid, 1 zero, 2 special, 3 empty. */
static unsigned int full_tag(const struct soft_x87 *x, unsigned int i)
{
	unsigned int exponent = x->r[i].exp_sign & 0x7fff;

	if (!(x->valid >> i & 1))
		return 3;
	if (exponent == 0 && x->r[i].mant == 0)
		return 1;
	return exponent == 0 || exponent == 0x7fff || !(x->r[i].mant >> 63) ? 2 : 0;
}

static uint16_t full_tag_word(const struct soft_x87 *x)
{
	unsigned int tags = 0;

	for (unsigned int i = 0; i < 8; i++)
		tags |= full_tag(x, i) << 2 * i;
	return (uint16_t)tags;
}

static void set_full_tag_word(struct soft_x87 *x, uint16_t tags)
{
	x->valid = 0;
	for (unsigned int i = 0; i < 8; i++)
		if ((tags >> 2 * i & 3) != 3)
			x->valid |= (uint8_t)(1u << i);
}

/* --- the environment in memory ---------------------------------------------------------- */

static unsigned int env_bytes(const struct soft_op *op)
{
	return op->imm ? 14 : 28;
}

static void encode_env(const struct soft_cpu *cpu, const struct soft_op *op, uint8_t *env)
{
	const struct soft_x87 *x = &cpu->x87;
	const uint32_t words[7] = {
		x->cw, status_word(x), full_tag_word(x),
		(uint32_t)x->fip, op->imm ? 0 : (uint32_t)x->fop << 16, (uint32_t)x->fdp, 0,
	};

	for (unsigned int i = 0; i < 7; i++) {
		uint32_t v = words[i] | (op->imm || i > 2 ? 0 : 0xffff0000u);

		if (i == 6 && !op->imm)
			v = 0xffff0000u;
		memcpy(env + i * (op->imm ? 2 : 4), &v, op->imm ? 2 : 4);
	}
}

static void decode_env(struct soft_cpu *cpu, const struct soft_op *op, const uint8_t *env)
{
	uint32_t words[7] = { 0 };

	for (unsigned int i = 0; i < 7; i++)
		memcpy(&words[i], env + i * (op->imm ? 2 : 4), op->imm ? 2 : 4);
	set_full_tag_word(&cpu->x87, (uint16_t)words[2]);
	cpu->x87.fip = words[3];
	cpu->x87.fop = op->imm ? 0 : words[4] >> 16 & 0x7ff;
	cpu->x87.fdp = words[5];
	cpu->x87.cw = (uint16_t)((words[0] & 0x1f7f) | 0x40);
	set_status_word(cpu, (uint16_t)words[1]);
}

#define HANDLER(name) const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

HANDLER(soft_x87_fldenv)
{
	uint8_t env[ENV_MAX];

	soft_x87_check(cpu, op);
	soft_ld_bytes(cpu, op, soft_ea(cpu, op), env, env_bytes(op));
	decode_env(cpu, op, env);
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fnstenv)
{
	uint8_t env[ENV_MAX];

	encode_env(cpu, op, env);
	soft_st_bytes(cpu, op, soft_ea(cpu, op), env, env_bytes(op));
	cpu->x87.cw |= 0x3f;
	soft_x87_update_summary(cpu);
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_frstor)
{
	uint8_t image[ENV_MAX + REGISTERS_BYTES];
	unsigned int env = env_bytes(op);
	struct soft_x87 *x = &cpu->x87;

	soft_x87_check(cpu, op);
	soft_ld_bytes(cpu, op, soft_ea(cpu, op), image, env + REGISTERS_BYTES);
	decode_env(cpu, op, image);
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(&x->r[(x->top + i) & 7].mant, image + env + i * 10, 8);
		memcpy(&x->r[(x->top + i) & 7].exp_sign, image + env + i * 10 + 8, 2);
	}
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fnsave)
{
	uint8_t image[ENV_MAX + REGISTERS_BYTES];
	unsigned int env = env_bytes(op);
	const struct soft_x87 *x = &cpu->x87;

	encode_env(cpu, op, image);
	for (unsigned int i = 0; i < 8; i++) {
		memcpy(image + env + i * 10, &x->r[(x->top + i) & 7].mant, 8);
		memcpy(image + env + i * 10 + 8, &x->r[(x->top + i) & 7].exp_sign, 2);
	}
	soft_st_bytes(cpu, op, soft_ea(cpu, op), image, env + REGISTERS_BYTES);
	soft_x87_init(cpu);
	SOFT_NEXT(cpu, op);
}

/* --- control and status words ---------------------------------------------------------------- */

HANDLER(soft_x87_fldcw)
{
	uint16_t cw;

	soft_x87_check(cpu, op);
	cw = soft_ld16(cpu, op, soft_ea(cpu, op));
	set_control_word(cpu, cw);
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fnstcw)
{
	soft_st16(cpu, op, soft_ea(cpu, op), cpu->x87.cw);
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fnstsw)
{
	soft_st16(cpu, op, soft_ea(cpu, op), status_word(&cpu->x87));
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fnstsw_ax)
{
	cpu->gpr[SOFT_RAX] = (cpu->gpr[SOFT_RAX] & ~0xffffull) | status_word(&cpu->x87);
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fnclex)
{
	cpu->x87.sw &= 0x7f00;
	SOFT_NEXT(cpu, op);
}

HANDLER(soft_x87_fninit)
{
	soft_x87_init(cpu);
	SOFT_NEXT(cpu, op);
}
