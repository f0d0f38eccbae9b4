/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparison of two results, and the report that shows an engineer what went wrong. */
#include "config.h"

#include "tests/engine/insn_compare.h"

#include <inttypes.h>
#include <string.h>

#include "tests/engine/insn_form.h"

#define CF 0x1u
#define AF 0x10u
#define OF 0x800u
#define RF 0x10000u
#define ARITH 0x8d5u
#define SINGLE_STEP 1
#define STACK_FAULT 12
#define GENERAL 13
#define PAGE_FAULT 14
#define ALIGNMENT 17
#define SIMD_FLOAT 19
#define MXCSR_OVERFLOW_UNDERFLOW 0x18
#define MXCSR_PRECISION 0x20
#define PF_PRESENT 1u
#define USER_END 0x7ffffffff000ull

static const char *const reg_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

/* Fields of the FXSAVE image that are compared. FOP, FIP and FDP are not: AMD leaves them out, Intel does not. */
static const struct {
	const char *name;
	uint16_t at, bytes;
} fx_fields[] = {
	{ "fcw", 0, 2 }, { "fsw", 2, 2 }, { "ftw", 4, 1 }, { "mxcsr", 24, 4 },
	{ "st0", 32, 10 }, { "st1", 48, 10 }, { "st2", 64, 10 }, { "st3", 80, 10 },
	{ "st4", 96, 10 }, { "st5", 112, 10 }, { "st6", 128, 10 }, { "st7", 144, 10 },
	{ "xmm0", 160, 16 }, { "xmm1", 176, 16 }, { "xmm2", 192, 16 }, { "xmm3", 208, 16 },
	{ "xmm4", 224, 16 }, { "xmm5", 240, 16 }, { "xmm6", 256, 16 }, { "xmm7", 272, 16 },
	{ "xmm8", 288, 16 }, { "xmm9", 304, 16 }, { "xmm10", 320, 16 }, { "xmm11", 336, 16 },
	{ "xmm12", 352, 16 }, { "xmm13", 368, 16 }, { "xmm14", 384, 16 }, { "xmm15", 400, 16 },
};

static uint32_t shift_count(const struct insn_case *c, const struct insn_form *f)
{
	uint32_t count;

	if (f->flags & F_IB)
		count = c->code[c->len - 1];
	else if (f->kind != K_DOUBLE && (f->opcode & 0xfe) == 0xd0)
		count = 1;
	else
		count = (uint32_t)c->in.gpr[1];
	return count & (c->opsize == 8 ? 63 : 31);
}

uint32_t insn_undefined_flags(const struct insn_case *c)
{
	const struct insn_form *f = &insn_forms[c->form];
	uint32_t undefined = f->undefined, count;

	if (f->kind == K_PLAIN)
		return undefined;
	count = shift_count(c, f);
	if (count == 0)
		return undefined;
	if (f->kind != K_ROTATE)
		undefined |= AF;
	if (count != 1)
		undefined |= OF;
	if (f->kind == K_SHIFT && count >= c->opsize * 8)
		undefined |= CF;
	return undefined;
}

uint64_t insn_flags_mask(const struct insn_case *c, const struct insn_result *native)
{
	uint64_t mask = ~(uint64_t)RF;

	if (native->vector == INSN_NONE || native->vector == SINGLE_STEP)
		return mask & ~(uint64_t)insn_undefined_flags(c);
	/* A string instruction that faults on its way: whether flags of earlier elements show is up to the CPU. */
	if (insn_forms[c->form].flags & F_STRING)
		return mask & ~(uint64_t)ARITH;
	return mask;
}

/* Operands of more than a register's size: state images, masked stores, 80-bit numbers. */
static bool is_long(const struct insn_case *c)
{
	const struct insn_form *f = &insn_forms[c->form];

	return (f->flags & (F_XIMM | F_RDI)) || (f->map == 0 && f->opcode == 0xdb);
}

/* Linux shows every fault on an address outside of user space as "present", lest user code can map the kernel. */
static bool error_equal(const struct insn_result *native, const struct insn_result *soft)
{
	bool kernel = native->vector == PAGE_FAULT && native->cr2 >= USER_END;

	return !((native->error ^ soft->error) & ~(kernel ? PF_PRESENT : 0));
}

static bool is_operand_fault(const struct insn_result *r)
{
	return (r->vector >= STACK_FAULT && r->vector <= PAGE_FAULT) || r->vector == ALIGNMENT;
}

/* CMPS reads two operands: Intel looks at [RSI] first, AMD at [RDI]. */
static bool is_cmps(const struct insn_case *c)
{
	const struct insn_form *f = &insn_forms[c->form];

	return f->map == 0 && (f->opcode & 0xfe) == 0xa6;
}

bool insn_compared_whole(const struct insn_case *c, const struct insn_result *native)
{
	if (insn_forms[c->form].kind == K_RANDOM || (is_long(c) && is_operand_fault(native)))
		return false;
	return !is_cmps(c) || native->vector != PAGE_FAULT;
}

/*
 * Two operands that fault, one of them on the stack: whichever the CPU looks at first. Long operands are done in
 * pieces: a piece may be not present and the next not canonical. Those that must be aligned may be #AC before #GP.
 * An operand that is neither aligned nor present is #AC to AMD, #PF to Intel.
 */
static bool vector_equal(const struct insn_case *c, const struct insn_result *native, const struct insn_result *soft)
{
	uint32_t flags = insn_forms[c->form].flags;

	if (native->vector == soft->vector)
		return true;
	if (!is_long(c) && !((flags & F_STACK) && (flags & F_RM)) && !is_cmps(c) && soft->vector != ALIGNMENT)
		return false;
	return is_operand_fault(native) && is_operand_fault(soft);
}

/*
 * With #XM for an overflow or underflow, "precise" is about a result that nobody gets to see; and what rounds several
 * times may stop anywhere.
 */
static uint8_t mxcsr_mask(const struct insn_case *c, const struct insn_result *native)
{
	if (native->vector != SIMD_FLOAT)
		return 0xff;
	if (insn_forms[c->form].flags & F_ROUNDS)
		return (uint8_t)~0x3f;
	return native->regs.fx[24] & MXCSR_OVERFLOW_UNDERFLOW ? (uint8_t)~MXCSR_PRECISION : 0xff;
}

static bool fx_equal(const uint8_t *a, const uint8_t *b, uint8_t flags)
{
	if (memcmp(a + 160, b + 160, 256) || memcmp(a, b, 5) || memcmp(a + 25, b + 25, 3))
		return false;
	if ((a[24] ^ b[24]) & flags)
		return false;
	for (unsigned int i = 0; i < 8; i++)
		if (memcmp(a + 32 + i * 16, b + 32 + i * 16, 10))
			return false;
	return true;
}

/*
 * FXSAVE: the pointers to the latest x87 instruction are as the host's maker likes them, and AMD has a bit more in its
 * MXCSR mask. FNSTENV and FNSAVE: the same pointers.
 */
static bool is_unspecified(const struct insn_case *c, uint64_t la)
{
	const struct insn_form *f = &insn_forms[c->form];
	uint64_t at = la - c->target;

	if (!(f->flags & F_XIMM))
		return false;
	if (f->map == 1 && f->opcode == 0xae && f->ext == 0)
		return (at >= 6 && at < 24) || at == 30;
	if (f->ext == 6 && f->opcode != 0xdf)
		return at < 28 && at >= (c->opsize == 2 ? 6 : 12);
	return false;
}

static bool memory_equal(const struct insn_case *c, const struct insn_result *native, const struct insn_result *soft)
{
	if (!memcmp(native->mem, soft->mem, sizeof native->mem))
		return true;
	for (unsigned int i = 0; i < INSN_STRIPS; i++)
		for (unsigned int j = 0; j < INSN_STRIP; j++)
			if (native->mem[i][j] != soft->mem[i][j] &&
			    !is_unspecified(c, INSN_DATA_LA + insn_strip_offset(i) + j))
				return false;
	return true;
}

/* A sanitizer's shadow memory fills much of the native address space: what faults here may be memory there. */
static bool is_elsewhere(const struct insn_result *native, const struct insn_result *soft)
{
#ifdef HV_SANITIZED
	return soft->vector == PAGE_FAULT && native->vector != PAGE_FAULT &&
	       soft->cr2 - INSN_DATA_LA >= INSN_DATA_PAGES * INSN_PAGE;
#else
	(void)native;
	(void)soft;
	return false;
#endif
}

/* RDRAND and RDSEED: the number itself is anybody's guess; zero and no CF if the host had none. */
static bool random_equal(const struct insn_case *c, const struct insn_regs *n, const struct insn_regs *s)
{
	uint8_t rex = c->len > 3 && (c->code[c->len - 4] & 0xf0) == 0x40 ? c->code[c->len - 4] : 0;
	unsigned int reg = (c->code[c->len - 1] & 7u) | (rex & 1u) << 3;
	uint64_t number = c->opsize == 8 ? ~0ull : (1ull << 8 * c->opsize) - 1;

	for (unsigned int i = 0; i < 16; i++)
		if ((n->gpr[i] ^ s->gpr[i]) & ~(i == reg ? number : 0))
			return false;
	return !((n->rflags ^ s->rflags) & ~(uint64_t)(RF | (n->rflags & CF ? 0 : CF)));
}

bool insn_equal(const struct insn_case *c, const struct insn_result *native, const struct insn_result *soft)
{
	const struct insn_regs *n = &native->regs, *s = &soft->regs;

	if (is_elsewhere(native, soft))
		return true;
	if (insn_forms[c->form].kind == K_RANDOM)
		return native->vector == soft->vector && n->rip == s->rip && random_equal(c, n, s);
	if (!vector_equal(c, native, soft) || n->rip != s->rip || memcmp(n->gpr, s->gpr, sizeof n->gpr))
		return false;
	if (native->vector != soft->vector || (is_long(c) && (native->vector & ~1) == STACK_FAULT))
		return true;
	if (is_cmps(c) && native->vector == PAGE_FAULT && native->cr2 != soft->cr2)
		return true;
	if (native->vector != INSN_NONE && !error_equal(native, soft))
		return false;
	if ((n->rflags ^ s->rflags) & insn_flags_mask(c, native))
		return false;
	/* Long state images and masked stores: where in the page the fault is seen, and what got through, is up to the CPU. */
	if (native->vector == ALIGNMENT && is_long(c))
		return true;
	if (native->vector == PAGE_FAULT && is_long(c))
		return (native->cr2 ^ soft->cr2) < INSN_PAGE;
	if (native->vector == PAGE_FAULT && native->cr2 != soft->cr2)
		return false;
	return fx_equal(n->fx, s->fx, mxcsr_mask(c, native)) && memory_equal(c, native, soft);
}

static void print_bytes(FILE *to, const uint8_t *p, unsigned int n)
{
	for (unsigned int i = n; i-- > 0;)
		fprintf(to, "%02x", p[i]);
}

static void report_memory(FILE *to, const struct insn_case *c, const struct insn_result *native,
			  const struct insn_result *soft)
{
	unsigned int shown = 0;

	for (unsigned int i = 0; i < INSN_STRIPS; i++)
		for (unsigned int j = 0; j < INSN_STRIP; j++)
			if (native->mem[i][j] != soft->mem[i][j] && shown++ < 16)
				fprintf(to, "  [%#" PRIx64 "] in %02x native %02x soft %02x\n",
					(uint64_t)(INSN_DATA_LA + insn_strip_offset(i) + j), c->mem[i][j],
					native->mem[i][j], soft->mem[i][j]);
}

static void report_fx(FILE *to, const struct insn_case *c, const uint8_t *n, const uint8_t *s)
{
	bool fpu = insn_forms[c->form].flags & (F_X87 | F_FLOAT);

	for (unsigned int i = 0; i < sizeof fx_fields / sizeof fx_fields[0]; i++) {
		unsigned int at = fx_fields[i].at, bytes = fx_fields[i].bytes;

		if (!memcmp(n + at, s + at, bytes) && !(fpu && at < 32))
			continue;
		fprintf(to, "  %-6s in ", fx_fields[i].name);
		print_bytes(to, c->in.fx + at, bytes);
		fprintf(to, " native ");
		print_bytes(to, n + at, bytes);
		fprintf(to, " soft ");
		print_bytes(to, s + at, bytes);
		fprintf(to, "\n");
	}
}

void insn_report(FILE *to, const struct insn_case *c, const struct insn_result *native, const struct insn_result *soft)
{
	const struct insn_regs *n = &native->regs, *s = &soft->regs;

	fprintf(to, "MISMATCH %s: ", insn_forms[c->form].name);
	for (uint32_t i = 0; i < c->len; i++)
		fprintf(to, "%02x ", c->code[i]);
	fprintf(to, "at %#" PRIx64 "\n", c->in.rip);
	fprintf(to, "  exception native %d:%x cr2 %" PRIx64 "  soft %d:%x cr2 %" PRIx64 "\n", native->vector,
		native->error, native->cr2, soft->vector, soft->error, soft->cr2);
	for (int i = 0; i < 16; i++)
		if (n->gpr[i] != s->gpr[i] || n->gpr[i] != c->in.gpr[i] || i < 2)
			fprintf(to, "  %-6s in %016" PRIx64 " native %016" PRIx64 " soft %016" PRIx64 "%s\n", reg_names[i],
				c->in.gpr[i], n->gpr[i], s->gpr[i], n->gpr[i] != s->gpr[i] ? " <--" : "");
	if (n->rip != s->rip)
		fprintf(to, "  rip    native %" PRIx64 " soft %" PRIx64 " <--\n", n->rip, s->rip);
	fprintf(to, "  rflags in %06" PRIx64 " native %06" PRIx64 " soft %06" PRIx64 " differ %" PRIx64 "\n", c->in.rflags,
		n->rflags, s->rflags, (n->rflags ^ s->rflags) & insn_flags_mask(c, native));
	report_fx(to, c, n->fx, s->fx);
	report_memory(to, c, native, soft);
}
