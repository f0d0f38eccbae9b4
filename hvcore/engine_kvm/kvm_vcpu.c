/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_vcpu.c - one vCPU: create, run until kicked, kick.
 *
 * Kick: immediate_exit stops a KVM_RUN that has not begun, the signal one that is under way; whatever ends it so, vcpu_run
 * comes back, and the caller looks at what he wants. An exit whose instruction is not finished (a port or
 * MMIO read, a repeated string) is finished by entering KVM_RUN once more with immediate_exit set,
 * so that what is saved afterwards is between two instructions.
 *
 * What arrives in struct kvm_run are the guest's accesses: any address, any value.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cm_jump.h"
#include "common/cm_sys.h"
#include "hvcore/engine_kvm/kvm_sys.h"

#define COUNT(c, what) atomic_fetch_add_explicit(&(c)->what, 1, memory_order_relaxed)

int kvm__vcpu_create(struct hv_engine *e, unsigned index, struct cm_err *err)
{
	struct kvm_cpu *c = &e->cpu[index];
	int rc;

	CM_ASSERT(index < e->cfg.vcpus && c->fd < 0);
	/* After the memory is mapped: a slot that comes after the irqchip costs milliseconds (SRCU). */
	rc = e->irqchip ? 0 : kvm__irqchip_create(e, err);
	if (rc < 0)
		return rc;
	e->irqchip = true;
	rc = kvm__ioctl(e->vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index);
	if (rc < 0)
		return cm_err_set(err, CM_E_KVM, "KVM_CREATE_VCPU %u: %s", index, strerror(-rc));
	c->fd = rc;
	c->run = cm_sys.mmap(NULL, e->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (c->run == MAP_FAILED) {
		c->run = NULL;
		return kvm__fail(err, "mapping a vCPU", -errno);
	}
	rc = kvm__ioctl(c->fd, KVM_GET_TSC_KHZ, NULL);
	if (rc > 0)
		e->host_khz = (uint32_t)rc;
	kvm__stats_open(c);
	return kvm__cpuid_apply(e, index, err);
}

void kvm__vcpu_destroy(struct hv_engine *e, unsigned index)
{
	struct kvm_cpu *c = &e->cpu[index];

	kvm__stats_close(c);
	if (c->run)
		munmap(c->run, e->run_bytes);
	if (c->fd >= 0)
		close(c->fd);
	c->run = NULL;
	c->fd = -1;
}

void kvm__vcpu_kick(struct hv_engine *e, unsigned index)
{
	struct kvm_cpu *c = &e->cpu[index];
	int tid;

	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	tid = atomic_load(&c->tid);
	/* The thread lives as long as the engine; a signal that comes late ends some system call
	 * with EINTR. */
	if (tid)
		syscall(SYS_tgkill, getpid(), tid, KVM_KICK_SIGNAL);
}

static enum hv_run failed(struct kvm_cpu *c, enum hv_run how, const char *what, uint64_t a,
			  uint64_t b)
{
	snprintf(c->error, sizeof c->error, "%s (0x%" PRIx64 ", 0x%" PRIx64 ")", what, a, b);
	return how;
}

static void port_exit(struct hv_engine *e, struct kvm_cpu *c)
{
	struct kvm_run *run = c->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t size = run->io.size;

	for (uint32_t i = 0; i < run->io.count; i++)
		e->cfg.up.pio(e->cfg.up.arg, run->io.port, data + (size_t)i * size, size,
			      run->io.direction == KVM_EXIT_IO_OUT);
	COUNT(c, exits_pio);
}

static void mmio_exit(struct hv_engine *e, struct kvm_cpu *c)
{
	struct kvm_run *run = c->run;
	/* KVM splits accesses into pieces of 1 to 8 bytes; 3, 5, 6 and 7 come from string pieces.
	 */
	uint64_t gpa = run->mmio.phys_addr;
	uint32_t at = 0;

	while (at < run->mmio.len) {
		uint32_t left = run->mmio.len - at;
		unsigned n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;

		e->cfg.up.mmio(e->cfg.up.arg, gpa + at, run->mmio.data + at, n, run->mmio.is_write);
		at += n;
	}
	COUNT(c, exits_mmio);
}

/* HV_RUN_INVALID: go on. */
static enum hv_run handle_exit(struct hv_engine *e, struct kvm_cpu *c)
{
	struct kvm_run *run = c->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		port_exit(e, c);
		return HV_RUN_INVALID;
	case KVM_EXIT_MMIO:
		mmio_exit(e, c);
		return HV_RUN_INVALID;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_INTR:
		COUNT(c, exits_irq);
		return HV_RUN_INVALID;
	case KVM_EXIT_SHUTDOWN:
		return failed(c, HV_RUN_SHUTDOWN, "triple fault", 0, 0);
	case KVM_EXIT_SYSTEM_EVENT:
		return failed(c, HV_RUN_SHUTDOWN, "system event", run->system_event.type, 0);
	case KVM_EXIT_FAIL_ENTRY:
		return failed(c, HV_RUN_FAILED, "the CPU refuses to enter the guest",
			      run->fail_entry.hardware_entry_failure_reason, 0);
	case KVM_EXIT_INTERNAL_ERROR:
		return failed(c, HV_RUN_FAILED, "KVM cannot emulate an instruction of the guest",
			      run->internal.suberror,
			      run->internal.ndata ? run->internal.data[0] : 0);
	default:
		return failed(c, HV_RUN_FAILED, "unexpected exit of KVM", run->exit_reason, 0);
	}
}

/* 8 to 33 ms: a host's counter runs at 1 to 4 GHz. */
#define AWAY_TICKS (1u << 25)

/*
 * The thread was not running, or in the guest, for so long that whoever called shall say whether the guest may run still: its
 * host may have been frozen. Without a counter he is asked every time.
 */
static bool was_away(struct kvm_cpu *c)
{
	uint64_t now = cm_ticks(), last = c->looked;

	c->looked = now;
	return !now || now - last > AWAY_TICKS;
}

static enum hv_run run_loop(struct hv_engine *e, struct kvm_cpu *c)
{
	c->looked = cm_ticks();
	for (;;) {
		enum hv_run how;
		int rc;

		COUNT(c, entries);
		rc = kvm__ioctl(c->fd, KVM_RUN, NULL);
		kvm__stats_exit(c, rc == -EINTR ? KVM_EXIT_INTR : c->run->exit_reason);
		/* Also when nobody kicked: a SIGSTOP ends it like this, and the thread is back after the SIGCONT. */
		if (rc == -EINTR || rc == -EAGAIN) {
			__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			return HV_RUN_KICKED;
		}
		if (rc < 0)
			return failed(c, HV_RUN_FAILED, strerror(-rc), (uint64_t)-rc, 0);
		how = handle_exit(e, c);
		if (how != HV_RUN_INVALID)
			return how;
		/* Not at once: the instruction has to be finished first. */
		if (was_away(c))
			__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	}
}

enum hv_run kvm__vcpu_run(struct hv_engine *e, unsigned index)
{
	struct kvm_cpu *c = &e->cpu[index];
	enum hv_run how;

	c->error[0] = '\0';
	atomic_store(&c->tid, (int)syscall(SYS_gettid));
	/* The guest may have been away for long: its soft lockup detector shall know. No kvmclock:
	 * no harm. */
	(void)kvm__ioctl(c->fd, KVM_KVMCLOCK_CTRL, NULL);
	how = run_loop(e, c);
	atomic_store(&c->tid, 0);
	return how;
}
