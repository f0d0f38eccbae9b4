/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One x87 instruction on the host's own x87 unit, with the guest's stack, control word and exception masks.
 *
 * Exact by construction: rounding, precision control, C0-C3, denormals, the transcendental functions. The guest's
 * unmasked exceptions cannot reach the host, because a pending one is only reported by the *next* waiting instruction
 * and the state is taken out again before there is one. Hosts without an x87 unit need a soft one behind this header.
 */
#ifndef SOFT_X87_HOST_H
#define SOFT_X87_HOST_H

#include <stdint.h>

#define SOFT_X87_ESCAPES 8u

/* Register form: escape 0-7 (D8-DF), modrm 0xc0-0xff. Memory form: modrm 0-7 is the reg field. */
#define SOFT_X87_REG_FORMS 64u
#define SOFT_X87_MEM_FORMS 8u

/*
 * Runs the instruction on the FXSAVE image (16-byte aligned, 512 bytes; no exception may be pending in it). `operand`
 * is the memory operand, at least 16 bytes. rflags in (FCMOV), rflags out (FCOMI). Any encoding may be passed that is
 * an x87 instruction which neither controls (FNINIT, FLDCW, ...) nor is undefined. [vcpu]
 */
uint64_t soft_x87_host_reg(unsigned int escape, unsigned int modrm, void *image, uint64_t rflags);
uint64_t soft_x87_host_mem(unsigned int escape, unsigned int reg, void *image, void *operand);

#endif
