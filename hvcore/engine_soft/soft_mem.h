/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory as instructions see it: linear addresses, checked on every access.
 *
 * The fast path is one TLB compare; everything else (walks, faults, MMIO, page crossing, dirty log,
 * code pages) is behind soft_*_slow() in soft_mmu.c. All of these may raise an exception at op and
 * then do not return. An access that crosses pages checks both pages before it touches either.
 * [vcpu]
 *
 *   la = soft_ea(cpu, op);
 *   x = soft_ld32(cpu, op, la);                    load
 *   soft_st32(cpu, op, la, x);                     store
 *   uint32_t *p = soft_rmw(cpu, op, la, 4);        read-modify-write: a pointer that may be read
 * and written *p += 1;                                       (unaligned; use the soft_u32 types),
 * then soft_rmw_end(cpu, op);                         must follow; it writes back if p was a bounce
 * buffer
 */
#ifndef SOFT_MEM_H
#define SOFT_MEM_H

#include <stdint.h>
#include <string.h>

#include "hvcore/engine_soft/soft_cpu.h"

/* Integers at any address, in guest memory of any type. */
typedef uint16_t soft_u16 __attribute__((aligned(1), may_alias));
typedef uint32_t soft_u32 __attribute__((aligned(1), may_alias));
typedef uint64_t soft_u64 __attribute__((aligned(1), may_alias));
typedef uint8_t soft_u8 __attribute__((may_alias));

#define soft_likely(x)	 __builtin_expect(!!(x), 1)
#define soft_unlikely(x) __builtin_expect(!!(x), 0)

uint64_t soft_ld_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
		      unsigned int size);
void soft_st_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, uint64_t v,
		  unsigned int size);
void soft_ld_bytes_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, void *buf,
			unsigned int len);
void soft_st_bytes_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
			const void *buf, unsigned int len);
void *soft_rmw_slow(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, unsigned int size);
void soft_rmw_flush(struct soft_cpu *cpu, const struct soft_op *op);
uint64_t soft_ea_odd(const struct soft_cpu *cpu, const struct soft_op *op);

/* Linear address of the memory operand. */
static inline uint64_t soft_ea(const struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(op->flags & SOFT_OP_ODD_EA))
		return soft_ea_odd(cpu, op);
	return cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) +
	       (uint64_t)(int64_t)op->disp + cpu->seg_base[op->seg];
}

/*
 * Where an access of size bytes would be: the set is chosen by its last byte and compared with the
 * page of its first, so that one that crosses pages never matches.
 */
static inline const struct soft_tlb_entry *soft_tlb_at(const struct soft_tlb_entry *set,
						       uint64_t la, unsigned int size)
{
	return &set[((la + size - 1) >> 12) & (SOFT_TLB_SIZE - 1)];
}

/* Host address of la for an access of size bytes that stays in one page, or NULL. */
static inline void *soft_tlb_rd(struct soft_cpu *cpu, uint64_t la, unsigned int size)
{
	const struct soft_tlb_entry *e = soft_tlb_at(cpu->tlb->rd, la, size);

	return soft_likely(e->tag == (la & SOFT_PAGE_MASK)) ? (void *)(uintptr_t)(la + e->delta)
							    : NULL;
}

static inline void *soft_tlb_wr(struct soft_cpu *cpu, uint64_t la, unsigned int size)
{
	const struct soft_tlb_entry *e = soft_tlb_at(cpu->tlb->wr, la, size);

	return soft_likely(e->tag == (la & SOFT_PAGE_MASK)) ? (void *)(uintptr_t)(la + e->delta)
							    : NULL;
}

#define SOFT_MEM_WIDTH(W)                                                                          \
	static inline uint##W##_t soft_ld##W(struct soft_cpu *cpu, const struct soft_op *op,       \
					     uint64_t la)                                          \
	{                                                                                          \
		const struct soft_tlb_entry *e = soft_tlb_at(cpu->tlb->rd, la, (W) / 8);           \
                                                                                                   \
		if (soft_likely(e->tag == (la & SOFT_PAGE_MASK)))                                  \
			return *(const soft_u##W *)(uintptr_t)(la + e->delta);                     \
		return (uint##W##_t)soft_ld_slow(cpu, op, la, (W) / 8);                            \
	}                                                                                          \
	static inline void soft_st##W(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, \
				      uint##W##_t v)                                               \
	{                                                                                          \
		const struct soft_tlb_entry *e = soft_tlb_at(cpu->tlb->wr, la, (W) / 8);           \
                                                                                                   \
		if (soft_likely(e->tag == (la & SOFT_PAGE_MASK)))                                  \
			*(soft_u##W *)(uintptr_t)(la + e->delta) = v;                              \
		else                                                                               \
			soft_st_slow(cpu, op, la, v, (W) / 8);                                     \
	}
SOFT_MEM_WIDTH(8)
SOFT_MEM_WIDTH(16)
SOFT_MEM_WIDTH(32)
SOFT_MEM_WIDTH(64)
#undef SOFT_MEM_WIDTH

/* Any length up to a page (fxsave images, 10-byte x87 numbers). */
static inline void soft_ld_bytes(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				 void *buf, unsigned int len)
{
	const void *p = soft_tlb_rd(cpu, la, len);

	if (soft_likely(p != NULL))
		memcpy(buf, p, len);
	else
		soft_ld_bytes_slow(cpu, op, la, buf, len);
}

static inline void soft_st_bytes(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				 const void *buf, unsigned int len)
{
	void *p = soft_tlb_wr(cpu, la, len);

	if (soft_likely(p != NULL))
		memcpy(p, buf, len);
	else
		soft_st_bytes_slow(cpu, op, la, buf, len);
}

/* 16 bytes; the _a forms raise #GP(0) when la is not a multiple of 16 (MOVAPS and legacy SSE
 * operands). */
static inline union soft_xmm soft_ld128(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la)
{
	union soft_xmm v;

	soft_ld_bytes(cpu, op, la, &v, sizeof v);
	return v;
}

static inline void soft_st128(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
			      const union soft_xmm *v)
{
	soft_st_bytes(cpu, op, la, v, sizeof *v);
}

static inline union soft_xmm soft_ld128_a(struct soft_cpu *cpu, const struct soft_op *op,
					  uint64_t la)
{
	if (soft_unlikely(la & 15))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	return soft_ld128(cpu, op, la);
}

static inline void soft_st128_a(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				const union soft_xmm *v)
{
	if (soft_unlikely(la & 15))
		soft_raise_err(cpu, op, SOFT_GP, 0);
	soft_st128(cpu, op, la, v);
}

/* Up to 16 bytes, readable and writable. Guest RAM itself if the operand is one piece of it, else a
 * bounce buffer. */
static inline void *soft_rmw(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
			     unsigned int size)
{
	const struct soft_tlb_entry *e = soft_tlb_at(cpu->tlb->wr, la, size);

	if (soft_likely(e->tag == (la & SOFT_PAGE_MASK)))
		return (void *)(uintptr_t)(la + e->delta);
	return soft_rmw_slow(cpu, op, la, size);
}

static inline void soft_rmw_end(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(cpu->bounce_len))
		soft_rmw_flush(cpu, op);
}

#endif
