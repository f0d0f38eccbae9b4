/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_msr.c - the model specific registers that are state of a guest.
 *
 * An explicit list, so that both engines and all hosts speak of the same registers. What this host
 * or the guest's CPUID does not have is not saved. On load a register that KVM refuses is an error,
 * unless its value is the zero it would have anyway.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MSR_TSC_DEADLINE 0x6e0u

/* In the order in which they are set. The TSC itself is in kvm_clock.c. */
static const uint32_t saved_msrs[] = {
	0x3b, /* TSC_ADJUST */
	0x48, /* SPEC_CTRL */
	0x174,
	0x175,
	0x176, /* SYSENTER */
	0x1a0, /* MISC_ENABLE */
	0x1d9, /* DEBUGCTL */
	0x277, /* PAT */
	0x2ff, /* MTRR default, fixed, variable */
	0x250,
	0x258,
	0x259,
	0x268,
	0x269,
	0x26a,
	0x26b,
	0x26c,
	0x26d,
	0x26e,
	0x26f,
	0x200,
	0x201,
	0x202,
	0x203,
	0x204,
	0x205,
	0x206,
	0x207,
	0x208,
	0x209,
	0x20a,
	0x20b,
	0x20c,
	0x20d,
	0x20e,
	0x20f,
	0xda0, /* XSS */
	0xc0000081,
	0xc0000082,
	0xc0000083,
	0xc0000084, /* STAR LSTAR CSTAR SFMASK */
	0xc0000102, /* KERNEL_GS_BASE */
	0xc0000103, /* TSC_AUX */
	0x11,
	0x12,
	0x4b564d00,
	0x4b564d01, /* kvmclock, old and new */
	0x4b564d02,
	0x4b564d03,
	0x4b564d04,
	0x4b564d05,	  /* async PF, steal time, PV EOI, poll control */
	MSR_TSC_DEADLINE, /* last: it arms the timer */
};

_Static_assert(CM_ARRAY_LEN(saved_msrs) <= HV_MSR_MAX, "the state has room for all");

int kvm__msrs_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
		  struct cm_err *err)
{
	(void)err;
	out->msr_count = 0;
	for (size_t i = 0; i < CM_ARRAY_LEN(saved_msrs); i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} m = {.head.nmsrs = 1, .entry.index = saved_msrs[i]};

		/* 1: read; else this guest does not have it. */
		if (kvm__ioctl(e->cpu[index].fd, KVM_GET_MSRS, &m) != 1)
			continue;
		out->msr[out->msr_count++] =
			(struct hv_msr){.index = saved_msrs[i], .value = m.entry.data};
	}
	return 0;
}

int kvm__msrs_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		  struct cm_err *err)
{
	for (int deadline = 0; deadline < 2; deadline++)
		for (uint32_t i = 0; i < in->msr_count; i++) {
			struct {
				struct kvm_msrs head;
				struct kvm_msr_entry entry;
			} m = {.head.nmsrs = 1,
			       .entry = {.index = in->msr[i].index, .data = in->msr[i].value}};

			if ((in->msr[i].index == MSR_TSC_DEADLINE) != deadline)
				continue;
			if (kvm__ioctl(e->cpu[index].fd, KVM_SET_MSRS, &m) == 1 || !m.entry.data)
				continue;
			return cm_err_set(err, CM_E_INCOMPATIBLE,
					  "vCPU %u: KVM refuses MSR 0x%x = 0x%llx", index,
					  in->msr[i].index, (unsigned long long)in->msr[i].value);
		}
	return 0;
}
