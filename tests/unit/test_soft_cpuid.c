/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the soft engine claims is what the differential test covers.
 *
 * Each feature bit of CPUID names the instruction forms that it promises; they must be in the table
 * that check_insn compares with the host CPU. A bit that promises none says where it is tested. A
 * bit that is announced and not in the list fails, and so does one that is in the list and no
 * longer announced.
 *
 * And every handler that the decoder can choose in 64-bit mode, found by decoding everything,
 * belongs to a form of that table or to the system instructions, which are listed here.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/engine_soft/soft_cpuid.h"
#include "hvcore/engine_soft/soft_decode.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "tests/engine/insn_form.h"

enum reg { EBX, ECX, EDX };

static const struct promise {
	uint32_t leaf;
	enum reg reg;
	unsigned bit;
	const char *what;
	const char *forms; /* beginnings of names of forms; NULL: no instructions, see where */
	const char *where;
} promises[] = {
	{1, EDX, 0, "FPU", "fld m32,fst m64,fadd st,fxch,fprem,fcomi,fldenv,frstor,fbld", NULL},
	{1, EDX, 2, "DE", NULL, "test_soft_break"},
	{1, EDX, 3, "PSE", NULL, "test_soft_engine"},
	{1, EDX, 4, "TSC", NULL, "check_works"},
	{1, EDX, 5, "MSR", NULL, "check_same"},
	{1, EDX, 6, "PAE", NULL, "all: there is no other paging"},
	{1, EDX, 8, "CX8", "cmpxchg8b", NULL},
	{1, EDX, 9, "APIC", NULL, "test_soft_irqchip"},
	{1, EDX, 13, "PGE", NULL, "a hint only"},
	{1, EDX, 15, "CMOV", "cmovz,cmovg,fcmovb,fcomi", NULL},
	{1, EDX, 16, "PAT", NULL, "a value only"},
	{1, EDX, 19, "CLFLUSH", "clflush", NULL},
	{1, EDX, 23, "MMX", "movd mmx,paddb mmx,pmaddwd mmx,psllq i mmx,packsswb mmx,emms", NULL},
	{1, EDX, 24, "FXSR", "fxsave,fxrstor", NULL},
	{1, EDX, 25, "SSE",
	 "addps,rcpss,shufps,cvtsi2ss,movntps,maskmovq,pavgb mmx,prefetch,sfence,ldmxcsr", NULL},
	{1, EDX, 26, "SSE2",
	 "addpd,movdqa,paddq,pmuludq,pshufd,cvtpd2dq,maskmovdqu,movnti,mfence,lfence,pause", NULL},
	{1, ECX, 0, "SSE3",
	 "addsubpd,addsubps,haddpd,haddps,hsubpd,hsubps,lddqu,movddup,movshdup,movsldup,fisttp",
	 NULL},
	{1, ECX, 9, "SSSE3",
	 "pshufb,phaddw,phaddd,phaddsw,pmaddubsw,phsubw,phsubd,phsubsw,psignb,psignw,psignd,"
	 "pmulhrsw,pabsb,pabsw,pabsd,palignr",
	 NULL},
	{1, ECX, 13, "CX16", "cmpxchg8b 16b", NULL},
	{1, ECX, 19, "SSE4.1",
	 "pblendvb,blendvps,blendvpd,ptest,pmovsxbw,pmovsxbd,pmovsxbq,pmovsxwd,pmovsxwq,pmovsxdq,"
	 "pmovzxbw,pmovzxbd,pmovzxbq,pmovzxwd,pmovzxwq,pmovzxdq,pmuldq,pcmpeqq,movntdqa,packusdw,"
	 "pminsb,pminsd,pminuw,pminud,pmaxsb,pmaxsd,pmaxuw,pmaxud,pmulld,phminposuw,roundps,"
	 "roundpd,roundss,roundsd,blendps,blendpd,pblendw,pextrb,pextrw sse4,pextrd,extractps,"
	 "pinsrb,insertps,pinsrd,dpps,dppd,mpsadbw",
	 NULL},
	{1, ECX, 20, "SSE4.2", "pcmpgtq,pcmpestrm,pcmpestri,pcmpistrm,pcmpistri,crc32/8,crc32",
	 NULL},
	{1, ECX, 23, "POPCNT", "popcnt", NULL},
	{1, ECX, 24, "TSC deadline", NULL, "test_soft_engine"},
	{1, ECX, 30, "RDRAND", "rdrand", NULL},
	{1, ECX, 31, "hypervisor", NULL, "nothing to do"},
	{7, EBX, 0, "FSGSBASE", "rdfsbase,rdgsbase,wrgsbase", NULL},
	{7, EBX, 9, "ERMS", "movs/8,stos/8", NULL},
	{7, EBX, 18, "RDSEED", "rdseed", NULL},
	{7, EDX, 4, "FSRM", "movs/8", NULL},
	{7, EDX, 29, "ARCH_CAPABILITIES", NULL,
	 "an MSR that says what an interpreter is not vulnerable to"},
	{0x80000001, ECX, 0, "LAHF", "lahf,sahf", NULL},
	{0x80000001, EDX, 11, "SYSCALL", NULL, "check_works (user)"},
	{0x80000001, EDX, 20, "NX", NULL, "check_works"},
	{0x80000001, EDX, 26, "1 GiB pages", NULL, "test_soft_break"},
	{0x80000001, EDX, 27, "RDTSCP", NULL, "check_works"},
	{0x80000001, EDX, 29, "LM", NULL, "all"},
};

#define PROMISES (sizeof(promises) / sizeof(promises[0]))

static bool has_form(const char *name, size_t len)
{
	for (unsigned int i = 0; i < insn_form_count; i++)
		if (!strncmp(insn_forms[i].name, name, len))
			return true;
	return false;
}

static uint32_t announced(const struct hv_cpuid *c, uint32_t leaf, enum reg reg)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->leaf[i].function == leaf)
			return reg == EBX   ? c->leaf[i].ebx
			       : reg == ECX ? c->leaf[i].ecx
					    : c->leaf[i].edx;
	return 0;
}

static void test_promises_are_kept(void **state)
{
	struct hv_cpuid c;

	(void)state;
	soft_cpuid_supported(&c);
	for (size_t i = 0; i < PROMISES; i++) {
		const struct promise *p = &promises[i];

		if (!(announced(&c, p->leaf, p->reg) >> p->bit & 1))
			fail_msg("%s is not announced any more", p->what);
		for (const char *at = p->forms; at && *at;) {
			size_t n = strcspn(at, ",");

			if (!has_form(at, n))
				fail_msg("%s is announced, and no form '%.*s' is compared with the "
					 "host",
					 p->what, (int)n, at);
			at += n + (at[n] == ',');
		}
	}
}

static void test_nothing_else_is_announced(void **state)
{
	static const struct {
		uint32_t leaf;
		enum reg reg;
	} words[] = {{1, ECX}, {1, EDX},	  {7, EBX},	    {7, ECX},
		     {7, EDX}, {0x80000001, ECX}, {0x80000001, EDX}};
	struct hv_cpuid c;

	(void)state;
	soft_cpuid_supported(&c);
	for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
		uint32_t left = announced(&c, words[w].leaf, words[w].reg);

		for (size_t i = 0; i < PROMISES; i++)
			if (promises[i].leaf == words[w].leaf && promises[i].reg == words[w].reg)
				left &= ~(1u << promises[i].bit);
		if (words[w].leaf == 1 && words[w].reg == EDX)
			left &= ~(1u << 28); /* HTT counts processors */
		if (left)
			fail_msg("leaf %#x register %d announces %#x without a word here",
				 words[w].leaf, words[w].reg, left);
	}
}

/* --- handlers ------------------------------------------------------------ */

/* What no user program can do, or what has no result to compare: test_soft_engine, check_works,
 * check_same, guests. */
static const soft_fn elsewhere[] = {
	soft_op_ud,	     soft_op_unknown,	    soft_op_gp,		 soft_op_nm,
	soft_op_int,	     soft_op_int1,	    soft_op_iret,	 soft_op_retf,
	soft_op_jmpf_m,	     soft_op_callf_m,	    soft_op_syscall,	 soft_op_sysret,
	soft_op_swapgs,	     soft_op_cpuid,	    soft_op_rdtsc,	 soft_op_rdtscp,
	soft_op_rdmsr,	     soft_op_wrmsr,	    soft_op_rdpmc,	 soft_op_invlpg,
	soft_op_wbinvd,	     soft_op_clts,	    soft_op_lgdt,	 soft_op_lidt,
	soft_op_sgdt,	     soft_op_sidt,	    soft_op_lldt,	 soft_op_ltr,
	soft_op_sldt,	     soft_op_str,	    soft_op_verr,	 soft_op_verw,
	soft_op_lar,	     soft_op_lsl,	    soft_op_smsw,	 soft_op_lmsw,
	soft_op_mov_to_sreg, soft_op_mov_from_sreg, soft_op_push_sreg,	 soft_op_pop_sreg,
	soft_op_mov_from_cr, soft_op_mov_to_cr,	    soft_op_mov_from_dr, soft_op_mov_to_dr,
	soft_op_in,	     soft_op_out,	    soft_op_ins,	 soft_op_outs,
};

/* One encoding: prefix, REX, map, opcode, ModRM and what follows it. */
struct encoding {
	uint8_t prefix, rex, map, opcode, modrm;
};

static unsigned encode(const struct encoding *e, uint8_t *to)
{
	static const uint8_t escape[4][2] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
	unsigned n = 0;

	memset(to, 0, 16);
	if (e->prefix)
		to[n++] = e->prefix;
	if (e->rex)
		to[n++] = e->rex;
	for (unsigned i = 0; i < 2 && escape[e->map][i]; i++)
		to[n++] = escape[e->map][i];
	to[n++] = e->opcode;
	to[n++] = e->modrm;
	to[n] = 0x0b; /* SIB, if there is one: [rbx+rcx] */
	return n;
}

static bool prefix_fits(const struct insn_form *f, uint8_t prefix, bool mem)
{
	if (prefix == f->prefix)
		return true;
	switch (prefix) {
	case 0x66:
		return !f->prefix && f->flags & (F_SIZED | F_SIZE64);
	case 0xf2:
	case 0xf3:
		return f->flags & F_REP;
	default:
		return prefix == 0xf0 && mem && f->flags & F_LOCKABLE;
	}
}

static bool covers(const struct insn_form *f, const struct encoding *e)
{
	bool mem = e->modrm < 0xc0;

	if (f->map != e->map || (f->flags & F_PLUSR ? e->opcode & 0xf8 : e->opcode) != f->opcode)
		return false;
	if (f->flags & F_STI && mem)
		return false;
	if ((f->flags & F_REG) == F_REG && mem)
		return false;
	if ((f->flags & F_MEM) == F_MEM && !mem)
		return false;
	return (f->ext < 0 || f->ext == (e->modrm >> 3 & 7)) && prefix_fits(f, e->prefix, mem);
}

static bool is_covered(const struct encoding *e)
{
	for (unsigned int i = 0; i < insn_form_count; i++)
		if (covers(&insn_forms[i], e))
			return true;
	return false;
}

static soft_fn handler(const struct encoding *e)
{
	uint8_t bytes[16];
	struct soft_op op = {.off = 0};
	bool ends;

	encode(e, bytes);
	soft_decode_one(bytes, sizeof bytes, SOFT_MODE_64, &op, &ends);
	return op.fn;
}

struct claims {
	soft_fn fn[4096];
	struct encoding first[4096];
	bool covered[4096];
	unsigned count;
};

static void claim(struct claims *c, const struct encoding *e)
{
	soft_fn fn = handler(e);
	unsigned i = 0;

	while (i < c->count && c->fn[i] != fn)
		i++;
	if (i == c->count) {
		assert_true(c->count < 4096);
		c->fn[c->count] = fn;
		c->first[c->count++] = *e;
	}
	c->covered[i] = c->covered[i] || is_covered(e);
}

static void claim_opcode(struct claims *c, uint8_t map, uint8_t opcode)
{
	static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3, 0xf0};

	for (unsigned p = 0; p < sizeof prefixes; p++)
		for (unsigned rex = 0; rex <= 0x48; rex += 0x48)
			for (unsigned reg = 0; reg < 8; reg++) {
				/* [rbx], [rbx+rcx], a register; of x87 all registers */
				static const uint8_t rm[] = {3,	   4,	 0xc0, 0xc1, 0xc2,
							     0xc3, 0xc4, 0xc5, 0xc6, 0xc7};

				for (unsigned m = 0; m < sizeof rm; m++)
					claim(c, &(struct encoding){prefixes[p], (uint8_t)rex, map,
								    opcode,
								    (uint8_t)(rm[m] | reg << 3)});
			}
}

static bool is_prefix(uint8_t map, uint8_t opcode)
{
	static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					   0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f};

	if (map == 1)
		return opcode == 0x38 || opcode == 0x3a;
	return map == 0 && ((opcode & 0xf0) == 0x40 || memchr(prefixes, opcode, sizeof prefixes));
}

static void test_every_handler_is_compared(void **state)
{
	struct claims *c = calloc(1, sizeof *c);
	unsigned missing = 0;

	(void)state;
	assert_non_null(c);
	for (unsigned map = 0; map < 4; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++)
			if (!is_prefix((uint8_t)map, (uint8_t)opcode))
				claim_opcode(c, (uint8_t)map, (uint8_t)opcode);
	for (unsigned i = 0; i < c->count; i++) {
		bool known = c->covered[i];
		uint8_t bytes[16];

		for (size_t k = 0; k < sizeof elsewhere / sizeof elsewhere[0]; k++)
			known = known || elsewhere[k] == c->fn[i];
		if (known)
			continue;
		missing++;
		encode(&c->first[i], bytes);
		print_error("no form is compared for the handler of");
		for (unsigned b = 0; b < 8; b++)
			print_error(" %02x", bytes[b]);
		print_error("\n");
	}
	assert_true(c->count > 1000); /* the search found handlers at all */
	assert_int_equal(missing, 0);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promises_are_kept),
		cmocka_unit_test(test_nothing_else_is_announced),
		cmocka_unit_test(test_every_handler_is_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
