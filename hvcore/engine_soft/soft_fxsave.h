/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 512-byte FXSAVE image of the x87, MMX and SSE state: for the instructions, for VM state and for tests. [vcpu] */
#ifndef SOFT_FXSAVE_H
#define SOFT_FXSAVE_H

#include "hvcore/engine_soft/soft_cpu.h"

#define SOFT_FXSAVE_BYTES 512u
#define SOFT_FXSAVE_USED  416u /* what FXSAVE writes; the rest is left as it is */

/* Writes the first SOFT_FXSAVE_USED bytes; after soft_fp_sync(). `wide`: 64-bit instruction pointers (REX.W). */
void soft_fxsave_image(const struct soft_cpu *cpu, uint8_t *image, bool wide);
/* Loads it; false: MXCSR has reserved bits set, and nothing was changed. */
bool soft_fxrstor_image(struct soft_cpu *cpu, const uint8_t *image, bool wide);
/* x87 as FNINIT leaves it, MXCSR and registers as after power-on. */
void soft_fpu_reset(struct soft_cpu *cpu);
/* What FNINIT does. */
void soft_x87_init(struct soft_cpu *cpu);
/* Recomputes the summary (ES, B) in the status word after a change of it or of the control word. */
void soft_x87_update_summary(struct soft_cpu *cpu);

#endif
