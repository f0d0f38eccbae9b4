/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bare machine of softkit.h. */
#include "config.h"

#include "tests/unit/softkit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/cm_err.h"

static void on_pio(void *arg, uint16_t port, void *data, unsigned len, bool write)
{
	struct guest *g = arg;

	if (!write || len != 4 || (port != 0xf4 && port != 0xf5))
		return;
	if (g->count < GUEST_REPORTS)
		memcpy(&g->reports[g->count++], data, 4);
	if (g->patch) {
		g->ram[CALLEE + 1] = 2;
		hv_engine_soft.host_wrote(g->e, CALLEE, 2);
		g->patch = false;
	}
	if (port == 0xf5)
		g->ended = true;
	if (port == 0xf5)
		for (unsigned i = 0; i < g->vcpus; i++)
			hv_engine_soft.vcpu_kick(g->e, i);
}

static void on_mmio(void *arg, uint64_t gpa, void *data, unsigned len, bool write)
{
	(void)arg;
	(void)gpa;
	if (!write)
		memset(data, 0xff, len);
}

void guest_put64(struct guest *g, uint64_t at, uint64_t v)
{
	memcpy(g->ram + at, &v, 8);
}

void guest_put(struct guest *g, uint64_t at, const uint8_t *from, const uint8_t *end)
{
	memcpy(g->ram + at, from, (size_t)(end - from));
}

void guest_gate(struct guest *g, unsigned vector, uint64_t to)
{
	guest_put64(g, IDT + vector * 16,
		    (to & 0xffff) | 0x10ull << 16 | 0x8eull << 40 | (to >> 16 & 0xffff) << 48);
	guest_put64(g, IDT + vector * 16 + 8, to >> 32);
}

static void fill_ram(struct guest *g)
{
	guest_put64(g, PML4, PDPT | 3);
	guest_put64(g, PDPT, PD | 3);
	guest_put64(g, PDPT + 8, PD_1G | 3);
	for (uint64_t i = 0; i < 4; i++)
		guest_put64(g, PD + i * 8, i << 21 | 0x83);
	guest_put64(g, PD + (0xfee00000ull >> 21 & 511) * 8, 0); /* in PDPT 3, below */
	guest_put64(g, PDPT + 3 * 8, 0x7000 | 3);
	guest_put64(g, 0x7000 + (0xfee00000ull >> 21 & 511) * 8, 0xfee00000ull | 0x83);
	guest_put64(g, PD_1G, 0x200000 | 0x83);
	guest_put64(g, GDT + 8, 0x00cf9a000000ffffull);
	guest_put64(g, GDT + 16, 0x00af9a000000ffffull);
	guest_put64(g, GDT + 24, 0x00cf92000000ffffull);
}

static struct hv_vcpu_state entry_state(struct guest *g)
{
	struct hv_vcpu_state s;
	struct cm_err err = CM_ERR_INIT;

	assert_int_equal(hv_engine_soft.vcpu_get(g->e, 0, &s, &err), 0);
	s.rip = CODE;
	s.gpr[HV_RSP] = STACK;
	s.rflags = 2;
	s.cr0 = 0x80010031;
	s.cr3 = PML4;
	s.cr4 = 0x220;
	s.efer = 0xd01;
	s.gdt = (struct hv_dtable){.base = GDT, .limit = 31};
	s.idt = (struct hv_dtable){.base = IDT, .limit = 0xfff};
	for (unsigned i = 0; i < HV_SEG_COUNT; i++)
		s.seg[i] = (struct hv_seg){.limit = 0xffffffff, .selector = 0x18, .attr = 0xc93};
	s.seg[HV_CS] = (struct hv_seg){.limit = 0xffffffff, .selector = 0x10, .attr = 0xa9b};
	s.mp_state = HV_MP_RUNNABLE;
	return s;
}

struct guest *guest_new(unsigned vcpus, const uint8_t *code, const uint8_t *end)
{
	struct guest *g = calloc(1, sizeof *g);
	struct cm_err err = CM_ERR_INIT;
	struct hv_engine_config cfg = {
		.vcpus = vcpus, .up = {.pio = on_pio, .mmio = on_mmio, .arg = g}, .kvm_fd = -1};
	struct hv_vcpu_state s;

	assert_non_null(g);
	g->vcpus = vcpus;
	g->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(g->ram, MAP_FAILED);
	assert_int_equal(hv_engine_soft.create(&g->e, &cfg, &err), 0);
	assert_int_equal(hv_engine_soft.map(g->e, 0, 0, RAM_BYTES, g->ram, 0, &err), 0);
	for (unsigned i = 0; i < vcpus; i++)
		assert_int_equal(hv_engine_soft.vcpu_create(g->e, i, &err), 0);
	fill_ram(g);
	guest_put(g, CODE, code, end);
	s = entry_state(g);
	assert_int_equal(hv_engine_soft.vcpu_set(g->e, 0, &s, &err), 0);
	return g;
}

void guest_free(struct guest *g)
{
	hv_engine_soft.destroy(g->e);
	munmap(g->ram, RAM_BYTES);
	free(g);
}

enum hv_run guest_go(struct guest *g, unsigned cpu)
{
	enum hv_run how;

	do
		how = hv_engine_soft.vcpu_run(g->e, cpu);
	while (how == HV_RUN_KICKED && !g->ended); /* a busy host took the CPU away for long */
	return how;
}

uint32_t guest_run(struct guest *g)
{
	g->ended = false;
	assert_int_equal(guest_go(g, 0), HV_RUN_KICKED);
	assert_true(g->count > 0);
	return g->reports[g->count - 1];
}
