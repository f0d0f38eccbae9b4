/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_note.c - how a VM hears of what happens to it: from vCPU and device threads to the loop,
 * into its table, and on to its owner.
 *
 * Guest events arrive here (power off, reset, panic): a guest can only end or restart itself.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "hvcore/vm/hv_vm_int.h"

bool hv__vm_feed(struct hv_vm *vm, enum hv_vm_input in, const char *reason)
{
	const struct cm_fsm_def *d = vm->fsm.def;

	if (d->cells[vm->fsm.state * d->events + in].kind == CM_FSM_BAD)
		return false;
	return cm_fsm_feed(&vm->fsm, in, reason, NULL);
}

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
			snprintf(n->vm->why, sizeof n->vm->why, "%s", n->text);
		if (n->in)
			(void)hv__vm_feed(n->vm, n->in, n->text);
		if (n->tell && !n->vm->dead)
			n->vm->owner.event(n->vm->owner.arg, n->vm, n->tell, n->text);
	}
	free(n);
}

static void vm_post(struct hv_vm *vm, enum hv_vm_input in, enum hv_vm_event tell, const char *text)
{
	struct vm_note *n = calloc(1, sizeof *n);

	/* Without 200 bytes nothing can be told to anybody; the recorder then shows where. */
	CM_ASSERT(n);
	n->vm = vm;
	n->in = in;
	n->tell = tell;
	snprintf(n->text, sizeof n->text, "%s", text);
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

	snprintf(text, sizeof text, "vCPU %u: %.160s", index,
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
