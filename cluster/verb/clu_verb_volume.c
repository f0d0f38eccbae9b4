/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_volume.c - volumes: a row for each verb, and what it does (clu_volume_job.h has the way
 * there).
 *
 * Parses arguments of operators.
 */
#include "config.h"

#include "cluster/verb/clu_verb_volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/verb/clu_verb_disk.h"
#include "cluster/verb/clu_volume_job.h"
#include "cluster/vm/clu_probe.h"
#include "cluster/vm/clu_store.h"
#include "sharedstorage/volume/stor_volume.h"

static void add_complaint(const char *text, void *arg)
{
	json_object_array_add(arg, json_object_new_string(text));
}

/* --- list, forget ---------------------------------------------------------- */

static void list_volume(const char *name, const char *url, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "name", name);
	clu_add_str(o, "url", url);
	json_object_array_add(arg, o);
}

void clu_verb_volume_list(struct px_req *q, void *agent)
{
	struct json_object *doc = json_object_new_object(), *list = json_object_new_array();

	clu_store_each_volume(agent, list_volume, list);
	json_object_object_add(doc, "volumes", list);
	clu_answer(q, doc);
}

static void begin_forget(struct clu__volume_job *j)
{
	clu_store_set_volume(j->agent, j->volume, NULL, clu__volume_job_stored, j);
}

void clu_verb_volume_forget(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb forget = {.begin = begin_forget};

	clu__volume_job(q, agent, &forget);
}

/* --- show, grow, dump ------------------------------------------------------ */

static void work_info(struct clu__volume_job *j, struct stor_volume *vol)
{
	struct stor_volume_info in;
	struct json_object *disks;
	int rc;

	if (stor_volume_info(vol, &in, &j->err))
		return;
	clu_add_str(j->doc, "name", j->volume);
	clu_add_str(j->doc, "url", j->url);
	clu_add_u64(j->doc, "extent_bytes", in.extent_bytes);
	clu_add_u64(j->doc, "size_bytes", in.extents * in.extent_bytes);
	clu_add_u64(j->doc, "free_bytes", in.extents_free * in.extent_bytes);
	clu_add_u64(j->doc, "vms", in.vms);
	clu_add_u64(j->doc, "saved_states", in.images);
	clu_add_u64(j->doc, "hosts", in.hosts);
	clu_add_u64(j->doc, "grows_to_bytes", in.extents_max * in.extent_bytes);
	clu_add_bool(j->doc, "native_compare_and_write", stor_dev_info(j->dev)->native_caw);
	disks = json_object_new_array();
	json_object_object_add(j->doc, "disks", disks);
	rc = stor_volume_each_disk(vol, clu__disk_row, disks, &j->err);
	if (rc)
		cm_err_set(&j->err, rc, "the disks of volume %s cannot be listed", j->volume);
}

void clu_verb_volume_show(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb show = {.work = work_info};

	clu__volume_job(q, agent, &show);
}

static void work_grow(struct clu__volume_job *j, struct stor_volume *vol)
{
	uint64_t extents;

	if (stor_volume_grow(vol, &extents, &j->err) == 0)
		work_info(j, vol);
}

void clu_verb_volume_grow(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb grow = {.work = work_grow};

	clu__volume_job(q, agent, &grow);
}

static int args_dump(struct clu__volume_job *j, struct cm_err *err)
{
	return clu__volume_job_to(j, "what", err);
}

static void work_dump(struct clu__volume_job *j, struct stor_volume *vol)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	CM_ASSERT(f);
	(void)!stor_volume_dump(vol, j->to, f, &j->err); /* its words are in err */
	fclose(f);
	clu_add_str(j->doc, "dump", text);
	free(text);
}

void clu_verb_volume_dump(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb dump = {.args = args_dump, .work = work_dump};

	clu__volume_job(q, agent, &dump);
}

/* --- check -------------------------------------------------------------------- */

static int args_check(struct clu__volume_job *j, struct cm_err *err)
{
	(void)err;
	j->repair = px_req_flag(j->q, "repair");
	return 0;
}

/* What the target can do is part of a check; the structures are looked at in any case. */
static void check_tested(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct json_object *o = json_object_new_object();
	struct clu__volume_job *j = arg;

	clu_add_bool(o, "ok", r && r->safe);
	if (!r || !r->safe)
		snprintf(j->unfit, sizeof j->unfit, "self-test: %.300s",
			 r ? r->refused : err->text);
	if (r) {
		clu_add_str(o, "mode", r->mode);
		clu_add_str(o, "leaks", r->leaky);
		clu_add_str(o, "refused", r->refused);
	} else {
		clu_add_str(o, "error", err->text);
	}
	json_object_object_add(j->doc, "self_test", o);
	clu__volume_job_open(j);
}

static void begin_check(struct clu__volume_job *j)
{
	clu_probe_url(j->agent, j->url, STOR_PROBE_VOLUME, check_tested, j);
}

static void work_check(struct clu__volume_job *j, struct stor_volume *vol)
{
	struct json_object *complaints = json_object_new_array();
	struct stor_volume_report r;

	json_object_object_add(j->doc, "complaints", complaints);
	if (j->unfit[0])
		add_complaint(j->unfit, complaints);
	if (stor_volume_check(vol, j->repair, add_complaint, complaints, &r, &j->err))
		return;
	clu_add_u64(j->doc, "leaked_extents", r.leaked_extents);
	clu_add_u64(j->doc, "repaired_extents", r.repaired_extents);
	clu_add_u64(j->doc, "doubly_used_extents", r.doubly_used_extents);
	clu_add_u64(j->doc, "bad_structures", r.bad_structures);
	clu_add_u64(j->doc, "unfinished", r.unfinished);
}

void clu_verb_volume_check(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb check = {
		.args = args_check, .begin = begin_check, .work = work_check};

	clu__volume_job(q, agent, &check);
}

/* --- create -------------------------------------------------------------------- */

static int args_create(struct clu__volume_job *j, struct cm_err *err)
{
	j->exclusive = !px_req_flag(j->q, "force");
	return px_req_u64(j->q, "extent", 0, 1u << 20, 1u << 30, &j->extent_bytes, err);
}

/* A target that cannot keep a shut-out host from the disks must not carry HA VMs: say so before
 * formatting it. */
static void create_probed(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct clu__volume_job *j = arg;

	if (!r)
		cm_err_set(&j->err, err->code, "%s", err->text);
	else if (!r->safe)
		cm_err_set(&j->err, CM_E_SAN_UNSAFE, "%s", r->refused);
	if (j->err.code) {
		clu__volume_job_end(j);
		return;
	}
	clu_add_str(j->doc, "protection", r->mode);
	clu__volume_job_open(j);
}

static void begin_create(struct clu__volume_job *j)
{
	clu_probe_url(j->agent, j->url, j->exclusive ? STOR_PROBE_ALONE : 0, create_probed, j);
}

static int format_create(struct clu__volume_job *j)
{
	return stor_volume_format(j->dev, j->volume, j->extent_bytes, &j->err);
}

/* A new volume is announced to the cluster after it was made. */
static void create_done(struct clu__volume_job *j)
{
	clu_event(j->agent->events, CLU_NOTICE, "volume-created", NULL, NULL, "volume %s on %s",
		  j->volume, j->url);
	clu_store_set_volume(j->agent, j->volume, j->url, clu__volume_job_stored, j);
}

void clu_verb_volume_create(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb create = {.makes = true,
						       .args = args_create,
						       .begin = begin_create,
						       .format = format_create,
						       .work = work_info,
						       .done = create_done};

	clu__volume_job(q, agent, &create);
}
