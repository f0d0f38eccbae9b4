/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_cpuid.c - what CPUID this host's KVM can offer, and giving a vCPU its contract.
 *
 * The choice of what a guest of machine hv-1 gets is not made here but in hv_cpuid.c.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/engine_kvm/kvm_sys.h"

#define ECX1_TSC_DEADLINE (1u << 24)
#define ECX1_X2APIC	  (1u << 21)

static struct kvm_cpuid2 *cpuid_room(uint32_t n)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof *c + n * sizeof c->entries[0]);

	if (c)
		c->nent = n;
	return c;
}

/* Leaves that hv_cpuid.c may choose from; others would only fill the table. */
static bool wanted(uint32_t function, uint32_t index)
{
	if (function == 0xd)
		return index <= 9;
	return function <= 1 || function == 6 || function == 7 || function == 0xb ||
	       function == 0x15 || function == 0x16 ||
	       (function >= 0x40000000 && function <= 0x40000010) ||
	       (function >= 0x80000000 && function <= 0x80000008);
}

int kvm__cpuid_supported(struct hv_engine *e, struct hv_cpuid *out)
{
	struct kvm_cpuid2 *c = cpuid_room(KVM_CPUID_ROOM);
	int rc;

	memset(out, 0, sizeof *out);
	if (!c)
		return -ENOMEM;
	rc = kvm__ioctl(e->kvm_fd, KVM_GET_SUPPORTED_CPUID, c);
	for (uint32_t i = 0; rc >= 0 && i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *k = &c->entries[i];

		if (!wanted(k->function, k->index))
			continue;
		if (out->count == HV_CPUID_MAX) {
			rc = -ENOSPC;
			break;
		}
		out->leaf[out->count] = (struct hv_cpuid_leaf){
			.function = k->function,
			.index = k->index,
			.flags = k->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = k->eax,
			.ebx = k->ebx,
			.ecx = k->ecx,
			.edx = k->edx,
		};
		/* These two depend on the in-kernel irqchip, which we always have. */
		if (k->function == 1) {
			out->leaf[out->count].ecx |= ECX1_X2APIC;
			if (kvm__has(e->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER))
				out->leaf[out->count].ecx |= ECX1_TSC_DEADLINE;
		}
		out->count++;
	}
	free(c);
	return rc < 0 ? rc : 0;
}

int kvm__cpuid_set(struct hv_engine *e, const struct hv_cpuid *in, struct cm_err *err)
{
	CM_ASSERT(in->count <= HV_CPUID_MAX);
	e->cpuid = *in;
	for (unsigned i = 0; i < e->cfg.vcpus; i++) {
		int rc = e->cpu[i].fd >= 0 ? kvm__cpuid_apply(e, i, err) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

int kvm__cpuid_apply(struct hv_engine *e, unsigned index, struct cm_err *err)
{
	struct kvm_cpuid2 *c;
	int rc;

	if (!e->cpuid.count)
		return 0;
	c = cpuid_room(e->cpuid.count);
	if (!c)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	for (uint32_t i = 0; i < e->cpuid.count; i++) {
		const struct hv_cpuid_leaf *l = &e->cpuid.leaf[i];
		struct kvm_cpuid_entry2 *k = &c->entries[i];

		*k = (struct kvm_cpuid_entry2){
			.function = l->function,
			.index = l->index,
			.flags = l->flags & 1 ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = l->eax,
			.ebx = l->ebx,
			.ecx = l->ecx,
			.edx = l->edx,
		};
		if (l->function == 1)
			k->ebx = (k->ebx & 0x00ffffff) | index << 24;
		else if (l->function == 0xb)
			k->edx = index;
	}
	rc = kvm__ioctl(e->cpu[index].fd, KVM_SET_CPUID2, c);
	free(c);
	return rc < 0 ? kvm__fail(err, "KVM_SET_CPUID2", rc) : 0;
}
