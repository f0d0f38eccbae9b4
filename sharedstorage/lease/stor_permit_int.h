/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_permit_int.h - how fencing/ makes a permit. Includable by fencing/ and
 * sharedstorage/lease/ only (scripts/check-layers).
 */
#ifndef STOR_PERMIT_INT_H
#define STOR_PERMIT_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "sharedstorage/lease/stor_lease_disk.h"
#include "sharedstorage/lease/stor_permit.h"

struct stor_permit {
	struct stor_uuid vm;
	uint64_t epoch;
	struct stor_owner victim;
	struct stor_key shut[STOR_SHUT_KEYS]; /* as in the block, with what the proof knows the end of */
	/* proof (d): the very bytes that did not change for stor_dead_ms(); others: a renewal in between
	 * is no objection */
	bool exact;
	uint64_t renewal;
	struct stor_uuid nonce;
	char why[96];
};

/* seen: the block for which the proof holds. NULL if there is no memory. */
struct stor_permit *stor_permit_new(const struct stor_block *seen, bool exact, const char *why);

#endif
