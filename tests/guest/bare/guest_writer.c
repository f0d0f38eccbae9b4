/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_writer.c - mode=writer: writes sequence-numbered records to the disk by itself.
 *
 *	records=N	a second (100; 0: as fast as it goes)
 *	batch=N		records for each write and flush (1)
 *	again=1		a write or flush that fails is tried again (a SAN that lost its cache says so once)
 *
 * Says "A SEQ" on the debug port after the flush that made SEQ safe, so do not combine it with
 *mode=beat when the debug port is watched. Goes on after the last record that is found on the disk;
 *stops the guest on an error.
 */
#include "guest.h"

static struct guest_pace pace;
static uint64_t per_batch, seq;
static bool full, again;

static void init(void)
{
	if (!guest_store_open())
		guest_fail("writer: no disk");
	seq = guest_store_last();
	per_batch = guest_param_number("batch", 1);
	again = guest_param_number("again", 0) != 0;
	guest_pace_start(&pace, guest_param_number("records", 100));
}

static uint64_t poll(uint64_t now)
{
	uint64_t due = guest_pace_due_ns(&pace, now), first = seq;

	if (full)
		return GUEST_NEVER;
	if (due > now)
		return due;
	for (uint64_t i = 0; i < per_batch; i++) {
		uint64_t body[8] = {seq + 1, now};

		for (unsigned k = 2; k < 8; k++)
			body[k] = guest_random();
		if (!guest_store_add(seq + 1, body, sizeof body))
			break;
		seq++;
	}
	if (seq == first) {
		guest_say("writer: the disk is full at %lu", seq);
		full = true;
		return GUEST_NEVER;
	}
	if (!guest_store_commit()) {
		if (!again)
			guest_fail("writer: the disk refused a write");
		guest_say("writer: the disk refused a write after %lu", first);
		seq = first;
		return guest_now_ns() + 1000000;
	}
	pace.done += seq - first;
	guest_debug_line("A %lu", seq);
	return guest_now_ns();
}

const struct guest_module guest_writer_module = {"writer", init, poll};
