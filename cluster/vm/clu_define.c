/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_define.c - defining a VM: may it be, and then its copy on the volume and its entry in the
 * store. Parses nothing: the configuration was checked already.
 */
#include "config.h"

#include "cluster/vm/clu_define.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_copy.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_log.h"

/* --- may it be -------------------------------------------------------------- */

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
	if (clu_store_resolve(s->agent, o, NULL) == 0)
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

static int define_check_disks(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err)
{
	struct cm_err local = CM_ERR_INIT;
	Hv__VmConfig *resolved = clu_vmconf_dup(c);
	struct shared s = {.agent = a, .config = resolved, .err = &local};

	if (clu_store_resolve(a, resolved, &local) == 0)
		clu_store_each_config(a, shared_with, &s);
	hv__vm_config__free_unpacked(resolved, NULL);
	return local.code ? cm_err_set(err, local.code, "%s", local.text) : 0;
}

int clu_define_check(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	Hv__VmConfig *other, *resolved;
	int rc;

	if (clu_store_vm(a, c->name, &other, NULL) == 0) {
		hv__vm_config__free_unpacked(other, NULL);
		return cm_err_set(err, CM_E_VM_EXISTS, "a VM '%s' exists already", c->name);
	}
	if (pic && (!pic->stonith_enabled || pic->fence_devices == 0))
		return cm_err_set(err, CM_E_NO_FENCING,
				  "this cluster has no working fencing (stonith-enabled %s, %u "
				  "fence devices): a VM could not be started again safely after "
				  "the loss of its node",
				  pic->stonith_enabled ? "true" : "false", pic->fence_devices);
	/* Every volume that it names must be known. */
	resolved = clu_vmconf_dup(c);
	rc = clu_store_resolve(a, resolved, err);
	hv__vm_config__free_unpacked(resolved, NULL);
	return rc ? rc : define_check_disks(a, c, err);
}

/* --- parameters of a resource ----------------------------------------------- */

struct params {
	struct clu_pcmk_param p[CLU_PCMK_PARAMS];
	size_t n;
};

static void params_add(const char *name, const char *value, void *arg)
{
	struct params *ps = arg;

	if (ps->n == CLU_PCMK_PARAMS)
		return;
	ps->p[ps->n].name = strdup(name);
	ps->p[ps->n].value = strdup(value);
	CM_ASSERT(ps->p[ps->n].name && ps->p[ps->n].value);
	ps->n++;
}

static void params_free(struct params *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->p[i].name);
		free(ps->p[i].value);
	}
}

/* --- copy, then entry ------------------------------------------------------- */

/* The copy on the volume comes first: a VM that is defined has one, and could not start without
 * its volume anyway. */
struct define {
	struct clu_agent *agent;
	struct px_req *q;
	Hv__VmConfig *config;
	bool start, new_copy;
	struct cm_err err;
};

static void define_end(struct define *k)
{
	struct json_object *o;

	if (k->err.code) {
		px_req_fail(k->q, &k->err);
	} else {
		clu_event(k->agent->events, CLU_NOTICE, "vm-created", k->config->name, NULL,
			  "created");
		o = json_object_new_object();
		clu_add_str(o, "name", k->config->name);
		clu_add_str(o, "uuid", k->config->uuid);
		clu_answer(k->q, o);
	}
	hv__vm_config__free_unpacked(k->config, NULL);
	free(k);
}

static void define_dropped(int code, const struct cm_err *err, void *arg)
{
	if (code)
		cm_warning("the copy of a VM that could not be defined: %s", err->text);
	define_end(arg);
}

static void define_done(int code, const struct cm_err *err, void *arg)
{
	struct define *k = arg;

	if (code)
		k->err = *err;
	if (code && k->new_copy)
		clu_copy_drop(k->agent, k->config, false, define_dropped, k);
	else
		define_end(k);
}

static void define_copied(int code, const struct cm_err *err, void *arg)
{
	struct define *k = arg;
	struct clu_agent *a = k->agent;
	struct cm_err local = CM_ERR_INIT;
	struct params ps = {.n = 0};

	if (code) {
		k->err = *err;
		define_end(k);
	} else if (!a->pcmk) {
		code = clu_store_save_vm(a, k->config, &local);
		define_done(code, &local, k);
	} else {
		clu_vmconf_each(k->config, params_add, &ps);
		clu_pcmk_vm_create(a->pcmk, k->config->name, ps.p, ps.n, k->start, define_done, k);
		params_free(&ps);
	}
}

void clu_define_vm(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, bool start,
		   bool new_copy)
{
	struct define *k = calloc(1, sizeof *k);

	CM_ASSERT(k);
	*k = (struct define){.agent = a,
			     .q = q,
			     .config = clu_vmconf_dup(c),
			     .start = start,
			     .new_copy = new_copy};
	clu_copy_put(a, c, define_copied, k);
}
