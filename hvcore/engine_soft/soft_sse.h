/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the vector instructions (SSE to SSE4.2, MMX) are put together.
 *
 * Most of them are one *kernel*: a pure function "destination, source, immediate" on two vectors, plus one of a few
 * generic handlers that fetch the operands (soft_sse.c). The opcode tables are split by meaning, each in the file that
 * has the kernels: soft_sse_move.c, soft_sse_int.c, soft_sse_shuffle.c, soft_sse_float.c, soft_sse4.c. The decoder
 * scans them once per decoded instruction; at run time nothing is looked up.
 *
 * MMX uses the kernels of the 128-bit forms: an adapter puts the operands into the right halves.
 * [vcpu] everything.
 */
#ifndef SOFT_SSE_H
#define SOFT_SSE_H

#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_decode.h"
#include "hvcore/engine_soft/soft_mem.h"

typedef void (*soft_sse_kernel_fn)(union soft_xmm *d, const union soft_xmm *s, unsigned int imm);
/* Kernels with a scalar result: to a general register, or RFLAGS bits. */
typedef uint64_t (*soft_sse_scalar_fn)(const union soft_xmm *d, const union soft_xmm *s, unsigned int imm);

/* soft_sse_row.flags */
#define SOFT_SSE_IMM8	  0x01u /* an immediate byte follows; it comes to op->aux */
#define SOFT_SSE_MMX_LOW  0x02u /* without 66 this is MMX: the low half of the result */
#define SOFT_SSE_MMX_HIGH 0x04u /* ... the high half */
#define SOFT_SSE_MMX_PACK 0x08u /* ... both operands side by side as destination, low half of the result */
#define SOFT_SSE_MMX	  (SOFT_SSE_MMX_LOW | SOFT_SSE_MMX_HIGH | SOFT_SSE_MMX_PACK)

#define SOFT_SSE_ANY -1

struct soft_sse_row {
	uint8_t map, opcode, pfx; /* as struct soft_decode has them */
	int8_t ext;		  /* reg field of ModRM, or SOFT_SSE_ANY */
	int8_t w;		  /* REX.W: 0, 1 or SOFT_SSE_ANY */
	uint8_t kind;		  /* SOFT_INSN_ */
	uint8_t flags;
	soft_fn reg, mem; /* NULL: that form does not exist */
	soft_sse_kernel_fn kernel;
	soft_sse_scalar_fn scalar;
};

struct soft_sse_table {
	const struct soft_sse_row *rows;
	unsigned int count;
};

extern const struct soft_sse_table soft_sse_moves, soft_sse_ints, soft_sse_shuffles, soft_sse_floats, soft_sse_fours,
	soft_sse_state;

/* Instructions whose operands no row can say. */
int soft_crc32_decode(const struct soft_decode *d, struct soft_op *op);
int soft_sse_string_decode(struct soft_decode *d, struct soft_op *op);

/* Generic handlers. _r: register source; _m: memory source of 128 (aligned), 64, 32 or 16 bits. */
const struct soft_op *soft_sse_r(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_m128(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_m64(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_m32(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_m16(struct soft_cpu *cpu, const struct soft_op *op);
/* The same under the guest's MXCSR, with its exceptions. */
const struct soft_op *soft_sse_fp_r(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_fp_m128(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_fp_m64(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_sse_fp_m32(struct soft_cpu *cpu, const struct soft_op *op);
/* MMX operands. */
const struct soft_op *soft_mmx_low_r(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_mmx_low_m(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_mmx_low_m32(struct soft_cpu *cpu, const struct soft_op *op);

/*
 * A vector of two halves, made in one piece: a host that has just written two halves to memory must wait before it can
 * read them as one vector. For the same reason handlers write whole vectors where they can.
 */
static inline union soft_xmm soft_xmm_of(uint64_t low, uint64_t high)
{
	union soft_xmm x = { .v = { low, high } };

	return x;
}

static inline soft_sse_kernel_fn soft_sse_kernel(const struct soft_op *op)
{
	return (soft_sse_kernel_fn)(uintptr_t)op->imm;
}

static inline soft_sse_scalar_fn soft_sse_scalar(const struct soft_op *op)
{
	return (soft_sse_scalar_fn)(uintptr_t)op->imm;
}

/* Before any MMX instruction touches memory: a pending x87 exception comes first. */
static inline void soft_mmx_check(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (soft_unlikely(cpu->x87.sw & 0x80))
		soft_raise(cpu, op, SOFT_MF);
}

/* When it can no longer fault: after an MMX instruction all of the x87 stack is in use. */
static inline void soft_mmx_enter(struct soft_cpu *cpu, const struct soft_op *op)
{
	soft_mmx_check(cpu, op);
	cpu->x87.top = 0;
	cpu->x87.valid = 0xff;
}

static inline void soft_mmx_set(struct soft_cpu *cpu, unsigned int reg, uint64_t value)
{
	cpu->x87.r[reg].mant = value;
	cpu->x87.r[reg].exp_sign = 0xffff;
}

/* Rows of the tables. */
#define SOFT_ROW_(m, p, o, x, wide, k, f, r, mm, kern, sc)                                                            \
	{ .map = m, .opcode = o, .pfx = p, .ext = x, .w = wide, .kind = k, .flags = f, .reg = r, .mem = mm,           \
	  .kernel = kern, .scalar = sc }
/* A kernel with 128-bit operands. */
#define SOFT_V128(m, p, o, kern, f)                                                                                   \
	SOFT_ROW_(m, p, o, SOFT_SSE_ANY, SOFT_SSE_ANY, SOFT_INSN_SSE, f, soft_sse_r, soft_sse_m128, kern, NULL)
/* Hand-written handlers. */
#define SOFT_HAND(m, p, o, k, r, mm) SOFT_ROW_(m, p, o, SOFT_SSE_ANY, SOFT_SSE_ANY, k, 0, r, mm, NULL, NULL)

#endif
