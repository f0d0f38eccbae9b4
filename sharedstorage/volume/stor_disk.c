/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk.c - the life of a disk of a cluster volume: opening, reloading, closing. Its data path
 * is stor_diskio.c. Parses data of the disk by stor_volfmt.c only.
 */
#include "config.h"

#include "sharedstorage/volume/stor_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_disk_int.h"

static void disk_close(struct stor_dev *dev)
{
	struct disk *d = stor__disk_of(dev);

	d->closing = true;
	stor__disk_fail(d, -ECANCELED);
	stor__disk_maybe_closed(d);
}

static void disk_free(struct stor_dev *dev)
{
	struct disk *d = stor__disk_of(dev);

	stor__parts_free(d);
	free(d->map);
	free(d->table);
	free(d->take.before);
	free(d->take.after);
	free(d->slots);
	free(d);
}

static void disk_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys,
		       stor_fence_fn done, void *arg)
{
	stor_dev_fence(stor__disk_of(dev)->vol->dev, keys, nkeys, done, arg);
}

static void disk_fence_cancel(struct stor_dev *dev, void *arg)
{
	stor_dev_fence_cancel(stor__disk_of(dev)->vol->dev, arg);
}

static void disk_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg)
{
	stor_dev_read_keys(stor__disk_of(dev)->vol->dev, done, arg);
}

static const struct stor_dev_ops disk_ops = {
	.name = "disk",
	.stacked = true,
	.submit = stor__disk_submit,
	.cancel = stor__disk_cancel,
	.close = disk_close,
	.free = disk_free,
	.fence = disk_fence,
	.fence_cancel = disk_fence_cancel,
	.read_keys = disk_read_keys,
};

/* --- opening ------------------------------------------------------------- */

/* Reads all disk slots into d->slots. */
static void slots_read(struct disk *d, stor_done_fn done, unsigned flags)
{
	uint64_t s = d->vol->super.sector_bytes;

	if (!d->slots)
		d->slots = stor__sectors_alloc(STOR_VOL_DISKS * s);
	d->slots_iov = (struct iovec){d->slots, STOR_VOL_DISKS * s};
	stor_req_readv(&d->slots_req, d->vol->super.disks_at * s, &d->slots_iov, 1, done, d);
	d->slots_req.flags = flags;
	stor__disk_out(d, &d->slots_req);
}

static void disk_found(struct disk *d)
{
	const struct stor_dev_info *v = stor_dev_info(d->vol->dev);
	const struct stor_super *super = &d->vol->super;
	struct stor_dev_status st;

	d->n_logical = stor__vol_extents_of(d->vol, d->desc.size_bytes);
	d->map = malloc(d->n_logical * sizeof *d->map);
	CM_ASSERT(d->map);
	d->table = stor__sectors_alloc(stor_table_in_use(super) * super->sector_bytes);
	d->take.before = stor__sectors_alloc(STOR_SECTOR_MAX);
	d->take.after = stor__sectors_alloc(STOR_SECTOR_MAX);
	d->take.hint = cm_le64(d->desc.id.b) % stor_table_in_use(super);
	d->take.last = UINT64_MAX - 1;
	d->dev.info = *v;
	d->dev.info.capacity_bytes = d->desc.size_bytes;
	d->dev.info.readonly = d->dev.opts.readonly || v->readonly;
	d->dev.info.can_write_zeroes = true;
	d->dev.info.can_discard = true; /* whole extents, at least */
	stor_dev_get_status(d->vol->dev, &st);
	d->lost_seen = st.lost_flushes;
	stor_dev_up(&d->dev);
}

static bool slot_find(struct disk *d)
{
	uint32_t s = d->vol->super.sector_bytes;

	for (unsigned i = 0; i < STOR_VOL_DISKS; i++)
		if (stor_diskslot_decode(d->slots + (size_t)i * s, s, &d->desc) == 0 &&
		    d->desc.state == STOR_DISKSLOT_USED && d->desc.kind == d->kind &&
		    strcmp(d->desc.name, d->name) == 0) {
			d->slot = i;
			return true;
		}
	return false;
}

static void open_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	struct cm_err err = CM_ERR_INIT;

	d->out--;
	if (d->closing) {
		stor__disk_maybe_closed(d);
		return;
	}
	if (rc == 0 && slot_find(d)) {
		disk_found(d);
		return;
	}
	cm_err_set(&err, rc ? rc : CM_E_NO_DISK,
		   rc ? "volume %s: disk '%s' cannot be opened" : "volume %s has no disk '%s'",
		   d->vol->super.name, d->name);
	stor_dev_open_failed(&d->dev, &err);
}

static struct stor_dev *disk_open(struct stor_volume *vol, enum stor_diskslot_kind kind,
				  const char *name, const struct stor_dev_opts *opts)
{
	struct stor_dev_opts own = *opts;
	struct disk *d = calloc(1, sizeof *d);

	CM_ASSERT(d);
	own.gated = false; /* the volume's device is the gate */
	stor_dev_init(&d->dev, &disk_ops, stor_dev_loop(vol->dev), &own);
	d->vol = vol;
	d->kind = kind;
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->flying);
	TAILQ_INIT(&d->spare);
	memcpy(d->name, name, strlen(name) + 1);
	slots_read(d, open_done, STOR_REQ_ADMIN);
	return &d->dev;
}

struct stor_dev *stor_disk_open(struct stor_volume *vol, const char *disk,
				const struct stor_dev_opts *opts, struct cm_err *err)
{
	if (!stor_name_valid(disk)) {
		cm_err_set(err, CM_E_NO_DISK, "'%s' is no disk name", disk);
		return NULL;
	}
	return disk_open(vol, STOR_DISKSLOT_DISK, disk, opts);
}

struct stor_dev *stor_image_open(struct stor_volume *vol, const struct stor_uuid *vm,
				 const struct stor_dev_opts *opts, struct cm_err *err)
{
	char name[STOR_UUID_TEXT];

	(void)err;
	stor_uuid_format(vm, name);
	return disk_open(vol, STOR_DISKSLOT_IMAGE, name, opts);
}

/* --- reloading ----------------------------------------------------------- */

static int reload_apply(struct disk *d)
{
	uint32_t s = d->vol->super.sector_bytes;
	struct stor_diskslot now;
	int rc = stor_diskslot_decode(d->slots + (size_t)d->slot * s, s, &now);

	if (rc == CM_E_VOL_CORRUPT)
		return rc;
	if (rc || now.state != STOR_DISKSLOT_USED || !stor_uuid_equal(&now.id, &d->desc.id))
		return CM_E_NO_DISK;
	if (now.size_bytes > d->desc.size_bytes) {
		rc = stor__map_resize(d, now.size_bytes);
		if (rc)
			return rc;
		d->desc = now;
		d->dev.info.capacity_bytes = now.size_bytes;
		stor_dev_tell(&d->dev, STOR_EVENT_RESIZED, NULL);
	}
	d->desc = now;
	return 0;
}

static void reload_done(struct stor_req *req, int rc)
{
	struct disk *d = req->arg;
	stor_disk_reload_fn done = d->reload_done;

	d->out--;
	d->reload_done = NULL;
	rc = d->closing ? -ECANCELED : rc ? rc : reload_apply(d);
	done(rc, d->desc.size_bytes, d->reload_arg);
	stor__disk_maybe_closed(d);
}

void stor_disk_reload(struct stor_dev *dev, stor_disk_reload_fn done, void *arg)
{
	struct disk *d = stor__disk_of(dev);

	CM_ASSERT(dev->ops == &disk_ops && d->map);
	if (d->reload_done || d->closing) {
		done(d->closing ? -ECANCELED : -EBUSY, d->desc.size_bytes, arg);
		return;
	}
	d->reload_done = done;
	d->reload_arg = arg;
	slots_read(d, reload_done, 0);
}
