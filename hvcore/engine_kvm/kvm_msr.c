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

#include "hvcore/engine_kvm/kvm_sys.h"

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

struct msr_batch {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[HV_MSR_MAX];
};

/* One call for all: each call loads and puts the vCPU, and that is what costs. KVM stops at the
 * first register that it refuses; *done says how many went through. */
static int msr_call(struct hv_engine *e, unsigned index, unsigned long request,
		    const struct kvm_msr_entry *from, uint32_t n, struct msr_batch *b,
		    uint32_t *done)
{
	int rc;

	b->head = (struct kvm_msrs){.nmsrs = n};
	memcpy(b->entry, from, n * sizeof b->entry[0]);
	rc = kvm__ioctl(e->cpu[index].fd, request, b);
	*done = rc > 0 ? CM_MIN((uint32_t)rc, n) : 0;
	return rc < 0 ? rc : 0;
}

int kvm__msrs_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
		  struct cm_err *err)
{
	const uint32_t all = CM_ARRAY_LEN(saved_msrs);
	struct kvm_msr_entry want[CM_ARRAY_LEN(saved_msrs)] = {0};
	struct msr_batch b;

	(void)err;
	for (uint32_t i = 0; i < all; i++)
		want[i].index = saved_msrs[i];
	out->msr_count = 0;
	for (uint32_t at = 0, done; at < all; at += done + 1) { /* + 1: this guest lacks that one */
		(void)msr_call(e, index, KVM_GET_MSRS, want + at, all - at, &b, &done);
		for (uint32_t i = 0; i < done; i++)
			out->msr[out->msr_count++] = (struct hv_msr){.index = b.entry[i].index,
								     .value = b.entry[i].data};
	}
	return 0;
}

static int msrs_set(struct hv_engine *e, unsigned index, const struct kvm_msr_entry *m, uint32_t n,
		    struct cm_err *err)
{
	struct msr_batch b;

	for (uint32_t at = 0, done; at < n; at += done + 1) {
		(void)msr_call(e, index, KVM_SET_MSRS, m + at, n - at, &b, &done);
		if (at + done < n && m[at + done].data)
			return cm_err_set(err, CM_E_INCOMPATIBLE,
					  "vCPU %u: KVM refuses MSR 0x%x = 0x%llx", index,
					  m[at + done].index,
					  (unsigned long long)m[at + done].data);
	}
	return 0;
}

int kvm__msrs_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		  struct cm_err *err)
{
	struct kvm_msr_entry m[HV_MSR_MAX];
	int rc = 0;

	CM_ASSERT(in->msr_count <= HV_MSR_MAX);
	for (int deadline = 0; rc == 0 && deadline < 2; deadline++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < in->msr_count; i++)
			if ((in->msr[i].index == MSR_TSC_DEADLINE) == deadline)
				m[n++] = (struct kvm_msr_entry){.index = in->msr[i].index,
								.data = in->msr[i].value};
		rc = msrs_set(e, index, m, n, err);
	}
	return rc;
}
