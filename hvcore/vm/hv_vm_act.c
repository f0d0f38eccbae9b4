/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_act.c - what a VM does when its state changes: the actions of the table in hv_vm_fsm.c.
 * Parses nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/cm_loop.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm_int.h"

unsigned hv__vm_act_start(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;

	(void)arg;
	hv_lock_take(&vm->lock);
	hv_devset_resume(&vm->devs);
	hv_lock_drop(&vm->lock);
	hv_vcpus_go(vm->vcpus);
	if (!vm->reset_pending)
		return HV_VM_IN_NONE;
	vm->reset_pending = false;
	return HV_VM_IN_RESET;
}

/* vCPUs out, devices take nothing new. IDLE comes now or when the last one has drained. */
unsigned hv__vm_act_stop(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;
	bool idle;

	(void)arg;
	hv_vcpus_stop(vm->vcpus);
	hv_lock_take(&vm->lock);
	idle = hv_devset_pause(&vm->devs);
	hv_lock_drop(&vm->lock);
	return idle ? HV_VM_IN_IDLE : HV_VM_IN_NONE;
}

struct done_note {
	hv_vm_done_fn fn;
	void *arg;
	int rc;
};

static void on_done(void *arg)
{
	struct done_note *n = arg;

	n->fn(n->arg, n->rc);
	free(n);
}

static void settle(struct hv_vm *vm, int rc)
{
	struct done_note *n;

	if (!vm->done)
		return;
	n = calloc(1, sizeof *n);
	CM_ASSERT(n);
	*n = (struct done_note){vm->done, vm->done_arg, rc};
	vm->done = NULL;
	CM_ASSERT(cm_loop_post(vm->loop, on_done, n) == 0);
}

unsigned hv__vm_act_settled(void *ctx, void *arg)
{
	(void)arg;
	settle(ctx, 0);
	return HV_VM_IN_NONE;
}

unsigned hv__vm_act_off(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;

	(void)arg;
	if (vm->done)
		settle(vm, 0);
	else
		hv__vm_tell(vm, HV_VM_EV_POWERED_OFF, "the guest powered off");
	return HV_VM_IN_NONE;
}

static int rebuild(struct hv_vm *vm)
{
	struct cm_err err = CM_ERR_INIT;
	int rc;

	hv_lock_take(&vm->lock);
	hv_devset_destroy(&vm->devs);
	hv_lock_drop(&vm->lock);
	rc = hv_mem_clear(vm->mem, &err);
	if (rc == 0)
		rc = hv__vm_power_on(vm, &err);
	vm->reset_pending = false;
	vm->resets++;
	if (rc < 0)
		snprintf(vm->why, sizeof vm->why, "reset failed: %.200s", err.text);
	return rc;
}

unsigned hv__vm_act_rebuild(void *ctx, void *arg)
{
	(void)arg;
	return rebuild(ctx) < 0 ? HV_VM_IN_FAILED : HV_VM_IN_NONE;
}

unsigned hv__vm_act_rebuild_run(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;

	if (rebuild(vm) < 0)
		return HV_VM_IN_FAILED;
	hv__vm_tell(vm, HV_VM_EV_RESET, "the guest was reset");
	return hv__vm_act_start(ctx, arg);
}

unsigned hv__vm_act_later_reset(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;

	(void)arg;
	vm->reset_pending = true;
	return HV_VM_IN_NONE;
}

unsigned hv__vm_act_failed(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;

	(void)arg;
	hv_vcpus_stop(vm->vcpus);
	hv_lock_take(&vm->lock);
	(void)hv_devset_pause(&vm->devs);
	hv_lock_drop(&vm->lock);
	settle(vm, CM_E_GUEST_FAILED);
	hv__vm_tell(vm, HV_VM_EV_FAILED, vm->why);
	return HV_VM_IN_NONE;
}

/* Nothing is waited for: the SAN may be away. Whoever runs the VM again resumes the devices. */
unsigned hv__vm_act_fenced(void *ctx, void *arg)
{
	struct hv_vm *vm = ctx;

	(void)arg;
	hv_vcpus_stop(vm->vcpus);
	hv_lock_take(&vm->lock);
	(void)hv_devset_pause(&vm->devs);
	hv_lock_drop(&vm->lock);
	hv__vm_tell(vm, HV_VM_EV_FENCED, "the right to run ended");
	return HV_VM_IN_NONE;
}
