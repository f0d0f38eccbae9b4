/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soft_ioapic: a 24-pin IO-APIC as a pure state machine.
 *
 * Every function is [irqchip lock], see soft_irqchip.h. Its registers are struct hv_ioapic_state, which holds what
 * KVM's struct kvm_ioapic_state holds, so a VM moves between the engines.
 */
#ifndef SOFT_IOAPIC_H
#define SOFT_IOAPIC_H

#include "hvcore/cpu/hv_vcpu_state.h"
#include "hvcore/engine_soft/soft_apic.h"
#include "hvcore/machine/hv_machine.h"

/* Takes one message to its processors; true: at least one accepted it. */
typedef bool (*soft_ioapic_send_fn)(void *opaque, const struct soft_irq_msg *msg);

struct soft_ioapic {
	struct hv_ioapic_state state;
	soft_ioapic_send_fn send;
	void *opaque;
};

void soft_ioapic_init(struct soft_ioapic *ioapic, soft_ioapic_send_fn send, void *opaque);
uint32_t soft_ioapic_read(struct soft_ioapic *ioapic, uint32_t offset);
void soft_ioapic_write(struct soft_ioapic *ioapic, uint32_t offset, uint32_t value);
/* A device asserts or releases its line. A pin that does not exist is ignored. */
void soft_ioapic_set_line(struct soft_ioapic *ioapic, unsigned int pin, bool asserted);
/* A local APIC ended level interrupt `vector`. */
void soft_ioapic_eoi(struct soft_ioapic *ioapic, uint8_t vector);
/* After a load: delivers what was asserted while nobody looked. */
void soft_ioapic_loaded(struct soft_ioapic *ioapic);

#endif
