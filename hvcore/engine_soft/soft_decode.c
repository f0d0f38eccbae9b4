/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder: prefixes, opcode map, ModRM, SIB, displacement. Bytes of the guest in, one op out;
 * never reads beyond the bytes it was given, whatever they are. The maps themselves are in
 * soft_decode_map1.c and soft_decode_map0f.c.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_decode_int.h"

static void prefixes(struct soft_decode *d)
{
	for (; d->p < d->end; d->p++) {
		uint8_t b = *d->p;

		switch (b) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e: /* ES CS SS DS: mean nothing in 64-bit mode */
			if (!is_64(d))
				d->seg = (b >> 3) & 3;
			break;
		case 0x64:
		case 0x65:
			d->seg = (uint8_t)(SOFT_FS + (b & 1));
			break;
		case 0x66:
			d->opsize16 = true;
			break;
		case 0x67:
			d->addrsize = 0; /* settled in sizes() */
			break;
		case 0xf0:
			d->lock = true;
			break;
		case 0xf2:
			d->pfx = SOFT_PFX_F2;
			break;
		case 0xf3:
			d->pfx = SOFT_PFX_F3;
			break;
		default:
			if (is_64(d) && (b & 0xf0) == 0x40) {
				d->rex = b; /* counts only right before the opcode */
				continue;
			}
			return;
		}
		d->rex = 0;
	}
}

static void sizes(struct soft_decode *d, struct soft_op *op)
{
	bool other_addr = d->addrsize == 0;

	d->rex_w = d->rex & 8;
	if (d->pfx == SOFT_PFX_NONE && d->opsize16)
		d->pfx = SOFT_PFX_66;
	if (is_64(d)) {
		d->opsize = d->rex_w ? 8 : d->opsize16 ? 2 : 4;
		d->addrsize = other_addr ? 4 : 8;
		op->flags |= other_addr ? SOFT_OP_ADDR32 : 0;
		return;
	}
	d->opsize = !(d->mode & SOFT_MODE_16) != d->opsize16 ? 4 : 2;
	d->addrsize = !(d->mode & SOFT_MODE_16) != other_addr ? 4 : 2;
	op->flags |= SOFT_OP_LIN32 | (d->addrsize == 4 ? SOFT_OP_ADDR32 : SOFT_OP_ADDR16);
}

/* The segment of a memory operand: in 64-bit mode only FS and GS have a base. */
static void segment(struct soft_decode *d, struct soft_op *op)
{
	bool stack = op->base == SOFT_RSP || op->base == SOFT_RBP;

	if (stack)
		op->flags |= SOFT_OP_STACK;
	if (d->seg != SOFT_SEG_NONE)
		op->seg = d->seg;
	else if (is_64(d))
		op->seg = SOFT_SEG_NONE;
	else
		op->seg = stack ? SOFT_SS : SOFT_DS;
}

static void modrm16(struct soft_decode *d, struct soft_op *op)
{
	static const uint8_t base[8] = {SOFT_RBX, SOFT_RBX, SOFT_RBP, SOFT_RBP,
					SOFT_RSI, SOFT_RDI, SOFT_RBP, SOFT_RBX};
	static const uint8_t index[8] = {SOFT_RSI,	SOFT_RDI,      SOFT_RSI,
					 SOFT_RDI,	SOFT_REG_ZERO, SOFT_REG_ZERO,
					 SOFT_REG_ZERO, SOFT_REG_ZERO};

	op->base = base[d->rm];
	op->index = index[d->rm];
	if (d->mod == 0 && d->rm == 6) {
		op->base = SOFT_REG_ZERO;
		op->disp = (int16_t)imm_n(d, 2);
	} else if (d->mod == 1) {
		op->disp = (int8_t)imm_n(d, 1);
	} else if (d->mod == 2) {
		op->disp = (int16_t)imm_n(d, 2);
	}
}

static void sib(struct soft_decode *d, struct soft_op *op)
{
	uint8_t b = (uint8_t)imm_n(d, 1);
	uint8_t index = (uint8_t)((b >> 3 & 7) | (d->rex & 2) << 2);

	op->scale = b >> 6;
	op->index = index == SOFT_RSP ? SOFT_REG_ZERO : index;
	op->base = (uint8_t)((b & 7) | (d->rex & 1) << 3);
	if ((b & 7) == 5 && d->mod == 0) {
		op->base = SOFT_REG_ZERO;
		op->disp = (int32_t)imm_n(d, 4);
	}
}

static void modrm32(struct soft_decode *d, struct soft_op *op)
{
	op->index = SOFT_REG_ZERO;
	if (d->rm == 4) {
		sib(d, op);
	} else if (d->rm == 5 && d->mod == 0) {
		op->base = SOFT_REG_ZERO;
		op->disp = (int32_t)imm_n(d, 4);
		d->rip_relative = is_64(d);
	} else {
		op->base = (uint8_t)(d->rm | (d->rex & 1) << 3);
	}
	if (d->mod == 1)
		op->disp = (int8_t)imm_n(d, 1);
	else if (d->mod == 2)
		op->disp = (int32_t)imm_n(d, 4);
}

void soft_decode_modrm(struct soft_decode *d, struct soft_op *op)
{
	uint8_t b = (uint8_t)imm_n(d, 1);

	d->has_modrm = true;
	d->mod = b >> 6;
	d->reg = b >> 3 & 7;
	d->rm = b & 7;
	d->is_mem = d->mod != 3;
	op->reg = (uint8_t)(d->reg | (d->rex & 4) << 1);
	op->rm = (uint8_t)(d->rm | (d->rex & 1) << 3);
	if (!d->is_mem)
		return;
	if (d->addrsize == 2)
		modrm16(d, op);
	else
		modrm32(d, op);
	segment(d, op);
}

/* [rip+disp] is relative to the end of the instruction, which is known only now. */
static void settle_rip_relative(struct soft_op *op)
{
	int64_t disp = (int64_t)op->disp + op->off + op->len;

	op->base = SOFT_REG_PAGE;
	if (disp > INT32_MAX) {
		op->base = SOFT_REG_FAR;
		disp -= 2 * SOFT_PAGE;
	}
	op->disp = (int32_t)disp;
}

/* CR0 and CR4 may forbid an instruction of this kind. */
static void settle_fpu(const struct soft_decode *d, struct soft_op *op, int kind)
{
	bool em = d->mode & SOFT_MODE_NO_FPU, ts = d->mode & SOFT_MODE_TS;

	if (kind == SOFT_INSN_X87 && (em || ts))
		op->fn = soft_op_nm;
	else if ((kind == SOFT_INSN_MMX && em) ||
		 (kind == SOFT_INSN_SSE && (em || d->mode & SOFT_MODE_NO_SSE)))
		op->fn = soft_op_ud;
	else if ((kind == SOFT_INSN_MMX || kind == SOFT_INSN_SSE) && ts)
		op->fn = soft_op_nm;
}

unsigned int soft_decode_one(const uint8_t *buf, unsigned int len, unsigned int mode,
			     struct soft_op *op, bool *ends_block)
{
	struct soft_decode d = {
		.p = buf, .start = buf, .mode = (uint8_t)mode, .addrsize = 8, .seg = SOFT_SEG_NONE};
	uint16_t off = op->off;
	int kind;

	d.end = buf + (len < SOFT_INSN_MAX ? len : SOFT_INSN_MAX);
	*op = (struct soft_op){
		.off = off, .base = SOFT_REG_ZERO, .index = SOFT_REG_ZERO, .seg = SOFT_SEG_NONE};
	prefixes(&d);
	sizes(&d, op);
	d.opcode = (uint8_t)imm_n(&d, 1);
	kind = d.opcode == 0x0f ? soft_decode_map0f(&d, op) : soft_decode_map1(&d, op);
	op->len = (uint8_t)(d.p - d.start);
	if (d.short_of_bytes) {
		if (len < SOFT_INSN_MAX)
			return 0;
		op->fn = soft_op_gp; /* longer than 15 bytes */
		op->len = SOFT_INSN_MAX;
		d.ends_block = true;
	} else if (kind == SOFT_INSN_UD) {
		op->fn = op->fn == soft_op_ud ? soft_op_ud : soft_op_unknown;
		d.ends_block = true;
	} else if (d.lock && !d.lock_ok) {
		op->fn = soft_op_ud;
		d.ends_block = true;
	} else {
		if (d.rip_relative)
			settle_rip_relative(op);
		settle_fpu(&d, op, kind);
	}
	*ends_block = d.ends_block;
	return op->len;
}
