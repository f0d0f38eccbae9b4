/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's registers to and from the neutral state. [setup]
 */
#ifndef SOFT_STATE_H
#define SOFT_STATE_H

#include "hvcore/cpu/hv_vcpu_state.h"

struct cm_err;
struct soft_cpu;

void soft_state_get(struct soft_cpu *cpu, struct hv_vcpu_state *out);
/* Nothing has changed if it fails. */
int soft_state_set(struct soft_cpu *cpu, const struct hv_vcpu_state *in, struct cm_err *err);

#endif
