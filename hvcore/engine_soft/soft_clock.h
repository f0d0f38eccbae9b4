/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest time of one VM: nanoseconds (kvmclock, LAPIC timer) and TSC, from one of two sources.
 *
 * Host time: guest nanoseconds run with the host's monotonic clock. Instruction-counted: they run
 * with the instructions of vCPU 0, and HLT skips to the next timer, so that a run is the same every
 * time.
 */
#ifndef SOFT_CLOCK_H
#define SOFT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/engine_soft/soft_apic.h"

struct soft_cpu;
struct soft_vm;

void soft_clock_init(struct soft_vm *vm); /* [setup] */

/* [vcpu] Guest time as cpu sees it now. */
struct soft_time soft_clock_now(const struct soft_cpu *cpu);
uint64_t soft_clock_ns(const struct soft_vm *vm); /* [setup] while nothing runs */
/* TSC ticks that passed between the save of a state and its load. [setup] */
uint64_t soft_clock_elapsed_tsc(const struct soft_vm *vm);

/* [vcpu] Instructions that cpu may run until its clock reaches `until`, at most `most`. */
uint64_t soft_clock_slice(const struct soft_cpu *cpu, struct soft_time now, struct soft_time until,
			  uint64_t most);
/* [vcpu] Nanoseconds from now until one of the two instants of `until`; SOFT_APIC_NEVER if none. */
uint64_t soft_clock_until(const struct soft_cpu *cpu, struct soft_time now, struct soft_time until);
/* [vcpu] HLT, instruction-counted: jump over ns of idle time. */
void soft_clock_skip(struct soft_cpu *cpu, uint64_t ns);

/* [vcpu] Fill the kvmclock page of cpu at gpa, and the VM's wall clock at gpa. */
void soft_clock_write_system_time(struct soft_cpu *cpu, uint64_t gpa);
void soft_clock_write_wall_clock(struct soft_cpu *cpu, uint64_t gpa);

#endif
