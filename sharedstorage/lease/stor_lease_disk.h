/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_disk.h - the ownership block as bytes. Part of format: docs/DISK.md specifies it.
 *
 * One pair of pure functions; little-endian; the encoding is 512 bytes, a 4096-byte sector is
 * padded with zeroes. Data of the disk is parsed here: any bytes are survived. Thread: [any].
 */
#ifndef STOR_LEASE_DISK_H
#define STOR_LEASE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "sharedstorage/dev/stor_key.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/dev/stor_uuid.h"

#define STOR_NODE_NAME	64 /* with its NUL */
#define STOR_OWNER_KEYS 12 /* one for each LUN that a VM writes to, its lock LUNs included */
#define STOR_SHUT_KEYS	22 /* and no block has more in all */

/* Who owns, or shall own: all that a fencer needs to know. Name "" = nobody. */
struct stor_owner {
	char node[STOR_NODE_NAME];
	struct stor_uuid boot;	   /* boot id of the node */
	struct stor_uuid instance; /* random, one per hvcore process */
	uint32_t pid;
	uint16_t host_slot;
	/* enum stor_watchdog: what ends it if it cannot stop itself; no observer concludes more than that */
	uint8_t watchdog;
	/* Of every session that may have a write under way: there before the first one, and until a
	 * successor's barrier was answered; 0 unused */
	struct stor_key keys[STOR_OWNER_KEYS];
};
bool stor_owner_same(const struct stor_owner *a, const struct stor_owner *b); /* same process */
/* What another process says of itself: a name and a level that a block can hold, and keys of its own host only. */
bool stor_owner_valid(const struct stor_owner *o);

enum stor_block_state {
	STOR_BLOCK_NONE = 0,
	STOR_BLOCK_FREE = 1,
	STOR_BLOCK_RUNNING =
		2, /* with owner; with peer.node != "" the owner intends to hand over to peer */
};

struct stor_block {
	enum stor_block_state state;
	struct stor_uuid vm;
	uint64_t epoch;	  /* grows by one with every change of owner */
	uint64_t renewal; /* grows with every write of the owner */
	struct stor_uuid
		nonce; /* random, new with every write: whose write is it that we read back? */
	uint32_t io_timeout_ms; /* of the owner */
	struct stor_owner owner, peer;
	/*
	 * Keys of former owners that are not shut out yet: whoever comes next must. Their absence from the SAN proves
	 * nothing (PREEMPT AND ABORT removes a key first, and answers when what it aborts has ended); that
	 * they are not in this list does. Until it has done so, nobody writes guest data, and the owner
	 * has no keys of its own here. What is left then is of LUNs that the VM does not use now: it
	 * stays, for the day when one of them is the VM's again.
	 */
	struct stor_key shut[STOR_SHUT_KEYS];
};

#define STOR_BLOCK_BYTES 512

/* Writes sector_bytes bytes. */
void stor_block_encode(const struct stor_block *b, uint8_t *out, uint32_t sector_bytes);
/* CM_E_LEASE_CORRUPT (magic, checksum, impossible fields), CM_E_LEASE_FORMAT (sound, of another release) or -ENODATA
 * (all zero: never used). */
int stor_block_decode(const uint8_t *in, uint32_t sector_bytes, struct stor_block *b) cm_must_check;
/* One line for people. */
void stor_block_print(const struct stor_block *b, char *out, size_t cap);

#endif
