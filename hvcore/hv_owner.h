/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_owner.h - the VM's ownership and its vCPUs: no vCPU runs without the block.
 *
 * Each renewal that was won moves the VM's run-until instant (hv_vm_set_run_until); a lost lease
 * shuts the gate at once. A VM that stopped because renewals failed for a while runs on when one
 * succeeds again, unless somebody else owns it by then.
 *
 * Threads: [loop]. Ownership: of the struct stor_lease; the devices are hv_disks'.
 */
#ifndef HV_OWNER_H
#define HV_OWNER_H

#include "common/cm_err.h"
#include "sharedstorage/lease/stor_lease.h"

struct hv_disks;
struct hv_owner;
struct hv_vm;

struct hv_owner_ops {
	/* Somebody else owns the VM, or the SAN shut us out: for good. End the process. */
	void (*gone)(void *arg, enum stor_lost reason);
	/* A renewal was won: the VM may run until then (cm_now_ns). May be NULL. */
	void (*renewed)(void *arg, uint64_t valid_until_ns);
	/* As in stor_lease_ops. */
	enum stor_watchdog (*watchdog)(void *arg);
	/* Renewals failed, the vCPUs are stopped (false); or they run again (true). */
	void (*running)(void *arg, bool runs);
};

/* disks: after its first step; node: of this host. */
int hv_owner_new(struct hv_owner **out, struct hv_disks *disks, const struct stor_uuid *vm,
		 const char *node, const char *label, uint32_t io_timeout_ms,
		 const struct hv_owner_ops *ops, void *arg, struct cm_err *err) cm_must_check;
/* Does not release. done(arg) when it is gone; o is freed then. */
void hv_owner_close(struct hv_owner *o, cm_close_fn done, void *arg);
/* From now on run-until follows the lease. NULL: lets go of the VM (before hv_vm_free). */
void hv_owner_set_vm(struct hv_owner *o, struct hv_vm *vm);
/* Migration tells that it holds the VM paused: do not run it by ourselves when renewals succeed
 * again. */
void hv_owner_hold(struct hv_owner *o, bool hold);
/* For acquire, take_over, release and the migration's steps. */
struct stor_lease *hv_owner_lease(struct hv_owner *o);

#endif
