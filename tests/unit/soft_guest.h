/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the assembler: fragments of guest code between their labels, and the reports of softkit.h.
 */
	.section .rodata
	.macro fragment name
	.globl guest_\name, guest_\name\()_end
	.balign 16
guest_\name:
	.endm
	.macro done name
guest_\name\()_end:
	.endm
	.macro report
	outl %eax, $0xf4
	.endm
	.macro finish
	outl %eax, $0xf5
	jmp .
	.endm
