/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_mem.h - guest RAM and the only ways to reach it from the host: checked (gpa, len) helpers.
 *
 * RAM is one memfd, mapped as up to two slots (below the hole from 0, above from 4 GiB), each
 * between guard pages and left out of core dumps. A (gpa, len) range is good only if it lies whole
 * in one slot; everything else is -EFAULT (or NULL), whatever the guest said. Helpers reach RAM
 * only, never the bus, so a device cannot be made to do I/O on itself or another device.
 *
 * Dirty pages: writes of the guest are logged by the engine, writes of the host by a bitmap here.
 * hv_mem_write and the store helpers mark by themselves. Whoever writes through a pointer or an
 * iovec calls hv_mem_mark AFTER the bytes are there (for a disk read: in its completion); a mark
 * made before the write could be cleared and sent by a migration before the bytes arrive.
 *
 * The guest runs while we look: read a field once, check the copy, use the copy.
 *
 * Threads: [setup] before vCPUs run or with all of them paused; everything else [any].
 */
#ifndef HV_MEM_H
#define HV_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/cm_err.h"

struct hv_mem;
struct hv_engine;

#define HV_PAGE_SHIFT 12u
#define HV_PAGE_BYTES 4096u
#define HV_MEM_SLOTS  2u /* 0 low, 1 high (present only if RAM > HV_RAM_LOW_MAX) */

struct hv_mem_slot {
	uint64_t gpa, bytes;  /* bytes 0: not present */
	uint64_t file_offset; /* where the slot begins in the memfd */
	uint8_t *hva;
};

/* [setup] bytes: HV_RAM_MIN_BYTES..HV_RAM_MAX_BYTES, a multiple of 2 MiB. All zero, nothing
 * populated. */
int hv_mem_new(struct hv_mem **out, uint64_t bytes, struct cm_err *err) cm_must_check;
void hv_mem_free(struct hv_mem *mem);
/* [setup] Gives the slots to the engine (ops->map) and joins its dirty log with ours. NULL: lets go
 * of it. */
int hv_mem_attach(struct hv_mem *mem, struct hv_engine *engine, struct cm_err *err);
uint64_t hv_mem_bytes(const struct hv_mem *mem);
int hv_mem_fd(const struct hv_mem *mem);	 /* borrowed; sealed against resizing */
unsigned hv_mem_slots(const struct hv_mem *mem); /* 1 or 2 */
const struct hv_mem_slot *hv_mem_slot(const struct hv_mem *mem, unsigned slot);

/* Pointer to [gpa, gpa+len), or NULL if it is not whole in RAM. len 0 gives NULL. */
void *hv_mem_ptr(const struct hv_mem *mem, uint64_t gpa, uint64_t len);
/* Tells that the host has written [gpa, gpa+len). Pieces outside RAM are ignored. */
void hv_mem_mark(struct hv_mem *mem, uint64_t gpa, uint64_t len);
/* 0 or -EFAULT (then nothing was copied). len 0 is 0. */
int hv_mem_read(const struct hv_mem *mem, uint64_t gpa, void *buf, size_t len) cm_must_check;
int hv_mem_write(struct hv_mem *mem, uint64_t gpa, const void *buf, size_t len) cm_must_check;
int hv_mem_zero(struct hv_mem *mem, uint64_t gpa, uint64_t len) cm_must_check;
/*
 * Single little-endian words of rings: one atomic access each; loads acquire, stores release (and
 * mark). gpa must be aligned to the size: else -EINVAL.
 */
int hv_mem_load16(const struct hv_mem *mem, uint64_t gpa, uint16_t *out) cm_must_check;
int hv_mem_load32(const struct hv_mem *mem, uint64_t gpa, uint32_t *out) cm_must_check;
int hv_mem_load64(const struct hv_mem *mem, uint64_t gpa, uint64_t *out) cm_must_check;
int hv_mem_store16(struct hv_mem *mem, uint64_t gpa, uint16_t v) cm_must_check;
int hv_mem_store32(struct hv_mem *mem, uint64_t gpa, uint32_t v) cm_must_check;
int hv_mem_store64(struct hv_mem *mem, uint64_t gpa, uint64_t v) cm_must_check;
/*
 * Appends [gpa, gpa+len) to iov[*n], *n < cap; joins it to the last piece if both are neighbours in
 * host memory. -EFAULT not RAM, -E2BIG no room.
 */
int hv_mem_iov_add(const struct hv_mem *mem, uint64_t gpa, uint64_t len, struct iovec *iov,
		   unsigned cap, unsigned *n) cm_must_check;
/* Gives pages back to the host; they read as zero afterwards and are marked. For balloon and reset.
 */
int hv_mem_discard(struct hv_mem *mem, uint64_t gpa, uint64_t len);
/* [setup] All RAM zero again (machine reset). */
int hv_mem_clear(struct hv_mem *mem, struct cm_err *err);

/*
 * Dirty log of one slot, guest's and host's writes together, in the words of hv_engine.h: after
 * start every page counts as dirty; fetch ORs what was written since it was last cleared into
 * bitmap; clear re-arms [first, first+count) (multiples of 64, or up to the end) for the bits set
 * in bitmap. Clear before you read the page. bitmap: hv_mem_bitmap_words words of the whole slot.
 */
uint64_t hv_mem_pages(const struct hv_mem *mem, unsigned slot);
size_t hv_mem_bitmap_words(const struct hv_mem *mem, unsigned slot);
int hv_mem_dirty_start(struct hv_mem *mem, unsigned slot, struct cm_err *err) cm_must_check;
int hv_mem_dirty_fetch(struct hv_mem *mem, unsigned slot, uint64_t *bitmap) cm_must_check;
int hv_mem_dirty_clear(struct hv_mem *mem, unsigned slot, uint64_t first, uint64_t count,
		       const uint64_t *bitmap) cm_must_check;
int hv_mem_dirty_stop(struct hv_mem *mem, unsigned slot);
/* ORs into bitmap the pages that have memory at all. The others were never touched and are zero. */
int hv_mem_populated(const struct hv_mem *mem, unsigned slot, uint64_t *bitmap) cm_must_check;

#endif
