/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lazy flags: setting them from results and reading them back. struct soft_flags in soft_cpu.h
 * explains the encoding. [vcpu]
 */
#ifndef SOFT_FLAGS_H
#define SOFT_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/engine_soft/soft_cpu.h"

static inline bool soft_cf(const struct soft_flags *f)
{
	return f->carry >> 63;
}

static inline bool soft_of(const struct soft_flags *f)
{
	return (f->carry ^ (f->carry << 1)) >> 63;
}

static inline bool soft_zf(const struct soft_flags *f)
{
	return f->zero == 0;
}

static inline bool soft_sf(const struct soft_flags *f)
{
	return f->sign < 0;
}

static inline bool soft_pf(const struct soft_flags *f)
{
	return !__builtin_parity((unsigned int)(f->sign & 0xff));
}

static inline bool soft_af(const struct soft_flags *f)
{
	return f->carry >> 3 & 1;
}

/* SF != OF */
static inline bool soft_less(const struct soft_flags *f)
{
	return (int64_t)((uint64_t)f->sign ^ f->carry ^ (f->carry << 1)) < 0;
}

/* The six arithmetic flags as RFLAGS bits. */
static inline uint32_t soft_flags_arith(const struct soft_flags *f)
{
	return (soft_cf(f) ? SOFT_CF : 0) | (soft_pf(f) ? SOFT_PF : 0) |
	       (soft_af(f) ? SOFT_AF : 0) | (soft_zf(f) ? SOFT_ZF : 0) |
	       (soft_sf(f) ? SOFT_SF : 0) | (soft_of(f) ? SOFT_OF : 0);
}

/* Load the six from RFLAGS bits (POPF, SAHF, COMISD, ...). */
static inline void soft_flags_load(struct soft_flags *f, uint32_t v)
{
	uint64_t cf = v & SOFT_CF;
	uint64_t of = v / SOFT_OF & 1;

	f->zero = !(v & SOFT_ZF);
	f->sign = (int64_t)((uint64_t)(v & SOFT_SF) << 56 | !(v & SOFT_PF));
	f->carry = cf << 63 | (cf ^ of) << 62 | (v & SOFT_AF) >> 1;
}

/* Set CF alone. */
static inline void soft_flags_set_cf(struct soft_flags *f, bool cf)
{
	uint64_t of = soft_of(f);

	f->carry = (uint64_t)cf << 63 | (cf ^ of) << 62 | (f->carry & 8);
}

/* Whole RFLAGS. */
static inline uint64_t soft_rflags(const struct soft_cpu *cpu)
{
	return (cpu->eflags & ~SOFT_ARITH) | 2 | soft_flags_arith(&cpu->flags);
}

static inline void soft_rflags_load(struct soft_cpu *cpu, uint64_t v)
{
	cpu->eflags = (uint32_t)v & ~SOFT_ARITH;
	soft_flags_load(&cpu->flags, (uint32_t)v);
}

/*
 * Flags of a result of W bits. r, a, b are unsigned integers of that width. Carries: of an
 * addition, a bit carries where both are set, or one is and the sum bit is not; of a subtraction
 * likewise with the borrow.
 */
#define SOFT_CARRY(W, c)                                                                           \
	((W) == 64 ? (uint64_t)(c) : (uint64_t)(c) << (64 - (W)) | ((uint64_t)(c)&8))

#define SOFT_FLAGS_RESULT(f, W, r)                                                                 \
	((f)->zero = (uint64_t)(int64_t)(int##W##_t)(r), (f)->sign = (int64_t)(int##W##_t)(r))
#define SOFT_FLAGS_LOGIC(f, W, r) (SOFT_FLAGS_RESULT(f, W, r), (f)->carry = 0)
#define SOFT_FLAGS_ADD(f, W, r, a, b)                                                              \
	(SOFT_FLAGS_RESULT(f, W, r),                                                               \
	 (f)->carry = SOFT_CARRY(W, (uint##W##_t)(((a) & (b)) | (((a) | (b)) & ~(r)))))
#define SOFT_FLAGS_SUB(f, W, r, a, b)                                                              \
	(SOFT_FLAGS_RESULT(f, W, r),                                                               \
	 (f)->carry = SOFT_CARRY(W, (uint##W##_t)((~(a) & (b)) | ((~(a) | (b)) & (r)))))

#endif
