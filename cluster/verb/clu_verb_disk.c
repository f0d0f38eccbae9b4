/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_disk.c - disks of volumes: a row for each verb, and what it does (clu_volume_job.h has
 * the way there).
 *
 * Parses arguments of operators.
 */
#include "config.h"

#include "cluster/verb/clu_verb_disk.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/verb/clu_disk_grown.h"
#include "cluster/verb/clu_volume_job.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/volume/stor_volume.h"

#define DISK_MIN_BYTES (1ull << 20)
#define DISK_MAX_BYTES (1ull << 50)

void clu__disk_row(const struct stor_disk_info *d, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "name", d->name);
	clu_add_u64(o, "size_bytes", d->size_bytes);
	clu_add_u64(o, "allocated_bytes", d->allocated_bytes);
	clu_add_bool(o, "thick", d->thick);
	if (!stor_uuid_is_zero(&d->vm)) {
		char vm[STOR_UUID_TEXT];

		stor_uuid_format(&d->vm, vm);
		clu_add_str(o, "vm_uuid", vm);
		if (d->held)
			clu_add_str(o, "node", d->node);
	}
	clu_add_bool(o, "in_use", d->held || d->readers);
	clu_add_u64(o, "readers", d->readers);
	json_object_array_add(arg, o);
}

static int args_size(struct clu__volume_job *j, struct cm_err *err)
{
	int rc = px_req_u64(j->q, "size", 0, DISK_MIN_BYTES, DISK_MAX_BYTES, &j->size_bytes, err);

	if (rc == 0 && j->size_bytes == 0)
		rc = cm_err_set(err, CM_E_USAGE, "%s needs a size (as 10G)", j->q->msg->verb);
	return rc;
}

/* "disk" of the answer. */
static void show_disk(struct clu__volume_job *j, struct stor_volume *vol, const char *name)
{
	struct stor_disk_info d;
	struct json_object *list;

	if (stor_volume_disk_info(vol, name, &d, &j->err))
		return;
	list = json_object_new_array();
	clu__disk_row(&d, list);
	json_object_object_add(j->doc, "disk", json_object_get(json_object_array_get_idx(list, 0)));
	json_object_put(list);
}

/* --- inspect ------------------------------------------------------------------- */

static void work_inspect(struct clu__volume_job *j, struct stor_volume *vol)
{
	show_disk(j, vol, j->disk);
}

void clu_verb_disk_inspect(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb inspect = {.work = work_inspect};

	clu__volume_job(q, agent, &inspect);
}

/* --- create -------------------------------------------------------------------- */

static int args_create(struct clu__volume_job *j, struct cm_err *err)
{
	j->thick = px_req_flag(j->q, "thick");
	return args_size(j, err);
}

static void work_create(struct clu__volume_job *j, struct stor_volume *vol)
{
	if (stor_volume_disk_create(vol, j->disk, j->size_bytes, j->thick, &j->err) == 0)
		show_disk(j, vol, j->disk);
}

void clu_verb_disk_create(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb create = {.args = args_create, .work = work_create};

	clu__volume_job(q, agent, &create);
}

/* --- resize -------------------------------------------------------------------- */

static void work_resize(struct clu__volume_job *j, struct stor_volume *vol)
{
	if (stor_volume_disk_resize(vol, j->disk, j->size_bytes, &j->err) == 0)
		show_disk(j, vol, j->disk);
}

static void resize_told(struct json_object *vms, void *arg)
{
	struct clu__volume_job *j = arg;

	json_object_object_add(j->doc, "vms", vms);
	clu__volume_job_end(j);
}

static void resize_done(struct clu__volume_job *j)
{
	char name[2 * STOR_DISK_NAME];

	snprintf(name, sizeof name, "%s/%s", j->volume, j->disk);
	clu__disk_grown(j->agent, name, resize_told, j);
}

void clu_verb_disk_resize(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb resize = {
		.args = args_size, .work = work_resize, .done = resize_done};

	clu__volume_job(q, agent, &resize);
}

/* --- rename -------------------------------------------------------------------- */

static int args_rename(struct clu__volume_job *j, struct cm_err *err)
{
	if (!px_req_arg(j->q, "to"))
		return cm_err_set(err, CM_E_USAGE, "disk-rename needs the new name");
	return clu__volume_job_to(j, "to", err);
}

static void work_rename(struct clu__volume_job *j, struct stor_volume *vol)
{
	if (stor_volume_disk_rename(vol, j->disk, j->to, &j->err) == 0)
		show_disk(j, vol, j->to);
}

void clu_verb_disk_rename(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb rename = {.args = args_rename, .work = work_rename};

	clu__volume_job(q, agent, &rename);
}

/* --- delete -------------------------------------------------------------------- */

static void work_delete(struct clu__volume_job *j, struct stor_volume *vol)
{
	(void)!stor_volume_disk_delete(vol, j->disk, &j->err); /* its words are in err */
}

void clu_verb_disk_delete(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb delete = {.work = work_delete};

	clu__volume_job(q, agent, &delete);
}

/* --- release -------------------------------------------------------------------- */

static int args_release(struct clu__volume_job *j, struct cm_err *err)
{
	(void)err;
	j->sure = px_req_flag(j->q, "sure");
	return 0;
}

static void work_release(struct clu__volume_job *j, struct stor_volume *vol)
{
	if (stor_volume_disk_unclaim(vol, j->disk, j->sure, &j->err) == 0)
		show_disk(j, vol, j->disk);
}

static void release_done(struct clu__volume_job *j)
{
	clu_event(j->agent->events, j->sure ? CLU_WARNING : CLU_NOTICE, "disk-released", NULL, NULL,
		  "the claim on disk %s/%s was cleared%s", j->volume, j->disk,
		  j->sure ? " by an operator who is sure that its VM does not run" : "");
	clu__volume_job_end(j);
}

void clu_verb_disk_release(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb release = {
		.args = args_release, .work = work_release, .done = release_done};

	clu__volume_job(q, agent, &release);
}
