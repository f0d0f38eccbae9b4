/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_record.c - the record service (TCP 7000) of the bare-metal test guest: the protocol of
 * README.md beside this folder, records kept by guest_store.c. An acknowledgement leaves only after
 * the flush.
 *
 * Parses lines of any peer: a line that is too long or makes no sense is answered by "E".
 */
#include "guest.h"
#include "record_proto.h"

#define ACK_MAX	  32u
#define BATCH_MAX 64u

static void answer(struct guest_tcp *c, const char *kind, uint64_t seq, const char *why)
{
	char out[ACK_MAX + 16];
	size_t n =
		guest_format(out, sizeof out, *why ? "%s %lu %s\n" : "%s %lu\n", kind, seq, why);

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
	char verdict[2800], out[2816]; /* all ranges at their longest */

	guest_store_verdict(verdict, sizeof verdict);
	guest_tcp_put(c, out, (uint32_t)guest_format(out, sizeof out, "V %s\n", verdict));
}

static void one_line(struct guest_tcp *c, char *line, uint32_t n, uint64_t *seqs, unsigned *pending)
{
	char out[64];
	uint64_t seq = 0;

	if (n > 2 && line[0] == 'R' && line[1] == ' ') {
		const char *payload, *why;
		size_t len;

		why = record_parse(line, n, &seq, &payload, &len);
		if (!why && !guest_store_add(seq, payload, (uint32_t)len))
			why = "full";

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
			      (uint32_t)guest_format(out, sizeof out, "H hvrec1 %016lx bare\n",
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
	char line[RECORD_LINE_MAX + 1];

	while (guest_tcp_room(c) > 3072 + (pending + 1) * ACK_MAX) {
		uint32_t n = 0;

		while (taken + n < len && n < RECORD_LINE_MAX && data[taken + n] != '\n')
			n++;
		if (taken + n == len && n < RECORD_LINE_MAX)
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
