/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks.c - stores, volumes, ownership block and disks of one VM, opened step by step on the
 * loop.
 *
 * Data of: the operator (URLs). What is on the disks is parsed by sharedstorage/.
 */
#include "config.h"

#include "hvcore/hv_disks.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "common/cm_work.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/stor_open.h"
#include "sharedstorage/volume/stor_disk.h"
#include "sharedstorage/volume/stor_volume.h"

#define MAX_STORES	 (HV_SLOT_BLK_MAX + 1u)
#define ISID_MASK	 0xffffffffffull
#define BARE_BLOCK_BYTES STOR_SECTOR_MAX

struct store {
	struct hv_disks *set;
	char url[STOR_URL_MAX];
	struct stor_dev *dev;
	bool volume_wanted, opened;
	struct stor_volume *vol;
	/* the whole store is a disk of this VM alone */
	bool exclusive, alone, awaited;
	struct cm_err busy;
};

struct disk {
	struct hv_disks *set;
	unsigned store;
	char name[STOR_DISK_NAME]; /* "": the whole store */
	bool read_only;
	struct stor_dev *dev; /* the store's own if name is "" */
	bool ready;
	struct stor_uuid id; /* of a volume's disk */
};

struct hv_disks {
	struct cm_loop *loop;
	char node[STOR_NODE_NAME];
	struct stor_uuid vm;
	uint16_t host_slot;
	uint32_t io_timeout_ms, io_fail_after_ms;
	bool leased;
	unsigned lease_store;
	uint64_t lease_offset_bytes;
	unsigned stores, disks;
	struct store store[MAX_STORES];
	struct disk disk[HV_SLOT_BLK_MAX];

	hv_disks_done_fn done;
	void *done_arg;
	unsigned waiting;
	struct cm_err failed;
	char trouble[192];
	hv_disks_done_fn reloaded;
	void *reloaded_arg;
	unsigned reloading; /* disks whose size is being read, and one */
	struct cm_err reload_err;
	bool working, closing_wanted, closing;
	cm_close_fn closed;
	void *closed_arg;
	unsigned to_close;
};

static uint64_t fnv(const void *data, size_t n, uint64_t h)
{
	const uint8_t *p = data;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

/* One ISID per VM and store, the same at every login of this VM anywhere. */
static uint64_t store_isid(const struct hv_disks *d, const struct store *s)
{
	uint64_t h = fnv(d->vm.b, sizeof(d->vm.b), 0xcbf29ce484222325ull);

	h = fnv(s->url, strlen(s->url), h);
	return (h ^ h >> 24) & ISID_MASK;
}

static void answer(struct hv_disks *d)
{
	hv_disks_done_fn done = d->done;

	if (!done)
		return;
	d->done = NULL;
	done(d->done_arg, d->failed.code, &d->failed);
}

static void step_done(struct hv_disks *d)
{
	CM_ASSERT(d->waiting);
	if (--d->waiting == 0)
		answer(d);
}

static void step_failed(struct hv_disks *d, const struct cm_err *err, const char *what)
{
	cm_err_set(&d->failed, err->code, "%s: %s", what, err->text);
	step_done(d);
}

/* --- the ownership block ------------------------------------------------------ */

struct find_block {
	struct hv_disks *set;
	struct stor_volume *vol;
	uint64_t offset_bytes;
	struct cm_err err;
	pthread_t thread;
};

static void block_found(void *arg)
{
	struct find_block *f = arg;
	struct hv_disks *d = f->set;

	pthread_join(f->thread, NULL);
	d->lease_offset_bytes = f->offset_bytes;
	if (f->err.code)
		step_failed(d, &f->err, "ownership block");
	else
		step_done(d);
	free(f);
}

static void *find_block_main(void *arg)
{
	struct find_block *f = arg;

	int rc = stor_volume_vm_block(f->vol, &f->set->vm, true, &f->offset_bytes, &f->err);

	if (rc < 0)
		cm_err_set(&f->err, rc, "%s", cm_err_text(rc));
	CM_ASSERT(cm_loop_post(f->set->loop, block_found, f) == 0);
	return NULL;
}

static void find_block(struct hv_disks *d, struct stor_volume *vol)
{
	struct cm_err err = CM_ERR_INIT;
	struct find_block *f = calloc(1, sizeof(*f));

	if (f) {
		f->set = d;
		f->vol = vol;
		if (pthread_create(&f->thread, NULL, find_block_main, f) == 0)
			return;
		free(f);
	}
	cm_err_set(&err, CM_E_NO_MEMORY, "cannot start a thread");
	step_failed(d, &err, "ownership block");
}

/* --- stores ------------------------------------------------------------------ */

static void volume_attached(struct stor_volume *vol, const struct cm_err *err, void *arg)
{
	struct store *s = arg;
	struct hv_disks *d = s->set;

	if (!vol) {
		step_failed(d, err, s->url);
		return;
	}
	s->vol = vol;
	if (d->leased && &d->store[d->lease_store] == s)
		find_block(d, vol);
	else
		step_done(d);
}

static void store_ready(struct store *s)
{
	struct hv_disks *d = s->set;

	s->opened = true;
	/* A file of one block is an ownership block and nothing else. */
	if (s->volume_wanted && stor_dev_info(s->dev)->capacity_bytes > BARE_BLOCK_BYTES)
		stor_volume_attach(s->dev, volume_attached, s);
	else
		step_done(d);
}

static void store_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
			void *arg)
{
	struct store *s = arg;
	struct hv_disks *d = s->set;

	(void)dev;
	switch (event) {
	case STOR_EVENT_READY:
		store_ready(s);
		break;
	case STOR_EVENT_FAILED:
		step_failed(d, err, s->url);
		break;
	case STOR_EVENT_EXCLUSIVE:
		s->alone = true;
		cm_err_clear(&s->busy);
		if (s->awaited)
			step_done(d);
		s->awaited = false;
		break;
	case STOR_EVENT_BUSY:
		s->busy = *err;
		if (s->awaited)
			step_failed(d, err, "disk");
		s->awaited = false;
		break;
	case STOR_EVENT_STALLED:
	case STOR_EVENT_CONFLICT:
		snprintf(d->trouble, sizeof(d->trouble), "%.190s", err->text);
		cm_notice("storage: %s", err->text);
		break;
	case STOR_EVENT_RESUMED:
		d->trouble[0] = '\0';
		cm_notice("storage: %s is back", s->url);
		break;
	case STOR_EVENT_RESIZED:
	case STOR_EVENT_NONE:
		break;
	}
}

/* The store of this URL; new if it is not there yet. disk: the name after '#', "" none. */
static int store_of(struct hv_disks *d, const char *url, char disk[STOR_DISK_NAME],
		    struct cm_err *err)
{
	struct stor_url u;
	size_t n = strcspn(url, "#");
	int rc = stor_url_parse(url, &u, err);

	if (rc < 0)
		return rc;
	if (u.kind == STOR_URL_VOLUME)
		return cm_err_set(err, CM_E_BAD_URL, "%s: the name of a volume was not resolved",
				  url);
	memcpy(disk, u.disk, STOR_DISK_NAME);
	for (unsigned i = 0; i < d->stores; i++)
		if (strlen(d->store[i].url) == n && memcmp(d->store[i].url, url, n) == 0)
			return (int)i;
	CM_ASSERT(d->stores < MAX_STORES);
	d->store[d->stores].set = d;
	snprintf(d->store[d->stores].url, sizeof(d->store[0].url), "%.*s", (int)n, url);
	return (int)d->stores++;
}

static int plan(struct hv_disks *d, const struct hv_disks_config *cfg, struct cm_err *err)
{
	char name[STOR_DISK_NAME];
	int rc;

	for (unsigned i = 0; i < cfg->disks; i++) {
		rc = store_of(d, cfg->disk[i].url, d->disk[i].name, err);
		if (rc < 0)
			return rc;
		d->disk[i].set = d;
		d->disk[i].store = (unsigned)rc;
		d->disk[i].read_only = cfg->disk[i].read_only;
		if (d->disk[i].name[0])
			d->store[rc].volume_wanted = true;
		d->disks = i + 1;
	}
	if (!cfg->lease_url[0])
		return 0;
	rc = store_of(d, cfg->lease_url, name, err);
	if (rc < 0)
		return rc;
	d->leased = true;
	d->lease_store = (unsigned)rc;
	d->store[rc].volume_wanted = true;
	return 0;
}

/* Read-only only if every user of the store is. */
static bool store_read_only(const struct hv_disks *d, unsigned store)
{
	if (d->leased && d->lease_store == store)
		return false;
	for (unsigned i = 0; i < d->disks; i++)
		if (d->disk[i].store == store && !d->disk[i].read_only)
			return false;
	return true;
}

/* A whole file or LUN that the VM may write is its own. A LUN tells who else has it only to one who
 * registers, and that needs an ownership block. */
static bool store_exclusive(const struct hv_disks *d, unsigned store)
{
	return !d->store[store].volume_wanted && !store_read_only(d, store) &&
	       (d->leased || strncmp(d->store[store].url, "file:", 5) == 0);
}

static int open_stores(struct hv_disks *d, struct cm_err *err)
{
	d->waiting = d->stores;
	for (unsigned i = 0; i < d->stores; i++) {
		struct store *s = &d->store[i];
		uint64_t vm = fnv(d->vm.b, sizeof(d->vm.b), 0xcbf29ce484222325ull);
		const struct stor_dev_opts opts = {
			.readonly = store_read_only(d, i),
			.exclusive_to = store_exclusive(d, i) ? vm | 1 : 0,
			.gated = d->leased,
			.exclusive_create = d->leased && d->lease_store == i,
			.size_bytes = BARE_BLOCK_BYTES,
			.io_timeout_ms = d->io_timeout_ms,
			.fail_after_ms = d->io_fail_after_ms,
			.isid = store_isid(d, s),
			.host_slot = d->leased ? d->host_slot : 0,
			.event = store_event,
			.event_arg = s,
		};

		s->exclusive = opts.exclusive_to != 0;
		s->dev = stor_dev_open(d->loop, s->url, &opts, err);
		if (!s->dev)
			return err->code;
	}
	return 0;
}

int hv_disks_new(struct hv_disks **out, struct cm_loop *loop, const struct hv_disks_config *cfg,
		 hv_disks_done_fn done, void *arg, struct cm_err *err)
{
	struct hv_disks *d = calloc(1, sizeof(*d));
	int rc;

	*out = d;
	if (!d)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	d->loop = loop;
	d->vm = cfg->vm;
	d->io_timeout_ms = cfg->io_timeout_ms;
	d->io_fail_after_ms = cfg->io_fail_after_ms;
	snprintf(d->node, sizeof(d->node), "%s", cfg->node);
	d->host_slot = cfg->host_slot;
	if (!d->host_slot)
		d->host_slot =
			(uint16_t)(fnv(d->node, strlen(d->node), 0xcbf29ce484222325ull) | 0x8000);
	d->done = done;
	d->done_arg = arg;
	rc = plan(d, cfg, err);
	return rc < 0 ? rc : open_stores(d, err);
}

/* --- disks ------------------------------------------------------------------- */

static void close_disks(struct hv_disks *d);

static void disk_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		       void *arg)
{
	struct disk *k = arg;

	(void)dev;
	k->ready |= event == STOR_EVENT_READY;
	if (event == STOR_EVENT_READY)
		step_done(k->set);
	else if (event == STOR_EVENT_FAILED)
		step_failed(k->set, err, k->name);
}

static void open_disks(struct hv_disks *d)
{
	d->waiting = 1;
	for (unsigned i = 0; i < d->disks; i++) {
		struct disk *k = &d->disk[i];
		struct store *s = &d->store[k->store];
		const struct stor_dev_opts opts = {
			.readonly = k->read_only,
			.event = disk_event,
			.event_arg = k,
		};

		if (!k->name[0]) {
			k->dev = s->dev;
			if (s->busy.code && !s->alone)
				d->failed = s->busy;
			else if (s->exclusive && !s->alone && !s->awaited)
				d->waiting += s->awaited = true;
			continue;
		}
		if (!s->vol) {
			cm_err_set(&d->failed, CM_E_VOL_FORMAT, "%s is no volume", s->url);
			continue;
		}
		k->dev = stor_disk_open(s->vol, k->name, &opts, &d->failed);
		if (k->dev)
			d->waiting++;
	}
	if (--d->waiting == 0)
		answer(d);
}

/* --- claims, on a thread of their own: the volume's metadata is blocking code ----------- */

struct claims {
	struct hv_disks *set;
	enum hv_disks_claim claim;
	struct cm_err err;
};

static int claim_disk(struct claims *c, struct disk *k, struct stor_volume *vol)
{
	struct stor_disk_info info;
	int rc = stor_volume_disk_info(vol, k->name, &info, &c->err);

	if (rc < 0)
		return rc;
	k->id = info.id;
	if (k->read_only || c->claim == HV_DISKS_CLAIM_NONE)
		return 0;
	if (c->claim == HV_DISKS_CLAIM_KEEP && !stor_uuid_equal(&info.vm, &c->set->vm))
		return cm_err_set(&c->err, CM_E_DISK_BUSY,
				  "another VM has used disk %s since this one was saved: the saved state does not fit it any more (hvctl start --fresh discards it)",
				  k->name);
	return stor_volume_disk_claim(vol, k->name, &c->set->vm, &c->err);
}

static void claim_all(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	int rc = cm_fault("core.claim");

	for (unsigned i = 0; rc == 0 && i < d->disks; i++) {
		struct disk *k = &d->disk[i];

		if (k->name[0] && d->store[k->store].vol)
			rc = claim_disk(c, k, d->store[k->store].vol);
	}
	if (rc < 0)
		cm_err_set(&c->err, rc, "the VM's disks cannot be claimed: %s", cm_err_text(rc));
}

static void claimed(void *arg)
{
	struct claims *c = arg;
	struct hv_disks *d = c->set;
	struct cm_err err = c->err;

	free(c);
	d->working = false;
	if (d->closing_wanted) {
		close_disks(d);
	} else if (err.code) {
		d->failed = err;
		answer(d);
	} else {
		open_disks(d);
	}
}

void hv_disks_open(struct hv_disks *d, enum hv_disks_claim claim, hv_disks_done_fn done, void *arg)
{
	struct claims *c = calloc(1, sizeof(*c));

	CM_ASSERT(c);
	d->done = done;
	d->done_arg = arg;
	*c = (struct claims){.set = d, .claim = claim};
	d->working = true;
	if (cm_work(d->loop, claim_all, claimed, c) < 0) {
		cm_err_set(&c->err, CM_E_NO_MEMORY, "cannot start a thread");
		cm_loop_defer(d->loop, claimed, c);
	}
}

/* --- sizes that changed --------------------------------------------------------- */

static void reload_one_done(struct hv_disks *d, int rc, const char *name)
{
	hv_disks_done_fn done = d->reloaded;

	if (rc < 0)
		cm_err_set(&d->reload_err, rc, "disk %s: %s", name, cm_err_text(rc));
	if (--d->reloading)
		return;
	d->reloaded = NULL;
	done(d->reloaded_arg, d->reload_err.code, &d->reload_err);
}

static void disk_reloaded(int rc, uint64_t size_bytes, void *arg)
{
	struct disk *k = arg;

	(void)size_bytes;
	reload_one_done(k->set, rc, k->name);
}

static void reload_none(void *arg)
{
	reload_one_done(arg, 0, "");
}

void hv_disks_reload(struct hv_disks *d, hv_disks_done_fn done, void *arg)
{
	struct cm_err err = CM_ERR_INIT;

	if (d->reloading) {
		cm_err_set(&err, -EBUSY, "the sizes of the disks are being read");
		done(arg, err.code, &err);
		return;
	}
	d->reloaded = done;
	d->reloaded_arg = arg;
	cm_err_clear(&d->reload_err);
	d->reloading = 1;
	for (unsigned i = 0; i < d->disks; i++) {
		struct disk *k = &d->disk[i];

		if (!k->name[0] || !k->ready)
			continue;
		d->reloading++;
		stor_disk_reload(k->dev, disk_reloaded, k);
	}
	CM_ASSERT(cm_loop_post(d->loop, reload_none, d) == 0);
}

/* --- the end ------------------------------------------------------------------- */

static void close_stores(struct hv_disks *d);

static void part_closed(void *arg)
{
	struct hv_disks *d = arg;

	if (--d->to_close)
		return;
	if (!d->closing) {
		close_stores(d);
		return;
	}
	d->closed(d->closed_arg);
	free(d);
}

static void close_stores(struct hv_disks *d)
{
	d->closing = true;
	d->to_close = 1;
	for (unsigned i = 0; i < d->stores; i++) {
		if (d->store[i].vol)
			stor_volume_free(d->store[i].vol);
		if (!d->store[i].dev)
			continue;
		d->to_close++;
		stor_dev_close(d->store[i].dev, part_closed, d);
	}
	part_closed(d);
}

static void close_disks(struct hv_disks *d)
{
	d->to_close = 1;
	for (unsigned i = 0; i < d->disks; i++) {
		if (!d->disk[i].name[0] || !d->disk[i].dev)
			continue;
		d->to_close++;
		stor_dev_close(d->disk[i].dev, part_closed, d);
	}
	part_closed(d);
}

void hv_disks_close(struct hv_disks *d, cm_close_fn done, void *arg)
{
	d->closed = done;
	d->closed_arg = arg;
	d->done = NULL;
	d->closing_wanted = true;
	/* A claim under way uses the volume still. */
	if (!d->working)
		close_disks(d);
}

struct stor_volume *hv_disks_lease_volume(struct hv_disks *d)
{
	return d->leased ? d->store[d->lease_store].vol : NULL;
}

struct stor_uuid hv_disks_id(const struct hv_disks *d, unsigned disk)
{
	CM_ASSERT(disk < d->disks);
	return d->disk[disk].id;
}

struct stor_dev *hv_disks_dev(struct hv_disks *d, unsigned disk)
{
	CM_ASSERT(disk < d->disks);
	return d->disk[disk].dev;
}

struct stor_dev *hv_disks_below(struct hv_disks *d, unsigned disk)
{
	CM_ASSERT(disk < d->disks);
	return d->store[d->disk[disk].store].dev;
}

struct stor_dev *hv_disks_lease_dev(struct hv_disks *d, uint64_t *offset_bytes)
{
	if (!d->leased)
		return NULL;
	*offset_bytes = d->lease_offset_bytes;
	return d->store[d->lease_store].dev;
}

unsigned hv_disks_stores(const struct hv_disks *d)
{
	return d->stores;
}

struct stor_dev *hv_disks_store(struct hv_disks *d, unsigned i)
{
	return d->store[i].dev;
}

uint16_t hv_disks_host_slot(const struct hv_disks *d)
{
	return d->host_slot;
}

const char *hv_disks_trouble(const struct hv_disks *d)
{
	return d->trouble;
}
