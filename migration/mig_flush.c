/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_flush.c - flushes all disks of a VM at once and waits for the last. Does not drain the
 * devices: a pause has done that. Parses nothing.
 */
#include "config.h"

#include "migration/mig_flush.h"

#include "hvcore/vm/hv_vm.h"

static void flush_one_less(struct mig_flush *f)
{
	if (--f->under_way == 0)
		f->done(f->arg, f->rc);
}

static void flush_done(struct stor_req *req, int rc)
{
	struct mig_flush *f = req->arg;

	if (rc < 0 && !f->rc)
		f->rc = rc;
	flush_one_less(f);
}

void mig_flush_start(struct mig_flush *f, struct hv_vm *vm, mig_flush_done_fn done, void *arg)
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
