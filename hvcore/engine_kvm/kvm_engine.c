/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_engine.c - life of a KVM virtual machine, and the ops table of the kvm engine.
 *
 * Does: open, create, destroy, counters. The rest is in its neighbours: kvm_vcpu.c (run, kick),
 * kvm_state.c and kvm_msr.c (state), kvm_clock.c (TSC, kvmclock), kvm_irq.c (IO-APIC, lines),
 * kvm_mem.c (slots, dirty log), kvm_cpuid.c, kvm_probe.c and kvm_trial.c (what this host can do),
 * kvm_stats.c (the kernel's counters), and below all of them kvm_sys.c (ioctls).
 * Parses nobody's data; KVM itself runs the guest.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "hvcore/engine_kvm/kvm_sys.h"

/* The signal only has to end KVM_RUN with EINTR. */
static void on_kick(int signo)
{
	(void)signo;
}

static int enable_cap(int fd, unsigned cap, uint64_t arg)
{
	struct kvm_enable_cap en = {.cap = cap, .args = {arg}};

	return kvm__ioctl(fd, KVM_ENABLE_CAP, &en);
}

static int vm_setup(struct hv_engine *e, struct cm_err *err)
{
	const uint64_t manual = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	uint64_t ident = HV_IDENT_MAP_GPA;
	int rc;

	if (kvm__has(e->kvm_fd, KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
		rc = kvm__ioctl(e->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &ident);
		if (rc < 0)
			return kvm__fail(err, "KVM_SET_IDENTITY_MAP_ADDR", rc);
	}
	if (kvm__has(e->kvm_fd, KVM_CAP_SET_TSS_ADDR)) {
		rc = kvm__ioctl(e->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)HV_TSS_GPA);
		if (rc < 0)
			return kvm__fail(err, "KVM_SET_TSS_ADDR", rc);
	}
	rc = kvm__ioctl(e->vm_fd, KVM_CHECK_EXTENSION,
			(void *)(uintptr_t)KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	if (rc > 0 && ((uint64_t)rc & manual) == manual)
		e->dirty_manual =
			enable_cap(e->vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, manual) == 0;
	if (kvm__has(e->kvm_fd, KVM_CAP_EXCEPTION_PAYLOAD))
		e->has_payload = enable_cap(e->vm_fd, KVM_CAP_EXCEPTION_PAYLOAD, 1) == 0;
	e->has_tsc_scaling = kvm__has(e->kvm_fd, KVM_CAP_TSC_CONTROL);
	return 0;
}

static int engine_open(struct hv_engine *e, struct cm_err *err)
{
	int rc;

	if (e->kvm_fd < 0) {
		e->kvm_fd = cm_sys.open("/dev/kvm", O_RDWR | O_CLOEXEC, 0);
		if (e->kvm_fd < 0)
			return cm_err_set(err, CM_E_NO_ENGINE, "/dev/kvm: %s", strerror(errno));
		e->own_kvm_fd = true;
	}
	rc = kvm__ioctl(e->kvm_fd, KVM_GET_API_VERSION, NULL);
	if (rc != KVM_API_VERSION)
		return cm_err_set(err, CM_E_KVM, "KVM API version %d, need %d", rc,
				  KVM_API_VERSION);
	rc = kvm__ioctl(e->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (rc < (int)sizeof(struct kvm_run))
		return kvm__fail(err, "KVM_GET_VCPU_MMAP_SIZE", rc < 0 ? rc : -EINVAL);
	e->run_bytes = (size_t)rc;
	do {
		rc = kvm__ioctl(e->kvm_fd, KVM_CREATE_VM, NULL);
	} while (rc == -EINTR);
	if (rc < 0)
		return kvm__fail(err, "KVM_CREATE_VM", rc);
	e->vm_fd = rc;
	return vm_setup(e, err);
}

static void kvm_destroy(struct hv_engine *e)
{
	for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
		kvm__vcpu_destroy(e, i);
	for (unsigned i = 0; i < KVM_SLOTS; i++)
		free(e->slot[i].scratch);
	if (e->vm_fd >= 0)
		close(e->vm_fd);
	if (e->own_kvm_fd)
		close(e->kvm_fd);
	free(e);
}

static int kvm_create(struct hv_engine **out, const struct hv_engine_config *cfg,
		      struct cm_err *err)
{
	struct sigaction sa = {.sa_handler = on_kick};
	struct hv_engine *e;
	int rc;

	*out = NULL;
	if (cfg->vcpus < 1 || cfg->vcpus > HV_MAX_VCPUS)
		return cm_err_set(err, CM_E_BAD_VALUE, "%u vCPUs: must be 1 to %u", cfg->vcpus,
				  HV_MAX_VCPUS);
	e = calloc(1, sizeof *e);
	if (!e)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	e->base.ops = &hv_engine_kvm;
	e->cfg = *cfg;
	e->kvm_fd = cfg->kvm_fd;
	e->vm_fd = -1;
	for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
		e->cpu[i].fd = -1;
	sigemptyset(&sa.sa_mask);
	CM_ASSERT(sigaction(KVM_KICK_SIGNAL, &sa, NULL) == 0);
	rc = engine_open(e, err);
	if (rc < 0) {
		kvm_destroy(e);
		return rc;
	}
	*out = e;
	return 0;
}

static const char *kvm_vcpu_error(struct hv_engine *e, unsigned index)
{
	return e->cpu[index].error;
}

static void kvm_counters(struct hv_engine *e, unsigned index, struct hv_engine_counters *out)
{
	struct kvm_cpu *c = &e->cpu[index];

	*out = (struct hv_engine_counters){
		.entries = atomic_load_explicit(&c->entries, memory_order_relaxed),
		.exits_mmio = atomic_load_explicit(&c->exits_mmio, memory_order_relaxed),
		.exits_pio = atomic_load_explicit(&c->exits_pio, memory_order_relaxed),
		.exits_irq = atomic_load_explicit(&c->exits_irq, memory_order_relaxed),
		.exits_other = atomic_load_explicit(&c->exits_other, memory_order_relaxed),
	};
}

static void kvm_dump(struct hv_engine *e, unsigned index, FILE *to)
{
	const struct kvm_run *run = e->cpu[index].run;

	fprintf(to, "kvm vcpu%u: last exit reason %u, tsc %u kHz\n", index, run->exit_reason,
		e->host_khz);
}

const struct hv_engine_ops hv_engine_kvm = {
	.name = "kvm",
	.probe = kvm__probe,
	.create = kvm_create,
	.destroy = kvm_destroy,
	.map = kvm__map,
	.cpuid_supported = kvm__cpuid_supported,
	.cpuid_set = kvm__cpuid_set,
	.vcpu_create = kvm__vcpu_create,
	.vcpu_run = kvm__vcpu_run,
	.vcpu_kick = kvm__vcpu_kick,
	.vcpu_error = kvm_vcpu_error,
	.vcpu_get = kvm__vcpu_get,
	.vcpu_set = kvm__vcpu_set,
	.ioapic_get = kvm__ioapic_get,
	.ioapic_set = kvm__ioapic_set,
	.clock_get = kvm__clock_get,
	.clock_set = kvm__clock_set,
	.irq_line = kvm__irq_line,
	.ioeventfd = kvm__ioeventfd,
	.dirty_start = kvm__dirty_start,
	.dirty_fetch = kvm__dirty_fetch,
	.dirty_clear = kvm__dirty_clear,
	.dirty_stop = kvm__dirty_stop,
	.counters = kvm_counters,
	.dump = kvm_dump,
	.tally = kvm__tally,
};
