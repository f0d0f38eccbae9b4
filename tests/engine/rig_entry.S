/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry, gates and the way to user mode of the engine tests' payload. */
#include "rig_abi.h"

	.code64
	.section .text.entry, "ax"
	.globl rig_entry
rig_entry:
	call rig_main
1:	cli
	hlt
	jmp 1b

	.text
/* Gates: vector n jumps to rig_gates + 16 n. */
	.balign 16
	.globl rig_gates
rig_gates:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17)
	.else
	push $0
	.endif
	push $vector
	jmp rig_common
	.set vector, vector + 1
	.endr

rig_common:
	push %rax
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	cld
	mov 72(%rsp), %rdi	/* vector */
	mov 80(%rsp), %rsi	/* error code */
	mov 88(%rsp), %rdx	/* rip */
	call rig_trap
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

/* rig_user(amount): runs rig_user_work(amount) at CPL 3, returns what it passes to syscall 0. */
	.globl rig_user
rig_user:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, rig_kernel_rsp(%rip)
	push $RIG_USER_DS
	push $RIG_USER_STACK
	push $0x202
	push $RIG_USER_CS
	lea rig_user_start(%rip), %rax
	push %rax
	iretq

rig_user_start:
	call rig_user_work
	mov %rax, %rdi
	xor %eax, %eax
	syscall
	ud2

/* SYSCALL: rax 0 ends user mode, else the number of a service. */
	.globl rig_syscall
rig_syscall:
	test %rax, %rax
	jz 1f
	mov %rsp, rig_user_rsp(%rip)
	mov rig_kernel_rsp(%rip), %rsp
	push %rcx
	push %r11
	call rig_service
	pop %r11
	pop %rcx
	mov rig_user_rsp(%rip), %rsp
	sysretq
1:	mov rig_kernel_rsp(%rip), %rsp
	sti
	mov %rdi, %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.globl rig_call_syscall
rig_call_syscall:
	mov %rdi, %rax
	mov %rsi, %rdi
	syscall
	ret

	.bss
	.balign 8
rig_kernel_rsp:	.zero 8
rig_user_rsp:	.zero 8
