/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions and interrupts: raising, delivery through the IDT, return. [vcpu]
 */
#ifndef SOFT_EXC_H
#define SOFT_EXC_H

#include <stdbool.h>

#include "hvcore/engine_soft/soft_cpu.h"

/* Deliver cpu->pending at cpu->rip. May raise in turn (the run loop makes a double fault of it). */
void soft_exc_deliver(struct soft_cpu *cpu);

/*
 * After a longjmp with cpu->delivering set: what the two exceptions make together. false: triple
 * fault.
 */
bool soft_exc_combine(struct soft_cpu *cpu);

/* Request delivery of an external interrupt or NMI at cpu->rip. */
void soft_exc_interrupt(struct soft_cpu *cpu, int vector);

#endif
