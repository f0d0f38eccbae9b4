/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_image.c - saved states in the hvcore process: the chain of steps of a save and of a restore, docs/SAVED-STATE.md
 * tells the rules. Each step names the next one; the volume's metadata is blocking code and has a thread of its own.
 *
 * Save:     making -> opening -> pausing -> writing -> closing -> sealing -> saved -> (the end)
 *           any failure -> undoing -> the VM runs on
 * Restore:  looking -> (disks) -> opening -> reading -> closing -> consuming -> the VM runs
 *
 * Parses arguments of the agent. Images are parsed by migration/.
 */
#include "config.h"

#include "programs/hvcore_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_work.h"
#include "hvcore/hv_disks.h"
#include "hvcore/hv_owner.h"
#include "migration/mig_image.h"
#include "sharedstorage/stor_disk.h"

#define PROGRESS_MS	500u
#define UNDO_AGAIN_MS	1000u
/* Who asked for a save and went away when it was complete may have told pacemaker to stop the VM: that long it may take. */
#define HOLD_MS		30000u
#define CONSUME_TRIES	5u
#define CONSUME_WAIT_NS 200000000

static const char *const step_words[] = {"",	   "preparing", "preparing", "pausing",	  "saving",    "saving",
					 "sealing", "saved",	  "undoing",   "looking", "restoring", "restoring"};

static struct hvcore_migrate *of_image(struct hvcore_image *p)
{
	return (struct hvcore_migrate *)((char *)p - offsetof(struct hvcore_migrate, image));
}

static struct hv_core *core_of(struct hvcore_image *p)
{
	return of_image(p)->core;
}

/* Nothing on the SAN can be changed by who has lost the VM, and nothing need be. */
static bool owns(struct hvcore_image *p)
{
	return stor_lease_valid_until(hv_owner_lease(hv_core_owner(core_of(p)))) != 0;
}

static void begin(struct hvcore_image *p, enum hvcore_image_step step)
{
	cm_debug("saved state: %s", step_words[step]);
	p->step = step;
}

static void work(struct hvcore_image *p, enum hvcore_image_step step, void (*fn)(void *), void (*then)(void *))
{
	begin(p, step);
	cm_err_clear(&p->work_err);
	if (cm_work(hv_core_loop(core_of(p)), fn, then, p) < 0) {
		cm_err_set(&p->work_err, CM_E_NO_MEMORY, "cannot start a thread");
		cm_loop_defer(hv_core_loop(core_of(p)), then, p);
	}
}

/* What the VM's disks are, to be noted in an image or compared with one. */
static void marks(struct hv_core *core, struct mig_disks *out)
{
	const Hv__VmConfig *c = hv_core_start(core)->vm;

	out->n = (uint32_t)c->n_disks;
	CM_ASSERT(out->n <= MIG_DISKS_MAX);
	for (unsigned i = 0; i < out->n; i++)
		out->disk[i] = (struct mig_disk_mark){
			.id = hv_disks_id(hv_core_disks(core), i),
			.size_bytes = stor_dev_info(hv_disks_dev(hv_core_disks(core), i))->capacity_bytes,
			.readonly = c->disks[i]->readonly,
		};
}

static void image_config(struct hvcore_image *p, struct mig_image_config *c,
			 void (*done)(void *arg, const struct mig_result *r))
{
	struct hv_core *core = core_of(p);

	*c = (struct mig_image_config){.vm = hv_core_vm(core), .fd = p->fd, .dev = p->dev, .done = done, .arg = p};
	c->node = hv_core_start(core)->node;
	c->epoch = hv_core_owner(core) ? stor_lease_epoch(hv_owner_lease(hv_core_owner(core))) : 0;
	marks(core, &c->disks);
	p->fd = -1;
}

static void close_dev(struct hvcore_image *p, cm_close_fn then, void *arg)
{
	struct stor_dev *dev = p->dev;

	p->dev = NULL;
	stor_dev_close(dev, then, arg);
}

/* --- the end of a save that failed --------------------------------------------------------------------------- */

static void undone(void *arg);

static void work_undo(void *arg)
{
	struct hvcore_image *p = arg;
	int rc = cm_fault("image.undo");

	if (rc == 0)
		rc = stor_volume_image_drop(p->vol, &p->vm, &p->work_err);
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "%s", cm_err_text(rc));
}

/* The VM runs on, as if nobody had asked. */
static void run_on(struct hvcore_image *p)
{
	struct hvcore_migrate *g = of_image(p);
	struct hv_core *core = g->core;
	struct mig_result r = p->result;
	struct cm_err err = CM_ERR_INIT;

	r.err = p->why;
	r.code = p->why.code;
	cm_timer_fini(&p->timer);
	begin(p, HVCORE_IMAGE_NONE);
	hvcore_migrate_hold(g, false);
	hv_core_event(core, "save-failed", "warning", "", "%s", p->why.text);
	hvcore_migrate_answer(g, &r);
	if (g->ending) {
		hv_core_end_go(core);
		return;
	}
	if (hv_core_state(core) == HV_CORE_SAVING || hv_core_state(core) == HV_CORE_SAVED)
		hv_core_set_state(core, HV_CORE_RUNNING);
	if (hv_vm_state(hv_core_vm(core)) == HV_VM_PAUSED && hv_core_run(core, &err) < 0)
		hv_core_event(core, "guest-failed", "error", "", "after a failed save: %s", err.text);
}

static void undo(struct hvcore_image *p)
{
	cm_timer_disarm(&p->timer);
	if (p->vol && p->made && owns(p))
		work(p, HVCORE_IMAGE_UNDOING, work_undo, undone);
	else
		run_on(p);
}

static void undone(void *arg)
{
	struct hvcore_image *p = arg;
	int rc = p->work_err.code;

	if (rc && rc != CM_E_NO_DISK)
		cm_warning("the saved state could not be dropped: %s", p->work_err.text);
	/* An image that was never sealed counts for nothing. One that may be sealed must be gone before the VM runs on: else
	 * the VM would meet it again, at its next start, over disks that it wrote meanwhile. */
	if (rc && rc != CM_E_NO_DISK && p->sealing && owns(p) && !of_image(p)->ending) {
		begin(p, HVCORE_IMAGE_UNDOING);
		cm_timer_arm_ms(&p->timer, UNDO_AGAIN_MS);
		return;
	}
	p->made = p->sealing = false;
	run_on(p);
}

static void undo_closed(void *arg)
{
	undo(arg);
}

static void fail(struct hvcore_image *p, const struct cm_err *err)
{
	if (!p->why.code)
		p->why = *err;
	begin(p, HVCORE_IMAGE_UNDOING);
	if (p->dev)
		close_dev(p, undo_closed, p);
	else
		undo(p);
}

/* True: somebody wants the save to end, and it does. */
static bool is_over(struct hvcore_image *p)
{
	struct cm_err err = CM_ERR_INIT;

	if (!p->cancelled && !of_image(p)->ending)
		return false;
	cm_err_set(&err, CM_E_MIG_CANCELLED, "the save was cancelled");
	fail(p, &err);
	return true;
}

/* --- save ------------------------------------------------------------------------------------------------------ */

static void send_progress(struct hvcore_image *p)
{
	struct hvcore_migrate *g = of_image(p);
	struct hv_json j;

	if (!g->q)
		return;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	(void)hvcore_image_status(g, &j);
	hv_json_close(&j, '}');
	px_req_progress(g->q, hv_json_text(&j));
	hv_json_fini(&j);
}

static void on_timer(struct cm_timer *t, void *arg)
{
	struct hvcore_image *p = arg;
	struct cm_err err = CM_ERR_INIT;

	switch (p->step) {
	case HVCORE_IMAGE_WRITING:
		send_progress(p);
		cm_timer_arm_ms(t, PROGRESS_MS);
		break;
	case HVCORE_IMAGE_SAVED:
		cm_err_set(&err, CM_E_MIG_CANCELLED, "nobody ended the saved VM: it runs on");
		fail(p, &err);
		break;
	case HVCORE_IMAGE_UNDOING:
		undo(p);
		break;
	default:
		break;
	}
}

/* Saved, released: all is over. */
static void save_ended(void *arg, int rc)
{
	struct hvcore_image *p = arg;
	struct mig_result r = p->result;

	cm_timer_fini(&p->timer);
	if (rc < 0) {
		r.code = rc;
		cm_err_set(&r.err, rc, "the VM is saved, but its ownership was not released");
	}
	hvcore_migrate_answer(of_image(p), &r);
}

static void saved(struct hvcore_image *p)
{
	struct hvcore_migrate *g = of_image(p);
	struct hv_core *core = g->core;
	bool end = !p->hold || hv_core_end_is_wanted(core);

	(void)cm_fault("image.saved");
	g->last = p->result;
	g->have_last = true;
	cm_timer_disarm(&p->timer);
	begin(p, HVCORE_IMAGE_SAVED);
	hv_core_event(core, "saved", "notice", "", "the state is on the volume: %llu MiB in %.1f s",
		      (unsigned long long)(p->result.sent_bytes >> 20), (double)p->result.total_ns / 1e9);
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
	struct hvcore_image *p = arg;
	int rc = cm_fault("image.seal");

	if (rc == 0)
		rc = stor_volume_image_seal(p->vol, &p->vm, &p->work_err);
	if (rc == 0)
		rc = cm_fault("image.sealed");
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "the saved state cannot be sealed: %s", cm_err_text(rc));
}

static void sealed(void *arg)
{
	struct hvcore_image *p = arg;

	if (p->work_err.code)
		fail(p, &p->work_err);
	else if (of_image(p)->ending || !is_over(p))
		saved(p);
}

static void write_closed(void *arg)
{
	struct hvcore_image *p = arg;

	if (p->result.code) {
		undo(p);
	} else if (!is_over(p)) {
		p->sealing = true;
		work(p, HVCORE_IMAGE_SEALING, work_seal, sealed);
	}
}

static void written(void *arg, const struct mig_result *r)
{
	struct hvcore_image *p = arg;

	p->im = NULL;
	p->result = *r;
	cm_timer_disarm(&p->timer);
	if (r->code)
		p->why = r->err;
	if (p->dev) {
		begin(p, r->code ? HVCORE_IMAGE_UNDOING : HVCORE_IMAGE_CLOSING);
		close_dev(p, write_closed, p);
	} else if (r->code) {
		undo(p);
	} else {
		saved(p); /* to a file */
	}
}

static void paused(void *arg, int error)
{
	struct hvcore_image *p = arg;
	struct mig_image_config c;
	struct cm_err err = CM_ERR_INIT;

	if (is_over(p))
		return;
	if (error) {
		cm_err_set(&err, error, "the VM could not be paused: %s", cm_err_text(error));
		fail(p, &err);
		return;
	}
	image_config(p, &c, written);
	if (mig_image_save(&p->im, &c, &err) < 0) {
		fail(p, &err);
		return;
	}
	begin(p, HVCORE_IMAGE_WRITING);
	cm_timer_arm_ms(&p->timer, PROGRESS_MS);
}

static void save_pause(struct hvcore_image *p)
{
	struct cm_err err = CM_ERR_INIT;

	begin(p, HVCORE_IMAGE_PAUSING);
	hvcore_migrate_hold(of_image(p), true);
	if (hv_vm_pause(hv_core_vm(core_of(p)), paused, p, &err) < 0)
		fail(p, &err);
}

static void save_dev_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err, void *arg)
{
	struct hvcore_image *p = arg;

	(void)dev;
	if (p->step != HVCORE_IMAGE_OPENING)
		return;
	if (event == STOR_EVENT_READY && !is_over(p))
		save_pause(p);
	else if (event == STOR_EVENT_FAILED)
		fail(p, err);
}

static void open_dev(struct hvcore_image *p, bool readonly, stor_event_fn event, struct cm_err *err)
{
	const struct stor_dev_opts opts = {.readonly = readonly, .event = event, .event_arg = p};

	begin(p, HVCORE_IMAGE_OPENING);
	p->dev = stor_image_open(p->vol, &p->vm, &opts, err);
}

static void work_make(void *arg)
{
	struct hvcore_image *p = arg;
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
	struct hvcore_image *p = arg;
	struct cm_err err = CM_ERR_INIT;

	p->made = true;
	if (p->work_err.code) {
		fail(p, &p->work_err);
	} else if (!is_over(p)) {
		open_dev(p, false, save_dev_event, &err);
		if (!p->dev)
			fail(p, &err);
	}
}

static void asker_gone(struct px_req *q)
{
	struct hvcore_migrate *g = q->work;
	struct hvcore_image *p = &g->image;

	g->q = NULL;
	px_req_ok(q, NULL);
	if (p->step == HVCORE_IMAGE_SAVED) {
		if (!g->ending && !hv_core_is_ending(g->core))
			cm_timer_arm_ms(&p->timer, HOLD_MS);
		return;
	}
	p->cancelled = true;
	if (p->im)
		mig_image_cancel(p->im);
}

static int save_target(struct hvcore_migrate *g, const char *path, struct cm_err *err)
{
	struct hvcore_image *p = &g->image;

	if (path && path[0]) {
		p->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		return p->fd < 0 ? cm_err_set(err, CM_E_NO_FILE, "%s: %s", path, strerror(errno)) : 0;
	}
	p->vol = hv_disks_lease_volume(hv_core_disks(g->core));
	if (!p->vol)
		return cm_err_set(err, CM_E_UNSUPPORTED,
				  "the VM's ownership block is on no volume, so there is no place for its state");
	return 0;
}

void hvcore_image_verb_save(struct px_req *q, void *ctx)
{
	struct hvcore_migrate *g = hvcore_migrate_of(ctx);
	struct hv_core *core = ctx;
	struct hvcore_image *p = &g->image;
	struct cm_err err = CM_ERR_INIT;

	if (g->src || g->dst || p->step)
		cm_err_set(&err, CM_E_MIG_BUSY, "a migration or a save of this VM is under way");
	else if (hv_core_state(core) != HV_CORE_RUNNING)
		cm_err_set(&err, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(hv_core_state(core)));
	if (!err.code) {
		*p = (struct hvcore_image){.fd = -1, .hold = px_req_flag(q, "hold")};
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
		work(p, HVCORE_IMAGE_MAKING, work_make, made);
	else
		save_pause(p);
}

void hvcore_image_verb_cancel(struct px_req *q, void *ctx)
{
	struct hvcore_migrate *g = hvcore_migrate_of(ctx);
	struct hvcore_image *p = &g->image;
	struct cm_err err = CM_ERR_INIT;

	if (p->step == HVCORE_IMAGE_NONE || p->step > HVCORE_IMAGE_SAVED || hv_core_is_ending(g->core)) {
		px_req_failf(q, CM_E_VM_STATE, "no save of this VM is under way");
		return;
	}
	px_req_ok(q, NULL);
	p->cancelled = true;
	if (p->im)
		mig_image_cancel(p->im);
	if (p->step == HVCORE_IMAGE_SAVED) {
		cm_err_set(&err, CM_E_MIG_CANCELLED, "the save was cancelled");
		fail(p, &err);
	}
}

/* --- restore ----------------------------------------------------------------------------------------------------- */

/* The volume's copy of the definition becomes what the agent says now; a VM without one can run as well. */
static void keep_definition(struct hvcore_image *p)
{
	struct cm_err err = CM_ERR_INIT;
	char *have = NULL;
	size_t n = 0;
	int rc;

	if (!p->definition)
		return;
	rc = stor_volume_config_get(p->vol, &p->vm, &have, &n, NULL);
	if (rc < 0 || strcmp(have, p->definition) != 0)
		rc = stor_volume_config_put(p->vol, &p->vm, hv_core_start(core_of(p))->vm->name, p->definition,
					    strlen(p->definition), &err);
	if (rc < 0)
		cm_warning("the volume's copy of the definition: %s", err.text);
	free(have);
}

static void work_look(void *arg)
{
	struct hvcore_image *p = arg;
	const struct stor_uuid *vm = &p->vm;
	struct cm_err err = CM_ERR_INIT;
	int rc = cm_fault("image.look");

	keep_definition(p);
	if (rc == 0)
		rc = stor_volume_image_find(p->vol, vm, &p->info, &p->work_err);
	if (rc == CM_E_NO_DISK) {
		p->info.sealed = false;
		cm_err_clear(&p->work_err);
		return;
	}
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "cannot see whether the VM is saved: %s", cm_err_text(rc));
	else if (!p->info.sealed && stor_volume_image_drop(p->vol, vm, &err) < 0)
		cm_warning("what a save that did not end left behind takes space: %s", err.text);
}

static void looked(void *arg)
{
	struct hvcore_image *p = arg;
	struct hv_core *core = core_of(p);

	begin(p, HVCORE_IMAGE_NONE);
	if (of_image(p)->ending) {
		hv_core_end_go(core);
		return;
	}
	if (p->work_err.code)
		hv_core_start_failed(core, p->work_err.code, NULL, "%s", p->work_err.text);
	else
		hv_core_go_on(core, p->info.sealed);
}

void hvcore_image_look(struct hv_core *core)
{
	struct hvcore_migrate *g = hvcore_migrate_of(core);
	struct hvcore_image *p = &g->image;
	const Hv__CoreStart *start = hv_core_start(core);

	*p = (struct hvcore_image){.fd = -1, .vol = hv_disks_lease_volume(hv_core_disks(core))};
	if (!p->vol || stor_uuid_parse(start->vm->uuid, &p->vm) < 0) {
		hv_core_go_on(core, false);
		return;
	}
	for (size_t i = 0; i < start->n_options; i++)
		if (strcmp(start->options[i]->key, "definition") == 0)
			p->definition = start->options[i]->value;
	work(p, HVCORE_IMAGE_LOOKING, work_look, looked);
}

static void restore_over(struct hvcore_image *p, const struct cm_err *err)
{
	struct hvcore_migrate *g = of_image(p);

	begin(p, HVCORE_IMAGE_NONE);
	if (g->ending) {
		hv_core_end_go(g->core);
		return;
	}
	if (!err->code)
		hv_core_event(g->core, "restored", "notice", "", "the VM goes on from its saved state");
	hv_core_restored(g->core, err);
}

/*
 * The one moment after which nobody can go on from this image again. An error may have come after it: then the next try
 * does not find the image. That can only have been us, because nobody restores this VM without owning it, and we do.
 */
static void work_consume(void *arg)
{
	struct hvcore_image *p = arg;
	const struct timespec wait = {.tv_nsec = CONSUME_WAIT_NS};
	struct cm_err err = CM_ERR_INIT;
	bool tried = false;
	int rc = cm_fault("image.consume");

	for (unsigned i = 0; rc == 0 && i < CONSUME_TRIES; i++) {
		cm_err_clear(&err);
		rc = stor_volume_image_consume(p->vol, &p->vm, &p->info.id, &err);
		if (rc == 0)
			break;
		if (tried && (rc == CM_E_NO_DISK || rc == CM_E_LEASE_MISCOMPARE)) {
			rc = 0;
			break;
		}
		if (rc == CM_E_NO_DISK || rc == CM_E_LEASE_MISCOMPARE || i + 1 == CONSUME_TRIES)
			break;
		cm_warning("consuming the saved state: %s; looking again", err.text);
		tried = true;
		rc = 0;
		nanosleep(&wait, NULL);
	}
	if (rc == 0)
		rc = cm_fault("image.consumed");
	if (rc < 0)
		cm_err_set(&p->work_err, rc, "%s: %s",
			   rc == CM_E_NO_DISK || rc == CM_E_LEASE_MISCOMPARE
				   ? "somebody else has discarded the saved state"
				   : "the saved state cannot be consumed",
			   err.code ? err.text : cm_err_text(rc));
}

static void consumed(void *arg)
{
	struct hvcore_image *p = arg;

	restore_over(p, &p->work_err);
}

static void read_closed(void *arg)
{
	struct hvcore_image *p = arg;

	if (p->result.code || of_image(p)->ending)
		restore_over(p, &p->result.err);
	else
		work(p, HVCORE_IMAGE_CONSUMING, work_consume, consumed);
}

static void image_read(void *arg, const struct mig_result *r)
{
	struct hvcore_image *p = arg;

	p->im = NULL;
	p->result = *r;
	cm_err_prefix(&p->result.err, "the saved state cannot go on here");
	if (p->dev)
		close_dev(p, read_closed, p);
	else
		restore_over(p, &r->err);
}

static void read_failed(void *arg)
{
	struct hvcore_image *p = arg;

	restore_over(p, &p->why);
}

static void read_dev_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err, void *arg)
{
	struct hvcore_image *p = arg;
	struct mig_image_config c;

	(void)dev;
	if (p->step != HVCORE_IMAGE_OPENING || (event != STOR_EVENT_READY && event != STOR_EVENT_FAILED))
		return;
	begin(p, HVCORE_IMAGE_READING);
	if (event == STOR_EVENT_FAILED) {
		p->why = *err;
	} else {
		image_config(p, &c, image_read);
		if (!of_image(p)->ending && mig_image_restore(&p->im, &c, &p->why) == 0)
			return;
	}
	close_dev(p, read_failed, p);
}

int hvcore_image_restore(struct hv_core *core, const char *path, struct cm_err *err)
{
	struct hvcore_migrate *g = hvcore_migrate_of(core);
	struct hvcore_image *p = &g->image;
	struct mig_image_config c;
	int rc;

	g->role = "restore";
	if (!path) {
		open_dev(p, true, read_dev_event, err);
		return p->dev ? 0 : err->code;
	}
	*p = (struct hvcore_image){.fd = open(path, O_RDONLY | O_CLOEXEC)};
	if (p->fd < 0)
		return cm_err_set(err, CM_E_NO_FILE, "%s: %s", path, strerror(errno));
	image_config(p, &c, image_read);
	rc = mig_image_restore(&p->im, &c, err);
	if (rc == 0)
		begin(p, HVCORE_IMAGE_READING);
	return rc;
}

/* --- status and end ------------------------------------------------------------------------------------------------ */

bool hvcore_image_status(struct hvcore_migrate *g, struct hv_json *j)
{
	struct hvcore_image *p = &g->image;
	struct mig_progress s = {0};
	char ms[32];

	if (p->step == HVCORE_IMAGE_NONE)
		return false;
	if (p->im)
		mig_image_get_progress(p->im, &s);
	else
		s.sent_bytes = p->result.sent_bytes;
	hv_json_open(j, "image", '{');
	hv_json_str(j, "phase", step_words[p->step]);
	hv_json_u64(j, "done_bytes", s.sent_bytes);
	hv_json_u64(j, "remaining_bytes", s.remaining_bytes);
	hv_json_u64(j, "bandwidth_bytes_s", s.bandwidth_bytes_s);
	snprintf(ms, sizeof ms, "%.3f", (double)s.elapsed_ns / 1e6);
	hv_json_raw(j, "elapsed_ms", ms);
	hv_json_close(j, '}');
	return true;
}

bool hvcore_image_end(struct hvcore_migrate *g)
{
	struct hvcore_image *p = &g->image;

	switch (p->step) {
	case HVCORE_IMAGE_NONE:
		return false;
	case HVCORE_IMAGE_SAVED:
		cm_timer_disarm(&p->timer);
		return false;
	case HVCORE_IMAGE_UNDOING:
		/* Waiting for another try: the VM ends anyway, so what it was saved as may stay. */
		if (p->timer.armed) {
			cm_timer_disarm(&p->timer);
			p->made = false;
			g->ending = true;
			run_on(p);
		}
		return true;
	default:
		p->cancelled = true;
		if (p->im)
			mig_image_cancel(p->im);
		return true;
	}
}
