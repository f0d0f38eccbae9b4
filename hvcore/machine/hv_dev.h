/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_dev.h - what a device is.
 *
 * A device = one file: a migratable state (plain values, 1:1 with its specification, described by
 * one field table), a runtime part (descriptors, queues), and these ops. A device is always built
 * from a state: boot and reset build it from defaults(), restore from a decoded one, so there is
 * one path. A machine reset drains and destroys all devices and builds them again.
 *
 * What the guest does wrong ends in the device (NEEDS_RESET, a counter), never in an error here and
 * never in an assertion.
 *
 * Threads: every op runs with the machine lock held: io on [vcpu], all others on [loop]. A device's
 * own loop callbacks (descriptor, timer, disk completion) take the machine lock themselves
 * (env.lock).
 */
#ifndef HV_DEV_H
#define HV_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cm_err.h"
#include "hvcore/machine/hv_irq.h"
#include "hvcore/machine/hv_lock.h"
#include "hvcore/state/hv_state.h"

struct cm_loop;
struct hv_bus;
struct hv_dev;
struct hv_mem;

/* What a guest may tell its machine. */
enum hv_guest_event {
	HV_GUEST_NONE = 0,
	HV_GUEST_POWER_OFF,
	HV_GUEST_RESET,
	HV_GUEST_PANIC,
};

/* What a device may use; all borrowed, all valid for its life. */
struct hv_dev_env {
	struct hv_mem *mem;
	struct hv_bus *bus; /* for doorbells */
	struct cm_loop *loop;
	struct hv_lock *lock;
	uint64_t base; /* its gpa or port */
	unsigned instance;
	/* Tells the machine; returns at once, the machine acts later on the loop. [any] */
	void (*guest_event)(void *arg, enum hv_guest_event event);
	/* The device was asked to pause, said -EINPROGRESS, and now has nothing in flight. [loop]
	 * or [any] */
	void (*idle)(void *arg, struct hv_dev *dev);
	void *arg;
};

typedef void (*hv_counter_fn)(void *arg, const char *name, uint64_t value);

struct hv_dev_ops {
	const char *name; /* also the section's name: "uart", "virtio-blk" */
	uint32_t version; /* of the section; min_version..version load */
	uint32_t min_version;
	size_t state_bytes;
	const struct hv_field *fields;
	const struct hv_subsection *subs; /* or NULL */

	/* The state after power on. cfg is the device's own const config (its header names the
	 * type). */
	void (*defaults)(void *state, const void *cfg);
	/* Is this decoded state one that a correct device can have? Called before create on
	 * restore. May be NULL. */
	int (*check)(const void *state, const void *cfg, struct cm_err *err);
	/*
	 * Builds the runtime part around dev->state and stores it in dev->impl. Drives its
	 * interrupt line as the state says. The device is paused: it starts work on resume. May
	 * fail half way: cleans up itself.
	 */
	int (*create)(struct hv_dev *dev, const void *cfg, struct cm_err *err);
	void (*destroy)(struct hv_dev *dev); /* only while paused and idle */
	void (*io)(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write);
	/*
	 * Takes no new work. 0: nothing is in flight. -EINPROGRESS: env.idle will be called once
	 * all that was in flight has completed, and its effects are in guest memory and state. io
	 * may still come. NULL: 0.
	 */
	int (*pause)(struct hv_dev *dev);
	void (*resume)(struct hv_dev *dev);				   /* NULL: nothing to do */
	void (*counters)(struct hv_dev *dev, hv_counter_fn fn, void *arg); /* or NULL */
	void (*dump)(struct hv_dev *dev,
		     FILE *to); /* runtime part; the state is dumped by its table. Or NULL */
};

struct hv_dev {
	const struct hv_dev_ops *ops;
	struct hv_dev_env env;
	struct hv_irq irq;
	void *state; /* ops->state_bytes, owned by the machine */
	void *impl;  /* owned by the device */
};

#endif
