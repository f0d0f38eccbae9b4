/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stack and near control transfer of 16- and 32-bit code: as much as the start-up of a second
 * processor needs. op->aux is the operand size in bytes. rip is kept as a linear address
 * throughout, EIP is rip - CS.base.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_segment.h"

static uint32_t sp_mask(const struct soft_cpu *cpu)
{
	return cpu->seg[HV_SS].attr & HV_SEG_DB ? 0xffffffff : 0xffff;
}

static void set_sp(struct soft_cpu *cpu, uint32_t sp)
{
	uint32_t mask = sp_mask(cpu);

	cpu->gpr[SOFT_RSP] = (cpu->gpr[SOFT_RSP] & 0xffffffff & ~mask) | (sp & mask);
}

static void push(struct soft_cpu *cpu, const struct soft_op *op, uint32_t v)
{
	uint32_t sp = (soft_get32(cpu, SOFT_RSP) - op->aux) & sp_mask(cpu);

	soft_st_slow(cpu, op, (uint32_t)(cpu->seg_base[SOFT_SS] + sp), v, op->aux);
	set_sp(cpu, sp);
}

static uint32_t top(struct soft_cpu *cpu, const struct soft_op *op)
{
	uint32_t sp = soft_get32(cpu, SOFT_RSP) & sp_mask(cpu);

	return (uint32_t)soft_ld_slow(cpu, op, (uint32_t)(cpu->seg_base[SOFT_SS] + sp), op->aux);
}

static void drop(struct soft_cpu *cpu, unsigned int bytes)
{
	set_sp(cpu, soft_get32(cpu, SOFT_RSP) + bytes);
}

static uint32_t eip_of(const struct soft_cpu *cpu, uint64_t rip)
{
	return (uint32_t)(rip - cpu->seg_base[SOFT_CS]);
}

static const struct soft_op *go_eip(struct soft_cpu *cpu, const struct soft_op *op, uint32_t eip)
{
	if (op->aux == 2)
		eip &= 0xffff;
	cpu->icount += op->n;
	return soft_goto(cpu, (uint32_t)(cpu->seg_base[SOFT_CS] + eip));
}

SOFT_HX(soft_op_push_legacy_r)
{
	push(cpu, op, soft_get32(cpu, op->rm));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_push_legacy_m)
{
	push(cpu, op, (uint32_t)soft_ld_slow(cpu, op, soft_ea(cpu, op), op->aux));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_push_legacy_i)
{
	push(cpu, op, (uint32_t)op->imm);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_pop_legacy_r)
{
	uint32_t v = top(cpu, op);

	drop(cpu, op->aux);
	if (op->aux == 2)
		soft_set16(cpu, op->rm, (uint16_t)v);
	else
		soft_set32(cpu, op->rm, v);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_push_sreg_legacy)
{
	push(cpu, op, cpu->seg[op->reg].selector);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_pop_sreg_legacy)
{
	soft_load_sreg(cpu, op, op->reg, (uint16_t)top(cpu, op));
	drop(cpu, op->aux);
	cpu->icount += op->n;
	return soft_goto(cpu, soft_next_rip(cpu, op));
}

SOFT_HX(soft_op_pushf_legacy)
{
	push(cpu, op, (uint32_t)soft_rflags(cpu) & ~(SOFT_RF | SOFT_VM86));
	SOFT_NEXT(cpu, op);
}

/* At CPL 0 only, which is where start-up code runs. */
SOFT_HX(soft_op_popf_legacy)
{
	uint32_t mask = SOFT_ARITH | SOFT_TF | SOFT_IF | SOFT_DF | SOFT_IOPL | SOFT_NT | SOFT_AC |
			SOFT_ID,
		 v;

	if (cpu->cpl)
		soft_op_unknown(cpu, op);
	if (op->aux == 2)
		mask &= 0xffff;
	v = top(cpu, op);
	drop(cpu, op->aux);
	soft_rflags_load(cpu, (soft_rflags(cpu) & ~(uint64_t)mask) | (v & mask));
	cpu->icount += op->n;
	return soft_leave(cpu, soft_next_rip(cpu, op));
}

SOFT_HX(soft_op_call_legacy)
{
	push(cpu, op, eip_of(cpu, soft_next_rip(cpu, op)));
	return go_eip(cpu, op, eip_of(cpu, cpu->gpr[SOFT_REG_PAGE] + op->imm));
}

SOFT_HX(soft_op_ret_legacy)
{
	uint32_t eip = top(cpu, op);

	drop(cpu, op->aux + (uint16_t)op->imm);
	return go_eip(cpu, op, eip);
}

SOFT_HX(soft_op_jmp_legacy_r)
{
	return go_eip(cpu, op, soft_get32(cpu, op->rm));
}
