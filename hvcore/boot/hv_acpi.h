/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_acpi.h - the ACPI tables of machine hv-1: small, hardware-reduced, made by hand.
 *
 * Thread: [any]; pure function of its arguments.
 */
#ifndef HV_ACPI_H
#define HV_ACPI_H

#include <stdint.h>

#include "common/cm_buf.h"

struct hv_acpi_config {
	unsigned vcpus;
	uint32_t virtio_slots; /* bit i: slot i has a device */
	uint64_t base_gpa;     /* where the tables will lie; the RSDP comes first */
};

/* RSDP, XSDT, FADT, MADT, DSDT, as they shall lie at base_gpa. 0, or out's error. */
int hv_acpi_build(const struct hv_acpi_config *cfg, struct cm_buf *out) cm_must_check;

#endif
