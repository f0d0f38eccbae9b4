/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding of one instruction: bytes in, one struct soft_op out. Pure: looks at nothing but its
 * arguments.
 *
 * How an instruction set extension plugs in (SSE and MMX in soft_sse.c, x87 in soft_x87.c):
 * soft_decode_one() eats the prefixes, the opcode and ModRM/SIB/displacement, fills reg, rm, base,
 * index, scale, disp and seg of the op, and for every opcode of the maps 0F, 0F38, 0F3A that the
 * integer core does not own calls soft_sse_decode(d, op), for D8-DF soft_x87_decode(d, op). These
 *  - look at d->map, d->opcode, d->pfx, d->rex_w, d->mod, d->reg, d->rm, d->is_mem and, if the
 * instruction has a trailing immediate byte, fetch it with soft_decode_imm8() (also needed for
 * rip-relative addresses to be right);
 *  - set op->fn, and op->imm/op->aux if they want to; they may rewrite op->reg and op->rm (e.g.
 * drop the REX bits for MMX registers);
 *  - return which kind it is, or SOFT_INSN_UD.
 * The integer core owns in map 0F: 00-0D 18-1F 20-23 30-35 40-4F 80-8F 90-9F A0-AF (not AE /0-3
 * with memory) B0-BF C0 C1 C7 C8-CF FF B8. AE with a memory operand and /0-3 (fxsave, fxrstor,
 * ldmxcsr, stmxcsr) is soft_sse_decode's; the fences, clflush and POPCNT (F3 0F B8) are the core's.
 *
 * CR0.TS, CR0.EM and CR4.OSFXSR are part of the block's key, so handlers never test them: the
 * decoder replaces op->fn by one that raises #NM or #UD according to the kind that was returned.
 */
#ifndef SOFT_DECODE_H
#define SOFT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/engine_soft/soft_op.h"

/*
 * Mandatory prefix as the SSE tables use it. F2/F3 win over 66; d->opsize16 still tells 66 apart.
 */
enum { SOFT_PFX_NONE, SOFT_PFX_66, SOFT_PFX_F3, SOFT_PFX_F2 };
enum { SOFT_MAP_1, SOFT_MAP_0F, SOFT_MAP_0F38, SOFT_MAP_0F3A };

/* Kinds of instruction, as returned by the decode functions. */
enum {
	SOFT_INSN_UD,  /* not an instruction that we know */
	SOFT_INSN_INT, /* never #NM (integer, fences, movnti, prefetch) */
	SOFT_INSN_X87, /* #NM if CR0.TS or CR0.EM */
	SOFT_INSN_MMX, /* #UD if CR0.EM, #NM if CR0.TS */
	SOFT_INSN_SSE, /* #UD if CR0.EM or not CR4.OSFXSR, #NM if CR0.TS */
};

struct soft_decode {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* first byte that is not there: beyond it decoding fails */
	const uint8_t *start;
	bool short_of_bytes; /* ran into end */
	bool ends_block; /* control may leave here, or later instructions must be decoded afresh */
	uint8_t mode;	 /* SOFT_MODE_ */
	uint8_t map;
	uint8_t opcode;
	uint8_t pfx; /* SOFT_PFX_ */
	uint8_t rex; /* whole byte, 0 = none */
	bool rex_w;
	bool opsize16; /* 66 seen */
	bool lock;
	uint8_t opsize;	  /* 2, 4 or 8 bytes */
	uint8_t addrsize; /* 2, 4 or 8 bytes */
	uint8_t seg;	  /* override: SOFT_ES.. or SOFT_SEG_NONE */
	bool has_modrm;
	bool is_mem; /* mod != 3 */
	uint8_t mod; /* raw ModRM fields, without REX */
	uint8_t reg;
	uint8_t rm;
	bool rip_relative;
	bool lock_ok; /* LOCK is allowed with this instruction */
};

/*
 * Decode the instruction at buf[0..len) for mode into *op, whose off the caller has set (targets
 * and rip-relative addresses are kept relative to the page). Returns its length, or 0 when len was
 * too short to hold it (never for len >= 15: too long is #GP, and a valid op that raises it). If
 * op->base comes back as SOFT_REG_FAR, the caller must put a soft_op_set_far in front. *ends_block:
 * no further instruction may follow in the block. [any]
 */
unsigned int soft_decode_one(const uint8_t *buf, unsigned int len, unsigned int mode,
			     struct soft_op *op, bool *ends_block);

/* For decode functions: the next immediate byte (0 beyond the end; the decoder then fails by
 * itself). */
static inline uint8_t soft_decode_imm8(struct soft_decode *d)
{
	if (d->p >= d->end) {
		d->short_of_bytes = true;
		return 0;
	}
	return *d->p++;
}

int soft_sse_decode(struct soft_decode *d, struct soft_op *op);
int soft_x87_decode(struct soft_decode *d, struct soft_op *op);

#endif
