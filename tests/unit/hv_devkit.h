/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_devkit.h - one device without a machine: memory, bus, loop, an interrupt line to look at, and the guest's side of
 * virtio as a driver would do it (or as a hostile one would).
 *
 * Thread: everything on the test's thread, which plays vCPU and loop in turn.
 */
#ifndef HV_DEVKIT_H
#define HV_DEVKIT_H

#include "common/cm_loop.h"
#include "hvcore/devices/hv_devices.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_dev.h"
#include "hvcore/machine/hv_mem.h"

#define KIT_BASE 0xd0001000ull
#define KIT_RAM  (32ull << 20)

struct kit {
	struct cm_loop *loop;
	struct hv_lock lock;
	struct hv_mem *mem;
	struct hv_bus *bus;
	struct hv_char *chr;
	struct hv_dev dev;
	const void *cfg;
	unsigned raised; /* times the line went up */
	bool line;
	unsigned idle;   /* calls of env.idle */
	enum hv_guest_event event;
	unsigned events;
};

/* Of a test whose state is a struct kit. */
int kit_setup(void **state);
int kit_teardown(void **state);
void kit_open(struct kit *k);
void kit_close(struct kit *k);
/* Builds the device from its defaults and resumes it. */
void kit_plug(struct kit *k, const struct hv_dev_ops *ops, const void *cfg);
/* The same from a state; false if the device refuses it. */
bool kit_plug_state(struct kit *k, const struct hv_dev_ops *ops, const void *cfg, const void *state);
void kit_unplug(struct kit *k);
/* What a move does to it: pause, save, destroy, load, create, resume. The device must be idle. */
void kit_move(struct kit *k);
/* 0 or -EINPROGRESS. */
int kit_pause(struct kit *k);
void kit_resume(struct kit *k);

uint32_t kit_in(struct kit *k, uint64_t offset, unsigned len);
void kit_out(struct kit *k, uint64_t offset, uint32_t value, unsigned len);
uint64_t kit_counter(struct kit *k, const char *name);
/* What came out of the character device so far, as text; its length. */
size_t kit_said(struct kit *k, char *out, size_t cap);
/* Turns the loop until nothing more happens at once. */
void kit_settle(struct kit *k);

struct kit_buf {
	uint64_t gpa;
	uint32_t len;
	bool in;
};

struct kit_queue {
	struct kit *k;
	unsigned index, num;
	uint64_t desc, avail, used;
	uint16_t next_desc, avail_idx, used_seen;
};

/* Reset to FEATURES_OK; returns the status read back. */
uint32_t kit_driver(struct kit *k, uint64_t features);
uint64_t kit_offered(struct kit *k);
void kit_queue_init(struct kit *k, struct kit_queue *q, unsigned index, unsigned num, uint64_t gpa);
void kit_driver_ok(struct kit *k);
/* Offers one chain; returns its head. indirect: through a table at that gpa (0: none). */
uint16_t kit_offer(struct kit_queue *q, const struct kit_buf *bufs, unsigned n, uint64_t indirect);
void kit_ring(struct kit_queue *q);
/* Takes one used element; false if there is none. */
bool kit_used(struct kit_queue *q, uint32_t *head, uint32_t *len);
/* Writes raw driver data. */
void kit_poke(struct kit *k, uint64_t gpa, const void *data, size_t len);
void kit_peek(struct kit *k, uint64_t gpa, void *data, size_t len);

#endif
