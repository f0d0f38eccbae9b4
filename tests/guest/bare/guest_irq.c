/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_irq.c - interrupt tables and controllers, secondary processors and power of the bare-metal
 * test guest.
 *
 * The machine is hv-1 unless the command line lists virtio_mmio.device=SIZE@BASE:GSI entries
 * (another machine, where power off is a triple fault). Runs at CPL 3; only the gates in
 * guest_entry.S run at CPL 0.
 */
#include "guest.h"
#include "hvcore/machine/hv_machine.h"

#define IOAPIC_SELECT  0x00
#define IOAPIC_WINDOW  0x10
#define RTE_LEVEL      (1u << 15)
#define GATE_INTERRUPT 0x8e00u
#define GATE_USER      0x6000u

extern const char guest_gate_call[], guest_gate_timer[], guest_gate_none[], guest_gate_slots[],
	guest_gate_traps[], guest_gate_event[];
extern const char guest_trampoline[], guest_trampoline_end[];
extern uint64_t guest_idt[512], guest_gdt[];
extern char guest_tss[];

volatile uint32_t guest_irq_pending;
volatile uint32_t guest_slot_isr[GUEST_MAX_SLOTS];
uint64_t guest_slot_base[GUEST_MAX_SLOTS];
uint32_t guest_slot_gsi[GUEST_MAX_SLOTS];
unsigned guest_slots;
volatile uint32_t guest_event_bits;
uint64_t guest_event_reg;
static bool is_hv1;
static volatile uint32_t cpus_up;

static void set_gate(unsigned vector, const char *handler, uint32_t flags)
{
	uint64_t at = (uint64_t)handler;

	guest_idt[2 * vector] = (at & 0xffff) | (uint64_t)GUEST_SEL_KCODE << 16 |
				(uint64_t)(GATE_INTERRUPT | flags) << 32 |
				(at >> 16 & 0xffff) << 48;
	guest_idt[2 * vector + 1] = at >> 32;
}

static void ioapic_write(uint32_t reg, uint32_t v)
{
	guest_mmio_write(HV_IOAPIC_GPA + IOAPIC_SELECT, reg);
	guest_mmio_write(HV_IOAPIC_GPA + IOAPIC_WINDOW, v);
}

static void unmask(uint32_t gsi, uint32_t vector)
{
	ioapic_write(0x11 + 2 * gsi, guest_mmio_read(GUEST_LAPIC + LAPIC_ID) & 0xff000000u);
	ioapic_write(0x10 + 2 * gsi, RTE_LEVEL | vector);
}

static void find_slots(void)
{
	const char *p = guest_boot.cmdline;
	const char *key = "virtio_mmio.device=";

	for (; *p && guest_slots < GUEST_MAX_SLOTS; p++) {
		if (!guest_starts(p, key))
			continue;
		p += guest_strlen(key);
		guest_number(&p);
		if (*p++ != '@')
			break;
		guest_slot_base[guest_slots] = guest_number(&p);
		if (*p++ != ':')
			break;
		guest_slot_gsi[guest_slots++] = (uint32_t)guest_number(&p);
	}
	if (guest_slots || guest_param("machine"))
		return;
	is_hv1 = true;
	for (; guest_slots < HV_VIRTIO_SLOTS; guest_slots++) {
		guest_slot_base[guest_slots] = HV_VIRTIO_GPA + guest_slots * HV_VIRTIO_STRIDE;
		guest_slot_gsi[guest_slots] = HV_VIRTIO_GSI + guest_slots;
	}
}

void guest_irq_cpu_init(void)
{
	guest_mmio_write(GUEST_LAPIC + LAPIC_SVR, 0x1ff);
	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_DIV, 0xb); /* divide by 1 */
	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_LVT, guest_time_lvt());
}

void guest_irq_init(void)
{
	for (unsigned v = 0; v < 32; v++)
		set_gate(v, guest_gate_traps + 16 * v, 0);
	set_gate(3, guest_gate_call, GATE_USER);
	for (unsigned v = 32; v < 256; v++)
		set_gate(v, guest_gate_none, 0);
	set_gate(GUEST_VEC_TIMER, guest_gate_timer, 0);
	set_gate(GUEST_VEC_EVENT, guest_gate_event, 0);
	for (unsigned i = 0; i < GUEST_MAX_SLOTS; i++)
		set_gate(GUEST_VEC_SLOT + i, guest_gate_slots + 16 * i, 0);
	guest_irq_cpu_init();
	find_slots();
	if (is_hv1) {
		guest_event_reg = HV_POWER_GPA + HV_POWER_EVENT;
		unmask(HV_POWER_GSI, GUEST_VEC_EVENT);
	}
}

void guest_irq_slot(unsigned slot)
{
	unmask(guest_slot_gsi[slot], GUEST_VEC_SLOT + slot);
}

static void send_ipi(uint32_t low)
{
	guest_mmio_write(GUEST_LAPIC + LAPIC_ICR_HIGH, 0);
	guest_mmio_write(GUEST_LAPIC + LAPIC_ICR_LOW, low);
}

static void wait_ms(uint64_t ms)
{
	uint64_t end = guest_now_ns() + ms * GUEST_NS_MS;

	while (guest_now_ns() < end)
		guest_sleep(end - guest_now_ns());
}

unsigned guest_irq_start_cpus(void)
{
	uint64_t wanted = guest_param_number("cpus", 1);
	const uint32_t all_others = 3u << 18, asserted = 1u << 14;

	for (unsigned i = 1; i < GUEST_MAX_CPUS; i++) {
		uint64_t tss = (uint64_t)guest_tss + GUEST_TSS_BYTES * i;
		uint64_t *d = guest_gdt + GUEST_SEL_TSS / 8 + 2 * i;

		d[0] = GUEST_TSS_LIMIT | (tss & 0xffffff) << 16 | 0x89ull << 40 |
		       (tss >> 24 & 0xff) << 56;
		d[1] = tss >> 32;
	}
	memcpy((void *)GUEST_TRAMPOLINE, guest_trampoline,
	       (size_t)(guest_trampoline_end - guest_trampoline));
	send_ipi(all_others | asserted | 5u << 8); /* INIT */
	wait_ms(10);
	send_ipi(all_others | asserted | 6u << 8 | GUEST_TRAMPOLINE >> 12); /* start up */
	for (unsigned ms = 0; ms < 2000 && cpus_up + 1 < wanted; ms++)
		wait_ms(1);
	return cpus_up + 1;
}

void guest_ap_main(unsigned cpu)
{
	guest_irq_cpu_init();
	guest_time_cpu_init(cpu);
	__atomic_fetch_add(&cpus_up, 1, __ATOMIC_SEQ_CST);
	if (guest_mode("clock"))
		guest_clock_cpu(cpu);
	guest_park_cpu();
}

bool guest_power_button(void)
{
	return __atomic_exchange_n(&guest_event_bits, 0, __ATOMIC_SEQ_CST) & 1;
}

static void call(uint32_t what)
{
	register uint32_t r8 __asm__("r8") = what;

	__asm__ volatile("int3" : : "r"(r8) : "memory");
}

void guest_power_off(void)
{
	if (is_hv1)
		*(volatile uint8_t *)(HV_POWER_GPA + HV_POWER_SLEEP_CTL) =
			HV_POWER_S5_TYP << 2 | 0x20;
	else
		call(GUEST_CALL_RESET);
	guest_park_cpu();
}

void guest_reset(void)
{
	if (is_hv1)
		*(volatile uint8_t *)(HV_POWER_GPA + HV_POWER_RESET) = 1;
	else
		call(GUEST_CALL_RESET);
	guest_park_cpu();
}

void guest_park_cpu(void)
{
	for (;;)
		call(GUEST_CALL_PARK);
}

void guest_fail(const char *what)
{
	guest_say("FAILED: %s", what);
	if (is_hv1)
		*(volatile uint8_t *)(HV_POWER_GPA + HV_POWER_PANIC) = 1;
	guest_park_cpu();
}

/* Runs at CPL 0, from guest_entry.S. frame: vector, error code, RIP, CS, RFLAGS, RSP, SS. */
void guest_trapped(const uint64_t *frame, uint64_t cr2);
void guest_trapped(const uint64_t *frame, uint64_t cr2)
{
	guest_say("TRAP %lu error %lx rip %lx cs %lx flags %lx rsp %lx cr2 %lx", frame[0], frame[1],
		  frame[2], frame[3], frame[4], frame[5], cr2);
}
