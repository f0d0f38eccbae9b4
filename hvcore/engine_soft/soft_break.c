/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug registers: what they watch for, what was hit, and the instructions that move them.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_watch.h"

/* The R/W field of DR7 */
enum { ON_EXEC, ON_WRITE, ON_PORT, ON_ACCESS };

static unsigned int kind(const struct soft_cpu *cpu, unsigned int i)
{
	return (unsigned int)(cpu->dr7 >> (16 + 4 * i)) & 3;
}

/* Bytes that DRi watches, as its LEN field says. */
static uint64_t length(const struct soft_cpu *cpu, unsigned int i)
{
	static const uint8_t bytes[4] = {1, 2, 8, 4};

	return bytes[cpu->dr7 >> (18 + 4 * i) & 3];
}

/* Does [at, at+len) overlap what DRi watches, a naturally aligned piece around its address? */
static bool overlaps(const struct soft_cpu *cpu, unsigned int i, uint64_t at, uint64_t len)
{
	uint64_t bytes = length(cpu, i), from = cpu->dr[i] & ~(bytes - 1);

	return at - from < bytes || from - at < len;
}

void soft_break_update(struct soft_cpu *cpu)
{
	struct soft_break b = {.hit = cpu->brk.hit};

	for (unsigned int i = 0; i < 4; i++) {
		if (!(cpu->dr7 >> (2 * i) & 3)) /* neither local nor global */
			continue;
		switch (kind(cpu, i)) {
		case ON_EXEC:
			b.exec |= 1u << i;
			break;
		case ON_PORT: /* without CR4.DE: undefined */
			b.port |= cpu->cr4 & SOFT_CR4_DE ? 1u << i : 0;
			break;
		default:
			b.data |= 1u << i;
			break;
		}
	}
	if (cpu->brk.data | b.data)
		soft_tlb_flush(cpu);
	cpu->brk = b;
	soft_update_mode(cpu);
}

/* --- hits ---------------------------------------------------------------- */

static void hit(struct soft_cpu *cpu, uint32_t bits)
{
	if (!bits)
		return;
	cpu->brk.hit |= bits;
	soft_cpu_stop(cpu, SOFT_STOP_BREAK);
}

void soft_break_data_hit(struct soft_cpu *cpu, uint64_t la, unsigned int len, bool write)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < 4; i++)
		if (cpu->brk.data >> i & 1 && (write || kind(cpu, i) == ON_ACCESS) &&
		    overlaps(cpu, i, la, len))
			bits |= 1u << i;
	hit(cpu, bits);
}

void soft_break_port_hit(struct soft_cpu *cpu, uint16_t port, unsigned int len)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < 4; i++)
		if (cpu->brk.port >> i & 1 && overlaps(cpu, i, port, len))
			bits |= 1u << i;
	hit(cpu, bits);
}

bool soft_break_page_watched(const struct soft_cpu *cpu, uint64_t page)
{
	for (unsigned int i = 0; i < 4; i++)
		if (cpu->brk.data >> i & 1 && (cpu->dr[i] & SOFT_PAGE_MASK) == page)
			return true;
	return false;
}

/* --- #DB ----------------------------------------------------------------- */

static void set_dr6(struct soft_cpu *cpu, uint32_t bits)
{
	cpu->dr6 = (cpu->dr6 & ~(uint64_t)SOFT_DR6_HIT) | SOFT_DR6_FIXED | bits;
}

void soft_break_exec(struct soft_cpu *cpu, const struct soft_op *op, uint64_t rip)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < 4; i++)
		if (cpu->brk.exec >> i & 1 && cpu->dr[i] == rip)
			bits |= 1u << i;
	if (!bits || cpu->eflags & SOFT_RF)
		return;
	set_dr6(cpu, bits);
	soft_raise(cpu, op, SOFT_DB);
}

SOFT_HX(soft_op_break)
{
	soft_break_exec(cpu, op, soft_rip(cpu, op));
	cpu->eflags &= ~SOFT_RF;
	SOFT_NEXT(cpu, op);
}

bool soft_break_deliver(struct soft_cpu *cpu)
{
	/* behind STI a step is due; behind MOV to SS nothing is */
	if (!(cpu->brk.hit & SOFT_DR6_BS) && cpu->icount < cpu->shadow_until)
		return false;
	set_dr6(cpu, cpu->brk.hit);
	cpu->brk.hit = 0;
	cpu->pending = (struct soft_pending){.vector = SOFT_DB};
	cpu->mp_state = HV_MP_RUNNABLE; /* it may have been a HLT */
	return true;
}

/*
 * A step is taken also by an instruction that clears TF (POPF), but SYSCALL may mask it. MOV to SS
 * is not followed by one. String instructions see SOFT_STOP_BREAK and stop after one repetition.
 */
bool soft_break_step(struct soft_cpu *cpu)
{
	const struct soft_op *op = soft_block_single(cpu);
	bool masks = false, shadow = false;

	if (!op)
		return false;
	if (soft_unlikely(cpu->observed))
		soft_watch_block(cpu, cpu->count.block_misses);
	soft_cpu_stop(cpu, SOFT_STOP_BREAK);
	while (op) {
		masks |= op->fn == soft_op_syscall;
		shadow |= op->fn == soft_op_mov_to_sreg && op->reg == HV_SS;
		op = op->fn(cpu, op);
	}
	if (!shadow && (!masks || cpu->eflags & SOFT_TF))
		hit(cpu, SOFT_DR6_BS);
	return true;
}

/* --- MOV to and from DR -------------------------------------------------- */

static uint64_t *debug_reg(struct soft_cpu *cpu, const struct soft_op *op)
{
	bool high = op->reg == 4 || op->reg == 5;

	if (op->reg > 7 || (high && cpu->cr4 & SOFT_CR4_DE))
		soft_raise(cpu, op, SOFT_UD);
	if (cpu->cpl)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	if (cpu->dr7 & SOFT_DR7_GD) {
		set_dr6(cpu, SOFT_DR6_BD);
		soft_raise(cpu, op, SOFT_DB);
	}
	if (op->reg < 4)
		return &cpu->dr[op->reg];
	return op->reg & 1 ? &cpu->dr7 : &cpu->dr6; /* DR4 and DR5 are other names of these */
}

SOFT_HX(soft_op_mov_from_dr)
{
	uint64_t v = *debug_reg(cpu, op);

	cpu->gpr[op->rm] = op->aux == 8 ? v : (uint32_t)v;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_mov_to_dr)
{
	uint64_t *r = debug_reg(cpu, op),
		 v = op->aux == 8 ? cpu->gpr[op->rm] : soft_get32(cpu, op->rm);

	if (op->reg >= 4 && v >> 32)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	if (r == &cpu->dr6)
		v = (v & SOFT_DR6_USABLE) | SOFT_DR6_FIXED;
	else if (r == &cpu->dr7)
		v = (v & SOFT_DR7_USABLE) | SOFT_DR7_FIXED;
	*r = v;
	if (r != &cpu->dr6)
		soft_break_update(cpu);
	cpu->icount += op->n;
	return soft_goto(cpu, soft_next_rip(cpu, op));
}
