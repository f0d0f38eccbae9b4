/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks.c - what is asked about the storage of a VM, and the end of a step. The first step is in
 * hv_disks_stores.c, the second in hv_disks_open.c, the end in hv_disks_close.c. Parses nothing.
 */
#include "config.h"

#include "hvcore/hv_disks.h"

#include "hvcore/hv_disks_int.h"

void hv__disks_answer(struct hv_disks *d)
{
	hv_disks_done_fn done = d->done;

	if (!done)
		return;
	d->done = NULL;
	done(d->done_arg, d->failed.code, &d->failed);
}

void hv__disks_step_done(struct hv_disks *d)
{
	CM_ASSERT(d->waiting);
	if (--d->waiting == 0)
		hv__disks_answer(d);
}

void hv__disks_step_failed(struct hv_disks *d, const struct cm_err *err, const char *what)
{
	cm_err_set(&d->failed, err->code, "%s: %s", what, err->text);
	hv__disks_step_done(d);
}

struct stor_volume *hv_disks_lease_volume(struct hv_disks *d)
{
	return d->leased ? d->store[d->lease_store].vol : NULL;
}

struct stor_uuid hv_disks_id(const struct hv_disks *d, unsigned disk)
{
	CM_ASSERT(disk < d->disks);
	return d->disk[disk].id;
}

struct stor_dev *hv_disks_dev(struct hv_disks *d, unsigned disk)
{
	CM_ASSERT(disk < d->disks);
	return d->disk[disk].dev;
}

struct stor_dev *hv_disks_below(struct hv_disks *d, unsigned disk)
{
	CM_ASSERT(disk < d->disks);
	return d->store[d->disk[disk].store].dev;
}

struct stor_dev *hv_disks_lease_dev(struct hv_disks *d, uint64_t *offset_bytes)
{
	if (!d->leased)
		return NULL;
	*offset_bytes = d->lease_offset_bytes;
	return d->store[d->lease_store].dev;
}

unsigned hv_disks_stores(const struct hv_disks *d)
{
	return d->stores;
}

struct stor_dev *hv_disks_store(struct hv_disks *d, unsigned i)
{
	return d->store[i].dev;
}

uint16_t hv_disks_host_slot(const struct hv_disks *d)
{
	return d->host_slot;
}

const char *hv_disks_trouble(const struct hv_disks *d)
{
	return d->trouble;
}
