/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_proto.h - the pure part of the record protocol (README.md): checksum, record lines, sets
 * of sequence numbers.
 *
 * Shared by the bare guest (freestanding), recordd and recordc, so: no C library, no state. [any
 * thread]
 */
#ifndef RECORD_PROTO_H
#define RECORD_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_LINE_MAX	  512u /* without the line feed */
#define RECORD_PORT	  7000
#define RECORD_RANGES_MAX 64u

/* CRC-32 of IEEE 802.3, as zlib's crc32(); begin with 0. */
uint32_t record_crc32(uint32_t crc, const void *data, size_t n);

/* Parses "R SEQ CRC PAYLOAD" of n bytes. NULL, or in one word what is wrong with it. */
const char *record_parse(const char *line, size_t n, uint64_t *seq, const char **payload,
			 size_t *len);

/* Decimal number at the start of n bytes; returns how many bytes it has, 0 if there is none or it
 * is too large. */
size_t record_number(const char *s, size_t n, uint64_t *v);

/* A set of sequence numbers as sorted ranges that do not touch. More than fit: `overflowed`, and
 * nothing is sure any more. */
struct record_ranges {
	struct {
		uint64_t first, last;
	} r[RECORD_RANGES_MAX];
	unsigned n;
	bool overflowed;
};

void record_ranges_add(struct record_ranges *set, uint64_t first, uint64_t last);
bool record_ranges_has(const struct record_ranges *set, uint64_t seq);
/* How many numbers of `set` are not in `in`; the lowest of them in *first. */
uint64_t record_ranges_missing(const struct record_ranges *set, const struct record_ranges *in,
			       uint64_t *first);
uint64_t record_ranges_count(const struct record_ranges *set);

#endif
