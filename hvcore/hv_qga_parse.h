/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_qga_parse.h - the little JSON that answers of a guest agent are read with.
 *
 * Pure functions over (pointer, length); the text is the guest's and may be anything. No recursion,
 * no allocation, one pass. Thread: [any].
 */
#ifndef HV_QGA_PARSE_H
#define HV_QGA_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hv_qga_span {
	const char *p;
	size_t n;
};

/* The value of a member of an object; false if there is none or the text is no object. */
bool hv_qga_member(struct hv_qga_span object, const char *key, struct hv_qga_span *value);
/* The span is a decimal integer that fits. */
bool hv_qga_i64(struct hv_qga_span value, int64_t *out);
/* Copies a string, at most cap - 1 bytes, what is not printable ASCII as '?'. False: no string. */
bool hv_qga_text(struct hv_qga_span value, char *out, size_t cap);

#endif
