/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine behind struct hv_engine_ops: creation, memory, dirty log, state, counters.
 *
 * The CPU itself is in the other files; start with soft_run.c. Parses nothing of the guest's.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_err.h"
#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_cpuid.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_run.h"
#include "hvcore/engine_soft/soft_state.h"
#include "hvcore/engine_soft/soft_vm.h"
#include "hvcore/engine_soft/soft_watch.h"

static struct soft_vm *vm_of(struct hv_engine *e)
{
	return (struct soft_vm *)e;
}

static int soft_probe(struct hv_engine_caps *caps, struct cm_err *err)
{
	(void)err;
	*caps = (struct hv_engine_caps){.usable = true,
					.runs_stock_linux = true,
					.dirty_log = true,
					.dirty_clear = true,
					.max_vcpus = SOFT_MAX_VCPUS};
	snprintf(caps->words, sizeof caps->words,
		 "interpreter of x86-64, needs nothing of the host");
	return 0;
}

static void wake_vcpu(void *opaque, unsigned int index)
{
	struct soft_vm *vm = opaque;

	if (vm->cpu[index])
		soft_cpu_stop(vm->cpu[index], SOFT_STOP_IRQ);
}

static int soft_create(struct hv_engine **out, const struct hv_engine_config *cfg,
		       struct cm_err *err)
{
	struct soft_vm *vm;
	int r;

	if (!cfg->vcpus || cfg->vcpus > SOFT_MAX_VCPUS)
		return cm_err_set(err, -EINVAL, "%u vCPUs: 1 to %u are possible", cfg->vcpus,
				  SOFT_MAX_VCPUS);
	vm = calloc(1, sizeof *vm);
	if (!vm)
		return cm_err_set(err, -ENOMEM, "no memory for the soft engine");
	vm->base.ops = &hv_engine_soft;
	vm->cfg = *cfg;
	r = soft_irqchip_init(&vm->irqchip, cfg->vcpus, wake_vcpu, vm);
	if (r) {
		free(vm);
		return cm_err_set(err, r, "interrupt controllers");
	}
	pthread_mutex_init(&vm->bounce_lock, NULL);
	soft_clock_init(vm);
	soft_cpuid_supported(&vm->cpuid);
	*out = (struct hv_engine *)vm;
	return 0;
}

static void free_vcpu(struct soft_cpu *cpu)
{
	if (!cpu)
		return;
	soft_watch_free(cpu);
	soft_blocks_free(cpu);
	pthread_mutex_destroy(&cpu->sleep_lock);
	pthread_cond_destroy(&cpu->wake);
	free(cpu);
}

static void soft_destroy(struct hv_engine *e)
{
	struct soft_vm *vm = vm_of(e);

	for (unsigned int i = 0; i < SOFT_MAX_VCPUS; i++)
		free_vcpu(vm->cpu[i]);
	for (unsigned int i = 0; i < SOFT_MAX_SLOTS; i++)
		free((void *)vm->slot[i].dirty);
	free((void *)vm->has_code);
	soft_irqchip_fini(&vm->irqchip);
	pthread_mutex_destroy(&vm->bounce_lock);
	free(vm);
}

static int soft_map(struct hv_engine *e, unsigned slot, uint64_t gpa, uint64_t bytes, void *hva,
		    unsigned flags, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);
	struct soft_slot *s = &vm->slot[slot];

	if (slot >= SOFT_MAX_SLOTS || vm->has_code || (gpa | bytes) & (SOFT_PAGE - 1) || !bytes ||
	    s->bytes || gpa + bytes > 1ull << SOFT_PHYS_BITS)
		return cm_err_set(err, -EINVAL, "slot %u: %#" PRIx64 " bytes at %#" PRIx64, slot,
				  bytes, gpa);
	s->gpa = gpa;
	s->bytes = bytes;
	s->hva = hva;
	s->readonly = flags & HV_MEM_READONLY;
	s->first_page = vm->pages;
	vm->pages += bytes / SOFT_PAGE;
	return 0;
}

static int soft_cpuid_offer(struct hv_engine *e, struct hv_cpuid *out)
{
	(void)e;
	soft_cpuid_supported(out);
	return 0;
}

/* A contract with features that the interpreter lacks cannot be kept. */
static int soft_cpuid_set(struct hv_engine *e, const struct hv_cpuid *in, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);
	struct hv_cpuid can;

	soft_cpuid_supported(&can);
	for (uint32_t i = 0; i < in->count; i++) {
		const struct hv_cpuid_leaf *l = &in->leaf[i];

		if (l->function != 1 && l->function != 7 && l->function != 0x80000001)
			continue;
		for (uint32_t k = 0; k < can.count; k++) {
			const struct hv_cpuid_leaf *c = &can.leaf[k];
			uint32_t ebx = l->function == 7 ? l->ebx & ~c->ebx : 0;

			if (c->function == l->function && c->index == l->index &&
			    (l->ecx & ~c->ecx || l->edx & ~c->edx || ebx))
				return cm_err_set(err, -ENOTSUP,
						  "CPUID %#x asks for what the soft engine lacks: "
						  "ebx %#x ecx %#x edx %#x",
						  l->function, ebx, l->ecx & ~c->ecx,
						  l->edx & ~c->edx);
		}
	}
	vm->cpuid = *in;
	return 0;
}

static int soft_vcpu_create(struct hv_engine *e, unsigned index, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);
	pthread_condattr_t attr;
	struct soft_cpu *cpu;

	if (index >= vm->cfg.vcpus || vm->cpu[index])
		return cm_err_set(err, -EINVAL, "vCPU %u", index);
	if (!vm->has_code)
		vm->has_code = calloc(vm->pages ? vm->pages : 1, sizeof *vm->has_code);
	cpu = aligned_alloc(64, (sizeof *cpu + 63) & ~(size_t)63);
	if (!vm->has_code || !cpu) {
		free(cpu);
		return cm_err_set(err, -ENOMEM, "vCPU %u", index);
	}
	memset(cpu, 0, sizeof *cpu);
	cpu->index = index;
	cpu->vm = vm;
	pthread_mutex_init(&cpu->sleep_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cpu->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (soft_blocks_new(cpu, vm->pages)) {
		free_vcpu(cpu);
		return cm_err_set(err, -ENOMEM, "block cache of vCPU %u", index);
	}
	soft_cpu_reset(cpu, true);
	vm->cpu[index] = cpu;
	return 0;
}

static enum hv_run soft_vcpu_run(struct hv_engine *e, unsigned index)
{
	return soft_run(vm_of(e)->cpu[index]);
}

static void soft_vcpu_kick(struct hv_engine *e, unsigned index)
{
	soft_cpu_stop(vm_of(e)->cpu[index], SOFT_STOP_KICK);
}

static const char *soft_vcpu_error(struct hv_engine *e, unsigned index)
{
	return vm_of(e)->cpu[index]->error;
}

static int soft_vcpu_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
			 struct cm_err *err)
{
	(void)err;
	soft_state_get(vm_of(e)->cpu[index], out);
	return 0;
}

static int soft_vcpu_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
			 struct cm_err *err)
{
	struct soft_cpu *cpu = vm_of(e)->cpu[index];

	soft_block_drop_all(cpu); /* RAM has changed too, most likely */
	return soft_state_set(cpu, in, err);
}

static int soft_ioapic_get(struct hv_engine *e, struct hv_ioapic_state *out, struct cm_err *err)
{
	(void)err;
	soft_irqchip_get_ioapic(&vm_of(e)->irqchip, out);
	return 0;
}

static int soft_ioapic_set(struct hv_engine *e, const struct hv_ioapic_state *in,
			   struct cm_err *err)
{
	(void)err;
	soft_irqchip_set_ioapic(&vm_of(e)->irqchip, in);
	return 0;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int soft_clock_get(struct hv_engine *e, struct hv_clock_state *out, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);

	(void)err;
	out->kvmclock_ns = soft_clock_ns(vm);
	out->realtime_ns = realtime_ns();
	out->tsc_khz = vm->clock.tsc_khz;
	return 0;
}

/*
 * The clock goes on from where it was saved, plus what passed since by the hosts' wall clocks, as on KVM (kvm_clock.c):
 * a guest that was saved for a night finds the right time. Where time is counted in instructions nothing passed.
 */
static int soft_clock_set(struct hv_engine *e, const struct hv_clock_state *in, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);
	uint64_t wall = realtime_ns();

	if (in->tsc_khz > 100000000)
		return cm_err_set(err, -EINVAL, "TSC of %" PRIu64 " kHz", in->tsc_khz);
	if (in->tsc_khz)
		vm->clock.tsc_khz = in->tsc_khz;
	vm->clock.set_elapsed_ns = 0;
	if (!vm->clock.insns_per_us && in->realtime_ns && wall > in->realtime_ns &&
	    wall - in->realtime_ns < SOFT_ELAPSED_MAX_NS)
		vm->clock.set_elapsed_ns = wall - in->realtime_ns;
	vm->clock.guest_base_ns += in->kvmclock_ns + vm->clock.set_elapsed_ns - soft_clock_ns(vm);
	return 0;
}

static int soft_irq_line(struct hv_engine *e, unsigned gsi, bool level)
{
	if (gsi >= HV_IOAPIC_PINS)
		return -EINVAL;
	soft_irqchip_set_line(&vm_of(e)->irqchip, gsi, level);
	return 0;
}

static void soft_host_wrote(struct hv_engine *e, uint64_t gpa, uint64_t bytes)
{
	struct soft_vm *vm = vm_of(e);

	if (vm->has_code)
		soft_code_written(vm, NULL, gpa, bytes);
}

static int soft_ioeventfd(struct hv_engine *e, uint64_t gpa, int fd, bool assign)
{
	(void)e;
	(void)gpa;
	(void)fd;
	(void)assign;
	return -ENOTSUP;
}

/* --- dirty log -------------------------------------------------------------------------------- */

static uint64_t words_of(const struct soft_slot *s)
{
	return (s->bytes / SOFT_PAGE + 63) / 64;
}

static struct soft_slot *slot_of(struct hv_engine *e, unsigned slot)
{
	struct soft_vm *vm = vm_of(e);

	return slot < SOFT_MAX_SLOTS && vm->slot[slot].bytes ? &vm->slot[slot] : NULL;
}

/* Every vCPU must come by soft_mark_dirty again for its next write to any page. */
static void flush_writes(struct soft_vm *vm)
{
	for (unsigned int i = 0; i < vm->cfg.vcpus; i++)
		if (vm->cpu[i])
			soft_run_flush_writes(vm->cpu[i]);
}

static int soft_dirty_start(struct hv_engine *e, unsigned slot, struct cm_err *err)
{
	struct soft_slot *s = slot_of(e, slot);

	if (!s)
		return cm_err_set(err, -EINVAL, "slot %u", slot);
	if (!s->dirty)
		s->dirty = calloc(words_of(s), sizeof *s->dirty);
	if (!s->dirty)
		return cm_err_set(err, -ENOMEM, "dirty bitmap of slot %u", slot);
	for (uint64_t i = 0; i < words_of(s); i++)
		atomic_store(&s->dirty[i], UINT64_MAX);
	atomic_store(&s->logging, true);
	return 0;
}

static int soft_dirty_fetch(struct hv_engine *e, unsigned slot, uint64_t *bitmap)
{
	struct soft_slot *s = slot_of(e, slot);
	uint64_t pages;

	if (!s || !atomic_load(&s->logging))
		return -EINVAL;
	for (uint64_t i = 0; i < words_of(s); i++)
		bitmap[i] |= atomic_load(&s->dirty[i]);
	pages = s->bytes / SOFT_PAGE;
	if (pages % 64)
		bitmap[pages / 64] &= (1ull << (pages % 64)) - 1;
	return 0;
}

static int soft_dirty_clear(struct hv_engine *e, unsigned slot, uint64_t first, uint64_t count,
			    const uint64_t *bitmap)
{
	struct soft_slot *s = slot_of(e, slot);

	if (!s || !atomic_load(&s->logging) || first % 64 || first + count < first ||
	    first + count > s->bytes / SOFT_PAGE)
		return -EINVAL;
	for (uint64_t i = first / 64; i < (first + count + 63) / 64; i++)
		atomic_fetch_and(&s->dirty[i], ~bitmap[i]);
	flush_writes(vm_of(e));
	return 0;
}

static int soft_dirty_stop(struct hv_engine *e, unsigned slot)
{
	struct soft_slot *s = slot_of(e, slot);

	if (!s)
		return -EINVAL;
	atomic_store(&s->logging, false);
	return 0;
}

/* --- looking at it ---------------------------------------------------------------------------- */

static void add_counters(const struct soft_cpu *cpu, struct hv_engine_counters *out)
{
	const struct soft_counters *c = &cpu->count;

	out->entries += c->entries;
	out->exits_mmio += c->exits_mmio;
	out->exits_pio += c->exits_pio;
	out->exits_halt += c->exits_halt;
	out->exits_irq += c->exits_irq;
	out->exits_other += c->exits_other;
	out->insns += cpu->icount;
	out->block_misses += c->block_misses;
	out->block_hits += c->block_hits;
	out->tlb_misses +=
		c->tlb_miss[SOFT_READ] + c->tlb_miss[SOFT_WRITE] + c->tlb_miss[SOFT_EXEC];
	out->unknown_insns += c->unknown_insns;
}

/* index beyond the vCPUs: the sum of all. Values may be a moment old. */
static void soft_counters(struct hv_engine *e, unsigned index, struct hv_engine_counters *out)
{
	struct soft_vm *vm = vm_of(e);

	memset(out, 0, sizeof *out);
	for (unsigned int i = 0; i < vm->cfg.vcpus; i++)
		if (vm->cpu[i] && (index == i || index >= vm->cfg.vcpus))
			add_counters(vm->cpu[i], out);
}

static void soft_dump(struct hv_engine *e, unsigned index, FILE *to)
{
	soft_tally_dump(vm_of(e)->cpu[index], to);
}

static void soft_tally_vcpu(struct hv_engine *e, unsigned index, hv_tally_fn fn, void *arg)
{
	soft_tally(vm_of(e)->cpu[index], fn, arg);
}

static unsigned soft_unknown(struct hv_engine *e, unsigned index, struct hv_unknown_insn *out,
			     unsigned max)
{
	return soft_tally_unknown(vm_of(e)->cpu[index], out, max);
}

static int soft_trace_set(struct hv_engine *e, unsigned events, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);

	for (unsigned int i = 0; i < vm->cfg.vcpus; i++)
		if (soft_watch_trace(vm->cpu[i], events))
			return cm_err_set(err, -ENOMEM, "no memory for a trace of vCPU %u", i);
	return 0;
}

static unsigned soft_trace_get(struct hv_engine *e, unsigned index, struct hv_trace_event *out,
			       unsigned max, uint64_t *total)
{
	return soft_watch_events(vm_of(e)->cpu[index], out, max, total);
}

static int soft_sample_set(struct hv_engine *e, bool on, struct cm_err *err)
{
	struct soft_vm *vm = vm_of(e);

	for (unsigned int i = 0; i < vm->cfg.vcpus; i++)
		if (soft_watch_sample(vm->cpu[i], on))
			return cm_err_set(err, -ENOMEM, "no memory to sample vCPU %u", i);
	return 0;
}

const struct hv_engine_ops hv_engine_soft = {
	.name = "soft",
	.probe = soft_probe,
	.create = soft_create,
	.destroy = soft_destroy,
	.map = soft_map,
	.cpuid_supported = soft_cpuid_offer,
	.cpuid_set = soft_cpuid_set,
	.vcpu_create = soft_vcpu_create,
	.vcpu_run = soft_vcpu_run,
	.vcpu_kick = soft_vcpu_kick,
	.vcpu_error = soft_vcpu_error,
	.vcpu_get = soft_vcpu_get,
	.vcpu_set = soft_vcpu_set,
	.ioapic_get = soft_ioapic_get,
	.ioapic_set = soft_ioapic_set,
	.clock_get = soft_clock_get,
	.clock_set = soft_clock_set,
	.host_wrote = soft_host_wrote,
	.irq_line = soft_irq_line,
	.ioeventfd = soft_ioeventfd,
	.dirty_start = soft_dirty_start,
	.dirty_fetch = soft_dirty_fetch,
	.dirty_clear = soft_dirty_clear,
	.dirty_stop = soft_dirty_stop,
	.counters = soft_counters,
	.dump = soft_dump,
	.tally = soft_tally_vcpu,
	.unknown = soft_unknown,
	.trace_set = soft_trace_set,
	.trace_get = soft_trace_get,
	.sample_set = soft_sample_set,
};
