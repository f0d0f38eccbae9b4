/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_resized.c - the verb disk-resized: a disk grew on its volume; the sizes are read again,
 * and the guest sees them. Parses nothing.
 */
#include "config.h"

#include <stdlib.h>

#include "hvcore/control/hv_ctl_int.h"
#include "hvcore/devices/hv_devices.h"
#include "hvcore/hv_disks.h"

struct resized {
	struct px_req *q; /* NULL: nobody waits any more */
	struct hv_core *core;
};

static void resized_gone(struct px_req *q)
{
	struct resized *r = q->work;

	r->q = NULL;
	px_req_ok(q, NULL);
}

static void tell_guest(struct hv_core *core, struct hv_vm *vm, struct hv_json *j)
{
	hv_json_open(j, "disks", '[');
	for (unsigned i = 0; i < hv_core_start(core)->vm->n_disks; i++) {
		struct hv_dev *dev = hv_vm_dev(vm, hv_dev_blk.name, i);
		struct stor_dev *disk = hv_disks_dev(hv_core_disks(core), i);

		if (!dev)
			continue;
		hv_lock_take(hv_vm_lock(vm));
		hv_blk_resized(dev);
		hv_lock_drop(hv_vm_lock(vm));
		hv_json_u64(j, NULL, stor_dev_info(disk)->capacity_bytes);
	}
	hv_json_close(j, ']');
}

static void disks_reloaded(void *arg, int rc, const struct cm_err *err)
{
	struct resized *r = arg;
	struct hv_vm *vm = hv_core_vm(r->core);
	struct hv_json j;

	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	if (vm && !hv_core_is_ending(r->core))
		tell_guest(r->core, vm, &j);
	hv_json_close(&j, '}');
	if (r->q) {
		r->q->gone = NULL;
		if (rc < 0)
			px_req_fail(r->q, err);
		else
			px_req_ok(r->q, hv_json_text(&j));
	}
	hv_json_fini(&j);
	free(r);
}

void hv__ctl_disk_resized(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct resized *r;

	if (!hv__ctl_vm(q, core))
		return;
	r = calloc(1, sizeof *r);
	CM_ASSERT(r);
	r->q = q;
	r->core = core;
	q->work = r;
	q->gone = resized_gone;
	hv_disks_reload(hv_core_disks(core), disks_reloaded, r);
}
