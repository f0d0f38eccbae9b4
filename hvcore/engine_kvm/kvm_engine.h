/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_engine.h - what the files of engine_kvm/ share. Only this folder includes it.
 *
 * Threads: as hv_engine.h says for the op that each function is part of.
 */
#ifndef KVM_ENGINE_H
#define KVM_ENGINE_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "hvcore/cpu/hv_engine.h"
#include "hvcore/machine/hv_machine.h"

#define KVM_SLOTS	8u
#define KVM_CPUID_ROOM	256u
#define KVM_KICK_SIGNAL SIGUSR1
#define KVM_EXIT_KINDS	40u /* by KVM_EXIT_*; the last: all others */

struct kvm_cpu {
	int fd; /* -1: not created */
	struct kvm_run *run;
	uint64_t looked; /* cm_ticks() when it last came out of the guest */
	atomic_int tid; /* thread inside vcpu_run, else 0 */
	char error[160];
	_Atomic uint64_t entries, exits_mmio, exits_pio, exits_irq, exits_other;
	_Atomic uint64_t exits[KVM_EXIT_KINDS];
	struct kvm_stats *stats; /* the kernel's own; NULL: it has none */
};

struct kvm_slot {
	uint64_t gpa, bytes;
	void *hva;
	unsigned flags;
	uint64_t *scratch; /* one bitmap, for KVM_GET_DIRTY_LOG */
};

struct hv_engine {
	struct hv_engine_base base;
	int kvm_fd, vm_fd;
	bool own_kvm_fd, irqchip;
	bool has_tsc_attr, has_tsc_scaling, has_payload, dirty_manual;
	struct hv_engine_config cfg;
	size_t run_bytes;
	struct kvm_slot slot[KVM_SLOTS];
	struct hv_cpuid cpuid;
	/* One instant for the TSCs of all vCPUs: host TSC at the last clock_get, and at the last
	 * clock_set with the guest ns that passed since the save. */
	uint64_t get_host_tsc, set_host_tsc, set_elapsed_ns;
	uint32_t host_khz;
	struct kvm_cpu cpu[HV_MAX_VCPUS];
};

int kvm__probe(struct hv_engine_caps *caps, struct cm_err *err);
/* Runs a few guest instructions and tells what KVM made of them. Needs no engine. */
struct kvm_trial {
	bool user_syscall_works; /* SYSCALL from CPL 3 arrives in CPL 0 */
	bool cpuid_obeyed;	 /* the guest sees the CPUID leaves that we set */
};
int kvm__trial(int kvm_fd, struct kvm_trial *out, struct cm_err *err);

int kvm__cpuid_supported(struct hv_engine *e, struct hv_cpuid *out);
int kvm__cpuid_set(struct hv_engine *e, const struct hv_cpuid *in, struct cm_err *err);
/* Gives vCPU index its leaves, with its own APIC id in them. */
int kvm__cpuid_apply(struct hv_engine *e, unsigned index, struct cm_err *err);

int kvm__vcpu_create(struct hv_engine *e, unsigned index, struct cm_err *err);
void kvm__vcpu_destroy(struct hv_engine *e, unsigned index);
enum hv_run kvm__vcpu_run(struct hv_engine *e, unsigned index);
void kvm__vcpu_kick(struct hv_engine *e, unsigned index);
int kvm__vcpu_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
		  struct cm_err *err);
int kvm__vcpu_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		  struct cm_err *err);
int kvm__msrs_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
		  struct cm_err *err);
int kvm__msrs_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		  struct cm_err *err);
int kvm__tsc_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
		 struct cm_err *err);
int kvm__tsc_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		 struct cm_err *err);
int kvm__clock_get(struct hv_engine *e, struct hv_clock_state *out, struct cm_err *err);
int kvm__clock_set(struct hv_engine *e, const struct hv_clock_state *in, struct cm_err *err);

/* kvm_stats.c: with the vCPU's descriptor; failure is no error. */
void kvm__stats_open(struct kvm_cpu *c);
void kvm__stats_close(struct kvm_cpu *c);
void kvm__stats_exit(struct kvm_cpu *c, uint32_t exit_reason); /* [vcpu] */
void kvm__tally(struct hv_engine *e, unsigned index, hv_tally_fn fn, void *arg);

int kvm__irqchip_create(struct hv_engine *e, struct cm_err *err);
int kvm__ioapic_get(struct hv_engine *e, struct hv_ioapic_state *out, struct cm_err *err);
int kvm__ioapic_set(struct hv_engine *e, const struct hv_ioapic_state *in, struct cm_err *err);
int kvm__irq_line(struct hv_engine *e, unsigned gsi, bool level);
int kvm__ioeventfd(struct hv_engine *e, uint64_t gpa, int fd, bool assign);

int kvm__map(struct hv_engine *e, unsigned slot, uint64_t gpa, uint64_t bytes, void *hva,
	     unsigned flags, struct cm_err *err);
int kvm__dirty_start(struct hv_engine *e, unsigned slot, struct cm_err *err);
int kvm__dirty_fetch(struct hv_engine *e, unsigned slot, uint64_t *bitmap);
int kvm__dirty_clear(struct hv_engine *e, unsigned slot, uint64_t first, uint64_t count,
		     const uint64_t *bitmap);
int kvm__dirty_stop(struct hv_engine *e, unsigned slot);

#endif
