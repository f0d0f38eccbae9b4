/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soft_irqchip: all local APICs and the IO-APIC of one VM, the routes between them, and their one lock.
 *
 * Devices and other vCPUs raise interrupts from any thread; a vCPU asks "is anything for me?" with one atomic load
 * (soft_irqchip_events) and "is my timer due?" with two more. Everything else takes the lock for a few dozen
 * instructions. The kick callback runs under the lock whenever a vCPU gets a *new* event: it may set a stop word or
 * signal a condition of its own, but must not call back into the irqchip.
 */
#ifndef SOFT_IRQCHIP_H
#define SOFT_IRQCHIP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hvcore/engine_soft/soft_apic.h"
#include "hvcore/engine_soft/soft_ioapic.h"

typedef void (*soft_irqchip_kick_fn)(void *opaque, unsigned int cpu);

/* What vCPU threads look at without the lock. */
struct soft_irqchip_cpu {
	struct soft_apic apic;
	_Atomic uint32_t events;	/* copy of apic.events */
	_Atomic uint64_t expires_ns;	/* SOFT_APIC_NEVER: not armed */
	_Atomic uint64_t expires_tsc;
};

struct soft_irqchip {
	pthread_mutex_t lock;
	struct soft_irqchip_cpu *cpu;
	unsigned int cpus;
	unsigned int next_lowest;	/* where the search for the lowest priority starts */
	struct soft_ioapic ioapic;
	soft_irqchip_kick_fn kick;
	void *opaque;
};

/* [setup] 0 or -ENOMEM. APIC id of vCPU i is i; vCPU 0 is the boot processor. */
int soft_irqchip_init(struct soft_irqchip *chip, unsigned int cpus, soft_irqchip_kick_fn kick, void *opaque);
void soft_irqchip_fini(struct soft_irqchip *chip);

/* [any] enum soft_event bits that wait for vCPU `cpu`. */
static inline uint32_t soft_irqchip_events(struct soft_irqchip *chip, unsigned int cpu)
{
	return atomic_load_explicit(&chip->cpu[cpu].events, memory_order_acquire);
}

/* [vcpu] Is a soft_irqchip_timer_poll due? */
static inline bool soft_irqchip_timer_due(struct soft_irqchip *chip, unsigned int cpu, struct soft_time now)
{
	return now.ns >= atomic_load_explicit(&chip->cpu[cpu].expires_ns, memory_order_relaxed) ||
	       now.tsc >= atomic_load_explicit(&chip->cpu[cpu].expires_tsc, memory_order_relaxed);
}

/* [vcpu] How long the vCPU may sleep: the instants at which its timer fires, SOFT_APIC_NEVER if not armed. */
struct soft_time soft_irqchip_expires(struct soft_irqchip *chip, unsigned int cpu);

/* [vcpu] Fires the timer of `cpu` if it is due. */
void soft_irqchip_timer_poll(struct soft_irqchip *chip, unsigned int cpu, struct soft_time now);

/* [vcpu] Interrupt acknowledge: the vector to deliver, -1 if none is above the priority any more. */
int soft_irqchip_acknowledge(struct soft_irqchip *chip, unsigned int cpu);
/* [vcpu] Takes NMI, INIT or STARTUP off the list; false: it was not there. *vector is of STARTUP. */
bool soft_irqchip_take(struct soft_irqchip *chip, unsigned int cpu, enum soft_event event, uint8_t *vector);
/* [vcpu] What INIT does to the local APIC. */
void soft_irqchip_reset_apic(struct soft_irqchip *chip, unsigned int cpu);

/* [vcpu] The APIC page at HV_LAPIC_GPA, offset 0..0xfff; len is 1, 2, 4 or 8. */
void soft_irqchip_apic_mmio(struct soft_irqchip *chip, unsigned int cpu, uint32_t offset, void *data, unsigned int len,
			    bool write, struct soft_time now);
/* [vcpu] The IO-APIC page at HV_IOAPIC_GPA. */
void soft_irqchip_ioapic_mmio(struct soft_irqchip *chip, uint32_t offset, void *data, unsigned int len, bool write);

/* [vcpu] CR8 and the MSRs. The setters return 0 or -EINVAL (the guest gets #GP). */
uint8_t soft_irqchip_cr8(struct soft_irqchip *chip, unsigned int cpu);
void soft_irqchip_set_cr8(struct soft_irqchip *chip, unsigned int cpu, uint8_t cr8);
uint64_t soft_irqchip_base_msr(struct soft_irqchip *chip, unsigned int cpu);
int soft_irqchip_set_base_msr(struct soft_irqchip *chip, unsigned int cpu, uint64_t value);
uint64_t soft_irqchip_tsc_deadline(struct soft_irqchip *chip, unsigned int cpu);
void soft_irqchip_set_tsc_deadline(struct soft_irqchip *chip, unsigned int cpu, uint64_t tsc);

/* [any] A device drives IO-APIC pin `gsi`, or sends an MSI. */
void soft_irqchip_set_line(struct soft_irqchip *chip, unsigned int gsi, bool asserted);
void soft_irqchip_msi(struct soft_irqchip *chip, uint64_t address, uint32_t data);

/* [setup] State in and out. `page` is HV_LAPIC_BYTES long. events: pending SOFT_EVENT_NMI, INIT and STARTUP. */
void soft_irqchip_get_apic(struct soft_irqchip *chip, unsigned int cpu, uint8_t *page, struct soft_time now);
void soft_irqchip_set_apic(struct soft_irqchip *chip, unsigned int cpu, const uint8_t *page, struct soft_time now);
void soft_irqchip_set_events(struct soft_irqchip *chip, unsigned int cpu, uint32_t events, uint8_t startup_vector);
void soft_irqchip_get_ioapic(struct soft_irqchip *chip, struct hv_ioapic_state *out);
void soft_irqchip_set_ioapic(struct soft_irqchip *chip, const struct hv_ioapic_state *in);

#endif
