/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_volume.c - volumes: a row for each verb, and what it does (clu_volume_job.h has the way
 * there; clu_volume_make.c makes one).
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

void clu__volume_info(struct clu__volume_job *j, struct stor_volume *vol)
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
	static const struct clu__volume_verb show = {.work = clu__volume_info};

	clu__volume_job(q, agent, &show);
}

static void work_grow(struct clu__volume_job *j, struct stor_volume *vol)
{
	uint64_t extents;

	if (stor_volume_grow(vol, &extents, &j->err) == 0)
		clu__volume_info(j, vol);
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
