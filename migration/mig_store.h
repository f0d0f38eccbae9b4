/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_store.h - the bytes of a saved image on a block device, as a stream for a thread that may
 * block.
 *
 * From the beginning of the device on, in chunks of MIG_STORE_CHUNK; up to MIG_STORE_DEPTH of them
 * are in flight at once, so that a SAN is kept busy. The device lives on the loop; the thread only
 * waits for it. What the device says first (an error of an earlier chunk) comes back from a later
 * call, at the latest from mig_store_sync.
 *
 * Threads: new, abort, free [loop]; write, read, sync, settle: one other thread; bytes [any].
 * Ownership: the device is borrowed; it is READY and stays open until settle came back.
 */
#ifndef MIG_STORE_H
#define MIG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

struct stor_dev;
struct mig_store;

#define MIG_STORE_CHUNK (1u << 20)
#define MIG_STORE_DEPTH 8u

/* NULL: no memory. writes: for write and sync, else for read. */
struct mig_store *mig_store_new(struct stor_dev *dev, bool writes, struct cm_err *err);
/* The thread's last call: waits until nothing is in flight. */
void mig_store_settle(struct mig_store *s);
void mig_store_free(struct mig_store *s); /* NULL is fine */

/* CM_E_VOL_FULL: the device is too small. Others: of the device, or -ECANCELED. */
int mig_store_write(struct mig_store *s, const void *data, size_t len) cm_must_check;
/* CM_E_STREAM_TRUNCATED: the device ends. */
int mig_store_read(struct mig_store *s, void *data, size_t len) cm_must_check;
/* 0: all that was written is on stable storage. Nothing can be written afterwards. */
int mig_store_sync(struct mig_store *s) cm_must_check;
/* Every call, also one that waits, ends with -ECANCELED from now on. */
void mig_store_abort(struct mig_store *s);
/* Moved so far. */
uint64_t mig_store_bytes(struct mig_store *s);

#endif
