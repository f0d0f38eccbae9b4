/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soft_apic: the registers of one local APIC (xAPIC) as a pure state machine.
 *
 * Time comes in as an argument, interrupts go out as return values; no lock, no clock, no thread here.
 * Every function is [irqchip lock]: soft_irqchip.h holds the lock and routes between the APICs. The register page is
 * byte for byte the one of KVM's struct kvm_lapic_state ("part of format"), so a VM moves between the engines.
 */
#ifndef SOFT_APIC_H
#define SOFT_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/cpu/hv_vcpu_state.h"
#include "hvcore/machine/hv_machine.h"

#define SOFT_APIC_NEVER		UINT64_MAX

/* Byte offsets of the registers in the page. */
enum soft_apic_reg {
	SOFT_APIC_ID = 0x20,
	SOFT_APIC_VERSION = 0x30,
	SOFT_APIC_TPR = 0x80,
	SOFT_APIC_APR = 0x90,
	SOFT_APIC_PPR = 0xa0,
	SOFT_APIC_EOI = 0xb0,
	SOFT_APIC_LDR = 0xd0,
	SOFT_APIC_DFR = 0xe0,
	SOFT_APIC_SVR = 0xf0,
	SOFT_APIC_ISR = 0x100,
	SOFT_APIC_TMR = 0x180,
	SOFT_APIC_IRR = 0x200,
	SOFT_APIC_ESR = 0x280,
	SOFT_APIC_ICR_LOW = 0x300,
	SOFT_APIC_ICR_HIGH = 0x310,
	SOFT_APIC_LVT_TIMER = 0x320,
	SOFT_APIC_LVT_THERMAL = 0x330,
	SOFT_APIC_LVT_PERF = 0x340,
	SOFT_APIC_LVT_LINT0 = 0x350,
	SOFT_APIC_LVT_LINT1 = 0x360,
	SOFT_APIC_LVT_ERROR = 0x370,
	SOFT_APIC_TIMER_INITIAL = 0x380,
	SOFT_APIC_TIMER_CURRENT = 0x390,
	SOFT_APIC_TIMER_DIVIDE = 0x3e0,
};

/* Delivery modes, as in bits 10:8 of the ICR, of an LVT and of an IO-APIC entry. */
enum soft_irq_mode {
	SOFT_IRQ_FIXED = 0,
	SOFT_IRQ_LOWEST = 1,
	SOFT_IRQ_SMI = 2,
	SOFT_IRQ_NMI = 4,
	SOFT_IRQ_INIT = 5,
	SOFT_IRQ_STARTUP = 6,
	SOFT_IRQ_EXTINT = 7,
};

/* ICR bits 19:18. */
enum soft_irq_shorthand {
	SOFT_IRQ_TO_DEST = 0,
	SOFT_IRQ_TO_SELF = 1,
	SOFT_IRQ_TO_ALL = 2,
	SOFT_IRQ_TO_OTHERS = 3,
};

/* One interrupt message on the bus between IO-APIC, MSI and the local APICs. */
struct soft_irq_msg {
	uint8_t vector;
	enum soft_irq_mode mode;
	enum soft_irq_shorthand shorthand;
	bool logical;		/* dest is a logical destination */
	bool level;		/* level triggered */
	uint8_t dest;
};

/* The guest's two clocks at one instant. The timer counts 1 GHz (as KVM's) divided by its divide register. */
struct soft_time {
	uint64_t ns;
	uint64_t tsc;
};

/* Events that wait for the vCPU; bits of soft_apic.events. */
enum soft_event {
	SOFT_EVENT_NONE = 0,
	SOFT_EVENT_INTR = 1 << 0,	/* a vector above the processor priority waits */
	SOFT_EVENT_NMI = 1 << 1,
	SOFT_EVENT_INIT = 1 << 2,
	SOFT_EVENT_STARTUP = 1 << 3,
};

struct soft_apic {
	uint32_t regs[HV_LAPIC_BYTES / 4];
	uint64_t base_msr;		/* IA32_APIC_BASE */
	uint64_t tsc_deadline;		/* IA32_TSC_DEADLINE, 0 = disarmed */
	uint64_t expires_ns;		/* one-shot and periodic; SOFT_APIC_NEVER = disarmed */
	uint32_t error;			/* collected since the last write of ESR */
	uint32_t events;		/* enum soft_event */
	uint8_t startup_vector;
};

/* What a register write asks of the rest of the machine. */
enum soft_apic_effect {
	SOFT_APIC_EFFECT_NONE = 0,
	SOFT_APIC_EFFECT_SEND,	/* deliver *msg */
	SOFT_APIC_EFFECT_EOI,	/* tell the IO-APIC the end of level interrupt msg->vector */
};

/* Power-on state: APIC id `id`, software disabled; `bsp` sets the boot processor bit. */
void soft_apic_init(struct soft_apic *apic, uint8_t id, bool bsp);
/* What an INIT does: registers as after power-on, id and IA32_APIC_BASE are kept. */
void soft_apic_reset(struct soft_apic *apic);

uint32_t soft_apic_read(struct soft_apic *apic, uint32_t offset, struct soft_time now);
enum soft_apic_effect soft_apic_write(struct soft_apic *apic, uint32_t offset, uint32_t value, struct soft_time now,
				      struct soft_irq_msg *msg);

/* Accepts a message that is for this APIC; false: refused (disabled, or an illegal vector). */
bool soft_apic_accept(struct soft_apic *apic, const struct soft_irq_msg *msg);
/* Does this APIC match the destination? (no shorthands here) */
bool soft_apic_matches(const struct soft_apic *apic, bool logical, uint8_t dest);
/* Interrupt acknowledge cycle: highest vector moves from IRR to ISR. -1: none above the priority. */
int soft_apic_acknowledge(struct soft_apic *apic);
/* Current processor priority (PPR). */
uint8_t soft_apic_priority(const struct soft_apic *apic);

/* CR8 is bits 7:4 of the task priority. */
void soft_apic_set_tpr(struct soft_apic *apic, uint8_t tpr);

/* IA32_TSC_DEADLINE; written outside TSC-deadline mode it is ignored, as the SDM says. */
void soft_apic_set_tsc_deadline(struct soft_apic *apic, uint64_t tsc);

/* Fires the timer if it is due. true: something became pending. */
bool soft_apic_timer_poll(struct soft_apic *apic, struct soft_time now);

/* Before a save: brings TIMER_CURRENT and PPR in the page up to date. After a load: rebuilds what the page implies. */
void soft_apic_save(struct soft_apic *apic, struct soft_time now);
void soft_apic_loaded(struct soft_apic *apic, struct soft_time now);

static inline bool soft_apic_hw_enabled(const struct soft_apic *apic)
{
	return apic->base_msr & (1u << 11);
}

#endif
