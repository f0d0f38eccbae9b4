/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_vm.h - what a stream or an image says of a VM, and whether the VM that was prepared here is
 * the one.
 *
 * Thread: [any] while the VM's configuration stands.
 */
#ifndef MIG_VM_H
#define MIG_VM_H

#include "migration/mig_stream.h"

struct hv_vm;

/* Who it is. Epoch, mode and wishes are the caller's. node may be NULL. */
void mig_vm_hello(struct hv_vm *vm, const char *node, struct mig_hello *h);
/* What the engine here can offer. CM_E_NO_ENGINE. */
int mig_vm_supported(struct hv_vm *vm, struct hv_cpuid *supported, struct cm_err *err)
	cm_must_check;
/* Can vm become what h and contract describe? CM_E_INCOMPATIBLE. */
int mig_vm_check(struct hv_vm *vm, const struct mig_hello *h, const struct hv_cpuid *contract,
		 const struct hv_cpuid *supported, struct cm_err *err) cm_must_check;

#endif
