/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the decoder: fetching of immediates, operand fixing and choosing of forms, shared by
 * the opcode maps. Everything works on struct soft_decode alone. [any]
 */
#ifndef SOFT_DECODE_INT_H
#define SOFT_DECODE_INT_H

#include "hvcore/engine_soft/soft_decode.h"
#include "hvcore/engine_soft/soft_ops.h"

/* The opcode maps: fill *op, return SOFT_INSN_. */
int soft_decode_map1(struct soft_decode *d, struct soft_op *op);
int soft_decode_map0f(struct soft_decode *d, struct soft_op *op);

void soft_decode_modrm(struct soft_decode *d, struct soft_op *op);

static inline bool is_64(const struct soft_decode *d)
{
	return d->mode & SOFT_MODE_64;
}

static inline uint64_t imm_n(struct soft_decode *d, unsigned int bytes)
{
	uint64_t v = 0;

	if ((size_t)(d->end - d->p) < bytes) {
		d->short_of_bytes = true;
		d->p = d->end;
		return 0;
	}
	for (unsigned int i = 0; i < bytes; i++)
		v |= (uint64_t)d->p[i] << (8 * i);
	d->p += bytes;
	return v;
}

static inline uint64_t imm8s(struct soft_decode *d)
{
	return (uint64_t)(int64_t)(int8_t)imm_n(d, 1);
}

/* Of the operand size, but 32 bits sign-extended for 64. */
static inline uint64_t imm_z(struct soft_decode *d)
{
	return d->opsize == 2 ? (uint64_t)(int64_t)(int16_t)imm_n(d, 2)
			      : (uint64_t)(int64_t)(int32_t)imm_n(d, 4);
}

/* Width index of the operand size; of a byte instruction, bit 0 of the opcode clear. */
static inline unsigned int width_v(const struct soft_decode *d)
{
	return d->opsize == 2 ? SOFT_W16 : d->opsize == 4 ? SOFT_W32 : SOFT_W64;
}

static inline unsigned int width_bv(const struct soft_decode *d)
{
	return d->opcode & 1 ? width_v(d) : (unsigned int)SOFT_W8;
}

/* Number of an 8-bit register as its byte offset in gpr[]; without REX 4-7 are AH CH DH BH. */
static inline uint8_t byte_reg(const struct soft_decode *d, unsigned int r)
{
	return (uint8_t)(!d->rex && r >= 4 && r < 8 ? (r - 4) * 8 + 1 : r * 8);
}

/* ModRM with both operands of width w. */
static inline void modrm_w(struct soft_decode *d, struct soft_op *op, unsigned int w)
{
	soft_decode_modrm(d, op);
	if (w != SOFT_W8)
		return;
	op->reg = byte_reg(d, op->reg);
	if (!d->is_mem)
		op->rm = byte_reg(d, op->rm);
}

static inline int choose(struct soft_op *op, soft_fn fn)
{
	op->fn = fn;
	return fn ? SOFT_INSN_INT : SOFT_INSN_UD;
}

/* op r/m, r */
static inline int form_rm_r(struct soft_decode *d, struct soft_op *op, const soft_fn *row)
{
	uint8_t t = op->reg;

	if (d->is_mem) {
		if (d->lock && row[SOFT_LR]) {
			d->lock_ok = true;
			return choose(op, row[SOFT_LR]);
		}
		return choose(op, row[soft_op_is_flat(op) ? SOFT_DR : SOFT_MR]);
	}
	op->reg = op->rm;
	op->rm = t;
	return choose(op, row[SOFT_RR]);
}

/* op r, r/m */
static inline int form_r_rm(struct soft_decode *d, struct soft_op *op, const soft_fn *row)
{
	if (d->is_mem)
		return choose(op, row[soft_op_is_flat(op) ? SOFT_RD : SOFT_RM]);
	return choose(op, row[SOFT_RR]);
}

/* op r/m, imm; the immediate is there already */
static inline int form_rm_i(struct soft_decode *d, struct soft_op *op, const soft_fn *row)
{
	if (d->is_mem) {
		if (d->lock && row[SOFT_LI]) {
			d->lock_ok = true;
			return choose(op, row[SOFT_LI]);
		}
		return choose(op, row[soft_op_is_flat(op) ? SOFT_DI : SOFT_MI]);
	}
	op->reg = op->rm;
	return choose(op, row[SOFT_RI]);
}

/* one operand r/m with forms register, memory */
static inline int form_rm(struct soft_decode *d, struct soft_op *op, const soft_fn *row)
{
	return choose(op, row[d->is_mem]);
}

/*
 * Relative branch: the target as an offset from the page base. Known once the instruction's end is.
 */
static inline bool relative(struct soft_decode *d, struct soft_op *op, uint64_t disp)
{
	op->imm = op->off + (uint64_t)(d->p - d->start) + disp;
	op->link = NULL;
	return op->imm < 4096;
}

#endif
