/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XCHG, XADD, CMPXCHG, CMPXCHG8B/16B. With memory XCHG always locks; the others when they carry
 * LOCK.
 *
 * Locked operations are host atomics on guest RAM, so vCPU threads may meet in them. An operand
 * that crosses a page or is not RAM is done in a bounce buffer, which orders it against other such
 * operations only.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_reg.h"

#define EXCHANGES_W(W)                                                                             \
	SOFT_H(xchg##W##_r)                                                                        \
	{                                                                                          \
		SOFT_T(W) a = SOFT_GET(W, op->rm), b = SOFT_GET(W, op->reg);                       \
                                                                                                   \
		SOFT_SET(W, op->rm, b);                                                            \
		SOFT_SET(W, op->reg, a);                                                           \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(xchg##W##_m)                                                                        \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
		SOFT_T(W)                                                                          \
		a = __atomic_exchange_n((SOFT_T(W) *)p, SOFT_GET(W, op->reg), __ATOMIC_SEQ_CST);   \
                                                                                                   \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_SET(W, op->reg, a);                                                           \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(xadd##W##_r)                                                                        \
	{                                                                                          \
		SOFT_T(W) a = SOFT_GET(W, op->rm), b = SOFT_GET(W, op->reg);                       \
		SOFT_T(W) r = (SOFT_T(W))(a + b);                                                  \
                                                                                                   \
		SOFT_FLAGS_ADD(&cpu->flags, W, r, a, b);                                           \
		SOFT_SET(W, op->reg, a);                                                           \
		SOFT_SET(W, op->rm, r);                                                            \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(xadd##W##_m)                                                                        \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
		SOFT_T(W) a, b = SOFT_GET(W, op->reg), r;                                          \
                                                                                                   \
		if (op->flags & SOFT_OP_LOCK) {                                                    \
			a = __atomic_fetch_add((SOFT_T(W) *)p, b, __ATOMIC_SEQ_CST);               \
			r = (SOFT_T(W))(a + b);                                                    \
		} else {                                                                           \
			a = *p;                                                                    \
			*p = r = (SOFT_T(W))(a + b);                                               \
		}                                                                                  \
		SOFT_FLAGS_ADD(&cpu->flags, W, r, a, b);                                           \
		soft_rmw_end(cpu, op);                                                             \
		SOFT_SET(W, op->reg, a);                                                           \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(cmpxchg##W##_r)                                                                     \
	{                                                                                          \
		SOFT_T(W) acc = SOFT_GET(W, SOFT_RAX), a = SOFT_GET(W, op->rm);                    \
		SOFT_T(W) r = (SOFT_T(W))(acc - a);                                                \
                                                                                                   \
		SOFT_FLAGS_SUB(&cpu->flags, W, r, acc, a);                                         \
		if (r)                                                                             \
			SOFT_SET(W, SOFT_RAX, a);                                                  \
		else                                                                               \
			SOFT_SET(W, op->rm, SOFT_GET(W, op->reg));                                 \
		SOFT_NEXT(cpu, op);                                                                \
	}                                                                                          \
	SOFT_H(cmpxchg##W##_m)                                                                     \
	{                                                                                          \
		soft_u##W *p = SOFT_RMW(W, soft_ea(cpu, op));                                      \
		SOFT_T(W) acc = SOFT_GET(W, SOFT_RAX), a = acc, b = SOFT_GET(W, op->reg), r;       \
                                                                                                   \
		if (op->flags & SOFT_OP_LOCK) {                                                    \
			__atomic_compare_exchange_n((SOFT_T(W) *)p, &a, b, false,                  \
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);           \
		} else {                                                                           \
			a = *p;                                                                    \
			if (a == acc)                                                              \
				*p = b;                                                            \
		}                                                                                  \
		r = (SOFT_T(W))(acc - a);                                                          \
		SOFT_FLAGS_SUB(&cpu->flags, W, r, acc, a);                                         \
		soft_rmw_end(cpu, op);                                                             \
		if (r)                                                                             \
			SOFT_SET(W, SOFT_RAX, a);                                                  \
		SOFT_NEXT(cpu, op);                                                                \
	}

EXCHANGES_W(8)
EXCHANGES_W(16)
EXCHANGES_W(32)
EXCHANGES_W(64)

#define ROW(N)                                                                                     \
	{                                                                                          \
		{N##8_r, N##8_m}, {N##16_r, N##16_m}, {N##32_r, N##32_m},                          \
		{                                                                                  \
			N##64_r, N##64_m                                                           \
		}                                                                                  \
	}

const soft_fn soft_xchg[SOFT_NR_WIDTHS][2] = ROW(xchg);
const soft_fn soft_xadd[SOFT_NR_WIDTHS][2] = ROW(xadd);
const soft_fn soft_cmpxchg[SOFT_NR_WIDTHS][2] = ROW(cmpxchg);

static void set_zf(struct soft_flags *f, bool zf)
{
	soft_flags_load(f, (soft_flags_arith(f) & ~SOFT_ZF) | (zf ? SOFT_ZF : 0));
}

SOFT_HX(soft_op_cmpxchg8b)
{
	soft_u64 *p = SOFT_RMW(64, soft_ea(cpu, op));
	uint64_t want = (uint64_t)soft_get32(cpu, SOFT_RDX) << 32 | soft_get32(cpu, SOFT_RAX);
	uint64_t put = (uint64_t)soft_get32(cpu, SOFT_RCX) << 32 | soft_get32(cpu, SOFT_RBX);
	uint64_t was = want;
	bool same;

	same = __atomic_compare_exchange_n((uint64_t *)p, &was, put, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
	soft_rmw_end(cpu, op);
	set_zf(&cpu->flags, same);
	if (!same) {
		soft_set32(cpu, SOFT_RAX, (uint32_t)was);
		soft_set32(cpu, SOFT_RDX, (uint32_t)(was >> 32));
	}
	SOFT_NEXT(cpu, op);
}

#if defined(__x86_64__)
/* By hand: compilers disagree on whether their built-in needs -mcx16 or a library. */
static bool cas128(void *p, uint64_t want[2], const uint64_t put[2])
{
	bool same;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(same), "+m"(*(unsigned __int128 *)p), "+a"(want[0]), "+d"(want[1])
			 : "b"(put[0]), "c"(put[1])
			 : "memory");
	return same;
}
#else
#error "a 128-bit compare and swap for this host is needed here"
#endif

SOFT_HX(soft_op_cmpxchg16b)
{
	uint64_t la = soft_ea(cpu, op), was[2] = {cpu->gpr[SOFT_RAX], cpu->gpr[SOFT_RDX]};
	const uint64_t put[2] = {cpu->gpr[SOFT_RBX], cpu->gpr[SOFT_RCX]};
	bool same;

	if (la & 15)
		soft_raise_err(cpu, op, SOFT_GP, 0);
	same = cas128(soft_rmw(cpu, op, la, 16), was, put);
	soft_rmw_end(cpu, op);
	set_zf(&cpu->flags, same);
	if (!same) {
		cpu->gpr[SOFT_RAX] = was[0];
		cpu->gpr[SOFT_RDX] = was[1];
	}
	SOFT_NEXT(cpu, op);
}
