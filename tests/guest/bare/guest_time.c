/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_time.c - clocks and sleep of the bare-metal test guest.
 *
 * Uses kvmclock where CPUID offers it, else the TSC with a frequency from CPUID, tsc_khz= or the
 * LAPIC timer, which is taken to run at 1 GHz (as KVM, QEMU and hvcore have it): an error there
 * only makes sleep inexact.
 */
#include "guest.h"

#define MSR_KVMCLOCK	0x4b564d01u
#define LAPIC_KHZ	1000000ull
#define CALIBRATE_TICKS 5000000u
#define LVT_PERIODIC	0x20000u
#define LVT_DEADLINE	0x40000u
#define SLEEP_MIN_NS	200000u
#define CALM_NS		(100 * GUEST_NS_MS)

struct pvclock {
	uint32_t version, pad0;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad[2];
};

bool guest_has_kvmclock;
static struct {
	struct pvclock c;
	uint8_t pad[32];
} clocks[GUEST_MAX_CPUS] __attribute__((aligned(64)));
static uint64_t tsc_khz, tsc_mul; /* ns = TSC * tsc_mul >> 32 */
static uint64_t timer_ns = GUEST_NEVER;

static bool by_deadline(void)
{
	const char *p = guest_param("timer");

	return p && guest_starts(p, "deadline");
}

static void cpuid(uint32_t leaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(0));
}

static void wrmsr(uint32_t msr, uint64_t v)
{
	register uint32_t r8 __asm__("r8") = GUEST_CALL_WRMSR;

	__asm__ volatile("int3"
			 :
			 : "r"(r8), "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

static uint64_t calibrate_khz(void)
{
	uint64_t start, ticks;

	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_LVT, GUEST_VEC_TIMER);
	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_INIT, ~0u);
	start = guest_tsc();
	do {
		ticks = ~0u - guest_mmio_read(GUEST_LAPIC + LAPIC_TIMER_NOW);
	} while (ticks < CALIBRATE_TICKS);
	start = guest_tsc() - start;
	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_INIT, 0);
	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_LVT, guest_time_lvt());
	return start * LAPIC_KHZ / ticks;
}

static uint64_t find_khz(uint32_t hypervisor_leaf)
{
	uint64_t khz = guest_param_number("tsc_khz", 0);
	uint32_t r[4];

	if (!khz && hypervisor_leaf >= 0x40000010) {
		cpuid(0x40000010, r);
		khz = r[0];
	}
	return khz ? khz : calibrate_khz();
}

void guest_time_init(void)
{
	uint32_t r[4], top = 0;

	cpuid(1, r);
	if (r[2] & 1u << 31) {
		cpuid(0x40000000, r);
		top = r[0];
		if (r[1] == 0x4b4d564b) { /* "KVMK" */
			cpuid(0x40000001, r);
			guest_has_kvmclock = r[0] & 1u << 3;
		}
	}
	guest_time_cpu_init(0);
	tsc_khz = !guest_has_kvmclock || by_deadline() ? find_khz(top) : 0;
	if (!guest_has_kvmclock)
		tsc_mul = (1000000ull << 32) / tsc_khz;
}

void guest_time_cpu_init(unsigned cpu)
{
	if (guest_has_kvmclock)
		wrmsr(MSR_KVMCLOCK, (uint64_t)&clocks[cpu] | 1);
}

uint64_t guest_kvmclock_ns(unsigned cpu)
{
	volatile struct pvclock *c = &clocks[cpu].c;
	uint64_t delta, ns;
	uint32_t version;

	do {
		version = c->version;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		__asm__ volatile("lfence" : : : "memory");
		delta = guest_tsc() - c->tsc;
		delta = c->shift < 0 ? delta >> -c->shift : delta << c->shift;
		ns = c->ns + (uint64_t)((unsigned __int128)delta * c->mul >> 32);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || version != c->version);
	return ns;
}

uint64_t guest_now_ns(void)
{
	if (guest_has_kvmclock)
		return guest_kvmclock_ns(0);
	return (uint64_t)((unsigned __int128)guest_tsc() * tsc_mul >> 32);
}

uint32_t guest_time_lvt(void)
{
	return GUEST_VEC_TIMER | (by_deadline() ? LVT_DEADLINE : LVT_PERIODIC);
}

static void idle(const volatile uint32_t *unless, uint64_t ns)
{
	uint64_t deadline = guest_tsc() + ns * (tsc_khz / 1000) / 1000;
	uint32_t ticks = by_deadline() ? 0 : (uint32_t)(ns * LAPIC_KHZ / 1000000);
	uint32_t low = (uint32_t)deadline, high = (uint32_t)(deadline >> 32);
	/* Last, since a call would destroy them. */
	register uint32_t r8 __asm__("r8") = GUEST_CALL_IDLE;
	register uint64_t r9 __asm__("r9") = GUEST_LAPIC;

	__asm__ volatile("int3"
			 : "+a"(low), "+d"(high)
			 : "r"(r8), "r"(r9), "D"(unless), "S"(ticks)
			 : "rcx", "memory", "cc");
}

void guest_sleep(uint64_t ns)
{
	if (ns < SLEEP_MIN_NS)
		return; /* KVM makes shorter periods longer */
	timer_ns = ns > GUEST_NS_S ? GUEST_NS_S : ns;
	idle(&guest_irq_pending, timer_ns);
}

void guest_time_calm(void)
{
	if (timer_ns >= CALM_NS || by_deadline())
		return;
	timer_ns = CALM_NS;
	guest_mmio_write(GUEST_LAPIC + LAPIC_TIMER_INIT, (uint32_t)(CALM_NS * LAPIC_KHZ / 1000000));
}

void guest_sleep_cpu(uint64_t ns)
{
	static const uint32_t zero;

	idle(&zero, ns);
}

void guest_pace_start(struct guest_pace *p, uint64_t rate)
{
	p->rate = rate;
	p->done = 0;
	p->began_ns = guest_now_ns();
}

uint64_t guest_pace_due_ns(struct guest_pace *p, uint64_t now)
{
	uint64_t due;

	if (!p->rate)
		return now;
	due = p->began_ns + p->done / p->rate * GUEST_NS_S +
	      p->done % p->rate * GUEST_NS_S / p->rate;
	if (due + GUEST_PACE_LATE_NS < now) {
		p->began_ns = due = now;
		p->done = 0;
	}
	return due;
}
