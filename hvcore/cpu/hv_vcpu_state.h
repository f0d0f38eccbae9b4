/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vcpu_state.h - the architectural state of vCPUs and interrupt controllers, one format for
 * every engine.
 *
 * It models the hardware, not an implementation: what one engine saves, another loads (where CPUID
 * allows). Field tables for save, load and dump are in hv_state.c; nothing here is written to a
 * stream as a C struct.
 *
 * Ownership: plain values, no pointers. Thread: [any], by value.
 */
#ifndef HV_VCPU_STATE_H
#define HV_VCPU_STATE_H

#include <stdint.h>

/* Guest ABI of machine hv-1, as the addresses of hv_machine.h. */
#define HV_MAX_VCPUS   64u
#define HV_IOAPIC_PINS 24u

/* General registers in the order of their instruction encoding. */
enum hv_gpr {
	HV_RAX,
	HV_RCX,
	HV_RDX,
	HV_RBX,
	HV_RSP,
	HV_RBP,
	HV_RSI,
	HV_RDI,
	HV_R8,
	HV_R9,
	HV_R10,
	HV_R11,
	HV_R12,
	HV_R13,
	HV_R14,
	HV_R15,
	HV_GPR_COUNT
};

/*
 * attr: type(3:0) s(4) dpl(6:5) present(7) avl(8) l(9) db(10) g(11) unusable(12)
 */
#define HV_SEG_S	(1u << 4)
#define HV_SEG_P	(1u << 7)
#define HV_SEG_L	(1u << 9)
#define HV_SEG_DB	(1u << 10)
#define HV_SEG_G	(1u << 11)
#define HV_SEG_UNUSABLE (1u << 12)

struct hv_seg {
	uint64_t base;
	uint32_t limit; /* in bytes, already scaled by G */
	uint16_t selector;
	uint16_t attr;
};

enum hv_seg_index { HV_ES, HV_CS, HV_SS, HV_DS, HV_FS, HV_GS, HV_SEG_COUNT };

struct hv_dtable {
	uint64_t base;
	uint16_t limit;
};

/* What the CPU does next; values are part of the format. */
enum hv_mp_state {
	HV_MP_INVALID = 0,
	HV_MP_RUNNABLE = 1,
	HV_MP_WAIT_INIT = 2, /* an AP that no INIT has reached */
	HV_MP_WAIT_SIPI = 3,
	HV_MP_HALTED = 4,
};

/* Events under way, as in KVM_GET_VCPU_EVENTS. */
struct hv_vcpu_events {
	uint8_t exception_injected, exception_nr, exception_has_error, exception_pending;
	uint32_t exception_error;
	uint64_t exception_payload;
	uint8_t exception_has_payload;
	uint8_t interrupt_injected, interrupt_nr, interrupt_soft;
	uint8_t interrupt_shadow; /* bit 0 sti, bit 1 mov ss */
	uint8_t nmi_injected, nmi_pending, nmi_masked;
	uint32_t sipi_vector;
};

#define HV_MSR_MAX 128u
struct hv_msr {
	uint32_t index;
	uint64_t value;
};

#define HV_XSAVE_BYTES 4096u
#define HV_LAPIC_BYTES 1024u

struct hv_vcpu_state {
	uint64_t gpr[HV_GPR_COUNT];
	uint64_t rip, rflags;
	struct hv_seg seg[HV_SEG_COUNT];
	struct hv_seg tr, ldt;
	struct hv_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
	uint64_t dr[4], dr6, dr7;
	uint64_t xcr0;
	/* Standard XSAVE layout; the first 512 bytes are the FXSAVE image. */
	uint32_t xsave_bytes;
	uint8_t xsave[HV_XSAVE_BYTES];
	uint32_t mp_state; /* enum hv_mp_state */
	struct hv_vcpu_events events;
	uint8_t lapic[HV_LAPIC_BYTES]; /* register page, as KVM_GET_LAPIC */
	/* TSC as the guest reads it at the moment of the save; the deadline is in MSR 0x6e0 of
	 * msr[]. */
	uint64_t tsc;
	uint32_t tsc_khz;
	uint32_t msr_count;
	struct hv_msr msr[HV_MSR_MAX];
};

/* IO-APIC, 1:1 with its registers. */
struct hv_ioapic_state {
	uint64_t base_gpa;
	uint32_t ioregsel;
	uint32_t id;
	uint32_t irr; /* line levels as seen by the pins */
	uint64_t redir[HV_IOAPIC_PINS];
};

/* The VM's clocks at one instant. */
struct hv_clock_state {
	uint64_t kvmclock_ns; /* what kvmclock would read */
	uint64_t realtime_ns; /* CLOCK_REALTIME of the host at that instant, 0 unknown */
	uint64_t tsc_khz;
};

/* One CPUID leaf of the guest's contract. */
struct hv_cpuid_leaf {
	uint32_t function, index, flags; /* flags bit 0: index is significant */
	uint32_t eax, ebx, ecx, edx;
};
#define HV_CPUID_MAX 80u
struct hv_cpuid {
	uint32_t count;
	struct hv_cpuid_leaf leaf[HV_CPUID_MAX];
};

#endif
