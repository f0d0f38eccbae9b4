/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_store.c - the record store on the raw disk: one record a sector, checksummed, in order of
 *arrival from sector 0.
 *
 * Little-endian sector (part of format, read by tests/guest/record_disk.py as well):
 *	0 "HVREC001"  8 u64 seq  16 u64 position (the sector's own number)  24 u64 boot id of the
 *writer 32 u32 length  36 u32 CRC-32 of the sector with this field 0  40 u64 0  48 payload
 *
 * The store ends at the first sector that is not a whole record of its own position: sectors beyond
 *belong to a batch that was never acknowledged. Parses what it finds on the disk, which may be
 *anything.
 */
#include "guest.h"
#include "record_proto.h"

#define BATCH	   64u
#define SCAN_BATCH 512u

struct record {
	char magic[8];
	uint64_t seq, position, boot_id;
	uint32_t len, crc;
	uint64_t zero;
	uint8_t payload[GUEST_RECORD_PAYLOAD];
};

_Static_assert(sizeof(struct record) == GUEST_RECORD_BYTES, "one sector");

static struct record_ranges safe;
static unsigned batch_count;
static struct record *batch;
static uint64_t sectors, next_position, boot_id, last_seq, bad;

static bool is_whole(struct record *r, uint64_t position)
{
	uint32_t crc = r->crc;
	bool ok;

	if (memcmp(r->magic, "HVREC001", 8) != 0)
		return false;
	r->crc = 0;
	ok = r->position == position && r->len <= GUEST_RECORD_PAYLOAD &&
	     record_crc32(0, r, sizeof *r) == crc;
	r->crc = crc;
	bad += !ok;
	return ok;
}

static void note(uint64_t seq)
{
	last_seq = seq > last_seq ? seq : last_seq;
	record_ranges_add(&safe, seq, seq);
}

static void scan(void)
{
	struct record *r = guest_pages(SCAN_BATCH * sizeof *r);

	while (next_position < sectors) {
		uint64_t n =
			sectors - next_position < SCAN_BATCH ? sectors - next_position : SCAN_BATCH;

		if (guest_blk_read(next_position, r, (uint32_t)n * GUEST_RECORD_BYTES) != 0)
			guest_fail("store: cannot read the disk");
		for (uint64_t i = 0; i < n; i++) {
			if (!is_whole(r + i, next_position))
				return;
			note(r[i].seq);
			next_position++;
		}
	}
}

bool guest_store_open(void)
{
	if (batch)
		return true;
	if (!guest_blk_init())
		return false;
	boot_id = guest_random() | 1;
	sectors = guest_blk_sectors();
	batch = guest_pages(BATCH * sizeof *batch);
	scan();
	guest_say("store records=%lu last=%lu bad=%lu sectors=%lu boot=%lx", next_position,
		  last_seq, bad, sectors, boot_id);
	return true;
}

bool guest_store_add(uint64_t seq, const void *payload, uint32_t len)
{
	struct record *r = batch + batch_count;

	if (!batch || batch_count == BATCH || next_position + batch_count >= sectors ||
	    len > GUEST_RECORD_PAYLOAD)
		return false;
	memset(r, 0, sizeof *r);
	memcpy(r->magic, "HVREC001", 8);
	r->seq = seq;
	r->position = next_position + batch_count;
	r->boot_id = boot_id;
	r->len = len;
	memcpy(r->payload, payload, len);
	r->crc = record_crc32(0, r, sizeof *r);
	batch_count++;
	return true;
}

bool guest_store_commit(void)
{
	unsigned n = batch_count;

	batch_count = 0;
	if (!n)
		return true;
	if (guest_blk_write(next_position, batch, n * GUEST_RECORD_BYTES) != 0 ||
	    guest_blk_flush() != 0)
		return false;
	for (unsigned i = 0; i < n; i++)
		note(batch[i].seq);
	next_position += n;
	return true;
}

uint64_t guest_store_last(void)
{
	return last_seq;
}

uint64_t guest_store_boot_id(void)
{
	return boot_id;
}

size_t guest_store_verdict(char *out, size_t room)
{
	size_t n;

	if (safe.overflowed)
		return guest_format(out, room, "many %lu", bad);
	n = guest_format(out, room, "%u %lu", safe.n, bad);
	for (unsigned i = 0; i < safe.n; i++)
		n += guest_format(out + n, room - n, " %lu-%lu", safe.r[i].first, safe.r[i].last);
	return n;
}
