/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_agent.c - wires the agent: supervisor, pacemaker and corosync adapters, peers, listeners.
 *
 * Decides nothing about VMs. Parses nothing itself.
 */
#include "config.h"

#include "cluster/clu_agent.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"

#define AGENT_PICTURE_MS   2000u
#define AGENT_DEAD_MS	   1500u
#define AGENT_DEAD_LOOK_MS 500u
#define AGENT_PEERS_MS	   1000u

/* --- membership ---------------------------------------------------------- */

const char *clu__agent_address(const char *node, void *arg)
{
	struct clu_agent *a = arg;
	const struct clu_corosync_node *n;

	if (strcmp(node, a->node) == 0 && a->conf->peer_address[0])
		return a->conf->peer_address;
	n = a->corosync ? clu_corosync_find_name(a->corosync, node) : NULL;
	return n && n->address[0][0] ? n->address[0] : NULL;
}

bool clu__agent_is_member(struct clu_agent *a, const char *node)
{
	for (unsigned i = 0; i < a->n_member; i++)
		if (strcmp(a->member_name[i], node) == 0)
			return true;
	return false;
}

uint64_t clu__agent_lost_wall_s(struct clu_agent *a, const char *node)
{
	for (unsigned i = 0; i < a->n_lost; i++)
		if (strcmp(a->lost[i].node, node) == 0)
			return a->lost[i].wall_s;
	return a->started_wall_s;
}

int clu__agent_need_quorum(struct clu_agent *a, struct cm_err *err)
{
	if (!a->pcmk)
		return 0;
	if (!clu_corosync_is_up(a->corosync))
		return cm_err_set(err, CM_E_NO_CLUSTER, "corosync does not run on node %s",
				  a->node);
	if (!clu_corosync_is_quorate(a->corosync))
		return cm_err_set(err, CM_E_NO_QUORUM, "node %s is in a partition without quorum",
				  a->node);
	if (!clu_pcmk_picture(a->pcmk))
		return cm_err_set(err, CM_E_NO_CLUSTER,
				  "pacemaker does not answer on node %s (yet)", a->node);
	return 0;
}

static void agent_note_lost(struct clu_agent *a, const char *name)
{
	char node[64];
	unsigned i;

	snprintf(node, sizeof node, "%s",
		 name); /* name lies in the table that is about to change */
	for (i = 0; i < a->n_lost; i++)
		if (strcmp(a->lost[i].node, node) == 0)
			break;
	if (i == CM_ARRAY_LEN(a->lost))
		i = 0;
	else if (i == a->n_lost)
		a->n_lost++;
	memcpy(a->lost[i].node, node, sizeof node);
	a->lost[i].wall_s = cm_wall_ns() / CM_NS_PER_S;
	clu_event(a->events, "warning", "node-lost", NULL, NULL, "node %s left the membership",
		  node);
	if (a->peers)
		clu_peers_lost(a->peers, node);
	clu__move_node_lost(a, node);
	clu_pcmk_refresh(a->pcmk);
}

static void agent_quorum(bool quorate, const uint32_t *ids, size_t n, void *arg)
{
	struct clu_agent *a = arg;
	char now[CLU_COROSYNC_NODES][64];
	unsigned n_now = 0;

	for (size_t i = 0; i < n && n_now < CLU_COROSYNC_NODES; i++) {
		const struct clu_corosync_node *node = clu_corosync_find_id(a->corosync, ids[i]);

		if (node)
			snprintf(now[n_now++], sizeof now[0], "%s", node->name);
	}
	for (unsigned i = 0; i < a->n_member; i++) {
		bool still = false;

		for (unsigned j = 0; j < n_now; j++)
			still |= strcmp(now[j], a->member_name[i]) == 0;
		if (!still)
			agent_note_lost(a, a->member_name[i]);
	}
	for (unsigned j = 0; j < n_now; j++)
		if (!clu__agent_is_member(a, now[j])) {
			clu_event(a->events, "notice", "node-joined", NULL, NULL,
				  "node %s is a member", now[j]);
			clu__fenced_joined(a, now[j]);
		}
	memcpy(a->member_name, now, sizeof now);
	a->n_member = n_now;
	if (quorate != a->quorate)
		clu_event(a->events, quorate ? "notice" : "error", "quorum", NULL, NULL,
			  quorate ? "this partition has quorum" : "this partition has lost quorum");
	a->quorate = quorate;
}

static void agent_corosync_up(void *arg)
{
	struct clu_agent *a = arg;
	const struct clu_corosync_node *n =
		clu_corosync_find_id(a->corosync, clu_corosync_local_id(a->corosync));

	if (n && !a->conf->node[0] && strcmp(n->name, a->node) != 0) {
		snprintf(a->node, sizeof a->node, "%s", n->name);
		cm_notice("this node is %s", a->node);
	}
}

static void agent_corosync_down(const struct cm_err *err, void *arg)
{
	struct clu_agent *a = arg;

	cm_warning("corosync: %s", err->text);
	a->quorate = false;
}

static const struct clu_corosync_ops corosync_ops = {
	.up = agent_corosync_up,
	.down = agent_corosync_down,
	.quorum = agent_quorum,
};

/* A note of a saved state that outlived its use: the VM runs here. */
static void agent_forget_saved(struct clu_vm *vm, void *arg)
{
	if (strcmp(clu_vm_state(vm), "running") == 0)
		clu__saved_forget(arg, clu_vm_name(vm));
}

static void agent_picture(const struct clu_pcmk_picture *pic, void *arg)
{
	struct clu_agent *a = arg;

	(void)pic;
	clu_super_each(a->super, agent_forget_saved, a);
	clu__move_picture(arg);
	clu__conns_fresh(arg);
}

static void agent_pcmk_lost(const struct cm_err *err, void *arg)
{
	cm_debug("pacemaker: %s", err->text);
	clu__conns_fresh(arg);
}

static const struct clu_pcmk_ops pcmk_ops = {.picture = agent_picture, .lost = agent_pcmk_lost};

/* --- VMs of this node ---------------------------------------------------- */

static void reclaim_done(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_agent *a = arg;

	(void)r;
	if (err->code && err->code != CM_E_LEASE_HELD)
		cm_warning("the ownership of a dead VM could not be let go: %s", err->text);
	(void)a;
}

static void reclaim(struct clu_agent *a, const Hv__VmConfig *c)
{
	clu__start_vm(a, CLU__START_RELEASE, c, NULL, NULL, NULL, 10000, NULL, reclaim_done, a);
}

static void failed_reported(int code, const struct cm_err *err, void *arg)
{
	(void)arg;
	if (code) /* the next monitor finds it */
		cm_info("pacemaker was not told of a dead VM: %s", err->text);
}

/*
 * Pacemaker would notice a dead process at its next monitor only. But a death may also be the end
 * of a stop or of a move that pacemaker is in the middle of: so look a moment later, at a fresh
 * picture, whether it still believes that the VM runs here.
 */
struct dead {
	struct clu_agent *agent;
	struct cm_timer timer;
	char vm[64];
	bool asked; /* a fresh picture was asked for */
};

static void dead_free(void *arg)
{
	struct dead *d = arg;

	cm_timer_fini(&d->timer);
	free(d);
}

static void dead_look(struct cm_timer *t, void *arg)
{
	struct dead *d = arg;
	struct clu_agent *a = d->agent;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, d->vm) : NULL;
	struct json_object *move = clu__move_doc(a, d->vm);

	if (!d->asked) {
		d->asked = true;
		clu_pcmk_refresh(a->pcmk);
		cm_timer_arm_ms(t, AGENT_DEAD_LOOK_MS);
		return;
	}
	if (!move && !clu_super_find(a->super, d->vm) && v && v->active && !v->failed &&
	    v->role == CLU_PCMK_ROLE_STARTED && strcmp(v->node, a->node) == 0)
		clu_pcmk_report_failed(a->pcmk, d->vm, a->node, failed_reported, NULL);
	json_object_put(move);
	cm_loop_defer(a->loop, dead_free, d);
}

static void agent_report_failed(struct clu_agent *a, const char *name)
{
	struct dead *d = a->pcmk ? calloc(1, sizeof *d) : NULL;

	if (!d)
		return;
	d->agent = a;
	snprintf(d->vm, sizeof d->vm, "%s", name);
	cm_timer_init(&d->timer, a->loop, dead_look, d);
	cm_timer_arm_ms(&d->timer, AGENT_DEAD_MS);
}

static void agent_vm_gone(struct clu_vm *vm, bool clean, void *arg)
{
	struct clu_agent *a = arg;
	Hv__VmConfig *c;

	clu_event(a->events, clean ? "notice" : "error", clean ? "vm-stopped" : "vm-died",
		  clu_vm_name(vm), NULL,
		  clean ? "hvcore (pid %d) ended"
			: "hvcore (pid %d) died without letting go of the VM",
		  (int)clu_vm_pid(vm));
	clu__move_vm_gone(a, clu_vm_name(vm));
	/* Let go of what a dead process held, so that any node can start the VM at once. */
	if (!clean && clu__store_vm(a, clu_vm_name(vm), &c, NULL) == 0) {
		if (c->lease[0] && !clu__heir_offer(a, c, (uint32_t)clu_vm_pid(vm), reclaim))
			reclaim(a, c);
		hv__vm_config__free_unpacked(c, NULL);
	}
	if (!clean)
		agent_report_failed(a, clu_vm_name(vm));
	if (a->pcmk)
		clu_pcmk_refresh(a->pcmk);
}

static void agent_vm_event(struct clu_vm *vm, const Hv__Event *e, void *arg)
{
	struct clu_agent *a = arg;

	if (strcmp(e->kind, "state") == 0)
		cm_info("vm=%s: %s", clu_vm_name(vm), e->text);
	else
		clu_event(a->events, e->severity[0] ? e->severity : "notice", e->kind,
			  clu_vm_name(vm), e->doc, "%s", e->text);
}

static const struct clu_super_ops super_ops = {.gone = agent_vm_gone, .event = agent_vm_event};

/* --- peers --------------------------------------------------------------- */

/* Our address is known once corosync told the node list: until then try again. */
static void agent_peers_try(struct cm_timer *t, void *arg)
{
	struct clu_agent *a = arg;
	const char *address =
		a->conf->peer_address[0] ? a->conf->peer_address : clu__agent_address(a->node, a);
	struct cm_err err = CM_ERR_INIT;

	if (address)
		a->peers = clu_peers_new(a->loop, a->tls, &a->self, address,
					 (uint16_t)a->conf->peer_port, clu__conn_accept_peer,
					 clu__agent_address, a, &err);
	if (a->peers) {
		cm_notice("agents of other nodes reach us at %s port %u", address,
			  a->conf->peer_port);
		return;
	}
	if (err.code)
		cm_warning("%s", err.text);
	cm_timer_arm_ms(t, AGENT_PEERS_MS);
}

/* --- life ---------------------------------------------------------------- */

static int agent_dir(const char *base, const char *sub, struct cm_err *err)
{
	char path[256];

	snprintf(path, sizeof path, "%s%s", base, sub);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return cm_err_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

static int agent_dirs(struct clu_agent *a, struct cm_err *err)
{
	static const char *const state[] = {"", "/log", "/saved", "/vms", "/volumes"};
	int rc = agent_dir(a->conf->run_dir, "", err);

	rc = rc ? rc : agent_dir(a->conf->run_dir, "/vm", err);
	for (size_t i = 0; rc == 0 && i < CM_ARRAY_LEN(state); i++)
		rc = agent_dir(a->conf->state_dir, state[i], err);
	return rc;
}

static int agent_identity(struct clu_agent *a, struct cm_err *err)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	bool ok = f && fscanf(f, "%36s", a->boot_id) == 1;

	if (f)
		fclose(f);
	if (!ok)
		return cm_err_set(err, CM_E_NO_FILE, "cannot read the kernel's boot id");
	if (a->conf->node[0])
		snprintf(a->node, sizeof a->node, "%s", a->conf->node);
	else if (gethostname(a->node, sizeof a->node) < 0 || !a->node[0])
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "this host has no name: set node = NAME in hvcluster.conf");
	a->node[sizeof a->node - 1] = '\0';
	a->self = (struct px_self){.program = "hvclusterd", .node = a->node};
	a->started_wall_s = cm_wall_ns() / CM_NS_PER_S;
	return 0;
}

static int agent_cluster(struct clu_agent *a, struct cm_err *err)
{
	a->tls = px_tls_new(a->conf->tls_cert, a->conf->tls_key, a->conf->tls_ca, err);
	if (!a->tls)
		return err->code;
	a->pcmk = clu_pcmk_new(a->loop, &pcmk_ops, a, err);
	if (!a->pcmk)
		return err->code;
	a->corosync = clu_corosync_new(a->loop, &corosync_ops, a, 0);
	if (!a->corosync)
		return cm_err_set(err, -ENOMEM, "out of memory");
	clu_pcmk_poll(a->pcmk, AGENT_PICTURE_MS);
	clu_pcmk_refresh(a->pcmk);
	cm_timer_init(&a->peers_timer, a->loop, agent_peers_try, a);
	cm_timer_arm_ms(&a->peers_timer, 0);
	return 0;
}

static void agent_adopted(void *arg)
{
	struct clu_agent *a = arg;
	struct group *gr = a->conf->group[0] ? getgrnam(a->conf->group) : NULL;
	struct cm_err err = CM_ERR_INIT;
	char path[160];

	/* Questions are answered only from now on: before, we would not know our own VMs. */
	snprintf(path, sizeof path, "%s/hvclusterd.sock", a->conf->run_dir);
	a->server = px_server_unix(a->loop, path, gr ? 0660 : 0600, gr ? gr->gr_gid : (gid_t)-1,
				   clu__conn_accept, a, &err);
	if (!a->server) {
		cm_crit("%s", err.text);
		cm_loop_stop(a->loop, 1);
		return;
	}
	cm_notice("ready on %s", path);
}

struct clu_agent *clu_agent_new(struct cm_loop *loop, const struct clu_conf *conf,
				struct cm_err *err)
{
	struct clu_agent *a = calloc(1, sizeof *a);

	CM_ASSERT(a);
	a->loop = loop;
	a->conf = conf;
	if (agent_identity(a, err) || agent_dirs(a, err)) {
		free(a);
		return NULL;
	}
	a->events = clu_events_new(a->node);
	a->super = clu_super_new(loop, conf, &a->self, a->events, &super_ops, a);
	if (!conf->standalone && agent_cluster(a, err)) {
		clu_agent_free(a);
		return NULL;
	}
	clu_super_adopt(a->super, agent_adopted, a);
	return a;
}

void clu_agent_free(struct clu_agent *a)
{
	if (!a)
		return;
	px_server_close(a->server);
	clu__conns_free(a);
	if (a->corosync)
		cm_timer_fini(&a->peers_timer);
	clu_peers_free(a->peers);
	clu_corosync_free(a->corosync);
	clu_pcmk_free(a->pcmk);
	px_tls_free(a->tls);
	clu_super_free(a->super);
	clu_events_free(a->events);
	clu__probed_free(a);
	free(a);
}
