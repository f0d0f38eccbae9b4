/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one-byte opcode map. BCD instructions, BOUND, ARPL, PUSHA and the far pointers of 32-bit code
 * are not there.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_decode_int.h"

static int ud(struct soft_op *op)
{
	op->fn = soft_op_ud;
	return SOFT_INSN_UD;
}

static int alu_block(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);
	const soft_fn *row = soft_alu[d->opcode >> 3][w];

	switch (d->opcode & 7) {
	case 0:
	case 1:
		modrm_w(d, op, w);
		return form_rm_r(d, op, row);
	case 2:
	case 3:
		modrm_w(d, op, w);
		return form_r_rm(d, op, row);
	default:
		op->imm = w == SOFT_W8 ? imm8s(d) : imm_z(d);
		op->reg = SOFT_RAX;
		return choose(op, row[SOFT_RI]);
	}
}

/* 06-1F with low bits 6, 7: PUSH and POP of segment registers, outside of 64-bit mode */
static int push_pop_sreg(struct soft_decode *d, struct soft_op *op)
{
	if (is_64(d) || d->opcode > 0x1f || d->opcode == 0x0f)
		return SOFT_INSN_UD;
	op->reg = d->opcode >> 3;
	op->aux = d->opsize;
	d->ends_block = d->opcode & 1;
	return choose(op, d->opcode & 1 ? soft_op_pop_sreg_legacy : soft_op_push_sreg_legacy);
}

/* 40-4F, INC and DEC of a register outside of 64-bit mode */
static int inc_dec_short(struct soft_decode *d, struct soft_op *op)
{
	op->rm = d->opcode & 7;
	return choose(op, soft_unary[d->opcode & 8 ? SOFT_DEC : SOFT_INC][width_v(d)][SOFT_UR]);
}

/* Stack operands of 64-bit code are 8 bytes, with 66 (and no REX.W) 2. */
static bool stack_wide(const struct soft_decode *d)
{
	return d->rex_w || !d->opsize16;
}

static int push_pop_r(struct soft_decode *d, struct soft_op *op)
{
	bool pop = d->opcode & 8;

	op->flags |= SOFT_OP_STACK;
	op->rm = (uint8_t)((d->opcode & 7) | (d->rex & 1) << 3);
	op->aux = d->opsize;
	if (!is_64(d))
		return choose(op, pop ? soft_op_pop_legacy_r : soft_op_push_legacy_r);
	return choose(op, pop ? soft_pop[stack_wide(d)][0] : soft_push[stack_wide(d)][0]);
}

static int push_imm(struct soft_decode *d, struct soft_op *op)
{
	op->imm = d->opcode == 0x6a ? imm8s(d) : imm_z(d);
	op->aux = d->opsize;
	op->flags |= SOFT_OP_STACK;
	return choose(op, is_64(d) ? soft_push[stack_wide(d)][2] : soft_op_push_legacy_i);
}

static int imul_imm(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	op->imm = d->opcode == 0x6b ? imm8s(d) : imm_z(d);
	return form_rm(d, op, soft_imul[width_v(d)][1]);
}

static int jcc_short(struct soft_decode *d, struct soft_op *op)
{
	bool near = relative(d, op, imm8s(d));

	return choose(op, soft_jcc[d->opcode & 15][!near]);
}

static int group1(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	if (d->opcode == 0x82 && is_64(d))
		return SOFT_INSN_UD;
	modrm_w(d, op, w);
	op->imm = d->opcode == 0x81 ? imm_z(d) : imm8s(d);
	return form_rm_i(d, op, soft_alu[d->reg][w]);
}

static int mov_block(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	return d->opcode & 2 ? form_r_rm(d, op, soft_mov[w]) : form_rm_r(d, op, soft_mov[w]);
}

static int xchg_rm(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	d->lock_ok = d->is_mem;
	return form_rm(d, op, soft_xchg[w]);
}

static int mov_sreg(struct soft_decode *d, struct soft_op *op)
{
	bool load = d->opcode == 0x8e;

	soft_decode_modrm(d, op);
	if (d->reg > SOFT_GS || (load && d->reg == SOFT_CS))
		return ud(op);
	op->reg = d->reg;
	op->aux = d->is_mem ? 0 : d->opsize;
	d->ends_block = load;
	return choose(op, load ? soft_op_mov_to_sreg : soft_op_mov_from_sreg);
}

static int lea(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	if (!d->is_mem)
		return ud(op);
	op->seg = SOFT_SEG_NONE;
	op->flags &= ~SOFT_OP_LIN32;
	return choose(op, soft_lea[width_v(d)][soft_op_is_flat(op)]);
}

static int pop_rm(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	if (d->reg || !is_64(d))
		return SOFT_INSN_UD;
	return form_rm(d, op, soft_pop[stack_wide(d)]);
}

static int xchg_rax(struct soft_decode *d, struct soft_op *op)
{
	op->rm = (uint8_t)((d->opcode & 7) | (d->rex & 1) << 3);
	op->reg = SOFT_RAX;
	if (op->rm == SOFT_RAX)
		return choose(op, d->pfx == SOFT_PFX_F3 ? soft_op_pause : soft_op_nop);
	return choose(op, soft_xchg[width_v(d)][0]);
}

static int mov_moffs(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);
	uint64_t at = imm_n(d, d->addrsize);

	op->reg = SOFT_RAX;
	op->seg = d->seg != SOFT_SEG_NONE || is_64(d) ? d->seg : (uint8_t)SOFT_DS;
	if ((int64_t)at == (int32_t)at) {
		op->disp = (int32_t)at;
		return choose(op, soft_mov[w][d->opcode & 2 ? SOFT_MR : SOFT_RM]);
	}
	op->imm = at;
	op->aux = (uint8_t)(1 << w);
	return choose(op, d->opcode & 2 ? soft_op_mov_to_abs : soft_op_mov_from_abs);
}

static int string_op(struct soft_decode *d, struct soft_op *op, const soft_fn *row)
{
	op->seg = d->seg != SOFT_SEG_NONE || is_64(d) ? d->seg : (uint8_t)SOFT_DS;
	op->flags |= d->pfx == SOFT_PFX_F3   ? SOFT_OP_REP
		     : d->pfx == SOFT_PFX_F2 ? SOFT_OP_REPNE
					     : 0;
	op->aux = (uint8_t)(1 << (width_bv(d) == SOFT_W64 ? SOFT_W32 : width_bv(d)));
	return choose(op, row[width_bv(d)]);
}

static int port_string(struct soft_decode *d, struct soft_op *op)
{
	soft_fn row[SOFT_NR_WIDTHS];

	for (unsigned int i = 0; i < SOFT_NR_WIDTHS; i++)
		row[i] = d->opcode & 2 ? soft_op_outs : soft_op_ins;
	return string_op(d, op, row);
}

static int test_imm(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	op->imm = w == SOFT_W8 ? imm8s(d) : imm_z(d);
	op->reg = SOFT_RAX;
	return choose(op, soft_alu[SOFT_TEST][w][SOFT_RI]);
}

static int test_rm(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	return form_rm_r(d, op, soft_alu[SOFT_TEST][w]);
}

static int mov_imm(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = d->opcode & 8 ? width_v(d) : (unsigned int)SOFT_W8;
	unsigned int r = (d->opcode & 7u) | (d->rex & 1u) << 3;

	op->imm = imm_n(d, 1u << w);
	op->reg = w == SOFT_W8 ? byte_reg(d, r) : (uint8_t)r;
	return choose(op, soft_mov[w][SOFT_RI]);
}

/* C0 C1 by imm8, D0 D1 by one, D2 D3 by CL */
static int shift(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);
	bool by_cl = d->opcode >= 0xd2;

	modrm_w(d, op, w);
	op->imm = d->opcode < 0xd0 ? soft_decode_imm8(d) : 1;
	return choose(op, soft_shift[d->reg][w][d->is_mem * 2 + by_cl]);
}

static int ret(struct soft_decode *d, struct soft_op *op)
{
	op->imm = d->opcode == 0xc2 ? imm_n(d, 2) : 0;
	op->aux = d->opsize;
	op->flags |= SOFT_OP_STACK;
	d->ends_block = true;
	if (!is_64(d))
		return choose(op, soft_op_ret_legacy);
	return choose(op, d->opcode == 0xc2 ? soft_op_ret_i : soft_op_ret);
}

static int mov_rm_imm(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	if (d->reg)
		return SOFT_INSN_UD;
	op->imm = w == SOFT_W8 ? imm8s(d) : imm_z(d);
	return form_rm_i(d, op, soft_mov[w]);
}

/* System instructions that end the block; aux is the operand size. */
static int leaving(struct soft_decode *d, struct soft_op *op, soft_fn fn)
{
	d->ends_block = true;
	op->aux = d->opsize;
	return choose(op, fn);
}

static int call_rel(struct soft_decode *d, struct soft_op *op)
{
	uint64_t disp = is_64(d) ? (uint64_t)(int64_t)(int32_t)imm_n(d, 4) : imm_z(d);
	bool near = relative(d, op, disp);

	op->aux = d->opsize;
	op->flags |= SOFT_OP_STACK;
	d->ends_block = true;
	if (!is_64(d))
		return choose(op, soft_op_call_legacy);
	return choose(op, near ? soft_op_call_near : soft_op_call_far);
}

static int jmp_rel(struct soft_decode *d, struct soft_op *op)
{
	uint64_t disp = d->opcode == 0xeb ? imm8s(d)
			: is_64(d)	  ? (uint64_t)(int64_t)(int32_t)imm_n(d, 4)
					  : imm_z(d);
	bool near = relative(d, op, disp);

	d->ends_block = true;
	return choose(op, near ? soft_op_jmp_near : soft_op_jmp_far);
}

static int jmp_ptr(struct soft_decode *d, struct soft_op *op)
{
	if (is_64(d))
		return SOFT_INSN_UD;
	op->imm = imm_n(d, d->opsize);
	op->imm |= imm_n(d, 2) << 32;
	return leaving(d, op, soft_op_jmp_ptr);
}

static int port(struct soft_decode *d, struct soft_op *op)
{
	op->imm = d->opcode & 8 ? ~0ull : soft_decode_imm8(d);
	op->aux = d->opcode & 1 ? (d->opsize == 2 ? 2 : 4) : 1;
	return choose(op, d->opcode & 2 ? soft_op_out : soft_op_in);
}

static int group3(struct soft_decode *d, struct soft_op *op)
{
	static const uint8_t unary[4] = {0, 0, SOFT_NOT, SOFT_NEG};
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	if (d->reg >= 4)
		return form_rm(d, op, soft_muldiv[d->reg - 4][w]);
	if (d->reg < 2) {
		op->imm = w == SOFT_W8 ? imm8s(d) : imm_z(d);
		return form_rm_i(d, op, soft_alu[SOFT_TEST][w]);
	}
	d->lock_ok = d->is_mem;
	return choose(op, soft_unary[unary[d->reg]][w][d->is_mem ? 1 + d->lock : 0]);
}

static int group5_branch(struct soft_decode *d, struct soft_op *op)
{
	bool call = d->reg == 2;

	if (!is_64(d))
		return call ? SOFT_INSN_UD
			    : leaving(d, op, d->is_mem ? soft_op_unknown : soft_op_jmp_legacy_r);
	d->ends_block = true;
	if (d->is_mem)
		return choose(op, call ? soft_op_call_m : soft_op_jmp_m);
	return choose(op, call ? soft_op_call_r : soft_op_jmp_r);
}

static int group45(struct soft_decode *d, struct soft_op *op)
{
	unsigned int w = width_bv(d);

	modrm_w(d, op, w);
	if (d->reg < 2) {
		d->lock_ok = d->is_mem;
		return choose(
			op,
			soft_unary[d->reg ? SOFT_DEC : SOFT_INC][w][d->is_mem ? 1 + d->lock : 0]);
	}
	if (d->opcode == 0xfe)
		return SOFT_INSN_UD;
	op->aux = d->opsize;
	switch (d->reg) {
	case 2:
	case 4:
		return group5_branch(d, op);
	case 3:
	case 5:
		if (!d->is_mem)
			return ud(op);
		return leaving(d, op, d->reg == 3 ? soft_op_callf_m : soft_op_jmpf_m);
	case 6:
		if (!is_64(d))
			return choose(op,
				      d->is_mem ? soft_op_push_legacy_m : soft_op_push_legacy_r);
		return choose(op, soft_push[stack_wide(d)][d->is_mem]);
	default:
		return ud(op);
	}
}

static int x87(struct soft_decode *d, struct soft_op *op)
{
	soft_decode_modrm(d, op);
	return soft_x87_decode(d, op);
}

static int system_op(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0x9c:
		op->flags |= SOFT_OP_STACK;
		op->aux = d->opsize;
		return choose(op, is_64(d) ? soft_op_pushf : soft_op_pushf_legacy);
	case 0x9d:
		op->flags |= SOFT_OP_STACK;
		return leaving(d, op, is_64(d) ? soft_op_popf : soft_op_popf_legacy);
	case 0xc8:
		op->imm = imm_n(d, 2);
		op->aux = soft_decode_imm8(d);
		op->flags |= SOFT_OP_STACK;
		return choose(op, is_64(d) && stack_wide(d) ? soft_op_enter : NULL);
	case 0xc9:
		op->flags |= SOFT_OP_STACK;
		return choose(op, !is_64(d)	  ? NULL
				  : stack_wide(d) ? soft_op_leave
						  : soft_op_leave16);
	case 0xca:
	case 0xcb:
		op->imm = d->opcode == 0xca ? imm_n(d, 2) : 0;
		return leaving(d, op, soft_op_retf);
	case 0xcc:
		return leaving(d, op, soft_op_int3);
	case 0xcd:
		op->imm = soft_decode_imm8(d);
		return leaving(d, op, soft_op_int);
	case 0xcf:
		return leaving(d, op, is_64(d) ? soft_op_iret : NULL);
	case 0xf1:
		return leaving(d, op, soft_op_int1);
	case 0xf4:
		return leaving(d, op, soft_op_hlt);
	default:
		return SOFT_INSN_UD;
	}
}

static int flag_op(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0x9e:
		return choose(op, soft_op_sahf);
	case 0x9f:
		return choose(op, soft_op_lahf);
	case 0xf5:
		return choose(op, soft_op_cmc);
	case 0xf8:
		return choose(op, soft_op_clc);
	case 0xf9:
		return choose(op, soft_op_stc);
	case 0xfa:
		return choose(op, soft_op_cli);
	case 0xfb:
		return choose(op, soft_op_sti);
	case 0xfc:
		return choose(op, soft_op_cld);
	default:
		return choose(op, soft_op_std);
	}
}

static int decode_low(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0x00 ... 0x3f:
		return (d->opcode & 7) < 6 ? alu_block(d, op) : push_pop_sreg(d, op);
	case 0x40 ... 0x4f:
		return inc_dec_short(d, op); /* in 64-bit mode these are prefixes */
	case 0x50 ... 0x5f:
		return push_pop_r(d, op);
	case 0x63:
		soft_decode_modrm(d, op);
		return is_64(d) ? choose(op, soft_extend[1][2][width_v(d)]
							[d->is_mem ? 1 + soft_op_is_flat(op) : 0])
				: SOFT_INSN_UD;
	case 0x68:
	case 0x6a:
		return push_imm(d, op);
	case 0x69:
	case 0x6b:
		return imul_imm(d, op);
	case 0x6c ... 0x6f:
		return port_string(d, op);
	case 0x70 ... 0x7f:
		return jcc_short(d, op);
	default:
		return SOFT_INSN_UD;
	}
}

static int decode_mid(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0x80 ... 0x83:
		return group1(d, op);
	case 0x84 ... 0x85:
		return test_rm(d, op);
	case 0x86 ... 0x87:
		return xchg_rm(d, op);
	case 0x88 ... 0x8b:
		return mov_block(d, op);
	case 0x8c:
	case 0x8e:
		return mov_sreg(d, op);
	case 0x8d:
		return lea(d, op);
	case 0x8f:
		return pop_rm(d, op);
	case 0x90 ... 0x97:
		return xchg_rax(d, op);
	case 0x98:
		return choose(op, soft_cbw[width_v(d)]);
	case 0x99:
		return choose(op, soft_cwd[width_v(d)]);
	case 0x9b:
		op->fn = soft_op_fwait;
		return d->mode & SOFT_MODE_TS ? SOFT_INSN_X87 : SOFT_INSN_INT;
	case 0x9e ... 0x9f:
		return flag_op(d, op);
	case 0xa0 ... 0xa3:
		return mov_moffs(d, op);
	case 0xa4 ... 0xa5:
		return string_op(d, op, soft_movs);
	case 0xa6 ... 0xa7:
		return string_op(d, op, soft_cmps);
	case 0xa8 ... 0xa9:
		return test_imm(d, op);
	case 0xaa ... 0xab:
		return string_op(d, op, soft_stos);
	case 0xac ... 0xad:
		return string_op(d, op, soft_lods);
	case 0xae ... 0xaf:
		return string_op(d, op, soft_scas);
	case 0xb0 ... 0xbf:
		return mov_imm(d, op);
	default:
		return system_op(d, op);
	}
}

static int decode_high(struct soft_decode *d, struct soft_op *op)
{
	switch (d->opcode) {
	case 0xc0 ... 0xc1:
	case 0xd0 ... 0xd3:
		return shift(d, op);
	case 0xc2 ... 0xc3:
		return ret(d, op);
	case 0xc6 ... 0xc7:
		return mov_rm_imm(d, op);
	case 0xd7:
		op->base = SOFT_RBX;
		op->index = SOFT_REG_FAR; /* holds AL */
		op->seg = d->seg != SOFT_SEG_NONE || is_64(d) ? d->seg : (uint8_t)SOFT_DS;
		return choose(op, soft_op_xlat);
	case 0xd8 ... 0xdf:
		return x87(d, op);
	case 0xe0 ... 0xe3:
		relative(d, op, imm8s(d));
		return choose(op, soft_loop[d->opcode & 3]);
	case 0xe4 ... 0xe7:
	case 0xec ... 0xef:
		return port(d, op);
	case 0xe8:
		return call_rel(d, op);
	case 0xe9:
	case 0xeb:
		return jmp_rel(d, op);
	case 0xea:
		return jmp_ptr(d, op);
	case 0xf6 ... 0xf7:
		return group3(d, op);
	case 0xf5:
	case 0xf8 ... 0xfd:
		return flag_op(d, op);
	case 0xfe ... 0xff:
		return group45(d, op);
	default:
		return system_op(d, op);
	}
}

int soft_decode_map1(struct soft_decode *d, struct soft_op *op)
{
	if (d->opcode < 0x80)
		return decode_low(d, op);
	return d->opcode < 0xc0 ? decode_mid(d, op) : decode_high(d, op);
}
