/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug exceptions: breakpoints in DR0-DR3 and single steps (RFLAGS.TF).
 *
 * They cost a guest nothing that does not use them:
 *  - while DR7 enables any breakpoint, code runs in blocks of their own (SOFT_MODE_BREAK): one
 *    instruction each, behind a soft_op_break that compares its address;
 *  - a page with a data breakpoint is kept out of the TLBs, so that accesses to it take the slow
 *    path, which compares theirs. Likewise IN and OUT.
 *
 * Execution breakpoints are faults. All others are traps: what an instruction hit gathers in
 * cpu->brk.hit, SOFT_STOP_BREAK brings the vCPU to the run loop behind it, and there it becomes a
 * #DB. MOV to SS puts that off by one instruction.
 *
 * RFLAGS.RF says "no execution breakpoint at the next instruction". IRET and interrupted string
 * instructions set it; soft_op_break uses it up, or the run loop, when there are no breakpoints.
 * [vcpu]
 */
#ifndef SOFT_BREAK_H
#define SOFT_BREAK_H

#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_mem.h"

/* DR0-3, DR7 or CR4.DE have changed. */
void soft_break_update(struct soft_cpu *cpu);

/* Raise #DB at op (NULL: at cpu->rip) if an execution breakpoint is set on rip. */
void soft_break_exec(struct soft_cpu *cpu, const struct soft_op *op, uint64_t rip);

/* Run the one instruction at cpu->rip, for RFLAGS.TF. false: the code there is not in memory. */
bool soft_break_step(struct soft_cpu *cpu);

/* Something was hit: make it the pending exception, if its time has come. */
bool soft_break_deliver(struct soft_cpu *cpu);

/* Slow sides of what follows. */
void soft_break_data_hit(struct soft_cpu *cpu, uint64_t la, unsigned int len, bool write);
void soft_break_port_hit(struct soft_cpu *cpu, uint16_t port, unsigned int len);
bool soft_break_page_watched(const struct soft_cpu *cpu, uint64_t page);

/* The instruction under way accesses [la, la+len). */
static inline void soft_break_data(struct soft_cpu *cpu, uint64_t la, unsigned int len, bool write)
{
	if (soft_unlikely(cpu->brk.data))
		soft_break_data_hit(cpu, la, len, write);
}

static inline void soft_break_port(struct soft_cpu *cpu, uint16_t port, unsigned int len)
{
	if (soft_unlikely(cpu->brk.port))
		soft_break_port_hit(cpu, port, len);
}

/* Is there a data breakpoint in the page at linear address page? */
static inline bool soft_break_in_page(const struct soft_cpu *cpu, uint64_t page)
{
	return soft_unlikely(cpu->brk.data) && soft_break_page_watched(cpu, page);
}

#endif
