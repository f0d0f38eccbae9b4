/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of the soft engine's interrupt controllers: priorities, EOI, timer modes, IPIs, IO-APIC level and edge,
 * state in and out. The layout of the register page is KVM's: the offsets used here are those of the SDM.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/engine_soft/soft_irqchip.h"

#define CPUS 4u

struct bench {
	struct soft_irqchip chip;
	unsigned int kicks[CPUS];
	struct soft_time now;
};

static void on_kick(void *opaque, unsigned int cpu)
{
	struct bench *b = opaque;

	b->kicks[cpu]++;
}

static uint32_t rd(struct bench *b, unsigned int cpu, uint32_t offset)
{
	uint32_t value = 0;

	soft_irqchip_apic_mmio(&b->chip, cpu, offset, &value, 4, false, b->now);
	return value;
}

static void wr(struct bench *b, unsigned int cpu, uint32_t offset, uint32_t value)
{
	soft_irqchip_apic_mmio(&b->chip, cpu, offset, &value, 4, true, b->now);
}

static void ioapic_wr(struct bench *b, uint32_t reg, uint32_t value)
{
	soft_irqchip_ioapic_mmio(&b->chip, 0x00, &reg, 4, true);
	soft_irqchip_ioapic_mmio(&b->chip, 0x10, &value, 4, true);
}

static uint32_t ioapic_rd(struct bench *b, uint32_t reg)
{
	uint32_t value;

	soft_irqchip_ioapic_mmio(&b->chip, 0x00, &reg, 4, true);
	soft_irqchip_ioapic_mmio(&b->chip, 0x10, &value, 4, false);
	return value;
}

static uint32_t events(struct bench *b, unsigned int cpu)
{
	return soft_irqchip_events(&b->chip, cpu);
}

static int setup(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof bench);
	bench.now = (struct soft_time){ .ns = 1000, .tsc = 5000 };
	assert_int_equal(soft_irqchip_init(&bench.chip, CPUS, on_kick, &bench), 0);
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		wr(&bench, cpu, SOFT_APIC_SVR, 0x1ff);
		wr(&bench, cpu, SOFT_APIC_LDR, 1u << (24 + cpu));
	}
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	soft_irqchip_fini(&b->chip);
	return 0;
}

static void self_ipi(struct bench *b, unsigned int cpu, uint8_t vector)
{
	wr(b, cpu, SOFT_APIC_ICR_LOW, 1u << 18 | vector);
}

static void test_reset_values(void **state)
{
	struct bench *b = *state;

	soft_irqchip_reset_apic(&b->chip, 3);
	assert_int_equal(rd(b, 3, SOFT_APIC_ID), 3u << 24);
	assert_int_equal(rd(b, 3, SOFT_APIC_VERSION), 0x50014);
	assert_int_equal(rd(b, 3, SOFT_APIC_SVR), 0xff);
	assert_int_equal(rd(b, 3, SOFT_APIC_DFR), 0xffffffff);
	assert_int_equal(rd(b, 3, SOFT_APIC_LVT_LINT0), 0x10000);
	assert_int_equal(soft_irqchip_base_msr(&b->chip, 0), 0xfee00900);
	assert_int_equal(soft_irqchip_base_msr(&b->chip, 1), 0xfee00800);
}

static void test_priority_and_eoi(void **state)
{
	struct bench *b = *state;

	self_ipi(b, 0, 0x41);
	assert_int_equal(events(b, 0), SOFT_EVENT_INTR);
	assert_int_equal(b->kicks[0], 1);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0x41);
	assert_int_equal(events(b, 0), 0);
	assert_int_equal(rd(b, 0, SOFT_APIC_PPR), 0x40);

	self_ipi(b, 0, 0x42); /* the same class waits */
	assert_int_equal(events(b, 0), 0);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), -1);
	self_ipi(b, 0, 0x51); /* a higher one nests */
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0x51);
	wr(b, 0, SOFT_APIC_EOI, 0);
	assert_int_equal(events(b, 0), 0);
	wr(b, 0, SOFT_APIC_EOI, 0);
	assert_int_equal(events(b, 0), SOFT_EVENT_INTR);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0x42);
	wr(b, 0, SOFT_APIC_EOI, 0);
	wr(b, 0, SOFT_APIC_EOI, 0); /* one too many harms nothing */
	assert_int_equal(rd(b, 0, SOFT_APIC_PPR), 0);
}

static void test_task_priority(void **state)
{
	struct bench *b = *state;

	soft_irqchip_set_cr8(&b->chip, 1, 6);
	assert_int_equal(rd(b, 1, SOFT_APIC_TPR), 0x60);
	self_ipi(b, 1, 0x61);
	assert_int_equal(events(b, 1), 0);
	wr(b, 1, SOFT_APIC_TPR, 0x5f);
	assert_int_equal(events(b, 1), SOFT_EVENT_INTR);
	assert_int_equal(soft_irqchip_cr8(&b->chip, 1), 5);
}

static void test_software_disabled(void **state)
{
	struct bench *b = *state;
	uint8_t vector;

	wr(b, 0, SOFT_APIC_LVT_TIMER, 0x30);
	wr(b, 0, SOFT_APIC_SVR, 0xff);
	assert_int_equal(rd(b, 0, SOFT_APIC_LVT_TIMER), 0x10030);
	self_ipi(b, 0, 0x41);
	assert_int_equal(events(b, 0), 0);
	wr(b, 1, SOFT_APIC_ICR_HIGH, 0);
	wr(b, 1, SOFT_APIC_ICR_LOW, 4u << 8); /* NMI gets through */
	assert_int_equal(events(b, 0), SOFT_EVENT_NMI);
	assert_true(soft_irqchip_take(&b->chip, 0, SOFT_EVENT_NMI, &vector));
	assert_false(soft_irqchip_take(&b->chip, 0, SOFT_EVENT_NMI, &vector));
}

static void test_illegal_vectors(void **state)
{
	struct bench *b = *state;

	wr(b, 0, SOFT_APIC_LVT_ERROR, 0xfe);
	self_ipi(b, 0, 0x0f);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0xfe);
	assert_int_equal(rd(b, 0, SOFT_APIC_ESR), 0);
	wr(b, 0, SOFT_APIC_ESR, 0);
	assert_int_equal(rd(b, 0, SOFT_APIC_ESR), 0x20);
	soft_irqchip_msi(&b->chip, 0xfee00000, 0x0e);
	wr(b, 0, SOFT_APIC_ESR, 0);
	assert_int_equal(rd(b, 0, SOFT_APIC_ESR), 0x40);
	rd(b, 0, 0x3f0);
	wr(b, 0, SOFT_APIC_ESR, 0);
	assert_int_equal(rd(b, 0, SOFT_APIC_ESR), 0x80);
}

static void test_ipi_destinations(void **state)
{
	struct bench *b = *state;
	static const struct {
		uint32_t high, low;
		unsigned int cpus; /* bit mask of those who get it */
	} cases[] = {
		{ 0x02000000, 0x00041, 0x4 },	/* physical */
		{ 0xff000000, 0x00041, 0xf },	/* physical, everybody */
		{ 0x09000000, 0x00041, 0x0 },	/* nobody has this id */
		{ 0x06000000, 0x00841, 0x6 },	/* logical, flat */
		{ 0x00000000, 0x40041, 0x1 },	/* self */
		{ 0x00000000, 0x80041, 0xf },	/* all */
		{ 0x00000000, 0xc0041, 0xe },	/* all but self */
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		wr(b, 0, SOFT_APIC_ICR_HIGH, cases[i].high);
		wr(b, 0, SOFT_APIC_ICR_LOW, cases[i].low);
		for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
			int want = cases[i].cpus >> cpu & 1 ? 0x41 : -1;

			assert_int_equal(soft_irqchip_acknowledge(&b->chip, cpu), want);
			wr(b, cpu, SOFT_APIC_EOI, 0);
		}
	}
}

static void test_cluster_model(void **state)
{
	struct bench *b = *state;

	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		wr(b, cpu, SOFT_APIC_DFR, 0);
		wr(b, cpu, SOFT_APIC_LDR, (cpu / 2) << 28 | 1u << (24 + cpu % 2));
	}
	wr(b, 0, SOFT_APIC_ICR_HIGH, 0x12000000); /* cluster 1, member 1 */
	wr(b, 0, SOFT_APIC_ICR_LOW, 0x841);
	assert_int_equal(events(b, 3), SOFT_EVENT_INTR);
	assert_int_equal(events(b, 0) | events(b, 1) | events(b, 2), 0);
	wr(b, 0, SOFT_APIC_ICR_HIGH, 0xf1000000); /* member 0 of all clusters */
	wr(b, 0, SOFT_APIC_ICR_LOW, 0x851);
	assert_int_equal(events(b, 0) & events(b, 2), SOFT_EVENT_INTR);
	assert_int_equal(events(b, 1), 0);
}

static void test_init_sipi(void **state)
{
	struct bench *b = *state;
	uint8_t vector = 0;

	wr(b, 0, SOFT_APIC_ICR_HIGH, 1u << 24);
	wr(b, 0, SOFT_APIC_ICR_LOW, 0xc500);	/* INIT assert */
	wr(b, 0, SOFT_APIC_ICR_LOW, 0x8500);	/* INIT de-assert does nothing */
	wr(b, 0, SOFT_APIC_ICR_LOW, 0x0600 | 0x9a);
	assert_int_equal(events(b, 1), SOFT_EVENT_INIT | SOFT_EVENT_STARTUP);
	assert_true(soft_irqchip_take(&b->chip, 1, SOFT_EVENT_INIT, NULL));
	soft_irqchip_reset_apic(&b->chip, 1);
	assert_true(soft_irqchip_take(&b->chip, 1, SOFT_EVENT_STARTUP, &vector));
	assert_int_equal(vector, 0x9a);
	assert_int_equal(b->kicks[1], 2);
}

static void test_lowest_priority(void **state)
{
	struct bench *b = *state;
	unsigned int hits[CPUS] = { 0 };

	soft_irqchip_set_cr8(&b->chip, 0, 3);
	for (int i = 0; i < 6; i++) {
		soft_irqchip_msi(&b->chip, 0xfee0f004, 0x155); /* logical 0f, lowest priority */
		for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
			if (soft_irqchip_acknowledge(&b->chip, cpu) == 0x55) {
				hits[cpu]++;
				wr(b, cpu, SOFT_APIC_EOI, 0);
			}
		}
	}
	assert_int_equal(hits[0], 0);
	for (unsigned int cpu = 1; cpu < CPUS; cpu++)
		assert_int_equal(hits[cpu], 2);
}

static bool tick(struct bench *b, uint64_t ns)
{
	bool due;

	b->now.ns += ns;
	b->now.tsc += 2 * ns;
	due = soft_irqchip_timer_due(&b->chip, 0, b->now);
	if (due)
		soft_irqchip_timer_poll(&b->chip, 0, b->now);
	return due;
}

static void test_timer_one_shot(void **state)
{
	struct bench *b = *state;

	wr(b, 0, SOFT_APIC_TIMER_DIVIDE, 3); /* by 16 */
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0xec);
	wr(b, 0, SOFT_APIC_TIMER_INITIAL, 100);
	assert_int_equal(rd(b, 0, SOFT_APIC_TIMER_CURRENT), 100);
	assert_int_equal(soft_irqchip_expires(&b->chip, 0).ns, b->now.ns + 1600);
	assert_false(tick(b, 1584));
	assert_int_equal(rd(b, 0, SOFT_APIC_TIMER_CURRENT), 1);
	assert_true(tick(b, 16));
	assert_int_equal(rd(b, 0, SOFT_APIC_TIMER_CURRENT), 0);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0xec);
	assert_false(tick(b, 100000));
	wr(b, 0, SOFT_APIC_TIMER_INITIAL, 5);
	wr(b, 0, SOFT_APIC_TIMER_INITIAL, 0); /* stops it */
	assert_false(tick(b, 100000));
}

static void test_timer_periodic(void **state)
{
	struct bench *b = *state;

	wr(b, 0, SOFT_APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0x200ec);
	wr(b, 0, SOFT_APIC_TIMER_INITIAL, 1000);
	for (int i = 0; i < 3; i++) {
		assert_true(tick(b, 1000));
		assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0xec);
		wr(b, 0, SOFT_APIC_EOI, 0);
	}
	assert_true(tick(b, 3400)); /* missed ticks merge */
	assert_int_equal(rd(b, 0, SOFT_APIC_TIMER_CURRENT), 600);
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0x300ec & ~0x20000u);
	soft_irqchip_acknowledge(&b->chip, 0);
	wr(b, 0, SOFT_APIC_EOI, 0);
	assert_true(tick(b, 600)); /* masked: fires without an interrupt */
	assert_int_equal(events(b, 0), 0);
}

static void test_timer_tsc_deadline(void **state)
{
	struct bench *b = *state;

	soft_irqchip_set_tsc_deadline(&b->chip, 0, 9000);
	assert_int_equal(soft_irqchip_tsc_deadline(&b->chip, 0), 0); /* not in that mode yet */
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0x400ec);
	soft_irqchip_set_tsc_deadline(&b->chip, 0, b->now.tsc + 100);
	assert_int_equal(soft_irqchip_expires(&b->chip, 0).tsc, b->now.tsc + 100);
	assert_false(tick(b, 49));
	assert_true(tick(b, 1));
	assert_int_equal(soft_irqchip_tsc_deadline(&b->chip, 0), 0);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0xec);
	soft_irqchip_set_tsc_deadline(&b->chip, 0, 1);
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0xec); /* a change of mode disarms */
	assert_false(tick(b, 1000));
}

static void test_ioapic_edge(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ioapic_rd(b, 1), 0x170011);
	assert_int_equal(ioapic_rd(b, 0x10 + 2 * 4), 0x10000);
	soft_irqchip_set_line(&b->chip, 4, true); /* masked: lost */
	soft_irqchip_set_line(&b->chip, 4, false);
	ioapic_wr(b, 0x11 + 2 * 4, 2u << 24);
	ioapic_wr(b, 0x10 + 2 * 4, 0x34);
	assert_int_equal(events(b, 2), 0);
	soft_irqchip_set_line(&b->chip, 4, true);
	soft_irqchip_set_line(&b->chip, 4, true); /* no second edge */
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 2), 0x34);
	wr(b, 2, SOFT_APIC_EOI, 0);
	assert_int_equal(events(b, 2), 0);
	soft_irqchip_set_line(&b->chip, 4, false);
	soft_irqchip_set_line(&b->chip, 4, true);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 2), 0x34);
	soft_irqchip_set_line(&b->chip, 24, true); /* no such pin */
}

static void test_ioapic_level(void **state)
{
	struct bench *b = *state;

	ioapic_wr(b, 0x11 + 2 * 10, 0);
	ioapic_wr(b, 0x10 + 2 * 10, 0x8055);
	soft_irqchip_set_line(&b->chip, 10, true);
	assert_int_equal(ioapic_rd(b, 0x10 + 2 * 10), 0xc055); /* remote IRR */
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0x55);
	wr(b, 0, SOFT_APIC_EOI, 0); /* still asserted: comes again */
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0x55);
	soft_irqchip_set_line(&b->chip, 10, false);
	wr(b, 0, SOFT_APIC_EOI, 0);
	assert_int_equal(ioapic_rd(b, 0x10 + 2 * 10), 0x8055);
	assert_int_equal(events(b, 0), 0);
	/* Asserted while masked: delivered by the unmask. */
	ioapic_wr(b, 0x10 + 2 * 10, 0x18055);
	soft_irqchip_set_line(&b->chip, 10, true);
	assert_int_equal(events(b, 0), 0);
	ioapic_wr(b, 0x10 + 2 * 10, 0x8055);
	assert_int_equal(soft_irqchip_acknowledge(&b->chip, 0), 0x55);
	/* A switch to edge clears a stuck remote IRR. */
	ioapic_wr(b, 0x10 + 2 * 10, 0x10055);
	assert_int_equal(ioapic_rd(b, 0x10 + 2 * 10), 0x10055);
}

static void test_state_moves(void **state)
{
	struct bench *b = *state;
	struct bench other = { .now = { .ns = 777000, .tsc = 42 } };
	struct hv_ioapic_state ioapic;
	uint8_t page[HV_LAPIC_BYTES], again[HV_LAPIC_BYTES];

	wr(b, 0, SOFT_APIC_TIMER_DIVIDE, 0xb);
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0x200ec);
	wr(b, 0, SOFT_APIC_TIMER_INITIAL, 1000);
	tick(b, 300);
	self_ipi(b, 0, 0x81);
	soft_irqchip_acknowledge(&b->chip, 0);
	self_ipi(b, 0, 0x91);
	ioapic_wr(b, 0x10 + 2 * 10, 0x80a1);
	soft_irqchip_set_line(&b->chip, 10, true);
	soft_irqchip_get_apic(&b->chip, 0, page, b->now);
	soft_irqchip_get_ioapic(&b->chip, &ioapic);

	assert_int_equal(soft_irqchip_init(&other.chip, CPUS, on_kick, &other), 0);
	soft_irqchip_set_apic(&other.chip, 0, page, other.now);
	soft_irqchip_set_ioapic(&other.chip, &ioapic);
	soft_irqchip_get_apic(&other.chip, 0, again, other.now);
	assert_memory_equal(page, again, sizeof page);
	assert_int_equal(events(&other, 0), SOFT_EVENT_INTR);
	assert_int_equal(soft_irqchip_acknowledge(&other.chip, 0), 0xa1);
	assert_int_equal(soft_irqchip_acknowledge(&other.chip, 0), -1);
	wr(&other, 0, SOFT_APIC_EOI, 0);
	assert_int_equal(soft_irqchip_acknowledge(&other.chip, 0), 0xa1); /* the line is still up */
	assert_false(tick(&other, 699));
	assert_true(tick(&other, 1));
	soft_irqchip_fini(&other.chip);
}

/* Saved between the timer's end and the moment the vCPU looked: the interrupt comes on the other side. */
static void test_save_of_a_due_timer(void **state)
{
	struct bench *b = *state;
	struct bench other = { .now = { .ns = 777000, .tsc = 42 } };
	uint8_t page[HV_LAPIC_BYTES];

	wr(b, 0, SOFT_APIC_TIMER_DIVIDE, 0xb);
	wr(b, 0, SOFT_APIC_LVT_TIMER, 0xec);
	wr(b, 0, SOFT_APIC_TIMER_INITIAL, 1000);
	b->now.ns += 1500;
	soft_irqchip_get_apic(&b->chip, 0, page, b->now);
	assert_int_equal(soft_irqchip_init(&other.chip, CPUS, on_kick, &other), 0);
	soft_irqchip_set_apic(&other.chip, 0, page, other.now);
	(void)tick(&other, 1); /* made at the save already, or now */
	assert_int_equal(events(&other, 0), SOFT_EVENT_INTR);
	assert_int_equal(soft_irqchip_acknowledge(&other.chip, 0), 0xec);
	soft_irqchip_fini(&other.chip);
}

static void test_base_msr(void **state)
{
	struct bench *b = *state;

	assert_int_not_equal(soft_irqchip_set_base_msr(&b->chip, 0, 0xfee00d00), 0); /* x2APIC */
	assert_int_not_equal(soft_irqchip_set_base_msr(&b->chip, 0, 0xfed00900), 0); /* elsewhere */
	assert_int_equal(soft_irqchip_set_base_msr(&b->chip, 0, 0xfee00100), 0);
	assert_int_equal(rd(b, 0, SOFT_APIC_VERSION), 0xffffffff);
	soft_irqchip_msi(&b->chip, 0xfee00000, 0x41);
	assert_int_equal(events(b, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_priority_and_eoi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_task_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_software_disabled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_illegal_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipi_destinations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cluster_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_sipi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lowest_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_one_shot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_tsc_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ioapic_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ioapic_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_of_a_due_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base_msr, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
