/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_disk_grown.c - a disk grew on its volume: every VM that has it and runs, here or on another
 * node, is told (verb disk-resized of its hvcore), so that its guest sees the new size at once.
 * Parses nothing.
 */
#include "config.h"

#include "cluster/verb/clu_disk_grown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_where.h"

#define GROWN_ASK_MS 10000u

struct grown {
	struct clu_agent *agent;
	const char *disk;	 /* VOLUME/DISK, while we look */
	struct json_object *vms; /* the answer */
	unsigned waiting;
	clu__grown_fn done;
	void *arg;
};

/* One VM that is being asked. */
struct told {
	struct grown *g;
	char vm[64], node[64];
};

static void grown_end(struct grown *g)
{
	if (--g->waiting)
		return;
	g->done(g->vms, g->arg);
	free(g);
}

static void grown_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct told *t = arg;
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "vm", t->vm);
	clu_add_str(o, "node", t->node);
	clu_add_bool(o, "told", r && r->code == 0);
	if (!r || r->code)
		clu_add_str(o, "why", err->text);
	json_object_array_add(t->g->vms, o);
	grown_end(t->g);
	free(t);
}

static void grown_ask(struct grown *g, const char *vm, const char *node)
{
	struct clu_agent *a = g->agent;
	struct told *t = calloc(1, sizeof *t);
	struct cm_err err = CM_ERR_INIT;
	struct px_client *core;
	struct px_ask ask;

	CM_ASSERT(t);
	t->g = g;
	snprintf(t->vm, sizeof t->vm, "%s", vm);
	snprintf(t->node, sizeof t->node, "%s", node);
	px_ask_init(&ask, "disk-resized", t->vm);
	g->waiting++;
	if (strcmp(node, a->node) != 0 && a->peers) {
		clu_peers_call(a->peers, node, &ask.req, GROWN_ASK_MS, grown_answer, t);
		return;
	}
	core = clu_vm_core(clu_super_find(a->super, vm), &err);
	if (core)
		px_client_call(core, &ask.req, GROWN_ASK_MS, grown_answer, t);
	else
		grown_answer(NULL, &err, t);
}

static void grown_look(const Hv__VmConfig *c, void *arg)
{
	struct grown *g = arg;
	const char *node = clu_where_node(g->agent, c->name);

	for (size_t i = 0; i < c->n_disks && *node; i++)
		if (strcmp(c->disks[i]->url, g->disk) == 0) {
			grown_ask(g, c->name, node);
			return;
		}
}

void clu__disk_grown(struct clu_agent *a, const char *disk, clu__grown_fn done, void *arg)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	struct grown *g = calloc(1, sizeof *g);

	CM_ASSERT(g);
	*g = (struct grown){.agent = a,
			    .disk = disk,
			    .vms = json_object_new_array(),
			    .waiting = 1,
			    .done = done,
			    .arg = arg};
	if (!a->pcmk)
		clu_store_each_vm(a, grown_look, g);
	for (size_t i = 0; pic && i < pic->n_vms; i++) {
		Hv__VmConfig *c;

		if (clu_store_vm(a, pic->vms[i].name, &c, NULL))
			continue;
		grown_look(c, g);
		hv__vm_config__free_unpacked(c, NULL);
	}
	grown_end(g);
}
