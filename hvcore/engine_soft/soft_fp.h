/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point under the guest's MXCSR.
 *
 *   soft_fp_begin(cpu);  kernels run;  soft_fp_end(cpu, op, 0);
 *
 * Between the two the host computes with the guest's rounding, flush and denormal modes and all exceptions masked.
 * end() collects the exception flags into the guest's MXCSR and, if one of them is unmasked, raises #XM (#UD without
 * CR4.OSXMMEXCPT) and does not return.
 *
 * Reading and writing MXCSR is slow. So while the guest has the usual modes, with everything masked, its flags are left
 * to gather in the host's MXCSR ("live") until somebody wants to know them: soft_fp_sync() before the guest's MXCSR is
 * read or replaced, before an x87 instruction, and before other code of this thread may compute or the vCPU stops.
 *
 * Hosts are x86-64; another host needs a soft_fp.c and float kernels of its own.
 */
#ifndef SOFT_FP_H
#define SOFT_FP_H

#include "hvcore/engine_soft/soft_cpu.h"

#define SOFT_MXCSR_FLAGS   0x3fu
#define SOFT_MXCSR_DAZ	   0x40u
#define SOFT_MXCSR_MASKS   0x1f80u
#define SOFT_MXCSR_FTZ	   0x8000u
#define SOFT_MXCSR_UNDERFLOW 0x10u
#define SOFT_MXCSR_DEFAULT 0x1f80u
#define SOFT_MXCSR_VALID   0xffffu /* all others are reserved: loading them is #GP */

#if defined(__x86_64__)

static inline void soft_fp_load_host(uint32_t mxcsr)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
}

static inline uint32_t soft_fp_store_host(void)
{
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
	return mxcsr;
}

#else
#error "the float kernels need this host's own soft_fp"
#endif

static inline bool soft_fp_usual(const struct soft_cpu *cpu)
{
	return (cpu->mxcsr & ~SOFT_MXCSR_FLAGS) == SOFT_MXCSR_DEFAULT;
}

/* The guest's modes into the host, flags cleared. */
void soft_fp_enter(struct soft_cpu *cpu);
/* The flags out of it; raises. flags: more of them, found in another way. */
void soft_fp_leave(struct soft_cpu *cpu, const struct soft_op *op, uint32_t flags);

static inline void soft_fp_begin(struct soft_cpu *cpu)
{
	if (__builtin_expect(!cpu->fp_live, 0))
		soft_fp_enter(cpu);
}

static inline void soft_fp_end(struct soft_cpu *cpu, const struct soft_op *op, uint32_t flags)
{
	if (__builtin_expect(!cpu->fp_live, 0))
		soft_fp_leave(cpu, op, flags);
}

/* Brings cpu->mxcsr up to date. */
static inline void soft_fp_sync(struct soft_cpu *cpu)
{
	if (!cpu->fp_live)
		return;
	cpu->mxcsr |= soft_fp_store_host() & SOFT_MXCSR_FLAGS;
	cpu->fp_live = false;
}

#endif
