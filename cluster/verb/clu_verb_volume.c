/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_volume.c - volumes and their disks. The metadata work of sharedstorage/ is blocking
 * code, so each request gets a thread of its own; the device lives on the loop.
 *
 * Parses arguments of operators.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "sharedstorage/stor_open.h"
#include "sharedstorage/volume/stor_disk.h"
#include "sharedstorage/volume/stor_volume.h"

#define DISK_MIN_BYTES (1ull << 20)
#define DISK_MAX_BYTES (1ull << 50)

struct job {
	struct clu_agent *agent;
	struct px_req *q; /* borrowed until the answer */
	const char *verb;
	char volume[64], disk[64], url[1024];
	char to[64]; /* new name of a disk; what of a volume to dump */
	uint64_t size_bytes, extent_bytes;
	bool thick, repair, opened;
	bool exclusive; /* nobody else may use the LUN: it is formatted */
	char unfit[CM_ERR_TEXT]; /* the self-test's complaint */
	struct stor_dev *dev;
	struct json_object *doc, *list;
	pthread_t thread;
	bool threaded;
	struct cm_err err;
};

static void job_free(void *arg)
{
	struct job *j = arg;

	json_object_put(j->doc);
	free(j);
}

static void job_end(struct job *j)
{
	if (j->threaded)
		pthread_join(j->thread, NULL);
	j->threaded = false;
	if (j->err.code) {
		px_req_fail(j->q, &j->err);
	} else {
		clu__answer(j->q, j->doc);
		j->doc = NULL;
	}
	if (j->dev)
		stor_dev_close(j->dev, job_free, j);
	else
		cm_loop_defer(j->agent->loop, job_free, j);
}

/* --- the work, on its own thread ----------------------------------------- */

static void add_disk(const struct stor_disk_info *d, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu__add_str(o, "name", d->name);
	clu__add_u64(o, "size_bytes", d->size_bytes);
	clu__add_u64(o, "allocated_bytes", d->allocated_bytes);
	clu__add_bool(o, "thick", d->thick);
	if (!stor_uuid_is_zero(&d->vm)) {
		char vm[STOR_UUID_TEXT];

		stor_uuid_format(&d->vm, vm);
		clu__add_str(o, "vm_uuid", vm);
	}
	json_object_array_add(arg, o);
}

static void add_complaint(const char *text, void *arg)
{
	json_object_array_add(arg, json_object_new_string(text));
}

static void work_info(struct job *j, struct stor_volume *vol)
{
	struct stor_volume_info in;
	struct json_object *disks;
	int rc;

	if (stor_volume_info(vol, &in, &j->err))
		return;
	clu__add_str(j->doc, "name", j->volume);
	clu__add_str(j->doc, "url", j->url);
	clu__add_u64(j->doc, "extent_bytes", in.extent_bytes);
	clu__add_u64(j->doc, "size_bytes", in.extents * in.extent_bytes);
	clu__add_u64(j->doc, "free_bytes", in.extents_free * in.extent_bytes);
	clu__add_u64(j->doc, "vms", in.vms);
	clu__add_u64(j->doc, "saved_states", in.images);
	clu__add_u64(j->doc, "hosts", in.hosts);
	clu__add_u64(j->doc, "grows_to_bytes", in.extents_max * in.extent_bytes);
	clu__add_bool(j->doc, "native_compare_and_write", stor_dev_info(j->dev)->native_caw);
	disks = json_object_new_array();
	json_object_object_add(j->doc, "disks", disks);
	rc = stor_volume_each_disk(vol, add_disk, disks, &j->err);
	if (rc)
		cm_err_set(&j->err, rc, "the disks of volume %s cannot be listed", j->volume);
}

static void work_check(struct job *j, struct stor_volume *vol)
{
	struct json_object *complaints = json_object_new_array();
	struct stor_volume_report r;

	json_object_object_add(j->doc, "complaints", complaints);
	if (j->unfit[0])
		add_complaint(j->unfit, complaints);
	if (stor_volume_check(vol, j->repair, add_complaint, complaints, &r, &j->err))
		return;
	clu__add_u64(j->doc, "leaked_extents", r.leaked_extents);
	clu__add_u64(j->doc, "repaired_extents", r.repaired_extents);
	clu__add_u64(j->doc, "doubly_used_extents", r.doubly_used_extents);
	clu__add_u64(j->doc, "bad_structures", r.bad_structures);
	clu__add_u64(j->doc, "unfinished", r.unfinished);
}

static void work_dump(struct job *j, struct stor_volume *vol)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	CM_ASSERT(f);
	(void)!stor_volume_dump(vol, j->to, f, &j->err); /* its words are in err */
	fclose(f);
	clu__add_str(j->doc, "dump", text);
	free(text);
}

static void work_grow(struct job *j, struct stor_volume *vol)
{
	uint64_t extents;

	if (stor_volume_grow(vol, &extents, &j->err) == 0)
		work_info(j, vol);
}

static void work_disk(struct job *j, struct stor_volume *vol)
{
	struct stor_disk_info d;
	struct json_object *list;

	int rc = 0;

	if (strcmp(j->verb, "disk-create") == 0)
		rc = stor_volume_disk_create(vol, j->disk, j->size_bytes, j->thick, &j->err);
	else if (strcmp(j->verb, "disk-resize") == 0)
		rc = stor_volume_disk_resize(vol, j->disk, j->size_bytes, &j->err);
	else if (strcmp(j->verb, "disk-delete") == 0)
		rc = stor_volume_disk_delete(vol, j->disk, &j->err);
	else if (strcmp(j->verb, "disk-rename") == 0)
		rc = stor_volume_disk_rename(vol, j->disk, j->to, &j->err);
	if (rc || strcmp(j->verb, "disk-delete") == 0 ||
	    stor_volume_disk_info(vol, j->to[0] ? j->to : j->disk, &d, &j->err))
		return;
	list = json_object_new_array();
	add_disk(&d, list);
	json_object_object_add(j->doc, "disk", json_object_get(json_object_array_get_idx(list, 0)));
	json_object_put(list);
}

static void job_grown(struct json_object *vms, void *arg)
{
	struct job *j = arg;

	json_object_object_add(j->doc, "vms", vms);
	job_end(j);
}

static void job_posted(void *arg)
{
	struct job *j = arg;
	char name[2 * STOR_DISK_NAME];

	if (j->err.code || strcmp(j->verb, "disk-resize") != 0) {
		job_end(j);
		return;
	}
	snprintf(name, sizeof name, "%s/%s", j->volume, j->disk);
	clu__disk_grown(j->agent, name, job_grown, j);
}

static void *job_thread(void *arg)
{
	struct job *j = arg;
	struct stor_volume *vol = NULL;

	if (stor_volume_open(j->dev, &vol, &j->err) == 0) {
		if (strcmp(j->verb, "volume-check") == 0)
			work_check(j, vol);
		else if (strcmp(j->verb, "volume-dump") == 0)
			work_dump(j, vol);
		else if (strcmp(j->verb, "volume-grow") == 0)
			work_grow(j, vol);
		else if (strncmp(j->verb, "disk-", 5) == 0)
			work_disk(j, vol);
		else
			work_info(j, vol);
		stor_volume_free(vol);
	}
	CM_ASSERT(cm_loop_post(j->agent->loop, job_posted, j) == 0);
	return NULL;
}

/* --- the shell, on the loop ---------------------------------------------- */

static void job_registered(int code, const struct cm_err *err, void *arg)
{
	struct job *j = arg;

	if (code)
		cm_err_set(&j->err, code, "%s", err->text);
	job_end(j);
}

/* A new volume is announced to the cluster after it was made. */
static void job_done_create(void *arg)
{
	struct job *j = arg;

	pthread_join(j->thread, NULL);
	j->threaded = false;
	if (j->err.code) {
		job_end(j);
		return;
	}
	clu_event(j->agent->events, "notice", "volume-created", NULL, NULL, "volume %s on %s",
		  j->volume, j->url);
	clu__store_set_volume(j->agent, j->volume, j->url, job_registered, j);
}

static void *job_thread_create(void *arg)
{
	struct job *j = arg;
	struct stor_volume *vol = NULL;

	if (stor_volume_format(j->dev, j->volume, j->extent_bytes, &j->err) == 0 &&
	    stor_volume_open(j->dev, &vol, &j->err) == 0) {
		work_info(j, vol);
		stor_volume_free(vol);
	}
	CM_ASSERT(cm_loop_post(j->agent->loop, job_done_create, j) == 0);
	return NULL;
}

static void job_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err,
		      void *arg)
{
	struct job *j = arg;
	bool create = strcmp(j->verb, "volume-create") == 0;

	(void)dev;
	if (j->opened || (ev != (j->exclusive ? STOR_EVENT_EXCLUSIVE : STOR_EVENT_READY) &&
			  ev != STOR_EVENT_BUSY && ev != STOR_EVENT_FAILED))
		return;
	j->opened = true;
	if (ev != STOR_EVENT_READY && ev != STOR_EVENT_EXCLUSIVE) {
		cm_err_set(&j->err, err->code, "%s", err->text);
		job_end(j);
		return;
	}
	if (pthread_create(&j->thread, NULL, create ? job_thread_create : job_thread, j)) {
		cm_err_set(&j->err, -11, "cannot start a thread");
		job_end(j);
		return;
	}
	j->threaded = true;
}

static void job_open(struct job *j)
{
	struct stor_dev_opts opts = {.host_slot = STOR_SLOT_TOOL,
				     .fail_after_ms = 10000,
				     .exclusive_to = j->exclusive ? 1 : 0,
				     .io_timeout_ms = j->agent->conf->io_timeout_ms,
				     .event = job_event,
				     .event_arg = j};

	j->dev = stor_dev_open(j->agent->loop, j->url, &opts, &j->err);
	if (!j->dev)
		job_end(j);
}

/* A target that cannot keep a shut-out host from the disks must not carry HA VMs: say so before
 * formatting it. */
static void job_probed(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct job *j = arg;

	if (!r)
		cm_err_set(&j->err, err->code, "%s", err->text);
	else if (!r->safe)
		cm_err_set(&j->err, CM_E_SAN_UNSAFE, "%s", r->refused);
	if (j->err.code) {
		job_end(j);
		return;
	}
	clu__add_str(j->doc, "protection", r->mode);
	job_open(j);
}

/* What the target can do is part of a check; the structures are looked at in any case. */
static void job_tested(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct json_object *o = json_object_new_object();
	struct job *j = arg;

	clu__add_bool(o, "ok", r && r->safe);
	if (!r || !r->safe)
		snprintf(j->unfit, sizeof j->unfit, "self-test: %.300s",
			 r ? r->refused : err->text);
	if (r) {
		clu__add_str(o, "mode", r->mode);
		clu__add_str(o, "leaks", r->leaky);
		clu__add_str(o, "refused", r->refused);
	} else {
		clu__add_str(o, "error", err->text);
	}
	json_object_object_add(j->doc, "self_test", o);
	job_open(j);
}

static void list_volume(const char *name, const char *url, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu__add_str(o, "name", name);
	clu__add_str(o, "url", url);
	json_object_array_add(arg, o);
}

static void forgotten(int code, const struct cm_err *err, void *arg)
{
	if (code)
		px_req_fail(arg, err);
	else
		px_req_ok(arg, NULL);
}

/* Names of the request into the job; CM_E_USAGE, CM_E_NO_DISK, CM_E_DISK_EXISTS. */
static int job_names(struct job *j, struct cm_err *err)
{
	const char *volume = px_req_arg(j->q, "volume"), *disk = px_req_arg(j->q, "disk"),
		   *url = px_req_arg(j->q, "url");
	struct stor_url u;
	int rc;

	if (disk) {
		rc = stor_url_parse(disk, &u, err);
		if (rc || u.kind != STOR_URL_VOLUME)
			return rc ? rc
				  : cm_err_set(err, CM_E_BAD_URL, "'%s' is not VOLUME/DISK", disk);
		snprintf(j->volume, sizeof j->volume, "%s", u.volume);
		snprintf(j->disk, sizeof j->disk, "%s", u.disk);
	} else if (!volume || !stor_name_valid(volume)) {
		return cm_err_set(err, CM_E_USAGE, "%s needs the name of a volume", j->verb);
	} else {
		snprintf(j->volume, sizeof j->volume, "%s", volume);
	}
	rc = clu__store_volume(j->agent, j->volume, j->url, sizeof j->url, NULL);
	if (strcmp(j->verb, "volume-create") != 0)
		return rc ? clu__store_volume(j->agent, j->volume, j->url, sizeof j->url, err) : 0;
	if (rc == 0)
		return cm_err_set(err, CM_E_DISK_EXISTS, "a volume '%s' exists already (%s)",
				  j->volume, j->url);
	if (!url)
		return cm_err_set(err, CM_E_USAGE,
				  "volume create needs a URL: file:PATH or iscsi://host/iqn/lun");
	rc = stor_url_parse(url, &u, err);
	if (rc == 0 && (u.kind == STOR_URL_VOLUME || u.disk[0]))
		rc = cm_err_set(err, CM_E_BAD_URL,
				"a volume lies on a whole file or LUN, not on '%s'", url);
	snprintf(j->url, sizeof j->url, "%s", url);
	return rc;
}

static int job_to(struct job *j, struct cm_err *err)
{
	bool rename = strcmp(j->verb, "disk-rename") == 0;
	const char *to = px_req_arg(j->q, rename ? "to" : "what");

	if (rename && !to)
		return cm_err_set(err, CM_E_USAGE, "disk-rename needs the new name");
	if (to && strlen(to) >= sizeof j->to)
		return cm_err_set(err, CM_E_BAD_VALUE, "'%.80s' is too long", to);
	snprintf(j->to, sizeof j->to, "%s", to ? to : "");
	return 0;
}

static int job_args(struct job *j, struct cm_err *err)
{
	bool sized = strcmp(j->verb, "disk-create") == 0 || strcmp(j->verb, "disk-resize") == 0;
	int rc = job_names(j, err);

	rc = rc ? rc
		: px_req_u64(j->q, "size", 0, DISK_MIN_BYTES, DISK_MAX_BYTES, &j->size_bytes, err);
	rc = rc ? rc : px_req_u64(j->q, "extent", 0, 1u << 20, 1u << 30, &j->extent_bytes, err);
	if (rc == 0 && sized && j->size_bytes == 0)
		rc = cm_err_set(err, CM_E_USAGE, "%s needs a size (as 10G)", j->verb);
	j->exclusive = strcmp(j->verb, "volume-create") == 0 && !px_req_flag(j->q, "force");
	if (rc == 0)
		rc = job_to(j, err);
	j->thick = px_req_flag(j->q, "thick");
	j->repair = px_req_flag(j->q, "repair");
	return rc;
}

void clu__verb_volume(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct cm_err err = CM_ERR_INIT;
	struct json_object *doc, *list;
	struct job *j;

	if (strcmp(q->msg->verb, "volume-list") == 0) {
		doc = json_object_new_object();
		list = json_object_new_array();
		clu__store_each_volume(a, list_volume, list);
		json_object_object_add(doc, "volumes", list);
		clu__answer(q, doc);
		return;
	}
	j = calloc(1, sizeof *j);
	CM_ASSERT(j);
	j->agent = a;
	j->q = q;
	j->verb = q->msg->verb;
	j->doc = json_object_new_object();
	if (clu__agent_need_quorum(a, &err) || job_args(j, &err)) {
		px_req_fail(q, &err);
		job_free(j);
	} else if (strcmp(j->verb, "volume-forget") == 0) {
		clu__store_set_volume(a, j->volume, NULL, forgotten, q);
		job_free(j);
	} else if (strcmp(j->verb, "volume-create") == 0) {
		clu__probe_url(a, j->url, j->exclusive ? STOR_PROBE_ALONE : 0, job_probed, j);
	} else if (strcmp(j->verb, "volume-check") == 0) {
		clu__probe_url(a, j->url, STOR_PROBE_VOLUME, job_tested, j);
	} else {
		job_open(j);
	}
}
