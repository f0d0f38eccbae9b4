/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_flush.h - what the guest believes to be written is on its disks: every writable disk of a
 * VM that stands still is flushed.
 *
 * Thread: [loop]. Ownership: embedded; the caller's until done.
 */
#ifndef HV_VM_FLUSH_H
#define HV_VM_FLUSH_H

#include "hvcore/machine/hv_machine.h"
#include "hvcore/vm/hv_vm.h"
#include "sharedstorage/dev/stor_dev.h"

struct hv_vm_flush {
	struct stor_req req[HV_SLOT_BLK_MAX];
	unsigned under_way;
	int rc;
	hv_vm_done_fn done;
	void *arg;
};

/* done gets 0, or the error of the first that failed; it may come before this returns. */
void hv_vm_flush_start(struct hv_vm_flush *f, struct hv_vm *vm, hv_vm_done_fn done, void *arg);

#endif
