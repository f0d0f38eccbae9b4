/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two-byte opcode map as far as the integer core owns it; the rest, and the maps 0F38 and 0F3A,
 * are SSE's.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_decode_int.h"

static int ud(struct soft_op *op)
{
	op->fn = soft_op_ud;
	return SOFT_INSN_UD;
}

static int leaving(struct soft_decode *d, struct soft_op *op, soft_fn fn)
{
	d->ends_block = true;
	op->aux = d->opsize;
	return choose(op, fn);
}

/*
 * Groups whose operand goes by d->is_mem at run time: aux is 0 for memory, else the operand size.
 */
static int group6(struct soft_decode *d, struct soft_op *op)
{
	static const soft_fn fn[8] = {soft_op_sldt, soft_op_str,  soft_op_lldt, soft_op_ltr,
				      soft_op_verr, soft_op_verw, NULL,		NULL};

	soft_decode_modrm(d, op);
	op->aux = d->is_mem ? 0 : d->opsize;
	return choose(op, fn[d->reg]);
}

static int group7(struct soft_decode *d, struct soft_op *op)
{
	static const soft_fn memory[8] = {soft_op_sgdt, soft_op_sidt, soft_op_lgdt, soft_op_lidt,
					  soft_op_smsw, NULL,	      soft_op_lmsw, soft_op_invlpg};

	soft_decode_modrm(d, op);
	op->aux = d->is_mem ? 0 : d->opsize;
	if (d->is_mem) {
		d->ends_block = d->reg == 6 || d->reg == 7;
		return choose(op, memory[d->reg]);
	}
	if (d->reg == 4)
		return choose(op, soft_op_smsw);
	if (d->reg == 6) {
		d->ends_block = true;
		return choose(op, soft_op_lmsw);
	}
	if (d->reg == 7 && d->rm == 0 && is_64(d))
		return choose(op, soft_op_swapgs);
	if (d->reg == 7 && d->rm == 1)
		return choose(op, soft_op_rdtscp);
	return ud(op);
}

static int group8(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	op->imm = soft_decode_imm8(d);
	if (d->reg < 4)
		return ud(op);
	d->lock_ok = d->is_mem && d->reg > 4;
	op->flags |= d->lock ? SOFT_OP_LOCK : 0;
	return choose(op, soft_bt[d->reg - 4][width_v(d)][d->is_mem * 2 + 1]);
}

static int group9(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	if (!d->is_mem && d->reg >= 6 && d->pfx <= SOFT_PFX_66) {
		op->aux = d->opsize;
		return choose(op, soft_op_rdrand);
	}
	if (d->reg != 1 || !d->is_mem)
		return ud(op);
	d->lock_ok = true;
	return choose(op, d->rex_w ? soft_op_cmpxchg16b : soft_op_cmpxchg8b);
}

static int group15(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	if (d->is_mem) {
		if (d->reg < 4)
			return soft_sse_decode(d, op);
		return d->reg == 7 && d->pfx == SOFT_PFX_NONE ? choose(op, soft_op_clflush)
							      : ud(op); /* no XSAVE, no CLFLUSHOPT */
	}
	if (d->pfx == SOFT_PFX_F3 && d->reg < 4 && is_64(d)) {
		op->aux = d->reg | (d->rex_w ? 0x80 : 0);
		return choose(op, soft_op_fsgsbase);
	}
	return d->reg >= 5 && d->pfx == SOFT_PFX_NONE ? choose(op, soft_op_fence) : ud(op);
}

static int bt_r(struct soft_decode *d, struct soft_op *op)
{
	unsigned int which = d->opcode >> 3 & 3; /* A3 AB B3 BB */

	soft_decode_modrm(d, op);
	d->lock_ok = d->is_mem && which;
	op->flags |= d->lock ? SOFT_OP_LOCK : 0;
	return choose(op, soft_bt[which][width_v(d)][d->is_mem * 2]);
}

static int shxd(struct soft_decode *d, struct soft_op *op)
{
	bool by_cl = d->opcode & 1;

	soft_decode_modrm(d, op);
	op->imm = by_cl ? 0 : soft_decode_imm8(d);
	return choose(op, soft_shxd[d->opcode >> 3 & 1][width_v(d)][d->is_mem * 2 + by_cl]);
}

static int extend(struct soft_decode *d, struct soft_op *op)
{
	bool is_signed = d->opcode & 8;
	unsigned int from = d->opcode & 1;

	soft_decode_modrm(d, op);
	if (!from && !d->is_mem)
		op->rm = byte_reg(d, op->rm);
	return choose(
		op,
		soft_extend[is_signed][from][width_v(d)][d->is_mem ? 1 + soft_op_is_flat(op) : 0]);
}

/* CMPXCHG, XADD */
static int exchange(struct soft_decode *d, struct soft_op *op, const soft_fn (*table)[2])
{
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	d->lock_ok = d->is_mem;
	op->flags |= d->lock ? SOFT_OP_LOCK : 0;
	return form_rm(d, op, table[w]);
}

static int scan(struct soft_decode *d, struct soft_op *op)
{
	unsigned int which = d->opcode == 0xb8	 ? SOFT_POPCNT
			     : d->opcode == 0xbc ? SOFT_BSF
						 : SOFT_BSR;

	if (which == SOFT_POPCNT && d->pfx != SOFT_PFX_F3)
		return SOFT_INSN_UD;
	soft_decode_modrm(d, op);
	return form_rm(d, op, soft_scan[which][width_v(d)]);
}

/* PUSH and POP of FS and GS */
static int push_pop_fs_gs(struct soft_decode *d, struct soft_op *op)
{
	bool pop = d->opcode & 1;

	op->reg = d->opcode & 8 ? SOFT_GS : SOFT_FS;
	op->aux = is_64(d) ? (d->opsize16 ? 2 : 8) : d->opsize;
	d->ends_block = pop;
	return choose(op, pop ? soft_op_pop_sreg : soft_op_push_sreg);
}

static int mov_cr_dr(struct soft_decode *d, struct soft_op *op)
{
	static const soft_fn fn[4] = {soft_op_mov_from_cr, soft_op_mov_from_dr, soft_op_mov_to_cr,
				      soft_op_mov_to_dr};

	soft_decode_modrm(d, op);
	/* mod is ignored: the operand is always a register, and there is no displacement */
	if (d->is_mem)
		return ud(op);
	op->aux = is_64(d) ? 8 : 4;
	if (d->opcode & 2)
		d->ends_block = true;
	return choose(op, fn[d->opcode & 3]);
}

static int system_op(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0x02:
	case 0x03:
		soft_decode_modrm(d, op);
		op->aux = d->is_mem ? 0 : d->opsize;
		op->imm = d->opsize;
		return choose(op, d->opcode == 2 ? soft_op_lar : soft_op_lsl);
	case 0x05:
		return leaving(d, op, is_64(d) ? soft_op_syscall : soft_op_ud);
	case 0x06:
		return leaving(d, op, soft_op_clts);
	case 0x07:
		return leaving(d, op, is_64(d) ? soft_op_sysret : soft_op_ud);
	case 0x08 ... 0x09:
		return choose(op, soft_op_wbinvd);
	case 0x0b:
		return ud(op);
	case 0x30:
		return leaving(d, op, soft_op_wrmsr);
	case 0x31:
		return choose(op, soft_op_rdtsc);
	case 0x32:
		return choose(op, soft_op_rdmsr);
	case 0x33:
		return choose(op, soft_op_rdpmc);
	case 0xa2:
		return choose(op, soft_op_cpuid);
	default:
		return SOFT_INSN_UD;
	}
}

static int sse(struct soft_decode *d, struct soft_op *op)
{
	if (d->map == SOFT_MAP_0F && (d->opcode == 0x38 || d->opcode == 0x3a)) {
		d->map = d->opcode == 0x38 ? SOFT_MAP_0F38 : SOFT_MAP_0F3A;
		d->opcode = (uint8_t)imm_n(d, 1);
	}
	if (d->map != SOFT_MAP_0F || d->opcode != 0x77)
		soft_decode_modrm(d, op);
	return soft_sse_decode(d, op);
}

static int decode_high(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0xa0 ... 0xa1:
	case 0xa8 ... 0xa9:
		return push_pop_fs_gs(d, op);
	case 0xa2:
		return system_op(d, op);
	case 0xa3:
	case 0xab:
	case 0xb3:
	case 0xbb:
		return bt_r(d, op);
	case 0xa4 ... 0xa5:
	case 0xac ... 0xad:
		return shxd(d, op);
	case 0xae:
		return group15(d, op);
	case 0xaf:
		soft_decode_modrm(d, op);
		return form_rm(d, op, soft_imul[width_v(d)][0]);
	case 0xb0 ... 0xb1:
		return exchange(d, op, soft_cmpxchg);
	case 0xb6 ... 0xb7:
	case 0xbe ... 0xbf:
		return extend(d, op);
	case 0xb8:
	case 0xbc ... 0xbd:
		return scan(d, op);
	case 0xba:
		return group8(d, op);
	case 0xb9:
	case 0xff:
		return ud(op);
	case 0xc0 ... 0xc1:
		return exchange(d, op, soft_xadd);
	case 0xc7:
		return group9(d, op);
	case 0xc8 ... 0xcf:
		op->rm = (uint8_t)((d->opcode & 7) | (d->rex & 1) << 3);
		return choose(op, soft_bswap[width_v(d)]);
	case 0xa6 ... 0xa7:
	case 0xaa:
	case 0xb2:
	case 0xb4 ... 0xb5:
		return SOFT_INSN_UD;
	default:
		return sse(d, op);
	}
}

int soft_decode_map0f(struct soft_decode *d, struct soft_op *op)
{
	d->map = SOFT_MAP_0F;
	d->opcode = (uint8_t)imm_n(d, 1);
	switch (d->opcode) {
	case 0x00:
		return group6(d, op);
	case 0x01:
		return group7(d, op);
	case 0x02 ... 0x0b:
	case 0x30 ... 0x37:
		return system_op(d, op);
	case 0x0d:
	case 0x18 ... 0x1f: /* prefetches, hints, ENDBR, long NOPs */
		soft_decode_modrm(d, op);
		return choose(op, soft_op_nop);
	case 0x20 ... 0x23:
		return mov_cr_dr(d, op);
	case 0x40 ... 0x4f:
		soft_decode_modrm(d, op);
		return form_rm(d, op, soft_cmov[d->opcode & 15][width_v(d)]);
	case 0x80 ... 0x8f: {
		uint64_t disp = is_64(d) ? (uint64_t)(int64_t)(int32_t)imm_n(d, 4) : imm_z(d);
		bool near = relative(d, op, disp);

		return choose(op, soft_jcc[d->opcode & 15][!near]);
	}
	case 0x90 ... 0x9f:
		soft_decode_modrm(d, op);
		if (!d->is_mem)
			op->rm = byte_reg(d, op->rm);
		return form_rm(d, op, soft_setcc[d->opcode & 15]);
	default:
		return d->opcode < 0xa0 || d->opcode >= 0xd0 ? sse(d, op) : decode_high(d, op);
	}
}
