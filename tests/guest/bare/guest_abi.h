/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers that the assembly and the C of the bare-metal test guest share, and the addresses of the
 * machine it expects. No code, no types: both the assembler and the compiler read this.
 */
#ifndef GUEST_ABI_H
#define GUEST_ABI_H

#define GUEST_MAX_CPUS	   16
#define GUEST_MAX_SLOTS	   32
#define GUEST_KSTACK_BYTES 2048
#define GUEST_USTACK_BYTES 16384
#define GUEST_TSS_BYTES	   256
#define GUEST_IO_PORTS                                                                             \
	0x400 /* ports below this are open by the TSS map: IOPL does not outlive IRETQ on KVM-PVM  \
	       */
#define GUEST_TSS_LIMIT	  (104 + GUEST_IO_PORTS / 8)
#define GUEST_TRAMPOLINE  0x8000
#define GUEST_USER_RFLAGS 0x3202 /* IOPL 3, interrupts on */

#define GUEST_SEL_KCODE	  0x08
#define GUEST_SEL_KDATA	  0x10
#define GUEST_SEL_K32CODE 0x18
#define GUEST_SEL_UDATA	  0x20
#define GUEST_SEL_UCODE	  0x28
#define GUEST_SEL_TSS	  0x30

/* What R8 asks of CPL 0 at an int3. */
#define GUEST_CALL_IDLE                                                                            \
	0 /* RDI: word that forbids sleep, ESI: timer ticks, or 0 and EDX:EAX a TSC deadline, R9:  \
	     LAPIC */
#define GUEST_CALL_WRMSR 1 /* ECX, EDX:EAX */
#define GUEST_CALL_PARK	 2 /* never returns */
#define GUEST_CALL_RESET 3 /* triple fault */

#define GUEST_LAPIC	 0xfee00000
#define LAPIC_ID	 0x20
#define LAPIC_EOI	 0xb0
#define LAPIC_SVR	 0xf0
#define LAPIC_ICR_LOW	 0x300
#define LAPIC_ICR_HIGH	 0x310
#define LAPIC_TIMER_LVT	 0x320
#define LAPIC_TIMER_INIT 0x380
#define LAPIC_TIMER_NOW	 0x390
#define LAPIC_TIMER_DIV	 0x3e0

#define GUEST_VEC_TIMER 0x40
#define GUEST_VEC_EVENT 0x41
#define GUEST_VEC_SLOT	0x50 /* and GUEST_MAX_SLOTS from here */

/*
 * The debug port. The first byte after every boot is GUEST_BEAT_START; what follows is the
 * heartbeat's sequence (one byte a beat, counting up, never 0x40 or a letter) or lines of text, as
 * the mode says.
 */
#define GUEST_DEBUG_PORT 0xe9
#define GUEST_BEAT_START 0x40

#endif
