/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IN, OUT, INS, OUTS. Ports are the machine's business: each access is one upcall. User code needs
 * IOPL 3 or the permission bitmap of the TSS.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"
#include "hvcore/engine_soft/soft_run.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_vm.h"

static void check_permission(struct soft_cpu *cpu, const struct soft_op *op, uint16_t port,
			     unsigned int len)
{
	uint32_t map, bits;

	if (!soft_protected(cpu) || cpu->cpl <= (cpu->eflags & SOFT_IOPL) >> 12)
		return;
	if (cpu->tr.limit < 103)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	map = (uint32_t)soft_sys_ld(cpu, op, cpu->tr.base + 102, 2) + port / 8;
	if (map + 1 > cpu->tr.limit)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	bits = (uint32_t)soft_sys_ld(cpu, op, cpu->tr.base + map, 2) >> (port % 8);
	if (bits & ((1u << len) - 1))
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

static void access(struct soft_cpu *cpu, const struct soft_op *op, uint16_t port, void *data,
		   unsigned int len, bool write)
{
	const struct hv_engine_upcalls *up = &cpu->vm->cfg.up;

	cpu->count.exits_pio++;
	soft_break_port(cpu, port, len);
	cpu->op = op;
	soft_run_pause(cpu);
	up->pio(up->arg, port, data, len, write);
	soft_run_resume(cpu);
	cpu->op = NULL;
}

static uint16_t port_of(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return op->imm == ~0ull ? soft_get16(cpu, SOFT_RDX) : (uint16_t)op->imm;
}

SOFT_HX(soft_op_in)
{
	uint16_t port = port_of(cpu, op);
	uint32_t v = 0xffffffff;

	check_permission(cpu, op, port, op->aux);
	access(cpu, op, port, &v, op->aux, false);
	if (op->aux == 1)
		soft_set8(cpu, 0, (uint8_t)v);
	else if (op->aux == 2)
		soft_set16(cpu, SOFT_RAX, (uint16_t)v);
	else
		soft_set32(cpu, SOFT_RAX, v);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_out)
{
	uint16_t port = port_of(cpu, op);
	uint32_t v = soft_get32(cpu, SOFT_RAX);

	check_permission(cpu, op, port, op->aux);
	access(cpu, op, port, &v, op->aux, true);
	SOFT_NEXT(cpu, op);
}

/* One element; REP comes back to the same instruction for the next, so that interrupts get in
 * between. */
static const struct soft_op *step(struct soft_cpu *cpu, const struct soft_op *op,
				  unsigned int index_reg)
{
	uint64_t mask = op->flags & SOFT_OP_ADDR16   ? 0xffff
			: op->flags & SOFT_OP_ADDR32 ? 0xffffffff
						     : ~0ull;
	uint64_t step_bytes = cpu->eflags & SOFT_DF ? -(uint64_t)op->aux : op->aux;
	uint64_t *count = &cpu->gpr[SOFT_RCX];

	cpu->gpr[index_reg] = (cpu->gpr[index_reg] + step_bytes) & mask;
	if (!(op->flags & (SOFT_OP_REP | SOFT_OP_REPNE)))
		SOFT_NEXT(cpu, op);
	*count = (*count - 1) & mask;
	if (!*count)
		SOFT_NEXT(cpu, op);
	cpu->icount += op->n - 1u;
	cpu->eflags |= SOFT_RF;
	return soft_leave(cpu, soft_rip(cpu, op));
}

static bool nothing_to_do(const struct soft_cpu *cpu, const struct soft_op *op)
{
	uint64_t mask = op->flags & SOFT_OP_ADDR16   ? 0xffff
			: op->flags & SOFT_OP_ADDR32 ? 0xffffffff
						     : ~0ull;

	return op->flags & (SOFT_OP_REP | SOFT_OP_REPNE) && !(cpu->gpr[SOFT_RCX] & mask);
}

SOFT_HX(soft_op_ins)
{
	struct soft_op to = *op;
	uint32_t v = 0xffffffff;
	uint64_t la;

	if (nothing_to_do(cpu, op))
		SOFT_NEXT(cpu, op);
	check_permission(cpu, op, soft_get16(cpu, SOFT_RDX), op->aux);
	to.base = SOFT_RDI;
	to.seg = op->flags & SOFT_OP_LIN32 ? SOFT_ES : SOFT_SEG_NONE;
	la = soft_ea(cpu, &to);
	soft_translate(cpu, op, la, SOFT_WRITE); /* fault before the device is asked */
	soft_translate(cpu, op, la + op->aux - 1, SOFT_WRITE);
	access(cpu, op, soft_get16(cpu, SOFT_RDX), &v, op->aux, false);
	soft_st_slow(cpu, op, la, v, op->aux);
	return step(cpu, op, SOFT_RDI);
}

SOFT_HX(soft_op_outs)
{
	struct soft_op from = *op;
	uint32_t v;

	if (nothing_to_do(cpu, op))
		SOFT_NEXT(cpu, op);
	check_permission(cpu, op, soft_get16(cpu, SOFT_RDX), op->aux);
	from.base = SOFT_RSI;
	v = (uint32_t)soft_ld_slow(cpu, op, soft_ea(cpu, &from), op->aux);
	access(cpu, op, soft_get16(cpu, SOFT_RDX), &v, op->aux, true);
	return step(cpu, op, SOFT_RSI);
}
