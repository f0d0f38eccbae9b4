/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_boot.h - puts a kernel and what it reads at boot into guest memory, and says how a vCPU starts
 * there.
 *
 * One path for every guest and engine: the kernel's ELF (a vmlinux, unpacked from a bzImage by us,
 * or a bare test guest) is entered in 64-bit mode with RSI = boot_params.
 *
 * Thread: [setup]. Errors: CM_E_BAD_KERNEL, CM_E_NO_MEMORY, CM_E_NO_FILE, with words.
 */
#ifndef HV_BOOT_H
#define HV_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "hvcore/cpu/hv_vcpu_state.h"
#include "hvcore/machine/hv_machine.h"

struct hv_mem;

struct hv_boot_config {
	int kernel_fd, initrd_fd; /* read from their beginning; initrd_fd -1: none */
	const char *cmdline;
	unsigned vcpus;
	uint32_t virtio_slots; /* bit i: slot i has a device */
};

/* Guest memory must be all zero. entry_gpa: where the boot processor starts. */
int hv_boot_load(struct hv_mem *mem, const struct hv_boot_config *cfg, uint64_t *entry_gpa,
		 struct cm_err *err) cm_must_check;
/*
 * The part without descriptors: kernel and initrd are in memory. Used by hv_boot_load and fuzzed.
 */
int hv_boot_place(struct hv_mem *mem, const uint8_t *kernel, size_t kernel_bytes,
		  uint64_t *entry_gpa, uint64_t *end_gpa, struct cm_err *err) cm_must_check;

/* State of vCPU index at power on: 0 enters the kernel in 64-bit mode, the others wait for INIT. */
void hv_boot_vcpu(unsigned index, uint64_t entry_gpa, struct hv_vcpu_state *out);
/* State of the IO-APIC at power on. */
void hv_boot_ioapic(struct hv_ioapic_state *out);

#endif
