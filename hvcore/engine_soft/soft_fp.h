/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point under the guest's MXCSR.
 *
 *   soft_fp_begin(cpu);  kernels run;  soft_fp_end(cpu, op, 0);
 *
 * Between the two the host computes with the guest's rounding, flush and denormal modes and all exceptions masked.
 * end() collects the exception flags into the guest's MXCSR and, if one of them is unmasked, raises #XM (#UD without
 * CR4.OSXMMEXCPT) and does not return. Hosts are x86-64; another host needs its own soft_fp_*.c and float kernels.
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

static inline void soft_fp_begin(const struct soft_cpu *cpu)
{
	soft_fp_load_host((cpu->mxcsr | SOFT_MXCSR_MASKS) & ~SOFT_MXCSR_FLAGS);
}

/* Flags came up that the guest did not have, or that it does not mask. */
void soft_fp_flags(struct soft_cpu *cpu, const struct soft_op *op, uint32_t flags);

/* flags: more of them, found in another way */
static inline void soft_fp_end(struct soft_cpu *cpu, const struct soft_op *op, uint32_t flags)
{
	flags |= soft_fp_store_host() & SOFT_MXCSR_FLAGS;

	soft_fp_load_host(SOFT_MXCSR_DEFAULT);
	if ((flags & ~cpu->mxcsr) | (~cpu->mxcsr & SOFT_MXCSR_MASKS))
		soft_fp_flags(cpu, op, flags);
}

#endif
