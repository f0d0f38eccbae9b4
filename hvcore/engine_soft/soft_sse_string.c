/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The string comparisons of SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. Read soft_sse.h first.
 *
 * The immediate says: bit 0 words instead of bytes, bit 1 signed, bits 3:2 how to compare, bits 5:4 what to do with the
 * result bits, bit 6 which end (index) or form (mask). The first operand is the register `reg`, called the set here;
 * the second is the text.
 */
#include "config.h"

#define SOFT_LOOPED

#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_sse.h"

enum { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

struct operand {
	const union soft_xmm *v;
	unsigned int length; /* valid elements */
};

static int32_t element(const union soft_xmm *v, unsigned int i, unsigned int imm)
{
	switch (imm & 3) {
	case 0:
		return v->u8[i];
	case 1:
		return v->u16[i];
	case 2:
		return v->s8[i];
	default:
		return v->s16[i];
	}
}

static unsigned int implicit_length(const union soft_xmm *v, unsigned int imm, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (element(v, i, imm) == 0)
			return i;
	return n;
}

/* |length| at most n, from EAX or EDX (RAX or RDX with REX.W) */
static unsigned int explicit_length(uint64_t r, bool wide, unsigned int n)
{
	uint64_t v = wide ? ((int64_t)r < 0 ? 0 - r : r) : ((int32_t)r < 0 ? 0u - (uint32_t)r : (uint32_t)r);

	return v < n ? (unsigned int)v : n;
}

static bool in_set(const struct operand *set, int32_t c, unsigned int imm)
{
	for (unsigned int j = 0; j < set->length; j++)
		if (element(set->v, j, imm) == c)
			return true;
	return false;
}

static bool in_ranges(const struct operand *set, int32_t c, unsigned int imm)
{
	for (unsigned int j = 0; j + 1 < set->length; j += 2)
		if (element(set->v, j, imm) <= c && c <= element(set->v, j + 1, imm))
			return true;
	return false;
}

static bool begins_at(const struct operand *set, const struct operand *text, unsigned int at, unsigned int imm,
		      unsigned int n)
{
	for (unsigned int j = 0; j < set->length && at + j < n; j++)
		if (at + j >= text->length || element(set->v, j, imm) != element(text->v, at + j, imm))
			return false;
	return true;
}

static bool compare_one(const struct operand *set, const struct operand *text, unsigned int i, unsigned int imm,
			unsigned int n)
{
	bool in_text = i < text->length;

	switch (imm >> 2 & 3) {
	case EQUAL_ANY:
		return in_text && in_set(set, element(text->v, i, imm), imm);
	case RANGES:
		return in_text && in_ranges(set, element(text->v, i, imm), imm);
	case EQUAL_EACH:
		if (in_text != (i < set->length))
			return false;
		return !in_text || element(set->v, i, imm) == element(text->v, i, imm);
	default:
		return begins_at(set, text, i, imm, n);
	}
}

/* The result bits, after the polarity of the immediate. */
static uint32_t compare(const struct operand *set, const struct operand *text, unsigned int imm, unsigned int n)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < n; i++) {
		bool bit = compare_one(set, text, i, imm, n);

		if ((imm & 0x10) && (!(imm & 0x20) || i < text->length))
			bit = !bit;
		bits |= (uint32_t)bit << i;
	}
	return bits;
}

static void give_mask(union soft_xmm *to, uint32_t bits, unsigned int imm, unsigned int n)
{
	*to = (union soft_xmm){ .u32 = { bits } };
	if (!(imm & 0x40))
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (n == 16)
			to->u8[i] = bits >> i & 1 ? 0xff : 0;
		else
			to->u16[i] = bits >> i & 1 ? 0xffff : 0;
	}
}

static uint64_t give_index(uint32_t bits, unsigned int imm, unsigned int n)
{
	if (!bits)
		return n;
	return (uint64_t)(imm & 0x40 ? 31 - __builtin_clz(bits) : __builtin_ctz(bits));
}

/* op->imm: bit 0 explicit lengths, bit 1 index (else mask), bit 2 REX.W */
static void string_op(struct soft_cpu *cpu, const struct soft_op *op, const union soft_xmm *s)
{
	unsigned int imm = op->aux, n = imm & 1 ? 8 : 16;
	const union soft_xmm set_bytes = cpu->xmm[op->reg];
	struct operand set = { .v = &set_bytes }, text = { .v = s };
	uint32_t bits;

	if (op->imm & 1) {
		set.length = explicit_length(cpu->gpr[SOFT_RAX], op->imm & 4, n);
		text.length = explicit_length(cpu->gpr[SOFT_RDX], op->imm & 4, n);
	} else {
		set.length = implicit_length(set.v, imm, n);
		text.length = implicit_length(text.v, imm, n);
	}
	bits = compare(&set, &text, imm, n);
	if (op->imm & 2)
		cpu->gpr[SOFT_RCX] = give_index(bits, imm, n);
	else
		give_mask(&cpu->xmm[0], bits, imm, n);
	soft_flags_load(&cpu->flags, (bits ? SOFT_CF : 0) | (text.length < n ? SOFT_ZF : 0) |
					     (set.length < n ? SOFT_SF : 0) | (bits & 1 ? SOFT_OF : 0));
}

static const struct soft_op *string_r(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = cpu->xmm[op->rm];

	string_op(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

/* Unlike other vector operands this one may lie anywhere. */
static const struct soft_op *string_m(struct soft_cpu *cpu, const struct soft_op *op)
{
	const union soft_xmm s = soft_ld128(cpu, op, soft_ea(cpu, op));

	string_op(cpu, op, &s);
	SOFT_NEXT(cpu, op);
}

int soft_sse_string_decode(struct soft_decode *d, struct soft_op *op)
{
	op->fn = d->is_mem ? string_m : string_r;
	op->imm = (d->opcode & 2 ? 0u : 1u) | (d->opcode & 1 ? 2u : 0u) | (d->rex_w ? 4u : 0u);
	op->aux = soft_decode_imm8(d);
	return SOFT_INSN_SSE;
}
