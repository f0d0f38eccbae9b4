/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_virtq.c - split virtqueues, seen from the device.
 *
 * Parses data of the guest, in memory that the guest may change at any moment.
 *
 * Threats and answers:
 *   index jumps (avail.idx - last > num), head >= num          -> broken ring
 *   loops, endless chains, tables inside tables                -> at most HV_CHAIN_MAX descriptors, broken ring
 *   buffers outside RAM, across the end of RAM, of length 0    -> broken ring (checked (gpa, len) only)
 *   readable after writable, sum of lengths over 32 bit        -> broken ring
 *   ring moved outside RAM after it was enabled                -> every ring access is checked again
 *   descriptor changed between check and use                   -> copied once, the copy is used
 */
#include "config.h"

#include "hvcore/devices/hv_virtq.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "hvcore/machine/hv_mem.h"

#define DESC_BYTES 16u
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

const struct hv_field hv_virtq_fields[] = {
	HV_F_U32(struct hv_virtq_state, num),
	HV_F_U8(struct hv_virtq_state, ready),
	HV_F_U64(struct hv_virtq_state, desc_gpa),
	HV_F_U64(struct hv_virtq_state, avail_gpa),
	HV_F_U64(struct hv_virtq_state, used_gpa),
	HV_F_U16(struct hv_virtq_state, last_avail),
	HV_F_U16(struct hv_virtq_state, used_idx),
	HV_F_U16(struct hv_virtq_state, signalled),
	HV_F_U8(struct hv_virtq_state, signalled_valid),
	HV_F_END,
};

struct virtq_desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags, next;
};

/* The table that a walk is in: the ring's own, or an indirect one. */
struct virtq_table {
	uint64_t gpa;
	uint32_t entries;
	bool inner;
};

void hv_virtq_init(struct hv_virtq *q, struct hv_virtq_state *s, struct hv_mem *mem, uint16_t max)
{
	CM_ASSERT(max <= HV_VIRTQ_SIZE_MAX);
	*q = (struct hv_virtq){.s = s, .mem = mem, .max = max};
}

void hv_virtq_reset(struct hv_virtq *q)
{
	memset(q->s, 0, sizeof *q->s);
	q->generation++;
	q->why = NULL;
}

void hv_virtq_set_features(struct hv_virtq *q, uint64_t features)
{
	q->event_idx = features & HV_VIRTQ_F_EVENT_IDX;
	q->indirect = features & HV_VIRTQ_F_INDIRECT;
}

int hv_virtq_check(const struct hv_virtq *q)
{
	const struct hv_virtq_state *s = q->s;

	if (!s->num || s->num > q->max || s->num & (s->num - 1))
		return -EINVAL;
	if (s->desc_gpa & 15 || s->avail_gpa & 1 || s->used_gpa & 3)
		return -EINVAL;
	if (!hv_mem_ptr(q->mem, s->desc_gpa, (uint64_t)DESC_BYTES * s->num) ||
	    !hv_mem_ptr(q->mem, s->avail_gpa, 6 + 2ull * s->num) ||
	    !hv_mem_ptr(q->mem, s->used_gpa, 6 + 8ull * s->num))
		return -EINVAL;
	return 0;
}

static int virtq_broken(struct hv_virtq *q, const char *why)
{
	if (!q->why)
		q->why = why;
	return -EBADMSG;
}

/* --- taking chains ------------------------------------------------------------ */

static int virtq_desc(struct hv_virtq *q, const struct virtq_table *t, uint32_t index, struct virtq_desc *d)
{
	uint8_t raw[DESC_BYTES];

	if (index >= t->entries)
		return virtq_broken(q, "descriptor index out of range");
	if (hv_mem_read(q->mem, t->gpa + (uint64_t)index * DESC_BYTES, raw, sizeof raw) < 0)
		return virtq_broken(q, "descriptor table outside RAM");
	*d = (struct virtq_desc){.gpa = cm_le64(raw), .len = cm_le32(raw + 8),
				 .flags = cm_le16(raw + 12), .next = cm_le16(raw + 14)};
	return 0;
}

/* Enters the indirect table that d names. */
static int virtq_enter(struct hv_virtq *q, struct virtq_table *t, const struct virtq_desc *d)
{
	if (!q->indirect)
		return virtq_broken(q, "indirect descriptor without the feature");
	if (t->inner)
		return virtq_broken(q, "indirect table inside an indirect table");
	if (d->flags & DESC_NEXT)
		return virtq_broken(q, "indirect descriptor with a next");
	if (!d->len || d->len % DESC_BYTES)
		return virtq_broken(q, "indirect table of a bad length");
	*t = (struct virtq_table){.gpa = d->gpa, .entries = d->len / DESC_BYTES, .inner = true};
	return 0;
}

static int virtq_add(struct hv_virtq *q, struct hv_chain *c, const struct virtq_desc *d)
{
	bool in = d->flags & DESC_WRITE;
	uint32_t *sum = in ? &c->in_bytes : &c->out_bytes;
	unsigned n = c->out + c->in;
	void *hva;

	if (n >= HV_CHAIN_MAX)
		return virtq_broken(q, "chain too long");
	if (!in && c->in)
		return virtq_broken(q, "readable buffer after a writable one");
	if (!d->len)
		return virtq_broken(q, "buffer of length 0");
	if (*sum + d->len < *sum)
		return virtq_broken(q, "chain of 4 GiB or more");
	hva = hv_mem_ptr(q->mem, d->gpa, d->len);
	if (!hva)
		return virtq_broken(q, "buffer outside RAM");
	c->iov[n] = (struct iovec){.iov_base = hva, .iov_len = d->len};
	c->gpa[n] = d->gpa;
	*sum += d->len;
	if (in)
		c->in++;
	else
		c->out++;
	return 0;
}

static int virtq_walk(struct hv_virtq *q, struct hv_chain *c)
{
	struct virtq_table t = {.gpa = q->s->desc_gpa, .entries = q->s->num};
	uint32_t index = c->head;
	struct virtq_desc d;
	int rc;

	for (unsigned steps = 0; steps < HV_CHAIN_MAX + 1; steps++) {
		rc = virtq_desc(q, &t, index, &d);
		if (rc < 0)
			return rc;
		if (d.flags & DESC_INDIRECT) {
			rc = virtq_enter(q, &t, &d);
			if (rc < 0)
				return rc;
			index = 0;
			continue;
		}
		rc = virtq_add(q, c, &d);
		if (rc < 0)
			return rc;
		if (!(d.flags & DESC_NEXT))
			return 0;
		index = d.next;
	}
	return virtq_broken(q, "chain too long");
}

static int virtq_pending(struct hv_virtq *q, uint16_t *n)
{
	uint16_t idx;

	if (hv_mem_load16(q->mem, q->s->avail_gpa + 2, &idx) < 0)
		return virtq_broken(q, "available ring outside RAM");
	*n = (uint16_t)(idx - q->s->last_avail);
	if (*n > q->s->num)
		return virtq_broken(q, "available index jumped");
	return 0;
}

int hv_virtq_pop(struct hv_virtq *q, struct hv_chain *c)
{
	struct hv_virtq_state *s = q->s;
	uint16_t n = 0;
	int rc;

	if (!s->ready || !s->num)
		return 0;
	rc = virtq_pending(q, &n);
	if (rc < 0 || !n)
		return rc;
	c->out = c->in = 0;
	c->out_bytes = c->in_bytes = 0;
	c->generation = q->generation;
	if (hv_mem_load16(q->mem, s->avail_gpa + 4 + 2ull * (s->last_avail % s->num), &c->head) < 0)
		return virtq_broken(q, "available ring outside RAM");
	rc = virtq_walk(q, c);
	if (rc < 0)
		return rc;
	s->last_avail++;
	return 1;
}

void hv_virtq_unpop(struct hv_virtq *q, unsigned n)
{
	q->s->last_avail = (uint16_t)(q->s->last_avail - n);
}

bool hv_virtq_empty(struct hv_virtq *q)
{
	uint16_t n = 0;

	/* A broken ring is not empty: the next pop says so. */
	return !q->s->ready || !q->s->num || (virtq_pending(q, &n) == 0 && n == 0);
}

/* --- giving chains back --------------------------------------------------------- */

int hv_virtq_push(struct hv_virtq *q, uint16_t head, uint32_t written)
{
	struct hv_virtq_state *s = q->s;
	uint64_t elem = s->used_gpa + 4 + 8ull * (s->num ? s->used_idx % s->num : 0);

	if (hv_mem_store32(q->mem, elem, head) < 0 || hv_mem_store32(q->mem, elem + 4, written) < 0 ||
	    hv_mem_store16(q->mem, s->used_gpa + 2, (uint16_t)(s->used_idx + 1)) < 0)
		return virtq_broken(q, "used ring outside RAM");
	s->used_idx++;
	return 0;
}

bool hv_virtq_wants_irq(struct hv_virtq *q)
{
	struct hv_virtq_state *s = q->s;
	uint16_t old = s->signalled, now = s->used_idx, word = 0;
	bool valid = s->signalled_valid, wants;

	atomic_thread_fence(memory_order_seq_cst); /* used.idx before the guest's wish */
	if (!q->event_idx) {
		wants = hv_mem_load16(q->mem, s->avail_gpa, &word) == 0 && !(word & AVAIL_NO_INTERRUPT);
	} else if (hv_mem_load16(q->mem, s->avail_gpa + 4 + 2ull * s->num, &word) < 0) {
		wants = false;
	} else {
		wants = !valid || (uint16_t)(now - word - 1) < (uint16_t)(now - old);
	}
	if (wants || q->event_idx) {
		s->signalled = now;
		s->signalled_valid = 1;
	}
	return wants;
}

void hv_virtq_bell_off(struct hv_virtq *q)
{
	/* With event index the guest rings only when it passes avail_event, which we do not move now. */
	if (q->s->ready && !q->event_idx && hv_mem_store16(q->mem, q->s->used_gpa, USED_NO_NOTIFY) < 0)
		virtq_broken(q, "used ring outside RAM"); /* the next pop or push fails, too */
}

static void virtq_bell_at(struct hv_virtq *q, uint16_t event)
{
	struct hv_virtq_state *s = q->s;
	int rc;

	if (q->event_idx)
		rc = hv_mem_store16(q->mem, s->used_gpa + 4 + 8ull * s->num, event);
	else
		rc = hv_mem_store16(q->mem, s->used_gpa, 0);
	if (rc < 0)
		virtq_broken(q, "used ring outside RAM");
	atomic_thread_fence(memory_order_seq_cst); /* the bell before the last look */
}

bool hv_virtq_bell_on(struct hv_virtq *q)
{
	if (!q->s->ready)
		return false;
	virtq_bell_at(q, q->s->last_avail);
	return !hv_virtq_empty(q);
}

bool hv_virtq_bell_more(struct hv_virtq *q)
{
	uint16_t before = 0, now = 0;

	if (!q->s->ready || virtq_pending(q, &before) < 0)
		return false;
	virtq_bell_at(q, (uint16_t)(q->s->last_avail + before));
	return virtq_pending(q, &now) == 0 && now != before;
}

/* --- bytes of a chain ------------------------------------------------------------ */

size_t hv_chain_read(const struct hv_chain *c, size_t at, void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < c->out && done < len; i++) {
		size_t have = c->iov[i].iov_len, n;

		if (at >= have) {
			at -= have;
			continue;
		}
		n = CM_MIN(have - at, len - done);
		memcpy((uint8_t *)buf + done, (uint8_t *)c->iov[i].iov_base + at, n);
		done += n;
		at = 0;
	}
	return done;
}

size_t hv_chain_write(const struct hv_chain *c, struct hv_mem *mem, size_t at, const void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = c->out; i < c->out + c->in && done < len; i++) {
		size_t have = c->iov[i].iov_len, n;

		if (at >= have) {
			at -= have;
			continue;
		}
		n = CM_MIN(have - at, len - done);
		memcpy((uint8_t *)c->iov[i].iov_base + at, (const uint8_t *)buf + done, n);
		hv_mem_mark(mem, c->gpa[i] + at, n);
		done += n;
		at = 0;
	}
	return done;
}

void hv_chain_mark(const struct hv_chain *c, struct hv_mem *mem, size_t n)
{
	for (unsigned i = c->out; i < c->out + c->in && n; i++) {
		size_t k = CM_MIN(c->iov[i].iov_len, n);

		hv_mem_mark(mem, c->gpa[i], k);
		n -= k;
	}
}
