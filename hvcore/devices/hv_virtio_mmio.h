/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_virtio_mmio.h - the virtio-mmio transport (version 2 only) that all virtio devices share.
 *
 * A virtio device embeds struct hv_virtio_state first in its state and struct hv_virtio first in its
 * impl, names its class, and gets its queues served on the loop whenever the guest rang (by an
 * eventfd, so no vCPU ever does I/O). A ring that breaks the rules sets NEEDS_RESET and a counter.
 *
 * Threads: machine lock held everywhere; hv_virtio_init/fini/pause/resume [loop]; io [vcpu]; class
 * callbacks: queue() [loop], the others [vcpu] or [loop].
 */
#ifndef HV_VIRTIO_MMIO_H
#define HV_VIRTIO_MMIO_H

#include "common/cm_loop.h"
#include "hvcore/devices/hv_virtq.h"
#include "hvcore/machine/hv_dev.h"

#define HV_VIRTIO_QUEUES 8u

#define HV_VIRTIO_F_VERSION_1 (1ull << 32)

#define HV_VIRTIO_S_ACK         0x01u
#define HV_VIRTIO_S_DRIVER      0x02u
#define HV_VIRTIO_S_DRIVER_OK   0x04u
#define HV_VIRTIO_S_FEATURES_OK 0x08u
#define HV_VIRTIO_S_NEEDS_RESET 0x40u
#define HV_VIRTIO_S_FAILED      0x80u

#define HV_VIRTIO_ISR_RING   0x1u
#define HV_VIRTIO_ISR_CONFIG 0x2u

/* Part of format. */
struct hv_virtio_state {
	uint32_t status, isr;
	uint32_t features_sel, driver_features_sel, queue_sel, config_generation;
	uint64_t driver_features;
	struct hv_virtq_state q[HV_VIRTIO_QUEUES];
};
extern const struct hv_field hv_virtio_fields[];

struct hv_virtio;

struct hv_virtio_class {
	uint32_t device_id;
	unsigned queues;
	uint16_t queue_max[HV_VIRTIO_QUEUES];
	uint64_t (*features)(const struct hv_virtio *v); /* without VERSION_1 and ring features */
	/* Fills all of the device's configuration space; returns its length (at most cap). May be NULL. */
	size_t (*config)(const struct hv_virtio *v, uint8_t *out, size_t cap);
	void (*config_write)(struct hv_virtio *v, uint64_t offset, const uint8_t *data, unsigned len); /* or NULL */
	/* Features are settled; also called after a restore. Or NULL. */
	void (*driver_ok)(struct hv_virtio *v);
	void (*reset)(struct hv_virtio *v); /* or NULL; queues are reset already */
	/* Serve one queue. True: stopped early (budget), call again soon. */
	bool (*queue)(struct hv_virtio *v, unsigned index);
};

struct hv_virtio_counters {
	uint64_t kicks, irqs, resets, broken, bad_access;
};

struct hv_virtio {
	struct hv_dev *dev;
	struct hv_virtio_state *s;
	const struct hv_virtio_class *class;
	struct hv_virtq q[HV_VIRTIO_QUEUES];
	int kick_fd;
	bool bell; /* the doorbell is registered with the bus */
	struct cm_io kick;
	bool running;      /* between resume and pause */
	unsigned inflight; /* requests that a backend holds */
	bool pausing;
	struct hv_virtio_counters counters;
};

int hv_virtio_init(struct hv_virtio *v, struct hv_dev *dev, const struct hv_virtio_class *class,
		   struct cm_err *err);
void hv_virtio_fini(struct hv_virtio *v);
void hv_virtio_io(struct hv_virtio *v, uint64_t offset, void *data, unsigned len, bool write);
/* As hv_dev_ops.pause: -EINPROGRESS while inflight > 0. */
int hv_virtio_pause(struct hv_virtio *v);
void hv_virtio_resume(struct hv_virtio *v);
/* One more, one less request with the backend. */
void hv_virtio_get(struct hv_virtio *v);
void hv_virtio_put(struct hv_virtio *v);

/* The driver is there, nothing is broken and the VM runs: queues may be served. */
bool hv_virtio_live(const struct hv_virtio *v);
bool hv_virtio_has(const struct hv_virtio *v, uint64_t feature);
/* The guest broke a rule: NEEDS_RESET, counted, logged once per reset. */
void hv_virtio_broken(struct hv_virtio *v, const char *why);
/* hv_virtq_pop and _push that turn a broken ring into NEEDS_RESET (pop gives false then). */
bool hv_virtio_pop(struct hv_virtio *v, unsigned queue, struct hv_chain *c);
void hv_virtio_push(struct hv_virtio *v, unsigned queue, uint16_t head, uint32_t written);
/* Interrupts the guest if it wants to hear of what was pushed. */
void hv_virtio_notify(struct hv_virtio *v, unsigned queue);
void hv_virtio_config_changed(struct hv_virtio *v);
/* Serve all queues soon on the loop. */
void hv_virtio_kick(struct hv_virtio *v);
/* Is a decoded state possible for this class? */
int hv_virtio_check(const struct hv_virtio_state *s, const struct hv_virtio_class *class,
		    const char *name, struct cm_err *err);
void hv_virtio_put_counters(const struct hv_virtio *v, hv_counter_fn fn, void *arg);
void hv_virtio_dump(const struct hv_virtio *v, FILE *to);

#endif
