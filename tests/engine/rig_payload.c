/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine tests run: a tiny kernel with interrupts, page faults, system calls and user mode around the work of
 * rig_work.c, whose result is one number that does not depend on time. Freestanding; runs the same on every engine.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rig_abi.h"
#include "rig_work.h"

#define LAPIC ((volatile uint32_t *)0xfee00000u)
#define LAPIC_SVR (0xf0 / 4)
#define LAPIC_EOI (0xb0 / 4)
#define LAPIC_LVT_TIMER (0x320 / 4)
#define LAPIC_TIMER_INITIAL (0x380 / 4)
#define LAPIC_TIMER_DIVIDE (0x3e0 / 4)
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u

extern char rig_gates[], rig_syscall[];
uint64_t rig_user(uint64_t amount);
uint64_t rig_call_syscall(uint64_t number, uint64_t argument);
void rig_main(uint64_t work, uint64_t amount);
void rig_trap(uint64_t vector, uint64_t error, uint64_t rip);
uint64_t rig_user_work(uint64_t amount);
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

static volatile uint64_t ticks, faults;

static void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

void *memset(void *p, int c, size_t n)
{
	void *d = p;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

/* --- the kernel ---------------------------------------------------------------------------- */

/* The window's page table: one page that comes and goes. */
static uint64_t *window_pte(void)
{
	static uint64_t table[512] __attribute__((aligned(4096)));
	uint64_t *directory = (uint64_t *)(RIG_PML4 + 0x3000);

	directory[0] = (uint64_t)(uintptr_t)table | 7;
	return table;
}

void rig_trap(uint64_t vector, uint64_t error, uint64_t rip)
{
	uint64_t cr2;

	if (vector == RIG_TIMER_VECTOR) {
		ticks++;
		LAPIC[LAPIC_EOI] = 0;
		return;
	}
	if (vector == 14) {
		__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
		if ((cr2 & ~0xfffull) == RIG_WINDOW) {
			faults++;
			*window_pte() = RIG_HEAP | 7;
			return;
		}
	}
	out32(RIG_PORT_PANIC, (uint32_t)vector);
	out32(RIG_PORT_PANIC, (uint32_t)error);
	out32(RIG_PORT_PANIC, (uint32_t)rip);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void make_idt(void)
{
	struct gate {
		uint16_t low, selector;
		uint8_t ist, type;
		uint16_t middle;
		uint32_t high, zero;
	} *idt = (struct gate *)RIG_IDT;
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} pointer = { 256 * sizeof(struct gate) - 1, RIG_IDT };

	for (unsigned int i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)(uintptr_t)rig_gates + i * 16;

		idt[i] = (struct gate){ (uint16_t)at, RIG_CS, i == 8 || i == 2 ? 1 : 0, 0x8e, (uint16_t)(at >> 16),
					(uint32_t)(at >> 32), 0 };
	}
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void start_timer(void)
{
	LAPIC[LAPIC_SVR] = 0x1ff;
	LAPIC[LAPIC_TIMER_DIVIDE] = 0xb;
	LAPIC[LAPIC_LVT_TIMER] = 1u << 17 | RIG_TIMER_VECTOR;
	LAPIC[LAPIC_TIMER_INITIAL] = RIG_TIMER_COUNT;
}

/* --- work that needs the kernel --------------------------------------------------------------- */

/* Unmap the window, touch it, be faulted in. */
static uint64_t fault_in(uint64_t amount)
{
	volatile uint64_t *window = (volatile uint64_t *)RIG_WINDOW;
	uint64_t h = 0;

	for (uint64_t n = 0; n < amount; n++) {
		*window_pte() = 0;
		__asm__ volatile("invlpg (%0)" : : "r"(window) : "memory");
		window[n % 512] = n;
		h = rig_mix(h, window[(n * 7) % 512] + faults);
	}
	return h;
}

uint64_t rig_user_work(uint64_t amount)
{
	uint64_t h = 0;

	for (uint64_t n = 0; n < amount; n++)
		h = rig_user_step(h, rig_call_syscall(1, n));
	return h;
}

static uint64_t run(uint64_t work, uint64_t amount)
{
	switch (work) {
	case RIG_FAULTS:
		return fault_in(amount);
	case RIG_USER:
		return rig_user(amount);
	default:
		return rig_work((unsigned int)work, amount, (void *)RIG_HEAP);
	}
}

void rig_main(uint64_t work, uint64_t amount)
{
	uint64_t result;

	make_idt();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_STAR, (uint64_t)RIG_CS << 32 | (uint64_t)(RIG_DS | 3) << 48);
	wrmsr(MSR_LSTAR, (uint64_t)(uintptr_t)rig_syscall);
	wrmsr(MSR_SFMASK, 0x200);
	if (!(work & RIG_NO_TIMER)) {
		start_timer();
		__asm__ volatile("sti");
	}
	result = run(work & ~(uint64_t)RIG_NO_TIMER, amount);
	__asm__ volatile("cli");
	out32(RIG_PORT_RESULT, (uint32_t)result);
	out32(RIG_PORT_RESULT, (uint32_t)(result >> 32));
	out32(RIG_PORT_TICKS, (uint32_t)ticks);
	out32(RIG_PORT_DONE, 1);
}
