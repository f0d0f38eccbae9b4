/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_restore.c - the chain of steps of a restore; docs/SAVED-STATE.md tells the rules.
 *
 *   looking -> (disks) -> opening -> reading -> closing -> consuming -> the VM runs
 *
 * Images are parsed by migration/.
 */
#include "config.h"

#include "migration/core/mig_core_restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/hv_disks.h"
#include "migration/core/mig_core_image.h"

#define CONSUME_TRIES	5u
#define CONSUME_WAIT_NS 200000000

/* --- restore --- */

/* The volume's copy of the definition becomes what the agent says now; a VM without one can run as
 * well. */
static void keep_definition(struct mig_core_image *p)
{
	struct cm_err err = CM_ERR_INIT;
	char *have = NULL;
	size_t n = 0;
	int rc;

	if (!p->definition)
		return;
	rc = stor_volume_config_get(p->vol, &p->vm, &have, &n, NULL);
	if (rc < 0 || strcmp(have, p->definition) != 0)
		rc = stor_volume_config_put(p->vol, &p->vm,
					    hv_core_start(mig__core_image_core(p))->vm->name,
					    p->definition, strlen(p->definition), &err);
	if (rc < 0)
		cm_warning("the volume's copy of the definition: %s", err.text);
	free(have);
}

static void work_look(void *arg)
{
	struct mig_core_image *p = arg;
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
		cm_err_set(&p->work_err, rc, "cannot see whether the VM is saved: %s",
			   cm_err_text(rc));
	else if (!p->info.sealed && stor_volume_image_drop(p->vol, vm, &err) < 0)
		cm_warning("what a save that did not end left behind takes space: %s", err.text);
}

static void looked(void *arg)
{
	struct mig_core_image *p = arg;
	struct hv_core *core = mig__core_image_core(p);

	mig__core_image_begin(p, MIG_CORE_NONE);
	if (mig__core_image_of(p)->ending) {
		hv_core_end_go(core);
		return;
	}
	if (p->work_err.code)
		hv_core_start_failed(core, p->work_err.code, NULL, "%s", p->work_err.text);
	else
		hv_core_go_on(core, p->info.sealed);
}

void mig_core_look_saved(struct hv_core *core)
{
	struct mig_core *g = mig_core_of(core);
	struct mig_core_image *p = &g->image;
	const Hv__CoreStart *start = hv_core_start(core);

	*p = (struct mig_core_image){.fd = -1, .vol = hv_disks_lease_volume(hv_core_disks(core))};
	if (!p->vol || stor_uuid_parse(start->vm->uuid, &p->vm) < 0) {
		hv_core_go_on(core, false);
		return;
	}
	for (size_t i = 0; i < start->n_options; i++)
		if (strcmp(start->options[i]->key, "definition") == 0)
			p->definition = start->options[i]->value;
	mig__core_image_work(p, MIG_CORE_LOOKING, work_look, looked);
}

static void restore_over(struct mig_core_image *p, const struct cm_err *err)
{
	struct mig_core *g = mig__core_image_of(p);

	mig__core_image_begin(p, MIG_CORE_NONE);
	if (g->ending) {
		hv_core_end_go(g->core);
		return;
	}
	if (!err->code)
		hv_core_event(g->core, "restored", "notice", "",
			      "the VM goes on from its saved state");
	hv_core_restored(g->core, err);
}

/*
 * The one moment after which nobody can go on from this image again. An error may have come after
 * it: then the next try does not find the image. That can only have been us, because nobody
 * restores this VM without owning it, and we do.
 */
static void work_consume(void *arg)
{
	struct mig_core_image *p = arg;
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
	struct mig_core_image *p = arg;

	restore_over(p, &p->work_err);
}

static void read_closed(void *arg)
{
	struct mig_core_image *p = arg;

	if (p->result.code || mig__core_image_of(p)->ending)
		restore_over(p, &p->result.err);
	else
		mig__core_image_work(p, MIG_CORE_CONSUMING, work_consume, consumed);
}

static void image_read(void *arg, const struct mig_result *r)
{
	struct mig_core_image *p = arg;

	p->im = NULL;
	p->result = *r;
	cm_err_prefix(&p->result.err, "the saved state cannot go on here");
	if (p->dev)
		mig__core_image_close_dev(p, read_closed, p);
	else
		restore_over(p, &r->err);
}

static void read_failed(void *arg)
{
	struct mig_core_image *p = arg;

	restore_over(p, &p->why);
}

static void read_dev_event(struct stor_dev *dev, enum stor_dev_event event,
			   const struct cm_err *err, void *arg)
{
	struct mig_core_image *p = arg;
	struct mig_image_config c;

	(void)dev;
	if (p->step != MIG_CORE_OPENING ||
	    (event != STOR_EVENT_READY && event != STOR_EVENT_FAILED))
		return;
	mig__core_image_begin(p, MIG_CORE_READING);
	if (event == STOR_EVENT_FAILED) {
		p->why = *err;
	} else {
		mig__core_image_config(p, &c, image_read);
		if (!mig__core_image_of(p)->ending && mig_image_restore(&p->im, &c, &p->why) == 0)
			return;
	}
	mig__core_image_close_dev(p, read_failed, p);
}

int mig_core_restore(struct hv_core *core, const char *path, struct cm_err *err)
{
	struct mig_core *g = mig_core_of(core);
	struct mig_core_image *p = &g->image;
	struct mig_image_config c;
	int rc;

	g->role = "restore";
	if (!path) {
		mig__core_image_open_dev(p, true, read_dev_event, err);
		return p->dev ? 0 : err->code;
	}
	*p = (struct mig_core_image){.fd = open(path, O_RDONLY | O_CLOEXEC)};
	if (p->fd < 0)
		return cm_err_set(err, CM_E_NO_FILE, "%s: %s", path, strerror(errno));
	mig__core_image_config(p, &c, image_read);
	rc = mig_image_restore(&p->im, &c, err);
	if (rc == 0)
		mig__core_image_begin(p, MIG_CORE_READING);
	return rc;
}
