/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_blk.c - virtio-blk of the bare-metal test guest: one request at a time, the caller waits.
 *
 * While it waits the heartbeat goes on, so a disk that hangs does not look like a guest that hangs.
 */
#include "guest.h"

#define DEVICE_BLK    2u
#define FEATURE_FLUSH (1ull << 9)
#define TYPE_IN	      0u
#define TYPE_OUT      1u
#define TYPE_FLUSH    4u

static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header __attribute__((aligned(16)));
static volatile uint8_t status __attribute__((aligned(16)));
static struct guest_queue queue;
static bool present, can_flush;

bool guest_blk_init(void)
{
	unsigned slot = 0;

	if (present)
		return true;
	if (!guest_virtio_find(DEVICE_BLK, &slot))
		return false;
	can_flush = guest_virtio_start(slot, FEATURE_FLUSH) & FEATURE_FLUSH;
	guest_virtio_queue(&queue, slot, 0);
	guest_virtio_ready(slot);
	present = true;
	return true;
}

uint64_t guest_blk_sectors(void)
{
	return (uint64_t)guest_virtio_config(queue.slot, 4) << 32 |
	       guest_virtio_config(queue.slot, 0);
}

static int request(uint32_t type, uint64_t sector, const void *data, uint32_t bytes)
{
	const struct guest_buf bufs[3] = {
		{&header, sizeof header, false},
		{data, bytes, type == TYPE_IN},
		{(const void *)&status, 1, true},
	};
	const struct guest_buf ends[2] = {bufs[0], bufs[2]};
	uint32_t first, len;

	header.type = type;
	header.sector = sector;
	status = 0xff;
	guest_queue_add(&queue, 0, bytes ? bufs : ends, bytes ? 3 : 2);
	guest_queue_kick(&queue);
	for (;;) {
		guest_irq_pending = 0;
		if (guest_queue_take(&queue, &first, &len))
			break;
		guest_wait_slice(100 * GUEST_NS_MS);
	}
	guest_irq_pending = 1; /* other devices may have spoken meanwhile */
	if (first != 0)
		guest_fail("virtio-blk: an answer to no request");
	return status;
}

int guest_blk_read(uint64_t sector, void *data, uint32_t bytes)
{
	return request(TYPE_IN, sector, data, bytes);
}

int guest_blk_write(uint64_t sector, const void *data, uint32_t bytes)
{
	return request(TYPE_OUT, sector, data, bytes);
}

int guest_blk_flush(void)
{
	return can_flush ? request(TYPE_FLUSH, 0, NULL, 0) : 0;
}
