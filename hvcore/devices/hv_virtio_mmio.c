/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_virtio_mmio.c - registers and status machine of virtio-mmio version 2 (virtio 1.2, 4.2).
 *
 * Parses register accesses of the guest. The legacy interface (version 1) is not offered.
 *
 * Threats and answers:
 *   registers in any order, width, value       -> only aligned 4-byte accesses count; the rest is counted and void
 *   queue of a bad size, alignment or address  -> NEEDS_RESET when it is made ready; nothing is mapped
 *   ring addresses changed while in use        -> ignored while the queue is ready
 *   features that were not offered             -> FEATURES_OK does not stick
 *   reset while a backend works on requests    -> their completions find another queue generation and
 *                                                 are dropped; no host memory of theirs goes away before
 *   ringing without end                        -> an eventfd counts, the loop serves with a budget
 */
#include "config.h"

#include "hvcore/devices/hv_virtio_mmio.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_machine.h"
#include "hvcore/machine/hv_mem.h"

#define MAGIC  0x74726976u /* "virt" */
#define VENDOR 0x4c435648u /* "HVCL" */
#define CONFIG_OFFSET 0x100u
#define CONFIG_MAX    (HV_VIRTIO_BYTES - CONFIG_OFFSET)

enum {
	R_MAGIC = 0x00, R_VERSION = 0x04, R_DEVICE_ID = 0x08, R_VENDOR = 0x0c,
	R_FEATURES = 0x10, R_FEATURES_SEL = 0x14, R_DRV_FEATURES = 0x20, R_DRV_FEATURES_SEL = 0x24,
	R_QUEUE_SEL = 0x30, R_QUEUE_MAX = 0x34, R_QUEUE_NUM = 0x38, R_QUEUE_READY = 0x44,
	R_NOTIFY = 0x50, R_ISR = 0x60, R_ACK = 0x64, R_STATUS = 0x70,
	R_DESC_LO = 0x80, R_DESC_HI = 0x84, R_AVAIL_LO = 0x90, R_AVAIL_HI = 0x94,
	R_USED_LO = 0xa0, R_USED_HI = 0xa4,
	R_SHM_FIRST = 0xac, R_SHM_LAST = 0xbc, R_GENERATION = 0xfc,
};

const struct hv_field hv_virtio_fields[] = {
	HV_F_U32(struct hv_virtio_state, status),
	HV_F_U32(struct hv_virtio_state, isr),
	HV_F_U32(struct hv_virtio_state, features_sel),
	HV_F_U32(struct hv_virtio_state, driver_features_sel),
	HV_F_U32(struct hv_virtio_state, queue_sel),
	HV_F_U32(struct hv_virtio_state, config_generation),
	HV_F_U64(struct hv_virtio_state, driver_features),
	HV_F_STRUCTS(struct hv_virtio_state, q, hv_virtq_fields),
	HV_F_END,
};

/* --- helpers for devices --------------------------------------------------------- */

bool hv_virtio_live(const struct hv_virtio *v)
{
	return v->running && (v->s->status & (HV_VIRTIO_S_DRIVER_OK | HV_VIRTIO_S_NEEDS_RESET |
					      HV_VIRTIO_S_FAILED)) == HV_VIRTIO_S_DRIVER_OK;
}

bool hv_virtio_has(const struct hv_virtio *v, uint64_t feature)
{
	return v->s->driver_features & feature;
}

static void virtio_line(struct hv_virtio *v)
{
	hv_irq_set(&v->dev->irq, v->s->isr != 0);
}

static void virtio_raise(struct hv_virtio *v, uint32_t bits)
{
	v->s->isr |= bits;
	v->counters.irqs++;
	virtio_line(v);
}

void hv_virtio_broken(struct hv_virtio *v, const char *why)
{
	v->counters.broken++;
	if (v->s->status & HV_VIRTIO_S_NEEDS_RESET)
		return;
	v->s->status |= HV_VIRTIO_S_NEEDS_RESET;
	cm_warning("%s%u: the guest's driver broke a rule (%s); it must reset the device",
		   v->dev->ops->name, v->dev->env.instance, why);
	if (v->s->status & HV_VIRTIO_S_DRIVER_OK)
		virtio_raise(v, HV_VIRTIO_ISR_CONFIG);
}

bool hv_virtio_pop(struct hv_virtio *v, unsigned queue, struct hv_chain *c)
{
	int rc;

	if (!hv_virtio_live(v))
		return false;
	rc = hv_virtq_pop(&v->q[queue], c);
	if (rc < 0)
		hv_virtio_broken(v, v->q[queue].why);
	return rc > 0;
}

void hv_virtio_push(struct hv_virtio *v, unsigned queue, uint16_t head, uint32_t written)
{
	if (!v->s->q[queue].ready)
		return;
	if (hv_virtq_push(&v->q[queue], head, written) < 0)
		hv_virtio_broken(v, v->q[queue].why);
}

void hv_virtio_notify(struct hv_virtio *v, unsigned queue)
{
	if (v->s->q[queue].ready && hv_virtq_wants_irq(&v->q[queue]))
		virtio_raise(v, HV_VIRTIO_ISR_RING);
}

void hv_virtio_config_changed(struct hv_virtio *v)
{
	v->s->config_generation++;
	if (v->s->status & HV_VIRTIO_S_DRIVER_OK)
		virtio_raise(v, HV_VIRTIO_ISR_CONFIG);
}

void hv_virtio_kick(struct hv_virtio *v)
{
	uint64_t one = 1;
	ssize_t n = write(v->kick_fd, &one, sizeof one);

	(void)n; /* EAGAIN: it is awake anyway */
}

void hv_virtio_get(struct hv_virtio *v)
{
	v->inflight++;
}

void hv_virtio_put(struct hv_virtio *v)
{
	CM_ASSERT(v->inflight > 0);
	v->inflight--;
	if (!v->inflight && v->pausing) {
		v->pausing = false;
		v->dev->env.idle(v->dev->env.arg, v->dev);
	}
}

/* --- the loop's side --------------------------------------------------------------- */

static void virtio_kicked(struct cm_io *io, unsigned events, void *arg)
{
	struct hv_virtio *v = arg;
	bool again = false;
	uint64_t n;

	(void)events;
	if (read(io->fd, &n, sizeof n) < 0)
		return;
	hv_lock_take(v->dev->env.lock);
	v->counters.kicks++;
	for (unsigned i = 0; i < v->class->queues && hv_virtio_live(v); i++)
		if (v->s->q[i].ready)
			again |= v->class->queue(v, i);
	if (again)
		hv_virtio_kick(v);
	hv_lock_drop(v->dev->env.lock);
}

int hv_virtio_pause(struct hv_virtio *v)
{
	v->running = false;
	v->pausing = v->inflight > 0;
	return v->pausing ? -EINPROGRESS : 0;
}

void hv_virtio_resume(struct hv_virtio *v)
{
	v->running = true;
	v->pausing = false;
	hv_virtio_kick(v); /* what was rung while we were paused, or before we were moved */
}

static uint64_t virtio_offered(const struct hv_virtio *v)
{
	uint64_t own = v->class->features ? v->class->features(v) : 0;

	return own | HV_VIRTIO_F_VERSION_1 | HV_VIRTQ_F_INDIRECT | HV_VIRTQ_F_EVENT_IDX;
}

static void virtio_settle(struct hv_virtio *v)
{
	for (unsigned i = 0; i < v->class->queues; i++)
		hv_virtq_set_features(&v->q[i], v->s->driver_features);
}

int hv_virtio_init(struct hv_virtio *v, struct hv_dev *dev, const struct hv_virtio_class *class,
		   struct cm_err *err)
{
	v->dev = dev;
	v->s = dev->state;
	v->class = class;
	for (unsigned i = 0; i < HV_VIRTIO_QUEUES; i++)
		hv_virtq_init(&v->q[i], &v->s->q[i], dev->env.mem, class->queue_max[i]);
	if (v->s->driver_features & ~virtio_offered(v) && v->s->status & HV_VIRTIO_S_FEATURES_OK)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "%s: the guest uses features that it does not have here",
				  dev->ops->name);
	virtio_settle(v);
	v->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->kick_fd < 0)
		return cm_err_set(err, -errno, "%s: no eventfd: %s", dev->ops->name, strerror(errno));
	cm_io_init(&v->kick, dev->env.loop, v->kick_fd, virtio_kicked, v);
	if (cm_io_want(&v->kick, CM_READ) < 0 ||
	    hv_bus_doorbell(dev->env.bus, dev->env.base + R_NOTIFY, v->kick_fd, true) < 0) {
		cm_io_fini(&v->kick);
		close(v->kick_fd);
		return cm_err_set(err, CM_E_DEVICE, "%s: cannot set up its doorbell", dev->ops->name);
	}
	v->bell = true;
	if (v->s->status & HV_VIRTIO_S_DRIVER_OK && class->driver_ok)
		class->driver_ok(v);
	virtio_line(v);
	return 0;
}

void hv_virtio_fini(struct hv_virtio *v)
{
	CM_ASSERT(!v->inflight);
	if (v->bell && hv_bus_doorbell(v->dev->env.bus, v->dev->env.base + R_NOTIFY, v->kick_fd, false) < 0)
		cm_warning("%s: doorbell was gone already", v->dev->ops->name);
	cm_io_fini(&v->kick);
	close(v->kick_fd);
}

/* --- registers ------------------------------------------------------------------------ */

static void virtio_reset(struct hv_virtio *v)
{
	struct hv_virtio_state *s = v->s;
	uint32_t generation = s->config_generation;

	for (unsigned i = 0; i < HV_VIRTIO_QUEUES; i++)
		hv_virtq_reset(&v->q[i]);
	s->status = s->isr = 0;
	s->features_sel = s->driver_features_sel = s->queue_sel = 0;
	s->config_generation = generation + 1;
	s->driver_features = 0;
	v->counters.resets++;
	virtio_settle(v);
	virtio_line(v);
	if (v->class->reset)
		v->class->reset(v);
}

static void virtio_write_status(struct hv_virtio *v, uint32_t value)
{
	struct hv_virtio_state *s = v->s;
	uint32_t fresh = value & ~s->status & 0xff;

	if (!(value & 0xff)) {
		virtio_reset(v);
		return;
	}
	if (fresh & HV_VIRTIO_S_FEATURES_OK) {
		if (s->driver_features & ~virtio_offered(v) || !(s->driver_features & HV_VIRTIO_F_VERSION_1))
			fresh &= ~HV_VIRTIO_S_FEATURES_OK;
		else
			virtio_settle(v);
	}
	if (fresh & HV_VIRTIO_S_DRIVER_OK && !((s->status | fresh) & HV_VIRTIO_S_FEATURES_OK))
		fresh &= ~HV_VIRTIO_S_DRIVER_OK;
	s->status |= fresh & ~HV_VIRTIO_S_NEEDS_RESET;
	if (fresh & HV_VIRTIO_S_DRIVER_OK) {
		if (v->class->driver_ok)
			v->class->driver_ok(v);
		hv_virtio_kick(v);
	}
}

static void virtio_write_features(struct hv_virtio *v, uint32_t value)
{
	struct hv_virtio_state *s = v->s;

	if (s->status & HV_VIRTIO_S_FEATURES_OK || s->driver_features_sel > 1)
		return;
	if (s->driver_features_sel)
		s->driver_features = (s->driver_features & 0xffffffffu) | (uint64_t)value << 32;
	else
		s->driver_features = (s->driver_features & ~0xffffffffull) | value;
}

static void virtio_write_ready(struct hv_virtio *v, unsigned i, uint32_t value)
{
	if (!(value & 1)) {
		hv_virtq_reset(&v->q[i]);
		return;
	}
	if (v->s->q[i].ready)
		return;
	if (hv_virtq_check(&v->q[i]) < 0) {
		hv_virtio_broken(v, "queue of a bad size or address");
		return;
	}
	v->s->q[i].ready = 1;
}

static void virtio_set_half(uint64_t *word, bool high, uint32_t value)
{
	if (high)
		*word = (*word & 0xffffffffu) | (uint64_t)value << 32;
	else
		*word = (*word & ~0xffffffffull) | value;
}

static void virtio_write_queue(struct hv_virtio *v, uint32_t offset, uint32_t value)
{
	struct hv_virtq_state *q;

	if (v->s->queue_sel >= v->class->queues)
		return;
	q = &v->s->q[v->s->queue_sel];
	if (offset == R_QUEUE_READY) {
		virtio_write_ready(v, v->s->queue_sel, value);
		return;
	}
	if (q->ready) {
		v->counters.bad_access++;
		return;
	}
	switch (offset) {
	case R_QUEUE_NUM:
		q->num = value;
		break;
	case R_DESC_LO:
	case R_DESC_HI:
		virtio_set_half(&q->desc_gpa, offset == R_DESC_HI, value);
		break;
	case R_AVAIL_LO:
	case R_AVAIL_HI:
		virtio_set_half(&q->avail_gpa, offset == R_AVAIL_HI, value);
		break;
	default:
		virtio_set_half(&q->used_gpa, offset == R_USED_HI, value);
		break;
	}
}

static void virtio_write(struct hv_virtio *v, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case R_FEATURES_SEL:
		v->s->features_sel = value;
		break;
	case R_DRV_FEATURES:
		virtio_write_features(v, value);
		break;
	case R_DRV_FEATURES_SEL:
		v->s->driver_features_sel = value;
		break;
	case R_QUEUE_SEL:
		v->s->queue_sel = value;
		break;
	case R_NOTIFY:
		hv_virtio_kick(v); /* not taken as a doorbell */
		break;
	case R_ACK:
		v->s->isr &= ~value;
		virtio_line(v);
		break;
	case R_STATUS:
		virtio_write_status(v, value);
		break;
	case R_QUEUE_NUM:
	case R_QUEUE_READY:
	case R_DESC_LO:
	case R_DESC_HI:
	case R_AVAIL_LO:
	case R_AVAIL_HI:
	case R_USED_LO:
	case R_USED_HI:
		virtio_write_queue(v, offset, value);
		break;
	default:
		v->counters.bad_access++;
		break;
	}
}

static uint32_t virtio_read(struct hv_virtio *v, uint32_t offset)
{
	const struct hv_virtio_state *s = v->s;
	bool queue = s->queue_sel < v->class->queues;

	switch (offset) {
	case R_MAGIC:
		return MAGIC;
	case R_VERSION:
		return 2;
	case R_DEVICE_ID:
		return v->class->device_id;
	case R_VENDOR:
		return VENDOR;
	case R_FEATURES:
		return s->features_sel > 1 ? 0 : (uint32_t)(virtio_offered(v) >> (s->features_sel ? 32 : 0));
	case R_QUEUE_MAX:
		return queue ? v->q[s->queue_sel].max : 0;
	case R_QUEUE_READY:
		return queue ? s->q[s->queue_sel].ready : 0;
	case R_ISR:
		return s->isr;
	case R_STATUS:
		return s->status;
	case R_GENERATION:
		return s->config_generation;
	default:
		if (offset >= R_SHM_FIRST && offset <= R_SHM_LAST)
			return 0xffffffffu; /* no shared memory regions */
		v->counters.bad_access++;
		return 0;
	}
}

static void virtio_config(struct hv_virtio *v, uint64_t offset, uint8_t *data, unsigned len, bool write)
{
	uint8_t space[CONFIG_MAX] = {0};

	if (offset + len > CONFIG_MAX)
		return;
	if (write) {
		if (v->class->config_write)
			v->class->config_write(v, offset, data, len);
		return;
	}
	if (v->class->config)
		CM_ASSERT(v->class->config(v, space, sizeof space) <= sizeof space);
	memcpy(data, space + offset, len);
}

void hv_virtio_io(struct hv_virtio *v, uint64_t offset, void *data, unsigned len, bool write)
{
	uint32_t word;

	if (offset >= CONFIG_OFFSET) {
		virtio_config(v, offset - CONFIG_OFFSET, data, len, write);
		return;
	}
	if (len != 4 || offset & 3) {
		v->counters.bad_access++;
		return;
	}
	if (write) {
		virtio_write(v, (uint32_t)offset, cm_le32(data));
		return;
	}
	word = virtio_read(v, (uint32_t)offset);
	cm_put_le32(data, word);
}

int hv_virtio_check(const struct hv_virtio_state *s, const struct hv_virtio_class *class,
		    const char *name, struct cm_err *err)
{
	if (s->status > 0xff || s->isr & ~(HV_VIRTIO_ISR_RING | HV_VIRTIO_ISR_CONFIG))
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "%s: impossible status or interrupt bits", name);
	for (unsigned i = 0; i < HV_VIRTIO_QUEUES; i++) {
		const struct hv_virtq_state *q = &s->q[i];

		if (q->ready > 1 || q->signalled_valid > 1 || (q->ready && i >= class->queues))
			return cm_err_set(err, CM_E_STREAM_CORRUPT, "%s: impossible queue %u", name, i);
		if (q->ready && (!q->num || q->num > class->queue_max[i] || q->num & (q->num - 1)))
			return cm_err_set(err, CM_E_STREAM_CORRUPT, "%s: queue %u of impossible size",
					  name, i);
	}
	return 0;
}

void hv_virtio_put_counters(const struct hv_virtio *v, hv_counter_fn fn, void *arg)
{
	fn(arg, "kicks", v->counters.kicks);
	fn(arg, "irqs", v->counters.irqs);
	fn(arg, "resets", v->counters.resets);
	fn(arg, "needs_reset", v->counters.broken);
	fn(arg, "bad_access", v->counters.bad_access);
	fn(arg, "inflight", v->inflight);
}

void hv_virtio_dump(const struct hv_virtio *v, FILE *to)
{
	fprintf(to, "  %s%u: %s%s inflight %u\n", v->dev->ops->name, v->dev->env.instance,
		v->running ? "running" : "paused", hv_virtio_live(v) ? " live" : "", v->inflight);
	for (unsigned i = 0; i < v->class->queues; i++)
		fprintf(to, "    queue %u: %s last_avail %u used %u generation %u %s\n", i,
			v->s->q[i].ready ? "ready" : "off", v->s->q[i].last_avail, v->s->q[i].used_idx,
			v->q[i].generation, v->q[i].why ? v->q[i].why : "");
}
