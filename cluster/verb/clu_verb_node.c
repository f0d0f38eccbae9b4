/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_node.c - the verbs about nodes: list, show, drain, undrain. Pacemaker moves the VMs.
 * Parses arguments of operators.
 */
#include "config.h"

#include "cluster/verb/clu_verb_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_host.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_clock.h"

#define NODE_ASK_MS   3000u
#define NODE_DRAIN_MS 600000u
#define NODE_LOOK_MS  300u

struct json_object *clu__node_row(struct clu_agent *a, const struct clu_pcmk_picture *pic,
				  const struct clu_pcmk_node *n)
{
	struct json_object *o = json_object_new_object();
	const char *state = n->unclean	     ? "unclean"
			    : !n->online     ? "offline"
			    : n->pending     ? "joining"
			    : n->maintenance ? "maintenance"
			    : n->standby     ? "drained"
					     : "online";
	const struct clu_pcmk_fence *f = clu_pcmk_find_fence(pic, n->name, CLU_PCMK_FENCE_OK);
	unsigned vms = 0;

	for (size_t i = 0; i < pic->n_vms; i++)
		vms += pic->vms[i].active && strcmp(pic->vms[i].node, n->name) == 0;
	clu_add_str(o, "name", n->name);
	clu_add_u64(o, "id", n->id);
	clu_add_str(o, "state", state);
	clu_add_bool(o, "member", clu_member_is(a, n->name));
	clu_add_bool(o, "dc", n->is_dc);
	clu_add_u64(o, "vms", vms);
	clu_add_str(o, "address", clu_member_address(n->name, a));
	if (f)
		clu_add_u64(o, "last_fenced_wall_s", (uint64_t)f->completed_wall_s);
	return o;
}

static struct json_object *self_row(struct clu_agent *a)
{
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "name", a->node);
	clu_add_str(o, "state", "standalone");
	clu_add_u64(o, "memory_total_bytes", clu_host_total_bytes());
	clu_add_u64(o, "memory_free_bytes", clu_host_free_bytes(a->conf));
	return o;
}

static const struct clu_pcmk_picture *need_picture(struct clu_agent *a, struct px_req *q)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);

	if (!pic)
		px_req_failf(q, CM_E_NO_CLUSTER, "pacemaker does not answer on node %s (yet)",
			     a->node);
	return pic;
}

void clu_verb_node_list(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct json_object *o, *list;
	const struct clu_pcmk_picture *pic = NULL;

	if (a->pcmk && !(pic = need_picture(a, q)))
		return;
	o = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; pic && i < pic->n_nodes; i++)
		json_object_array_add(list, clu__node_row(a, pic, &pic->nodes[i]));
	if (!pic)
		json_object_array_add(list, self_row(a));
	json_object_object_add(o, "nodes", list);
	clu_answer(q, o);
}

struct node_show {
	struct px_req *q;
	struct json_object *doc;
};

static void node_shown(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct node_show *s = arg;
	struct json_object *o = r && r->code == 0 && r->doc ? json_tokener_parse(r->doc) : NULL;

	if (o)
		json_object_object_add(s->doc, "agent", o);
	else
		clu_add_str(s->doc, "agent_error", err->text);
	clu_answer(s->q, s->doc);
	free(s);
}

void clu_verb_node_show(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const struct clu_pcmk_picture *pic;
	const struct clu_pcmk_node *n;
	struct node_show *s;
	struct px_ask ask;

	if (!a->pcmk) {
		if (strcmp(q->msg->node, a->node) != 0)
			px_req_failf(q, CM_E_NO_NODE,
				     "this host runs standalone: it knows only node %s", a->node);
		else
			clu_answer(q, self_row(a));
		return;
	}
	pic = need_picture(a, q);
	if (!pic)
		return;
	n = clu_pcmk_find_node(pic, q->msg->node);
	if (!n) {
		px_req_failf(q, CM_E_NO_NODE, "no node '%s' in this cluster", q->msg->node);
		return;
	}
	s = calloc(1, sizeof *s);
	CM_ASSERT(s);
	s->q = q;
	s->doc = clu__node_row(a, pic, n);
	if (!a->peers || !clu_member_is(a, n->name)) {
		clu_answer(q, s->doc);
		free(s);
		return;
	}
	px_ask_init(&ask, "peer-hello", NULL);
	clu_peers_call(a->peers, n->name, &ask.req, NODE_ASK_MS, node_shown, s);
}

/* --- drain --------------------------------------------------------------- */

struct drain {
	struct clu_agent *agent;
	struct px_req *q;
	struct cm_timer timer;
	uint64_t deadline_ns;
	unsigned last_left;
};

static void drain_free(void *arg)
{
	struct drain *d = arg;

	cm_timer_fini(&d->timer);
	free(d);
}

static void drain_look(struct cm_timer *t, void *arg)
{
	struct drain *d = arg;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(d->agent->pcmk);
	struct json_object *o = json_object_new_object();
	unsigned left = 0;

	for (size_t i = 0; pic && i < pic->n_vms; i++)
		left += pic->vms[i].active && strcmp(pic->vms[i].node, d->q->msg->node) == 0;
	clu_add_str(o, "node", d->q->msg->node);
	clu_add_u64(o, "vms_left", left);
	if (left == 0 && pic) {
		clu_add_str(o, "state", "drained");
		clu_answer(d->q, o);
		cm_loop_defer(d->agent->loop, drain_free, d);
		return;
	}
	if (cm_now_ns() > d->deadline_ns) {
		px_req_failf(d->q, CM_E_TIMEOUT, "%u VMs are still on node %s; the drain goes on",
			     left, d->q->msg->node);
		cm_loop_defer(d->agent->loop, drain_free, d);
	} else {
		if (left != d->last_left)
			px_req_progress(d->q, json_object_to_json_string(o));
		d->last_left = left;
		clu_pcmk_look(d->agent->pcmk);
		cm_timer_arm_ms(t, NODE_LOOK_MS);
	}
	json_object_put(o);
}

static void drain_asked(int code, const struct cm_err *err, void *arg)
{
	struct drain *d = arg;

	if (code) {
		px_req_fail(d->q, err);
		cm_loop_defer(d->agent->loop, drain_free, d);
		return;
	}
	clu_pcmk_refresh(d->agent->pcmk);
	cm_timer_arm_ms(&d->timer, NODE_LOOK_MS * 2);
}

static bool node_verb_ok(struct clu_agent *a, struct px_req *q)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	struct cm_err err = CM_ERR_INIT;

	if (!a->pcmk)
		cm_err_set(&err, CM_E_NO_CLUSTER,
			   "this host runs standalone: there is nowhere to move VMs to");
	else if (clu_member_need_quorum(a, &err) == 0 && !clu_pcmk_find_node(pic, q->msg->node))
		cm_err_set(&err, CM_E_NO_NODE, "no node '%s' in this cluster", q->msg->node);
	if (err.code)
		px_req_fail(q, &err);
	return err.code == 0;
}

void clu_verb_node_drain(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct drain *d;

	if (!node_verb_ok(a, q))
		return;
	d = calloc(1, sizeof *d);
	CM_ASSERT(d);
	*d = (struct drain){.agent = a,
			    .q = q,
			    .deadline_ns = cm_now_ns() + NODE_DRAIN_MS * CM_NS_PER_MS,
			    .last_left = ~0u};
	cm_timer_init(&d->timer, a->loop, drain_look, d);
	clu_event(a->events, CLU_NOTICE, "node-drain", NULL, NULL,
		  "node %s is drained: its VMs move away", q->msg->node);
	clu_pcmk_standby(a->pcmk, q->msg->node, true, drain_asked, d);
}

static void undrained(int code, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;

	if (code)
		px_req_fail(q, err);
	else
		px_req_ok(q, NULL);
}

void clu_verb_node_undrain(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;

	if (node_verb_ok(a, q))
		clu_pcmk_standby(a->pcmk, q->msg->node, false, undrained, q);
}
