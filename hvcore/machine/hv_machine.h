/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_machine.h - machine type hv-1: every address and interrupt that a guest can see.
 *
 * This is guest ABI: equal on every host and in every release. New needs make a new machine type,
 * never an edit here. The devices and their order are in vm/hv_machine_list.c; how many vCPUs and IO-APIC
 * pins there may be says cpu/hv_vcpu_state.h.
 */
#ifndef HV_MACHINE_H
#define HV_MACHINE_H

#include <stdint.h>

#define HV_MACHINE_NAME "hv-1"

/* RAM below the hole starts at 0; what does not fit continues at 4 GiB. */
#define HV_RAM_LOW_MAX	 0xc0000000ull /* 3 GiB */
#define HV_RAM_HIGH_GPA	 0x100000000ull
#define HV_RAM_MIN_BYTES (32ull << 20)
#define HV_RAM_MAX_BYTES (1ull << 40)

/* Interrupt controllers. */
#define HV_LAPIC_GPA	 0xfee00000ull
#define HV_IOAPIC_GPA	 0xfec00000ull
#define HV_IOAPIC_ID	 0u	       /* MADT id; LAPIC ids are the vCPU indices */
#define HV_TSS_GPA	 0xfffbd000ull /* KVM_SET_TSS_ADDR: three pages, Intel hosts only */
#define HV_IDENT_MAP_GPA 0xfffbc000ull /* KVM_SET_IDENTITY_MAP_ADDR */

/* Port devices. */
#define HV_COM1_PORT  0x3f8u
#define HV_COM1_GSI   4u
#define HV_RTC_PORT   0x70u /* index 0x70, data 0x71 */
#define HV_DEBUG_PORT 0xe9u /* heartbeat and test output of bare guests; one byte a write */

/* Power block: FADT sleep control/status, reset register, power button event (GED). One byte each.
 */
#define HV_POWER_GPA	   0xd0000000ull
#define HV_POWER_BYTES	   0x10ull
#define HV_POWER_SLEEP_CTL 0x00u /* write SLP_TYP<<2 | SLP_EN(0x20); S5 is SLP_TYP 5 */
#define HV_POWER_SLEEP_STS 0x01u /* reads WAK_STS in bit 7 */
#define HV_POWER_RESET	   0x02u /* write 0x01 resets the machine */
#define HV_POWER_EVENT	   0x03u /* read: pending events, bit 0 power button; read clears */
#define HV_POWER_PANIC	   0x04u /* write: guest says it is lost (pvpanic) */
#define HV_POWER_GSI	   9u
#define HV_POWER_S5_TYP	   5u

/* virtio-mmio v2 slots; slot i is at HV_VIRTIO_GPA + i * HV_VIRTIO_STRIDE with GSI HV_VIRTIO_GSI +
 * i. */
#define HV_VIRTIO_GPA	 0xd0001000ull
#define HV_VIRTIO_STRIDE 0x1000ull
#define HV_VIRTIO_BYTES	 0x200ull
#define HV_VIRTIO_GSI	 10u
#define HV_VIRTIO_SLOTS	 12u

/* Fixed meaning of the slots (an absent device leaves an empty slot: DeviceID 0). */
#define HV_SLOT_BLK0	0u /* blk: 0..3 */
#define HV_SLOT_BLK_MAX 4u
#define HV_SLOT_NET0	4u /* net: 4..7 */
#define HV_SLOT_NET_MAX 4u
#define HV_SLOT_CONSOLE 8u
#define HV_SLOT_RNG	9u
#define HV_SLOT_BALLOON 10u

/* Where the loader puts what the guest reads at boot (all below 640 KiB and out of the E820 RAM it
 * may reuse early). */
#define HV_BOOT_GDT_GPA	    0x500ull
#define HV_BOOT_PARAMS_GPA  0x7000ull
#define HV_BOOT_STACK_GPA   0x8ff0ull
#define HV_BOOT_PML4_GPA    0x9000ull /* PML4, PDPT, then four page directories: 6 pages */
#define HV_BOOT_CMDLINE_GPA 0x20000ull
#define HV_BOOT_CMDLINE_MAX 0x1000u
#define HV_BOOT_SETUP_GPA   0x22000ull /* setup_data: random seed */
#define HV_ACPI_GPA	    0xe0000ull /* RSDP and tables, reserved to 1 MiB */
#define HV_ACPI_BYTES	    0x20000ull

#endif
