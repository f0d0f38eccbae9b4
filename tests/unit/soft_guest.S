/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest code of test_soft_engine: one fragment a test, copied into guest memory and entered at CPL 0 in 64-bit mode.
 * Port 0xf4 reports EAX and goes on, port 0xf5 reports it and ends the run.
 */
#include "tests/unit/soft_guest.h"

	.code64
/* An instruction changes the next one, which is decoded already. */
fragment smc
	leaq 1f(%rip), %rbx
	movl $0x2222, 1(%rbx)
1:	movl $0x1111, %eax
	finish
done smc

/* A function in another page is changed between calls; it is linked to and from by then. */
fragment smc_far
	movl $0x12000, %ebx
	xorl %ecx, %ecx
1:	call *%rbx
	report
	incl 1(%rbx)
	incl %ecx
	cmpl $5, %ecx
	jb 1b
	finish
done smc_far

/* The same, but the host changes it while we report. */
fragment host_wrote
	movl $0x12000, %ebx
	call *%rbx
	report
	call *%rbx
	finish
done host_wrote

/* Lives at 0x12000. */
fragment callee
	movl $1, %eax
	ret
done callee

/* A 2 MiB page at 1 GiB is mapped elsewhere; INVLPG names another address in it. */
fragment invlpg
	movl $0x40000000, %ebx
	movl 0x3000(%rbx), %eax
	report
	movl $0x6000, %ecx
	movq $0x4000e3, (%rcx)
	invlpg 0x100000(%rbx)
	movl 0x3000(%rbx), %eax
	finish
done invlpg

/* Nobody knows VEX here. */
fragment unknown
	.byte 0xc4, 0xe2, 0x79, 0x18, 0xc0
	movl $1, %eax
	finish
done unknown

/* Handler of #UD and the like: reports the error code or 0xdead. */
fragment trap
	movl $0xdead, %eax
	finish
done trap

/* To 32-bit code, which may have a flat data segment, and not one of 64 KiB. */
fragment limited
	subq $16, %rsp
	movw $39, (%rsp)
	movq $0x500, 2(%rsp)
	lgdt (%rsp)
	pushq $8
	leaq 1f(%rip), %rax
	pushq %rax
	lretq
	.code32
1:	movl $0x18, %eax
	movl %eax, %ds
	movl $0x20, %eax
	movl %eax, %ds
	finish
	.code64
done limited

/* Single steps are counted in R15 by guest_step. */
fragment single_step
	xorl %r15d, %r15d
	pushfq
	orl $0x100, (%rsp)
	popfq
	nop
	nop
	pushfq
	andl $~0x100, (%rsp)
	popfq
	nop
	movl %r15d, %eax
	finish
done single_step

fragment step
	incl %r15d
	iretq
done step

/* Write to three pages in three ways. */
fragment dirty
	movl $0x50000, %edi
	movb $1, (%rdi)
	movl $0x52000, %edi
	movl $16, %ecx
	rep stosb
	movl $0x54000, %edi
	lock incl (%rdi)
	movl 0x56000, %eax
	finish
done dirty

/* Sleep in HLT until the TSC deadline timer. */
fragment deadline
	movl $0xfee00000, %ebx
	movl $0x1ff, 0xf0(%rbx)
	movl $0x40040, 0x320(%rbx)
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	addq $2000000, %rax
	movq %rax, %rdx
	shrq $32, %rdx
	movl $0x6e0, %ecx
	wrmsr
	sti
	hlt
	movl %r14d, %eax
	finish
done deadline

/* Handler of vector 0x40. */
fragment tick
	movl $0x600d, %r14d
	movl $0xfee00000, %ebx
	movl $0, 0xb0(%rbx)
	iretq
done tick

/* Wake the other processor at 0x8000, and wait for it to write to 0x60000. */
fragment wake_ap
	movl $0xfee00000, %ebx
	movl $0x1ff, 0xf0(%rbx)
	movl $0x1000000, 0x310(%rbx)
	movl $0x4500, 0x300(%rbx)
	movl $0x1000000, 0x310(%rbx)
	movl $0x4608, 0x300(%rbx)
1:	pause
	movl 0x60000, %eax
	testl %eax, %eax
	jz 1b
	finish
done wake_ap

fragment for_ever
1:	jmp	1b
done for_ever

/* Three million rounds through the usual kinds of instruction. */
fragment rounds
	movl $3000000, %ecx
	movl $0x70000, %ebx
	xorl %eax, %eax
1:	addl $3, %eax
	movl %eax, (%rbx)
	xorl 8(%rbx,%rcx), %edx
	pushq %rdx
	imull %eax, %edx
	popq %rdx
	shll $3, %edx
	btl $2, %edx
	cmovcl %edx, %esi
	movzbl (%rbx), %edi
	setz 16(%rbx)
	lock incl 24(%rbx)
	call 2f
	decl %ecx
	jnz 1b
	movl 24(%rbx), %eax
	finish
2:	ret
done rounds

/* Reads as many pages as the word at 0x30000 says, in turn, 200 rounds. */
fragment touch
	movl $200, %ecx
1:	movl $0x100000, %ebx
	movl 0x30000, %edx
2:	movl (%rbx), %eax
	addl $0x1000, %ebx
	decl %edx
	jnz 2b
	decl %ecx
	jnz 1b
	movl $0x70c4, %eax
	finish
done touch

/* Lives at 0x8000: real mode to 64-bit mode. The GDT pointer is at 0x8f00. */
	.code16
fragment ap
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl 0x8f00
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $8, $0x8000 + (ap_32 - guest_ap)
	.code32
ap_32:	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl $0x8e00, %esp
	movl $0x20, %eax
	movl %eax, %cr4
	movl $0x1000, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	pushl $0x10
	pushl $(0x8000 + (ap_64 - guest_ap))
	lret
	.code64
ap_64:	movl $0x77, %eax
	lock xaddl %eax, 0x60000
	cli
	hlt
done ap

	.section .note.GNU-stack, "", @progbits
