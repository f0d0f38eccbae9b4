/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors, segment registers, and the instructions that move them. In 64-bit mode segments have
 * no limits. Other code gets flat segments only: loading one with a limit is refused, counted and
 * logged like an unknown instruction. Task gates, call gates and hardware task switches are refused
 * with #GP.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_segment.h"

#define TYPE_CODE	 8u
#define TYPE_CONFORMING	 4u
#define TYPE_EXPAND_DOWN TYPE_CONFORMING /* of a data segment */
#define TYPE_WRITABLE	 2u

bool soft_read_descriptor(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
			  uint64_t *lo, uint64_t *hi)
{
	bool local = sel & 4;
	uint64_t base = local ? cpu->ldt.base : cpu->gdt.base;
	uint32_t limit = local ? cpu->ldt.limit : cpu->gdt.limit, at = sel & ~7u;

	if (at + (hi ? 15u : 7u) > limit || (local && (cpu->ldt.selector & ~3u) == 0) ||
	    (!local && !at))
		return false;
	*lo = soft_sys_ld(cpu, op, base + at, 8);
	if (hi)
		*hi = soft_sys_ld(cpu, op, base + at + 8, 8);
	return true;
}

struct hv_seg soft_parse_descriptor(uint16_t sel, uint64_t lo)
{
	struct hv_seg s = {.selector = sel};

	s.base = (lo >> 16 & 0xffffff) | (lo >> 56 & 0xff) << 24;
	s.limit = (uint32_t)((lo & 0xffff) | (lo >> 32 & 0xf0000));
	/* bits 40-47: type, s, dpl, p; bits 52-55: avl, l, db, g */
	s.attr = (uint16_t)((lo >> 40 & 0xff) | (lo >> 52 & 15) << 8);
	if (s.attr & HV_SEG_G)
		s.limit = s.limit << 12 | 0xfff;
	return s;
}

struct hv_seg soft_flat_code(uint16_t sel, unsigned int dpl, bool is_64)
{
	return (struct hv_seg){.selector = sel,
			       .limit = 0xffffffff,
			       .attr = (uint16_t)(0xb | HV_SEG_S | dpl << 5 | HV_SEG_P | HV_SEG_G |
						  (is_64 ? HV_SEG_L : HV_SEG_DB))};
}

struct hv_seg soft_flat_data(uint16_t sel, unsigned int dpl)
{
	return (struct hv_seg){
		.selector = sel,
		.limit = 0xffffffff,
		.attr = (uint16_t)(0x3 | HV_SEG_S | dpl << 5 | HV_SEG_P | HV_SEG_G | HV_SEG_DB)};
}

void soft_update_mode(struct soft_cpu *cpu)
{
	const struct hv_seg *cs = &cpu->seg[HV_CS];
	unsigned int mode = cs->attr & HV_SEG_DB ? SOFT_MODE_32 : SOFT_MODE_16;

	if (soft_long_mode(cpu) && cs->attr & HV_SEG_L)
		mode = SOFT_MODE_64;
	if (cpu->cr0 & SOFT_CR0_EM)
		mode |= SOFT_MODE_NO_FPU;
	if (cpu->cr0 & SOFT_CR0_TS)
		mode |= SOFT_MODE_TS;
	if (!(cpu->cr4 & SOFT_CR4_OSFXSR))
		mode |= SOFT_MODE_NO_SSE;
	if (cpu->brk.exec | cpu->brk.data | cpu->brk.port)
		mode |= SOFT_MODE_BREAK;
	cpu->mode = (uint8_t)mode;
}

void soft_set_sreg(struct soft_cpu *cpu, unsigned int reg, const struct hv_seg *seg)
{
	cpu->seg[reg] = *seg;
	cpu->seg_base[reg] = seg->base;
	if (reg == HV_CS)
		soft_update_mode(cpu);
}

static void load_real(struct soft_cpu *cpu, unsigned int reg, uint16_t sel)
{
	struct hv_seg s = cpu->seg[reg];

	s.selector = sel;
	s.base = (uint32_t)sel << 4;
	soft_set_sreg(cpu, reg, &s);
}

static void load_null(struct soft_cpu *cpu, unsigned int reg, uint16_t sel)
{
	struct hv_seg s = {.selector = sel, .attr = HV_SEG_UNUSABLE};

	if (reg == HV_SS) /* its DPL is the CPL, for the sake of saved state */
		s.attr = (uint16_t)(HV_SEG_UNUSABLE | cpu->cpl << 5);
	soft_set_sreg(cpu, reg, &s);
}

/* May all addresses be used, so that there is no limit to check? */
static bool is_flat(const struct hv_seg *s)
{
	bool expand_down = !(SOFT_SEG_TYPE(s) & TYPE_CODE) && SOFT_SEG_TYPE(s) & TYPE_EXPAND_DOWN;

	return s->limit == 0xffffffff && !expand_down;
}

void soft_load_sreg(struct soft_cpu *cpu, const struct soft_op *op, unsigned int reg, uint16_t sel)
{
	uint32_t error = sel & ~3u;
	struct hv_seg s;
	uint64_t lo;
	bool code, readable;

	if (!soft_protected(cpu)) {
		load_real(cpu, reg, sel);
		return;
	}
	if ((sel & ~3u) == 0) {
		if (reg == HV_SS &&
		    (!(cpu->mode & SOFT_MODE_64) || cpu->cpl == 3 || (sel & 3) != cpu->cpl))
			soft_raise_err(cpu, op, SOFT_GP, 0);
		load_null(cpu, reg, sel);
		return;
	}
	if (!soft_read_descriptor(cpu, op, sel, &lo, NULL))
		soft_raise_err(cpu, op, SOFT_GP, error);
	s = soft_parse_descriptor(sel, lo);
	code = SOFT_SEG_TYPE(&s) & TYPE_CODE;
	readable = !code || SOFT_SEG_TYPE(&s) & TYPE_WRITABLE;
	if (!(s.attr & HV_SEG_S) || !readable)
		soft_raise_err(cpu, op, SOFT_GP, error);
	if (reg == HV_SS) {
		if (code || !(SOFT_SEG_TYPE(&s) & TYPE_WRITABLE) || (sel & 3) != cpu->cpl ||
		    SOFT_SEG_DPL(&s) != cpu->cpl)
			soft_raise_err(cpu, op, SOFT_GP, error);
	} else if (!(code && SOFT_SEG_TYPE(&s) & TYPE_CONFORMING) &&
		   (SOFT_SEG_DPL(&s) < cpu->cpl || SOFT_SEG_DPL(&s) < (sel & 3u))) {
		soft_raise_err(cpu, op, SOFT_GP, error);
	}
	if (!(s.attr & HV_SEG_P))
		soft_raise_err(cpu, op, reg == HV_SS ? SOFT_SSF : SOFT_NP, error);
	if (!(cpu->mode & SOFT_MODE_64) && !is_flat(&s))
		soft_op_unknown(cpu, op);
	s.attr |= 1; /* accessed */
	soft_set_sreg(cpu, reg, &s);
}

struct hv_seg soft_check_code(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
			      unsigned int cpl)
{
	struct hv_seg s;
	uint64_t lo;

	if (!soft_read_descriptor(cpu, op, sel, &lo, NULL))
		soft_raise_err(cpu, op, SOFT_GP, sel & ~3u);
	s = soft_parse_descriptor(sel, lo);
	if (!(s.attr & HV_SEG_S) || !(SOFT_SEG_TYPE(&s) & TYPE_CODE) ||
	    (s.attr & HV_SEG_L && s.attr & HV_SEG_DB) ||
	    (SOFT_SEG_TYPE(&s) & TYPE_CONFORMING ? SOFT_SEG_DPL(&s) > cpl
						 : SOFT_SEG_DPL(&s) != cpl))
		soft_raise_err(cpu, op, SOFT_GP, sel & ~3u);
	if (!(s.attr & HV_SEG_P))
		soft_raise_err(cpu, op, SOFT_NP, sel & ~3u);
	s.attr |= 1;
	s.selector = (uint16_t)((sel & ~3u) | cpl);
	return s;
}

/* --- instructions ----------------------------------------------------------------------------- */

static inline void need_cpl0(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(cpu->cpl))
		soft_raise_err(cpu, op, SOFT_GP, 0);
}

/* Operand by op->aux: 0 memory of 16 bits, else a register of that size. */
static uint16_t read16(struct soft_cpu *cpu, const struct soft_op *op)
{
	return op->aux ? soft_get16(cpu, op->rm) : soft_ld16(cpu, op, soft_ea(cpu, op));
}

static void write16(struct soft_cpu *cpu, const struct soft_op *op, uint64_t v)
{
	if (!op->aux)
		soft_st16(cpu, op, soft_ea(cpu, op), (uint16_t)v);
	else if (op->aux == 2)
		soft_set16(cpu, op->rm, (uint16_t)v);
	else
		cpu->gpr[op->rm] = op->aux == 4 ? (uint32_t)v : v;
}

/* The instruction is complete and the next one is looked up afresh. */
static const struct soft_op *go_on(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->icount += op->n;
	return soft_goto(cpu, soft_next_rip(cpu, op));
}

SOFT_HX(soft_op_mov_from_sreg)
{
	write16(cpu, op, cpu->seg[op->reg].selector);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_mov_to_sreg)
{
	soft_load_sreg(cpu, op, op->reg, read16(cpu, op));
	if (op->reg == HV_SS)
		cpu->shadow_until = cpu->icount + op->n + 1;
	return go_on(cpu, op);
}

SOFT_HX(soft_op_push_sreg)
{
	uint64_t sp = cpu->gpr[SOFT_RSP] - op->aux;

	soft_st_slow(cpu, op, sp, cpu->seg[op->reg].selector, op->aux);
	cpu->gpr[SOFT_RSP] = sp;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_pop_sreg)
{
	soft_load_sreg(cpu, op, op->reg, soft_ld16(cpu, op, cpu->gpr[SOFT_RSP]));
	cpu->gpr[SOFT_RSP] += op->aux;
	return go_on(cpu, op);
}

SOFT_HX(soft_op_sldt)
{
	write16(cpu, op, cpu->ldt.selector);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_str)
{
	write16(cpu, op, cpu->tr.selector);
	SOFT_NEXT(cpu, op);
}

/* LLDT and LTR: a system descriptor, 16 bytes in long mode, of one of two types. */
static bool system_segment(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
			   unsigned int type, struct hv_seg *s)
{
	uint64_t lo, hi = 0;

	if ((sel & ~3u) == 0)
		return false;
	if (sel & 4 || !soft_read_descriptor(cpu, op, sel, &lo, soft_long_mode(cpu) ? &hi : NULL))
		soft_raise_err(cpu, op, SOFT_GP, sel & ~3u);
	*s = soft_parse_descriptor(sel, lo);
	s->base |= hi << 32;
	if (s->attr & HV_SEG_S || SOFT_SEG_TYPE(s) != type)
		soft_raise_err(cpu, op, SOFT_GP, sel & ~3u);
	if (!(s->attr & HV_SEG_P))
		soft_raise_err(cpu, op, SOFT_NP, sel & ~3u);
	return true;
}

SOFT_HX(soft_op_lldt)
{
	uint16_t sel;
	struct hv_seg s;

	need_cpl0(cpu, op);
	sel = read16(cpu, op);
	if (!system_segment(cpu, op, sel, 2, &s))
		s = (struct hv_seg){.selector = sel, .attr = HV_SEG_UNUSABLE};
	cpu->ldt = s;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_ltr)
{
	uint16_t sel;
	struct hv_seg s;
	uint64_t at;

	need_cpl0(cpu, op);
	sel = read16(cpu, op);
	if (!system_segment(cpu, op, sel, 9, &s))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	at = cpu->gdt.base + (sel & ~7u) + 5;
	soft_sys_st(cpu, op, at, soft_sys_ld(cpu, op, at, 1) | 2, 1); /* busy */
	s.attr |= 2;
	cpu->tr = s;
	SOFT_NEXT(cpu, op);
}

/* May code at the current CPL see this descriptor at all? For VERR VERW LAR LSL. */
static bool visible(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel, struct hv_seg *s)
{
	uint64_t lo;

	if (!soft_read_descriptor(cpu, op, sel, &lo, NULL))
		return false;
	*s = soft_parse_descriptor(sel, lo);
	if (s->attr & HV_SEG_S &&
	    (SOFT_SEG_TYPE(s) & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING))
		return true;
	return SOFT_SEG_DPL(s) >= cpu->cpl && SOFT_SEG_DPL(s) >= (sel & 3u);
}

static void set_zf(struct soft_cpu *cpu, bool zf)
{
	soft_flags_load(&cpu->flags,
			(soft_flags_arith(&cpu->flags) & ~SOFT_ZF) | (zf ? SOFT_ZF : 0));
}

SOFT_HX(soft_op_verr)
{
	struct hv_seg s;

	set_zf(cpu,
	       visible(cpu, op, read16(cpu, op), &s) && s.attr & HV_SEG_S &&
		       (!(SOFT_SEG_TYPE(&s) & TYPE_CODE) || SOFT_SEG_TYPE(&s) & TYPE_WRITABLE));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_verw)
{
	struct hv_seg s;

	set_zf(cpu, visible(cpu, op, read16(cpu, op), &s) && s.attr & HV_SEG_S &&
			    !(SOFT_SEG_TYPE(&s) & TYPE_CODE) && SOFT_SEG_TYPE(&s) & TYPE_WRITABLE);
	SOFT_NEXT(cpu, op);
}

static void write_sized(struct soft_cpu *cpu, const struct soft_op *op, uint32_t v)
{
	if (op->imm == 2)
		soft_set16(cpu, op->reg, (uint16_t)v);
	else
		cpu->gpr[op->reg] = v;
}

SOFT_HX(soft_op_lar)
{
	struct hv_seg s;
	bool ok = visible(cpu, op, read16(cpu, op), &s);

	if (ok && !(s.attr & HV_SEG_S)) /* LDT, TSS, call gate */
		ok = SOFT_SEG_TYPE(&s) == 2 || SOFT_SEG_TYPE(&s) == 9 || SOFT_SEG_TYPE(&s) == 11 ||
		     SOFT_SEG_TYPE(&s) == 12;
	if (ok)
		write_sized(cpu, op, (s.attr & 0xffu) << 8 | (s.attr & 0xf00u) << 12);
	set_zf(cpu, ok);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_lsl)
{
	struct hv_seg s;
	bool ok = visible(cpu, op, read16(cpu, op), &s);

	if (ok && !(s.attr & HV_SEG_S))
		ok = SOFT_SEG_TYPE(&s) == 2 || SOFT_SEG_TYPE(&s) == 9 || SOFT_SEG_TYPE(&s) == 11;
	if (ok)
		write_sized(cpu, op, s.limit);
	set_zf(cpu, ok);
	SOFT_NEXT(cpu, op);
}

/* --- descriptor tables ------------------------------------------------------------------------ */

static unsigned int base_bytes(const struct soft_cpu *cpu)
{
	return cpu->mode & SOFT_MODE_64 ? 8 : 4;
}

static struct hv_dtable load_table(struct soft_cpu *cpu, const struct soft_op *op)
{
	struct hv_dtable t = {0};
	uint64_t la;

	need_cpl0(cpu, op);
	la = soft_ea(cpu, op);
	t.limit = soft_ld16(cpu, op, la);
	t.base = soft_ld_slow(cpu, op, la + 2, base_bytes(cpu));
	return t;
}

SOFT_HX(soft_op_lgdt)
{
	cpu->gdt = load_table(cpu, op);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_lidt)
{
	cpu->idt = load_table(cpu, op);
	SOFT_NEXT(cpu, op);
}

static void store_table(struct soft_cpu *cpu, const struct soft_op *op, const struct hv_dtable *t)
{
	uint64_t la = soft_ea(cpu, op);
	uint8_t image[10];

	memcpy(image, &t->limit, 2);
	memcpy(image + 2, &t->base, 8);
	soft_st_bytes(cpu, op, la, image, 2 + base_bytes(cpu));
}

SOFT_HX(soft_op_sgdt)
{
	store_table(cpu, op, &cpu->gdt);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_sidt)
{
	store_table(cpu, op, &cpu->idt);
	SOFT_NEXT(cpu, op);
}

/* RDFSBASE RDGSBASE WRFSBASE WRGSBASE: aux bits 0-1 which, bit 7 64-bit operand */
SOFT_HX(soft_op_fsgsbase)
{
	unsigned int reg = op->aux & 1 ? HV_GS : HV_FS;
	uint64_t v = op->aux & 0x80 ? cpu->gpr[op->rm] : soft_get32(cpu, op->rm);

	if (!(cpu->cr4 & SOFT_CR4_FSGSBASE))
		soft_raise(cpu, op, SOFT_UD);
	if (op->aux & 2) {
		if ((uint64_t)((int64_t)(v << 16) >> 16) != v)
			soft_raise_err(cpu, op, SOFT_GP, 0);
		cpu->seg[reg].base = cpu->seg_base[reg] = v;
	} else {
		v = cpu->seg[reg].base;
		cpu->gpr[op->rm] = op->aux & 0x80 ? v : (uint32_t)v;
	}
	SOFT_NEXT(cpu, op);
}
