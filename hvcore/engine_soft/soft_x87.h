/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x87 instructions that handle the state itself rather than numbers; soft_x87_env.c. [vcpu] */
#ifndef SOFT_X87_H
#define SOFT_X87_H

#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_decode.h"

/* Waiting instructions begin with this: #MF if an unmasked exception is pending. Also all of FWAIT. */
void soft_x87_check(struct soft_cpu *cpu, const struct soft_op *op);

const struct soft_op *soft_x87_fldcw(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fnstcw(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fnstsw(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fnstsw_ax(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fnclex(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fninit(struct soft_cpu *cpu, const struct soft_op *op);
/* op->imm: 1 = 16-bit format */
const struct soft_op *soft_x87_fldenv(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fnstenv(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_frstor(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_x87_fnsave(struct soft_cpu *cpu, const struct soft_op *op);

#endif
