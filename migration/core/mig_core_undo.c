/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_undo.c - the end of a save that failed or was cancelled: what is on the volume must not
 * count any more, then the VM runs on, as if nobody had asked. docs/SAVED-STATE.md tells the rules.
 * Parses nothing.
 */
#include "config.h"

#include "migration/core/mig_core_undo.h"

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "migration/core/mig_core_image.h"
#include "migration/core/mig_core_int.h"

#define UNDO_AGAIN_MS 1000u

static void undone(void *arg);

static void work_undo(void *arg)
{
	struct mig_core_image *p = arg;
	int rc = cm_fault("image.undo");

	if (rc == 0)
		rc = stor_volume_image_drop(p->vol, &p->vm, &p->work_err);
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "%s", cm_err_text(rc));
}

/* The VM runs on, as if nobody had asked. */
static void run_on(struct mig_core_image *p)
{
	struct mig_core *g = mig__core_image_of(p);
	struct hv_core *core = g->core;
	struct mig_result r = p->result;
	struct cm_err err = CM_ERR_INIT;

	r.err = p->why;
	r.code = p->why.code;
	cm_timer_fini(&p->timer);
	mig__core_image_begin(p, MIG_CORE_NONE);
	mig__core_hold(g, false);
	hv_core_event(core, "save-failed", "warning", "", "%s", p->why.text);
	mig__core_answer(g, &r);
	if (g->ending) {
		hv_core_end_go(core);
		return;
	}
	if (hv_core_state(core) == HV_CORE_SAVING || hv_core_state(core) == HV_CORE_SAVED)
		hv_core_set_state(core, HV_CORE_RUNNING);
	if (hv_vm_state(hv_core_vm(core)) == HV_VM_PAUSED && hv_core_run(core, &err) < 0)
		hv_core_event(core, "guest-failed", "error", "", "after a failed save: %s",
			      err.text);
}

void mig__core_undo_give_up(struct mig_core_image *p)
{
	run_on(p);
}

void mig__core_undo(struct mig_core_image *p)
{
	cm_timer_disarm(&p->timer);
	if (p->vol && p->made && mig__core_image_owns(p))
		mig__core_image_work(p, MIG_CORE_UNDOING, work_undo, undone);
	else
		run_on(p);
}

static void undone(void *arg)
{
	struct mig_core_image *p = arg;
	int rc = p->work_err.code;

	if (rc && rc != CM_E_NO_DISK)
		cm_warning("the saved state could not be dropped: %s", p->work_err.text);
	/* An image that was never sealed counts for nothing. One that may be sealed must be gone
	 * before the VM runs on: else the VM would meet it again, at its next start, over disks
	 * that it wrote meanwhile. */
	if (rc && rc != CM_E_NO_DISK && p->sealing && mig__core_image_owns(p) &&
	    !mig__core_image_of(p)->ending) {
		mig__core_image_begin(p, MIG_CORE_UNDOING);
		cm_timer_arm_ms(&p->timer, UNDO_AGAIN_MS);
		return;
	}
	p->made = p->sealing = false;
	run_on(p);
}

static void undo_closed(void *arg)
{
	mig__core_undo(arg);
}

void mig__core_undo_fail(struct mig_core_image *p, const struct cm_err *err)
{
	if (!p->why.code)
		p->why = *err;
	mig__core_image_begin(p, MIG_CORE_UNDOING);
	if (p->dev)
		mig__core_image_close_dev(p, undo_closed, p);
	else
		mig__core_undo(p);
}

bool mig__core_undo_is_over(struct mig_core_image *p)
{
	struct cm_err err = CM_ERR_INIT;

	if (!p->cancelled && !mig__core_image_of(p)->ending)
		return false;
	cm_err_set(&err, CM_E_MIG_CANCELLED, "the save was cancelled");
	mig__core_undo_fail(p, &err);
	return true;
}
