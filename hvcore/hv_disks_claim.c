/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks_claim.c - the claims on the VM's disks (sharedstorage/volume/stor_volume.h has the law): taken before the
 * disks are opened, released before the ownership is. On a thread of their own: the volume's metadata is blocking code.
 * Parses nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_buf.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "common/cm_work.h"
#include "hvcore/hv_disks_int.h"

struct claims {
	struct hv_disks *set;
	enum hv_disks_claim how;
	struct stor_claim claim;
	void (*claimed)(struct hv_disks *d);
	struct cm_err err;
};

/* A block on no volume has an id of its own, made of its URL: the same VM with another block is another owner. */
static struct stor_uuid block_home(const struct hv_disks *d)
{
	const struct hv_store *s = &d->store[d->lease_store];
	struct stor_uuid id = {{0}};
	uint32_t crc;

	if (!d->leased)
		return id;
	if (s->vol)
		return stor_volume_id(s->vol);
	for (unsigned i = 0; i < sizeof id.b; i += sizeof crc) {
		crc = cm_crc32c(i + 1, s->url, strlen(s->url));
		cm_put_le32(id.b + i, crc);
	}
	id.b[0] |= 1; /* zero would be: no block */
	return id;
}

static struct stor_claim claim_of(const struct hv_disks *d, uint64_t epoch)
{
	struct stor_claim c = {.vm = d->vm, .home = d->home, .epoch = epoch};

	snprintf(c.node, sizeof c.node, "%s", d->node);
	return c;
}

/* [worker] What this process sees of other volumes: those of its own VM. */
static int witness(const struct stor_uuid *home, const struct stor_uuid *vm, struct stor_block *b,
		   struct cm_err *err, void *arg)
{
	struct hv_disks *d = arg;

	for (unsigned i = 0; i < d->stores; i++) {
		struct stor_volume *vol = d->store[i].vol;
		struct stor_uuid id;

		if (!vol)
			continue;
		id = stor_volume_id(vol);
		if (stor_uuid_equal(&id, home))
			return stor_volume_vm_owned(vol, vm, b, err);
	}
	return cm_err_set(err, CM_E_DISK_CLAIMED, "that volume is none of this VM's");
}

/* --- taking --------------------------------------------------------------- */

/* A planted error for tests: claims only where the ownership block is, too. */
static bool claim_skipped(const struct hv_disks *d, const struct stor_volume *vol)
{
	struct stor_uuid id = stor_volume_id(vol);

	return !stor_uuid_equal(&id, &d->home) && cm_fault("core.claim.elsewhere") < 0;
}

static int claim_disk(struct claims *c, struct hv_disk *k, struct stor_volume *vol)
{
	enum hv_disks_claim how = c->how;
	struct stor_disk_info info;
	int rc;

	if (claim_skipped(c->set, vol) || (k->read_only && how == HV_DISKS_CLAIM_NONE))
		rc = stor_volume_disk_info(vol, k->name, &info, &c->err);
	else if (k->read_only)
		rc = stor_volume_reader_claim(vol, k->name, &c->claim, &info, &c->err);
	else if (how == HV_DISKS_CLAIM_NONE)
		rc = stor_volume_disk_shared(vol, k->name, &c->claim.vm, &info, &c->err);
	else
		rc = stor_volume_disk_claim(vol, k->name, &c->claim, how == HV_DISKS_CLAIM_KEEP, &info,
					    &c->err);
	if (rc < 0)
		return rc;
	k->id = info.id;
	k->claimed = how != HV_DISKS_CLAIM_NONE;
	return 0;
}

static void claim_all(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	int rc = cm_fault("core.claim");

	if (rc == 0 && c->how != HV_DISKS_CLAIM_NONE && d->leased && d->store[d->lease_store].vol)
		rc = stor_volume_vm_alone(d->store[d->lease_store].vol, &d->vm, d->lease_offset_bytes, &c->err);
	for (unsigned i = 0; rc == 0 && i < d->disks; i++) {
		struct hv_disk *k = &d->disk[i];

		if (k->name[0] && d->store[k->store].vol)
			rc = claim_disk(c, k, d->store[k->store].vol);
	}
	if (rc < 0)
		cm_err_set(&c->err, rc, "the VM's disks cannot be claimed: %s", cm_err_text(rc));
}

static void release_start(struct hv_disks *d);

static void claimed(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	void (*next)(struct hv_disks *) = c->claimed;

	d->failed = c->err;
	free(c);
	d->working = false;
	if (d->released)
		release_start(d); /* the end came meanwhile */
	else if (d->closing_wanted)
		hv__disks_close_all(d);
	else
		next(d);
}

void hv__disks_claim(struct hv_disks *d, enum hv_disks_claim how, uint64_t epoch,
		     void (*next)(struct hv_disks *d))
{
	struct claims *c = calloc(1, sizeof *c);

	CM_ASSERT(c);
	d->home = block_home(d);
	for (unsigned i = 0; i < d->stores; i++)
		if (d->store[i].vol)
			stor_volume_set_witness(d->store[i].vol, witness, d);
	*c = (struct claims){.set = d, .how = how, .claim = claim_of(d, epoch), .claimed = next};
	d->working = true;
	if (cm_work(d->loop, claim_all, claimed, c) < 0) {
		cm_err_set(&c->err, CM_E_NO_MEMORY, "cannot start a thread");
		cm_loop_defer(d->loop, claimed, c);
	}
}

static void claimed_anew(struct hv_disks *d)
{
	if (d->failed.code)
		cm_warning("the claims on the disks name the former node: %s", d->failed.text);
	cm_err_clear(&d->failed);
}

void hv_disks_claim_anew(struct hv_disks *d, uint64_t epoch)
{
	if (!d->working && !d->released && !d->closing_wanted)
		hv__disks_claim(d, HV_DISKS_CLAIM_TAKE, epoch, claimed_anew);
}

/* --- releasing ------------------------------------------------------------ */

static int release_disk(struct claims *c, struct hv_disk *k, struct stor_volume *vol, struct cm_err *err)
{
	struct stor_disk_info info;
	int rc = 0;

	if (!k->read_only)
		return stor_volume_disk_release(vol, k->name, &c->claim, err);
	if (stor_uuid_is_zero(&k->id)) { /* an earlier process claimed it */
		rc = stor_volume_disk_info(vol, k->name, &info, err);
		k->id = info.id;
	}
	return rc ? rc : stor_volume_reader_release(vol, &k->id, &c->claim, err);
}

static void release_all(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	struct cm_err err = CM_ERR_INIT;
	int rc = cm_fault_err("core.unclaim", &c->err);

	for (unsigned i = 0; rc == 0 && i < d->disks; i++) {
		struct hv_disk *k = &d->disk[i];
		struct stor_volume *vol = k->name[0] ? d->store[k->store].vol : NULL;

		/* A VM without a block is not known to be one: it releases what it claimed itself. */
		if (!vol || (!d->leased && !k->claimed))
			continue;
		cm_err_clear(&err);
		rc = release_disk(c, k, vol, &err);
		if (rc < 0 && rc != CM_E_NO_DISK)
			c->err = err;
		rc = 0; /* the next ones all the same */
	}
}

static void released(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	hv_disks_done_fn done = d->released;
	struct cm_err err = c->err;

	free(c);
	d->working = false;
	d->released = NULL;
	done(d->released_arg, err.code, &err);
}

static void release_start(struct hv_disks *d)
{
	struct claims *c = calloc(1, sizeof *c);

	CM_ASSERT(c);
	d->home = block_home(d);
	*c = (struct claims){.set = d, .claim = claim_of(d, d->release_epoch)};
	d->working = true;
	if (cm_work(d->loop, release_all, released, c) < 0) {
		cm_err_set(&c->err, CM_E_NO_MEMORY, "cannot start a thread");
		cm_loop_defer(d->loop, released, c);
	}
}

void hv_disks_release(struct hv_disks *d, uint64_t epoch, hv_disks_done_fn done, void *arg)
{
	CM_ASSERT(!d->released && done);
	d->done = NULL;
	d->released = done;
	d->released_arg = arg;
	d->release_epoch = epoch;
	if (!d->working)
		release_start(d);
}
