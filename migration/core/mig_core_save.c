/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_save.c - the chain of steps of a save; docs/SAVED-STATE.md tells the rules. Each step
 * names the next one; the volume's metadata is blocking code and has a thread of its own.
 *
 *   making -> opening -> pausing -> writing -> closing -> sealing -> saved -> (the end)
 *   any failure -> undoing -> the VM runs on
 *
 * Parses arguments of the agent.
 */
#include "config.h"

#include "migration/core/mig_core_save.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/hv_disks.h"
#include "migration/core/mig_core_image.h"
#include "migration/core/mig_core_int.h"
#include "migration/core/mig_core_undo.h"

#define PROGRESS_MS 500u
/* Who asked for a save and went away when it was complete may have told pacemaker to stop the VM:
 * that long it may take. */
#define HOLD_MS 30000u

static void send_progress(struct mig_core_image *p)
{
	struct mig_core *g = mig__core_image_of(p);
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_json j;

	if (!g->q)
		return;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	(void)mig__core_image_status(g, &j);
	hv_json_close(&j, '}');
	r.state = (Hv__VmState)hv_core_state(g->core);
	r.doc = (char *)(uintptr_t)hv_json_text(&j);
	px_req_tell(g->q, &r);
	hv_json_fini(&j);
}

static void on_timer(struct cm_timer *t, void *arg)
{
	struct mig_core_image *p = arg;
	struct cm_err err = CM_ERR_INIT;

	switch (p->step) {
	case MIG_CORE_WRITING:
		send_progress(p);
		cm_timer_arm_ms(t, PROGRESS_MS);
		break;
	case MIG_CORE_SAVED:
		cm_err_set(&err, CM_E_MIG_CANCELLED, "nobody ended the saved VM: it runs on");
		mig__core_undo_fail(p, &err);
		break;
	case MIG_CORE_UNDOING:
		mig__core_undo(p);
		break;
	default:
		break;
	}
}

/* Saved, released: all is over. */
static void save_ended(void *arg, int rc)
{
	struct mig_core_image *p = arg;
	struct mig_result r = p->result;

	cm_timer_fini(&p->timer);
	if (rc < 0) {
		r.code = rc;
		cm_err_set(&r.err, rc, "the VM is saved, but its ownership was not released");
	}
	mig__core_answer(mig__core_image_of(p), &r);
}

static void saved(struct mig_core_image *p)
{
	struct mig_core *g = mig__core_image_of(p);
	struct hv_core *core = g->core;
	bool end = !p->hold || hv_core_end_is_wanted(core);

	(void)cm_fault("image.saved");
	g->last = p->result;
	g->have_last = true;
	cm_timer_disarm(&p->timer);
	mig__core_image_begin(p, MIG_CORE_SAVED);
	hv_core_event(core, "saved", "notice", "", "the state is on the volume: %llu MiB in %.1f s",
		      (unsigned long long)(p->result.sent_bytes >> 20),
		      (double)p->result.total_ns / 1e9);
	if (hv_core_on_end(core, save_ended, p) < 0)
		cm_warning("too many wait for the end of this VM");
	if (g->ending) {
		hv_core_end_go(core);
		return;
	}
	hv_core_set_state(core, HV_CORE_SAVED);
	if (end) {
		hv_core_end(core, 0, true);
		return;
	}
	send_progress(p);
	if (!g->q)
		cm_timer_arm_ms(&p->timer, HOLD_MS);
}

static void work_seal(void *arg)
{
	struct mig_core_image *p = arg;
	int rc = cm_fault("image.seal");

	if (rc == 0)
		rc = stor_volume_image_seal(p->vol, &p->vm, &p->work_err);
	if (rc == 0)
		rc = cm_fault("image.sealed");
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "the saved state cannot be sealed: %s",
			   cm_err_text(rc));
}

static void sealed(void *arg)
{
	struct mig_core_image *p = arg;

	if (p->work_err.code)
		mig__core_undo_fail(p, &p->work_err);
	else if (mig__core_image_of(p)->ending || !mig__core_undo_is_over(p))
		saved(p);
}

static void write_closed(void *arg)
{
	struct mig_core_image *p = arg;

	if (p->result.code) {
		mig__core_undo(p);
	} else if (!mig__core_undo_is_over(p)) {
		p->sealing = true;
		mig__core_image_work(p, MIG_CORE_SEALING, work_seal, sealed);
	}
}

static void written(void *arg, const struct mig_result *r)
{
	struct mig_core_image *p = arg;

	p->im = NULL;
	p->result = *r;
	cm_timer_disarm(&p->timer);
	if (r->code)
		p->why = r->err;
	if (p->dev) {
		mig__core_image_begin(p, r->code ? MIG_CORE_UNDOING : MIG_CORE_CLOSING);
		mig__core_image_close_dev(p, write_closed, p);
	} else if (r->code) {
		mig__core_undo(p);
	} else {
		saved(p); /* to a file */
	}
}

static void paused(void *arg, int error)
{
	struct mig_core_image *p = arg;
	struct mig_image_config c;
	struct cm_err err = CM_ERR_INIT;

	if (mig__core_undo_is_over(p))
		return;
	if (error) {
		cm_err_set(&err, error, "the VM could not be paused: %s", cm_err_text(error));
		mig__core_undo_fail(p, &err);
		return;
	}
	mig__core_image_config(p, &c, written);
	if (mig_image_save(&p->im, &c, &err) < 0) {
		mig__core_undo_fail(p, &err);
		return;
	}
	mig__core_image_begin(p, MIG_CORE_WRITING);
	cm_timer_arm_ms(&p->timer, PROGRESS_MS);
}

static void save_pause(struct mig_core_image *p)
{
	struct cm_err err = CM_ERR_INIT;

	mig__core_image_begin(p, MIG_CORE_PAUSING);
	mig__core_hold(mig__core_image_of(p), true);
	if (hv_vm_pause(hv_core_vm(mig__core_image_core(p)), paused, p, &err) < 0)
		mig__core_undo_fail(p, &err);
}

static void save_dev_event(struct stor_dev *dev, enum stor_dev_event event,
			   const struct cm_err *err, void *arg)
{
	struct mig_core_image *p = arg;

	(void)dev;
	if (p->step != MIG_CORE_OPENING)
		return;
	if (event == STOR_EVENT_READY && !mig__core_undo_is_over(p))
		save_pause(p);
	else if (event == STOR_EVENT_FAILED)
		mig__core_undo_fail(p, err);
}

static void work_make(void *arg)
{
	struct mig_core_image *p = arg;
	const struct stor_uuid *vm = &p->vm;
	int rc = cm_fault("image.make");

	/* What is there is what a save that did not end left behind: this VM runs. */
	if (rc == 0)
		rc = stor_volume_image_drop(p->vol, vm, &p->work_err);
	if (rc == CM_E_NO_DISK)
		rc = 0;
	cm_err_clear(&p->work_err);
	if (rc == 0)
		rc = stor_volume_image_create(p->vol, vm, p->max_bytes, &p->work_err);
	if (rc == 0)
		rc = cm_fault("image.made");
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "there can be no saved state: %s", cm_err_text(rc));
}

static void made(void *arg)
{
	struct mig_core_image *p = arg;
	struct cm_err err = CM_ERR_INIT;

	p->made = true;
	if (p->work_err.code) {
		mig__core_undo_fail(p, &p->work_err);
	} else if (!mig__core_undo_is_over(p)) {
		mig__core_image_open_dev(p, false, save_dev_event, &err);
		if (!p->dev)
			mig__core_undo_fail(p, &err);
	}
}

static void asker_gone(struct px_req *q)
{
	struct mig_core *g = q->work;
	struct mig_core_image *p = &g->image;

	g->q = NULL;
	px_req_ok(q, NULL);
	if (p->step == MIG_CORE_SAVED) {
		if (!g->ending && !hv_core_is_ending(g->core))
			cm_timer_arm_ms(&p->timer, HOLD_MS);
		return;
	}
	p->cancelled = true;
	if (p->im)
		mig_image_cancel(p->im);
}

static int save_target(struct mig_core *g, const char *path, struct cm_err *err)
{
	struct mig_core_image *p = &g->image;

	if (path && path[0]) {
		p->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		return p->fd < 0 ? cm_err_set(err, CM_E_NO_FILE, "%s: %s", path, strerror(errno))
				 : 0;
	}
	p->vol = hv_disks_lease_volume(hv_core_disks(g->core));
	if (!p->vol)
		return cm_err_set(err, CM_E_UNSUPPORTED,
				  "the VM's ownership block is on no volume, so there is no place "
				  "for its state");
	return 0;
}

void mig_core_verb_save(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);
	struct hv_core *core = ctx;
	struct mig_core_image *p = &g->image;
	struct cm_err err = CM_ERR_INIT;

	if (mig__core_is_free(g, &err) == 0 && hv_core_state(core) != HV_CORE_RUNNING)
		cm_err_set(&err, CM_E_VM_STATE, "the VM is %s",
			   hv_core_state_word(hv_core_state(core)));
	if (!err.code) {
		*p = (struct mig_core_image){.fd = -1, .hold = px_req_flag(q, "hold")};
		(void)save_target(g, px_req_arg(q, "image"), &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
		return;
	}
	memcpy(p->vm.b, hv_vm_config(hv_core_vm(core))->uuid, sizeof p->vm.b);
	p->max_bytes = mig_image_max_bytes(hv_core_start(core)->vm->memory_bytes);
	cm_timer_init(&p->timer, hv_core_loop(core), on_timer, p);
	g->role = "save";
	g->q = q;
	q->work = g;
	q->gone = asker_gone;
	hv_core_set_state(core, HV_CORE_SAVING);
	if (p->vol)
		mig__core_image_work(p, MIG_CORE_MAKING, work_make, made);
	else
		save_pause(p);
}

void mig_core_verb_save_cancel(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);
	struct mig_core_image *p = &g->image;
	struct cm_err err = CM_ERR_INIT;

	if (p->step == MIG_CORE_NONE || p->step > MIG_CORE_SAVED || hv_core_is_ending(g->core)) {
		px_req_failf(q, CM_E_VM_STATE, "no save of this VM is under way");
		return;
	}
	px_req_ok(q, NULL);
	p->cancelled = true;
	if (p->im)
		mig_image_cancel(p->im);
	if (p->step == MIG_CORE_SAVED) {
		cm_err_set(&err, CM_E_MIG_CANCELLED, "the save was cancelled");
		mig__core_undo_fail(p, &err);
	}
}
