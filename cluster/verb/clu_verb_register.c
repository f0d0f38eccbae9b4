/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_register.c - the copies of VM configurations that lie on the volume of each VM's ownership
 * block, so that a volume tells by itself what runs on it: written by create, dropped by delete,
 * read by `volume vms` and `register` (a new cluster on an old SAN). Parses copies through
 * clu_vmconf.c: a volume's bytes are checked as an operator's are.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "common/cm_buf.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/volume/stor_volume.h"

#define COPY_MAX (64u << 10)

/* --- put and drop
 * -----------------------------------------------------------------------------------------------
 */

struct copy {
	struct clu_agent *agent;
	char vm[64], volume[64];
	struct stor_uuid uuid;
	struct cm_buf text;
	bool force, ignored;
	clu_pcmk_done_fn done;
	void *arg;
	struct cm_err err;
};

static void copy_over(void *arg)
{
	struct copy *k = arg;

	k->done(k->err.code, &k->err, k->arg);
	cm_buf_fini(&k->text);
	free(k);
}

static void copy_done(const struct cm_err *err, void *arg)
{
	struct copy *k = arg;

	if (err->code && k->force) {
		cm_warning("vm=%s: what is on volume %s stays there: %s", k->vm, k->volume,
			   err->text);
	} else if (err->code) {
		k->err = *err;
		if (err->code != CM_E_VM_STATE)
			cm_err_prefix(&k->err, "volume %s", k->volume);
	}
	copy_over(k);
}

static void put_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct copy *k = arg;
	int rc = stor_volume_config_put(vol, &k->uuid, k->vm, (const char *)k->text.data,
					k->text.len, err);

	if (rc < 0)
		cm_err_set(err, rc, "%s", cm_err_text(rc));
	cm_err_prefix(err, "the copy of the configuration");
}

static void drop_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct copy *k = arg;
	struct cm_err local = CM_ERR_INIT;
	struct stor_image_info info;
	int rc = stor_volume_image_find(vol, &k->uuid, &info, err);

	if (rc == 0 && info.sealed && !k->force) {
		cm_err_set(err, CM_E_VM_STATE,
			   "VM %s is saved: hvctl start goes on from there, hvctl delete --force "
			   "discards its state, too",
			   k->vm);
		return;
	}
	if (rc == 0)
		rc = stor_volume_image_drop(vol, &k->uuid, err);
	if (rc == 0 || rc == CM_E_NO_DISK) {
		cm_err_clear(err);
		rc = stor_volume_config_drop(vol, &k->uuid, err);
	}
	if (rc == CM_E_NO_VM) { /* defined before volumes had copies */
		cm_err_clear(err);
		rc = 0;
	}
	/* Not ours to insist on: a VM that never started has none. */
	if (rc == 0 && stor_volume_vm_forget(vol, &k->uuid, &local) < 0)
		cm_debug("vm=%s: %s", k->vm, local.text);
}

static void copy_start(struct clu_agent *a, struct copy *k, const Hv__VmConfig *c,
		       clu__volwork_fn work, clu_pcmk_done_fn done, void *arg)
{
	char url[1024];

	k->agent = a;
	k->done = done;
	k->arg = arg;
	snprintf(k->vm, sizeof k->vm, "%s", c->name);
	snprintf(k->volume, sizeof k->volume, "%s", stor_name_valid(c->lease) ? c->lease : "");
	if (stor_uuid_parse(c->uuid, &k->uuid) < 0)
		cm_err_set(&k->err, CM_E_BAD_VALUE, "'%s' is no UUID", c->uuid);
	if (k->err.code || clu__volwork_vm_url(a, c, url, sizeof url, &k->err) || !url[0])
		cm_loop_defer(a->loop, copy_over, k);
	else
		clu__volwork(a, url, work, copy_done, k);
}

void clu__register_put(struct clu_agent *a, const Hv__VmConfig *c, clu_pcmk_done_fn done, void *arg)
{
	struct copy *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	cm_buf_init(&k->text, COPY_MAX);
	(void)clu__store_text(c, &k->text, &k->err);
	copy_start(a, k, c, put_work, done, arg);
}

void clu__register_drop(struct clu_agent *a, const Hv__VmConfig *c, bool force,
			clu_pcmk_done_fn done, void *arg)
{
	struct copy *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	cm_buf_init(&k->text, COPY_MAX);
	k->force = force;
	copy_start(a, k, c, drop_work, done, arg);
}

/* --- one disk, one VM
 * -------------------------------------------------------------------------------------------- */

struct shared {
	struct clu_agent *agent;
	const Hv__VmConfig *config; /* resolved */
	struct cm_err *err;
};

static void shared_with(const Hv__VmConfig *other, void *arg)
{
	struct shared *s = arg;
	Hv__VmConfig *o;

	if (s->err->code || strcmp(other->uuid, s->config->uuid) == 0)
		return;
	o = clu_vmconf_dup(other);
	if (clu__store_resolve(s->agent, o, NULL) == 0)
		for (size_t i = 0; i < s->config->n_disks; i++)
			for (size_t j = 0; j < o->n_disks; j++)
				if (strcmp(s->config->disks[i]->url, o->disks[j]->url) == 0 &&
				    !(s->config->disks[i]->readonly && o->disks[j]->readonly))
					cm_err_set(s->err, CM_E_DISK_BUSY,
						   "disk %s is a disk of VM %s: two VMs may share "
						   "a disk only if both read it only",
						   other->disks[j]->url, other->name);
	hv__vm_config__free_unpacked(o, NULL);
}

int clu__register_check_disks(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err)
{
	struct cm_err local = CM_ERR_INIT;
	Hv__VmConfig *resolved = clu_vmconf_dup(c);
	struct shared s = {.agent = a, .config = resolved, .err = &local};

	if (clu__store_resolve(a, resolved, &local) == 0)
		clu__store_each_config(a, shared_with, &s);
	hv__vm_config__free_unpacked(resolved, NULL);
	return local.code ? cm_err_set(err, local.code, "%s", local.text) : 0;
}

/* --- what a volume has
 * --------------------------------------------------------------------------------------------- */

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
	clu__add_str(row, "name", "");
	clu__add_str(row, "uuid", uuid);
	clu__add_str(row, "state", "stopped");
	clu__add_str(row, "owner", "");
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
	clu__add_u64(row, "epoch", b->epoch);
	if (b->state != STOR_BLOCK_RUNNING)
		return;
	clu__add_str(row, "state", "owned");
	clu__add_str(row, "owner", b->owner.node);
}

static void look_config(const struct stor_uuid *vm, const char *name, const char *text, size_t n,
			void *arg)
{
	char uuid[STOR_UUID_TEXT];

	(void)text;
	(void)n;
	stor_uuid_format(vm, uuid);
	clu__add_str(row_of(arg, uuid), "name", name);
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
		clu__add_str(row, "state", "saved");
		clu__add_u64(row, "saved_bytes", info.allocated_bytes);
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
		clu__answer(k->q, k->doc);
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

void clu__verb_volume_vms(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct look *k = look_new(a, q);
	const char *volume = px_req_arg(q, "volume");
	struct cm_err err = CM_ERR_INIT;

	snprintf(k->volume, sizeof k->volume, "%s", volume ? volume : "");
	k->vms = json_object_new_array();
	clu__add_str(k->doc, "volume", k->volume);
	json_object_object_add(k->doc, "vms", k->vms);
	if (clu__store_volume(a, k->volume, k->url, sizeof k->url, &err)) {
		px_req_fail(q, &err);
		look_free(k);
		return;
	}
	clu__volwork(a, k->url, look_work, look_done, k);
}

/* --- attach
 * --------------------------------------------------------------------------------------------------------
 */

static void attached(int code, const struct cm_err *err, void *arg)
{
	struct look *k = arg;

	if (code) {
		px_req_fail(k->q, err);
	} else {
		clu_event(k->agent->events, "notice", "volume-attached", NULL, NULL,
			  "volume %s on %s", k->volume, k->url);
		clu__answer(k->q, k->doc);
		k->doc = NULL;
	}
	look_free(k);
}

static void attach_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct look *k = arg;
	struct stor_volume_info in;
	int rc = stor_volume_info(vol, &in, err);

	if (rc) {
		cm_err_set(err, rc, "%s", cm_err_text(rc));
	} else if (strcmp(in.name, k->volume) != 0) {
		/* VMs name their disks VOLUME/DISK: under another name they would not find them. */
		cm_err_set(err, CM_E_BAD_VALUE,
			   "the volume on %s is called %s: hvctl volume attach %s %s", k->url,
			   in.name, in.name, k->url);
	} else {
		clu__add_str(k->doc, "name", in.name);
		clu__add_str(k->doc, "url", k->url);
		clu__add_u64(k->doc, "extent_bytes", in.extent_bytes);
		clu__add_u64(k->doc, "size_bytes", in.extents * in.extent_bytes);
		clu__add_u64(k->doc, "free_bytes", in.extents_free * in.extent_bytes);
		clu__add_u64(k->doc, "vms", in.vms);
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
	clu__store_set_volume(k->agent, k->volume, k->url, attached, k);
}

void clu__verb_volume_attach(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct look *k = look_new(a, q);
	const char *volume = px_req_arg(q, "volume"), *url = px_req_arg(q, "url");
	struct cm_err err = CM_ERR_INIT;
	struct stor_url u;
	char known[1024];

	if (!volume || !url || !stor_name_valid(volume))
		cm_err_set(&err, CM_E_USAGE, "volume attach needs the volume's name and its URL");
	else if (clu__agent_need_quorum(a, &err) == 0 && stor_url_parse(url, &u, &err) == 0 &&
		 (u.kind == STOR_URL_VOLUME || u.disk[0]))
		cm_err_set(&err, CM_E_BAD_URL, "a volume lies on a whole file or LUN, not on '%s'",
			   url);
	else if (!err.code && clu__store_volume(a, volume, known, sizeof known, NULL) == 0)
		cm_err_set(&err, CM_E_DISK_EXISTS, "a volume '%s' is known already (%s)", volume,
			   known);
	if (err.code) {
		px_req_fail(q, &err);
		look_free(k);
		return;
	}
	snprintf(k->volume, sizeof k->volume, "%s", volume);
	snprintf(k->url, sizeof k->url, "%s", url);
	clu__volwork(a, k->url, attach_work, attach_done, k);
}

/* --- register
 * -------------------------------------------------------------------------------------------------------
 */

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

	if (!err.code && clu__store_from_text(k->name, k->text, k->bytes, &c, &err) == 0) {
		s.config = c;
		clu__store_each_config(a, same_uuid, &s);
		if (s.found[0])
			cm_err_set(&err, CM_E_VM_EXISTS,
				   "VM %s is registered already as '%s' (same UUID)", k->name,
				   s.found);
		else
			(void)clu__create_check(a, c, &err);
	}
	if (err.code)
		px_req_fail(k->q, &err);
	else
		clu__create_vm(a, k->q, c, false);
	if (c)
		hv__vm_config__free_unpacked(c, NULL);
	look_free(k);
}

void clu__verb_register(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct look *k = look_new(a, q);
	const char *what = px_req_arg(q, "disk");
	struct cm_err err = CM_ERR_INIT;
	struct stor_url u;

	if (clu__agent_need_quorum(a, &err) == 0 &&
	    (!what || stor_url_parse(what, &u, NULL) || u.kind != STOR_URL_VOLUME))
		cm_err_set(&err, CM_E_USAGE, "register needs VOLUME/VM");
	if (!err.code) {
		snprintf(k->volume, sizeof k->volume, "%s", u.volume);
		snprintf(k->name, sizeof k->name, "%s", u.disk);
		(void)clu__store_volume(a, k->volume, k->url, sizeof k->url, &err);
	}
	if (err.code) {
		px_req_fail(q, &err);
		look_free(k);
		return;
	}
	clu__volwork(a, k->url, register_work, register_done, k);
}
