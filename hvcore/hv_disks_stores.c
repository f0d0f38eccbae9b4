/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks_stores.c - the first step: which files and LUNs a VM needs, each opened once; volumes
 * attached; the ownership block found.
 *
 * Data of: the operator (URLs). What is on the stores is parsed by sharedstorage/.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "common/cm_work.h"
#include "hvcore/hv_disks_int.h"
#include "sharedstorage/stor_open.h"

#define ISID_MASK	 0xffffffffffull
#define BARE_BLOCK_BYTES STOR_SECTOR_MAX

static uint64_t fnv(const void *data, size_t n, uint64_t h)
{
	const uint8_t *p = data;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

/* One ISID per VM and store, the same at every login of this VM anywhere. */
static uint64_t store_isid(const struct hv_disks *d, const struct hv_store *s)
{
	uint64_t h = fnv(d->vm.b, sizeof d->vm.b, 0xcbf29ce484222325ull);

	h = fnv(s->url, strlen(s->url), h);
	return (h ^ h >> 24) & ISID_MASK;
}

/* --- the ownership block ------------------------------------------------------ */

struct find_block {
	struct hv_disks *set;
	struct stor_volume *vol;
	uint64_t offset_bytes;
	struct cm_err err;
};

static void look_for_block(void *arg)
{
	struct find_block *f = arg;
	int rc = stor_volume_vm_block(f->vol, &f->set->vm, true, &f->offset_bytes, &f->err);

	if (rc < 0)
		cm_err_set(&f->err, rc, "%s", cm_err_text(rc));
}

static void block_found(void *arg)
{
	struct find_block *f = arg;
	struct hv_disks *d = f->set;

	d->working = false;
	d->lease_offset_bytes = f->offset_bytes;
	if (d->closing_wanted)
		hv__disks_close_all(d);
	else if (f->err.code)
		hv__disks_step_failed(d, &f->err, "ownership block");
	else
		hv__disks_step_done(d);
	free(f);
}

/* On a thread: the volume's metadata is blocking code. */
static void find_block(struct hv_disks *d, struct stor_volume *vol)
{
	struct find_block *f = calloc(1, sizeof *f);
	struct cm_err err = CM_ERR_INIT;

	CM_ASSERT(f);
	*f = (struct find_block){.set = d, .vol = vol};
	d->working = true;
	if (cm_work(d->loop, look_for_block, block_found, f) == 0)
		return;
	d->working = false;
	free(f);
	cm_err_set(&err, CM_E_NO_MEMORY, "cannot start a thread");
	hv__disks_step_failed(d, &err, "ownership block");
}

/* --- stores ------------------------------------------------------------------ */

static void volume_attached(struct stor_volume *vol, const struct cm_err *err, void *arg)
{
	struct hv_store *s = arg;
	struct hv_disks *d = s->set;

	if (!vol) {
		hv__disks_step_failed(d, err, s->url);
		return;
	}
	s->vol = vol;
	if (d->leased && &d->store[d->lease_store] == s)
		find_block(d, vol);
	else
		hv__disks_step_done(d);
}

static void store_ready(struct hv_store *s)
{
	struct hv_disks *d = s->set;

	s->opened = true;
	/* A file of one block is an ownership block and nothing else. */
	if (s->volume_wanted && stor_dev_info(s->dev)->capacity_bytes > BARE_BLOCK_BYTES)
		stor_volume_attach(s->dev, volume_attached, s);
	else
		hv__disks_step_done(d);
}

static void store_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
			void *arg)
{
	struct hv_store *s = arg;
	struct hv_disks *d = s->set;

	(void)dev;
	switch (event) {
	case STOR_EVENT_READY:
		store_ready(s);
		break;
	case STOR_EVENT_FAILED:
		hv__disks_step_failed(d, err, s->url);
		break;
	case STOR_EVENT_EXCLUSIVE:
		s->alone = true;
		cm_err_clear(&s->busy);
		if (s->awaited)
			hv__disks_step_done(d);
		s->awaited = false;
		break;
	case STOR_EVENT_BUSY:
		s->busy = *err;
		if (s->awaited)
			hv__disks_step_failed(d, err, "disk");
		s->awaited = false;
		break;
	case STOR_EVENT_STALLED:
	case STOR_EVENT_CONFLICT:
		snprintf(d->trouble, sizeof d->trouble, "%.190s", err->text);
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
	CM_ASSERT(d->stores < HV_STORES_MAX);
	d->store[d->stores].set = d;
	snprintf(d->store[d->stores].url, sizeof d->store[0].url, "%.*s", (int)n, url);
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

/* Read-only only if every user of the store is; who uses a volume claims there what it uses. */
static bool store_read_only(const struct hv_disks *d, unsigned store)
{
	if (d->store[store].volume_wanted)
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
	char initiator[sizeof STOR_INITIATOR + sizeof d->node];

	/*
	 * The node's name, not the host's: ISIDs are the VM's on every node, and two nodes of one host name would be one
	 * initiator, whose new session ends the old one (RFC 7143, session reinstatement).
	 */
	snprintf(initiator, sizeof initiator, STOR_INITIATOR "%s", d->node);
	d->waiting = d->stores;
	for (unsigned i = 0; i < d->stores; i++) {
		struct hv_store *s = &d->store[i];
		uint64_t vm = fnv(d->vm.b, sizeof d->vm.b, 0xcbf29ce484222325ull);
		const struct stor_dev_opts opts = {
			.readonly = store_read_only(d, i),
			.exclusive_to = store_exclusive(d, i) ? vm | 1 : 0,
			.gated = d->leased,
			.exclusive_create = d->leased && d->lease_store == i,
			.size_bytes = BARE_BLOCK_BYTES,
			.io_timeout_ms = d->io_timeout_ms,
			.fail_after_ms = d->io_fail_after_ms,
			.isid = store_isid(d, s),
			.initiator = d->node[0] ? initiator : NULL,
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
	struct hv_disks *d = calloc(1, sizeof *d);
	int rc;

	*out = d;
	if (!d)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	d->loop = loop;
	d->vm = cfg->vm;
	d->io_timeout_ms = cfg->io_timeout_ms;
	d->io_fail_after_ms = cfg->io_fail_after_ms;
	snprintf(d->node, sizeof d->node, "%s", cfg->node);
	d->host_slot = cfg->host_slot;
	if (!d->host_slot)
		d->host_slot =
			(uint16_t)(fnv(d->node, strlen(d->node), 0xcbf29ce484222325ull) | 0x8000);
	d->done = done;
	d->done_arg = arg;
	rc = plan(d, cfg, err);
	return rc < 0 ? rc : open_stores(d, err);
}
