/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_devkit.c - a device on a test bench. Asserts on its own mistakes; the device must never.
 */
#include "config.h"

#include "tests/unit/hv_devkit.h"

#include <stdlib.h>
#include <string.h>

#include "hvcore/devices/hv_virtio_mmio.h"

static void kit_irq(void *arg, unsigned gsi, bool level)
{
	struct kit *k = arg;

	(void)gsi;
	k->line = level;
	k->raised += level;
}

static void kit_event(void *arg, enum hv_guest_event event)
{
	struct kit *k = arg;

	k->event = event;
	k->events++;
}

static void kit_idle(void *arg, struct hv_dev *dev)
{
	struct kit *k = arg;

	CM_ASSERT(dev == &k->dev);
	k->idle++;
}

static void kit_io(void *arg, uint64_t offset, void *data, unsigned len, bool write)
{
	struct kit *k = arg;

	k->dev.ops->io(&k->dev, offset, data, len, write);
}

void kit_open(struct kit *k)
{
	struct cm_err err = CM_ERR_INIT;

	memset(k, 0, sizeof *k);
	k->loop = cm_loop_new(&err);
	hv_lock_init(&k->lock);
	CM_ASSERT(k->loop && hv_mem_new(&k->mem, KIT_RAM, &err) == 0);
	CM_ASSERT(hv_bus_new(&k->bus, &k->lock) == 0 && hv_char_new(&k->chr, k->loop, &k->lock) == 0);
}

void kit_close(struct kit *k)
{
	hv_char_free(k->chr);
	hv_bus_free(k->bus);
	cm_loop_free(k->loop);
	hv_mem_free(k->mem);
	hv_lock_fini(&k->lock);
}

static bool kit_create(struct kit *k)
{
	struct cm_err err = CM_ERR_INIT;
	int rc;

	if (k->dev.ops->check && k->dev.ops->check(k->dev.state, k->cfg, &err) < 0)
		return false;
	hv_lock_take(&k->lock);
	rc = k->dev.ops->create(&k->dev, k->cfg, &err);
	hv_lock_drop(&k->lock);
	if (rc < 0)
		return false;
	CM_ASSERT(hv_bus_add_mmio(k->bus, KIT_BASE, 0x200, "device", kit_io, k) == 0);
	return true;
}

static void kit_destroy(struct kit *k)
{
	hv_lock_take(&k->lock);
	k->dev.ops->destroy(&k->dev);
	hv_lock_drop(&k->lock);
	hv_bus_clear(k->bus);
}

bool kit_plug_state(struct kit *k, const struct hv_dev_ops *ops, const void *cfg, const void *state)
{
	k->cfg = cfg;
	k->dev = (struct hv_dev){
		.ops = ops,
		.env = {.mem = k->mem, .bus = k->bus, .loop = k->loop, .lock = &k->lock, .base = KIT_BASE,
			.guest_event = kit_event, .idle = kit_idle, .arg = k},
		.irq = {.set = kit_irq, .arg = k, .gsi = 10},
		.state = calloc(1, ops->state_bytes),
	};
	CM_ASSERT(k->dev.state);
	if (state)
		memcpy(k->dev.state, state, ops->state_bytes);
	else
		ops->defaults(k->dev.state, cfg);
	k->line = false;
	if (!kit_create(k)) {
		free(k->dev.state);
		return false;
	}
	kit_resume(k);
	return true;
}

void kit_plug(struct kit *k, const struct hv_dev_ops *ops, const void *cfg)
{
	CM_ASSERT(kit_plug_state(k, ops, cfg, NULL));
}

int kit_pause(struct kit *k)
{
	int rc;

	hv_lock_take(&k->lock);
	rc = k->dev.ops->pause ? k->dev.ops->pause(&k->dev) : 0;
	hv_lock_drop(&k->lock);
	return rc;
}

void kit_resume(struct kit *k)
{
	hv_lock_take(&k->lock);
	if (k->dev.ops->resume)
		k->dev.ops->resume(&k->dev);
	hv_lock_drop(&k->lock);
}

void kit_unplug(struct kit *k)
{
	while (kit_pause(k) < 0)
		cm_loop_turn(k->loop, 100);
	kit_destroy(k);
	free(k->dev.state);
	kit_settle(k);
}

void kit_move(struct kit *k)
{
	const struct hv_dev_ops *ops = k->dev.ops;
	struct cm_err err = CM_ERR_INIT;
	struct hv_section s;
	struct cm_buf b;
	struct cm_rd r;

	CM_ASSERT(kit_pause(k) == 0);
	cm_buf_init(&b, 1u << 20);
	hv_object_put(&b, ops->name, 0, ops->version, ops->fields, ops->subs, k->dev.state);
	kit_destroy(k);
	memset(k->dev.state, 0xa5, ops->state_bytes);
	ops->defaults(k->dev.state, k->cfg);
	r = cm_rd_init(b.data, b.len);
	CM_ASSERT(b.err == 0 && hv_section_get(&r, &s, &err) == 0);
	CM_ASSERT(hv_object_get(&s, ops->fields, ops->subs, k->dev.state, &err) == 0);
	cm_buf_fini(&b);
	k->dev.irq.level = false;
	k->line = false;
	CM_ASSERT(kit_create(k));
	kit_resume(k);
}

uint32_t kit_in(struct kit *k, uint64_t offset, unsigned len)
{
	uint8_t data[8] = {0};

	hv_bus_mmio(k->bus, KIT_BASE + offset, data, len, false);
	return cm_le32(data);
}

void kit_out(struct kit *k, uint64_t offset, uint32_t value, unsigned len)
{
	uint8_t data[8] = {0};

	cm_put_le32(data, value);
	hv_bus_mmio(k->bus, KIT_BASE + offset, data, len, true);
}

struct kit_find {
	const char *name;
	uint64_t value;
};

static void kit_found(void *arg, const char *name, uint64_t value)
{
	struct kit_find *f = arg;

	if (!strcmp(name, f->name))
		f->value = value;
}

uint64_t kit_counter(struct kit *k, const char *name)
{
	struct kit_find f = {.name = name};

	k->dev.ops->counters(&k->dev, kit_found, &f);
	return f.value;
}

void kit_settle(struct kit *k)
{
	for (int i = 0; i < 8; i++)
		cm_loop_turn(k->loop, 0);
}

/* --- the driver's side of virtio -------------------------------------------------------- */

uint64_t kit_offered(struct kit *k)
{
	uint64_t f;

	kit_out(k, 0x14, 1, 4);
	f = (uint64_t)kit_in(k, 0x10, 4) << 32;
	kit_out(k, 0x14, 0, 4);
	return f | kit_in(k, 0x10, 4);
}

uint32_t kit_driver(struct kit *k, uint64_t features)
{
	kit_out(k, 0x70, 0, 4);
	kit_out(k, 0x70, HV_VIRTIO_S_ACK, 4);
	kit_out(k, 0x70, HV_VIRTIO_S_ACK | HV_VIRTIO_S_DRIVER, 4);
	kit_out(k, 0x24, 1, 4);
	kit_out(k, 0x20, (uint32_t)(features >> 32), 4);
	kit_out(k, 0x24, 0, 4);
	kit_out(k, 0x20, (uint32_t)features, 4);
	kit_out(k, 0x70, HV_VIRTIO_S_ACK | HV_VIRTIO_S_DRIVER | HV_VIRTIO_S_FEATURES_OK, 4);
	return kit_in(k, 0x70, 4);
}

void kit_queue_init(struct kit *k, struct kit_queue *q, unsigned index, unsigned num, uint64_t gpa)
{
	static const uint8_t zero[16384];

	*q = (struct kit_queue){.k = k, .index = index, .num = num, .desc = gpa};
	q->avail = gpa + 16ull * num;
	q->used = (q->avail + 6 + 2ull * num + 3) & ~3ull;
	kit_poke(k, gpa, zero, (size_t)(q->used + 6 + 8ull * num - gpa));
	kit_out(k, 0x30, index, 4);
	kit_out(k, 0x38, num, 4);
	kit_out(k, 0x80, (uint32_t)q->desc, 4);
	kit_out(k, 0x84, (uint32_t)(q->desc >> 32), 4);
	kit_out(k, 0x90, (uint32_t)q->avail, 4);
	kit_out(k, 0x94, (uint32_t)(q->avail >> 32), 4);
	kit_out(k, 0xa0, (uint32_t)q->used, 4);
	kit_out(k, 0xa4, (uint32_t)(q->used >> 32), 4);
	kit_out(k, 0x44, 1, 4);
}

void kit_driver_ok(struct kit *k)
{
	kit_out(k, 0x70, kit_in(k, 0x70, 4) | HV_VIRTIO_S_DRIVER_OK, 4);
}

static void kit_desc(struct kit *k, uint64_t table, unsigned i, const struct kit_buf *b, bool next, unsigned to)
{
	uint8_t d[16];

	cm_put_le64(d, b->gpa);
	cm_put_le32(d + 8, b->len);
	cm_put_le16(d + 12, (uint16_t)((next ? 1 : 0) | (b->in ? 2 : 0)));
	cm_put_le16(d + 14, (uint16_t)to);
	kit_poke(k, table + 16ull * i, d, sizeof d);
}

uint16_t kit_offer(struct kit_queue *q, const struct kit_buf *bufs, unsigned n, uint64_t indirect)
{
	uint16_t head = (uint16_t)(q->next_desc % q->num);
	uint8_t word[16];

	if (indirect) {
		for (unsigned i = 0; i < n; i++)
			kit_desc(q->k, indirect, i, &bufs[i], i + 1 < n, i + 1);
		cm_put_le64(word, indirect);
		cm_put_le32(word + 8, 16 * n);
		cm_put_le32(word + 12, 4);
		kit_poke(q->k, q->desc + 16ull * head, word, 16);
		q->next_desc++;
	} else {
		for (unsigned i = 0; i < n; i++, q->next_desc++)
			kit_desc(q->k, q->desc, q->next_desc % q->num, &bufs[i], i + 1 < n,
				 (q->next_desc + 1u) % q->num);
	}
	cm_put_le16(word, head);
	kit_poke(q->k, q->avail + 4 + 2ull * (q->avail_idx % q->num), word, 2);
	q->avail_idx++;
	cm_put_le16(word, q->avail_idx);
	kit_poke(q->k, q->avail + 2, word, 2);
	return head;
}

void kit_ring(struct kit_queue *q)
{
	kit_out(q->k, 0x50, q->index, 4);
	kit_settle(q->k);
}

bool kit_used(struct kit_queue *q, uint32_t *head, uint32_t *len)
{
	uint8_t word[8];

	kit_peek(q->k, q->used + 2, word, 2);
	if (cm_le16(word) == q->used_seen)
		return false;
	kit_peek(q->k, q->used + 4 + 8ull * (q->used_seen % q->num), word, 8);
	*head = cm_le32(word);
	*len = cm_le32(word + 4);
	q->used_seen++;
	return true;
}

void kit_poke(struct kit *k, uint64_t gpa, const void *data, size_t len)
{
	CM_ASSERT(hv_mem_write(k->mem, gpa, data, len) == 0);
}

void kit_peek(struct kit *k, uint64_t gpa, void *data, size_t len)
{
	CM_ASSERT(hv_mem_read(k->mem, gpa, data, len) == 0);
}

int kit_setup(void **state)
{
	struct kit *k = malloc(sizeof *k);

	kit_open(k);
	*state = k;
	return 0;
}

int kit_teardown(void **state)
{
	kit_unplug(*state);
	kit_close(*state);
	free(*state);
	return 0;
}

size_t kit_said(struct kit *k, char *out, size_t cap)
{
	size_t n;

	hv_lock_take(&k->lock);
	n = hv_char_history(k->chr, (uint8_t *)out, cap - 1);
	hv_lock_drop(&k->lock);
	out[n] = 0;
	return n;
}
