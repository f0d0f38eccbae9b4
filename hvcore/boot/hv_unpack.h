/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_unpack.h - finds the ELF kernel inside a bzImage and unpacks it.
 *
 * Pure functions over (buffer, length); the data is the operator's file. Thread: [any].
 */
#ifndef HV_UNPACK_H
#define HV_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

/* Most bytes that an unpacked kernel may have. */
#define HV_KERNEL_MAX (512u << 20)

/* What a bzImage says about itself. */
struct hv_bzimage {
	size_t header_bytes; /* of the setup header, from file offset 0x1f1 */
	size_t payload, payload_bytes;
	uint32_t unpacked_bytes;
	uint32_t initrd_max_gpa;
	uint32_t cmdline_max;
};

bool hv_is_bzimage(const uint8_t *file, size_t len);
/* CM_E_BAD_KERNEL and words. */
int hv_bzimage_parse(const uint8_t *file, size_t len, struct hv_bzimage *out,
		     struct cm_err *err) cm_must_check;
/*
 * Unpacks gzip, xz, LZ4 (legacy frame) or zstd, told by its first bytes, into out; exactly cap
 * bytes must come out. CM_E_BAD_KERNEL and words.
 */
int hv_unpack(const uint8_t *in, size_t len, uint8_t *out, size_t cap,
	      struct cm_err *err) cm_must_check;

#endif
