/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_block_io.c - one ownership block, without a lease: a plain look at it, and a fencer makes
 * the block of a dead owner FREE, so that anybody may start the VM.
 *
 * The fencer: one read, one COMPARE AND WRITE, no retry: whoever fails looks at the block anew and
 * needs a new proof. Parses the block through stor_lease_disk.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "sharedstorage/lease/stor_lease_int.h"

/* --- a plain look ----------------------------------------------------------------------------- */

struct block_look {
	struct stor_req req;
	struct iovec iov;
	uint32_t sector_bytes;
	stor_block_fn done;
	void *arg;
	uint8_t *raw;
};

static void block_look_done(struct stor_req *req, int rc)
{
	struct block_look *k = req->arg;
	struct stor_block b;

	if (!rc)
		rc = stor_block_decode(k->raw, k->sector_bytes, &b);
	k->done(rc, rc ? NULL : &b, k->arg);
	free(k->raw);
	free(k);
}

void stor_block_read(struct stor_dev *dev, uint64_t offset_bytes, stor_block_fn done, void *arg)
{
	struct block_look *k = calloc(1, sizeof *k);
	void *raw = NULL;

	CM_ASSERT(k && !posix_memalign(&raw, 4096, STOR_SECTOR_MAX));
	k->raw = raw;
	k->sector_bytes = stor_dev_info(dev)->sector_bytes;
	k->done = done;
	k->arg = arg;
	k->iov = (struct iovec){raw, k->sector_bytes};
	stor_req_readv(&k->req, offset_bytes, &k->iov, 1, block_look_done, k);
	k->req.flags = STOR_REQ_ADMIN;
	stor_dev_submit(dev, &k->req);
}

/* --- making it FREE --------------------------------------------------------------------------- */

struct vacate {
	struct stor_dev *dev;
	struct stor_req req;
	struct iovec iov;
	uint64_t offset_bytes;
	uint32_t sector_bytes;
	uint8_t *seen_raw, *next_raw;
	struct stor_permit *permit;
	stor_vacate_fn done;
	void *arg;
};

static void vacate_end(struct vacate *v, int rc, const char *words)
{
	struct cm_err err = CM_ERR_INIT;

	if (rc)
		cm_err_set(&err, rc, "the block could not be freed: %s", words);
	v->done(rc, &err, v->arg);
	stor_permit_free(v->permit);
	free(v->seen_raw);
	free(v->next_raw);
	free(v);
}

static void vacate_written(struct stor_req *req, int rc)
{
	vacate_end(req->arg, rc == CM_E_LEASE_MISCOMPARE ? CM_E_LEASE_HELD : rc,
		   rc == CM_E_LEASE_MISCOMPARE ? "somebody changed it" : cm_err_text(rc));
}

static void vacate_seen(struct stor_req *req, int rc)
{
	struct vacate *v = req->arg;
	struct stor_block b, next;
	struct stor_uuid nonce;

	if (!rc)
		rc = stor_block_decode(v->seen_raw, v->sector_bytes, &b);
	if (rc) {
		vacate_end(v, rc, cm_err_text(rc));
		return;
	}
	stor_uuid_random(&nonce);
	if (stor__lease_vacate(v->permit, &b, &nonce, &next)) {
		vacate_end(v, CM_E_LEASE_HELD, "it changed after the proof was made");
		return;
	}
	stor_block_encode(&next, v->next_raw, v->sector_bytes);
	stor_req_caw(&v->req, v->offset_bytes, v->seen_raw, v->next_raw, v->sector_bytes,
		     vacate_written, v);
	v->req.flags = STOR_REQ_ADMIN;
	stor_dev_submit(v->dev, &v->req);
}

void stor_block_vacate(struct stor_dev *dev, uint64_t offset_bytes, struct stor_permit *permit,
		       stor_vacate_fn done, void *arg)
{
	struct vacate *v = calloc(1, sizeof *v);
	void *seen = NULL, *next = NULL;

	CM_ASSERT(v && !posix_memalign(&seen, 4096, STOR_SECTOR_MAX) &&
		  !posix_memalign(&next, 4096, STOR_SECTOR_MAX));
	*v = (struct vacate){.dev = dev,
			     .offset_bytes = offset_bytes,
			     .permit = permit,
			     .done = done,
			     .arg = arg,
			     .seen_raw = seen,
			     .next_raw = next,
			     .sector_bytes = stor_dev_info(dev)->sector_bytes};
	v->iov = (struct iovec){v->seen_raw, v->sector_bytes};
	stor_req_readv(&v->req, offset_bytes, &v->iov, 1, vacate_seen, v);
	v->req.flags = STOR_REQ_ADMIN;
	stor_dev_submit(dev, &v->req);
}
