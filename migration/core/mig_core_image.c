/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_image.c - what a save and a restore share: steps, work on the volume, the image's
 * device, status. Parses nothing.
 */
#include "config.h"

#include "migration/core/mig_core_image.h"

#include "common/cm_log.h"
#include "common/cm_work.h"
#include "hvcore/hv_disks.h"
#include "hvcore/hv_owner.h"
#include "migration/core/mig_core_doc.h"
#include "sharedstorage/volume/stor_disk.h"

static const char *const step_words[] = {
#define XX(step, word) word,
	MIG_CORE_STEPS(XX)
#undef XX
};

struct mig_core *mig__core_image_of(struct mig_core_image *p)
{
	return CM_CONTAINER(p, struct mig_core, image);
}

struct hv_core *mig__core_image_core(struct mig_core_image *p)
{
	return mig__core_image_of(p)->core;
}

bool mig__core_image_owns(struct mig_core_image *p)
{
	return stor_lease_valid_until(hv_owner_lease(hv_core_owner(mig__core_image_core(p)))) != 0;
}

void mig__core_image_begin(struct mig_core_image *p, enum mig_core_step step)
{
	cm_debug("saved state: %s", step_words[step]);
	p->step = step;
}

void mig__core_image_work(struct mig_core_image *p, enum mig_core_step step, void (*fn)(void *),
			  void (*then)(void *))
{
	mig__core_image_begin(p, step);
	cm_err_clear(&p->work_err);
	if (cm_work(hv_core_loop(mig__core_image_core(p)), fn, then, p) < 0) {
		cm_err_set(&p->work_err, CM_E_NO_MEMORY, "cannot start a thread");
		cm_loop_defer(hv_core_loop(mig__core_image_core(p)), then, p);
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
			.size_bytes =
				stor_dev_info(hv_disks_dev(hv_core_disks(core), i))->capacity_bytes,
			.readonly = c->disks[i]->readonly,
		};
}

void mig__core_image_config(struct mig_core_image *p, struct mig_image_config *c,
			    void (*done)(void *arg, const struct mig_result *r))
{
	struct hv_core *core = mig__core_image_core(p);

	*c = (struct mig_image_config){
		.vm = hv_core_vm(core), .fd = p->fd, .dev = p->dev, .done = done, .arg = p};
	c->node = hv_core_start(core)->node;
	c->epoch = hv_core_owner(core) ? stor_lease_epoch(hv_owner_lease(hv_core_owner(core))) : 0;
	marks(core, &c->disks);
	p->fd = -1;
}

void mig__core_image_close_dev(struct mig_core_image *p, cm_close_fn then, void *arg)
{
	struct stor_dev *dev = p->dev;

	p->dev = NULL;
	stor_dev_close(dev, then, arg);
}

void mig__core_image_open_dev(struct mig_core_image *p, bool readonly, stor_event_fn event,
			      struct cm_err *err)
{
	const struct stor_dev_opts opts = {.readonly = readonly, .event = event, .event_arg = p};

	mig__core_image_begin(p, MIG_CORE_OPENING);
	p->dev = stor_image_open(p->vol, &p->vm, &opts, err);
}

bool mig__core_image_status(struct mig_core *g, struct hv_json *j)
{
	struct mig_core_image *p = &g->image;
	struct mig_progress s = {0};

	if (p->step == MIG_CORE_NONE)
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
	mig__core_put_ms(j, "elapsed_ms", s.elapsed_ns);
	hv_json_close(j, '}');
	return true;
}
