/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One local APIC: registers, priorities, timer. Written from the Intel SDM volume 3, chapter "APIC".
 *
 * Not here: x2APIC, ExtINT (hv-1 has no PIC), SMI, and any routing between processors (soft_irqchip.c).
 * Parses guest data: offsets and values of MMIO writes. Every offset is masked, every value is taken as it comes.
 */
#include "config.h"

#include "hvcore/engine_soft/soft_apic.h"

#include <string.h>

#define LVT_MASKED	(1u << 16)
#define LVT_COUNT	6u
#define TIMER_MODE	(3u << 17)
#define TIMER_ONE_SHOT	(0u << 17)
#define TIMER_PERIODIC	(1u << 17)
#define TIMER_DEADLINE	(2u << 17)
#define SVR_ENABLED	(1u << 8)
#define DFR_FLAT	0xffffffffu
#define ICR_BUSY	(1u << 12)
#define ERROR_SEND_ILLEGAL	(1u << 5)
#define ERROR_RECV_ILLEGAL	(1u << 6)
#define ERROR_REGISTER		(1u << 7)
#define FIRST_LEGAL_VECTOR	16u

static uint32_t get(const struct soft_apic *apic, uint32_t offset)
{
	return apic->regs[offset / 4];
}

static void set(struct soft_apic *apic, uint32_t offset, uint32_t value)
{
	apic->regs[offset / 4] = value;
}

/* The 256-bit vectors ISR, TMR and IRR: eight words, 16 bytes apart. */
static void vector_set(struct soft_apic *apic, enum soft_apic_reg base, uint8_t vector)
{
	apic->regs[base / 4 + vector / 32 * 4] |= 1u << vector % 32;
}

static void vector_clear(struct soft_apic *apic, enum soft_apic_reg base, uint8_t vector)
{
	apic->regs[base / 4 + vector / 32 * 4] &= ~(1u << vector % 32);
}

static bool vector_test(const struct soft_apic *apic, enum soft_apic_reg base, uint8_t vector)
{
	return apic->regs[base / 4 + vector / 32 * 4] >> vector % 32 & 1;
}

static int vector_highest(const struct soft_apic *apic, enum soft_apic_reg base)
{
	for (int word = 7; word >= 0; word--) {
		uint32_t bits = apic->regs[base / 4 + word * 4];

		if (bits)
			return word * 32 + 31 - __builtin_clz(bits);
	}
	return -1;
}

static bool sw_enabled(const struct soft_apic *apic)
{
	return soft_apic_hw_enabled(apic) && (get(apic, SOFT_APIC_SVR) & SVR_ENABLED);
}

uint8_t soft_apic_priority(const struct soft_apic *apic)
{
	uint32_t tpr = get(apic, SOFT_APIC_TPR) & 0xff;
	int in_service = vector_highest(apic, SOFT_APIC_ISR);
	uint32_t isr_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;

	return (tpr & 0xf0) >= isr_class ? tpr : isr_class;
}

/* Recomputes SOFT_EVENT_INTR; to be called after each change of IRR, ISR, TPR or the enable bits. */
static void update_intr(struct soft_apic *apic)
{
	int vector = vector_highest(apic, SOFT_APIC_IRR);
	uint32_t priority = soft_apic_priority(apic);

	set(apic, SOFT_APIC_PPR, priority);
	if (vector >= 0 && ((uint32_t)vector & 0xf0) > (priority & 0xf0) && sw_enabled(apic))
		apic->events |= SOFT_EVENT_INTR;
	else
		apic->events &= ~(uint32_t)SOFT_EVENT_INTR;
}

/* --- timer ------------------------------------------------------------------- */

static uint32_t timer_mode(const struct soft_apic *apic)
{
	return get(apic, SOFT_APIC_LVT_TIMER) & TIMER_MODE;
}

static uint32_t timer_divisor(const struct soft_apic *apic)
{
	uint32_t tdcr = get(apic, SOFT_APIC_TIMER_DIVIDE);

	return 1u << ((((tdcr & 3) | (tdcr & 8) >> 1) + 1) & 7);
}

static uint64_t timer_period_ns(const struct soft_apic *apic)
{
	return (uint64_t)get(apic, SOFT_APIC_TIMER_INITIAL) * timer_divisor(apic);
}

static uint32_t timer_current(const struct soft_apic *apic, struct soft_time now)
{
	uint64_t left_ns;

	if (apic->expires_ns == SOFT_APIC_NEVER)
		return 0;
	/* Due, but its interrupt was not made yet: 0 would say that it was, and a saved VM would wait for ever. */
	left_ns = apic->expires_ns > now.ns ? apic->expires_ns - now.ns : 1;
	return (uint32_t)((left_ns + timer_divisor(apic) - 1) / timer_divisor(apic));
}

static void timer_disarm(struct soft_apic *apic)
{
	apic->expires_ns = SOFT_APIC_NEVER;
	apic->tsc_deadline = 0;
}

static void timer_start(struct soft_apic *apic, uint32_t count, struct soft_time now)
{
	if (count)
		apic->expires_ns = now.ns + (uint64_t)count * timer_divisor(apic);
	else
		apic->expires_ns = SOFT_APIC_NEVER;
}

static void write_divide(struct soft_apic *apic, uint32_t value, struct soft_time now)
{
	uint32_t left = timer_current(apic, now);

	set(apic, SOFT_APIC_TIMER_DIVIDE, value & 0xb);
	timer_start(apic, left, now);
}

/* A change of mode to or from TSC-deadline disarms the timer. */
static void write_lvt_timer(struct soft_apic *apic, uint32_t value)
{
	uint32_t before = timer_mode(apic);

	set(apic, SOFT_APIC_LVT_TIMER, value);
	if ((before ^ value) & TIMER_DEADLINE) {
		timer_disarm(apic);
		set(apic, SOFT_APIC_TIMER_INITIAL, 0);
	}
}

void soft_apic_set_tsc_deadline(struct soft_apic *apic, uint64_t tsc)
{
	if (timer_mode(apic) == TIMER_DEADLINE && soft_apic_hw_enabled(apic))
		apic->tsc_deadline = tsc;
}

/* --- local interrupts ---------------------------------------------------------- */

static void raise_fixed(struct soft_apic *apic, uint8_t vector, bool level)
{
	vector_set(apic, SOFT_APIC_IRR, vector);
	if (level)
		vector_set(apic, SOFT_APIC_TMR, vector);
	else
		vector_clear(apic, SOFT_APIC_TMR, vector);
	update_intr(apic);
}

static bool deliver_lvt(struct soft_apic *apic, enum soft_apic_reg lvt)
{
	uint32_t entry = get(apic, lvt);
	struct soft_irq_msg msg = {
		.vector = entry & 0xff,
		.mode = (enum soft_irq_mode)(entry >> 8 & 7),
	};

	return !(entry & LVT_MASKED) && soft_apic_accept(apic, &msg);
}

static void raise_error(struct soft_apic *apic, uint32_t bit)
{
	uint32_t entry = get(apic, SOFT_APIC_LVT_ERROR);

	if (apic->error & bit)
		return;
	apic->error |= bit;
	if (!(entry & LVT_MASKED) && (entry & 0xff) >= FIRST_LEGAL_VECTOR && sw_enabled(apic))
		raise_fixed(apic, entry & 0xff, false);
}

bool soft_apic_timer_poll(struct soft_apic *apic, struct soft_time now)
{
	if (timer_mode(apic) == TIMER_DEADLINE) {
		if (!apic->tsc_deadline || now.tsc < apic->tsc_deadline)
			return false;
		apic->tsc_deadline = 0;
	} else {
		uint64_t period_ns = timer_period_ns(apic);

		if (now.ns < apic->expires_ns || apic->expires_ns == SOFT_APIC_NEVER)
			return false;
		if (timer_mode(apic) == TIMER_PERIODIC && period_ns)
			/* Ticks that were missed merge into one. */
			apic->expires_ns += ((now.ns - apic->expires_ns) / period_ns + 1) * period_ns;
		else
			apic->expires_ns = SOFT_APIC_NEVER;
	}
	return deliver_lvt(apic, SOFT_APIC_LVT_TIMER);
}

/* --- messages in ----------------------------------------------------------------- */

bool soft_apic_accept(struct soft_apic *apic, const struct soft_irq_msg *msg)
{
	if (!soft_apic_hw_enabled(apic))
		return false;
	switch (msg->mode) {
	case SOFT_IRQ_FIXED:
	case SOFT_IRQ_LOWEST:
		if (!sw_enabled(apic))
			return false;
		if (msg->vector < FIRST_LEGAL_VECTOR) {
			raise_error(apic, ERROR_RECV_ILLEGAL);
			return false;
		}
		raise_fixed(apic, msg->vector, msg->level);
		return true;
	case SOFT_IRQ_NMI:
		apic->events |= SOFT_EVENT_NMI;
		return true;
	case SOFT_IRQ_INIT:
		/* A start-up message that came before this INIT is void. */
		apic->events = (apic->events & ~(uint32_t)SOFT_EVENT_STARTUP) | SOFT_EVENT_INIT;
		return true;
	case SOFT_IRQ_STARTUP:
		apic->startup_vector = msg->vector;
		apic->events |= SOFT_EVENT_STARTUP;
		return true;
	case SOFT_IRQ_SMI:
	case SOFT_IRQ_EXTINT:
	default:
		return false;
	}
}

bool soft_apic_matches(const struct soft_apic *apic, bool logical, uint8_t dest)
{
	uint32_t mine;

	if (!logical)
		return dest == 0xff || dest == get(apic, SOFT_APIC_ID) >> 24;
	mine = get(apic, SOFT_APIC_LDR) >> 24;
	if (get(apic, SOFT_APIC_DFR) == DFR_FLAT)
		return mine & dest;
	return (dest >> 4 == 0xf || mine >> 4 == dest >> 4) && (mine & dest & 0xf);
}

int soft_apic_acknowledge(struct soft_apic *apic)
{
	int vector;

	if (!(apic->events & SOFT_EVENT_INTR))
		return -1;
	vector = vector_highest(apic, SOFT_APIC_IRR);
	vector_clear(apic, SOFT_APIC_IRR, (uint8_t)vector);
	vector_set(apic, SOFT_APIC_ISR, (uint8_t)vector);
	update_intr(apic);
	return vector;
}

/* --- registers ----------------------------------------------------------------------- */

void soft_apic_set_tpr(struct soft_apic *apic, uint8_t tpr)
{
	set(apic, SOFT_APIC_TPR, tpr);
	update_intr(apic);
}

static void write_svr(struct soft_apic *apic, uint32_t value)
{
	set(apic, SOFT_APIC_SVR, value & 0x1ff);
	if (!(value & SVR_ENABLED))
		for (uint32_t i = 0; i < LVT_COUNT; i++)
			apic->regs[(SOFT_APIC_LVT_TIMER + i * 16) / 4] |= LVT_MASKED;
	update_intr(apic);
}

static enum soft_apic_effect write_eoi(struct soft_apic *apic, struct soft_irq_msg *msg)
{
	int vector = vector_highest(apic, SOFT_APIC_ISR);

	if (vector < 0)
		return SOFT_APIC_EFFECT_NONE;
	vector_clear(apic, SOFT_APIC_ISR, (uint8_t)vector);
	update_intr(apic);
	if (!vector_test(apic, SOFT_APIC_TMR, (uint8_t)vector))
		return SOFT_APIC_EFFECT_NONE;
	*msg = (struct soft_irq_msg){ .vector = (uint8_t)vector, .level = true };
	return SOFT_APIC_EFFECT_EOI;
}

static enum soft_apic_effect write_icr(struct soft_apic *apic, uint32_t value, struct soft_irq_msg *msg)
{
	set(apic, SOFT_APIC_ICR_LOW, value & 0xccfffu & ~ICR_BUSY);
	*msg = (struct soft_irq_msg){
		.vector = value & 0xff,
		.mode = (enum soft_irq_mode)(value >> 8 & 7),
		.shorthand = (enum soft_irq_shorthand)(value >> 18 & 3),
		.logical = value >> 11 & 1,
		.dest = get(apic, SOFT_APIC_ICR_HIGH) >> 24,
	};
	/* INIT level de-assert: only ancient processors acted on it. */
	if (msg->mode == SOFT_IRQ_INIT && (value & 1u << 15) && !(value & 1u << 14))
		return SOFT_APIC_EFFECT_NONE;
	if ((msg->mode == SOFT_IRQ_FIXED || msg->mode == SOFT_IRQ_LOWEST) && msg->vector < FIRST_LEGAL_VECTOR) {
		raise_error(apic, ERROR_SEND_ILLEGAL);
		return SOFT_APIC_EFFECT_NONE;
	}
	return SOFT_APIC_EFFECT_SEND;
}

/* The bits of each LVT that the guest may change. */
static uint32_t lvt_writable(uint32_t offset)
{
	switch (offset) {
	case SOFT_APIC_LVT_TIMER:
		return 0x700ff;
	case SOFT_APIC_LVT_LINT0:
	case SOFT_APIC_LVT_LINT1:
		return 0x1a7ff;
	case SOFT_APIC_LVT_ERROR:
		return 0x100ff;
	default:
		return 0x107ff;
	}
}

static void write_lvt(struct soft_apic *apic, uint32_t offset, uint32_t value)
{
	value &= lvt_writable(offset);
	if (!(get(apic, SOFT_APIC_SVR) & SVR_ENABLED))
		value |= LVT_MASKED;
	if (offset == SOFT_APIC_LVT_TIMER)
		write_lvt_timer(apic, value);
	else
		set(apic, offset, value);
}

static bool is_readable(uint32_t offset)
{
	if (offset % 16 || offset >= HV_LAPIC_BYTES)
		return false;
	if (offset >= SOFT_APIC_TPR && offset <= SOFT_APIC_PPR)
		return true;
	if (offset >= SOFT_APIC_LDR && offset <= SOFT_APIC_ESR)
		return true;
	if (offset >= SOFT_APIC_ICR_LOW && offset <= SOFT_APIC_TIMER_CURRENT)
		return true;
	return offset == SOFT_APIC_ID || offset == SOFT_APIC_VERSION || offset == SOFT_APIC_TIMER_DIVIDE ||
	       offset == SOFT_APIC_EOI;
}

uint32_t soft_apic_read(struct soft_apic *apic, uint32_t offset, struct soft_time now)
{
	if (!is_readable(offset)) {
		raise_error(apic, ERROR_REGISTER);
		return 0;
	}
	switch (offset) {
	case SOFT_APIC_TIMER_CURRENT:
		return timer_current(apic, now);
	case SOFT_APIC_PPR:
		return soft_apic_priority(apic);
	case SOFT_APIC_EOI:
	case SOFT_APIC_APR:
		return 0;
	default:
		return get(apic, offset);
	}
}

enum soft_apic_effect soft_apic_write(struct soft_apic *apic, uint32_t offset, uint32_t value, struct soft_time now,
				      struct soft_irq_msg *msg)
{
	switch (offset) {
	case SOFT_APIC_ID:
	case SOFT_APIC_LDR:
	case SOFT_APIC_ICR_HIGH:
		set(apic, offset, value & 0xff000000);
		break;
	case SOFT_APIC_TPR:
		soft_apic_set_tpr(apic, value & 0xff);
		break;
	case SOFT_APIC_EOI:
		return write_eoi(apic, msg);
	case SOFT_APIC_DFR:
		set(apic, SOFT_APIC_DFR, value | 0x0fffffff);
		break;
	case SOFT_APIC_SVR:
		write_svr(apic, value);
		break;
	case SOFT_APIC_ESR:
		set(apic, SOFT_APIC_ESR, apic->error);
		apic->error = 0;
		break;
	case SOFT_APIC_ICR_LOW:
		return write_icr(apic, value, msg);
	case SOFT_APIC_LVT_TIMER:
	case SOFT_APIC_LVT_THERMAL:
	case SOFT_APIC_LVT_PERF:
	case SOFT_APIC_LVT_LINT0:
	case SOFT_APIC_LVT_LINT1:
	case SOFT_APIC_LVT_ERROR:
		write_lvt(apic, offset, value);
		break;
	case SOFT_APIC_TIMER_INITIAL:
		if (timer_mode(apic) == TIMER_DEADLINE)
			break;
		set(apic, offset, value);
		timer_start(apic, value, now);
		break;
	case SOFT_APIC_TIMER_DIVIDE:
		write_divide(apic, value, now);
		break;
	default:
		/* Read-only registers swallow the write; holes are an error. */
		if (!is_readable(offset))
			raise_error(apic, ERROR_REGISTER);
		break;
	}
	return SOFT_APIC_EFFECT_NONE;
}

/* --- life -------------------------------------------------------------------------------- */

void soft_apic_init(struct soft_apic *apic, uint8_t id, bool bsp)
{
	*apic = (struct soft_apic){ .base_msr = HV_LAPIC_GPA | 1u << 11 | (bsp ? 1u << 8 : 0) };
	set(apic, SOFT_APIC_ID, (uint32_t)id << 24);
	soft_apic_reset(apic);
}

void soft_apic_reset(struct soft_apic *apic)
{
	uint32_t id = get(apic, SOFT_APIC_ID);

	memset(apic->regs, 0, sizeof apic->regs);
	set(apic, SOFT_APIC_ID, id);
	set(apic, SOFT_APIC_VERSION, 0x14 | (LVT_COUNT - 1) << 16);
	set(apic, SOFT_APIC_DFR, DFR_FLAT);
	set(apic, SOFT_APIC_SVR, 0xff);
	for (uint32_t i = 0; i < LVT_COUNT; i++)
		set(apic, SOFT_APIC_LVT_TIMER + i * 16, LVT_MASKED);
	timer_disarm(apic);
	apic->error = 0;
	apic->events &= SOFT_EVENT_STARTUP;
}

void soft_apic_save(struct soft_apic *apic, struct soft_time now)
{
	/* A count that ran out while nobody looked is an interrupt now, or it would be lost with the count. */
	if (timer_mode(apic) != TIMER_DEADLINE)
		(void)soft_apic_timer_poll(apic, now);
	set(apic, SOFT_APIC_TIMER_CURRENT, timer_current(apic, now));
	set(apic, SOFT_APIC_PPR, soft_apic_priority(apic));
}

void soft_apic_loaded(struct soft_apic *apic, struct soft_time now)
{
	uint32_t count = get(apic, SOFT_APIC_TIMER_CURRENT);

	apic->expires_ns = SOFT_APIC_NEVER;
	/* Another engine may have saved a periodic timer in the instant in which it reached zero. */
	if (!count && timer_mode(apic) == TIMER_PERIODIC)
		count = get(apic, SOFT_APIC_TIMER_INITIAL);
	if (timer_mode(apic) != TIMER_DEADLINE)
		timer_start(apic, count, now);
	update_intr(apic);
}
