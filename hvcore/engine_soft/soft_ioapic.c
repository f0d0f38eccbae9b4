/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IO-APIC: 24 input lines, a redirection table, and two windows (select, data) on it. Written from Intel's 82093AA
 * data sheet. Polarity is ignored: set_line() speaks of asserted lines, whatever their voltage.
 *
 * Parses guest data: the select register (masked), table entries (only writable bits are taken).
 */
#include "config.h"

#include "hvcore/engine_soft/soft_ioapic.h"

#define WINDOW_SELECT	0x00u
#define WINDOW_DATA	0x10u
#define REG_ID		0u
#define REG_VERSION	1u
#define REG_ARBITRATION	2u
#define REG_TABLE	0x10u
#define IOAPIC_VERSION		(0x11u | (HV_IOAPIC_PINS - 1) << 16)

#define ENTRY_LOGICAL		(1ull << 11)
#define ENTRY_STATUS		(1ull << 12)
#define ENTRY_REMOTE_IRR	(1ull << 14)
#define ENTRY_LEVEL		(1ull << 15)
#define ENTRY_MASKED		(1ull << 16)
#define ENTRY_READ_ONLY		(ENTRY_STATUS | ENTRY_REMOTE_IRR)
#define ENTRY_DEFINED		(0xff0000000001ffffull)

/* Sends the message of `pin` if its entry lets it out now. */
static void service(struct soft_ioapic *ioapic, unsigned int pin)
{
	uint64_t *entry = &ioapic->state.redir[pin];
	struct soft_irq_msg msg = {
		.vector = *entry & 0xff,
		.mode = (enum soft_irq_mode)(*entry >> 8 & 7),
		.logical = *entry & ENTRY_LOGICAL,
		.level = *entry & ENTRY_LEVEL,
		.dest = (uint8_t)(*entry >> 56),
	};

	if ((*entry & ENTRY_MASKED) || (msg.level && (*entry & ENTRY_REMOTE_IRR)))
		return;
	if (ioapic->send(ioapic->opaque, &msg) && msg.level)
		*entry |= ENTRY_REMOTE_IRR;
}

static bool asserted_level(const struct soft_ioapic *ioapic, unsigned int pin)
{
	return (ioapic->state.redir[pin] & ENTRY_LEVEL) && (ioapic->state.irr >> pin & 1);
}

void soft_ioapic_set_line(struct soft_ioapic *ioapic, unsigned int pin, bool asserted)
{
	bool before;

	if (pin >= HV_IOAPIC_PINS)
		return;
	before = ioapic->state.irr >> pin & 1;
	if (!asserted) {
		ioapic->state.irr &= ~(1u << pin);
		return;
	}
	ioapic->state.irr |= 1u << pin;
	if (!before || asserted_level(ioapic, pin))
		service(ioapic, pin);
}

void soft_ioapic_eoi(struct soft_ioapic *ioapic, uint8_t vector)
{
	for (unsigned int pin = 0; pin < HV_IOAPIC_PINS; pin++) {
		uint64_t *entry = &ioapic->state.redir[pin];

		if ((*entry & 0xff) != vector || !(*entry & ENTRY_LEVEL))
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		if (asserted_level(ioapic, pin))
			service(ioapic, pin);
	}
}

static void write_entry(struct soft_ioapic *ioapic, uint32_t reg, uint32_t value)
{
	unsigned int pin = (reg - REG_TABLE) / 2;
	uint64_t *entry = &ioapic->state.redir[pin];
	uint64_t read_only = *entry & ENTRY_READ_ONLY;

	if (reg & 1)
		*entry = (*entry & 0xffffffffu) | (uint64_t)value << 32;
	else
		*entry = (*entry & ~0xffffffffull) | value;
	*entry = (*entry & ENTRY_DEFINED & ~ENTRY_READ_ONLY) | read_only;
	/* Guests without an EOI register drop a stuck remote IRR by a short switch to edge mode. */
	if (!(*entry & ENTRY_LEVEL))
		*entry &= ~ENTRY_REMOTE_IRR;
	if (asserted_level(ioapic, pin))
		service(ioapic, pin);
}

static bool is_table(uint32_t reg)
{
	return reg >= REG_TABLE && reg < REG_TABLE + 2 * HV_IOAPIC_PINS;
}

static uint32_t read_register(const struct soft_ioapic *ioapic)
{
	uint32_t reg = ioapic->state.ioregsel;

	if (is_table(reg))
		return (uint32_t)(ioapic->state.redir[(reg - REG_TABLE) / 2] >> (reg & 1 ? 32 : 0));
	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION:
		return (ioapic->state.id & 0xf) << 24;
	case REG_VERSION:
		return IOAPIC_VERSION;
	default:
		return 0;
	}
}

uint32_t soft_ioapic_read(struct soft_ioapic *ioapic, uint32_t offset)
{
	switch (offset & ~0xfu) {
	case WINDOW_SELECT:
		return ioapic->state.ioregsel;
	case WINDOW_DATA:
		return read_register(ioapic);
	default:
		return 0;
	}
}

void soft_ioapic_write(struct soft_ioapic *ioapic, uint32_t offset, uint32_t value)
{
	uint32_t reg = ioapic->state.ioregsel;

	switch (offset & ~0xfu) {
	case WINDOW_SELECT:
		ioapic->state.ioregsel = value & 0xff;
		break;
	case WINDOW_DATA:
		if (is_table(reg))
			write_entry(ioapic, reg, value);
		else if (reg == REG_ID)
			ioapic->state.id = value >> 24 & 0xf;
		break;
	default:
		break;
	}
}

void soft_ioapic_init(struct soft_ioapic *ioapic, soft_ioapic_send_fn send, void *opaque)
{
	*ioapic = (struct soft_ioapic){ .send = send, .opaque = opaque };
	ioapic->state.base_gpa = HV_IOAPIC_GPA;
	for (unsigned int pin = 0; pin < HV_IOAPIC_PINS; pin++)
		ioapic->state.redir[pin] = ENTRY_MASKED;
}

void soft_ioapic_loaded(struct soft_ioapic *ioapic)
{
	ioapic->state.ioregsel &= 0xff;
	for (unsigned int pin = 0; pin < HV_IOAPIC_PINS; pin++)
		if (asserted_level(ioapic, pin))
			service(ioapic, pin);
}
