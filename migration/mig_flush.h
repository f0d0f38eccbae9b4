/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_flush.h - what the guest believes to be written is on its disks: every writable disk of a
 * VM that stands still is flushed.
 *
 * Thread: [loop]. Ownership: embedded; the caller's until done.
 */
#ifndef MIG_FLUSH_H
#define MIG_FLUSH_H

#include "hvcore/machine/hv_machine.h"
#include "sharedstorage/dev/stor_dev.h"

struct hv_vm;

/* rc: 0, or of the first that failed. */
typedef void (*mig_flush_done_fn)(void *arg, int rc);

struct mig_flush {
	struct stor_req req[HV_SLOT_BLK_MAX];
	unsigned under_way;
	int rc;
	mig_flush_done_fn done;
	void *arg;
};

/* done may come before this returns. */
void mig_flush_start(struct mig_flush *f, struct hv_vm *vm, mig_flush_done_fn done, void *arg);

#endif
