/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_image.c - the life of an image on the loop: begun, flushed before it, cancelled, finished.
 * What it holds is written and read by mig_image_work.c. Parses nothing.
 *
 * An image holds all of the guest's memory in the clear: keep it as you keep the guest's disks.
 */
#include "config.h"

#include "migration/mig_image.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_image_int.h"
#include "migration/mig_store.h"
#include "migration/mig_vm.h"

static void image_finish(void *arg)
{
	struct mig_image *im = arg;
	struct cm_err err = CM_ERR_INIT;

	if (im->threaded)
		mig_worker_join(&im->worker);
	if (im->in.mem && !im->result.err.code &&
	    hv_vm_load(im->cfg.vm, im->state.data, im->state.len, &err) < 0)
		im->result.err = err;
	im->result.code = im->result.err.code;
	im->result.total_ns = cm_now_ns() - im->start_ns;
	im->result.state_bytes = im->state.len;
	mig_io_fini(&im->io);
	im->cfg.done(im->cfg.arg, &im->result);
	cm_buf_fini(&im->state);
	free(im);
}

static void image_event(void *arg, unsigned event, struct cm_err *err)
{
	(void)err;
	if (event == MIG_IMAGE_ENDED)
		image_finish(arg);
}

uint64_t mig_image_max_bytes(uint64_t memory_bytes)
{
	uint64_t chunks = memory_bytes / MIG_PAGE_BYTES / MIG_CHUNK_PAGES + 64;

	/* Worst case: every page is a run of its own, in frames of one page less than a chunk, and
	 * the state at its limit. */
	return memory_bytes + memory_bytes / MIG_PAGE_BYTES * MIG_RUN_BYTES +
	       4 * chunks * (MIG_FRAME_BYTES + MIG_RAM_HEAD) + MIG_STATE_MAX + (2u << 20);
}

/* What cfg brought is taken also when this fails. */
static struct mig_image *image_new(const struct mig_image_config *cfg, enum hv_vm_state want,
				   struct cm_err *err)
{
	enum hv_vm_state s = hv_vm_state(cfg->vm);
	struct mig_store *store = NULL;
	struct mig_image *im = NULL;

	if (s != want) {
		cm_err_set(err, CM_E_VM_STATE, "the VM is %s, not %s", hv_vm_state_name(s),
			   hv_vm_state_name(want));
	} else {
		im = calloc(1, sizeof *im);
		if (!im)
			cm_err_set(err, -ENOMEM, "no memory for an image");
	}
	if (im && cfg->fd < 0) {
		store = mig_store_new(cfg->dev, want == HV_VM_PAUSED, err);
		if (!store) {
			free(im);
			im = NULL;
		}
	}
	if (!im) {
		if (cfg->fd >= 0)
			close(cfg->fd);
		return NULL;
	}
	im->cfg = *cfg;
	im->loop = hv_vm_loop(cfg->vm);
	im->start_ns = cm_now_ns();
	im->what = want == HV_VM_PAUSED ? "saving" : "restoring";
	cm_buf_init(&im->state, MIG_STATE_MAX);
	if (store)
		mig_io_init_store(&im->io, store);
	else
		mig_io_init(&im->io, NULL, cfg->fd);
	return im;
}

static int image_drop(struct mig_image *im, int rc)
{
	cm_buf_fini(&im->state);
	mig_io_fini(&im->io);
	free(im);
	return rc;
}

static int image_begin(struct mig_image *im, void *(*thread)(void *), struct cm_err *err)
{
	int rc = mig_worker_start(&im->worker, im->loop, thread, image_event, im, err);

	im->threaded = rc == 0;
	return rc;
}

/* The state is read out after the flush: what the guest believes to be written is on the disks
 * before the image is. */
static void save_flushed(void *arg, int rc)
{
	struct mig_image *im = arg;
	struct cm_err *err = &im->result.err;

	if (rc == 0)
		rc = cm_fault("mig.image.flushed");
	if (rc < 0)
		cm_err_set(err, rc, "the disks could not be flushed: %s", cm_err_text(rc));
	if (rc == 0)
		rc = hv_vm_save(im->cfg.vm, &im->state, err);
	if (rc == 0)
		rc = image_begin(im, mig__image_save_thread, err);
	if (rc < 0)
		CM_ASSERT(cm_loop_post(im->loop, image_finish, im) == 0);
}

static void save_begin(void *arg)
{
	struct mig_image *im = arg;

	hv_vm_flush_start(&im->flush, im->cfg.vm, save_flushed, im);
}

int mig_image_save(struct mig_image **out, const struct mig_image_config *cfg, struct cm_err *err)
{
	struct cm_err local = CM_ERR_INIT;
	struct mig_image *im = image_new(cfg, HV_VM_PAUSED, err ? err : &local);

	if (!im)
		return err ? err->code : local.code;
	im->contract = *hv_vm_cpuid(cfg->vm);
	if (out)
		*out = im;
	CM_ASSERT(cm_loop_post(im->loop, save_begin, im) == 0);
	return 0;
}

int mig_image_restore(struct mig_image **out, const struct mig_image_config *cfg,
		      struct cm_err *err)
{
	struct cm_err local = CM_ERR_INIT;
	struct mig_image *im = image_new(cfg, HV_VM_EMPTY, err ? err : &local);
	int rc;

	if (!im)
		return err ? err->code : local.code;
	rc = mig_vm_supported(cfg->vm, &im->supported, err);
	if (rc == 0)
		rc = image_begin(im, mig__image_restore_thread, err);
	if (rc < 0)
		return image_drop(im, rc);
	if (out)
		*out = im;
	return 0;
}

void mig_image_cancel(struct mig_image *im)
{
	if (im->io.store)
		mig_store_abort(im->io.store);
}

void mig_image_get_progress(struct mig_image *im, struct mig_progress *p)
{
	uint64_t total = atomic_load(&im->total_bytes);

	*p = (struct mig_progress){.state = im->what, .elapsed_ns = cm_now_ns() - im->start_ns};
	if (im->io.store)
		p->sent_bytes = mig_store_bytes(im->io.store);
	p->remaining_bytes = total > p->sent_bytes ? total - p->sent_bytes : 0;
	if (p->elapsed_ns)
		p->bandwidth_bytes_s =
			(uint64_t)((double)p->sent_bytes * 1e9 / (double)p->elapsed_ns);
}
