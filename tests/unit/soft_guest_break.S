/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest code of test_soft_break: one fragment a test, copied into guest memory and entered at CPL 0 in 64-bit mode.
 */
#include "tests/unit/soft_guest.h"

	.macro set_dr n, value
	movl $\value, %eax
	movq %rax, %dr\n
	.endm

	.code64
/* Handler of #DB: reports DR6, rip and RFLAGS of the frame, and goes on, past an execution breakpoint. */
fragment debug
	pushq %rax
	movq %dr6, %rax
	report
	set_dr 6, 0xffff0ff0
	movl 8(%rsp), %eax
	report
	movl 24(%rsp), %eax
	report
	orl $0x10000, 24(%rsp)
	popq %rax
	iretq
done debug

/* DR0 watches writes of four bytes at 0x50004. */
fragment watch
	movl $0x50000, %ebx
	movb $0, 7(%rbx)
	set_dr 0, 0x50004
	set_dr 7, 0x000d0401
	movl %eax, (%rbx)
	movl 4(%rbx), %ecx
	movb $1, 8(%rbx)
	movb $1, 7(%rbx)
	.globl guest_watch_1
guest_watch_1:
	nop
	lock incl 4(%rbx)
	.globl guest_watch_2
guest_watch_2:
	movw $0, 3(%rbx)
	.globl guest_watch_3
guest_watch_3:
	movl $8, %ecx
	movl %ebx, %edi
	.globl guest_watch_rep
guest_watch_rep:
	rep stosb
	.globl guest_watch_4
guest_watch_4:
	set_dr 7, 0x400
	movl $1, 4(%rbx)
	finish
done watch

/* DR3 watches reads and writes of eight bytes; the loads are of several kinds. */
fragment access
	movl $0x50000, %ebx
	set_dr 3, 0x50010
	set_dr 7, 0xb0000480
	movq 0x10(%rbx), %rcx
	addl 0x14(%rbx), %ecx
	movups 8(%rbx), %xmm0
	pushq 0x17(%rbx)
	popq 0x18(%rbx)
	set_dr 7, 0x400
	finish
done access

/* DR1 is set on a function that has been called, and linked to, before. */
fragment execute
	movl $4, %edx
1:	call 2f
	decl %edx
	jnz 1b
	leaq 2f(%rip), %rax
	movq %rax, %dr1
	set_dr 7, 0x404
	call 2f
	call 2f
	set_dr 7, 0x400
	call 2f
	movl %esi, %eax
	finish
	.globl guest_execute_f
guest_execute_f:
2:	incl %esi
	ret
done execute

/* Without RF the same breakpoint comes again at once: the handler here counts to 5, then switches it off. */
fragment again
	incl %r15d
	cmpl $5, %r15d
	jb 1f
	set_dr 7, 0x400
1:	iretq
done again

fragment without_rf
	xorl %r15d, %r15d
	leaq 1f(%rip), %rax
	movq %rax, %dr0
	set_dr 7, 0x401
1:	movl %r15d, %eax
	finish
done without_rf

/* DR2 watches port 0x80. */
fragment port
	movq %cr4, %rax
	orl $8, %eax
	movq %rax, %cr4
	set_dr 2, 0x80
	set_dr 7, 0x02000410
	outb %al, $0x81
	outb %al, $0x80
	inl $0x7e, %eax
	set_dr 7, 0x400
	finish
done port

/* General detect: the access to a debug register faults; then it is done. */
fragment detect
	set_dr 7, 0x2400
	movq %dr0, %rcx
	movq %dr7, %rax
	finish
done detect

/* Steps are counted in R15 by count_step. */
fragment steps
	xorl %r15d, %r15d
	movl $0x50000, %edi
	movl $3, %ecx
	pushfq
	orl $0x100, (%rsp)
	popfq
	rep stosb
	movl $0x18, %eax
	movl %eax, %ss
	nop
	pushfq
	andl $~0x100, (%rsp)
	popfq
	movl %r15d, %eax
	finish
done steps

fragment count_step
	incl %r15d
	iretq
done count_step

/* A page of 1 GiB, mapped elsewhere (INVLPG names another address in it), then with a reserved bit. */
fragment huge
	movl $0x80000000, %ebx
	movl 0x203000(%rbx), %eax
	report
	movl $0x2010, %ecx
	movl $0x40000083, %edx
	movq %rdx, (%rcx)
	invlpg 0x3fe00000(%rbx)
	movl 0x203000(%rbx), %eax
	report
	movl $0x2083, %edx
	movq %rdx, (%rcx)
	invlpg (%rbx)
	movl (%rbx), %eax
	finish
done huge

/* Handler of #PF: reports the error code. */
fragment fault
	popq %rax
	finish
done fault

fragment random
	movl $8, %ecx
1:	rdrand %rax
	jnc 2f
	report
	decl %ecx
	jnz 1b
	rdseed %rax
	jnc 2f
	report
	movl $1, %eax
	finish
2:	xorl %eax, %eax
	finish
done random

	.section .note.GNU-stack, "", @progbits
