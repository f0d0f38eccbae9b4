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

void soft_fp_flags(struct soft_cpu *cpu, const struct soft_op *op, uint32_t flags)
{
	uint32_t unmasked = ~(cpu->mxcsr >> 7) & SOFT_MXCSR_FLAGS;

	if (flags & unmasked & BEFORE)
		flags &= BEFORE;
	cpu->mxcsr |= flags;
	if (flags & unmasked)
		soft_raise(cpu, op, cpu->cr4 & SOFT_CR4_OSXMMEXCPT ? SOFT_XM : SOFT_UD);
}
