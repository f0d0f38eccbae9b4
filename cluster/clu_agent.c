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

#include "cluster/clu_conn.h"
#include "cluster/clu_dead.h"
#include "cluster/clu_verbs.h"
#include "cluster/move/clu_move.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_conf.h"
#include "cluster/node/clu_corosync.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_host.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_deaths.h"
#include "cluster/vm/clu_fenced.h"
#include "cluster/vm/clu_landings.h"
#include "cluster/vm/clu_probe.h"
#include "cluster/vm/clu_saved_note.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_log.h"
#include "fencing/fen_wd_client.h"

#define AGENT_PEERS_MS 1000u

/* --- news of the cluster -------------------------------------------------- */

static const struct clu_member_ops member_ops = {.joined = clu_fenced_joined,
						 .lost = clu_move_node_lost};

/* A note of a saved state that outlived its use: the VM runs here. */
static void agent_forget_saved(struct clu_vm *vm, void *arg)
{
	if (clu_vm_state(vm) == HV__VM_STATE__VM_RUNNING)
		clu_saved_note_forget(arg, clu_vm_name(vm));
}

static void agent_picture(const struct clu_pcmk_picture *pic, void *arg)
{
	struct clu_agent *a = arg;

	(void)pic;
	clu_super_each(a->super, agent_forget_saved, a);
	clu_move_picture(arg);
	clu__conns_fresh(arg);
}

static void agent_pcmk_lost(const struct cm_err *err, void *arg)
{
	cm_debug("pacemaker: %s", err->text);
	clu__conns_fresh(arg);
}

static const struct clu_pcmk_ops pcmk_ops = {.picture = agent_picture, .lost = agent_pcmk_lost};

/* --- VMs of this node ---------------------------------------------------- */

static void agent_vm_gone(struct clu_vm *vm, bool clean, void *arg)
{
	struct clu_agent *a = arg;

	clu_event(a->events, clean ? CLU_NOTICE : CLU_ERROR, clean ? "vm-stopped" : "vm-died",
		  clu_vm_name(vm), NULL,
		  clean ? "hvcore (pid %d) ended"
			: "hvcore (pid %d) died without letting go of the VM",
		  (int)clu_vm_pid(vm));
	clu_move_vm_gone(a, clu_vm_name(vm));
	if (!clean)
		clu__dead_vm(a, vm);
	if (a->pcmk)
		clu_pcmk_refresh(a->pcmk);
}

static void agent_vm_event(struct clu_vm *vm, const Hv__Event *e, void *arg)
{
	struct clu_agent *a = arg;

	clu_event(a->events, clu_severity_find(e->severity), e->kind, clu_vm_name(vm), e->doc, "%s",
		  e->text);
}

static const struct clu_super_ops super_ops = {.gone = agent_vm_gone, .event = agent_vm_event};

/* --- peers --------------------------------------------------------------- */

/* Our address is known once corosync told the node list: until then try again. */
static void agent_peers_try(struct cm_timer *t, void *arg)
{
	struct clu_agent *a = arg;
	const char *address =
		a->conf->peer_address[0] ? a->conf->peer_address : clu_member_address(a->node, a);
	struct cm_err err = CM_ERR_INIT;

	if (address)
		a->peers = clu_peers_new(a->loop, a->tls, &a->self, address,
					 (uint16_t)a->conf->peer_port, clu__conn_accept_peer,
					 clu_member_address, a, &err);
	if (a->peers) {
		cm_notice("agents of other nodes reach us at %s port %u", address,
			  a->conf->peer_port);
		return;
	}
	if (err.code)
		cm_warning("%s", err.text);
	cm_timer_arm_ms(t, AGENT_PEERS_MS);
}

/* --- hvwatchdogd ---------------------------------------------------------- */

static void agent_watchdog(struct fen_wd_client *client, enum stor_watchdog level, void *arg)
{
	struct clu_agent *a = arg;

	if (level == STOR_WATCHDOG_NONE)
		clu_event(a->events, CLU_WARNING, "watchdog-lost", NULL, NULL,
			  "hvwatchdogd does not answer: %s", client->why);
	else
		clu_event(a->events, CLU_NOTICE, "watchdog-found", NULL, NULL,
			  "hvwatchdogd answers: its VMs are ended when they do not stop (%s)",
			  stor_watchdog_name(level));
}

static struct fen_wd_client *agent_watchdog_new(struct clu_agent *a)
{
	struct fen_wd_client *c = malloc(sizeof *c);
	char path[128];

	CM_ASSERT(c);
	clu_host_watchdog_path(a->conf, path, sizeof path);
	fen_wd_client_init(c, a->loop, path, a->conf->io_timeout_ms, agent_watchdog, a);
	return c;
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
	a->corosync = clu_corosync_new(a->loop, &clu_member_corosync_ops, a, 0);
	if (!a->corosync)
		return cm_err_set(err, -ENOMEM, "out of memory");
	clu_pcmk_poll(a->pcmk, a->conf->picture_ms);
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
	a->watchdog = agent_watchdog_new(a);
	a->members = clu_members_new(a, &member_ops);
	a->landings = clu_landings_new();
	a->deaths = clu_deaths_new();
	a->conns = clu__conns_new(&clu__verbs);
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
	fen_wd_client_fini(a->watchdog);
	free(a->watchdog);
	clu_events_free(a->events);
	clu_probed_free(a);
	clu_landings_free(a->landings);
	clu_deaths_free(a->deaths);
	clu_members_free(a->members);
	free(a);
}
