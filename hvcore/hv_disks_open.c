/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks_open.c - the second step: the disks themselves, claimed for the VM and opened; later
 * their sizes, read again. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cm_fault.h"
#include "common/cm_loop.h"
#include "common/cm_work.h"
#include "hvcore/hv_disks_int.h"

static void disk_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		       void *arg)
{
	struct hv_disk *k = arg;

	(void)dev;
	k->ready |= event == STOR_EVENT_READY;
	if (event == STOR_EVENT_READY)
		hv__disks_step_done(k->set);
	else if (event == STOR_EVENT_FAILED)
		hv__disks_step_failed(k->set, err, k->name);
}

static void open_disks(struct hv_disks *d)
{
	d->waiting = 1;
	for (unsigned i = 0; i < d->disks; i++) {
		struct hv_disk *k = &d->disk[i];
		struct hv_store *s = &d->store[k->store];
		const struct stor_dev_opts opts = {
			.readonly = k->read_only,
			.event = disk_event,
			.event_arg = k,
		};

		if (!k->name[0]) {
			k->dev = s->dev;
			if (s->busy.code && !s->alone)
				d->failed = s->busy;
			else if (s->exclusive && !s->alone && !s->awaited)
				d->waiting += s->awaited = true;
			continue;
		}
		if (!s->vol) {
			cm_err_set(&d->failed, CM_E_VOL_FORMAT, "%s is no volume", s->url);
			continue;
		}
		k->dev = stor_disk_open(s->vol, k->name, &opts, &d->failed);
		if (k->dev)
			d->waiting++;
	}
	if (--d->waiting == 0)
		hv__disks_answer(d);
}

/* --- claims, on a thread of their own: the volume's metadata is blocking code ----------- */

struct claims {
	struct hv_disks *set;
	enum hv_disks_claim claim;
	struct cm_err err;
};

static int claim_disk(struct claims *c, struct hv_disk *k, struct stor_volume *vol)
{
	struct stor_disk_info info;
	int rc = stor_volume_disk_info(vol, k->name, &info, &c->err);

	if (rc < 0)
		return rc;
	k->id = info.id;
	if (k->read_only || c->claim == HV_DISKS_CLAIM_NONE)
		return 0;
	if (c->claim == HV_DISKS_CLAIM_KEEP && !stor_uuid_equal(&info.vm, &c->set->vm))
		return cm_err_set(&c->err, CM_E_DISK_BUSY,
				  "another VM has used disk %s since this one was saved: the saved state does not fit it any more (hvctl start --fresh discards it)",
				  k->name);
	return stor_volume_disk_claim(vol, k->name, &c->set->vm, &c->err);
}

static void claim_all(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	int rc = cm_fault("core.claim");

	for (unsigned i = 0; rc == 0 && i < d->disks; i++) {
		struct hv_disk *k = &d->disk[i];

		if (k->name[0] && d->store[k->store].vol)
			rc = claim_disk(c, k, d->store[k->store].vol);
	}
	if (rc < 0)
		cm_err_set(&c->err, rc, "the VM's disks cannot be claimed: %s", cm_err_text(rc));
}

static void claimed(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	struct cm_err err = c->err;

	free(c);
	d->working = false;
	if (d->closing_wanted) {
		hv__disks_close_all(d);
	} else if (err.code) {
		d->failed = err;
		hv__disks_answer(d);
	} else {
		open_disks(d);
	}
}

void hv_disks_open(struct hv_disks *d, enum hv_disks_claim claim, hv_disks_done_fn done, void *arg)
{
	struct claims *c = calloc(1, sizeof *c);

	CM_ASSERT(c);
	d->done = done;
	d->done_arg = arg;
	*c = (struct claims){.set = d, .claim = claim};
	d->working = true;
	if (cm_work(d->loop, claim_all, claimed, c) < 0) {
		cm_err_set(&c->err, CM_E_NO_MEMORY, "cannot start a thread");
		cm_loop_defer(d->loop, claimed, c);
	}
}

/* --- sizes that changed --------------------------------------------------------- */

static void reload_one_done(struct hv_disks *d, int rc, const char *name)
{
	hv_disks_done_fn done = d->reloaded;

	if (rc < 0)
		cm_err_set(&d->reload_err, rc, "disk %s: %s", name, cm_err_text(rc));
	if (--d->reloading)
		return;
	d->reloaded = NULL;
	done(d->reloaded_arg, d->reload_err.code, &d->reload_err);
}

static void disk_reloaded(int rc, uint64_t size_bytes, void *arg)
{
	struct hv_disk *k = arg;

	(void)size_bytes;
	reload_one_done(k->set, rc, k->name);
}

static void reload_none(void *arg)
{
	reload_one_done(arg, 0, "");
}

void hv_disks_reload(struct hv_disks *d, hv_disks_done_fn done, void *arg)
{
	struct cm_err err = CM_ERR_INIT;

	if (d->reloading) {
		cm_err_set(&err, -EBUSY, "the sizes of the disks are being read");
		done(arg, err.code, &err);
		return;
	}
	d->reloaded = done;
	d->reloaded_arg = arg;
	cm_err_clear(&d->reload_err);
	d->reloading = 1;
	for (unsigned i = 0; i < d->disks; i++) {
		struct hv_disk *k = &d->disk[i];

		if (!k->name[0] || !k->ready)
			continue;
		d->reloading++;
		stor_disk_reload(k->dev, disk_reloaded, k);
	}
	CM_ASSERT(cm_loop_post(d->loop, reload_none, d) == 0);
}
