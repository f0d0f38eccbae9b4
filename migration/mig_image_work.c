/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_image_work.c - the worker of an image: writes a VM that stands still into it, or reads one
 * out of it. Blocking I/O on a thread of its own.
 *
 * Parses an image (through mig_stream.c): a damaged, short or foreign one fails the restore and
 * leaves the VM empty.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_compat.h"
#include "migration/mig_image_int.h"
#include "migration/mig_land.h"
#include "migration/mig_store.h"
#include "migration/mig_vm.h"

/* Nothing that is still being written outlives the worker. */
static void image_ended(struct mig_image *im)
{
	if (im->io.store)
		mig_store_settle(im->io.store);
	mig_worker_post(&im->worker, MIG_IMAGE_ENDED, NULL);
}

/* --- save --- */

static int save_hello(struct mig_image *im, struct cm_err *err)
{
	struct mig_hello *h = &im->hello;

	mig_vm_hello(im->cfg.vm, im->cfg.node, h);
	h->epoch = im->cfg.epoch;
	h->mode = HV__MIGRATION_MODE__MODE_QUICK;
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
		.pages = im->out.pages,
		.zero_pages = im->out.zero_pages,
		.frames = im->io.out_sequence,
		.state_bytes = im->state.len,
		.state_crc = cm_crc32c(0, im->state.data, im->state.len),
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
	int rc = cm_fault_err("mig.image.save", err);

	if (rc == 0)
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

void *mig__image_save_thread(void *arg)
{
	struct mig_image *im = arg;

	(void)image_save(im, &im->result.err);
	image_ended(im);
	return NULL;
}

/* --- restore --- */

static int restore_hello(struct mig_image *im, struct cm_err *err)
{
	struct mig_frame f;
	int rc = mig_io_next(&im->io, &f, err);

	if (rc == 0 && f.type != MIG_FRAME_HELLO)
		return cm_err_set(err, CM_E_STREAM_MAGIC, "this is no saved VM");
	if (rc == 0)
		rc = mig_io_payload(&im->io, &f, err);
	if (rc == 0)
		rc = mig_hello_decode(im->io.buf.data, im->io.buf.len, &im->hello, &im->contract,
				      err);
	return rc < 0 ? rc
		      : mig_vm_check(im->cfg.vm, &im->hello, &im->contract, &im->supported, err);
}

static int restore_disks(struct mig_image *im, struct cm_err *err)
{
	struct mig_disks saved;
	struct mig_frame f;
	int rc = mig_io_next(&im->io, &f, err);

	if (rc == 0 && f.type != MIG_FRAME_DISKS)
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s where DISKS was due",
				  mig_frame_name(f.type));
	if (rc == 0)
		rc = mig_io_payload(&im->io, &f, err);
	if (rc == 0)
		rc = mig_disks_decode(im->io.buf.data, im->io.buf.len, &saved, err);
	return rc < 0 ? rc : mig_compat_disks(&saved, &im->cfg.disks, err);
}

static int image_restore(struct mig_image *im, struct cm_err *err)
{
	struct mig_landing l = {
		.io = &im->io, .ram = &im->in, .state = &im->state, .final = &im->final};
	int rc = cm_fault_err("mig.image.restore", err);

	if (rc == 0)
		rc = restore_hello(im, err);
	if (rc == 0)
		rc = restore_disks(im, err);
	if (rc == 0)
		rc = mig_ram_in_init(&im->in, hv_vm_mem(im->cfg.vm), &im->io, err);
	if (rc < 0)
		return rc;
	rc = mig_land(&l, err);
	im->result.ram_pages = im->in.pages;
	im->result.zero_pages = im->in.zero_pages;
	im->result.sent_bytes = im->io.in_bytes;
	mig_ram_in_fini(&im->in);
	return rc;
}

void *mig__image_restore_thread(void *arg)
{
	struct mig_image *im = arg;

	(void)image_restore(im, &im->result.err);
	image_ended(im);
	return NULL;
}
