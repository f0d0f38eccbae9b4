/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the soft CPU says about itself. [vcpu]; the contract is fixed at [setup].
 */
#ifndef SOFT_CPUID_H
#define SOFT_CPUID_H

#include <stdint.h>

#include "hvcore/cpu/hv_vcpu_state.h"

struct soft_cpu;

/* All that the engine can offer. */
void soft_cpuid_supported(struct hv_cpuid *out);
/* One CPUID instruction, by the VM's contract. */
struct hv_cpuid_leaf soft_cpuid(const struct soft_cpu *cpu, uint32_t function, uint32_t index);

#endif
