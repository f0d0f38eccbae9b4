/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the decoder chooses from: tables of handlers by operation, width and operand form, and
 * single handlers. Forms and widths are those of soft_reg.h. A missing entry is NULL and means #UD.
 * [any] constants.
 */
#ifndef SOFT_OPS_H
#define SOFT_OPS_H

#include "hvcore/engine_soft/soft_op.h"
#include "hvcore/engine_soft/soft_reg.h"

#define SOFT_DECLARE(name)                                                                         \
	const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/* soft_alu.c */
enum soft_alu {
	SOFT_ADD,
	SOFT_OR,
	SOFT_ADC,
	SOFT_SBB,
	SOFT_AND,
	SOFT_SUB,
	SOFT_XOR,
	SOFT_CMP,
	SOFT_TEST,
	SOFT_NR_ALU
};
enum soft_unary { SOFT_INC, SOFT_DEC, SOFT_NOT, SOFT_NEG, SOFT_NR_UNARY };
enum { SOFT_UR, SOFT_UM, SOFT_UL, SOFT_NR_UFORMS }; /* register, memory, memory with LOCK */
extern const soft_fn soft_alu[SOFT_NR_ALU][SOFT_NR_WIDTHS][SOFT_NR_FORMS];
extern const soft_fn soft_unary[SOFT_NR_UNARY][SOFT_NR_WIDTHS][SOFT_NR_UFORMS];

/* soft_shift.c */
enum {
	SOFT_SRI,
	SOFT_SRC,
	SOFT_SMI,
	SOFT_SMC,
	SOFT_NR_SFORMS
}; /* register/memory by immediate/CL */
extern const soft_fn soft_shift[8][SOFT_NR_WIDTHS][SOFT_NR_SFORMS];
extern const soft_fn soft_shxd[2][SOFT_NR_WIDTHS][SOFT_NR_SFORMS];

/* soft_move.c */
extern const soft_fn soft_mov[SOFT_NR_WIDTHS][SOFT_NR_FORMS];
extern const soft_fn soft_extend[2][3][SOFT_NR_WIDTHS][3];
extern const soft_fn soft_lea[SOFT_NR_WIDTHS][2];
extern const soft_fn soft_cmov[16][SOFT_NR_WIDTHS][2];
extern const soft_fn soft_setcc[16][2];
extern const soft_fn soft_push[2][3]; /* [16, 64 bits][register, memory, immediate] */
extern const soft_fn soft_pop[2][2];
extern const soft_fn soft_bswap[SOFT_NR_WIDTHS];
extern const soft_fn soft_cbw[SOFT_NR_WIDTHS];
extern const soft_fn soft_cwd[SOFT_NR_WIDTHS];
SOFT_DECLARE(soft_op_leave);
SOFT_DECLARE(soft_op_leave16);
SOFT_DECLARE(soft_op_enter);
SOFT_DECLARE(soft_op_nop);
SOFT_DECLARE(soft_op_sahf);
SOFT_DECLARE(soft_op_lahf);
SOFT_DECLARE(soft_op_clc);
SOFT_DECLARE(soft_op_stc);
SOFT_DECLARE(soft_op_cmc);
SOFT_DECLARE(soft_op_cld);
SOFT_DECLARE(soft_op_std);
SOFT_DECLARE(soft_op_xlat);
SOFT_DECLARE(soft_op_mov_to_abs); /* 64-bit address in imm, size in aux */
SOFT_DECLARE(soft_op_mov_from_abs);

/* soft_muldiv.c */
extern const soft_fn soft_muldiv[4][SOFT_NR_WIDTHS][2];
extern const soft_fn soft_imul[SOFT_NR_WIDTHS][2][2];

/* soft_bits.c */
enum { SOFT_BSF, SOFT_BSR, SOFT_POPCNT };
extern const soft_fn soft_bt[4][SOFT_NR_WIDTHS][4];
extern const soft_fn soft_scan[3][SOFT_NR_WIDTHS][2];

/* soft_atomic.c */
extern const soft_fn soft_xchg[SOFT_NR_WIDTHS][2];
extern const soft_fn soft_xadd[SOFT_NR_WIDTHS][2];
extern const soft_fn soft_cmpxchg[SOFT_NR_WIDTHS][2];
SOFT_DECLARE(soft_op_cmpxchg8b);
SOFT_DECLARE(soft_op_cmpxchg16b);

/* soft_string.c: by width */
extern const soft_fn soft_movs[SOFT_NR_WIDTHS];
extern const soft_fn soft_stos[SOFT_NR_WIDTHS];
extern const soft_fn soft_lods[SOFT_NR_WIDTHS];
extern const soft_fn soft_cmps[SOFT_NR_WIDTHS];
extern const soft_fn soft_scas[SOFT_NR_WIDTHS];

/* soft_branch.c: near branches have their target in the block's page, far ones anywhere */
extern const soft_fn soft_jcc[16][2]; /* [condition][near, far] */
extern const soft_fn soft_loop[4];    /* LOOPNE LOOPE LOOP JRCXZ */
SOFT_DECLARE(soft_op_end);	      /* falls through into the next block */
SOFT_DECLARE(soft_op_end_far);
SOFT_DECLARE(soft_op_stale);
SOFT_DECLARE(soft_op_set_far);
SOFT_DECLARE(soft_op_jmp_near);
SOFT_DECLARE(soft_op_jmp_far);
SOFT_DECLARE(soft_op_call_near);
SOFT_DECLARE(soft_op_call_far);
SOFT_DECLARE(soft_op_jmp_r);
SOFT_DECLARE(soft_op_jmp_m);
SOFT_DECLARE(soft_op_call_r);
SOFT_DECLARE(soft_op_call_m);
SOFT_DECLARE(soft_op_ret);
SOFT_DECLARE(soft_op_ret_i);

/* soft_legacy.c: stack and control transfer in 16- and 32-bit code; op->aux is the operand size in
 * bytes */
SOFT_DECLARE(soft_op_push_legacy_r);
SOFT_DECLARE(soft_op_push_legacy_m);
SOFT_DECLARE(soft_op_push_legacy_i);
SOFT_DECLARE(soft_op_pop_legacy_r);
SOFT_DECLARE(soft_op_push_sreg_legacy);
SOFT_DECLARE(soft_op_pop_sreg_legacy);
SOFT_DECLARE(soft_op_pushf_legacy);
SOFT_DECLARE(soft_op_popf_legacy);
SOFT_DECLARE(soft_op_call_legacy);
SOFT_DECLARE(soft_op_ret_legacy);
SOFT_DECLARE(soft_op_jmp_legacy_r);
SOFT_DECLARE(soft_op_jmp_ptr);

/* soft_system.c, soft_segment.c, soft_exc.c (PUSHF POPF INT IRET #GP), soft_port.c */
SOFT_DECLARE(soft_op_hlt);
SOFT_DECLARE(soft_op_cli);
SOFT_DECLARE(soft_op_sti);
SOFT_DECLARE(soft_op_pushf);
SOFT_DECLARE(soft_op_popf);
SOFT_DECLARE(soft_op_int);
SOFT_DECLARE(soft_op_int3);
SOFT_DECLARE(soft_op_int1);
SOFT_DECLARE(soft_op_iret);
SOFT_DECLARE(soft_op_retf);
SOFT_DECLARE(soft_op_jmpf_m);
SOFT_DECLARE(soft_op_callf_m);
SOFT_DECLARE(soft_op_syscall);
SOFT_DECLARE(soft_op_sysret);
SOFT_DECLARE(soft_op_swapgs);
SOFT_DECLARE(soft_op_cpuid);
SOFT_DECLARE(soft_op_rdtsc);
SOFT_DECLARE(soft_op_rdtscp);
SOFT_DECLARE(soft_op_rdmsr);
SOFT_DECLARE(soft_op_wrmsr);
SOFT_DECLARE(soft_op_rdpmc);
SOFT_DECLARE(soft_op_invlpg);
SOFT_DECLARE(soft_op_wbinvd);
SOFT_DECLARE(soft_op_clflush);
SOFT_DECLARE(soft_op_clts);
SOFT_DECLARE(soft_op_fence);
SOFT_DECLARE(soft_op_pause);
SOFT_DECLARE(soft_op_fwait);
SOFT_DECLARE(soft_op_lgdt);
SOFT_DECLARE(soft_op_lidt);
SOFT_DECLARE(soft_op_sgdt);
SOFT_DECLARE(soft_op_sidt);
SOFT_DECLARE(soft_op_lldt);
SOFT_DECLARE(soft_op_ltr);
SOFT_DECLARE(soft_op_sldt);
SOFT_DECLARE(soft_op_str);
SOFT_DECLARE(soft_op_verr);
SOFT_DECLARE(soft_op_verw);
SOFT_DECLARE(soft_op_lar);
SOFT_DECLARE(soft_op_lsl);
SOFT_DECLARE(soft_op_smsw);
SOFT_DECLARE(soft_op_lmsw);
SOFT_DECLARE(soft_op_mov_from_sreg);
SOFT_DECLARE(soft_op_mov_to_sreg);
SOFT_DECLARE(soft_op_push_sreg);
SOFT_DECLARE(soft_op_pop_sreg);
SOFT_DECLARE(soft_op_mov_from_cr);
SOFT_DECLARE(soft_op_mov_to_cr);
SOFT_DECLARE(soft_op_break); /* soft_break.c: ahead of an instruction */
SOFT_DECLARE(soft_op_mov_from_dr);
SOFT_DECLARE(soft_op_mov_to_dr);
SOFT_DECLARE(soft_op_fsgsbase);
SOFT_DECLARE(soft_op_rdrand); /* soft_random.c; also RDSEED */
SOFT_DECLARE(soft_op_in); /* aux: size; imm: port, or ~0 for DX */
SOFT_DECLARE(soft_op_out);
SOFT_DECLARE(soft_op_ins);
SOFT_DECLARE(soft_op_outs);
SOFT_DECLARE(soft_op_gp); /* #GP(0) */

#endif
