/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_copy.c - the copies of VM definitions that lie on the volume of each VM's ownership
 * block: written by create and register, dropped by delete. Parses what the volume's metadata says.
 */
#include "config.h"

#include "cluster/vm/clu_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_volwork.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volume.h"

#define COPY_MAX (64u << 10)

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
		rc = stor_volume_image_discard(vol, &k->uuid, err);
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
		       clu_volwork_fn work, clu_pcmk_done_fn done, void *arg)
{
	char url[1024];

	k->agent = a;
	k->done = done;
	k->arg = arg;
	snprintf(k->vm, sizeof k->vm, "%s", c->name);
	snprintf(k->volume, sizeof k->volume, "%s", stor_name_valid(c->lease) ? c->lease : "");
	if (stor_uuid_parse(c->uuid, &k->uuid) < 0)
		cm_err_set(&k->err, CM_E_BAD_VALUE, "'%s' is no UUID", c->uuid);
	if (k->err.code || clu_volwork_vm_url(a, c, url, sizeof url, &k->err) || !url[0])
		cm_loop_defer(a->loop, copy_over, k);
	else
		clu_volwork(a, url, work, copy_done, k);
}

void clu_copy_put(struct clu_agent *a, const Hv__VmConfig *c, clu_pcmk_done_fn done, void *arg)
{
	struct copy *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	cm_buf_init(&k->text, COPY_MAX);
	(void)clu_store_text(c, &k->text, &k->err);
	copy_start(a, k, c, put_work, done, arg);
}

void clu_copy_drop(struct clu_agent *a, const Hv__VmConfig *c, bool force, clu_pcmk_done_fn done,
		   void *arg)
{
	struct copy *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	cm_buf_init(&k->text, COPY_MAX);
	k->force = force;
	copy_start(a, k, c, drop_work, done, arg);
}
