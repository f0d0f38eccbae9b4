/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's x87 unit at work for the guest: a table of one-instruction functions, made by the assembler, and a
 * function that calls one of them with the guest's state loaded.
 *
 * Which of them may be called is soft_x87.c's business: it passes only encodings from its table of instructions.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_x87_host.h"

#if !defined(__x86_64__)
#error "this host needs an x87 unit in software behind soft_x87_host.h"
#endif

#define SNIPPET_BYTES 8u

/* endbr64 (4), the instruction (2), ret (1), padding (1) */
extern const uint8_t soft_x87_host_regs[SOFT_X87_ESCAPES][SOFT_X87_REG_FORMS][SNIPPET_BYTES];
extern const uint8_t soft_x87_host_mems[SOFT_X87_ESCAPES][SOFT_X87_MEM_FORMS][SNIPPET_BYTES];
uint64_t soft_x87_host_call(void *image, const void *snippet, void *operand, uint64_t rflags);

__asm__(".pushsection .text\n"
	".balign 8\n"
	"soft_x87_host_regs:\n"
	".set escape, 0xd8\n"
	".rept 8\n"
	"  .set modrm, 0xc0\n"
	"  .rept 64\n"
	"    endbr64\n"
	"    .byte escape, modrm, 0xc3, 0x90\n"
	"    .set modrm, modrm + 1\n"
	"  .endr\n"
	"  .set escape, escape + 1\n"
	".endr\n"
	"soft_x87_host_mems:\n" /* the operand is (%rdx) */
	".set escape, 0xd8\n"
	".rept 8\n"
	"  .set modrm, 0x02\n"
	"  .rept 8\n"
	"    endbr64\n"
	"    .byte escape, modrm, 0xc3, 0x90\n"
	"    .set modrm, modrm + 8\n"
	"  .endr\n"
	"  .set escape, escape + 1\n"
	".endr\n"
	".type soft_x87_host_call, @function\n"
	"soft_x87_host_call:\n" /* rdi image, rsi snippet, rdx operand, rcx rflags */
	"	endbr64\n"
	"	fxrstor64 (%rdi)\n"
	"	push %rcx\n"
	"	popfq\n"
	"	call *%rsi\n"
	"	pushfq\n"
	"	pop %rax\n"
	"	fxsave64 (%rdi)\n"
	"	fninit\n"
	"	ret\n"
	".size soft_x87_host_call, . - soft_x87_host_call\n"
	".popsection\n");

uint64_t soft_x87_host_reg(unsigned int escape, unsigned int modrm, void *image, uint64_t rflags)
{
	return soft_x87_host_call(image, soft_x87_host_regs[escape & 7][modrm & 63], image, rflags);
}

uint64_t soft_x87_host_mem(unsigned int escape, unsigned int reg, void *image, void *operand)
{
	return soft_x87_host_call(image, soft_x87_host_mems[escape & 7][reg & 7], operand, 2);
}
