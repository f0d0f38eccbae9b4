/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_cluster.c - the cluster as a whole, events, host check: documents, changes nothing.
 * Parses arguments of operators.
 */
#include "config.h"

#include "cluster/verb/clu_verb_cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_corosync.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_host.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/verb/clu_verb_node.h"
#include "cluster/vm/clu_probe.h"
#include "fencing/fen_wd_client.h"

/* --- the whole ----------------------------------------------------------- */

void clu_verb_cluster_status(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	struct json_object *o = json_object_new_object(), *nodes = json_object_new_array();
	unsigned running = 0, wanted = 0;

	clu_add_str(o, "node", a->node);
	clu_add_str(o, "mode", a->pcmk ? "cluster" : "standalone");
	clu_add_str(o, "release", PACKAGE_VERSION);
	if (a->pcmk) {
		clu_add_bool(o, "corosync", clu_corosync_is_up(a->corosync));
		clu_add_bool(o, "quorate", clu_corosync_is_quorate(a->corosync));
		clu_add_bool(o, "pacemaker", pic != NULL);
		clu_add_bool(o, "peers", a->peers != NULL);
	}
	if (pic) {
		clu_add_str(o, "dc", pic->dc);
		clu_add_bool(o, "fencing", pic->stonith_enabled && pic->fence_devices > 0);
		clu_add_u64(o, "fence_devices", pic->fence_devices);
		clu_add_bool(o, "maintenance", pic->maintenance_mode);
		for (size_t i = 0; i < pic->n_nodes; i++)
			json_object_array_add(nodes, clu__node_row(a, pic, &pic->nodes[i]));
		for (size_t i = 0; i < pic->n_vms; i++) {
			running += pic->vms[i].role == CLU_PCMK_ROLE_STARTED;
			wanted += pic->vms[i].want_started;
		}
		clu_add_u64(o, "vms", pic->n_vms);
		clu_add_u64(o, "vms_running", running);
		clu_add_u64(o, "vms_wanted", wanted);
	}
	json_object_object_add(o, "nodes", nodes);
	clu_answer(q, o);
}

static void event_row(const Hv__Event *e, void *arg)
{
	struct json_object *o = json_object_new_object();

	clu_add_u64(o, "seq", e->seq);
	clu_add_u64(o, "wall_ns", e->wall_ns);
	clu_add_str(o, "node", e->node);
	clu_add_str(o, "vm", e->vm);
	clu_add_str(o, "kind", e->kind);
	clu_add_str(o, "severity", e->severity);
	clu_add_str(o, "text", e->text);
	if (e->doc[0])
		json_object_object_add(o, "details", json_tokener_parse(e->doc));
	json_object_array_add(arg, o);
}

static void events_gone(struct px_req *q)
{
	px_req_ok(q, NULL);
}

void clu_verb_events(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct json_object *o, *list;

	if (px_req_flag(q, "follow")) {
		q->gone = events_gone; /* it ends with the connection */
		clu_events_follow(a->events, q->chan);
		return;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	clu_events_each(a->events, event_row, list);
	json_object_object_add(o, "events", list);
	clu_answer(q, o);
}

/* --- host check ---------------------------------------------------------- */

static void check_row(struct json_object *list, const char *what, bool ok, const char *fmt, ...)
	cm_printf(4, 5);
static void check_row(struct json_object *list, const char *what, bool ok, const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	clu_add_str(o, "check", what);
	clu_add_bool(o, "ok", ok);
	clu_add_str(o, "text", text);
	json_object_array_add(list, o);
}

static void check_cluster(struct clu_agent *a, struct json_object *list)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);
	const struct clu_corosync_node *n =
		clu_corosync_find_id(a->corosync, clu_corosync_local_id(a->corosync));

	check_row(list, "corosync", clu_corosync_is_up(a->corosync), "%s",
		  clu_corosync_is_up(a->corosync) ? "connected"
						  : "does not answer: systemctl start corosync");
	check_row(list, "quorum", clu_corosync_is_quorate(a->corosync), "%s",
		  clu_corosync_is_quorate(a->corosync) ? "this partition has quorum" : "no quorum");
	check_row(
		list, "links", n && n->address[1][0], "%s",
		n && n->address[1][0]
			? "two or more cluster links"
			: "only one cluster link: one broken cable costs a node; add a ring1_addr");
	check_row(list, "node id", !n || n->id < 0xffff, "%s",
		  !n || n->id < 0xffff ? "fits into a reservation key"
				       : "above 65534: set a smaller nodeid in corosync.conf");
	check_row(list, "pacemaker", pic != NULL, "%s",
		  pic ? "answers" : "does not answer: systemctl start pacemaker");
	if (pic)
		check_row(list, "fencing", pic->stonith_enabled && pic->fence_devices,
			  "stonith-enabled %s, %u fence devices",
			  pic->stonith_enabled ? "true" : "false", pic->fence_devices);
	check_row(list, "peers", a->peers != NULL, "%s",
		  a->peers ? "other agents can reach this one" : "no listener for other agents");
}

static void check_watchdog(struct clu_agent *a, struct json_object *list)
{
	enum stor_watchdog level = fen_wd_client_level(a->watchdog);

	if (level == STOR_WATCHDOG_NONE)
		check_row(list, "watchdog", false,
			  "%s: a frozen VM is ended by nobody, and only a power switch lets it start elsewhere; systemctl "
			  "enable --now hvwatchdogd%s",
			  a->watchdog->why,
			  a->pcmk && a->conf->watchdog_required ? " (no VM starts here until then: watchdog_required)" : "");
	else
		check_row(list, "watchdog", true, "hvwatchdogd %s",
			  level == STOR_WATCHDOG_HARD ? "and a hardware watchdog end what does not stop"
			  : a->watchdog->reset_ms ? "ends what does not stop; its hardware watchdog is too slow for io_timeout_ms"
						  : "ends what does not stop; a kernel that hangs needs a power switch or "
						    "hvwatchdogd --device");
}

struct host_check {
	struct px_req *q;
	struct json_object *doc, *list;
};

static void check_volume(const char *volume, const struct stor_probe_report *r,
			 const struct cm_err *err, void *arg)
{
	struct host_check *c = arg;

	if (r)
		check_row(c->list, "volume", r->safe, "%s: %s%s%s%s%s", volume, r->mode,
			  r->safe ? "" : "; unfit: ", r->refused,
			  r->safe && r->leaky[0] ? "; leaks " : "", r->safe ? r->leaky : "");
	else
		check_row(c->list, "volume", false, "%s: %s", volume, err->text);
}

static void check_answer(void *arg)
{
	struct host_check *c = arg;

	json_object_object_add(c->doc, "checks", c->list);
	clu_answer(c->q, c->doc);
	free(c);
}

void clu_verb_host_check(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	struct host_check *c = malloc(sizeof *c);
	bool kvm = access("/dev/kvm", R_OK | W_OK) == 0;

	CM_ASSERT(c);
	*c = (struct host_check){q, o, list};
	clu_add_str(o, "node", a->node);
	check_row(list, "kvm", kvm, "%s",
		  kvm ? "/dev/kvm is there"
		      : "no usable /dev/kvm: VMs run on the soft engine, slowly");
	check_row(list, "tun", access("/dev/net/tun", R_OK | W_OK) == 0, "%s",
		  access("/dev/net/tun", R_OK | W_OK) == 0
			  ? "/dev/net/tun is there"
			  : "no /dev/net/tun: VMs get no network (modprobe tun)");
	check_row(list, "hvcore", access(a->conf->hvcore, X_OK) == 0, "%s", a->conf->hvcore);
	check_row(list, "memory", clu_host_free_bytes(a->conf) > 0, "%llu MiB free for VMs",
		  (unsigned long long)(clu_host_free_bytes(a->conf) >> 20));
	check_watchdog(a, list);
	if (a->pcmk)
		check_cluster(a, list);
	clu_probe_volumes(a, check_volume, check_answer, c);
}
