/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_register.c - what a volume tells of its VMs by their copies (vm/clu_copy.h): `volume
 * vms`, `volume attach`, and `register` (a new cluster on an old SAN). Parses copies through
 * vm/clu_vmconf.c: a volume's bytes are checked as an operator's are.
 */
#include "config.h"

#include "cluster/verb/clu_verb_register.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_member.h"
#include "cluster/vm/clu_define.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_volwork.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/volume/stor_volume.h"

/* --- what a volume has ------------------------------------------------------ */

struct look {
	struct clu_agent *agent;
	struct px_req *q;
	char volume[64], name[64], url[1024];
	struct json_object *doc, *vms;
	/* register: the copy that was asked for */
	char *text;
	size_t bytes;
};

static void look_free(void *arg)
{
	struct look *k = arg;

	json_object_put(k->doc);
	free(k->text);
	free(k);
}

static struct json_object *row_of(struct look *k, const char *uuid)
{
	struct json_object *row, *v;

	for (size_t i = 0; i < json_object_array_length(k->vms); i++) {
		row = json_object_array_get_idx(k->vms, i);
		if (json_object_object_get_ex(row, "uuid", &v) &&
		    strcmp(json_object_get_string(v), uuid) == 0)
			return row;
	}
	row = json_object_new_object();
	clu_add_str(row, "name", "");
	clu_add_str(row, "uuid", uuid);
	clu_add_str(row, "state", "stopped");
	clu_add_str(row, "owner", "");
	json_object_array_add(k->vms, row);
	return row;
}

static void look_block(const struct stor_block *b, uint64_t offset_bytes, void *arg)
{
	char uuid[STOR_UUID_TEXT];
	struct json_object *row;

	(void)offset_bytes;
	stor_uuid_format(&b->vm, uuid);
	row = row_of(arg, uuid);
	clu_add_u64(row, "epoch", b->epoch);
	if (b->state != STOR_BLOCK_RUNNING)
		return;
	clu_add_str(row, "state", "owned");
	clu_add_str(row, "owner", b->owner.node);
}

static void look_config(const struct stor_uuid *vm, const char *name, const char *text, size_t n,
			void *arg)
{
	char uuid[STOR_UUID_TEXT];

	(void)text;
	(void)n;
	stor_uuid_format(vm, uuid);
	clu_add_str(row_of(arg, uuid), "name", name);
}

static void look_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct look *k = arg;
	struct stor_image_info info;
	struct json_object *row, *v;
	struct stor_uuid vm;
	int rc = stor_volume_each_vm(vol, look_block, k, err);

	rc = rc ? rc : stor_volume_each_config(vol, look_config, k, err);
	for (size_t i = 0; rc == 0 && i < json_object_array_length(k->vms); i++) {
		row = json_object_array_get_idx(k->vms, i);
		json_object_object_get_ex(row, "uuid", &v);
		if (stor_uuid_parse(json_object_get_string(v), &vm) < 0 ||
		    stor_volume_image_find(vol, &vm, &info, NULL) < 0 || !info.sealed)
			continue;
		clu_add_str(row, "state", "saved");
		clu_add_u64(row, "saved_bytes", info.allocated_bytes);
	}
	if (rc)
		cm_err_set(err, rc, "the VMs of volume %s cannot be listed", k->volume);
}

static void look_done(const struct cm_err *err, void *arg)
{
	struct look *k = arg;

	if (err->code) {
		px_req_fail(k->q, err);
	} else {
		clu_answer(k->q, k->doc);
		k->doc = NULL;
	}
	look_free(k);
}

static struct look *look_new(struct clu_agent *a, struct px_req *q)
{
	struct look *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	k->agent = a;
	k->q = q;
	k->doc = json_object_new_object();
	return k;
}

void clu_verb_volume_vms(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct look *k = look_new(a, q);
	const char *volume = px_req_arg(q, "volume");
	struct cm_err err = CM_ERR_INIT;

	snprintf(k->volume, sizeof k->volume, "%s", volume ? volume : "");
	k->vms = json_object_new_array();
	clu_add_str(k->doc, "volume", k->volume);
	json_object_object_add(k->doc, "vms", k->vms);
	if (clu_store_volume(a, k->volume, k->url, sizeof k->url, &err)) {
		px_req_fail(q, &err);
		look_free(k);
		return;
	}
	clu_volwork(a, k->url, look_work, look_done, k);
}

/* --- attach ----------------------------------------------------------------- */

static void attached(int code, const struct cm_err *err, void *arg)
{
	struct look *k = arg;

	if (code) {
		px_req_fail(k->q, err);
	} else {
		clu_event(k->agent->events, CLU_NOTICE, "volume-attached", NULL, NULL,
			  "volume %s on %s", k->volume, k->url);
		clu_answer(k->q, k->doc);
		k->doc = NULL;
	}
	look_free(k);
}

static void attach_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct look *k = arg;
	struct stor_volume_info in;
	char url[sizeof k->url];
	int rc = stor_volume_info(vol, &in, err);

	if (rc) {
		cm_err_set(err, rc, "%s", cm_err_text(rc));
	} else if (strcmp(in.name, k->volume) != 0) {
		/* VMs name their disks VOLUME/DISK: under another name they would not find them. */
		cm_err_set(err, CM_E_BAD_VALUE,
			   "the volume on %s is called %s: hvctl volume attach %s %s", k->url,
			   in.name, in.name, k->url);
	} else if (stor_url_bind(k->url, &in.id, stor_dev_lun(stor_volume_dev(vol)), url, sizeof url, err) == 0) {
		memcpy(k->url, url, sizeof url); /* from now on it says which volume it is */
		clu_add_str(k->doc, "name", in.name);
		clu_add_str(k->doc, "url", k->url);
		clu_add_u64(k->doc, "extent_bytes", in.extent_bytes);
		clu_add_u64(k->doc, "size_bytes", in.extents * in.extent_bytes);
		clu_add_u64(k->doc, "free_bytes", in.extents_free * in.extent_bytes);
		clu_add_u64(k->doc, "vms", in.vms);
	}
}

static void attach_done(const struct cm_err *err, void *arg)
{
	struct look *k = arg;

	if (err->code) {
		px_req_fail(k->q, err);
		look_free(k);
		return;
	}
	clu_store_set_volume(k->agent, k->volume, k->url, attached, k);
}

void clu_verb_volume_attach(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct look *k = look_new(a, q);
	const char *volume = px_req_arg(q, "volume"), *url = px_req_arg(q, "url");
	struct cm_err err = CM_ERR_INIT;
	struct stor_url u;
	char known[1024];

	if (!volume || !url || !stor_name_valid(volume))
		cm_err_set(&err, CM_E_USAGE, "volume attach needs the volume's name and its URL");
	else if (clu_member_need_quorum(a, &err) == 0 && stor_url_parse(url, &u, &err) == 0 &&
		 (u.kind == STOR_URL_VOLUME || u.disk[0]))
		cm_err_set(&err, CM_E_BAD_URL, "a volume lies on a whole file or LUN, not on '%s'",
			   url);
	else if (!err.code && clu_store_volume(a, volume, known, sizeof known, NULL) == 0)
		cm_err_set(&err, CM_E_DISK_EXISTS, "a volume '%s' is known already (%s)", volume,
			   known);
	if (err.code) {
		px_req_fail(q, &err);
		look_free(k);
		return;
	}
	snprintf(k->volume, sizeof k->volume, "%s", volume);
	snprintf(k->url, sizeof k->url, "%s", url);
	clu_volwork(a, k->url, attach_work, attach_done, k);
}

/* --- register --------------------------------------------------------------- */

static void register_found(const struct stor_uuid *vm, const char *name, const char *text, size_t n,
			   void *arg)
{
	struct look *k = arg;
	char uuid[STOR_UUID_TEXT];

	stor_uuid_format(vm, uuid);
	if (k->text || !text || (strcmp(name, k->name) != 0 && strcmp(uuid, k->name) != 0))
		return;
	k->text = malloc(n + 1);
	CM_ASSERT(k->text);
	memcpy(k->text, text, n);
	k->text[n] = '\0';
	k->bytes = n;
	snprintf(k->name, sizeof k->name, "%s", name);
}

static void register_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct look *k = arg;
	int rc = stor_volume_each_config(vol, register_found, k, err);

	if (rc == 0 && !k->text)
		cm_err_set(err, CM_E_NO_VM, "volume %s has no VM '%s' (hvctl volume vms %s)",
			   k->volume, k->name, k->volume);
}

struct same {
	const Hv__VmConfig *config;
	const char *name; /* of the VM that has the same UUID */
	char found[64];
};

static void same_uuid(const Hv__VmConfig *c, void *arg)
{
	struct same *s = arg;

	if (strcmp(c->uuid, s->config->uuid) == 0)
		snprintf(s->found, sizeof s->found, "%s", c->name);
}

static void register_done(const struct cm_err *work_err, void *arg)
{
	struct look *k = arg;
	struct clu_agent *a = k->agent;
	struct cm_err err = *work_err;
	Hv__VmConfig *c = NULL;
	struct same s = {0};

	if (!err.code && clu_store_from_text(k->name, k->text, k->bytes, &c, &err) == 0) {
		s.config = c;
		clu_store_each_config(a, same_uuid, &s);
		if (s.found[0])
			cm_err_set(&err, CM_E_VM_EXISTS,
				   "VM %s is registered already as '%s' (same UUID)", k->name,
				   s.found);
		else
			(void)clu_define_check(a, c, &err);
	}
	if (err.code)
		px_req_fail(k->q, &err);
	else
		clu_define_vm(a, k->q, c, false, false);
	if (c)
		hv__vm_config__free_unpacked(c, NULL);
	look_free(k);
}

void clu_verb_register(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct look *k = look_new(a, q);
	const char *what = px_req_arg(q, "disk");
	struct cm_err err = CM_ERR_INIT;
	struct stor_url u;

	if (clu_member_need_quorum(a, &err) == 0 &&
	    (!what || stor_url_parse(what, &u, NULL) || u.kind != STOR_URL_VOLUME))
		cm_err_set(&err, CM_E_USAGE, "register needs VOLUME/VM");
	if (!err.code) {
		snprintf(k->volume, sizeof k->volume, "%s", u.volume);
		snprintf(k->name, sizeof k->name, "%s", u.disk);
		(void)clu_store_volume(a, k->volume, k->url, sizeof k->url, &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
		look_free(k);
		return;
	}
	clu_volwork(a, k->url, register_work, register_done, k);
}
