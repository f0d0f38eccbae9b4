/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_bus.h - port and MMIO ranges to devices, and doorbells (a write that only signals an eventfd).
 *
 * A vCPU's access is done on its own thread under the machine lock. What no range covers reads as
 * all ones and swallows writes; an access that leaves its range counts as such. A device never
 * comes back to the bus from inside an access: that is our mistake and asserts.
 *
 * Threads: add/remove [setup]; doorbells [any] with the machine lock held; hv_bus_pio, hv_bus_mmio
 * [vcpu].
 */
#ifndef HV_BUS_H
#define HV_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cm_err.h"
#include "hvcore/machine/hv_lock.h"

struct hv_bus;
struct hv_engine;

/* offset is from the start of the range; len is 1, 2, 4 or 8; data is filled with ones before a
 * read. */
typedef void (*hv_bus_io_fn)(void *arg, uint64_t offset, void *data, unsigned len, bool write);

/* lock: the machine lock (borrowed). */
int hv_bus_new(struct hv_bus **out, struct hv_lock *lock) cm_must_check;
void hv_bus_free(struct hv_bus *bus);
/* name is kept by pointer. -EEXIST: overlaps another range. -ENOSPC. */
int hv_bus_add_pio(struct hv_bus *bus, uint16_t port, uint16_t ports, const char *name,
		   hv_bus_io_fn fn, void *arg) cm_must_check;
int hv_bus_add_mmio(struct hv_bus *bus, uint64_t gpa, uint64_t bytes, const char *name,
		    hv_bus_io_fn fn, void *arg) cm_must_check;
/* Removes all ranges and doorbells (a machine that is built anew). */
void hv_bus_clear(struct hv_bus *bus);
/* [setup] Doorbells go to the engine where it can; NULL: all are ours. */
void hv_bus_set_engine(struct hv_bus *bus, struct hv_engine *engine);
/*
 * A 4-byte guest write to gpa adds 1 to the eventfd fd instead of reaching the device's io
 * function. By the engine where it can (KVM ioeventfd), else by the bus: the device sees no
 * difference.
 */
int hv_bus_doorbell(struct hv_bus *bus, uint64_t gpa, int fd, bool assign) cm_must_check;

void hv_bus_pio(struct hv_bus *bus, uint16_t port, void *data, unsigned len, bool write);
void hv_bus_mmio(struct hv_bus *bus, uint64_t gpa, void *data, unsigned len, bool write);
/* Accesses that no range took, since creation. [any] */
uint64_t hv_bus_unknown(const struct hv_bus *bus);
void hv_bus_dump(const struct hv_bus *bus, FILE *to); /* [setup] */

#endif
