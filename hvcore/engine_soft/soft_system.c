/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSCALL and its kin, HLT, CLI and STI, far transfers, control registers, TLB and cache control,
 * time.
 */
#include "config.h"

#define SOFT_LOOPED

#include <sched.h>

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_cpuid.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_msr.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_vm.h"

static inline void need_cpl0(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(cpu->cpl))
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

/* The instruction is complete; go on behind it with whatever mode and mapping there are now. */
static const struct soft_op *go_on(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->icount += op->n;
	return soft_goto(cpu, soft_next_rip(cpu, op));
}

static void need_canonical(struct soft_cpu *cpu, const struct soft_op *op, uint64_t v)
{
	if ((uint64_t)((int64_t)(v << 16) >> 16) != v)
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

/* --- SYSCALL ---------------------------------------------------------------------------------- */

SOFT_HX(soft_op_syscall)
{
	uint16_t sel = (uint16_t)(cpu->msr.star >> 32) & ~3u;
	struct hv_seg cs = soft_flat_code(sel, 0, true),
		      ss = soft_flat_data((uint16_t)(sel + 8), 0);
	uint64_t flags;

	if (!(cpu->efer & SOFT_EFER_SCE))
		soft_raise(cpu, op, SOFT_UD);
	flags = soft_rflags(cpu) & ~(uint64_t)SOFT_RF;
	cpu->gpr[SOFT_RCX] = soft_next_rip(cpu, op);
	cpu->gpr[SOFT_R11] = flags;
	soft_rflags_load(cpu, flags & ~cpu->msr.sfmask);
	soft_set_cpl(cpu, 0);
	soft_set_sreg(cpu, HV_CS, &cs);
	soft_set_sreg(cpu, HV_SS, &ss);
	cpu->icount += op->n;
	return soft_goto(cpu, cpu->msr.lstar);
}

SOFT_HX(soft_op_sysret)
{
	const uint64_t mask =
		SOFT_ARITH | SOFT_TF | SOFT_IF | SOFT_DF | SOFT_IOPL | SOFT_NT | SOFT_AC | SOFT_ID;
	bool is_64 = op->aux == 8;
	uint16_t base = (uint16_t)(cpu->msr.star >> 48);
	struct hv_seg cs = soft_flat_code((uint16_t)((base + (is_64 ? 16 : 0)) | 3), 3, is_64);
	struct hv_seg ss = soft_flat_data((uint16_t)((base + 8) | 3), 3);
	uint64_t to = is_64 ? cpu->gpr[SOFT_RCX] : soft_get32(cpu, SOFT_RCX);

	if (!(cpu->efer & SOFT_EFER_SCE))
		soft_raise(cpu, op, SOFT_UD);
	need_cpl0(cpu, op);
	need_canonical(cpu, op, to);
	soft_rflags_load(cpu, cpu->gpr[SOFT_R11] & mask);
	soft_set_cpl(cpu, 3);
	soft_set_sreg(cpu, HV_CS, &cs);
	soft_set_sreg(cpu, HV_SS, &ss);
	cpu->icount += op->n;
	return soft_leave(cpu, to); /* interrupts may be on now */
}

SOFT_HX(soft_op_swapgs)
{
	uint64_t t = cpu->msr.kernel_gs_base;

	need_cpl0(cpu, op);
	cpu->msr.kernel_gs_base = cpu->seg[HV_GS].base;
	cpu->seg[HV_GS].base = cpu->seg_base[SOFT_GS] = t;
	SOFT_NEXT(cpu, op);
}

/* --- interrupts on and off -------------------------------------------------------------------- */

SOFT_HX(soft_op_hlt)
{
	need_cpl0(cpu, op);
	cpu->mp_state = HV_MP_HALTED;
	cpu->count.exits_halt++;
	cpu->icount += op->n;
	return soft_leave(cpu, soft_next_rip(cpu, op));
}

static void need_iopl(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(cpu->cpl > (cpu->eflags & SOFT_IOPL) >> 12))
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

SOFT_HX(soft_op_cli)
{
	need_iopl(cpu, op);
	cpu->eflags &= ~SOFT_IF;
	SOFT_NEXT(cpu, op);
}

/* The window opens behind the next instruction, where the decoder ends the block. */
SOFT_HX(soft_op_sti)
{
	need_iopl(cpu, op);
	if (!(cpu->eflags & SOFT_IF)) {
		cpu->eflags |= SOFT_IF;
		cpu->shadow_until = cpu->icount + op->n + 1;
		if (soft_irqchip_events(&cpu->vm->irqchip, cpu->index))
			atomic_store_explicit(&cpu->limit, 0, memory_order_relaxed);
	}
	SOFT_NEXT(cpu, op);
}

/* --- far transfers: only between code segments of the same or an outer level, without gates --- */

static const struct soft_op *go_far(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
				    uint64_t to, unsigned int cpl)
{
	struct hv_seg cs;

	if (!soft_protected(cpu)) {
		cs = cpu->seg[HV_CS];
		cs.selector = sel;
		cs.base = (uint32_t)sel << 4;
	} else {
		cs = soft_check_code(cpu, op, sel, cpl);
	}
	if (soft_long_mode(cpu) && cs.attr & HV_SEG_L) {
		need_canonical(cpu, op, to);
		cs.base = 0;
	}
	soft_set_sreg(cpu, HV_CS, &cs);
	cpu->icount += op->n;
	return soft_leave(cpu, to + cs.base);
}

SOFT_HX(soft_op_jmpf_m)
{
	uint64_t la = soft_ea(cpu, op), to = soft_ld_slow(cpu, op, la, op->aux);

	return go_far(cpu, op, soft_ld16(cpu, op, la + op->aux), to, cpu->cpl);
}

SOFT_HX(soft_op_jmp_ptr)
{
	return go_far(cpu, op, (uint16_t)(op->imm >> 32), (uint32_t)op->imm, cpu->cpl);
}

SOFT_HX(soft_op_callf_m)
{
	uint64_t la = soft_ea(cpu, op), to = soft_ld_slow(cpu, op, la, op->aux), sp;
	uint16_t sel = soft_ld16(cpu, op, la + op->aux);

	if (!(cpu->mode & SOFT_MODE_64))
		soft_op_unknown(cpu, op);
	soft_check_code(cpu, op, sel, cpu->cpl);
	sp = cpu->gpr[SOFT_RSP] - 2 * op->aux;
	soft_st_slow(cpu, op, sp + op->aux, cpu->seg[HV_CS].selector, op->aux);
	soft_st_slow(cpu, op, sp, soft_next_rip(cpu, op), op->aux);
	cpu->gpr[SOFT_RSP] = sp;
	return go_far(cpu, op, sel, to, cpu->cpl);
}

SOFT_HX(soft_op_retf)
{
	unsigned int size = op->aux;
	uint64_t sp = cpu->gpr[SOFT_RSP] & (cpu->mode & SOFT_MODE_64 ? ~0ull : 0xffffffff);
	uint64_t ss = cpu->mode & SOFT_MODE_64 ? 0 : cpu->seg_base[SOFT_SS];
	uint64_t to = soft_ld_slow(cpu, op, ss + sp, size);
	uint16_t sel = soft_ld16(cpu, op, ss + sp + size);
	const struct soft_op *next;

	if (soft_protected(cpu) && (sel & 3) != cpu->cpl)
		soft_raise_err(cpu, op, SOFT_GP,
			       sel & ~3u); /* to an outer level only IRET and SYSRET go */
	next = go_far(cpu, op, sel, to, cpu->cpl);
	cpu->gpr[SOFT_RSP] = sp + 2 * size + (uint16_t)op->imm;
	return next;
}

/* --- control registers ------------------------------------------------------------------------ */

SOFT_HX(soft_op_mov_from_cr)
{
	uint64_t v;

	need_cpl0(cpu, op);
	switch (op->reg) {
	case 0:
		v = cpu->cr0;
		break;
	case 2:
		v = cpu->cr2;
		break;
	case 3:
		v = cpu->cr3;
		break;
	case 4:
		v = cpu->cr4;
		break;
	case 8:
		v = soft_irqchip_cr8(&cpu->vm->irqchip, cpu->index);
		break;
	default:
		soft_raise(cpu, op, SOFT_UD);
	}
	cpu->gpr[op->rm] = v;
	SOFT_NEXT(cpu, op);
}

/* CR0 with a new value: paging, and with it long mode, may go on or off. */
static void set_cr0(struct soft_cpu *cpu, const struct soft_op *op, uint64_t v)
{
	uint64_t was = cpu->cr0;

	if (v >> 32 || (v & SOFT_CR0_PG && !(v & SOFT_CR0_PE)))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	if (v & ~was & SOFT_CR0_PG) {
		/* only four-level paging is there, so paging without long mode is refused */
		if (!(cpu->efer & SOFT_EFER_LME) || !(cpu->cr4 & SOFT_CR4_PAE))
			soft_raise_err(cpu, op, SOFT_GP, 0);
		cpu->efer |= SOFT_EFER_LMA;
	} else if (was & ~v & SOFT_CR0_PG) {
		if (cpu->mode & SOFT_MODE_64)
			soft_raise_err(cpu, op, SOFT_GP, 0);
		cpu->efer &= ~(uint64_t)SOFT_EFER_LMA;
	}
	cpu->cr0 = v | SOFT_CR0_ET;
	if ((v ^ was) & (SOFT_CR0_PG | SOFT_CR0_WP | SOFT_CR0_PE))
		soft_tlb_flush(cpu);
	soft_update_mode(cpu);
}

static void set_cr4(struct soft_cpu *cpu, const struct soft_op *op, uint64_t v)
{
	const uint64_t known = SOFT_CR4_TSD | SOFT_CR4_DE | SOFT_CR4_PSE | SOFT_CR4_PAE |
			       SOFT_CR4_MCE | SOFT_CR4_PGE | SOFT_CR4_PCE | SOFT_CR4_OSFXSR |
			       SOFT_CR4_OSXMMEXCPT | SOFT_CR4_FSGSBASE;

	if (v & ~known || (soft_long_mode(cpu) && !(v & SOFT_CR4_PAE)))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	if ((v ^ cpu->cr4) & (SOFT_CR4_PSE | SOFT_CR4_PAE | SOFT_CR4_PGE))
		soft_tlb_flush(cpu);
	cpu->cr4 = v;
	soft_break_update(cpu); /* DE; and the mode */
}

SOFT_HX(soft_op_mov_to_cr)
{
	uint64_t v = op->aux == 8 ? cpu->gpr[op->rm] : soft_get32(cpu, op->rm);

	need_cpl0(cpu, op);
	switch (op->reg) {
	case 0:
		set_cr0(cpu, op, v);
		break;
	case 2:
		cpu->cr2 = v;
		break;
	case 3:
		if (v >> SOFT_PHYS_BITS)
			soft_raise_err(cpu, op, SOFT_GP, 0);
		cpu->cr3 = v;
		soft_tlb_flush(cpu);
		break;
	case 4:
		set_cr4(cpu, op, v);
		break;
	case 8:
		if (v >> 4)
			soft_raise_err(cpu, op, SOFT_GP, 0);
		soft_irqchip_set_cr8(&cpu->vm->irqchip, cpu->index, (uint8_t)v);
		break;
	default:
		soft_raise(cpu, op, SOFT_UD);
	}
	return go_on(cpu, op);
}

SOFT_HX(soft_op_clts)
{
	need_cpl0(cpu, op);
	cpu->cr0 &= ~(uint64_t)SOFT_CR0_TS;
	soft_update_mode(cpu);
	return go_on(cpu, op);
}

SOFT_HX(soft_op_smsw)
{
	if (!op->aux)
		soft_st16(cpu, op, soft_ea(cpu, op), (uint16_t)cpu->cr0);
	else if (op->aux == 2)
		soft_set16(cpu, op->rm, (uint16_t)cpu->cr0);
	else
		cpu->gpr[op->rm] = cpu->cr0;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_lmsw)
{
	uint16_t v;

	need_cpl0(cpu, op);
	v = op->aux ? soft_get16(cpu, op->rm) : soft_ld16(cpu, op, soft_ea(cpu, op));
	/* PE can be set, not cleared */
	set_cr0(cpu, op, (cpu->cr0 & ~14ull) | (v & 15));
	return go_on(cpu, op);
}

/* --- TLB, caches, fences ---------------------------------------------------------------------- */

SOFT_HX(soft_op_invlpg)
{
	need_cpl0(cpu, op);
	soft_tlb_flush_page(cpu, soft_ea(cpu, op));
	return go_on(cpu, op);
}

SOFT_HX(soft_op_wbinvd)
{
	need_cpl0(cpu, op);
	SOFT_NEXT(cpu, op);
}

/* To paging it is a load. */
SOFT_HX(soft_op_clflush)
{
	soft_ld8(cpu, op, soft_ea(cpu, op));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_fence)
{
	atomic_thread_fence(memory_order_seq_cst);
	SOFT_NEXT(cpu, op);
}

/* A vCPU that spins lets the host run others now and then: one of them may hold the lock. */
SOFT_HX(soft_op_pause)
{
	if (cpu->vm->cfg.vcpus > 1 && ++cpu->pauses % 256 == 0)
		sched_yield();
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_fwait)
{
	if (cpu->x87.sw & 0x80)
		soft_raise(cpu, op, SOFT_MF);
	SOFT_NEXT(cpu, op);
}

/* --- CPUID, MSRs, time ------------------------------------------------------------------------ */

SOFT_HX(soft_op_cpuid)
{
	struct hv_cpuid_leaf l =
		soft_cpuid(cpu, soft_get32(cpu, SOFT_RAX), soft_get32(cpu, SOFT_RCX));

	cpu->gpr[SOFT_RAX] = l.eax;
	cpu->gpr[SOFT_RBX] = l.ebx;
	cpu->gpr[SOFT_RCX] = l.ecx;
	cpu->gpr[SOFT_RDX] = l.edx;
	SOFT_NEXT(cpu, op);
}

static void set_edx_eax(struct soft_cpu *cpu, uint64_t v)
{
	cpu->gpr[SOFT_RAX] = (uint32_t)v;
	cpu->gpr[SOFT_RDX] = v >> 32;
}

static uint64_t read_tsc(struct soft_cpu *cpu, const struct soft_op *op)
{
	uint64_t tsc;

	if (cpu->cpl && cpu->cr4 & SOFT_CR4_TSD)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	cpu->op = op;
	tsc = soft_clock_now(cpu).tsc;
	cpu->op = NULL;
	return tsc;
}

SOFT_HX(soft_op_rdtsc)
{
	set_edx_eax(cpu, read_tsc(cpu, op));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_rdtscp)
{
	set_edx_eax(cpu, read_tsc(cpu, op));
	cpu->gpr[SOFT_RCX] = (uint32_t)cpu->msr.tsc_aux;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_rdmsr)
{
	uint64_t v;

	need_cpl0(cpu, op);
	cpu->op = op;
	if (!soft_msr_read(cpu, soft_get32(cpu, SOFT_RCX), &v))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	cpu->op = NULL;
	set_edx_eax(cpu, v);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_wrmsr)
{
	uint64_t v = (uint64_t)soft_get32(cpu, SOFT_RDX) << 32 | soft_get32(cpu, SOFT_RAX);

	need_cpl0(cpu, op);
	cpu->op = op;
	if (!soft_msr_write(cpu, soft_get32(cpu, SOFT_RCX), v))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	cpu->op = NULL;
	return go_on(cpu, op);
}

SOFT_HX(soft_op_rdpmc)
{
	soft_raise_err(cpu, op, SOFT_GP, 0); /* no counters */
}
