/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_proto.c - checksum, record lines and sequence number sets of the record protocol. See the
 * header.
 *
 * Parses bytes of any peer and of any disk. No C library: the bare guest is built from this file as
 * well.
 */
#include "record_proto.h"

uint32_t record_crc32(uint32_t crc, const void *data, size_t n)
{
	/* Four bits at a time: a table of 16 words needs no start-up. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;

	crc = ~crc;
	while (n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

size_t record_number(const char *s, size_t n, uint64_t *v)
{
	size_t i;

	*v = 0;
	for (i = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) {
		if (*v > (UINT64_MAX - 9) / 10)
			return 0;
		*v = *v * 10 + (uint64_t)(s[i] - '0');
	}
	return i;
}

static bool parse_hex(const char *s, uint32_t *v)
{
	*v = 0;
	for (unsigned i = 0; i < 8; i++) {
		uint32_t d;

		if (s[i] >= '0' && s[i] <= '9')
			d = (uint32_t)(s[i] - '0');
		else if (s[i] >= 'a' && s[i] <= 'f')
			d = (uint32_t)(s[i] - 'a' + 10);
		else
			return false;
		*v = *v << 4 | d;
	}
	return true;
}

const char *record_parse(const char *line, size_t n, uint64_t *seq, const char **payload,
			 size_t *len)
{
	size_t at = 2, digits;
	uint32_t crc;

	*seq = 0;
	if (n < 2 || n > RECORD_LINE_MAX || line[0] != 'R' || line[1] != ' ')
		return "syntax";
	digits = record_number(line + at, n - at, seq);
	at += digits;
	if (!digits || n - at < 10 || line[at] != ' ' || !parse_hex(line + at + 1, &crc) ||
	    line[at + 9] != ' ')
		return "syntax";
	*payload = line + at + 10;
	*len = n - at - 10;
	return record_crc32(0, *payload, *len) == crc ? NULL : "checksum";
}

/* Takes range i out. */
static void drop(struct record_ranges *set, unsigned i)
{
	for (set->n--; i < set->n; i++)
		set->r[i] = set->r[i + 1];
}

void record_ranges_add(struct record_ranges *set, uint64_t first, uint64_t last)
{
	unsigned i = 0, k;

	while (i < set->n && first > 0 && set->r[i].last < first - 1)
		i++;
	/* From i on ranges end at or after first - 1: those that begin at or before last + 1 melt
	 * into the new one. */
	while (i < set->n && (last == UINT64_MAX || set->r[i].first <= last + 1)) {
		first = set->r[i].first < first ? set->r[i].first : first;
		last = set->r[i].last > last ? set->r[i].last : last;
		drop(set, i);
	}
	if (set->n == RECORD_RANGES_MAX) {
		set->overflowed = true;
		return;
	}
	for (k = set->n++; k > i; k--)
		set->r[k] = set->r[k - 1];
	set->r[i].first = first;
	set->r[i].last = last;
}

bool record_ranges_has(const struct record_ranges *set, uint64_t seq)
{
	for (unsigned i = 0; i < set->n; i++)
		if (seq >= set->r[i].first && seq <= set->r[i].last)
			return true;
	return false;
}

uint64_t record_ranges_missing(const struct record_ranges *set, const struct record_ranges *in,
			       uint64_t *first)
{
	uint64_t missing = 0;

	*first = 0;
	for (unsigned i = 0; i < set->n; i++) {
		uint64_t at = set->r[i].first;

		/* Walk the holes that `in` leaves in [at, last]. */
		for (unsigned k = 0; k <= in->n; k++) {
			uint64_t end = k < in->n ? in->r[k].first : UINT64_MAX;
			uint64_t hole_end = end <= set->r[i].last ? end : set->r[i].last + 1;

			if (hole_end > at) {
				*first = missing ? *first : at;
				missing += hole_end - at;
			}
			if (k < in->n && in->r[k].last >= at)
				at = in->r[k].last + 1;
			if (at > set->r[i].last)
				break;
		}
	}
	return missing;
}

uint64_t record_ranges_count(const struct record_ranges *set)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < set->n; i++)
		n += set->r[i].last - set->r[i].first + 1;
	return n;
}
