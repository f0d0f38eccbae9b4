/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_look.c - list, show and why: what an operator sees of VMs. Makes JSON documents, changes
 * nothing.
 */
#include "config.h"

#include "cluster/verb/clu_verb_look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_member.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_saved_note.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "cluster/vm/clu_where.h"
#include "proto/px_words.h"

#define LOOK_ASK_MS 5000u

static void config_pair(const char *name, const char *value, void *arg)
{
	clu_add_str(arg, name, value);
}

static struct json_object *config_doc(const Hv__VmConfig *c)
{
	struct json_object *o = json_object_new_object();

	clu_vmconf_each(c, config_pair, o);
	return o;
}

/* One word for the state, from our own process table first, then from pacemaker. */
static const char *vm_state(struct clu_agent *a, const char *name, const struct clu_pcmk_vm *v)
{
	struct clu_vm *vm = clu_super_find(a->super, name);
	bool saved = clu_saved_note_is(a, name);

	if (vm && (!v || !v->active || strcmp(v->node, a->node) == 0 || !clu_vm_incoming(vm)))
		return px_vm_state_word(clu_vm_state(vm));
	if (!v)
		return saved ? "saved" : "stopped";
	switch (v->role) {
	case CLU_PCMK_ROLE_STARTED:
		return "running";
	case CLU_PCMK_ROLE_STARTING:
		return "starting";
	case CLU_PCMK_ROLE_STOPPING:
		return "stopping";
	case CLU_PCMK_ROLE_MIGRATING:
		return "migrating";
	case CLU_PCMK_ROLE_STOPPED:
		return v->blocked ? "blocked" : v->failed ? "failed" : saved ? "saved" : "stopped";
	case CLU_PCMK_ROLE_NONE:
		break;
	}
	return "unknown";
}

static struct json_object *vm_row(struct clu_agent *a, const Hv__VmConfig *c,
				  const struct clu_pcmk_vm *v)
{
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "name", c->name);
	clu_add_str(o, "state", vm_state(a, c->name, v));
	clu_add_str(o, "node", clu_where_node(a, c->name));
	clu_add_u64(o, "memory_bytes", c->memory_bytes);
	clu_add_u64(o, "cpus", c->cpus);
	clu_add_str(o, "engine", c->engine);
	clu_add_bool(o, "ha", v != NULL);
	if (v)
		clu_add_bool(o, "wanted", v->want_started);
	if (v && v->failure[0])
		clu_add_str(o, "failure", v->failure);
	return o;
}

struct list {
	struct clu_agent *agent;
	struct json_object *vms;
};

static void list_standalone(const Hv__VmConfig *c, void *arg)
{
	struct list *l = arg;

	json_object_array_add(l->vms, vm_row(l->agent, c, NULL));
}

void clu_verb_list(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct list l = {.agent = a, .vms = json_object_new_array()};
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	struct json_object *o = json_object_new_object();

	if (a->pcmk && !pic) {
		json_object_put(l.vms);
		json_object_put(o);
		px_req_failf(q, CM_E_NO_CLUSTER, "pacemaker does not answer on node %s (yet)",
			     a->node);
		return;
	}
	for (size_t i = 0; pic && i < pic->n_vms; i++) {
		Hv__VmConfig *c;

		if (!pic->vms[i].configured || clu_store_vm(a, pic->vms[i].name, &c, NULL))
			continue;
		json_object_array_add(l.vms, vm_row(a, c, &pic->vms[i]));
		hv__vm_config__free_unpacked(c, NULL);
	}
	if (!a->pcmk)
		clu_store_each_vm(a, list_standalone, &l);
	json_object_object_add(o, "vms", l.vms);
	clu_answer(q, o);
}

/* --- show ---------------------------------------------------------------- */

struct show {
	struct clu_agent *agent;
	struct px_req *q;
	struct json_object *doc;
};

static void show_core(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct show *s = arg;
	struct json_object *core = r && r->code == 0 && r->doc ? json_tokener_parse(r->doc) : NULL;

	if (core) {
		clu_add_str(s->doc, "state", px_vm_state_word(r->state));
		json_object_object_add(s->doc, "core", core);
	} else {
		clu_add_str(s->doc, "core_error", err->text);
	}
	clu_answer(s->q, s->doc);
	free(s);
}

void clu_verb_show(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, q->msg->vm) : NULL;
	const char *node = clu_where_node(a, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	struct json_object *doc, *move, *saved;
	Hv__VmConfig *c;
	struct show *s;
	struct clu_vm *vm;

	if (clu_store_vm(a, q->msg->vm, &c, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (*node && strcmp(node, a->node) != 0 && !px_chan_peer_name(q->chan)[0] && a->peers &&
	    clu_member_is(a, node)) {
		hv__vm_config__free_unpacked(c, NULL);
		clu_forward(a, node, q);
		return;
	}
	doc = vm_row(a, c, v);
	json_object_object_add(doc, "config", config_doc(c));
	move = clu_move_doc(a, q->msg->vm);
	if (move)
		json_object_object_add(doc, "move", move);
	saved = clu_saved_note_doc(a, q->msg->vm);
	if (saved)
		json_object_object_add(doc, "saved", saved);
	hv__vm_config__free_unpacked(c, NULL);
	vm = clu_super_find(a->super, q->msg->vm);
	if (!vm) {
		clu_answer(q, doc);
		return;
	}
	s = calloc(1, sizeof *s);
	CM_ASSERT(s);
	*s = (struct show){.agent = a, .q = q, .doc = doc};
	clu_vm_ask(vm, "status", LOOK_ASK_MS, show_core, s);
}

/* --- why ----------------------------------------------------------------- */

static void why_add(struct json_object *list, const char *what, const char *fmt, ...)
	cm_printf(3, 4);
static void why_add(struct json_object *list, const char *what, const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	clu_add_str(o, "reason", what);
	clu_add_str(o, "text", text);
	json_object_array_add(list, o);
}

static void why_cluster(const char *name, const struct clu_pcmk_picture *pic,
			struct json_object *list)
{
	const struct clu_pcmk_vm *v = clu_pcmk_find_vm(pic, name);

	if (!pic->quorate)
		why_add(list, "quorum", "this partition has no quorum: nothing is started here");
	if (!pic->stonith_enabled)
		why_add(list, "fencing",
			"fencing is off: a lost node's VMs cannot be started elsewhere");
	if (pic->maintenance_mode)
		why_add(list, "maintenance",
			"the cluster is in maintenance mode: pacemaker touches nothing");
	if (!v)
		return;
	why_add(list, "wanted",
		v->want_started ? "it is wanted running (hvctl start)"
				: "it is wanted stopped (hvctl stop, or never started)");
	if (v->active)
		why_add(list, "active", "pacemaker has it %s on node %s",
			clu_pcmk_role_name(v->role), v->node);
	if (v->failure[0])
		why_add(list, "failure", "last failure: %s", v->failure);
	if (v->blocked)
		why_add(list, "blocked",
			"pacemaker does not touch it after a failed stop; repair, then hvctl start "
			"clears it");
	if (!v->managed)
		why_add(list, "unmanaged", "pacemaker was told to leave it alone");
	for (size_t i = 0; i < pic->n_prefs; i++)
		if (strcmp(pic->prefs[i].vm, name) == 0)
			why_add(list, "preference", "node %s is preferred %s", pic->prefs[i].node,
				pic->prefs[i].until_wall_s ? "for a limited time (a migration)"
							   : "for ever (set by somebody else)");
	for (size_t i = 0; i < pic->n_nodes; i++) {
		const struct clu_pcmk_node *n = &pic->nodes[i];

		if (!n->online || n->standby || n->unclean || n->maintenance || n->pending)
			why_add(list, "node", "node %s takes no VMs: %s", n->name,
				n->unclean   ? "it is lost and not fenced yet"
				: !n->online ? "it is offline"
				: n->standby ? "it is drained (standby)"
				: n->pending ? "it is still joining"
					     : "maintenance");
	}
}

struct why {
	struct px_req *q;
	struct json_object *doc, *list;
};

static void why_core(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct why *w = arg;
	struct json_object *core = r && r->code == 0 && r->doc ? json_tokener_parse(r->doc) : NULL,
			   *v;

	if (core && json_object_object_get_ex(core, "lease", &v))
		why_add(w->list, "ownership", "its hvcore says of the ownership block: %s",
			json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
	if (core && json_object_object_get_ex(core, "watchdog", &v) &&
	    json_object_object_get_ex(v, "level", &v) && strcmp(json_object_get_string(v), "none") == 0)
		why_add(w->list, "watchdog",
			"no hvwatchdogd ends it if it does not stop: should it freeze, only a power switch lets it start "
			"elsewhere (systemctl enable --now hvwatchdogd)");
	if (!core)
		why_add(w->list, "process", "its hvcore does not answer: %s", err->text);
	json_object_put(core);
	clu_answer(w->q, w->doc);
	free(w);
}

void clu_verb_why(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const char *node = clu_where_node(a, q->msg->vm);
	struct json_object *doc, *list;
	struct cm_err err = CM_ERR_INIT;
	struct clu_vm *vm;
	Hv__VmConfig *c;
	struct why *w;

	if (clu_store_vm(a, q->msg->vm, &c, &err)) {
		px_req_fail(q, &err);
		return;
	}
	hv__vm_config__free_unpacked(c, NULL);
	if (*node && strcmp(node, a->node) != 0 && !px_chan_peer_name(q->chan)[0] && a->peers &&
	    clu_member_is(a, node)) {
		clu_forward(a, node, q);
		return;
	}
	doc = json_object_new_object();
	list = json_object_new_array();
	clu_add_str(doc, "name", q->msg->vm);
	clu_add_str(doc, "state",
		    vm_state(a, q->msg->vm, pic ? clu_pcmk_find_vm(pic, q->msg->vm) : NULL));
	clu_add_str(doc, "node", node);
	if (pic)
		why_cluster(q->msg->vm, pic, list);
	else
		why_add(list, "standalone",
			"this host runs standalone: VMs run where they are started");
	json_object_object_add(doc, "reasons", list);
	vm = clu_super_find(a->super, q->msg->vm);
	if (!vm) {
		clu_answer(q, doc);
		return;
	}
	w = calloc(1, sizeof *w);
	CM_ASSERT(w);
	*w = (struct why){.q = q, .doc = doc, .list = list};
	clu_vm_ask(vm, "status", LOOK_ASK_MS, why_core, w);
}
