/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_cpuid.h - the CPUID contract of machine hv-1: what of an engine's offer a guest gets to see.
 *
 * The contract is fixed at the first boot, saved with the VM and kept for life; a host that cannot
 * keep it refuses the VM. Pure functions. Thread: [any].
 */
#ifndef HV_CPUID_H
#define HV_CPUID_H

#include <stdbool.h>

#include "common/cm_err.h"
#include "hvcore/cpu/hv_vcpu_state.h"

/* What hv-1 shows of supported (an engine's cpuid_supported). tsc_khz is told to the guest if not
 * 0. */
void hv_cpuid_contract(const struct hv_cpuid *supported, unsigned vcpus, uint32_t tsc_khz,
		       struct hv_cpuid *out);
/* Takes everything out of a contract that not every host and engine has: the VM then moves
 * anywhere. */
void hv_cpuid_reduce(struct hv_cpuid *contract);
/* Can a host that offers supported keep contract? CM_E_INCOMPATIBLE and err names the first missing
 * bit. */
int hv_cpuid_fits(const struct hv_cpuid *contract, const struct hv_cpuid *supported,
		  struct cm_err *err) cm_must_check;
/* The leaf, or NULL. */
const struct hv_cpuid_leaf *hv_cpuid_find(const struct hv_cpuid *c, uint32_t function,
					  uint32_t index);

#endif
