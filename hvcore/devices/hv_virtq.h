/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_virtq.h - the device's side of one split virtqueue (virtio 1.2, 2.7), with indirect tables and event index.
 *
 * Every number in a ring belongs to the guest, which may change it while we look: each is read once, checked, and
 * only the copy is used. All walks are bounded by HV_CHAIN_MAX descriptors. A ring that breaks the rules makes
 * hv_virtq_pop fail with -EBADMSG; the caller then sets NEEDS_RESET, nothing else happens.
 *
 * Threads: machine lock held.
 */
#ifndef HV_VIRTQ_H
#define HV_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "hvcore/state/hv_state.h"

struct hv_mem;

#define HV_VIRTQ_SIZE_MAX 256u
#define HV_CHAIN_MAX      256u

#define HV_VIRTQ_F_INDIRECT  (1ull << 28)
#define HV_VIRTQ_F_EVENT_IDX (1ull << 29)

/* Part of format. */
struct hv_virtq_state {
	uint32_t num;
	uint8_t ready;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t last_avail; /* next entry of the available ring that we take */
	uint16_t used_idx;   /* next entry of the used ring that we fill */
	uint16_t signalled;  /* used_idx at the last interrupt */
	uint8_t signalled_valid;
};
extern const struct hv_field hv_virtq_fields[];

struct hv_virtq {
	struct hv_virtq_state *s; /* borrowed */
	struct hv_mem *mem;       /* borrowed */
	uint16_t max;             /* most entries the device offers */
	bool event_idx, indirect;
	uint32_t generation;      /* counts restarts: tells late completions of an earlier life */
	const char *why;          /* what was wrong with the ring, after -EBADMSG */
};

/* One chain of buffers: out[] first (device reads), then in[] (device writes). */
struct hv_chain {
	uint16_t head;
	uint32_t generation;
	unsigned out, in;             /* pieces: iov[0..out) and iov[out..out+in) */
	uint32_t out_bytes, in_bytes;
	struct iovec iov[HV_CHAIN_MAX];
	uint64_t gpa[HV_CHAIN_MAX];
};

void hv_virtq_init(struct hv_virtq *q, struct hv_virtq_state *s, struct hv_mem *mem, uint16_t max);
/* Back to the state after power on; chains popped before do not complete any more. */
void hv_virtq_reset(struct hv_virtq *q);
void hv_virtq_set_features(struct hv_virtq *q, uint64_t features);
/* Are size and addresses of s usable? 0 or -EINVAL. For QueueReady and for restored states. */
int hv_virtq_check(const struct hv_virtq *q);

/* 1: *c is the next chain. 0: none. -EBADMSG: the ring is broken. */
int hv_virtq_pop(struct hv_virtq *q, struct hv_chain *c) cm_must_check;
/* Puts the last n popped chains back (they must be the latest ones, unpushed). */
void hv_virtq_unpop(struct hv_virtq *q, unsigned n);
/* Gives the chain head back with `written` bytes in its in[] part. -EBADMSG: the ring is not in RAM any more. */
int hv_virtq_push(struct hv_virtq *q, uint16_t head, uint32_t written) cm_must_check;
/* Must the guest be interrupted for what was pushed since the last true? */
bool hv_virtq_wants_irq(struct hv_virtq *q);
/* Switches the guest's doorbell off (hint) and on. On: true if chains came meanwhile: pop again. */
void hv_virtq_bell_off(struct hv_virtq *q);
bool hv_virtq_bell_on(struct hv_virtq *q);
/* The same for who needs more chains than are there now. True: more came meanwhile. */
bool hv_virtq_bell_more(struct hv_virtq *q);
bool hv_virtq_empty(struct hv_virtq *q);

/* Copies out of the out part / into the in part from byte offset `at`; returns how many bytes there were. */
size_t hv_chain_read(const struct hv_chain *c, size_t at, void *buf, size_t len);
size_t hv_chain_write(const struct hv_chain *c, struct hv_mem *mem, size_t at, const void *buf, size_t len);
/* Marks the first n bytes of the in part as written by the host. */
void hv_chain_mark(const struct hv_chain *c, struct hv_mem *mem, size_t n);

#endif
