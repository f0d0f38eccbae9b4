/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_virtio.c - virtio-mmio (version 2) transport and split queues of the bare-metal test guest.
 *
 * Modern devices only, no indirect descriptors, no event index. Descriptors are owned by the
 * callers, who use fixed ones; the used ring comes from the device under test, so its ids are
 * checked.
 */
#include "guest.h"

#define MAGIC		 0x74726976
#define REG_MAGIC	 0x00
#define REG_VERSION	 0x04
#define REG_DEVICE	 0x08
#define REG_FEATURES	 0x10
#define REG_FEATURES_SEL 0x14
#define REG_DRIVER	 0x20
#define REG_DRIVER_SEL	 0x24
#define REG_QUEUE_SEL	 0x30
#define REG_QUEUE_MAX	 0x34
#define REG_QUEUE_SIZE	 0x38
#define REG_QUEUE_READY	 0x44
#define REG_NOTIFY	 0x50
#define REG_STATUS	 0x70
#define REG_DESC	 0x80
#define REG_AVAIL	 0x90
#define REG_USED	 0xa0
#define REG_CONFIG	 0x100

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER	   2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define FEATURE_VERSION_1  (1ull << 32)

#define DESC_NEXT  1u
#define DESC_WRITE 2u

struct guest_desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags, next;
};

struct guest_avail {
	uint16_t flags;
	volatile uint16_t idx;
	uint16_t ring[GUEST_QUEUE_SIZE];
};

struct guest_used {
	uint16_t flags;
	volatile uint16_t idx;
	struct {
		uint32_t id, len;
	} ring[GUEST_QUEUE_SIZE];
};

static uint32_t get(unsigned slot, unsigned reg)
{
	return guest_mmio_read(guest_slot_base[slot] + reg);
}

static void set(unsigned slot, unsigned reg, uint32_t v)
{
	guest_mmio_write(guest_slot_base[slot] + reg, v);
}

static void set64(unsigned slot, unsigned reg, uint64_t v)
{
	set(slot, reg, (uint32_t)v);
	set(slot, reg + 4, (uint32_t)(v >> 32));
}

bool guest_virtio_find(uint32_t device_id, unsigned *slot)
{
	for (; *slot < guest_slots; ++*slot)
		if (get(*slot, REG_MAGIC) == MAGIC && get(*slot, REG_VERSION) == 2 &&
		    get(*slot, REG_DEVICE) == device_id)
			return true;
	return false;
}

uint64_t guest_virtio_start(unsigned slot, uint64_t wanted)
{
	uint64_t agreed;

	set(slot, REG_STATUS, 0);
	while (get(slot, REG_STATUS))
		;
	set(slot, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	set(slot, REG_FEATURES_SEL, 1);
	agreed = (uint64_t)get(slot, REG_FEATURES) << 32;
	set(slot, REG_FEATURES_SEL, 0);
	agreed |= get(slot, REG_FEATURES);
	agreed &= wanted | FEATURE_VERSION_1;
	set(slot, REG_DRIVER_SEL, 1);
	set(slot, REG_DRIVER, (uint32_t)(agreed >> 32));
	set(slot, REG_DRIVER_SEL, 0);
	set(slot, REG_DRIVER, (uint32_t)agreed);
	set(slot, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!(agreed & FEATURE_VERSION_1) || !(get(slot, REG_STATUS) & STATUS_FEATURES_OK))
		guest_fail("virtio: features refused");
	return agreed;
}

void guest_virtio_queue(struct guest_queue *q, unsigned slot, unsigned index)
{
	uint8_t *p = guest_pages(3 * 4096);
	uint32_t max;

	memset(p, 0, 3 * 4096);
	q->slot = slot;
	q->index = index;
	set(slot, REG_QUEUE_SEL, index);
	max = get(slot, REG_QUEUE_MAX);
	q->size = max < GUEST_QUEUE_SIZE ? max : GUEST_QUEUE_SIZE;
	if (!q->size || get(slot, REG_QUEUE_READY))
		guest_fail("virtio: a queue is missing or busy");
	q->desc = (struct guest_desc *)p;
	q->avail = (struct guest_avail *)(p + 4096);
	q->used = (struct guest_used *)(p + 8192);
	q->avail_next = q->used_next = 0;
	set(slot, REG_QUEUE_SIZE, q->size);
	set64(slot, REG_DESC, (uint64_t)q->desc);
	set64(slot, REG_AVAIL, (uint64_t)q->avail);
	set64(slot, REG_USED, (uint64_t)q->used);
	set(slot, REG_QUEUE_READY, 1);
}

void guest_virtio_ready(unsigned slot)
{
	guest_irq_slot(slot);
	set(slot, REG_STATUS,
	    STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

uint32_t guest_virtio_config(unsigned slot, unsigned at)
{
	return get(slot, REG_CONFIG + at);
}

void guest_queue_add(struct guest_queue *q, unsigned first, const struct guest_buf *bufs,
		     unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct guest_desc *d = &q->desc[first + i];

		d->gpa = (uint64_t)bufs[i].data;
		d->len = bufs[i].len;
		d->flags = (uint16_t)((bufs[i].device_writes ? DESC_WRITE : 0) |
				      (i + 1 < n ? DESC_NEXT : 0));
		d->next = (uint16_t)(first + i + 1);
	}
	q->avail->ring[q->avail_next % q->size] = (uint16_t)first;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	q->avail->idx = ++q->avail_next;
}

void guest_queue_kick(struct guest_queue *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(*(volatile uint16_t *)&q->used->flags & 1))
		set(q->slot, REG_NOTIFY, q->index);
}

bool guest_queue_take(struct guest_queue *q, uint32_t *first, uint32_t *len)
{
	if (q->used->idx == q->used_next)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*first = q->used->ring[q->used_next % q->size].id;
	*len = q->used->ring[q->used_next % q->size].len;
	q->used_next++;
	if (*first >= q->size)
		guest_fail("virtio: the device used a descriptor that does not exist");
	return true;
}
