/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The body of the soft engine's struct hv_engine: guest RAM, interrupt controllers, clock, CPUID
 * contract, vCPUs.
 *
 * Threads: set up before vCPUs run; then slots, cpuid and up are constant. What changes is atomic
 * or has its own lock.
 */
#ifndef SOFT_VM_H
#define SOFT_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "hvcore/cpu/hv_engine.h"
#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_irqchip.h"
#include "hvcore/machine/hv_machine.h"

#define SOFT_MAX_VCPUS HV_MAX_VCPUS
#define SOFT_MAX_SLOTS 8u
#define SOFT_PHYS_BITS 40u
/* A wall clock that says more than this passed since a save is not believed (bad date on one host). */
#define SOFT_ELAPSED_MAX_NS (366ull * 24 * 3600 * 1000000000u)
#define SOFT_TSC_KHZ   1000000u /* of a new VM: one tick a nanosecond */

/* Guest RAM. Pages of all slots are numbered through from first_page, for per-page tables. */
struct soft_slot {
	uint64_t gpa;
	uint64_t bytes;
	uint8_t *hva; /* borrowed from the machine */
	uint64_t first_page;
	bool readonly;
	_Atomic bool logging;
	_Atomic uint64_t *dirty; /* one bit a page; allocated by the first dirty_start */
};

/* The VM's clocks; see soft_clock.h. */
struct soft_clock {
	uint64_t tsc_khz;
	uint64_t host_base_ns;	/* host monotonic time at which guest_base_ns was true */
	uint64_t guest_base_ns; /* guest nanoseconds (kvmclock) */
	uint64_t idle_ns;	/* instruction-counted: time skipped in HLT */
	uint64_t set_elapsed_ns; /* what had passed since the save when a state was loaded */
	uint32_t insns_per_us;	/* 0: host time */
};

struct soft_vm {
	struct hv_engine_base base;
	struct hv_engine_config cfg;
	struct soft_slot slot[SOFT_MAX_SLOTS];
	uint64_t pages;		   /* of all slots */
	_Atomic uint8_t *has_code; /* per page: some vCPU holds decoded blocks of it */
	struct soft_irqchip irqchip;
	struct soft_clock clock;
	struct hv_cpuid cpuid;
	struct soft_cpu *cpu[SOFT_MAX_VCPUS];
	pthread_mutex_t bounce_lock; /* locked operations that cross pages */
};

/* Host address of [gpa, gpa+len) if it lies in one slot, else NULL. [any] */
static inline uint8_t *soft_ram(const struct soft_vm *vm, uint64_t gpa, uint64_t len,
				const struct soft_slot **slot)
{
	for (unsigned int i = 0; i < SOFT_MAX_SLOTS; i++) {
		const struct soft_slot *s = &vm->slot[i];
		uint64_t at = gpa - s->gpa;

		if (at < s->bytes && len <= s->bytes - at) {
			*slot = s;
			return s->hva + at;
		}
	}
	return NULL;
}

/* Number of the page of gpa, which lies in slot. */
static inline uint64_t soft_page_index(const struct soft_slot *slot, uint64_t gpa)
{
	return slot->first_page + ((gpa - slot->gpa) >> 12);
}

/* The page of gpa in slot was or will be written: note it in the dirty log. [any] */
static inline void soft_mark_dirty(const struct soft_slot *slot, uint64_t gpa)
{
	uint64_t page = (gpa - slot->gpa) >> 12;

	if (atomic_load_explicit(&slot->logging, memory_order_acquire))
		atomic_fetch_or(&slot->dirty[page / 64], 1ull << (page % 64));
}

#endif
