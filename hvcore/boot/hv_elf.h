/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_elf.h - reads the program headers of an x86-64 ELF (a vmlinux, or a bare test guest).
 *
 * Pure function over (buffer, length); the data is the operator's file. Thread: [any].
 */
#ifndef HV_ELF_H
#define HV_ELF_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

#define HV_ELF_SEGMENTS 16u

struct hv_elf_segment {
	uint64_t gpa, file_offset, file_bytes,
		mem_bytes; /* file part checked to be inside the file */
};

struct hv_elf {
	uint64_t entry_gpa;
	uint64_t low_gpa, end_gpa; /* all segments are within [low, end) */
	unsigned segments;
	struct hv_elf_segment segment[HV_ELF_SEGMENTS];
};

/* CM_E_BAD_KERNEL and words. */
int hv_elf_parse(const uint8_t *file, size_t len, struct hv_elf *out,
		 struct cm_err *err) cm_must_check;

#endif
