/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generator of instruction cases. Encoding first (prefixes, ModRM, SIB, displacement, immediate), with a memory
 * target chosen near a page border; then registers, so that the address comes out at the target; then values that make
 * the instruction interesting (accumulators that match, divisors that fit, counts that are small).
 */
#include "config.h"

#include "tests/engine/insn_gen.h"

#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

/* What the encoding says about the operands, for the values that follow. */
struct shape {
	const struct insn_form *form;
	uint8_t rex;
	bool osize, asize32, lock;
	bool is_mem;
	uint8_t reg, rm;	/* REX folded in */
	uint64_t target;	/* linear address of the memory operand */
	uint32_t opcode_at, imm_at;
};

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/* xoshiro256** */
uint64_t insn_gen_next(struct insn_gen *g)
{
	uint64_t *s = g->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

void insn_gen_seed(struct insn_gen *g, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		g->s[i] = z ^ z >> 31;
	}
}

static uint32_t below(struct insn_gen *g, uint32_t n)
{
	return (uint32_t)((insn_gen_next(g) >> 32) * n >> 32);
}

static bool one_in(struct insn_gen *g, uint32_t n)
{
	return below(g, n) == 0;
}

/* Integers with a taste for borders. */
static uint64_t value(struct insn_gen *g)
{
	static const uint64_t special[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
					    0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~1ull };
	uint64_t r = insn_gen_next(g);

	switch (r & 7) {
	case 0:
		return special[r >> 8 & 15];
	case 1:
		return r >> (8 + (r >> 3 & 31));
	case 2:
		return (uint64_t)((int64_t)r >> (r >> 3 & 63));
	case 3:
		return (uint64_t)(int64_t)(int32_t)(r >> 32);
	default:
		return r ^ rotl(r, 23);
	}
}

static uint64_t float_bits(struct insn_gen *g, bool wide)
{
	static const uint64_t special64[] = { 0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
					      0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 1,
					      0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
					      0x41dfffffffc00000, 0x43e0000000000000, 0x3fe0000000000000, 0x4330000000000001 };
	static const uint32_t special32[] = { 0, 1u << 31, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
					      0x7f800001, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0x5f000000,
					      0x3f000000, 0x4b000001 };
	uint64_t r = insn_gen_next(g), exponent;

	if ((r & 3) == 0)
		return wide ? special64[r >> 8 & 15] : special32[r >> 8 & 15];
	if ((r & 3) == 1)
		return r ^ rotl(r, 11);
	/* Exponents close to each other, so that additions and comparisons do not degenerate. */
	if (wide) {
		exponent = 1023 - 12 + (r >> 8 & 31);
		return (r & 0x800fffffffffffff) | exponent << 52;
	}
	exponent = 127 - 6 + (r >> 8 & 15);
	return (rotl(r, 29) & 0x807fffff) | exponent << 23;
}

static void fill_floats(struct insn_gen *g, uint8_t *p, unsigned int bytes)
{
	bool wide = one_in(g, 2);

	for (unsigned int i = 0; i < bytes; i += 8) {
		uint64_t v = float_bits(g, wide);

		if (!wide)
			v = (v & 0xffffffff) | float_bits(g, false) << 32;
		memcpy(p + i, &v, 8);
	}
}

static void fill_random(struct insn_gen *g, uint8_t *p, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i += 8) {
		uint64_t v = insn_gen_next(g);

		memcpy(p + i, &v, 8);
	}
}

/* 80-bit numbers: normal, and every strange encoding. */
static void fill_x87_register(struct insn_gen *g, uint8_t *p)
{
	uint64_t r = insn_gen_next(g), mant = insn_gen_next(g) | 1ull << 63;
	uint16_t exp_sign = (uint16_t)((16383 - 16 + (r >> 16 & 31)) | (r & 0x8000));

	switch (r & 15) {
	case 0:
		mant = 0;
		exp_sign &= 0x8000;
		break;
	case 1:
		mant = one_in(g, 2) ? 1ull << 63 : mant;
		exp_sign |= 0x7fff;
		break;
	case 2:
		mant &= ~(1ull << 63);
		exp_sign = one_in(g, 2) ? exp_sign & 0x8000 : exp_sign;
		break;
	case 3:
		exp_sign = (uint16_t)(r >> 32);
		break;
	case 4: case 5: case 6:
		mant &= ~0ull << (r >> 40 & 63);
		mant |= 1ull << 63;
		break;
	case 7:
		exp_sign = (uint16_t)((16383 - 2000 + (r >> 32) % 4000) | (r & 0x8000));
		break;
	default:
		break;
	}
	memcpy(p, &mant, 8);
	memcpy(p + 8, &exp_sign, 2);
}

static uint64_t pick_target(struct insn_gen *g, const struct insn_form *f)
{
	unsigned int strip = one_in(g, 6) ? below(g, INSN_STRIPS) : 1;
	uint64_t border = INSN_DATA_LA + (strip + 1) * INSN_PAGE;
	int64_t delta = one_in(g, 3) ? (int64_t)below(g, 32) - 16 : (int64_t)below(g, 160) - 80;

	if (one_in(g, 200))
		return 0x0000800000000000ull - 8 + below(g, 16); /* at and beyond the border of canonical addresses */
	if ((f->flags & F_ALIGN) && !one_in(g, 8))
		delta &= ~15ll;
	return border + (uint64_t)delta;
}

static void put(struct insn_case *c, uint64_t v, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		c->code[c->len++] = (uint8_t)(v >> i * 8);
}

static void put_prefixes(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	const struct insn_form *f = s->form;

	if (one_in(g, 16))
		put(c, one_in(g, 2) ? 0x3e : 0x2e, 1); /* segment overrides without a meaning */
	s->asize32 = (f->flags & (F_RM | F_STRING)) && one_in(g, 16);
	if (s->asize32)
		put(c, 0x67, 1);
	s->osize = (f->flags & (F_SIZED | F_SIZE64)) && one_in(g, 4);
	if (s->osize)
		put(c, 0x66, 1);
	if (s->lock)
		put(c, 0xf0, 1);
	if ((f->flags & F_REP) && !one_in(g, 3))
		put(c, one_in(g, 2) ? 0xf3 : 0xf2, 1);
	if (f->prefix)
		put(c, f->prefix, 1);
	s->rex = one_in(g, 3) ? 0 : 0x40 | (uint8_t)below(g, 8);
	if ((f->flags & (F_SIZED | F_W)) && one_in(g, 2))
		s->rex |= 0x48;
	if ((f->flags & F_SIZE64) && one_in(g, 8))
		s->rex |= 0x48;
	if (s->rex)
		put(c, s->rex, 1);
	c->opsize = f->flags & F_BYTE ? 1 : s->rex & 8 ? 8 : s->osize ? 2 : f->flags & F_SIZE64 ? 8 : 4;
}

/* Sets the address registers so that base + index * scale + disp is the target; true: it could. */
static void aim(struct insn_gen *g, struct shape *s, struct insn_case *c, int base, int index, int scale, int64_t disp)
{
	uint64_t rest = s->target - (uint64_t)disp;

	if (index >= 0 && index != base) {
		c->in.gpr[index] = one_in(g, 2) ? below(g, 64) - 32ull : value(g);
		if (base < 0) /* only multiples of the scale can be reached */
			c->in.gpr[index] = rest >> scale;
		rest -= c->in.gpr[index] << scale;
	} else if (index >= 0) {
		rest /= 1 + (1u << scale);
	}
	if (base >= 0)
		c->in.gpr[base] = rest;
	s->target = (base >= 0 ? c->in.gpr[base] : 0) + (index >= 0 ? c->in.gpr[index] << scale : 0) + (uint64_t)disp;
	if (s->asize32 && base >= 0 && one_in(g, 2))
		c->in.gpr[base] |= insn_gen_next(g) << 32;
}

static void put_memory(struct insn_gen *g, struct shape *s, struct insn_case *c, uint8_t reg3)
{
	uint8_t mod = (uint8_t)below(g, 3), rm = (uint8_t)below(g, 8), sib = (uint8_t)below(g, 256);
	int base, index = -1, scale = 0;
	int64_t disp = 0;
	uint32_t disp_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	base = rm | (s->rex & 1) << 3;
	put(c, (uint64_t)(mod << 6 | reg3 << 3 | rm), 1);
	if (rm == 4) {
		base = (sib & 7) | (s->rex & 1) << 3;
		index = (sib >> 3 & 7) | (s->rex & 2) << 2;
		scale = sib >> 6;
		put(c, sib, 1);
		if (index == 4)
			index = -1;
		if ((sib & 7) == 5 && mod == 0) {
			base = -1;
			disp_bytes = 4;
		}
	} else if (rm == 5 && mod == 0) { /* rip-relative: filled in when the length is known */
		s->rm = 0xff;
		put(c, 0, 4);
		return;
	}
	if (disp_bytes == 1)
		disp = (int8_t)insn_gen_next(g);
	else if (disp_bytes == 4)
		disp = base < 0 && index < 0 ? (int64_t)(int32_t)s->target : (int32_t)insn_gen_next(g);
	put(c, (uint64_t)disp, disp_bytes);
	aim(g, s, c, base, index, scale, disp);
}

static void put_modrm(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	const struct insn_form *f = s->form;
	uint8_t reg3 = f->ext >= 0 ? (uint8_t)f->ext : (uint8_t)below(g, 8);
	uint8_t rm3 = (uint8_t)below(g, 8);

	s->reg = reg3 | (s->rex & 4) << 1;
	if ((f->flags & F_MEM) == F_MEM)
		s->is_mem = true;
	else if ((f->flags & F_REG) == F_REG)
		s->is_mem = false;
	else
		s->is_mem = s->lock ? !one_in(g, 16) : one_in(g, 2);
	if (s->is_mem) {
		put_memory(g, s, c, reg3);
		return;
	}
	s->rm = rm3 | (s->rex & 1) << 3;
	put(c, 0xc0u | reg3 << 3 | rm3, 1);
}

static void put_immediate(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	uint32_t flags = s->form->flags;

	s->imm_at = c->len;
	if (flags & F_MOFFS)
		put(c, s->target, 8);
	if (flags & F_IW)
		put(c, one_in(g, 2) ? below(g, 64) : insn_gen_next(g), 2);
	if (flags & F_IB)
		put(c, flags & F_IW ? 0 : insn_gen_next(g), 1);
	if (flags & F_IZ)
		put(c, value(g), s->osize && !(s->rex & 8) ? 2 : 4);
	if (flags & F_IV)
		put(c, value(g), s->rex & 8 ? 8 : s->osize ? 2 : 4);
}

static void put_encoding(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	static const uint8_t maps[4][3] = { { 1 }, { 2, 0x0f }, { 3, 0x0f, 0x38 }, { 3, 0x0f, 0x3a } };
	const struct insn_form *f = s->form;
	uint8_t opcode = f->opcode;

	c->len = 0;
	s->lock = (f->flags & F_LOCKABLE) ? one_in(g, 3) : false;
	put_prefixes(g, s, c);
	for (uint8_t i = 1; i < maps[f->map][0]; i++)
		put(c, maps[f->map][i], 1);
	if (f->flags & F_PLUSR) {
		uint8_t low = (uint8_t)below(g, 8);

		opcode += low;
		s->rm = low | (s->rex & 1) << 3;
	}
	s->opcode_at = c->len;
	put(c, opcode, 1);
	if (f->flags & F_RM)
		put_modrm(g, s, c);
	else if (f->flags & F_STI)
		put(c, (uint64_t)(0xc0 | f->ext << 3) | below(g, 8), 1);
	put_immediate(g, s, c);
	if (s->is_mem && s->rm == 0xff) {
		uint32_t at = s->imm_at - 4;
		uint32_t disp = (uint32_t)(s->target - (c->in.rip + c->len));

		memcpy(c->code + at, &disp, 4);
	}
}

/* The memory of the case at linear address la, if it lies in a strip with n bytes to go. */
static uint8_t *operand(struct insn_case *c, uint64_t la, uint32_t n)
{
	for (unsigned int i = 0; i < INSN_STRIPS; i++) {
		uint64_t at = la - INSN_DATA_LA - insn_strip_offset(i);

		if (at < INSN_STRIP && at + n <= INSN_STRIP)
			return c->mem[i] + at;
	}
	return NULL;
}

static uint64_t landing(struct insn_gen *g, const struct insn_case *c)
{
	uint64_t off = below(g, INSN_PAGE);

	/* Not into the instruction itself, where the bytes are no int3. */
	if (INSN_CODE_LA + off - c->in.rip + 16 < 48)
		off = (off + 64) % INSN_PAGE;
	return INSN_CODE_LA + off;
}

static void fix_branch(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	uint32_t flags = s->form->flags;
	uint64_t target = landing(g, c);
	uint8_t *p;

	c->branch = flags & (F_BRANCH | F_JUMP | F_RET);
	if ((flags & F_BRANCH) && (flags & F_IZ)) {
		uint32_t rel = (uint32_t)(target - (c->in.rip + c->len));

		memcpy(c->code + s->imm_at, &rel, 4);
	} else if (flags & F_BRANCH) {
		c->code[s->imm_at] = (uint8_t)(one_in(g, 2) ? 32 + below(g, 90) : 0x80 + below(g, 90));
	} else if (flags & F_RET) {
		p = operand(c, c->in.gpr[RSP], 8);
		if (p)
			memcpy(p, &target, 8);
	} else if ((flags & F_JUMP) && s->is_mem) {
		p = operand(c, s->target, 8);
		if (p)
			memcpy(p, &target, 8);
	} else if ((flags & F_JUMP) && s->rm != RSP) { /* "call rsp" would push onto the code */
		c->in.gpr[s->rm] = target;
	}
}

static void fix_divide(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	if (one_in(g, 4))
		return;
	c->in.gpr[RDX] = one_in(g, 2) ? 0 : value(g) >> (one_in(g, 2) ? 40 : 1);
	if (s->form->ext == 7)
		c->in.gpr[RDX] = (uint64_t)((int64_t)c->in.gpr[RAX] >> 63);
	if (c->opsize == 1)
		c->in.gpr[RAX] = (c->in.gpr[RAX] & ~0xffffull) | below(g, 0x800);
}

static void fix_compare(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	uint32_t size = s->form->ext == 1 ? (s->rex & 8 ? 16 : 8) : c->opsize;
	const uint8_t *p;
	uint64_t v[2] = { 0 };

	if (one_in(g, 2))
		return;
	if (!s->is_mem) {
		c->in.gpr[RAX] = c->in.gpr[s->rm];
		return;
	}
	p = operand(c, s->target, size);
	if (!p)
		return;
	memcpy(v, p, size);
	if (s->form->ext == 1) {
		c->in.gpr[RAX] = size == 16 ? v[0] : (uint32_t)v[0];
		c->in.gpr[RDX] = size == 16 ? v[1] : v[0] >> 32;
	} else {
		c->in.gpr[RAX] = v[0];
	}
}

/* LDMXCSR, FXRSTOR: mostly without reserved bits, and never with the one that only AMD has. */
static void fix_mxcsr(struct insn_gen *g, const struct shape *s, struct insn_case *c)
{
	uint8_t *p = operand(c, s->target + (s->form->ext == 1 ? 24 : 0), 4);

	if (!p)
		return;
	p[2] &= (uint8_t)~2;
	if (!one_in(g, 4))
		p[2] = p[3] = 0;
}

static void fix_values(struct insn_gen *g, struct shape *s, struct insn_case *c)
{
	uint32_t flags = s->form->flags;

	if (flags & F_DIV)
		fix_divide(g, s, c);
	if (flags & F_CMPXCHG)
		fix_compare(g, s, c);
	if ((flags & F_BITOFF) && s->is_mem)
		c->in.gpr[s->reg] = (uint64_t)((int64_t)insn_gen_next(g) >> (64 - 1 - below(g, 10)));
	if (s->form->kind == K_DOUBLE && c->opsize == 2) { /* longer 16-bit double shifts are undefined */
		if (flags & F_IB)
			c->code[s->imm_at] = (uint8_t)below(g, 17);
		c->in.gpr[RCX] = (c->in.gpr[RCX] & ~0xffull) | below(g, 17);
	}
	if (s->form->kind == K_PLAIN && s->form->map == 0 && s->form->opcode == 0x9d) {
		uint8_t *p = operand(c, c->in.gpr[RSP], 8);

		if (p) { /* POPF: no single step, no alignment checks */
			p[1] &= (uint8_t)~1;
			p[2] &= (uint8_t)~4;
		}
	}
	if (s->form->map == 1 && s->form->opcode == 0xae && s->is_mem)
		fix_mxcsr(g, s, c);
	if (flags & (F_BRANCH | F_JUMP | F_RET))
		fix_branch(g, s, c);
}

/* Registers that must point somewhere before the encoding may choose them for an address of its own. */
static void aim_implicit(struct insn_gen *g, const struct insn_form *f, struct insn_case *c)
{
	if (f->flags & F_STACK)
		c->in.gpr[RSP] = pick_target(g, f) & (one_in(g, 3) ? ~0ull : ~7ull);
	if (f->flags & F_FRAME)
		c->in.gpr[RBP] = pick_target(g, f);
	if (f->flags & (F_STRING | F_RDI))
		c->in.gpr[RDI] = pick_target(g, f);
	if (f->flags & F_STRING) {
		c->in.gpr[RSI] = one_in(g, 4) ? c->in.gpr[RDI] + below(g, 64) - 32 : pick_target(g, f);
		c->in.gpr[RCX] = one_in(g, 4) ? below(g, 4) : below(g, 12);
	}
	if (f->flags & F_XLAT)
		c->in.gpr[RBX] = pick_target(g, f) - (uint8_t)c->in.gpr[RAX];
	if (f->flags & F_BRANCH)
		c->in.gpr[RCX] = one_in(g, 2) ? below(g, 3) : c->in.gpr[RCX];
}

static void fill_fx(struct insn_gen *g, const struct insn_form *f, struct insn_case *c)
{
	uint8_t *fx = c->in.fx;
	uint32_t mxcsr = (insn_gen_next(g) & 0xe03f) | 0x1f80;
	uint16_t cw = (uint16_t)((insn_gen_next(g) & 0x0f00) | 0x7f);
	uint16_t sw = 0;

	memset(fx, 0, 512);
	if (one_in(g, 8))
		mxcsr ^= (uint32_t)insn_gen_next(g) & 0x1fc0;
	if (f->flags & F_X87) {
		sw = (uint16_t)(insn_gen_next(g) & 0x7f7f); /* any flags, C0-C3 and TOP; ES follows from the masks */
		if (one_in(g, 2))
			sw &= 0xff00;
		if (one_in(g, 8))
			cw ^= (uint16_t)(insn_gen_next(g) & 0x3f);
		if (sw & ~cw & 0x3f)
			sw = one_in(g, 4) ? sw | 0x8080 : (uint16_t)(sw & ~0x3f);
		fx[4] = one_in(g, 4) ? (uint8_t)insn_gen_next(g) : 0xff;
		for (int i = 0; i < 8; i++)
			fill_x87_register(g, fx + 32 + i * 16);
	} else {
		fill_random(g, fx + 32, 8); /* one register, so that MMX-less code is seen to leave it alone */
	}
	memcpy(fx, &cw, 2);
	memcpy(fx + 2, &sw, 2);
	memcpy(fx + 24, &mxcsr, 4);
	if ((f->flags & F_FLOAT) && !one_in(g, 16))
		fill_floats(g, fx + 160, 256);
	else
		fill_random(g, fx + 160, 256);
}

static void fill_memory(struct insn_gen *g, const struct insn_form *f, struct insn_case *c)
{
	for (unsigned int i = 0; i < INSN_STRIPS; i++) {
		if ((f->flags & F_FLOAT) && !one_in(g, 4))
			fill_floats(g, c->mem[i], INSN_STRIP);
		else
			fill_random(g, c->mem[i], INSN_STRIP);
	}
	if ((f->flags & F_X87) && !(f->flags & F_XIMM) && one_in(g, 2))
		for (unsigned int i = 0; i < INSN_STRIP - 16; i += 16)
			fill_x87_register(g, c->mem[1] + i);
}

/* Strings that compare equal for a while, so that REPE and REPNE run on. */
static void repeat_memory(struct insn_gen *g, struct insn_case *c)
{
	uint8_t byte = c->mem[1][0];

	if (!one_in(g, 2))
		return;
	for (unsigned int i = 0; i < INSN_STRIPS; i++)
		for (unsigned int j = 0; j < INSN_STRIP; j++)
			if (!one_in(g, 16))
				c->mem[i][j] = byte;
	c->in.gpr[RAX] = byte * 0x0101010101010101ull;
}

void insn_gen_case(struct insn_gen *g, unsigned int form, struct insn_case *c)
{
	const struct insn_form *f = &insn_forms[form];
	struct shape s = { .form = f, .target = pick_target(g, f) };

	c->form = form;
	c->branch = false;
	for (int i = 0; i < 16; i++)
		c->in.gpr[i] = value(g);
	/* ID, DF for strings and STD, IF as user code has it, the arithmetic flags */
	c->in.rflags = 0x202 | (insn_gen_next(g) & 0x2008d5);
	if ((f->flags & F_STRING) || one_in(g, 8))
		c->in.rflags |= insn_gen_next(g) & 0x400;
	if (one_in(g, 16))
		c->in.rflags |= INSN_AC;
	if (one_in(g, 64))
		c->in.rflags |= INSN_TF;
	c->in.rip = INSN_CODE_LA + 160 + below(g, INSN_PAGE - 320); /* short branches stay in the page */
	fill_fx(g, f, c);
	fill_memory(g, f, c);
	if (f->flags & F_STRING)
		repeat_memory(g, c);
	aim_implicit(g, f, c);
	put_encoding(g, &s, c);
	c->target = s.target;
	fix_values(g, &s, c);
}

void insn_gen_lay(const struct insn_case *c, uint8_t *pages)
{
	static uint64_t rest[INSN_DATA_PAGES * INSN_PAGE / 8];

	for (unsigned int i = 0; !rest[1] && i < sizeof rest / sizeof rest[0]; i++)
		rest[i] = i * 0x9e3779b97f4a7c15ull;
	memcpy(pages, rest, sizeof rest);
	for (unsigned int i = 0; i < INSN_STRIPS; i++)
		memcpy(pages + insn_strip_offset(i), c->mem[i], INSN_STRIP);
}
