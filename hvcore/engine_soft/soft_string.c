/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions: MOVS STOS LODS CMPS SCAS, with and without REP.
 *
 * Repeated MOVS and STOS go by pieces that lie in one page on each side, which become memmove and
 * memset. Between pieces, registers are those of an instruction interrupted there, so that faults
 * and interrupts can restart it.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

/* Which bits of RCX, RSI and RDI the address size uses. */
static inline uint64_t reg_mask(const struct soft_op *op)
{
	return op->flags & SOFT_OP_ADDR16   ? 0xffff
	       : op->flags & SOFT_OP_ADDR32 ? 0xffffffff
					    : ~0ull;
}

/* Set the used bits; a 32-bit register is zero-extended, a 16-bit one leaves the rest. */
static inline void set_masked(struct soft_cpu *cpu, unsigned int r, uint64_t v, uint64_t mask)
{
	if (mask == 0xffff)
		soft_set16(cpu, r, (uint16_t)v);
	else
		cpu->gpr[r] = v & mask;
}

static inline uint64_t src_la(const struct soft_cpu *cpu, const struct soft_op *op, uint64_t mask)
{
	uint64_t la = (cpu->gpr[SOFT_RSI] & mask) + cpu->seg_base[op->seg];

	return op->flags & SOFT_OP_LIN32 ? (uint32_t)la : la;
}

static inline uint64_t dst_la(const struct soft_cpu *cpu, const struct soft_op *op, uint64_t mask)
{
	uint64_t la = cpu->gpr[SOFT_RDI] & mask;

	return op->flags & SOFT_OP_LIN32 ? (uint32_t)(la + cpu->seg_base[SOFT_ES]) : la;
}

/* REP goes on later at the same instruction: something wants the CPU. RF: see soft_break.h. */
static inline const struct soft_op *come_back(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->icount += op->n - 1u;
	cpu->eflags |= SOFT_RF;
	return soft_leave(cpu, soft_rip(cpu, op));
}

static inline bool wanted(struct soft_cpu *cpu)
{
	return soft_unlikely(atomic_load_explicit(&cpu->stop, memory_order_relaxed) != 0);
}

/* How many of count elements of size bytes, upward from la, lie in la's page. */
static inline uint64_t in_page(uint64_t la, uint64_t count, unsigned int size)
{
	uint64_t room = (SOFT_PAGE - (la & (SOFT_PAGE - 1))) / size;

	return count < room ? count : room;
}

/* One piece of a forward REP STOS; returns the elements done, 0 if it must go one by one. */
static uint64_t stos_piece(struct soft_cpu *cpu, uint64_t la, uint64_t count, unsigned int size)
{
	uint64_t n = in_page(la, count, size), v = cpu->gpr[SOFT_RAX];
	uint8_t *p;

	if (n < 2)
		return 0;
	p = soft_tlb_wr(cpu, la, 1);
	if (!p)
		return 0;
	if (size == 1 ||
	    (v & 0xff) * 0x0101010101010101ull << (64 - 8 * size) == v << (64 - 8 * size)) {
		memset(p, (int)(v & 0xff), n * size);
		return n;
	}
	for (uint64_t i = 0; i < n; i++)
		memcpy(p + i * size, &v, size);
	return n;
}

static uint64_t movs_piece(struct soft_cpu *cpu, uint64_t from, uint64_t to, uint64_t count,
			   unsigned int size)
{
	uint64_t n = in_page(to, in_page(from, count, size), size);
	uint8_t *d, *s;

	if (n < 2)
		return 0;
	d = soft_tlb_wr(cpu, to, 1);
	s = soft_tlb_rd(cpu, from, 1);
	if (!d || !s || (d > s && d < s + n * size)) /* overlapping so that it repeats itself */
		return 0;
	memmove(d, s, n * size);
	return n;
}

#define STEP(W) (cpu->eflags & SOFT_DF ? -(int64_t)((W) / 8) : (int64_t)((W) / 8))
#define IS_REP	(op->flags & (SOFT_OP_REP | SOFT_OP_REPNE))

/* Body: one element with `la_to`/`la_from` known; PIECE: number of elements done at once. */
#define REPEATED(W, NAME, DECLS, PIECE, BODY, SI, DI)                                              \
	SOFT_H(NAME##W)                                                                            \
	{                                                                                          \
		const uint64_t mask = reg_mask(op);                                                \
		const int64_t step = STEP(W);                                                      \
		uint64_t n;                                                                        \
                                                                                                   \
		DECLS;                                                                             \
		for (;;) {                                                                         \
			uint64_t count = IS_REP ? cpu->gpr[SOFT_RCX] & mask : 1;                   \
                                                                                                   \
			if (!count)                                                                \
				break;                                                             \
			n = count > 1 && step > 0 && !(op->flags & SOFT_OP_ODD_EA) && !wanted(cpu) \
				    ? PIECE                                                        \
				    : 0;                                                           \
			if (!n) {                                                                  \
				BODY;                                                              \
				n = 1;                                                             \
			}                                                                          \
			if (SI)                                                                    \
				set_masked(cpu, SOFT_RSI, cpu->gpr[SOFT_RSI] + n * (uint64_t)step, \
					   mask);                                                  \
			if (DI)                                                                    \
				set_masked(cpu, SOFT_RDI, cpu->gpr[SOFT_RDI] + n * (uint64_t)step, \
					   mask);                                                  \
			if (!IS_REP)                                                               \
				break;                                                             \
			set_masked(cpu, SOFT_RCX, count - n, mask);                                \
			if (count != n && wanted(cpu))                                             \
				return come_back(cpu, op);                                         \
		}                                                                                  \
		SOFT_NEXT(cpu, op);                                                                \
	}

#define STRINGS_W(W)                                                                               \
	REPEATED(W, movs, ,                                                                        \
		 movs_piece(cpu, src_la(cpu, op, mask), dst_la(cpu, op, mask), count, (W) / 8),    \
		 SOFT_T(W) v = SOFT_LD(W, src_la(cpu, op, mask));                                  \
		 SOFT_ST(W, dst_la(cpu, op, mask), v), true, true)                                 \
	REPEATED(W, stos, , stos_piece(cpu, dst_la(cpu, op, mask), count, (W) / 8),                \
		 SOFT_ST(W, dst_la(cpu, op, mask), cpu->gpr[SOFT_RAX]), false, true)               \
	REPEATED(W, lods, , 0, SOFT_T(W) v = SOFT_LD(W, src_la(cpu, op, mask));                    \
		 SOFT_SET(W, W == 8 ? 0 : SOFT_RAX, v), true, false)
STRINGS_W(8)
STRINGS_W(16)
STRINGS_W(32)
STRINGS_W(64)

/* CMPS and SCAS stop when ZF is not what the prefix says (F3: equal, F2: not equal). */
#define COMPARING(W, NAME, A, B, SI)                                                               \
	SOFT_H(NAME##W)                                                                            \
	{                                                                                          \
		const uint64_t mask = reg_mask(op);                                                \
		const int64_t step = STEP(W);                                                      \
                                                                                                   \
		for (;;) {                                                                         \
			uint64_t count = IS_REP ? cpu->gpr[SOFT_RCX] & mask : 1;                   \
			SOFT_T(W) a, b, r;                                                         \
                                                                                                   \
			if (!count)                                                                \
				break;                                                             \
			a = A;                                                                     \
			b = B;                                                                     \
			r = (SOFT_T(W))(a - b);                                                    \
			SOFT_FLAGS_SUB(&cpu->flags, W, r, a, b);                                   \
			if (SI)                                                                    \
				set_masked(cpu, SOFT_RSI, cpu->gpr[SOFT_RSI] + (uint64_t)step,     \
					   mask);                                                  \
			set_masked(cpu, SOFT_RDI, cpu->gpr[SOFT_RDI] + (uint64_t)step, mask);      \
			if (!IS_REP)                                                               \
				break;                                                             \
			set_masked(cpu, SOFT_RCX, count - 1, mask);                                \
			if (!r != !!(op->flags & SOFT_OP_REP))                                     \
				break;                                                             \
			if (count > 1 && wanted(cpu))                                              \
				return come_back(cpu, op);                                         \
		}                                                                                  \
		SOFT_NEXT(cpu, op);                                                                \
	}
#define COMPARES_W(W)                                                                              \
	COMPARING(W, cmps, SOFT_LD(W, src_la(cpu, op, mask)), SOFT_LD(W, dst_la(cpu, op, mask)),   \
		  true)                                                                            \
	COMPARING(W, scas, SOFT_GET(W, W == 8 ? 0 : SOFT_RAX), SOFT_LD(W, dst_la(cpu, op, mask)),  \
		  false)
COMPARES_W(8)
COMPARES_W(16)
COMPARES_W(32)
COMPARES_W(64)

#define ROW(N)                                                                                     \
	{                                                                                          \
		N##8, N##16, N##32, N##64                                                          \
	}

const soft_fn soft_movs[SOFT_NR_WIDTHS] = ROW(movs);
const soft_fn soft_stos[SOFT_NR_WIDTHS] = ROW(stos);
const soft_fn soft_lods[SOFT_NR_WIDTHS] = ROW(lods);
const soft_fn soft_cmps[SOFT_NR_WIDTHS] = ROW(cmps);
const soft_fn soft_scas[SOFT_NR_WIDTHS] = ROW(scas);
