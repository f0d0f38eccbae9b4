/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_tables.h - field tables of CPU, interrupt controller, clock and CPUID state, and their checks.
 *
 * Part of format: sections "vcpu" (instance = index), "ioapic", "clock", "cpuid" of machine hv-1.
 *
 * Thread: [any], by value. The checks say whether a decoded object is one that may be handed to an
 * engine: counts within their arrays, enums known. Whether the values make sense to the CPU the
 * engine finds out.
 */
#ifndef HV_TABLES_H
#define HV_TABLES_H

#include "common/cm_err.h"
#include "hvcore/cpu/hv_vcpu_state.h"
#include "hvcore/state/hv_state.h"

#define HV_VCPU_VERSION	  1u
#define HV_IOAPIC_VERSION 1u
#define HV_CLOCK_VERSION  1u
#define HV_CPUID_VERSION  1u

extern const struct hv_field hv_vcpu_fields[];
extern const struct hv_field hv_ioapic_fields[];
extern const struct hv_field hv_clock_fields[];
extern const struct hv_field hv_cpuid_fields[];

int hv_vcpu_check(const struct hv_vcpu_state *s, struct cm_err *err) cm_must_check;
int hv_cpuid_check(const struct hv_cpuid *c, struct cm_err *err) cm_must_check;

#endif
