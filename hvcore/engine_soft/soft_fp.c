/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest's MXCSR says about exceptions that came up in a float kernel.
 *
 * The kernel ran with everything masked. An unmasked exception that the CPU finds before it computes (invalid,
 * denormal, divide by zero) keeps it from computing, so those found afterwards (overflow, underflow, precision) are
 * not reported with it.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_fp.h"

#define BEFORE 0x07u /* invalid, denormal, divide by zero */

void soft_fp_enter(struct soft_cpu *cpu)
{
	soft_fp_load_host((cpu->mxcsr | SOFT_MXCSR_MASKS) & ~SOFT_MXCSR_FLAGS);
	cpu->fp_live = soft_fp_usual(cpu);
}

void soft_fp_leave(struct soft_cpu *cpu, const struct soft_op *op, uint32_t flags)
{
	uint32_t unmasked = ~(cpu->mxcsr >> 7) & SOFT_MXCSR_FLAGS;

	flags |= soft_fp_store_host() & SOFT_MXCSR_FLAGS;
	soft_fp_load_host(SOFT_MXCSR_DEFAULT);
	if (flags & unmasked & BEFORE)
		flags &= BEFORE;
	cpu->mxcsr |= flags;
	if (flags & unmasked)
		soft_raise(cpu, op, cpu->cr4 & SOFT_CR4_OSXMMEXCPT ? SOFT_XM : SOFT_UD);
}
