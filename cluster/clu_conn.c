/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_conn.c - who is connected to this agent, and the tables of verbs that they may use.
 *
 * Operators and the OCF agent come by the UNIX socket (its mode and group decide who may connect; verbs
 * marked admin are for root); agents of other nodes by mutual TLS. Parses nothing itself.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "common/cm_log.h"

#define CONNS_MAX 256u

struct clu__conn {
	struct clu__conn *next;
	struct clu_agent *agent;
	struct px_chan *chan;
	struct px_reqs reqs;
	bool peer;
	struct waiting *waiting; /* in order */
};

/* An operator's request that waits for a picture of the cluster that is not older than itself. */
struct waiting {
	struct waiting *next;
	struct px_msg msg;
	uint64_t number; /* of the first picture that is not older */
};

/* {name, arguments, handler, root only} */
static const struct px_verb operator_verbs[] = {
	{"list", "", clu__verb_list, false},
	{"show", "vm", clu__verb_show, false},
	{"why", "vm", clu__verb_why, false},
	{"create", "vm uuid memory cpus engine kernel initrd cmdline disk net lease machine io_timeout_ms io_fail_after_ms start",
	 clu__verb_create, false},
	{"delete", "vm force", clu__verb_delete, false},
	{"start", "vm fresh timeout_ms", clu__verb_start, false},
	{"restore", "vm timeout_ms", clu__verb_start, false},
	{"save", "vm", clu__verb_save, false},
	{"register", "disk", clu__verb_register, false},
	{"stop", "vm force timeout_ms", clu__verb_stop, false},
	{"pause", "vm", clu__verb_core, false},
	{"resume", "vm", clu__verb_core, false},
	{"reset", "vm", clu__verb_core, false},
	{"power-button", "vm", clu__verb_core, false},
	{"qga-ping", "vm", clu__verb_core, false},
	{"qga-time", "vm", clu__verb_core, false},
	{"qga-freeze", "vm", clu__verb_core, false},
	{"qga-thaw", "vm", clu__verb_core, false},
	{"qga-shutdown", "vm", clu__verb_core, false},
	{"dump", "vm", clu__verb_core, false},
	{"counters", "vm interval_ms", clu__verb_core, false},
	{"trace", "vm on off window_ms count", clu__verb_core, false},
	{"balloon", "vm bytes", clu__verb_core, false},
	{"fault", "vm spec", clu__verb_core, true},
	{"console", "vm", clu__verb_console, false},
	{"migrate", "vm node mode max_blackout_ms", clu__verb_migrate, false},
	{"migrate-cancel", "vm", clu__verb_migrate_cancel, false},
	{"node-list", "", clu__verb_node_list, false},
	{"node-show", "node", clu__verb_node_show, false},
	{"node-drain", "node", clu__verb_node_drain, false},
	{"node-undrain", "node", clu__verb_node_undrain, false},
	{"cluster-status", "", clu__verb_cluster_status, false},
	{"events", "follow", clu__verb_events, false},
	{"host-check", "", clu__verb_host_check, false},
	{"volume-create", "volume url extent force", clu__verb_volume, true},
	{"volume-list", "", clu__verb_volume, false},
	{"volume-show", "volume", clu__verb_volume, false},
	{"volume-check", "volume repair", clu__verb_volume, true},
	{"volume-forget", "volume", clu__verb_volume, true},
	{"volume-attach", "volume url", clu__verb_volume_attach, true},
	{"volume-vms", "volume", clu__verb_volume_vms, false},
	{"disk-create", "disk size thick", clu__verb_volume, false},
	{"disk-inspect", "disk", clu__verb_volume, false},
	{"disk-resize", "disk size", clu__verb_volume, false},
	{"disk-rename", "disk to", clu__verb_volume, false},
	{"disk-delete", "disk", clu__verb_volume, false},
	{"volume-dump", "volume what", clu__verb_volume, false},
	{"volume-grow", "volume", clu__verb_volume, false},
	{"disk-resized", "", clu__verb_core, false},
};

static const struct px_verb ocf_verbs[] = {
	{"local-start", "vm timeout_ms", clu__verb_local_start, true},
	{"local-stop", "vm force timeout_ms", clu__verb_local_stop, true},
	{"local-status", "vm", clu__verb_local_status, false},
	{"local-orphan", "vm", clu__verb_local_orphan, true},
	{"local-migrate-to", "vm node timeout_ms", clu__verb_local_migrate_to, true},
	{"local-migrate-from", "vm timeout_ms", clu__verb_local_migrate_from, true},
};

/* Besides these a peer may use the operator's verbs, for a VM that is here: an agent forwards them. */
static const struct px_verb peer_verbs[] = {
	{"peer-hello", "", clu__verb_peer_hello, false},
	{"peer-reclaim", "vm", clu__verb_peer_reclaim, false},
	{"peer-status", "vm", clu__verb_local_status, false},
	{"peer-fence-mark", "node", clu__verb_peer_fence_mark, false},
	{"peer-take-over", "vm pid boot", clu__verb_peer_take_over, false},
	{"peer-incoming", "vm", clu__verb_peer_incoming, false},
	{"peer-incoming-cancel", "vm", clu__verb_peer_incoming_cancel, false},
};

static void conn_drop(struct clu__conn *k)
{
	struct clu_agent *a = k->agent;

	for (struct clu__conn **p = &a->conns; *p; p = &(*p)->next)
		if (*p == k) {
			*p = k->next;
			break;
		}
	while (k->waiting) {
		struct waiting *w = k->waiting;

		k->waiting = w->next;
		px_msg_free(&w->msg);
		free(w);
	}
	clu_events_unfollow(a->events, k->chan);
	px_reqs_gone(&k->reqs);
	free(k);
}

static void conn_run(struct clu__conn *k, struct px_msg *m)
{
	const struct px_verb *own = k->peer ? peer_verbs : ocf_verbs;

	px_verbs_run(operator_verbs, CM_ARRAY_LEN(operator_verbs), own,
		     k->peer ? CM_ARRAY_LEN(peer_verbs) : CM_ARRAY_LEN(ocf_verbs), k->chan, &k->reqs, m, k->agent);
}

/* Verbs that look at VMs, nodes or volumes must not answer from a picture that is older than the question;
 * the ones named here never look. A start looks for its volumes, and pacemaker may be faster than the picture. */
static bool conn_needs_picture(const struct clu__conn *k, const Hv__Request *r)
{
	static const char *const never[] = {
		"events",	  "host-check",		  "local-stop",
		"local-status",	  "local-migrate-from",	  "peer-hello",
		"peer-reclaim",	  "peer-incoming-cancel", "peer-fence-mark",
		"peer-take-over", "local-orphan"};

	if (!k->agent->pcmk)
		return false;
	for (size_t i = 0; i < CM_ARRAY_LEN(never); i++)
		if (strcmp(r->verb, never[i]) == 0)
			return false;
	return true;
}

void clu__conns_fresh(struct clu_agent *a)
{
	struct clu__conn *next;

	for (struct clu__conn *k = a->conns; k; k = next) {
		struct waiting *list = k->waiting;

		next = k->next;
		k->waiting = NULL;
		while (list) {
			struct waiting *w = list;

			if (w->number > clu_pcmk_last_number(a->pcmk)) { /* this and all after it came later */
				k->waiting = list;
				break;
			}
			list = w->next;
			conn_run(k, &w->msg);
			px_msg_free(&w->msg);
			free(w);
		}
	}
}

static void conn_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct clu__conn *k = arg;

	if (m->type == PX_DATA) {
		clu__console_input(c, m->msg);
	} else if (m->type != PX_REQUEST) {
		cm_warning("a %s sent a %s", k->peer ? "peer" : "client", px_type_name((uint16_t)m->type));
	} else if (conn_needs_picture(k, m->msg)) {
		struct waiting *w = calloc(1, sizeof *w), **end = &k->waiting;

		CM_ASSERT(w);
		w->msg = *m;
		w->number = clu_pcmk_next_number(k->agent->pcmk);
		m->msg = NULL;
		while (*end)
			end = &(*end)->next;
		*end = w;
		clu_pcmk_refresh(k->agent->pcmk);
	} else {
		conn_run(k, m);
	}
}

static void conn_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	(void)c;
	if (code != CM_E_PROTO_CLOSED)
		cm_debug("connection: %s", text);
	conn_drop(arg);
}

static const struct px_chan_ops conn_ops = {.message = conn_message, .closed = conn_closed};

static void conn_accept(struct clu_agent *a, int fd, bool peer)
{
	struct clu__conn *k;
	unsigned n = 0;

	for (k = a->conns; k; k = k->next)
		n++;
	k = n < CONNS_MAX ? calloc(1, sizeof *k) : NULL;
	if (!k) {
		cm_warning("too many connections: one was refused");
		close(fd);
		return;
	}
	k->agent = a;
	k->peer = peer;
	k->next = a->conns;
	a->conns = k;
	k->chan = peer ? px_chan_new_tls(a->loop, fd, a->tls, true, NULL, &a->self, &conn_ops, k)
		       : px_chan_new(a->loop, fd, &a->self, &conn_ops, k);
}

void clu__conn_accept(struct px_server *s, int fd, void *agent)
{
	(void)s;
	conn_accept(agent, fd, false);
}

void clu__conn_accept_peer(struct px_server *s, int fd, void *agent)
{
	(void)s;
	conn_accept(agent, fd, true);
}

void clu__conns_free(struct clu_agent *a)
{
	while (a->conns) {
		struct clu__conn *k = a->conns;

		px_chan_close(k->chan);
		conn_drop(k);
	}
}
