/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_flush.c - flushes all disks of a VM at once and waits for the last. Does not drain the
 * devices: a pause has done that. Parses nothing.
 */
#include "config.h"

#include "hvcore/vm/hv_vm_flush.h"

static void flush_one_less(struct hv_vm_flush *f)
{
	if (--f->under_way == 0)
		f->done(f->arg, f->rc);
}

static void flush_done(struct stor_req *req, int rc)
{
	struct hv_vm_flush *f = req->arg;

	if (rc < 0 && !f->rc)
		f->rc = rc;
	flush_one_less(f);
}

void hv_vm_flush_start(struct hv_vm_flush *f, struct hv_vm *vm, hv_vm_done_fn done, void *arg)
{
	const struct hv_vm_config *vc = hv_vm_config(vm);

	f->done = done;
	f->arg = arg;
	f->rc = 0;
	f->under_way = 1;
	for (unsigned i = 0; i < HV_SLOT_BLK_MAX; i++) {
		if (!vc->disk[i].dev || vc->disk[i].read_only)
			continue;
		f->under_way++;
		stor_req_flush(&f->req[i], flush_done, f);
		stor_dev_submit(vc->disk[i].dev, &f->req[i]);
	}
	flush_one_less(f);
}
