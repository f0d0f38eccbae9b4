/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the engine tests and their payload agree on; included by both. Addresses are guest physical = linear. */
#ifndef RIG_ABI_H
#define RIG_ABI_H

#define RIG_RAM_BYTES	0x2000000ull /* 32 MiB */
#define RIG_PML4	0x1000ull    /* PML4, PDPT, then one page directory per GiB: identity, 2 MiB pages */
#define RIG_GDT		0x8000ull
#define RIG_TSS		0x9000ull
#define RIG_IDT		0xa000ull
#define RIG_STACK	0x80000ull
#define RIG_IST		0x88000ull
#define RIG_USER_STACK	0x90000ull
#define RIG_PAYLOAD	0x100000ull
#define RIG_HEAP	0x400000ull
#define RIG_WINDOW	0x40000000ull /* 1 GiB: a linear page that the payload maps by its page fault handler */

/* Selectors. */
#define RIG_CS	    0x08
#define RIG_DS	    0x10
#define RIG_USER_DS 0x1b
#define RIG_USER_CS 0x23
#define RIG_TR	    0x28

/* Ports of 8 bytes worth of result, and of the end. */
#define RIG_PORT_RESULT 0x500
#define RIG_PORT_TICKS	0x504
#define RIG_PORT_DONE	0x508
#define RIG_PORT_PANIC	0x50c

/* Work, in RDI at entry; RSI is how much of it. */
#define RIG_INTEGER 0
#define RIG_SHA256  1
#define RIG_STRING  2
#define RIG_FLOAT   3
#define RIG_X87	    4
#define RIG_FAULTS  5
#define RIG_USER    6
#define RIG_SORT    7
#define RIG_WORKS   8
#define RIG_NO_TIMER 0x100 /* ored to the work: no interrupts, so that every run is the same to the last bit */

#define RIG_TIMER_VECTOR 0x40
#define RIG_TIMER_COUNT	 20000 /* of a 1 GHz clock: 20 us */

#endif
