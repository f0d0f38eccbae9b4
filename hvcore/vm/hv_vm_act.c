/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_act.c - what a VM does when its state changes, and the way from vCPU and device threads to
 * the loop.
 *
 * Guest events arrive here (power off, reset, panic): a guest can only end or restart itself.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm_int.h"

/* A note from a thread to the loop. */
struct vm_note {
	struct hv_vm *vm;
	enum hv_vm_input in;
	enum hv_vm_event tell;
	char text[192];
};

static void on_note(void *arg)
{
	struct vm_note *n = arg;

	if (!n->vm->dead) {
		if (n->in == HV_VM_IN_FAILED)
			snprintf(n->vm->why, sizeof(n->vm->why), "%s", n->text);
		if (n->in)
			(void)hv__vm_feed(n->vm, n->in, n->text);
		if (n->tell && !n->vm->dead)
			n->vm->owner.event(n->vm->owner.arg, n->vm, n->tell, n->text);
	}
	free(n);
}

static void vm_post(struct hv_vm *vm, enum hv_vm_input in, enum hv_vm_event tell, const char *text)
{
	struct vm_note *n = calloc(1, sizeof(*n));

	/* Without 200 bytes nothing can be told to anybody; the recorder then shows where. */
	CM_ASSERT(n);
	n->vm = vm;
	n->in = in;
	n->tell = tell;
	snprintf(n->text, sizeof(n->text), "%s", text);
	CM_ASSERT(cm_loop_post(vm->loop, on_note, n) == 0);
}

void hv__vm_tell(struct hv_vm *vm, enum hv_vm_event ev, const char *text)
{
	vm_post(vm, HV_VM_IN_NONE, ev, text);
}

void hv__vm_guest_event(void *arg, enum hv_guest_event event)
{
	struct hv_vm *vm = arg;

	switch (event) {
	case HV_GUEST_POWER_OFF:
		vm_post(vm, HV_VM_IN_OFF, HV_VM_EV_NONE, "the guest powered off");
		break;
	case HV_GUEST_RESET:
		vm_post(vm, HV_VM_IN_RESET, HV_VM_EV_NONE, "the guest asked for a reset");
		break;
	case HV_GUEST_PANIC:
		vm_post(vm, HV_VM_IN_NONE, HV_VM_EV_PANIC, "the guest says that it is lost");
		break;
	case HV_GUEST_NONE:
		break;
	}
}

static void on_dev_idle(void *arg)
{
	struct hv_vm *vm = arg;
	bool last;

	if (vm->dead)
		return;
	hv_lock_take(&vm->lock);
	last = hv_devset_idle(&vm->devs);
	hv_lock_drop(&vm->lock);
	if (last)
		(void)hv__vm_feed(vm, HV_VM_IN_IDLE, "devices drained");
}

void hv__vm_dev_idle(void *arg, struct hv_dev *dev)
{
	struct hv_vm *vm = arg;

	(void)dev;
	CM_ASSERT(cm_loop_post(vm->loop, on_dev_idle, vm) == 0);
}

static void on_vcpu_ended(void *arg, unsigned index, enum hv_run how)
{
	struct hv_vm *vm = arg;
	char text[192];

	snprintf(text, sizeof(text), "vCPU %u: %.160s", index,
		 vm->eops->vcpu_error(vm->engine, index));
	if (how == HV_RUN_SHUTDOWN)
		cm_warning("%s", text);
	vm_post(vm, HV_VM_IN_FAILED, HV_VM_EV_NONE, text);
}

static void on_expired(void *arg)
{
	vm_post(arg, HV_VM_IN_FENCED, HV_VM_EV_NONE, "run-until passed");
}

static void on_vcpu_begins(void *arg)
{
	struct hv_vm *vm = arg;

	if (vm->cfg->vcpu_begins)
		vm->cfg->vcpu_begins();
}

const struct hv_vcpus_ops hv__vm_vcpus_ops = {
	.begins = on_vcpu_begins,
	.ended = on_vcpu_ended,
	.expired = on_expired,
};

/* --- actions --------------------------------------------------------------- */

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
	n = calloc(1, sizeof(*n));
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
		snprintf(vm->why, sizeof(vm->why), "reset failed: %.200s", err.text);
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
