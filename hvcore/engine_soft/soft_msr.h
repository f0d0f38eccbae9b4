/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model specific registers. [vcpu]; [setup] for save and restore.
 */
#ifndef SOFT_MSR_H
#define SOFT_MSR_H

#include <stdbool.h>
#include <stdint.h>

struct soft_cpu;
struct hv_vcpu_state;

/* false: there is no such MSR, or it does not take this value (#GP). */
bool soft_msr_read(struct soft_cpu *cpu, uint32_t index, uint64_t *v);
bool soft_msr_write(struct soft_cpu *cpu, uint32_t index, uint64_t v);

/* The list in a saved state. Unknown ones are skipped on load: they may be of the other engine. */
void soft_msr_save(struct soft_cpu *cpu, struct hv_vcpu_state *to);
void soft_msr_load(struct soft_cpu *cpu, const struct hv_vcpu_state *from);

#endif
