/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks_open.c - the second step: the disks themselves, once they are claimed; later
 * their sizes, read again. Parses nothing.
 */
#include "config.h"

#include <errno.h>

#include "common/cm_loop.h"
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
	if (d->failed.code) { /* a claim */
		hv__disks_answer(d);
		return;
	}
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

void hv_disks_open(struct hv_disks *d, enum hv_disks_claim claim, uint64_t epoch,
		   hv_disks_done_fn done, void *arg)
{
	d->done = done;
	d->done_arg = arg;
	hv__disks_claim(d, claim, epoch, open_disks);
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
