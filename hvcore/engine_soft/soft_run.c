/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop: deliver what is pending, look around (kicks, timers, interrupts, HLT), run blocks
 * until something wants the CPU back. Faults arrive here by longjmp.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_exc.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_fp.h"
#include "hvcore/engine_soft/soft_fxsave.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_run.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_vm.h"
#include "hvcore/engine_soft/soft_watch.h"

/* Instructions between two looks at the clock: some 100 microseconds. */
#define SLICE 20000u

/* --- stop and go ------------------------------------------------------------------------------ */

void soft_cpu_stop(struct soft_cpu *cpu, uint32_t why)
{
	atomic_fetch_or(&cpu->stop, why);
	atomic_store(&cpu->limit, 0);
	if (atomic_load(&cpu->asleep)) {
		pthread_mutex_lock(&cpu->sleep_lock);
		pthread_cond_signal(&cpu->wake);
		pthread_mutex_unlock(&cpu->sleep_lock);
	}
}

/* Requests that concern what the TLBs and the block cache hold. */
static void housekeeping(struct soft_cpu *cpu, uint32_t why)
{
	if (why & SOFT_STOP_FLUSH)
		soft_tlb_flush_writes(cpu);
	if (why & SOFT_STOP_CODE)
		soft_block_do_posted(cpu);
}

void soft_run_pause(struct soft_cpu *cpu)
{
	soft_fp_sync(cpu);
	atomic_store(&cpu->busy, false);
}

/* Only the flush here: blocks may be dropped only when none is running. */
void soft_run_resume(struct soft_cpu *cpu)
{
	atomic_store(&cpu->busy, true);
	if (atomic_load(&cpu->stop) & SOFT_STOP_FLUSH)
		soft_tlb_flush_writes(cpu);
}

void soft_run_flush_writes(struct soft_cpu *cpu)
{
	const struct timespec moment = {.tv_nsec = 20000};

	soft_cpu_stop(cpu, SOFT_STOP_FLUSH);
	while (atomic_load(&cpu->busy) && atomic_load(&cpu->stop) & SOFT_STOP_FLUSH)
		nanosleep(&moment, NULL);
}

static uint64_t nanoseconds(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

void soft_run_await_writes(struct soft_cpu *self)
{
	bool paused = false;

	for (unsigned int i = 0; i < self->vm->cfg.vcpus; i++) {
		struct soft_cpu *other = self->vm->cpu[i];

		if (!other || other == self)
			continue;
		while (atomic_load(&other->busy) && atomic_load(&other->stop) & SOFT_STOP_FLUSH) {
			if (!paused)
				soft_run_pause(self);
			paused = true;
			sched_yield();
		}
	}
	if (paused)
		soft_run_resume(self);
}

/* Until someone calls soft_cpu_stop, or ns have passed. */
static void sleep_for(struct soft_cpu *cpu, uint64_t ns)
{
	struct timespec until;
	uint64_t since;

	soft_run_pause(cpu);
	pthread_mutex_lock(&cpu->sleep_lock);
	atomic_store(&cpu->asleep, true);
	clock_gettime(CLOCK_MONOTONIC, &until);
	since = nanoseconds(&until);
	atomic_store(&cpu->asleep_since, since);
	if (ns > 3600ull * 1000000000u)
		ns = 3600ull * 1000000000u;
	ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(ns / 1000000000u);
	until.tv_nsec = (long)(ns % 1000000000u);
	while (!atomic_load(&cpu->stop) &&
	       pthread_cond_timedwait(&cpu->wake, &cpu->sleep_lock, &until) != ETIMEDOUT)
		;
	atomic_store(&cpu->asleep, false);
	pthread_mutex_unlock(&cpu->sleep_lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	atomic_store(&cpu->asleep_since, 0);
	cpu->count.halted_ns += nanoseconds(&until) - since;
	soft_run_resume(cpu);
}

/* --- INIT and start-up ------------------------------------------------------------------------ */

void soft_cpu_reset(struct soft_cpu *cpu, bool power_on)
{
	struct hv_seg data = {.limit = 0xffff, .attr = 3 | HV_SEG_S | HV_SEG_P};
	struct hv_seg code = {.base = 0xffff0000,
			      .limit = 0xffff,
			      .selector = 0xf000,
			      .attr = 0xb | HV_SEG_S | HV_SEG_P};

	memset(cpu->gpr, 0, sizeof cpu->gpr);
	cpu->gpr[SOFT_RDX] = 0x6fb;
	cpu->cr0 = power_on ? 0x60000010 : (cpu->cr0 & 0x60000000) | SOFT_CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++)
		soft_set_sreg(cpu, i, i == HV_CS ? &code : &data);
	cpu->ldt = (struct hv_seg){.limit = 0xffff, .attr = 2 | HV_SEG_P};
	cpu->tr = (struct hv_seg){.limit = 0xffff, .attr = 0xb | HV_SEG_P};
	cpu->gdt = cpu->idt = (struct hv_dtable){.limit = 0xffff};
	memset(cpu->dr, 0, sizeof cpu->dr);
	cpu->dr6 = SOFT_DR6_FIXED;
	cpu->dr7 = SOFT_DR7_FIXED;
	cpu->brk.hit = 0;
	soft_break_update(cpu);
	cpu->eflags = 0;
	soft_flags_load(&cpu->flags, 0);
	cpu->rip = 0xfffffff0;
	cpu->pending.vector = -1;
	cpu->delivering = -1;
	cpu->nmi_masked = false;
	cpu->op = NULL;
	soft_set_cpl(cpu, 0);
	soft_tlb_flush(cpu);
	if (power_on) {
		memset(&cpu->msr, 0, sizeof cpu->msr);
		cpu->msr.pat = 0x0007040600070406ull;
		cpu->msr.misc_enable = 1;
		soft_fpu_reset(cpu);
	}
	cpu->mp_state = cpu->index ? HV_MP_WAIT_INIT : HV_MP_RUNNABLE;
}

static void init_and_startup(struct soft_cpu *cpu, uint32_t events)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;
	uint8_t vector;

	if (events & SOFT_EVENT_INIT &&
	    soft_irqchip_take(chip, cpu->index, SOFT_EVENT_INIT, &vector)) {
		soft_irqchip_reset_apic(chip, cpu->index);
		soft_cpu_reset(cpu, false);
		cpu->mp_state = cpu->index ? HV_MP_WAIT_SIPI : HV_MP_RUNNABLE;
	}
	if (events & SOFT_EVENT_STARTUP &&
	    soft_irqchip_take(chip, cpu->index, SOFT_EVENT_STARTUP, &vector) &&
	    cpu->mp_state == HV_MP_WAIT_SIPI) {
		struct hv_seg cs = cpu->seg[HV_CS];

		cs.selector = (uint16_t)(vector << 8);
		cs.base = (uint32_t)vector << 12;
		soft_set_sreg(cpu, HV_CS, &cs);
		cpu->rip = cs.base;
		cpu->mp_state = HV_MP_RUNNABLE;
	}
}

/* --- looking around --------------------------------------------------------------------------- */

/* Is there an interrupt that the CPU takes now? Then it is pending. */
static bool take_interrupt(struct soft_cpu *cpu, uint32_t events)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;
	int vector;

	if (cpu->mp_state != HV_MP_RUNNABLE && cpu->mp_state != HV_MP_HALTED)
		return false;
	if (events & SOFT_EVENT_NMI && !cpu->nmi_masked && cpu->icount >= cpu->shadow_until &&
	    soft_irqchip_take(chip, cpu->index, SOFT_EVENT_NMI, NULL)) {
		cpu->mp_state = HV_MP_RUNNABLE;
		soft_exc_interrupt(cpu, SOFT_NMI);
		return true;
	}
	if (!(events & SOFT_EVENT_INTR) || !(cpu->eflags & SOFT_IF) ||
	    cpu->icount < cpu->shadow_until)
		return false;
	vector = soft_irqchip_acknowledge(chip, cpu->index);
	if (vector < 0)
		return false;
	cpu->count.exits_irq++;
	cpu->mp_state = HV_MP_RUNNABLE;
	soft_exc_interrupt(cpu, vector);
	return true;
}

/* Nothing to run: sleep until a timer or an event; when time is counted in instructions, jump
 * there. */
static void idle(struct soft_cpu *cpu, struct soft_time now)
{
	uint64_t ns =
		soft_clock_until(cpu, now, soft_irqchip_expires(&cpu->vm->irqchip, cpu->index));

	if (cpu->vm->clock.insns_per_us && cpu->vm->cfg.vcpus == 1 && ns != SOFT_APIC_NEVER)
		soft_clock_skip(cpu, ns + 1);
	else if (ns)
		sleep_for(cpu, ns);
}

/* How far to run before looking around again. */
static void set_limit(struct soft_cpu *cpu, struct soft_time now, uint32_t events)
{
	uint64_t n = soft_clock_slice(cpu, now, soft_irqchip_expires(&cpu->vm->irqchip, cpu->index),
				      SLICE);

	if ((events && cpu->eflags & SOFT_IF && cpu->icount < cpu->shadow_until) || cpu->brk.hit)
		n = 1;
	atomic_store(&cpu->limit, cpu->icount + n);
	if (atomic_load(&cpu->stop) || cpu->observed) /* came in between; next block end */
		atomic_store(&cpu->limit, 0);
}

/* A block was left only because its successor was not at hand: no need to look around. */
static bool nothing_new(struct soft_cpu *cpu)
{
	return !atomic_load(&cpu->stop) && !soft_due(cpu) && cpu->mp_state == HV_MP_RUNNABLE &&
	       !(cpu->eflags & SOFT_IF && soft_irqchip_events(&cpu->vm->irqchip, cpu->index));
}

/* Why the run loop looks around, for people. */
static void count_look(struct soft_cpu *cpu, uint32_t why)
{
	cpu->count.kicks += !!(why & SOFT_STOP_KICK);
	cpu->count.wakeups += !!(why & SOFT_STOP_IRQ);
	cpu->count.flushes += !!(why & SOFT_STOP_FLUSH);
	cpu->count.code_drops += !!(why & SOFT_STOP_CODE);
	cpu->count.slices += !why;
	if (soft_unlikely(cpu->watch != NULL))
		soft_watch_look(cpu);
}

/*
 * So much after the last look the thread was not running: its host was frozen, say. Whether the guest may run still is not
 * for the engine to know; whoever called is asked before the next instruction of it, not when a kick gets here.
 */
#define AWAY_NS 50000000u

static bool was_away(struct soft_cpu *cpu, struct soft_time now)
{
	uint64_t last = cpu->looked_ns;

	cpu->looked_ns = now.ns;
	return !cpu->vm->clock.insns_per_us && now.ns - last > AWAY_NS;
}

/* true: go on running guest code; false: vcpu_run is to return. */
static bool look_around(struct soft_cpu *cpu)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;

	for (;;) {
		uint32_t why = atomic_exchange(&cpu->stop, 0), events;
		struct soft_time now = soft_clock_now(cpu);

		housekeeping(cpu, why);
		count_look(cpu, why);
		if (why & SOFT_STOP_KICK || was_away(cpu, now))
			return false;
		if (soft_irqchip_timer_due(chip, cpu->index, now))
			soft_irqchip_timer_poll(chip, cpu->index, now);
		events = soft_irqchip_events(chip, cpu->index);
		if (soft_unlikely(events & (SOFT_EVENT_INIT | SOFT_EVENT_STARTUP)))
			init_and_startup(cpu, events);
		if (events && take_interrupt(cpu, events))
			return true;
		if (cpu->mp_state == HV_MP_RUNNABLE) {
			set_limit(cpu, now, events);
			return true;
		}
		idle(cpu, now);
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static enum hv_run cannot(struct soft_cpu *cpu, const char *what)
{
	if (what)
		snprintf(cpu->error, sizeof cpu->error, "%s at rip %#llx", what,
			 (unsigned long long)cpu->rip);
	soft_run_pause(cpu);
	return HV_RUN_SHUTDOWN;
}

enum hv_run soft_run(struct soft_cpu *cpu)
{
	soft_run_resume(cpu);
	cpu->looked_ns = soft_clock_now(cpu).ns; /* the caller has just asked */
	cpu->count.entries++;
	if (setjmp(cpu->unwind)) {
		if (cpu->bounce_locked) {
			cpu->bounce_locked = false;
			pthread_mutex_unlock(&cpu->vm->bounce_lock);
		}
		cpu->bounce_len = 0;
		if (!soft_exc_combine(cpu))
			return cannot(cpu, NULL);
	}
	for (;;) {
		uint64_t misses = cpu->count.block_misses;
		const struct soft_op *op;

		if (soft_unlikely(cpu->brk.hit) && cpu->pending.vector < 0)
			soft_break_deliver(cpu);
		if (cpu->pending.vector >= 0) {
			if (!soft_long_mode(cpu))
				return cannot(cpu, "exception outside of long mode");
			soft_exc_deliver(cpu);
			continue;
		}
		if (!nothing_new(cpu) && !look_around(cpu))
			break;
		if (cpu->pending.vector >= 0)
			continue;
		if (!(cpu->mode & SOFT_MODE_BREAK))
			cpu->eflags &= ~SOFT_RF;
		if (soft_unlikely(cpu->eflags & SOFT_TF)) {
			if (!soft_break_step(cpu))
				return cannot(cpu, "code outside of memory");
			continue;
		}
		op = soft_block_at_rip(cpu);
		if (!op)
			return cannot(cpu, "code outside of memory");
		if (soft_unlikely(cpu->observed))
			soft_watch_block(cpu, misses);
		while (op)
			op = op->fn(cpu, op);
	}
	soft_run_pause(cpu);
	return HV_RUN_KICKED;
}
