/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_tables.c - the field tables of hv_vcpu_state.h's structs. Part of format: rows are never
 * moved, removed or added; what is new goes into a subsection.
 *
 * The checks look at what a peer or an image said.
 */
#include "config.h"

#include "hvcore/cpu/hv_tables.h"

static const struct hv_field seg_fields[] = {
	HV_F_U64(struct hv_seg, base),
	HV_F_U32(struct hv_seg, limit),
	HV_F_U16(struct hv_seg, selector),
	HV_F_U16(struct hv_seg, attr),
	HV_F_END,
};

static const struct hv_field dtable_fields[] = {
	HV_F_U64(struct hv_dtable, base),
	HV_F_U16(struct hv_dtable, limit),
	HV_F_END,
};

static const struct hv_field events_fields[] = {
	HV_F_U8(struct hv_vcpu_events, exception_injected),
	HV_F_U8(struct hv_vcpu_events, exception_nr),
	HV_F_U8(struct hv_vcpu_events, exception_has_error),
	HV_F_U8(struct hv_vcpu_events, exception_pending),
	HV_F_U32(struct hv_vcpu_events, exception_error),
	HV_F_U64(struct hv_vcpu_events, exception_payload),
	HV_F_U8(struct hv_vcpu_events, exception_has_payload),
	HV_F_U8(struct hv_vcpu_events, interrupt_injected),
	HV_F_U8(struct hv_vcpu_events, interrupt_nr),
	HV_F_U8(struct hv_vcpu_events, interrupt_soft),
	HV_F_U8(struct hv_vcpu_events, interrupt_shadow),
	HV_F_U8(struct hv_vcpu_events, nmi_injected),
	HV_F_U8(struct hv_vcpu_events, nmi_pending),
	HV_F_U8(struct hv_vcpu_events, nmi_masked),
	HV_F_U32(struct hv_vcpu_events, sipi_vector),
	HV_F_END,
};

static const struct hv_field msr_fields[] = {
	HV_F_U32(struct hv_msr, index),
	HV_F_U64(struct hv_msr, value),
	HV_F_END,
};

const struct hv_field hv_vcpu_fields[] = {
	HV_F_U64S(struct hv_vcpu_state, gpr),
	HV_F_U64(struct hv_vcpu_state, rip),
	HV_F_U64(struct hv_vcpu_state, rflags),
	HV_F_STRUCTS(struct hv_vcpu_state, seg, seg_fields),
	HV_F_STRUCT(struct hv_vcpu_state, tr, seg_fields),
	HV_F_STRUCT(struct hv_vcpu_state, ldt, seg_fields),
	HV_F_STRUCT(struct hv_vcpu_state, gdt, dtable_fields),
	HV_F_STRUCT(struct hv_vcpu_state, idt, dtable_fields),
	HV_F_U64(struct hv_vcpu_state, cr0),
	HV_F_U64(struct hv_vcpu_state, cr2),
	HV_F_U64(struct hv_vcpu_state, cr3),
	HV_F_U64(struct hv_vcpu_state, cr4),
	HV_F_U64(struct hv_vcpu_state, cr8),
	HV_F_U64(struct hv_vcpu_state, efer),
	HV_F_U64(struct hv_vcpu_state, apic_base),
	HV_F_U64S(struct hv_vcpu_state, dr),
	HV_F_U64(struct hv_vcpu_state, dr6),
	HV_F_U64(struct hv_vcpu_state, dr7),
	HV_F_U64(struct hv_vcpu_state, xcr0),
	HV_F_U32(struct hv_vcpu_state, xsave_bytes),
	HV_F_BYTES(struct hv_vcpu_state, xsave),
	HV_F_U32(struct hv_vcpu_state, mp_state),
	HV_F_STRUCT(struct hv_vcpu_state, events, events_fields),
	HV_F_BYTES(struct hv_vcpu_state, lapic),
	HV_F_U64(struct hv_vcpu_state, tsc),
	HV_F_U32(struct hv_vcpu_state, tsc_khz),
	HV_F_U32(struct hv_vcpu_state, msr_count),
	HV_F_STRUCTS(struct hv_vcpu_state, msr, msr_fields),
	HV_F_END,
};

const struct hv_field hv_ioapic_fields[] = {
	HV_F_U64(struct hv_ioapic_state, base_gpa), HV_F_U32(struct hv_ioapic_state, ioregsel),
	HV_F_U32(struct hv_ioapic_state, id),	    HV_F_U32(struct hv_ioapic_state, irr),
	HV_F_U64S(struct hv_ioapic_state, redir),   HV_F_END,
};

const struct hv_field hv_clock_fields[] = {
	HV_F_U64(struct hv_clock_state, kvmclock_ns),
	HV_F_U64(struct hv_clock_state, realtime_ns),
	HV_F_U64(struct hv_clock_state, tsc_khz),
	HV_F_END,
};

static const struct hv_field leaf_fields[] = {
	HV_F_U32(struct hv_cpuid_leaf, function), HV_F_U32(struct hv_cpuid_leaf, index),
	HV_F_U32(struct hv_cpuid_leaf, flags),	  HV_F_U32(struct hv_cpuid_leaf, eax),
	HV_F_U32(struct hv_cpuid_leaf, ebx),	  HV_F_U32(struct hv_cpuid_leaf, ecx),
	HV_F_U32(struct hv_cpuid_leaf, edx),	  HV_F_END,
};

const struct hv_field hv_cpuid_fields[] = {
	HV_F_U32(struct hv_cpuid, count),
	HV_F_STRUCTS(struct hv_cpuid, leaf, leaf_fields),
	HV_F_END,
};

int hv_vcpu_check(const struct hv_vcpu_state *s, struct cm_err *err)
{
	if (s->msr_count > HV_MSR_MAX)
		return cm_err_set(err, CM_E_STREAM_SECTION, "vcpu state with %u MSRs",
				  s->msr_count);
	if (s->xsave_bytes < 512 || s->xsave_bytes > HV_XSAVE_BYTES)
		return cm_err_set(err, CM_E_STREAM_SECTION, "vcpu state with %u bytes of XSAVE",
				  s->xsave_bytes);
	if (s->mp_state < HV_MP_RUNNABLE || s->mp_state > HV_MP_HALTED)
		return cm_err_set(err, CM_E_STREAM_SECTION, "vcpu state with run state %u",
				  s->mp_state);
	return 0;
}

int hv_cpuid_check(const struct hv_cpuid *c, struct cm_err *err)
{
	if (c->count > HV_CPUID_MAX)
		return cm_err_set(err, CM_E_STREAM_SECTION, "CPUID contract with %u leaves",
				  c->count);
	return 0;
}
