/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks_close.c - the end: disks of volumes first, then the stores below them. Parses nothing.
 */
#include "config.h"

#include <stdlib.h>

#include "hvcore/hv_disks_int.h"

static void close_stores(struct hv_disks *d);

static void part_closed(void *arg)
{
	struct hv_disks *d = arg;

	if (--d->to_close)
		return;
	if (!d->closing) {
		close_stores(d);
		return;
	}
	d->closed(d->closed_arg);
	free(d);
}

static void close_stores(struct hv_disks *d)
{
	d->closing = true;
	d->to_close = 1;
	for (unsigned i = 0; i < d->stores; i++) {
		if (d->store[i].vol)
			stor_volume_free(d->store[i].vol);
		if (!d->store[i].dev)
			continue;
		d->to_close++;
		stor_dev_close(d->store[i].dev, part_closed, d);
	}
	part_closed(d);
}

void hv__disks_close_all(struct hv_disks *d)
{
	d->to_close = 1;
	for (unsigned i = 0; i < d->disks; i++) {
		if (!d->disk[i].name[0] || !d->disk[i].dev)
			continue;
		d->to_close++;
		stor_dev_close(d->disk[i].dev, part_closed, d);
	}
	part_closed(d);
}

void hv_disks_close(struct hv_disks *d, cm_close_fn done, void *arg)
{
	d->closed = done;
	d->closed_arg = arg;
	d->done = NULL;
	d->closing_wanted = true;
	/* A store that is shut lets nothing through any more, and a disk on it would wait for that. */
	for (unsigned i = 0; i < d->stores; i++)
		if (d->store[i].dev)
			stor_dev_abandon(d->store[i].dev);
	/* A look for the block, or a claim, uses the volume still, and goes on here when done. */
	if (!d->working)
		hv__disks_close_all(d);
}
