/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry and privileged part of the bare-metal test guest.
 *
 * Everything in this file is all that ever runs at CPL 0; guest_main() and every payload run at CPL 3 with IOPL 3,
 * because some hypervisors (KVM-PVM) run only CPL 3 natively and emulate CPL 0 at a few MIPS. For the same reason
 * the page tables are constants of the image and the gates are as short as they can be. The payload never uses
 * SYSCALL or INT n; its only call into CPL 0 is int3 (gate_call below).
 *
 * Three ways in: guest_entry64 (Linux 64-bit protocol, RSI = boot_params), guest_pvh32 (PVH, EBX =
 * hvm_start_info) and guest_trampoline (INIT-SIPI of secondary processors).
 */
#include "guest_abi.h"

#define PTE_TABLE	0x07	/* present, writable, user */
#define PTE_LEAF	0x87	/* the same, 2 MiB page */
#define PTE_LEAF_UC	0x9f	/* the same, not cached */

/* --- constant tables -------------------------------------------------------------------------- */
	.section .tables, "aw", @progbits
	.balign 4096
guest_pml4:
	.quad guest_pdpt + PTE_TABLE
	.fill 511, 8, 0
guest_pdpt:
	.set i, 0
	.rept 4
	.quad guest_pd + i * 4096 + PTE_TABLE
	.set i, i + 1
	.endr
	.fill 508, 8, 0
guest_pd:
	.set i, 0
	.rept 3 * 512
	.quad i * 0x200000 + PTE_LEAF
	.set i, i + 1
	.endr
	.rept 512
	.quad i * 0x200000 + PTE_LEAF_UC
	.set i, i + 1
	.endr

	.balign 16
	.globl guest_gdt
guest_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08 kernel code, 64 bit */
	.quad 0x00cf93000000ffff	/* 0x10 kernel data */
	.quad 0x00cf9b000000ffff	/* 0x18 kernel code, 32 bit: on the way to 64 only */
	.quad 0x00cff3000000ffff	/* 0x20 user data */
	.quad 0x00affb000000ffff	/* 0x28 user code, 64 bit */
	/* 0x30: one 16-byte TSS descriptor for each processor; guest_main fills those of the others */
	.quad 0x0000890000000000 + GUEST_TSS_LIMIT, 0
	.fill 2 * (GUEST_MAX_CPUS - 1), 8, 0
guest_gdt_end:
	.globl guest_idt
	.balign 16
guest_idt:
	.fill 2 * 256, 8, 0		/* guest_irq.c fills it, at CPL 3 */
	.balign 8
	.word 0, 0, 0
guest_gdt_ptr:
	.word guest_gdt_end - guest_gdt - 1
	.quad guest_gdt
	.word 0, 0, 0
guest_idt_ptr:
	.word 256 * 16 - 1
	.quad guest_idt

	.balign GUEST_TSS_BYTES
	.globl guest_tss
guest_tss:				/* one for each processor: RSP0 at 4, I/O map base at 102, then the map */
	.set i, 1
	.rept GUEST_MAX_CPUS
	.long 0
	.quad guest_kstack + i * GUEST_KSTACK_BYTES
	.fill 90, 1, 0
	.word 104
	.fill GUEST_IO_PORTS / 8, 1, 0	/* all of these ports are open to CPL 3 */
	.byte 0xff
	.balign GUEST_TSS_BYTES
	.set i, i + 1
	.endr
guest_cpu_ticket:
	.long 1

	.bss
	.balign 4096
	.globl guest_kstack
guest_kstack:
	.skip GUEST_MAX_CPUS * GUEST_KSTACK_BYTES
guest_ustack:
	.skip GUEST_MAX_CPUS * GUEST_USTACK_BYTES

/* --- PVH note --------------------------------------------------------------------------------- */
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18			/* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long guest_pvh32

/* --- entries ---------------------------------------------------------------------------------- */
	.section .text.entry, "ax"
	.code64
	.globl guest_entry64
guest_entry64:
	mov $GUEST_BEAT_START, %al
	outb %al, $GUEST_DEBUG_PORT	/* the very first thing that a guest can do */
	mov $guest_pml4, %eax
	mov %rax, %cr3
	mov %rsi, %rdi
	xor %esi, %esi
guest_bsp:
	mov $guest_kstack + GUEST_KSTACK_BYTES, %esp
	lgdt guest_gdt_ptr
	lidt guest_idt_ptr
	mov $guest_tss, %eax
	movw %ax, guest_gdt + GUEST_SEL_TSS + 2
	shr $16, %eax
	movb %al, guest_gdt + GUEST_SEL_TSS + 4
	movb %ah, guest_gdt + GUEST_SEL_TSS + 7
	mov $GUEST_SEL_TSS, %eax
	ltr %ax
	push $GUEST_SEL_UDATA | 3
	push $guest_ustack + GUEST_USTACK_BYTES - 8
	push $GUEST_USER_RFLAGS
	push $GUEST_SEL_UCODE | 3
	push $guest_main
	iretq

/* From 32-bit protected mode without paging to 64-bit code at \target. Destroys EAX, ECX, EDX. */
	.macro long_mode target
	mov %cr4, %eax
	or $0x20, %eax			/* PAE */
	mov %eax, %cr4
	mov $guest_pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax			/* EFER.LME */
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax		/* PG */
	mov %eax, %cr0
	ljmp $GUEST_SEL_KCODE, $\target
	.endm

	.code32
guest_pvh32:
	mov $GUEST_BEAT_START, %al
	outb %al, $GUEST_DEBUG_PORT
	lgdt guest_gdt_ptr
	long_mode guest_pvh64
guest_ap32:
	mov $GUEST_SEL_KDATA, %eax
	mov %eax, %ds
	mov %eax, %ss
	long_mode guest_ap64

	.code64
guest_pvh64:
	mov %ebx, %edi
	mov $1, %esi
	jmp guest_bsp

guest_ap64:
	mov $1, %edi
	lock xadd %edi, guest_cpu_ticket
	cmp $GUEST_MAX_CPUS, %edi
	jae guest_park
	mov %edi, %eax
	inc %eax
	mov %eax, %ecx
	imul $GUEST_KSTACK_BYTES, %eax, %eax
	imul $GUEST_USTACK_BYTES, %ecx, %ecx
	lea guest_kstack(%rax), %rsp
	lgdt guest_gdt_ptr
	lidt guest_idt_ptr
	mov %edi, %eax
	shl $4, %eax
	add $GUEST_SEL_TSS, %eax
	ltr %ax
	push $GUEST_SEL_UDATA | 3
	lea guest_ustack - 8(%rcx), %rcx
	push %rcx
	push $GUEST_USER_RFLAGS
	push $GUEST_SEL_UCODE | 3
	push $guest_ap_main
	iretq
guest_park:
	cli
	hlt
	jmp guest_park

/* Copied to GUEST_TRAMPOLINE; runs there in real mode with CS = GUEST_TRAMPOLINE >> 4. */
	.globl guest_trampoline, guest_trampoline_end
	.code16
guest_trampoline:
	cli
	lgdtl %cs:(tramp_gdt_ptr - guest_trampoline)
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $GUEST_SEL_K32CODE, $guest_ap32
	.balign 4
tramp_gdt_ptr:
	.word guest_gdt_end - guest_gdt - 1
	.long guest_gdt
guest_trampoline_end:

/* --- gates ------------------------------------------------------------------------------------ */
	.text
	.code64
/* int3 of the payload, R8 says what; interrupts are off (interrupt gate). */
	.globl guest_gate_call, guest_gate_timer, guest_gate_none
	.balign 16
guest_gate_call:
	test %r8d, %r8d
	jnz 1f
	cmpl $0, (%rdi)			/* GUEST_CALL_IDLE: sleep unless *RDI; ESI ticks, or until TSC EDX:EAX */
	jne 9f
	test %esi, %esi
	jz 3f
	mov %esi, LAPIC_TIMER_INIT(%r9)
	jmp 4f
3:	mov $0x6e0, %ecx		/* IA32_TSC_DEADLINE */
	wrmsr
4:
	sti
	hlt
	cli
9:	iretq
1:	cmp $GUEST_CALL_WRMSR, %r8d
	jne 2f
	wrmsr
	iretq
2:	cmp $GUEST_CALL_PARK, %r8d
	je guest_park
	cmp $GUEST_CALL_RESET, %r8d
	jne 9b
	lidt guest_gdt			/* limit 0: the next exception is a triple fault */
	ud2

	.balign 16
guest_gate_timer:
	push %rax
	mov $GUEST_LAPIC + LAPIC_EOI, %eax
	movl $0, (%rax)
	pop %rax
guest_gate_none:
	iretq

/* One gate for each virtio slot: acknowledge the level interrupt, note its reasons, wake the payload. */
	.globl guest_gate_slots
	.balign 16
guest_gate_slots:
	.set i, 0
	.rept GUEST_MAX_SLOTS
	push %rax
	mov $i, %eax
	jmp guest_gate_slot
	.balign 16
	.set i, i + 1
	.endr
guest_gate_slot:
	push %rcx
	push %rdx
	mov guest_slot_base(, %rax, 8), %rcx
	mov 0x60(%rcx), %edx		/* InterruptStatus */
	mov %edx, 0x64(%rcx)		/* InterruptACK */
	or %edx, guest_slot_isr(, %rax, 4)
	movl $1, guest_irq_pending
	mov $GUEST_LAPIC + LAPIC_EOI, %eax
	movl $0, (%rax)
	pop %rdx
	pop %rcx
	pop %rax
	iretq

/* The power block's event line: read (and so clear) the event register for the payload. */
	.globl guest_gate_event
	.balign 16
guest_gate_event:
	push %rax
	mov guest_event_reg, %rax
	movzbl (%rax), %eax
	or %eax, guest_event_bits
	movl $1, guest_irq_pending
	mov $GUEST_LAPIC + LAPIC_EOI, %eax
	movl $0, (%rax)
	pop %rax
	iretq

/* Exceptions that nobody expects: say it and stop. 16 bytes each. */
	.globl guest_gate_traps
	.balign 16
guest_gate_traps:
	.set i, 0
	.rept 32
	.if (i == 8) || ((i >= 10) && (i <= 14)) || (i == 17) || (i == 21) || (i == 29) || (i == 30)
	nop
	nop
	.else
	push $0
	.endif
	push $i
	jmp guest_trap
	.balign 16
	.set i, i + 1
	.endr
guest_trap:
	mov %rsp, %rdi			/* vector, error code, RIP, CS, RFLAGS, RSP, SS */
	mov %cr2, %rsi
	and $-16, %rsp
	call guest_trapped
	jmp guest_park

	.section .note.GNU-stack, "", @progbits
