/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_end.c - the end of the process, in this order: vCPUs stopped, devices drained, disks
 * flushed, claims on them and ownership released, VM freed, lease and devices closed, loop stopped. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "hvcore/hv_core_int.h"

/* The last words need a turn of the loop to leave. */
#define LINGER_MS 20u

/* The SAN may never answer: the end comes in any case. The block stays as it is; a takeover needs a
 * proof. */
#define GIVE_UP_MS 20000u

static void give_up(struct cm_timer *t, void *arg)
{
	struct hv_core *core = arg;

	(void)t;
	cm_error("the end did not come within %u ms (state %s): by force, nothing is released",
		 GIVE_UP_MS, core->vm ? hv_vm_state_name(hv_vm_state(core->vm)) : "none");
	cm_log_fini();
	_exit(5);
}

static void stop_loop(struct cm_timer *t, void *arg)
{
	struct hv_core *core = arg;

	(void)t;
	cm_timer_fini(&core->linger);
	cm_loop_stop(core->loop, core->exit_code);
}

static void disks_closed(void *arg)
{
	struct hv_core *core = arg;

	core->disks = NULL;
	hv_qga_free(core->qga);
	core->qga = NULL;
	hv_vm_free(core->vm);
	core->vm = NULL;
	/* "stopped" tells the agent that the block is free. */
	hv_core_set_state(core, core->release_rc < 0 ? HV_CORE_FAILED : HV_CORE_STOPPED);
	for (unsigned i = 0; i < core->enders; i++)
		core->ender[i].fn(core->ender[i].arg, core->release_rc);
	core->enders = 0;
	if (core->watcher.over)
		core->watcher.over(core->watcher.arg);
	core->watcher = (struct hv_core_watcher){.event = NULL};
	cm_timer_fini(&core->giveup);
	cm_timer_init(&core->linger, core->loop, stop_loop, core);
	cm_timer_arm_ms(&core->linger, LINGER_MS);
}

static void owner_closed(void *arg)
{
	struct hv_core *core = arg;

	if (core->disks)
		hv_disks_close(core->disks, disks_closed, core);
	else
		disks_closed(core);
}

/* The VM goes last: requests that the SAN never answered end when the disks are closed. */
static void free_all(struct hv_core *core)
{
	struct hv_owner *owner = core->owner;

	core->closing = true;
	core->owner = NULL;
	if (core->vm)
		hv_vm_halt(core->vm);
	if (core->hooks.alive) /* not before the last vCPU is out: who hangs here is ended */
		core->hooks.alive(core, 0);
	if (owner)
		hv_owner_close(owner, owner_closed, core);
	else
		owner_closed(core);
}

static void released(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct hv_core *core = arg;

	(void)lease;
	core->release_rc = rc;
	if (rc < 0) {
		cm_error("the ownership was not released: %s", err->text);
		core->exit_code = core->exit_code ? core->exit_code : 1;
	}
	core->owned = false;
	free_all(core);
}

static void give_block_back(struct hv_core *core)
{
	if (core->release && core->owned && core->owner)
		stor_lease_release(hv_owner_lease(core->owner), released, core);
	else
		free_all(core);
}

static void unclaimed(void *arg, int rc, const struct cm_err *err)
{
	if (rc < 0)
		cm_warning("a disk stays claimed by this VM until its next start: %s", err->text);
	give_block_back(arg);
}

/* Before the block: who owns the VM next claims its disks anew, and that must not be undone by us. */
static void give_back(struct hv_core *core)
{
	bool ours = core->owner ? core->owned && stor_lease_valid_until(hv_owner_lease(core->owner)) != 0
				: core->disks != NULL;

	if (core->release && core->disks && ours)
		hv_disks_release(core->disks, hv_core_epoch(core), unclaimed, core);
	else
		give_block_back(core);
}

static void flushed(void *arg, int error)
{
	if (error)
		cm_warning("flushing the disks: %s", cm_err_text(error));
	give_back(arg);
}

static void stopped(void *arg, int error)
{
	struct hv_core *core = arg;

	if (error)
		cm_warning("stopping the VM: %s", cm_err_text(error));
	/* What the guest wrote and never flushed is not promised; but an orderly end keeps it. */
	hv_vm_flush_start(&core->flush, core->vm, flushed, core);
}

int hv_core_on_end(struct hv_core *core, hv_vm_done_fn done, void *arg)
{
	if (core->enders == HV_CORE_ENDERS)
		return -ENOSPC;
	core->ender[core->enders].fn = done;
	core->ender[core->enders++].arg = arg;
	return 0;
}

bool hv_core_end_is_wanted(const struct hv_core *core)
{
	return core->enders != 0;
}

void hv_core_end_go(struct hv_core *core)
{
	struct cm_err err = CM_ERR_INIT;

	/* Given away, shut out or lost: nothing can be drained, devices are closed as they are. */
	if (core->owner && !core->owned)
		core->release = false;
	if (!core->vm || !core->release)
		give_back(core);
	else if (hv_vm_stop(core->vm, stopped, core, &err) < 0) {
		cm_warning("%s", err.text);
		hv_vm_flush_start(&core->flush, core->vm, flushed, core);
	}
}

void hv_core_end(struct hv_core *core, int exit_code, bool release)
{
	if (core->ending)
		return;
	core->ending = true;
	core->exit_code = exit_code;
	core->release = release;
	if (core->state != HV_CORE_FAILED)
		hv_core_set_state(core, HV_CORE_STOPPING);
	cm_timer_init(&core->giveup, core->loop, give_up, core);
	cm_timer_arm_ms(&core->giveup, GIVE_UP_MS);
	if (!core->hooks.end || !core->hooks.end(core))
		hv_core_end_go(core);
}
