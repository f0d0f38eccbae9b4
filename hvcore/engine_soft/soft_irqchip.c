/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interrupt bus of one VM: takes messages from the IO-APIC, MSIs and inter-processor interrupts to local APICs.
 *
 * The registers themselves are in soft_apic.c and soft_ioapic.c. Order of locks: chip->lock is a leaf, nothing else is
 * taken under it but what the kick callback takes. Parses guest data: MMIO offsets and lengths, MSR values.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_irqchip.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BASE_MSR_ENABLE	(1ull << 11)
#define BASE_MSR_BSP	(1ull << 8)

/* Shows the world what changed in the APIC of `cpu`; wakes the vCPU if an event is new. */
static void publish(struct soft_irqchip *chip, unsigned int cpu)
{
	struct soft_irqchip_cpu *c = &chip->cpu[cpu];
	uint32_t before = atomic_load_explicit(&c->events, memory_order_relaxed);

	atomic_store_explicit(&c->expires_ns, c->apic.expires_ns, memory_order_relaxed);
	atomic_store_explicit(&c->expires_tsc, c->apic.tsc_deadline ? c->apic.tsc_deadline : SOFT_APIC_NEVER,
			      memory_order_relaxed);
	if (before == c->apic.events)
		return;
	atomic_store_explicit(&c->events, c->apic.events, memory_order_release);
	if (c->apic.events & ~before)
		chip->kick(chip->opaque, cpu);
}

static bool deliver_to(struct soft_irqchip *chip, unsigned int cpu, const struct soft_irq_msg *msg)
{
	bool accepted = soft_apic_accept(&chip->cpu[cpu].apic, msg);

	publish(chip, cpu);
	return accepted;
}

static bool is_target(const struct soft_irqchip *chip, unsigned int cpu, const struct soft_irq_msg *msg, int from)
{
	switch (msg->shorthand) {
	case SOFT_IRQ_TO_SELF:
		return (int)cpu == from;
	case SOFT_IRQ_TO_ALL:
		return true;
	case SOFT_IRQ_TO_OTHERS:
		return (int)cpu != from;
	case SOFT_IRQ_TO_DEST:
	default:
		return soft_apic_matches(&chip->cpu[cpu].apic, msg->logical, msg->dest);
	}
}

/* Among the targets the one with the lowest processor priority; equals take turns. */
static bool deliver_lowest(struct soft_irqchip *chip, const struct soft_irq_msg *msg, int from)
{
	int best = -1;

	for (unsigned int i = 0; i < chip->cpus; i++) {
		unsigned int cpu = (chip->next_lowest + i) % chip->cpus;
		const struct soft_apic *apic = &chip->cpu[cpu].apic;

		if (!is_target(chip, cpu, msg, from) || !soft_apic_hw_enabled(apic))
			continue;
		if (best < 0 || soft_apic_priority(apic) < soft_apic_priority(&chip->cpu[best].apic))
			best = (int)cpu;
	}
	if (best < 0)
		return false;
	chip->next_lowest = ((unsigned int)best + 1) % chip->cpus;
	return deliver_to(chip, (unsigned int)best, msg);
}

/* `from` is the sending vCPU, -1 for devices. */
static bool deliver(struct soft_irqchip *chip, const struct soft_irq_msg *msg, int from)
{
	bool accepted = false;

	if (msg->mode == SOFT_IRQ_LOWEST)
		return deliver_lowest(chip, msg, from);
	for (unsigned int cpu = 0; cpu < chip->cpus; cpu++)
		if (is_target(chip, cpu, msg, from))
			accepted |= deliver_to(chip, cpu, msg);
	return accepted;
}

static bool ioapic_send(void *opaque, const struct soft_irq_msg *msg)
{
	struct soft_irqchip *chip = opaque;

	return deliver(chip, msg, -1);
}

static struct soft_apic *lock_apic(struct soft_irqchip *chip, unsigned int cpu)
{
	pthread_mutex_lock(&chip->lock);
	return &chip->cpu[cpu].apic;
}

static void unlock_apic(struct soft_irqchip *chip, unsigned int cpu)
{
	publish(chip, cpu);
	pthread_mutex_unlock(&chip->lock);
}

/* --- the vCPU's side ----------------------------------------------------------- */

struct soft_time soft_irqchip_expires(struct soft_irqchip *chip, unsigned int cpu)
{
	return (struct soft_time){
		.ns = atomic_load_explicit(&chip->cpu[cpu].expires_ns, memory_order_relaxed),
		.tsc = atomic_load_explicit(&chip->cpu[cpu].expires_tsc, memory_order_relaxed),
	};
}

void soft_irqchip_timer_poll(struct soft_irqchip *chip, unsigned int cpu, struct soft_time now)
{
	soft_apic_timer_poll(lock_apic(chip, cpu), now);
	unlock_apic(chip, cpu);
}

int soft_irqchip_acknowledge(struct soft_irqchip *chip, unsigned int cpu)
{
	int vector = soft_apic_acknowledge(lock_apic(chip, cpu));

	unlock_apic(chip, cpu);
	return vector;
}

bool soft_irqchip_take(struct soft_irqchip *chip, unsigned int cpu, enum soft_event event, uint8_t *vector)
{
	struct soft_apic *apic = lock_apic(chip, cpu);
	bool was = apic->events & (uint32_t)event;

	apic->events &= ~(uint32_t)event;
	if (vector)
		*vector = apic->startup_vector;
	unlock_apic(chip, cpu);
	return was;
}

void soft_irqchip_reset_apic(struct soft_irqchip *chip, unsigned int cpu)
{
	soft_apic_reset(lock_apic(chip, cpu));
	unlock_apic(chip, cpu);
}

static void apic_write(struct soft_irqchip *chip, unsigned int cpu, uint32_t offset, uint32_t value,
		       struct soft_time now)
{
	struct soft_irq_msg msg;

	switch (soft_apic_write(&chip->cpu[cpu].apic, offset, value, now, &msg)) {
	case SOFT_APIC_EFFECT_SEND:
		deliver(chip, &msg, (int)cpu);
		break;
	case SOFT_APIC_EFFECT_EOI:
		soft_ioapic_eoi(&chip->ioapic, msg.vector);
		break;
	case SOFT_APIC_EFFECT_NONE:
	default:
		break;
	}
}

void soft_irqchip_apic_mmio(struct soft_irqchip *chip, unsigned int cpu, uint32_t offset, void *data, unsigned int len,
			    bool write, struct soft_time now)
{
	struct soft_apic *apic = lock_apic(chip, cpu);

	offset &= 0xfff;
	if (!soft_apic_hw_enabled(apic)) {
		if (!write)
			memset(data, 0xff, len);
	} else if (write) {
		uint32_t value;

		/* Only whole registers are written; the SDM leaves the rest undefined. */
		if (len >= 4 && offset % 16 == 0) {
			memcpy(&value, data, 4);
			apic_write(chip, cpu, offset, le32toh(value), now);
		}
	} else {
		uint64_t value = 0;

		if (offset % 16 < 4)
			value = soft_apic_read(apic, offset & ~0xfu, now) >> offset % 16 * 8;
		value = htole64(value);
		memcpy(data, &value, len <= 8 ? len : 8);
	}
	unlock_apic(chip, cpu);
}

void soft_irqchip_ioapic_mmio(struct soft_irqchip *chip, uint32_t offset, void *data, unsigned int len, bool write)
{
	uint32_t value = 0;
	uint64_t wide;

	offset &= 0xff;
	pthread_mutex_lock(&chip->lock);
	if (write) {
		memcpy(&value, data, len < 4 ? len : 4);
		if (offset % 16 == 0)
			soft_ioapic_write(&chip->ioapic, offset, le32toh(value));
	} else {
		if (offset % 16 == 0)
			value = soft_ioapic_read(&chip->ioapic, offset);
		wide = htole64(value);
		memcpy(data, &wide, len <= 8 ? len : 8);
	}
	pthread_mutex_unlock(&chip->lock);
}

uint8_t soft_irqchip_cr8(struct soft_irqchip *chip, unsigned int cpu)
{
	uint8_t cr8 = lock_apic(chip, cpu)->regs[SOFT_APIC_TPR / 4] >> 4 & 0xf;

	unlock_apic(chip, cpu);
	return cr8;
}

void soft_irqchip_set_cr8(struct soft_irqchip *chip, unsigned int cpu, uint8_t cr8)
{
	soft_apic_set_tpr(lock_apic(chip, cpu), (uint8_t)(cr8 << 4));
	unlock_apic(chip, cpu);
}

uint64_t soft_irqchip_base_msr(struct soft_irqchip *chip, unsigned int cpu)
{
	uint64_t value = lock_apic(chip, cpu)->base_msr;

	unlock_apic(chip, cpu);
	return value;
}

int soft_irqchip_set_base_msr(struct soft_irqchip *chip, unsigned int cpu, uint64_t value)
{
	struct soft_apic *apic;

	/* The page stays where hv-1 has it, and there is no x2APIC mode. */
	if ((value & ~(BASE_MSR_ENABLE | BASE_MSR_BSP)) != HV_LAPIC_GPA)
		return -EINVAL;
	apic = lock_apic(chip, cpu);
	if (soft_apic_hw_enabled(apic) && !(value & BASE_MSR_ENABLE))
		soft_apic_reset(apic);
	apic->base_msr = value;
	unlock_apic(chip, cpu);
	return 0;
}

uint64_t soft_irqchip_tsc_deadline(struct soft_irqchip *chip, unsigned int cpu)
{
	uint64_t value = lock_apic(chip, cpu)->tsc_deadline;

	unlock_apic(chip, cpu);
	return value;
}

void soft_irqchip_set_tsc_deadline(struct soft_irqchip *chip, unsigned int cpu, uint64_t tsc)
{
	soft_apic_set_tsc_deadline(lock_apic(chip, cpu), tsc);
	unlock_apic(chip, cpu);
}

/* --- the devices' side ------------------------------------------------------------ */

void soft_irqchip_set_line(struct soft_irqchip *chip, unsigned int gsi, bool asserted)
{
	pthread_mutex_lock(&chip->lock);
	soft_ioapic_set_line(&chip->ioapic, gsi, asserted);
	pthread_mutex_unlock(&chip->lock);
}

void soft_irqchip_msi(struct soft_irqchip *chip, uint64_t address, uint32_t data)
{
	struct soft_irq_msg msg = {
		.vector = data & 0xff,
		.mode = (enum soft_irq_mode)(data >> 8 & 7),
		.logical = address >> 2 & 1,
		.level = data >> 15 & 1,
		.dest = address >> 12 & 0xff,
	};

	pthread_mutex_lock(&chip->lock);
	deliver(chip, &msg, -1);
	pthread_mutex_unlock(&chip->lock);
}

/* --- state and life ------------------------------------------------------------------ */

void soft_irqchip_get_apic(struct soft_irqchip *chip, unsigned int cpu, uint8_t *page, struct soft_time now)
{
	struct soft_apic *apic = lock_apic(chip, cpu);

	soft_apic_save(apic, now);
	for (unsigned int i = 0; i < HV_LAPIC_BYTES / 4; i++) {
		uint32_t reg = htole32(apic->regs[i]);

		memcpy(page + i * 4, &reg, 4);
	}
	unlock_apic(chip, cpu);
}

void soft_irqchip_set_apic(struct soft_irqchip *chip, unsigned int cpu, const uint8_t *page, struct soft_time now)
{
	struct soft_apic *apic = lock_apic(chip, cpu);

	for (unsigned int i = 0; i < HV_LAPIC_BYTES / 4; i++) {
		uint32_t reg;

		memcpy(&reg, page + i * 4, 4);
		apic->regs[i] = le32toh(reg);
	}
	soft_apic_loaded(apic, now);
	unlock_apic(chip, cpu);
}

void soft_irqchip_set_events(struct soft_irqchip *chip, unsigned int cpu, uint32_t events, uint8_t startup_vector)
{
	struct soft_apic *apic = lock_apic(chip, cpu);

	apic->events = (apic->events & SOFT_EVENT_INTR) | (events & ~(uint32_t)SOFT_EVENT_INTR);
	apic->startup_vector = startup_vector;
	unlock_apic(chip, cpu);
}

void soft_irqchip_get_ioapic(struct soft_irqchip *chip, struct hv_ioapic_state *out)
{
	pthread_mutex_lock(&chip->lock);
	*out = chip->ioapic.state;
	pthread_mutex_unlock(&chip->lock);
}

void soft_irqchip_set_ioapic(struct soft_irqchip *chip, const struct hv_ioapic_state *in)
{
	pthread_mutex_lock(&chip->lock);
	chip->ioapic.state = *in;
	soft_ioapic_loaded(&chip->ioapic);
	pthread_mutex_unlock(&chip->lock);
}

int soft_irqchip_init(struct soft_irqchip *chip, unsigned int cpus, soft_irqchip_kick_fn kick, void *opaque)
{
	*chip = (struct soft_irqchip){ .cpus = cpus, .kick = kick, .opaque = opaque };
	chip->cpu = calloc(cpus, sizeof *chip->cpu);
	if (!chip->cpu)
		return -ENOMEM;
	pthread_mutex_init(&chip->lock, NULL);
	soft_ioapic_init(&chip->ioapic, ioapic_send, chip);
	for (unsigned int i = 0; i < cpus; i++) {
		soft_apic_init(&chip->cpu[i].apic, (uint8_t)i, i == 0);
		publish(chip, i);
	}
	return 0;
}

void soft_irqchip_fini(struct soft_irqchip *chip)
{
	if (!chip->cpu)
		return;
	pthread_mutex_destroy(&chip->lock);
	free(chip->cpu);
	chip->cpu = NULL;
}
