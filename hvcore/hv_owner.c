/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_owner.c - joins stor_lease and hv_vm. Parses nothing.
 */
#include "config.h"

#include "hvcore/hv_owner.h"

#include <stdlib.h>

#include "common/cm_log.h"
#include "hvcore/hv_disks.h"
#include "hvcore/vm/hv_vm.h"

struct hv_owner {
	struct stor_lease *lease;
	struct hv_vm *vm;
	const struct hv_owner_ops *ops;
	void *arg;
	bool hold;
	cm_close_fn closed;
	void *closed_arg;
};

static void on_lost(struct stor_lease *lease, enum stor_lost reason, void *arg)
{
	struct hv_owner *o = arg;

	(void)lease;
	cm_crit("ownership lost: %s; the vCPUs are stopped", stor_lost_name(reason));
	if (o->vm)
		hv_vm_set_run_until(o->vm, 0);
	if (reason == STOR_LOST_EXPIRED)
		o->ops->running(o->arg, false);
	else
		o->ops->gone(o->arg, reason);
}

static void on_renewed(struct stor_lease *lease, uint64_t valid_until_ns, void *arg)
{
	struct hv_owner *o = arg;
	struct cm_err err = CM_ERR_INIT;

	(void)lease;
	if (o->ops->renewed)
		o->ops->renewed(o->arg, valid_until_ns);
	if (!o->vm)
		return;
	hv_vm_set_run_until(o->vm, valid_until_ns);
	if (o->hold || hv_vm_state(o->vm) != HV_VM_FENCED)
		return;
	/* The renewal was a COMPARE AND WRITE that we won: nobody took the VM meanwhile. */
	if (hv_vm_run(o->vm, &err) < 0) {
		cm_error("cannot run on: %s", err.text);
		return;
	}
	cm_notice("renewals succeed again: the VM runs on");
	o->ops->running(o->arg, true);
}

static enum stor_watchdog on_watchdog(void *arg)
{
	struct hv_owner *o = arg;

	return o->ops->watchdog ? o->ops->watchdog(o->arg) : STOR_WATCHDOG_NONE;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed, .watchdog = on_watchdog};

int hv_owner_new(struct hv_owner **out, struct hv_disks *disks, const struct stor_uuid *vm,
		 const char *node, const char *label, uint32_t io_timeout_ms,
		 const struct hv_owner_ops *ops, void *arg, struct cm_err *err)
{
	struct hv_owner *o = calloc(1, sizeof *o);
	struct stor_lease_cfg cfg = {
		.vm = *vm,
		.node = node,
		.host_slot = hv_disks_host_slot(disks),
		.io_timeout_ms = io_timeout_ms,
		.label = label,
		.ops = &lease_ops,
		.arg = o,
	};
	int rc = 0;

	*out = o;
	if (!o)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	o->ops = ops;
	o->arg = arg;
	cfg.dev = hv_disks_lease_dev(disks, &cfg.offset_bytes);
	CM_ASSERT(cfg.dev);
	o->lease = stor_lease_new(&cfg, err);
	if (!o->lease)
		return err->code;
	for (unsigned i = 0; rc == 0 && i < hv_disks_stores(disks); i++)
		if (hv_disks_store(disks, i) != cfg.dev)
			rc = stor_lease_guard(o->lease, hv_disks_store(disks, i));
	if (rc == CM_E_VOL_LIMIT)
		return cm_err_set(err, rc,
				  "the disks of a VM may lie on %d LUNs at most, and a lock= LUN counts as one of "
				  "them: put more of them on one volume",
				  STOR_OWNER_KEYS);
	return rc < 0 ? cm_err_set(err, rc, "guarding the disks: %s", cm_err_text(rc)) : 0;
}

static void owner_closed(void *arg)
{
	struct hv_owner *o = arg;
	cm_close_fn closed = o->closed;
	void *closed_arg = o->closed_arg;

	free(o);
	closed(closed_arg);
}

void hv_owner_close(struct hv_owner *o, cm_close_fn done, void *arg)
{
	o->vm = NULL;
	o->closed = done;
	o->closed_arg = arg;
	if (o->lease)
		stor_lease_close(o->lease, owner_closed, o);
	else
		owner_closed(o);
}

void hv_owner_set_vm(struct hv_owner *o, struct hv_vm *vm)
{
	o->vm = vm;
	if (vm)
		hv_vm_set_run_until(vm, stor_lease_valid_until(o->lease));
}

void hv_owner_hold(struct hv_owner *o, bool hold)
{
	o->hold = hold;
}

struct stor_lease *hv_owner_lease(struct hv_owner *o)
{
	return o->lease;
}
