/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest clocks and the kvmclock pages. The addresses of those pages are the guest's: written only
 * where they are RAM.
 */
#include "config.h"

#include <string.h>
#include <time.h>

#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_vm.h"

#define PVCLOCK_TSC_STABLE 1u

/* As the guest reads it. "part of format" of the KVM paravirtual clock ABI. */
struct pvclock {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags;
	uint8_t pad[2];
};

struct pvwall {
	uint32_t version;
	uint32_t sec;
	uint32_t nsec;
};

static uint64_t host_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void soft_clock_init(struct soft_vm *vm)
{
	vm->clock = (struct soft_clock){
		.tsc_khz = SOFT_TSC_KHZ,
		.insns_per_us = vm->cfg.insns_per_us,
		.host_base_ns = host_ns(CLOCK_MONOTONIC),
	};
}

/* Instructions completed, also in the middle of a block when a slow path says which op it is at. */
static uint64_t instructions(const struct soft_cpu *cpu)
{
	return cpu ? cpu->icount + (cpu->op ? cpu->op->n : 0) : 0;
}

static uint64_t guest_ns(const struct soft_vm *vm)
{
	const struct soft_clock *c = &vm->clock;

	if (!c->insns_per_us)
		return host_ns(CLOCK_MONOTONIC) - c->host_base_ns + c->guest_base_ns;
	return c->guest_base_ns + c->idle_ns +
	       instructions(vm->cpu[0]) * 1000 / c->insns_per_us;
}

static uint64_t scale(uint64_t v, uint64_t mul, uint64_t div)
{
	return (uint64_t)((unsigned __int128)v * mul / div);
}

struct soft_time soft_clock_now(const struct soft_cpu *cpu)
{
	const struct soft_clock *c = &cpu->vm->clock;
	struct soft_time t = {.ns = guest_ns(cpu->vm)};

	t.tsc = (c->tsc_khz == 1000000 ? t.ns : scale(t.ns, c->tsc_khz, 1000000)) + cpu->tsc_offset;
	return t;
}

uint64_t soft_clock_ns(const struct soft_vm *vm)
{
	return guest_ns(vm);
}

uint64_t soft_clock_elapsed_tsc(const struct soft_vm *vm)
{
	return scale(vm->clock.set_elapsed_ns, vm->clock.tsc_khz, 1000000);
}

uint64_t soft_clock_until(const struct soft_cpu *cpu, struct soft_time now, struct soft_time until)
{
	uint64_t ns = SOFT_APIC_NEVER, tsc;

	if (until.ns != SOFT_APIC_NEVER)
		ns = until.ns > now.ns ? until.ns - now.ns : 0;
	if (until.tsc != SOFT_APIC_NEVER) {
		tsc = until.tsc > now.tsc ? until.tsc - now.tsc : 0;
		tsc = tsc > UINT64_MAX / 2 ? SOFT_APIC_NEVER - 1
					   : scale(tsc, 1000000, cpu->vm->clock.tsc_khz) + 1;
		ns = tsc < ns ? tsc : ns;
	}
	return ns;
}

uint64_t soft_clock_slice(const struct soft_cpu *cpu, struct soft_time now, struct soft_time until,
			  uint64_t most)
{
	uint64_t ns, n;

	if (!cpu->vm->clock.insns_per_us)
		return most;
	ns = soft_clock_until(cpu, now, until);
	if (ns / 1000 > most)
		return most;
	n = (ns * cpu->vm->clock.insns_per_us + 999) / 1000;
	return n < 1 ? 1 : n < most ? n : most;
}

void soft_clock_skip(struct soft_cpu *cpu, uint64_t ns)
{
	cpu->vm->clock.idle_ns += ns;
}

/* ns = (ticks << shift) * mul >> 32, with mul as large as it can be. */
static void pvclock_scale(uint64_t khz, struct pvclock *p)
{
	uint64_t mul = scale(1ull << 32, 1000000, khz);
	int shift = 0;

	while (mul > UINT32_MAX) {
		mul >>= 1;
		shift++;
	}
	while (mul < 1ull << 31) {
		mul = scale(1ull << 32, 1000000ull << -(shift - 1), khz);
		shift--;
	}
	p->mul = (uint32_t)mul;
	p->shift = (int8_t)shift;
}

static void *guest_page(struct soft_cpu *cpu, uint64_t gpa, size_t len)
{
	const struct soft_slot *slot;
	void *p = soft_ram(cpu->vm, gpa, len, &slot);

	if (!p || slot->readonly || (gpa & 3))
		return NULL;
	soft_mark_dirty(slot, gpa);
	soft_code_written(cpu->vm, cpu, gpa, len);
	return p;
}

void soft_clock_write_system_time(struct soft_cpu *cpu, uint64_t gpa)
{
	struct soft_time now = soft_clock_now(cpu);
	struct pvclock p = {
		.tsc_timestamp = now.tsc, .system_time = now.ns, .flags = PVCLOCK_TSC_STABLE};
	uint32_t *version = guest_page(cpu, gpa, sizeof p);

	if (!version)
		return;
	pvclock_scale(cpu->vm->clock.tsc_khz, &p);
	/* odd while the rest changes */
	p.version = (__atomic_load_n(version, __ATOMIC_RELAXED) | 1) + 1;
	__atomic_store_n(version, p.version - 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(version + 1, (const uint32_t *)&p + 1, sizeof p - 4);
	__atomic_store_n(version, p.version, __ATOMIC_RELEASE);
}

void soft_clock_write_wall_clock(struct soft_cpu *cpu, uint64_t gpa)
{
	uint64_t boot = host_ns(CLOCK_REALTIME) - guest_ns(cpu->vm);
	struct pvwall w = {.version = 2,
			   .sec = (uint32_t)(boot / 1000000000u),
			   .nsec = (uint32_t)(boot % 1000000000u)};
	void *p = guest_page(cpu, gpa, sizeof w);

	if (p)
		memcpy(p, &w, sizeof w);
}
