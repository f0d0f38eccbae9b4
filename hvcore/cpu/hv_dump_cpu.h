/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_dump_cpu.h - the state of one vCPU as a JSON document for people: every register with the
 * names of its bits, the LAPIC, what is pending. Pure; numbers of registers are hexadecimal
 * strings. Thread: [any].
 */
#ifndef HV_DUMP_CPU_H
#define HV_DUMP_CPU_H

#include "hvcore/cpu/hv_vcpu_state.h"
#include "hvcore/state/hv_json.h"

/* Adds the members of an object that the caller opened. */
void hv_dump_cpu(struct hv_json *j, const struct hv_vcpu_state *s);

/* hv_dump_fpu.c */
void hv__dump_fpu(struct hv_json *j, const struct hv_vcpu_state *s);
void hv__dump_lapic(struct hv_json *j, const struct hv_vcpu_state *s);

#endif
