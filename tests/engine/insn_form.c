/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every instruction form that the interpreter claims outside of the system instructions, one line each, sorted by
 * opcode map. Vector and x87 forms are in insn_form_sse.inc and insn_form_x87.inc.
 */
#include "config.h"

#include "tests/engine/insn_form.h"

#define CF 0x1
#define PF 0x4
#define AF 0x10
#define ZF 0x40
#define SF 0x80
#define OF 0x800
#define ARITH (CF | PF | AF | ZF | SF | OF)

#define I(name, opcode, flags) { name, flags, 0, 0, 0, opcode, -1, K_PLAIN }
#define U(name, opcode, flags, undefined) { name, flags, undefined, 0, 0, opcode, -1, K_PLAIN }
#define G(name, opcode, ext, flags, undefined) { name, flags, undefined, 0, 0, opcode, ext, K_PLAIN }
#define O(name, opcode, flags, undefined) { name, flags, undefined, 1, 0, opcode, -1, K_PLAIN }
#define OG(name, opcode, ext, flags, undefined) { name, flags, undefined, 1, 0, opcode, ext, K_PLAIN }

#define ALU(name, n, undefined)                                                                                       \
	U(name "/8 rm,r", (n) * 8 + 0, F_RM | F_BYTE | F_LOCKABLE, undefined),                                            \
	U(name " rm,r", (n) * 8 + 1, F_RM | F_SIZED | F_LOCKABLE, undefined),                                             \
	U(name "/8 r,rm", (n) * 8 + 2, F_RM | F_BYTE, undefined),                                                     \
	U(name " r,rm", (n) * 8 + 3, F_RM | F_SIZED, undefined),                                                      \
	U(name "/8 al,i", (n) * 8 + 4, F_BYTE | F_IB, undefined),                                                     \
	U(name " ax,i", (n) * 8 + 5, F_SIZED | F_IZ, undefined),                                                      \
	G(name "/8 rm,i", 0x80, n, F_RM | F_BYTE | F_IB | F_LOCKABLE, undefined),                                         \
	G(name " rm,i", 0x81, n, F_RM | F_SIZED | F_IZ | F_LOCKABLE, undefined),                                          \
	G(name " rm,i8", 0x83, n, F_RM | F_SIZED | F_IB | F_LOCKABLE, undefined)

#define SHIFT(name, n, kind)                                                                                          \
	{ name "/8 i", F_RM | F_BYTE | F_IB, 0, 0, 0, 0xc0, n, kind },                                                \
	{ name " i", F_RM | F_SIZED | F_IB, 0, 0, 0, 0xc1, n, kind },                                                 \
	{ name "/8 1", F_RM | F_BYTE, 0, 0, 0, 0xd0, n, kind },                                                       \
	{ name " 1", F_RM | F_SIZED, 0, 0, 0, 0xd1, n, kind },                                                        \
	{ name "/8 cl", F_RM | F_BYTE, 0, 0, 0, 0xd2, n, kind },                                                      \
	{ name " cl", F_RM | F_SIZED, 0, 0, 0, 0xd3, n, kind }

#define STRING(name, opcode)                                                                                          \
	I(name "/8", opcode, F_BYTE | F_STRING | F_REP), I(name, (opcode) + 1, F_SIZED | F_STRING | F_REP)

#define CC(name, cc)                                                                                                  \
	I("j" name " rel8", 0x70 + (cc), F_BRANCH | F_IB),                                                            \
	{ "j" name " rel32", F_BRANCH | F_IZ, 0, 1, 0, 0x80 + (cc), -1, K_PLAIN },                                    \
	{ "set" name, F_RM | F_BYTE, 0, 1, 0, 0x90 + (cc), -1, K_PLAIN },                                             \
	{ "cmov" name, F_RM | F_SIZED, 0, 1, 0, 0x40 + (cc), -1, K_PLAIN }

const struct insn_form insn_forms[] = {
	ALU("add", 0, 0), ALU("or", 1, AF), ALU("adc", 2, 0), ALU("sbb", 3, 0),
	ALU("and", 4, AF), ALU("sub", 5, 0), ALU("xor", 6, AF), ALU("cmp", 7, 0),

	I("push r", 0x50, F_PLUSR | F_SIZE64 | F_STACK), I("pop r", 0x58, F_PLUSR | F_SIZE64 | F_STACK),
	I("movsxd", 0x63, F_RM | F_W),
	I("push i", 0x68, F_SIZE64 | F_IZ | F_STACK), I("push i8", 0x6a, F_SIZE64 | F_IB | F_STACK),
	U("imul r,rm,i", 0x69, F_RM | F_SIZED | F_IZ, SF | ZF | AF | PF),
	U("imul r,rm,i8", 0x6b, F_RM | F_SIZED | F_IB, SF | ZF | AF | PF),
	U("test/8 rm,r", 0x84, F_RM | F_BYTE, AF), U("test rm,r", 0x85, F_RM | F_SIZED, AF),
	I("xchg/8", 0x86, F_RM | F_BYTE | F_LOCKABLE), I("xchg", 0x87, F_RM | F_SIZED | F_LOCKABLE),
	I("mov/8 rm,r", 0x88, F_RM | F_BYTE), I("mov rm,r", 0x89, F_RM | F_SIZED),
	I("mov/8 r,rm", 0x8a, F_RM | F_BYTE), I("mov r,rm", 0x8b, F_RM | F_SIZED),
	I("lea", 0x8d, F_MEM | F_SIZED), G("pop rm", 0x8f, 0, F_RM | F_SIZE64 | F_STACK, 0),
	I("xchg ax,r", 0x90, F_PLUSR | F_SIZED),
	I("cbw cwde cdqe", 0x98, F_SIZED), I("cwd cdq cqo", 0x99, F_SIZED),
	I("pushf", 0x9c, F_SIZE64 | F_STACK), I("popf", 0x9d, F_SIZE64 | F_STACK),
	I("sahf", 0x9e, 0), I("lahf", 0x9f, 0),
	I("mov al,moffs", 0xa0, F_BYTE | F_MOFFS), I("mov ax,moffs", 0xa1, F_SIZED | F_MOFFS),
	I("mov moffs,al", 0xa2, F_BYTE | F_MOFFS), I("mov moffs,ax", 0xa3, F_SIZED | F_MOFFS),
	STRING("movs", 0xa4), STRING("cmps", 0xa6),
	U("test/8 al,i", 0xa8, F_BYTE | F_IB, AF), U("test ax,i", 0xa9, F_SIZED | F_IZ, AF),
	STRING("stos", 0xaa), STRING("lods", 0xac), STRING("scas", 0xae),
	I("mov/8 r,i", 0xb0, F_PLUSR | F_BYTE | F_IB), I("mov r,i", 0xb8, F_PLUSR | F_SIZED | F_IV),
	SHIFT("rol", 0, K_ROTATE), SHIFT("ror", 1, K_ROTATE), SHIFT("rcl", 2, K_ROTATE), SHIFT("rcr", 3, K_ROTATE),
	SHIFT("shl", 4, K_SHIFT), SHIFT("shr", 5, K_SHIFT), SHIFT("sal", 6, K_SHIFT), SHIFT("sar", 7, K_SHIFT),
	I("ret n", 0xc2, F_RET | F_STACK | F_IW), I("ret", 0xc3, F_RET | F_STACK),
	G("mov/8 rm,i", 0xc6, 0, F_RM | F_BYTE | F_IB, 0), G("mov rm,i", 0xc7, 0, F_RM | F_SIZED | F_IZ, 0),
	I("leave", 0xc9, F_SIZE64 | F_STACK | F_FRAME),
	I("xlat", 0xd7, F_XLAT),
	I("loopne", 0xe0, F_BRANCH | F_IB), I("loope", 0xe1, F_BRANCH | F_IB), I("loop", 0xe2, F_BRANCH | F_IB),
	I("jrcxz", 0xe3, F_BRANCH | F_IB),
	I("call rel32", 0xe8, F_BRANCH | F_IZ | F_STACK), I("jmp rel32", 0xe9, F_BRANCH | F_IZ),
	I("jmp rel8", 0xeb, F_BRANCH | F_IB),
	I("cmc", 0xf5, 0), I("clc", 0xf8, 0), I("stc", 0xf9, 0), I("cld", 0xfc, 0), I("std", 0xfd, 0),
	I("hlt", 0xf4, 0), I("cli", 0xfa, 0), I("sti", 0xfb, 0), I("int3", 0xcc, 0),
	G("test/8 rm,i", 0xf6, 0, F_RM | F_BYTE | F_IB, AF), G("test rm,i", 0xf7, 0, F_RM | F_SIZED | F_IZ, AF),
	G("not/8", 0xf6, 2, F_RM | F_BYTE | F_LOCKABLE, 0), G("not", 0xf7, 2, F_RM | F_SIZED | F_LOCKABLE, 0),
	G("neg/8", 0xf6, 3, F_RM | F_BYTE | F_LOCKABLE, 0), G("neg", 0xf7, 3, F_RM | F_SIZED | F_LOCKABLE, 0),
	G("mul/8", 0xf6, 4, F_RM | F_BYTE, SF | ZF | AF | PF), G("mul", 0xf7, 4, F_RM | F_SIZED, SF | ZF | AF | PF),
	G("imul/8", 0xf6, 5, F_RM | F_BYTE, SF | ZF | AF | PF), G("imul", 0xf7, 5, F_RM | F_SIZED, SF | ZF | AF | PF),
	G("div/8", 0xf6, 6, F_RM | F_BYTE | F_DIV, ARITH), G("div", 0xf7, 6, F_RM | F_SIZED | F_DIV, ARITH),
	G("idiv/8", 0xf6, 7, F_RM | F_BYTE | F_DIV, ARITH), G("idiv", 0xf7, 7, F_RM | F_SIZED | F_DIV, ARITH),
	G("inc/8", 0xfe, 0, F_RM | F_BYTE | F_LOCKABLE, 0), G("inc", 0xff, 0, F_RM | F_SIZED | F_LOCKABLE, 0),
	G("dec/8", 0xfe, 1, F_RM | F_BYTE | F_LOCKABLE, 0), G("dec", 0xff, 1, F_RM | F_SIZED | F_LOCKABLE, 0),
	G("call rm", 0xff, 2, F_RM | F_JUMP | F_STACK, 0), G("jmp rm", 0xff, 4, F_RM | F_JUMP, 0),
	G("push rm", 0xff, 6, F_RM | F_SIZE64 | F_STACK, 0),
	I("enter 0", 0xc8, F_STACK | F_FRAME | F_IW | F_IB),

	CC("o", 0), CC("no", 1), CC("c", 2), CC("nc", 3), CC("z", 4), CC("nz", 5), CC("be", 6), CC("a", 7),
	CC("s", 8), CC("ns", 9), CC("p", 10), CC("np", 11), CC("l", 12), CC("ge", 13), CC("le", 14), CC("g", 15),

	O("ud2", 0x0b, 0, 0), O("prefetchw", 0x0d, F_MEM, 0), O("prefetch", 0x18, F_MEM, 0),
	O("nop rm", 0x1f, F_RM | F_SIZED, 0), O("hint nop", 0x1e, F_MEM | F_SIZED, 0),
	O("bt", 0xa3, F_RM | F_SIZED | F_BITOFF, OF | SF | AF | PF),
	O("bts", 0xab, F_RM | F_SIZED | F_BITOFF | F_LOCKABLE, OF | SF | AF | PF),
	O("btr", 0xb3, F_RM | F_SIZED | F_BITOFF | F_LOCKABLE, OF | SF | AF | PF),
	O("btc", 0xbb, F_RM | F_SIZED | F_BITOFF | F_LOCKABLE, OF | SF | AF | PF),
	OG("bt i", 0xba, 4, F_RM | F_SIZED | F_IB, OF | SF | AF | PF),
	OG("bts i", 0xba, 5, F_RM | F_SIZED | F_IB | F_LOCKABLE, OF | SF | AF | PF),
	OG("btr i", 0xba, 6, F_RM | F_SIZED | F_IB | F_LOCKABLE, OF | SF | AF | PF),
	OG("btc i", 0xba, 7, F_RM | F_SIZED | F_IB | F_LOCKABLE, OF | SF | AF | PF),
	{ "shld i", F_RM | F_SIZED | F_IB, 0, 1, 0, 0xa4, -1, K_DOUBLE },
	{ "shld cl", F_RM | F_SIZED, 0, 1, 0, 0xa5, -1, K_DOUBLE },
	{ "shrd i", F_RM | F_SIZED | F_IB, 0, 1, 0, 0xac, -1, K_DOUBLE },
	{ "shrd cl", F_RM | F_SIZED, 0, 1, 0, 0xad, -1, K_DOUBLE },
	O("imul r,rm", 0xaf, F_RM | F_SIZED, SF | ZF | AF | PF),
	O("cmpxchg/8", 0xb0, F_RM | F_BYTE | F_LOCKABLE | F_CMPXCHG, 0),
	O("cmpxchg", 0xb1, F_RM | F_SIZED | F_LOCKABLE | F_CMPXCHG, 0),
	O("movzx b", 0xb6, F_RM | F_SIZED, 0), O("movzx w", 0xb7, F_RM | F_SIZED, 0),
	O("movsx b", 0xbe, F_RM | F_SIZED, 0), O("movsx w", 0xbf, F_RM | F_SIZED, 0),
	O("bsf", 0xbc, F_RM | F_SIZED, CF | OF | SF | AF | PF), O("bsr", 0xbd, F_RM | F_SIZED, CF | OF | SF | AF | PF),
	O("xadd/8", 0xc0, F_RM | F_BYTE | F_LOCKABLE, 0), O("xadd", 0xc1, F_RM | F_SIZED | F_LOCKABLE, 0),
	O("movnti", 0xc3, F_MEM | F_W, 0),
	OG("cmpxchg8b 16b", 0xc7, 1, F_MEM | F_W | F_LOCKABLE | F_CMPXCHG | F_ALIGN, 0),
	{ "rdrand", F_REG | F_SIZED, 0, 1, 0, 0xc7, 6, K_RANDOM }, { "rdseed", F_REG | F_SIZED, 0, 1, 0, 0xc7, 7, K_RANDOM },
	O("bswap", 0xc8, F_PLUSR | F_SIZED, 0),
	OG("clflush", 0xae, 7, F_MEM, 0),
	/* WRFSBASE would take the native child's thread pointer away; it is the handler of WRGSBASE */
	{ "rdfsbase", F_REG | F_W, 0, 1, 0xf3, 0xae, 0, K_PLAIN }, { "rdgsbase", F_REG | F_W, 0, 1, 0xf3, 0xae, 1, K_PLAIN },
	{ "wrgsbase", F_REG | F_W, 0, 1, 0xf3, 0xae, 3, K_PLAIN },
	OG("lfence", 0xae, 5, F_REG, 0), OG("mfence", 0xae, 6, F_REG, 0), OG("sfence", 0xae, 7, F_REG, 0),
	{ "pause", 0, 0, 0, 0xf3, 0x90, -1, K_PLAIN },
	{ "popcnt", F_RM | F_SIZED, 0, 1, 0xf3, 0xb8, -1, K_PLAIN },

#include "tests/engine/insn_form_sse.inc"
#include "tests/engine/insn_form_x87.inc"
};

const unsigned int insn_form_count = sizeof insn_forms / sizeof insn_forms[0];
