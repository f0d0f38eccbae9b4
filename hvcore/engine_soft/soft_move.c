/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving data: MOV, MOVZX, MOVSX, LEA, CMOVcc, SETcc, PUSH, POP, BSWAP, the sign extensions of RAX,
 * flag transfers.
 *
 * Exchanges are in soft_atomic.c, segment and control registers in soft_system.c.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

#define MOV_W(W)                                                                                   \
	SOFT_H(mov##W##_rr)                                                                        \
	{                                                                                          \
		SOFT_SET(W, op->reg, SOFT_GET(W, op->rm));                                         \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_ri)                                                                        \
	{                                                                                          \
		SOFT_SET(W, op->reg, op->imm);                                                     \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_rm)                                                                        \
	{                                                                                          \
		SOFT_SET(W, op->reg, SOFT_LD(W, soft_ea(cpu, op)));                                \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_rd)                                                                        \
	{                                                                                          \
		SOFT_SET(W, op->reg, SOFT_LD(W, soft_ea_flat(cpu, op)));                           \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_mr)                                                                        \
	{                                                                                          \
		SOFT_ST(W, soft_ea(cpu, op), SOFT_GET(W, op->reg));                                \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_dr)                                                                        \
	{                                                                                          \
		SOFT_ST(W, soft_ea_flat(cpu, op), SOFT_GET(W, op->reg));                           \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_mi)                                                                        \
	{                                                                                          \
		SOFT_ST(W, soft_ea(cpu, op), op->imm);                                             \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(mov##W##_di)                                                                        \
	{                                                                                          \
		SOFT_ST(W, soft_ea_flat(cpu, op), op->imm);                                        \
		SOFT_NEXT(cpu, op);                                                                \
	}

MOV_W(8)
MOV_W(16)
MOV_W(32)
MOV_W(64)

#define MOV_ROW(W)                                                                                 \
	{                                                                                          \
		[SOFT_RR] = mov##W##_rr, [SOFT_RI] = mov##W##_ri, [SOFT_RM] = mov##W##_rm,         \
		[SOFT_RD] = mov##W##_rd, [SOFT_MR] = mov##W##_mr, [SOFT_DR] = mov##W##_dr,         \
		[SOFT_MI] = mov##W##_mi, [SOFT_DI] = mov##W##_di,                                  \
	}

const soft_fn soft_mov[SOFT_NR_WIDTHS][SOFT_NR_FORMS] = {
	MOV_ROW(8),
	MOV_ROW(16),
	MOV_ROW(32),
	MOV_ROW(64),
};

/* --- widening: D from S bits, C is the signed or unsigned type of the source --- */
#define EXTEND(N, D, S, C)                                                                         \
	SOFT_H(N##D##_##S##_rr)                                                                    \
	{                                                                                          \
		SOFT_SET(D, op->reg, (C)SOFT_GET(S, op->rm));                                      \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##D##_##S##_rm)                                                                    \
	{                                                                                          \
		SOFT_SET(D, op->reg, (C)SOFT_LD(S, soft_ea(cpu, op)));                             \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(N##D##_##S##_rd)                                                                    \
	{                                                                                          \
		SOFT_SET(D, op->reg, (C)SOFT_LD(S, soft_ea_flat(cpu, op)));                        \
		SOFT_NEXT(cpu, op);                                                                \
	}

EXTEND(zx, 16, 8, uint8_t)
EXTEND(zx, 16, 16, uint16_t)
EXTEND(zx, 32, 8, uint8_t)
EXTEND(zx, 32, 16, uint16_t)
EXTEND(sx, 16, 8, int8_t)
EXTEND(sx, 16, 16, int16_t)
EXTEND(sx, 32, 8, int8_t)
EXTEND(sx, 32, 16, int16_t)
EXTEND(sx, 32, 32, int32_t)
EXTEND(sx, 64, 8, int8_t)
EXTEND(sx, 64, 16, int16_t)
EXTEND(sx, 64, 32, int32_t)

#define EXTEND_ROW(N, D, S)                                                                        \
	{                                                                                          \
		N##D##_##S##_rr, N##D##_##S##_rm, N##D##_##S##_rd                                  \
	}

/* [signed][width of the source][width of the destination][register, memory, flat memory] */
const soft_fn soft_extend[2][3][SOFT_NR_WIDTHS][3] = {
	{
		{{NULL}, EXTEND_ROW(zx, 16, 8), EXTEND_ROW(zx, 32, 8), EXTEND_ROW(zx, 32, 8)},
		{{NULL}, EXTEND_ROW(zx, 16, 16), EXTEND_ROW(zx, 32, 16), EXTEND_ROW(zx, 32, 16)},
		{{NULL}},
	},
	{
		{{NULL}, EXTEND_ROW(sx, 16, 8), EXTEND_ROW(sx, 32, 8), EXTEND_ROW(sx, 64, 8)},
		{{NULL}, EXTEND_ROW(sx, 16, 16), EXTEND_ROW(sx, 32, 16), EXTEND_ROW(sx, 64, 16)},
		{{NULL}, EXTEND_ROW(sx, 16, 16), EXTEND_ROW(sx, 32, 32), EXTEND_ROW(sx, 64, 32)},
	},
};

/* --- LEA ----------------------------------------------------------------- */

#define LEA_W(W)                                                                                   \
	SOFT_H(lea##W##_m)                                                                         \
	{                                                                                          \
		SOFT_SET(W, op->reg, soft_ea(cpu, op));                                            \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(lea##W##_d)                                                                         \
	{                                                                                          \
		SOFT_SET(W, op->reg, soft_ea_flat(cpu, op));                                       \
		SOFT_NEXT(cpu, op);                                                                \
	}
LEA_W(16)
LEA_W(32)
LEA_W(64)

const soft_fn soft_lea[SOFT_NR_WIDTHS][2] = {
	{NULL, NULL}, {lea16_m, lea16_d}, {lea32_m, lea32_d}, {lea64_m, lea64_d}};

/* --- by condition -------------------------------------------------------- */

/* CMOV always reads its source, and a 32-bit one always clears the upper half. */
#define CMOV_W(W, CC, EXPR)                                                                        \
	SOFT_H(cmov##W##_##CC##_rr)                                                                \
	{                                                                                          \
		const struct soft_flags *f = &cpu->flags;                                          \
		SOFT_T(W) a = SOFT_GET(W, op->reg), b = SOFT_GET(W, op->rm);                       \
                                                                                                   \
		SOFT_SET(W, op->reg, (EXPR) ? b : a);                                              \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(cmov##W##_##CC##_rm)                                                                \
	{                                                                                          \
		const struct soft_flags *f = &cpu->flags;                                          \
		SOFT_T(W) b = SOFT_LD(W, soft_ea(cpu, op)), a = SOFT_GET(W, op->reg);              \
                                                                                                   \
		SOFT_SET(W, op->reg, (EXPR) ? b : a);                                              \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define CMOV(I, CC, EXPR) CMOV_W(16, CC, EXPR) CMOV_W(32, CC, EXPR) CMOV_W(64, CC, EXPR)
SOFT_CONDITIONS(CMOV)

#define CMOV_ROW(I, CC, EXPR)                                                                      \
	[I] = {{NULL, NULL},                                                                       \
	       {cmov16_##CC##_rr, cmov16_##CC##_rm},                                               \
	       {cmov32_##CC##_rr, cmov32_##CC##_rm},                                               \
	       {cmov64_##CC##_rr, cmov64_##CC##_rm}},
const soft_fn soft_cmov[16][SOFT_NR_WIDTHS][2] = {SOFT_CONDITIONS(CMOV_ROW)};

#define SETCC(I, CC, EXPR)                                                                         \
	SOFT_H(set_##CC##_r)                                                                       \
	{                                                                                          \
		const struct soft_flags *f = &cpu->flags;                                          \
                                                                                                   \
		soft_set8(cpu, op->rm, EXPR);                                                      \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(set_##CC##_m)                                                                       \
	{                                                                                          \
		const struct soft_flags *f = &cpu->flags;                                          \
                                                                                                   \
		soft_st8(cpu, op, soft_ea(cpu, op), EXPR);                                         \
		SOFT_NEXT(cpu, op);                                                                \
	}
SOFT_CONDITIONS(SETCC)

#define SETCC_ROW(I, CC, EXPR) [I] = {set_##CC##_r, set_##CC##_m},
const soft_fn soft_setcc[16][2] = {SOFT_CONDITIONS(SETCC_ROW)};

/* --- stack, 64-bit mode -------------------------------------------------- */

#define PUSH_W(W, NAME, VALUE)                                                                     \
	SOFT_H(NAME)                                                                               \
	{                                                                                          \
		SOFT_T(W) v = (SOFT_T(W))(VALUE);                                                  \
		uint64_t sp = cpu->gpr[SOFT_RSP] - (W) / 8;                                        \
                                                                                                   \
		soft_st##W(cpu, op, sp, v);                                                        \
		cpu->gpr[SOFT_RSP] = sp;                                                           \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define POP_R(W)                                                                                   \
	SOFT_H(pop##W##_r)                                                                         \
	{                                                                                          \
		uint64_t sp = cpu->gpr[SOFT_RSP];                                                  \
		SOFT_T(W) v = SOFT_LD(W, sp);                                                      \
                                                                                                   \
		cpu->gpr[SOFT_RSP] = sp + (W) / 8;                                                 \
		SOFT_SET(W, op->rm, v);                                                            \
		SOFT_NEXT(cpu, op);                                                                \
	}
/*
 * An address formed from RSP uses the RSP behind the pop; if the store faults nothing has happened.
 */
#define POP_M(W)                                                                                   \
	SOFT_H(pop##W##_m)                                                                         \
	{                                                                                          \
		uint64_t sp = cpu->gpr[SOFT_RSP], la;                                              \
		SOFT_T(W) v = SOFT_LD(W, sp);                                                      \
                                                                                                   \
		la = soft_ea(cpu, op);                                                             \
		if (op->base == SOFT_RSP)                                                          \
			la += (W) / 8;                                                             \
		soft_st##W(cpu, op, la, v);                                                        \
		cpu->gpr[SOFT_RSP] = sp + (W) / 8;                                                 \
		SOFT_NEXT(cpu, op);                                                                \
	}

PUSH_W(64, push64_r, cpu->gpr[op->rm])
PUSH_W(64, push64_m, soft_ld64(cpu, op, soft_ea(cpu, op)))
PUSH_W(64, push64_i, op->imm)
PUSH_W(16, push16_r, cpu->gpr[op->rm])
PUSH_W(16, push16_m, soft_ld16(cpu, op, soft_ea(cpu, op)))
PUSH_W(16, push16_i, op->imm)
POP_R(64)
POP_R(16)
POP_M(64)
POP_M(16)

const soft_fn soft_push[2][3] = {{push16_r, push16_m, push16_i}, {push64_r, push64_m, push64_i}};
const soft_fn soft_pop[2][2] = {{pop16_r, pop16_m}, {pop64_r, pop64_m}};

SOFT_HX(soft_op_leave)
{
	uint64_t bp = cpu->gpr[SOFT_RBP];

	cpu->gpr[SOFT_RBP] = soft_ld64(cpu, op, bp);
	cpu->gpr[SOFT_RSP] = bp + 8;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_leave16)
{
	uint64_t bp = cpu->gpr[SOFT_RBP];

	cpu->gpr[SOFT_RBP] = (bp & ~0xffffull) | soft_ld16(cpu, op, bp);
	cpu->gpr[SOFT_RSP] = bp + 2;
	SOFT_NEXT(cpu, op);
}

/* ENTER imm16, imm8: imm holds the size, aux the nesting level. The new top of the stack must be
 * writable. */
SOFT_HX(soft_op_enter)
{
	uint64_t sp = cpu->gpr[SOFT_RSP] - 8, bp = cpu->gpr[SOFT_RBP], frame = sp;
	unsigned int level = op->aux & 31;

	soft_st64(cpu, op, sp, bp);
	for (unsigned int i = 1; i < level; i++) {
		bp -= 8;
		sp -= 8;
		soft_st64(cpu, op, sp, soft_ld64(cpu, op, bp));
	}
	if (level) {
		sp -= 8;
		soft_st64(cpu, op, sp, frame);
	}
	sp -= (uint16_t)op->imm;
	soft_rmw(cpu, op, sp, 8);
	soft_rmw_end(cpu, op);
	cpu->gpr[SOFT_RBP] = frame;
	cpu->gpr[SOFT_RSP] = sp;
	SOFT_NEXT(cpu, op);
}

/* --- small things -------------------------------------------------------- */

SOFT_HX(soft_op_nop)
{
	SOFT_NEXT(cpu, op);
}

SOFT_H(bswap32)
{
	cpu->gpr[op->rm] = __builtin_bswap32((uint32_t)cpu->gpr[op->rm]);
	SOFT_NEXT(cpu, op);
}

SOFT_H(bswap64)
{
	cpu->gpr[op->rm] = __builtin_bswap64(cpu->gpr[op->rm]);
	SOFT_NEXT(cpu, op);
}

/* Of 16 bits it is undefined; CPUs clear the register's low half. */
SOFT_H(bswap16)
{
	soft_set16(cpu, op->rm, 0);
	SOFT_NEXT(cpu, op);
}

const soft_fn soft_bswap[SOFT_NR_WIDTHS] = {NULL, bswap16, bswap32, bswap64};

/* CBW CWDE CDQE */
SOFT_H(cbw)
{
	soft_set16(cpu, SOFT_RAX, (uint16_t)(int8_t)cpu->gpr[SOFT_RAX]);
	SOFT_NEXT(cpu, op);
}

SOFT_H(cwde)
{
	cpu->gpr[SOFT_RAX] = (uint32_t)(int16_t)cpu->gpr[SOFT_RAX];
	SOFT_NEXT(cpu, op);
}

SOFT_H(cdqe)
{
	cpu->gpr[SOFT_RAX] = (uint64_t)(int32_t)cpu->gpr[SOFT_RAX];
	SOFT_NEXT(cpu, op);
}

/* CWD CDQ CQO */
SOFT_H(cwd)
{
	soft_set16(cpu, SOFT_RDX, (int16_t)cpu->gpr[SOFT_RAX] < 0 ? 0xffff : 0);
	SOFT_NEXT(cpu, op);
}

SOFT_H(cdq)
{
	cpu->gpr[SOFT_RDX] = (int32_t)cpu->gpr[SOFT_RAX] < 0 ? 0xffffffff : 0;
	SOFT_NEXT(cpu, op);
}

SOFT_H(cqo)
{
	cpu->gpr[SOFT_RDX] = (int64_t)cpu->gpr[SOFT_RAX] < 0 ? ~0ull : 0;
	SOFT_NEXT(cpu, op);
}

const soft_fn soft_cbw[SOFT_NR_WIDTHS] = {NULL, cbw, cwde, cdqe};
const soft_fn soft_cwd[SOFT_NR_WIDTHS] = {NULL, cwd, cdq, cqo};

SOFT_HX(soft_op_sahf)
{
	uint32_t keep = soft_of(&cpu->flags) ? SOFT_OF : 0;

	soft_flags_load(&cpu->flags, (soft_get8(cpu, 1) & (SOFT_ARITH & 0xff)) | keep);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_lahf)
{
	soft_set8(cpu, 1, (uint8_t)(soft_flags_arith(&cpu->flags) | 2));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_clc)
{
	soft_flags_set_cf(&cpu->flags, false);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_stc)
{
	soft_flags_set_cf(&cpu->flags, true);
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_cmc)
{
	soft_flags_set_cf(&cpu->flags, !soft_cf(&cpu->flags));
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_cld)
{
	cpu->eflags &= ~SOFT_DF;
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_std)
{
	cpu->eflags |= SOFT_DF;
	SOFT_NEXT(cpu, op);
}

/* XLAT: the decoder made it [RBX + SOFT_REG_FAR]. */
SOFT_HX(soft_op_xlat)
{
	cpu->gpr[SOFT_REG_FAR] = soft_get8(cpu, 0);
	soft_set8(cpu, 0, soft_ld8(cpu, op, soft_ea(cpu, op)));
	SOFT_NEXT(cpu, op);
}

/* MOV between the accumulator and a 64-bit absolute address. */
SOFT_HX(soft_op_mov_to_abs)
{
	uint64_t la = op->imm + cpu->seg_base[op->seg];

	switch (op->aux) {
	case 1:
		soft_st8(cpu, op, la, soft_get8(cpu, 0));
		break;
	case 2:
		soft_st16(cpu, op, la, soft_get16(cpu, SOFT_RAX));
		break;
	case 4:
		soft_st32(cpu, op, la, soft_get32(cpu, SOFT_RAX));
		break;
	default:
		soft_st64(cpu, op, la, cpu->gpr[SOFT_RAX]);
	}
	SOFT_NEXT(cpu, op);
}

SOFT_HX(soft_op_mov_from_abs)
{
	uint64_t la = op->imm + cpu->seg_base[op->seg];

	switch (op->aux) {
	case 1:
		soft_set8(cpu, 0, soft_ld8(cpu, op, la));
		break;
	case 2:
		soft_set16(cpu, SOFT_RAX, soft_ld16(cpu, op, la));
		break;
	case 4:
		soft_set32(cpu, SOFT_RAX, soft_ld32(cpu, op, la));
		break;
	default:
		cpu->gpr[SOFT_RAX] = soft_ld64(cpu, op, la);
	}
	SOFT_NEXT(cpu, op);
}
