/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_record.c - the record service (TCP 7000) of the bare-metal test guest: the protocol of
 * README.md beside this folder, records kept by guest_store.c. An acknowledgement leaves only after
 * the flush.
 *
 * Parses lines of any peer: a line that is too long or makes no sense is answered by "E".
 */
#include "guest.h"

#define LINE_MAX  512u
#define ACK_MAX	  32u
#define BATCH_MAX 64u

static bool parse_hex(const char **p, uint32_t *v)
{
	*v = 0;
	for (unsigned i = 0; i < 8; i++, ++*p) {
		char c = **p;
		uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
			     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
						    : 16;

		if (d > 15)
			return false;
		*v = *v << 4 | d;
	}
	return true;
}

/* "R SEQ CRC PAYLOAD" of n bytes, ended by a 0 in place of the line feed. */
static const char *record(char *line, uint32_t n, uint64_t *seq)
{
	const char *p = line + 2;
	uint32_t crc, len;

	if (*p < '0' || *p > '9')
		return "syntax";
	*seq = guest_number(&p);
	if (*p++ != ' ' || !parse_hex(&p, &crc) || *p++ != ' ')
		return "syntax";
	len = n - (uint32_t)(p - line);
	if (guest_crc32(0, p, len) != crc)
		return "checksum";
	return guest_store_add(*seq, p, len) ? NULL : "full";
}

static void answer(struct guest_tcp *c, const char *kind, uint64_t seq, const char *why)
{
	char out[ACK_MAX + 16];
	size_t n =
		guest_format(out, sizeof(out), *why ? "%s %lu %s\n" : "%s %lu\n", kind, seq, why);

	guest_tcp_put(c, out, (uint32_t)n);
}

static void commit(struct guest_tcp *c, const uint64_t *seqs, unsigned *n)
{
	bool ok = guest_store_commit();

	for (unsigned i = 0; i < *n; i++)
		answer(c, ok ? "A" : "E", seqs[i], ok ? "" : "disk");
	*n = 0;
}

static void say_ranges(struct guest_tcp *c)
{
	char verdict[1024], out[1100];

	guest_store_verdict(verdict, sizeof(verdict));
	guest_tcp_put(c, out, (uint32_t)guest_format(out, sizeof(out), "V %s\n", verdict));
}

static void one_line(struct guest_tcp *c, char *line, uint32_t n, uint64_t *seqs, unsigned *pending)
{
	char out[64];
	uint64_t seq = 0;

	if (n > 2 && line[0] == 'R' && line[1] == ' ') {
		const char *why = record(line, n, &seq);

		if (!why)
			seqs[(*pending)++] = seq;
		else
			answer(c, "E", seq, why);
		if (*pending == BATCH_MAX)
			commit(c, seqs, pending);
		return;
	}
	commit(c, seqs, pending);
	if (n == 1 && line[0] == 'H')
		guest_tcp_put(c, out,
			      (uint32_t)guest_format(out, sizeof(out), "H hvrec1 %016lx bare\n",
						     guest_store_boot_id()));
	else if (n == 1 && line[0] == 'V')
		say_ranges(c);
	else
		answer(c, "E", 0, "syntax");
}

static uint32_t input(struct guest_tcp *c, const char *data, uint32_t len)
{
	uint64_t seqs[BATCH_MAX];
	unsigned pending = 0;
	uint32_t taken = 0;
	char line[LINE_MAX + 1];

	while (guest_tcp_room(c) > 2048 + (pending + 1) * ACK_MAX) {
		uint32_t n = 0;

		while (taken + n < len && n < LINE_MAX && data[taken + n] != '\n')
			n++;
		if (taken + n == len && n < LINE_MAX)
			break; /* the rest of the line is still to come */
		memcpy(line, data + taken, n);
		line[n] = 0;
		taken += n + (taken + n < len && data[taken + n] == '\n');
		one_line(c, line, n, seqs, &pending);
	}
	commit(c, seqs, &pending);
	return taken;
}

const struct guest_service guest_service_record = {7000, input};
