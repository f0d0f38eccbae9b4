/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_image.c - save and restore of a VM as a file or on a block device, on a thread of its own.
 *
 * Parses an image (through mig_stream.c): a damaged, short or foreign one fails the restore and leaves the VM empty.
 * An image holds all of the guest's memory in the clear: keep it as you keep the guest's disks.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_compat.h"
#include "migration/mig_dst_int.h"
#include "migration/mig_image.h"
#include "migration/mig_store.h"
#include "sharedstorage/dev/stor_dev.h"

#define STATE_MAX (16u << 20)

struct mig_image {
	struct mig_image_config cfg;
	struct cm_loop *loop;
	pthread_t thread;
	uint64_t start_ns;
	struct mig_io io;
	struct mig_ram_out out;
	struct mig_ram_in in;
	struct cm_buf state;
	struct mig_hello hello;
	struct hv_cpuid contract, supported;
	struct mig_final final;
	struct mig_result result;
	const char *what;
	bool threaded;
	struct stor_req flush[HV_SLOT_BLK_MAX];
	unsigned flushing;
	atomic_uint_fast64_t total_bytes; /* memory that the image will hold at most; 0: not known yet */
};

static void image_finish(void *arg)
{
	struct mig_image *im = arg;
	struct cm_err err = CM_ERR_INIT;

	if (im->threaded)
		pthread_join(im->thread, NULL);
	if (im->in.mem && !im->result.err.code && hv_vm_load(im->cfg.vm, im->state.data, im->state.len, &err) < 0)
		im->result.err = err;
	im->result.code = im->result.err.code;
	im->result.total_ns = cm_now_ns() - im->start_ns;
	im->result.state_bytes = im->state.len;
	mig_io_fini(&im->io);
	im->cfg.done(im->cfg.arg, &im->result);
	cm_buf_fini(&im->state);
	free(im);
}

static void image_ended(struct mig_image *im)
{
	if (im->io.store)
		mig_store_settle(im->io.store);
	CM_ASSERT(cm_loop_post(im->loop, image_finish, im) == 0);
}

/* --- save -------------------------------------------------------------------------------------- */

static int save_hello(struct mig_image *im, struct cm_err *err)
{
	const struct hv_vm_config *vc = hv_vm_config(im->cfg.vm);
	struct mig_hello *h = &im->hello;

	*h = (struct mig_hello){
		.magic = MIG_MAGIC, .format = MIG_FORMAT, .format_min = MIG_FORMAT_MIN, .machine = HV_MACHINE_NAME,
		.memory_bytes = vc->memory_bytes, .vcpus = vc->cpus, .mode = HV__MIGRATION_MODE__MODE_QUICK,
	};
	memcpy(h->uuid, vc->uuid, sizeof h->uuid);
	h->epoch = im->cfg.epoch;
	snprintf(h->name, sizeof h->name, "%s", vc->name);
	snprintf(h->node, sizeof h->node, "%s", im->cfg.node ? im->cfg.node : "");
	snprintf(h->engine, sizeof h->engine, "%s", hv_vm_engine_ops(im->cfg.vm)->name);
	mig_io_begin(&im->io);
	mig_hello_encode(&im->io.buf, h, &im->contract);
	return mig_io_send(&im->io, MIG_FRAME_HELLO, err);
}

static int save_disks(struct mig_image *im, struct cm_err *err)
{
	mig_io_begin(&im->io);
	mig_disks_encode(&im->io.buf, &im->cfg.disks);
	return mig_io_send(&im->io, MIG_FRAME_DISKS, err);
}

static int save_trailer(struct mig_image *im, struct cm_err *err)
{
	struct mig_final *f = &im->final;
	const struct mig_hello *h = &im->hello;

	*f = (struct mig_final){
		.pages = im->out.pages, .zero_pages = im->out.zero_pages, .frames = im->io.out_sequence,
		.state_bytes = im->state.len, .state_crc = cm_crc32c(0, im->state.data, im->state.len),
	};
	snprintf(f->describe, sizeof f->describe,
		 "{\"vm\":\"%s\",\"machine\":\"%s\",\"engine\":\"%s\",\"memory\":%" PRIu64
		 ",\"vcpus\":%u,\"pages\":%" PRIu64 ",\"saved_wall_ns\":%" PRIu64 "}",
		 h->name, h->machine, h->engine, h->memory_bytes, h->vcpus, f->pages, cm_wall_ns());
	mig_io_begin(&im->io);
	mig_final_encode(&im->io.buf, f);
	return mig_io_send(&im->io, MIG_FRAME_FINAL, err);
}

static int image_save(struct mig_image *im, struct cm_err *err)
{
	uint64_t remaining = 0;
	int rc = cm_fault("mig.image.S1");

	if (rc < 0)
		return cm_err_set(err, rc, "fault point mig.image.S1");
	rc = save_hello(im, err);
	if (rc == 0)
		rc = save_disks(im, err);
	if (rc == 0)
		rc = mig_ram_out_init(&im->out, hv_vm_mem(im->cfg.vm), &im->io, false, err);
	if (rc < 0)
		return rc;
	rc = mig_ram_out_fetch(&im->out, &remaining, err);
	atomic_store(&im->total_bytes, remaining * MIG_PAGE_BYTES);
	if (rc == 0)
		rc = mig_ram_out_pass(&im->out, false, err);
	mig_io_begin(&im->io);
	cm_buf_put(&im->io.buf, im->state.data, im->state.len);
	if (rc == 0)
		rc = mig_io_send(&im->io, MIG_FRAME_STATE, err);
	if (rc == 0)
		rc = save_trailer(im, err);
	if (rc == 0)
		rc = mig_io_sync(&im->io, err);
	im->result.ram_pages = im->out.pages;
	im->result.zero_pages = im->out.zero_pages;
	im->result.sent_bytes = im->io.out_bytes;
	mig_ram_out_fini(&im->out);
	return rc;
}

static void *save_thread(void *arg)
{
	struct mig_image *im = arg;

	(void)image_save(im, &im->result.err);
	image_ended(im);
	return NULL;
}

/* --- restore ------------------------------------------------------------------------------------- */

static int restore_hello(struct mig_image *im, struct cm_err *err)
{
	const struct hv_vm_config *vc = hv_vm_config(im->cfg.vm);
	struct mig_compat_host host = {.machine = HV_MACHINE_NAME, .memory_bytes = vc->memory_bytes,
				       .vcpus = vc->cpus, .supported = &im->supported};
	struct mig_frame f;
	int rc = mig_io_next(&im->io, &f, err);

	if (rc == 0 && f.type != MIG_FRAME_HELLO)
		return cm_err_set(err, CM_E_STREAM_MAGIC, "this is no saved VM");
	if (rc == 0)
		rc = mig_io_payload(&im->io, &f, err);
	if (rc == 0)
		rc = mig_hello_decode(im->io.buf.data, im->io.buf.len, &im->hello, &im->contract, err);
	memcpy(host.uuid, vc->uuid, sizeof host.uuid);
	return rc < 0 ? rc : mig_compat_check(&im->hello, &im->contract, &host, err);
}

static int restore_disks(struct mig_image *im, struct cm_err *err)
{
	struct mig_disks saved;
	struct mig_frame f;
	int rc = mig_io_next(&im->io, &f, err);

	if (rc == 0 && f.type != MIG_FRAME_DISKS)
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s where DISKS was due", mig_frame_name(f.type));
	if (rc == 0)
		rc = mig_io_payload(&im->io, &f, err);
	if (rc == 0)
		rc = mig_disks_decode(im->io.buf.data, im->io.buf.len, &saved, err);
	return rc < 0 ? rc : mig_compat_disks(&saved, &im->cfg.disks, err);
}

static int image_restore(struct mig_image *im, struct cm_err *err)
{
	struct mig_landing l = {.io = &im->io, .ram = &im->in, .state = &im->state, .final = &im->final};
	int rc = cm_fault("mig.image.S2");

	if (rc < 0)
		return cm_err_set(err, rc, "fault point mig.image.S2");
	rc = restore_hello(im, err);
	if (rc == 0)
		rc = restore_disks(im, err);
	if (rc == 0)
		rc = mig_ram_in_init(&im->in, hv_vm_mem(im->cfg.vm), &im->io, err);
	if (rc < 0)
		return rc;
	rc = mig__land(&l, err);
	im->result.ram_pages = im->in.pages;
	im->result.zero_pages = im->in.zero_pages;
	im->result.sent_bytes = im->io.in_bytes;
	mig_ram_in_fini(&im->in);
	return rc;
}

static void *restore_thread(void *arg)
{
	struct mig_image *im = arg;

	(void)image_restore(im, &im->result.err);
	image_ended(im);
	return NULL;
}

/* --- life [loop] ------------------------------------------------------------------------------------ */

uint64_t mig_image_max_bytes(uint64_t memory_bytes)
{
	uint64_t chunks = memory_bytes / MIG_PAGE_BYTES / MIG_CHUNK_PAGES + 64;

	/* Worst case: every page is a run of its own, in frames of one page less than a chunk, and the state at its limit. */
	return memory_bytes + memory_bytes / MIG_PAGE_BYTES * MIG_RUN_BYTES + 4 * chunks * (MIG_FRAME_BYTES + MIG_RAM_HEAD) +
	       STATE_MAX + (2u << 20);
}

/* What cfg brought is taken also when this fails. */
static struct mig_image *image_new(const struct mig_image_config *cfg, enum hv_vm_state want, struct cm_err *err)
{
	enum hv_vm_state s = hv_vm_state(cfg->vm);
	struct mig_store *store = NULL;
	struct mig_image *im = NULL;

	if (s != want) {
		cm_err_set(err, CM_E_VM_STATE, "the VM is %s, not %s", hv_vm_state_name(s), hv_vm_state_name(want));
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
	cm_buf_init(&im->state, STATE_MAX);
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
	int rc = -pthread_create(&im->thread, NULL, thread, im);

	im->threaded = rc == 0;
	return rc < 0 ? cm_err_set(err, rc, "no thread for an image") : 0;
}

/* The state is read out after the flush: what the guest believes to be written is on the disks before the image is. */
static void save_flushed(struct mig_image *im)
{
	struct cm_err *err = &im->result.err;
	int rc = err->code ? err->code : cm_fault("mig.image.S0");

	if (rc < 0)
		cm_err_set(err, rc, "the disks could not be flushed: %s", cm_err_text(rc));
	if (rc == 0)
		rc = hv_vm_save(im->cfg.vm, &im->state, err);
	if (rc == 0)
		rc = image_begin(im, save_thread, err);
	if (rc < 0)
		CM_ASSERT(cm_loop_post(im->loop, image_finish, im) == 0);
}

static void save_flush_done(struct stor_req *req, int rc)
{
	struct mig_image *im = req->arg;

	if (rc < 0)
		cm_err_set(&im->result.err, rc, "the disks could not be flushed: %s", cm_err_text(rc));
	if (--im->flushing == 0)
		save_flushed(im);
}

static void save_begin(void *arg)
{
	struct mig_image *im = arg;
	const struct hv_vm_config *vc = hv_vm_config(im->cfg.vm);

	im->flushing = 1;
	for (unsigned i = 0; i < HV_SLOT_BLK_MAX; i++) {
		if (!vc->disk[i].dev || vc->disk[i].read_only)
			continue;
		im->flushing++;
		stor_req_flush(&im->flush[i], save_flush_done, im);
		stor_dev_submit(vc->disk[i].dev, &im->flush[i]);
	}
	if (--im->flushing == 0)
		save_flushed(im);
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

int mig_image_restore(struct mig_image **out, const struct mig_image_config *cfg, struct cm_err *err)
{
	struct cm_err local = CM_ERR_INIT;
	struct mig_image *im = image_new(cfg, HV_VM_EMPTY, err ? err : &local);
	int rc;

	if (!im)
		return err ? err->code : local.code;
	if (hv_vm_engine_ops(cfg->vm)->cpuid_supported(hv_vm_engine(cfg->vm), &im->supported) < 0)
		return image_drop(im, cm_err_set(err, CM_E_NO_ENGINE, "the engine does not tell what it offers"));
	rc = image_begin(im, restore_thread, err);
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
		p->bandwidth_bytes_s = (uint64_t)((double)p->sent_bytes * 1e9 / (double)p->elapsed_ns);
}
