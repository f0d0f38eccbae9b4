/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop of one vCPU.
 *
 * While `busy` is set the vCPU may touch guest RAM through its TLB. It is clear outside of
 * vcpu_run, in HLT and during upcalls; on the way back the vCPU first does what `stop` asks for. So
 * another thread that has set SOFT_STOP_FLUSH needs to wait only for a busy vCPU.
 */
#ifndef SOFT_RUN_H
#define SOFT_RUN_H

#include "hvcore/cpu/hv_engine.h"
#include "hvcore/engine_soft/soft_cpu.h"

enum hv_run soft_run(struct soft_cpu *cpu); /* [vcpu] */

/* [vcpu] Around upcalls into the machine. */
void soft_run_pause(struct soft_cpu *cpu);
void soft_run_resume(struct soft_cpu *cpu);

/* [any] Have the write TLB of cpu emptied, and return when that is so (or certain before its next
 * write). */
void soft_run_flush_writes(struct soft_cpu *cpu);

/*
 * [vcpu] Until no other vCPU writes by an entry of its write TLB that it was asked to empty. Others
 * may wait for self meanwhile.
 */
void soft_run_await_writes(struct soft_cpu *self);

/* [setup] Registers as after INIT (or power-on); the vCPU waits unless it is the first. */
void soft_cpu_reset(struct soft_cpu *cpu, bool power_on);

#endif
