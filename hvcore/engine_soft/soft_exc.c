/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions and interrupts in long mode: 16-byte gates, IST, stack switch by the TSS, and IRET.
 *
 * Everything is read from tables of the guest. Nothing of the CPU changes before the whole frame is
 * on the stack, so a fault on the way leaves the state as it was. Outside of long mode no exception
 * can be delivered: the guest is then shut down, as by a triple fault.
 */
#include "config.h"

#define SOFT_LOOPED

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cm_log.h"
#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_exc.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_watch.h"

#define GATE_INTERRUPT 14u
#define GATE_TRAP      15u

/* --- raising ---------------------------------------------------------------------------------- */

static _Noreturn void raise(struct soft_cpu *cpu, const struct soft_op *op,
			    struct soft_pending what)
{
	if (op) {
		cpu->rip = soft_rip(cpu, op);
		cpu->icount += op->n - 1u;
		cpu->brk.hit = 0; /* of an instruction that is not complete */
	}
	cpu->op = NULL;
	cpu->pending = what;
	longjmp(cpu->unwind, 1);
}

void soft_raise(struct soft_cpu *cpu, const struct soft_op *op, int vector)
{
	raise(cpu, op, (struct soft_pending){.vector = vector});
}

void soft_raise_err(struct soft_cpu *cpu, const struct soft_op *op, int vector, uint32_t error)
{
	raise(cpu, op, (struct soft_pending){.vector = vector, .has_error = true, .error = error});
}

void soft_exc_interrupt(struct soft_cpu *cpu, int vector)
{
	cpu->pending = (struct soft_pending){.vector = vector, .hard = true};
}

SOFT_HX(soft_op_ud)
{
	soft_raise(cpu, op, SOFT_UD);
}

SOFT_HX(soft_op_nm)
{
	soft_raise(cpu, op, SOFT_NM);
}

SOFT_HX(soft_op_gp)
{
	soft_raise_err(cpu, op, SOFT_GP, 0);
}

/*
 * What lies at op, as far as its page goes: nobody knows how long an unknown instruction is. Returns
 * the number of bytes.
 */
static unsigned int bytes_at(struct soft_cpu *cpu, const struct soft_op *op, uint8_t *to)
{
	uint64_t page = cpu->gpr[SOFT_REG_PAGE];
	const struct soft_xtlb_entry *x =
		&soft_own_tlb(cpu)->ex[(page >> 12) & (SOFT_XTLB_SIZE - 1)];
	unsigned int room = SOFT_PAGE - op->off, n = room < SOFT_INSN_MAX ? room : SOFT_INSN_MAX;

	if (x->tag != page)
		return 0;
	memcpy(to, x->host + op->off, n);
	return n;
}

/* A guest may do it a million times a second: the 1st, 2nd, 4th, 8th ... are logged. */
static void log_unknown(const struct soft_cpu *cpu, uint64_t rip, const uint8_t *bytes,
			unsigned int n)
{
	uint64_t number = cpu->count.unknown_insns;
	char text[3 * SOFT_INSN_MAX + 1] = "";

	if (number & (number - 1))
		return;
	for (unsigned int i = 0; i < n; i++)
		snprintf(text + 3 * i, sizeof text - 3 * i, " %02x", bytes[i]);
	cm_warning("vcpu %u: instruction that is not known here at rip %#" PRIx64
		   ":%s (number %" PRIu64 ")",
		   cpu->index, rip, text, number);
}

SOFT_HX(soft_op_unknown)
{
	uint8_t bytes[SOFT_INSN_MAX + 1] = {0};
	unsigned int n = bytes_at(cpu, op, bytes);
	struct hv_unknown_insn *u = &cpu->unknown[cpu->count.unknown_insns++ % SOFT_UNKNOWN];

	*u = (struct hv_unknown_insn){.rip = soft_rip(cpu, op), .at = cpu->icount + op->n - 1u};
	memcpy(&u->bytes, bytes, sizeof u->bytes);
	log_unknown(cpu, u->rip, bytes, n);
	soft_raise(cpu, op, SOFT_UD);
}

/* --- which faults make a double fault --------------------------------------------------------- */

static bool contributory(int v)
{
	return v == SOFT_DE || (v >= SOFT_TS && v <= SOFT_GP);
}

bool soft_exc_combine(struct soft_cpu *cpu)
{
	int first = cpu->delivering, second = cpu->pending.vector;

	cpu->delivering = -1;
	if (first < 0)
		return true;
	if (first == SOFT_DOUBLE) {
		snprintf(cpu->error, sizeof cpu->error, "triple fault (#%d at rip %#llx)", second,
			 (unsigned long long)cpu->rip);
		return false;
	}
	if ((contributory(first) && contributory(second)) ||
	    (first == SOFT_PAGE_FAULT && (second == SOFT_PAGE_FAULT || contributory(second))))
		cpu->pending = (struct soft_pending){.vector = SOFT_DOUBLE, .has_error = true};
	return true;
}

/* --- delivery --------------------------------------------------------------------------------- */

struct gate {
	uint64_t rip;
	uint16_t selector;
	unsigned int ist;
	unsigned int type;
};

/* Error codes that name a gate: bit 1 IDT, bit 0 external. */
static uint32_t gate_error(const struct soft_pending *p)
{
	return (uint32_t)p->vector << 3 | 2 | (p->soft ? 0 : 1);
}

static struct gate read_gate(struct soft_cpu *cpu, const struct soft_pending *p)
{
	uint64_t at = cpu->idt.base + (uint64_t)p->vector * 16, lo, hi;
	struct gate g;

	if ((uint32_t)p->vector * 16 + 15 > cpu->idt.limit)
		soft_raise_err(cpu, NULL, SOFT_GP, gate_error(p));
	lo = soft_sys_ld(cpu, NULL, at, 8);
	hi = soft_sys_ld(cpu, NULL, at + 8, 8);
	g.type = lo >> 40 & 31;
	if ((g.type != GATE_INTERRUPT && g.type != GATE_TRAP) ||
	    (p->soft && (lo >> 45 & 3) < cpu->cpl))
		soft_raise_err(cpu, NULL, SOFT_GP, gate_error(p));
	if (!(lo >> 47 & 1))
		soft_raise_err(cpu, NULL, SOFT_NP, gate_error(p));
	g.rip = (lo & 0xffff) | (lo >> 48 & 0xffff) << 16 | hi << 32;
	g.selector = (uint16_t)(lo >> 16);
	g.ist = lo >> 32 & 7;
	return g;
}

/* The code segment behind a gate decides the new CPL. */
static struct hv_seg gate_code(struct soft_cpu *cpu, const struct gate *g, unsigned int *cpl)
{
	struct hv_seg s;
	uint64_t lo;

	if (!soft_read_descriptor(cpu, NULL, g->selector, &lo, NULL))
		soft_raise_err(cpu, NULL, SOFT_GP, g->selector & ~3u);
	s = soft_parse_descriptor(g->selector, lo);
	*cpl = SOFT_SEG_TYPE(&s) & 4 ? cpu->cpl : SOFT_SEG_DPL(&s);
	if (*cpl > cpu->cpl || !(s.attr & HV_SEG_L))
		soft_raise_err(cpu, NULL, SOFT_GP, g->selector & ~3u);
	return soft_check_code(cpu, NULL, g->selector, *cpl);
}

static uint64_t new_stack(struct soft_cpu *cpu, const struct gate *g, unsigned int cpl)
{
	unsigned int at = g->ist ? 28 + 8 * g->ist : 4 + 8 * cpl;
	uint64_t sp = cpu->gpr[SOFT_RSP];

	if (g->ist || cpl != cpu->cpl) {
		if (at + 7 > cpu->tr.limit)
			soft_raise_err(cpu, NULL, SOFT_TS, cpu->tr.selector & ~3u);
		sp = soft_sys_ld(cpu, NULL, cpu->tr.base + at, 8);
	}
	return sp & ~15ull;
}

/*
 * RFLAGS in the frame. RF is set there so that an execution breakpoint at an instruction that
 * faulted, or was interrupted between repetitions (then it is set already), is not hit again.
 */
static uint64_t frame_flags(const struct soft_cpu *cpu, const struct soft_pending *p)
{
	bool fault = !p->soft && !p->hard && p->vector != SOFT_DB;

	return soft_rflags(cpu) | (fault ? SOFT_RF : 0);
}

static void trace(struct soft_cpu *cpu, const struct soft_pending *p)
{
	cpu->trace[cpu->count.exceptions++ % SOFT_TRACE] =
		(struct soft_trace){.icount = cpu->icount,
				    .rip = cpu->rip,
				    .cr2 = p->vector == SOFT_PAGE_FAULT ? cpu->cr2 : 0,
				    .error = p->error,
				    .vector = (int16_t)p->vector,
				    .interrupt = p->hard,
				    .cpl = cpu->cpl};
	if (p->vector < 32)
		cpu->count.by_exception[p->vector]++;
	else if (p->hard)
		cpu->count.by_class[p->vector >> 4]++;
	else
		cpu->count.soft_ints++;
	if (soft_unlikely(cpu->observed))
		soft_watch_event(cpu, p);
}

void soft_exc_deliver(struct soft_cpu *cpu)
{
	struct soft_pending p = cpu->pending;
	uint64_t frame[6], sp;
	struct hv_seg cs;
	struct gate g;
	unsigned int cpl, i = 0;

	cpu->delivering = p.hard ? SOFT_NMI : p.vector; /* an interrupt is benign, like an NMI */
	trace(cpu, &p);
	g = read_gate(cpu, &p);
	cs = gate_code(cpu, &g, &cpl);
	sp = new_stack(cpu, &g, cpl);
	if (p.has_error)
		frame[i++] = p.error;
	frame[i++] = cpu->rip;
	frame[i++] = cpu->seg[HV_CS].selector;
	frame[i++] = frame_flags(cpu, &p);
	frame[i++] = cpu->gpr[SOFT_RSP];
	frame[i++] = cpu->seg[HV_SS].selector;
	sp -= 8 * i;
	for (unsigned int k = i; k-- > 0;)
		soft_sys_st(cpu, NULL, sp + 8 * k, frame[k], 8);
	if (cpl != cpu->cpl) {
		struct hv_seg ss = {.selector = (uint16_t)cpl,
				    .attr = (uint16_t)(HV_SEG_UNUSABLE | cpl << 5)};

		soft_set_cpl(cpu, cpl);
		soft_set_sreg(cpu, HV_SS, &ss);
	}
	soft_set_sreg(cpu, HV_CS, &cs);
	cpu->gpr[SOFT_RSP] = sp;
	cpu->rip = g.rip;
	cpu->eflags &= ~(SOFT_TF | SOFT_NT | SOFT_RF | SOFT_VM86);
	if (g.type == GATE_INTERRUPT)
		cpu->eflags &= ~SOFT_IF;
	if (p.hard && p.vector == SOFT_NMI)
		cpu->nmi_masked = true;
	if (p.vector == SOFT_DB && !p.soft)
		cpu->dr7 &= ~(uint64_t)SOFT_DR7_GD;
	cpu->pending.vector = -1;
	cpu->delivering = -1;
}

/* --- software interrupts ---------------------------------------------------------------------- */

/* They are complete: the frame holds the rip behind them. */
static _Noreturn void soft_interrupt(struct soft_cpu *cpu, const struct soft_op *op, int vector,
				     bool is_soft)
{
	cpu->rip = soft_next_rip(cpu, op);
	cpu->icount += op->n;
	raise(cpu, NULL, (struct soft_pending){.vector = vector, .soft = is_soft});
}

SOFT_HX(soft_op_int)
{
	soft_interrupt(cpu, op, (int)(op->imm & 0xff), true);
}

SOFT_HX(soft_op_int3)
{
	soft_interrupt(cpu, op, SOFT_BP, true);
}

SOFT_HX(soft_op_int1)
{
	soft_interrupt(cpu, op, SOFT_DB, false);
}

/* --- IRET ------------------------------------------------------------------------------------- */

/* What IRET and POPF may change of the flags at this CPL. */
static uint32_t changeable(const struct soft_cpu *cpu, unsigned int cpl)
{
	uint32_t mask = SOFT_ARITH | SOFT_TF | SOFT_DF | SOFT_NT | SOFT_RF | SOFT_AC | SOFT_ID;

	if (cpl == 0)
		mask |= SOFT_IOPL;
	if (cpl <= (cpu->eflags & SOFT_IOPL) >> 12)
		mask |= SOFT_IF;
	return mask;
}

/* Data segments that the outer level may not have are emptied. */
static void drop_inner_segments(struct soft_cpu *cpu)
{
	static const uint8_t regs[4] = {HV_ES, HV_DS, HV_FS, HV_GS};

	for (unsigned int i = 0; i < 4; i++) {
		struct hv_seg *s = &cpu->seg[regs[i]];
		struct hv_seg none = {.attr = HV_SEG_UNUSABLE};

		if (!(s->attr & HV_SEG_UNUSABLE) && SOFT_SEG_DPL(s) < cpu->cpl &&
		    (SOFT_SEG_TYPE(s) & 12) != 12)
			soft_set_sreg(cpu, regs[i], &none);
	}
}

static void check_stack_segment(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
				unsigned int cpl, bool is_64, struct hv_seg *s)
{
	uint64_t lo;

	if ((sel & ~3u) == 0) {
		if (!is_64 || cpl == 3 || (sel & 3) != cpl)
			soft_raise_err(cpu, op, SOFT_GP, 0);
		*s = (struct hv_seg){.selector = sel,
				     .attr = (uint16_t)(HV_SEG_UNUSABLE | cpl << 5)};
		return;
	}
	if (!soft_read_descriptor(cpu, op, sel, &lo, NULL))
		soft_raise_err(cpu, op, SOFT_GP, sel & ~3u);
	*s = soft_parse_descriptor(sel, lo);
	if (!(s->attr & HV_SEG_S) || (SOFT_SEG_TYPE(s) & 10) != 2 || SOFT_SEG_DPL(s) != cpl ||
	    (sel & 3) != cpl)
		soft_raise_err(cpu, op, SOFT_GP, sel & ~3u);
	if (!(s->attr & HV_SEG_P))
		soft_raise_err(cpu, op, SOFT_SSF, sel & ~3u);
	s->attr |= 1;
}

SOFT_HX(soft_op_iret)
{
	uint64_t sp = cpu->gpr[SOFT_RSP], v[5], flags;
	unsigned int size = op->aux, cpl = cpu->cpl, to;
	struct hv_seg cs, ss;
	uint32_t mask = changeable(cpu, cpl);

	if (cpu->eflags & SOFT_NT)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	for (unsigned int i = 0; i < 5; i++)
		v[i] = size == 8 ? soft_ld64(cpu, op, sp + 8 * i)
				 : soft_ld_slow(cpu, op, sp + size * i, size);
	to = v[1] & 3;
	if (to < cpl)
		soft_raise_err(cpu, op, SOFT_GP, (uint32_t)v[1] & 0xfffc);
	cs = soft_check_code(cpu, op, (uint16_t)v[1], to);
	check_stack_segment(cpu, op, (uint16_t)v[4], to, cs.attr & HV_SEG_L, &ss);
	if ((uint64_t)((int64_t)(v[0] << 16) >> 16) != v[0])
		soft_raise_err(cpu, op, SOFT_GP, 0);
	if (size == 2)
		mask &= 0xffff;
	flags = (soft_rflags(cpu) & ~(uint64_t)mask) | (v[2] & mask);
	soft_rflags_load(cpu, flags);
	soft_set_cpl(cpu, to);
	soft_set_sreg(cpu, HV_SS, &ss);
	soft_set_sreg(cpu, HV_CS, &cs);
	if (to != cpl)
		drop_inner_segments(cpu);
	cpu->gpr[SOFT_RSP] = v[3];
	cpu->nmi_masked = false;
	cpu->icount += op->n;
	return soft_leave(cpu, v[0] + cs.base); /* the run loop looks for interrupts */
}

/* --- POPF and PUSHF --------------------------------------------------------------------------- */

SOFT_HX(soft_op_pushf)
{
	uint64_t size = op->aux == 2 ? 2 : 8, sp = cpu->gpr[SOFT_RSP] - size;
	uint64_t v = soft_rflags(cpu) & ~(uint64_t)(SOFT_RF | SOFT_VM86);

	if (size == 8)
		soft_st64(cpu, op, sp, v);
	else
		soft_st16(cpu, op, sp, (uint16_t)v);
	cpu->gpr[SOFT_RSP] = sp;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_popf)
{
	uint64_t size = op->aux == 2 ? 2 : 8, sp = cpu->gpr[SOFT_RSP];
	uint64_t v = size == 8 ? soft_ld64(cpu, op, sp) : soft_ld16(cpu, op, sp);
	uint32_t mask = changeable(cpu, cpu->cpl) & ~SOFT_RF, was = cpu->eflags;

	if (size == 2)
		mask &= 0xffff;
	cpu->gpr[SOFT_RSP] = sp + size;
	soft_rflags_load(cpu,
			 ((soft_rflags(cpu) & ~(uint64_t)mask) | (v & mask)) & ~(uint64_t)SOFT_RF);
	cpu->icount += op->n;
	if ((cpu->eflags ^ was) & SOFT_AC)
		soft_pick_tlb(cpu);
	if ((cpu->eflags & ~was & SOFT_IF) || cpu->eflags & SOFT_TF)
		return soft_leave(cpu, soft_next_rip(cpu, op));
	return soft_goto(cpu, soft_next_rip(cpu, op));
}
