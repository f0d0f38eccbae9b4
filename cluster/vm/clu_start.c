/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_start.c - starting a VM on this node: checks, spawn, and if the ownership block belongs to
 * somebody who did not release it, a search for a proof and another try with it.
 *
 * Parses hvcore's replies only.
 */
#include "config.h"

#include "cluster/vm/clu_start.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_corosync.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_host.h"
#include "cluster/node/clu_member.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_heir.h"
#include "cluster/vm/clu_landings.h"
#include "cluster/vm/clu_probe.h"
#include "cluster/vm/clu_proof.h"
#include "cluster/vm/clu_saved_note.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_buf.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "proto/px_words.h"

#define START_TRIES_MAX 8u
#define START_LOOKS_MAX 10u
#define START_LOOK_MS	200u

struct start {
	struct clu_agent *agent;
	enum clu_start_mode mode;
	Hv__VmConfig *config; /* as the administrator gave it */
	Hv__Ticket *ticket;
	Hv__Proof *proof;
	uint64_t deadline_ns;
	unsigned tries, looks;
	bool ending; /* the VM's process was killed to make room */
	bool probed; /* the targets of its volumes are fit */
	bool heir;   /* a landing here was asked to go on with its memory */
	struct cm_timer again;
	void (*progress)(const char *text, void *arg);
	clu_start_fn done;
	void *arg;
};

static void start_try(struct start *s);

static void start_free(void *arg)
{
	struct start *s = arg;

	hv__vm_config__free_unpacked(s->config, NULL);
	if (s->ticket)
		hv__ticket__free_unpacked(s->ticket, NULL);
	if (s->proof)
		hv__proof__free_unpacked(s->proof, NULL);
	free(s);
}

static void start_end(struct start *s, const Hv__Reply *r, const struct cm_err *err)
{
	struct clu_agent *a = s->agent;

	cm_timer_fini(&s->again);
	if (err->code && s->mode == CLU_START_RELEASE)
		cm_info("vm=%s: its ownership was not let go: %s", s->config->name, err->text);
	else if (err->code)
		clu_event(a->events, CLU_ERROR, "vm-start-failed", s->config->name, NULL,
			  "start failed: %s (%s)", err->text, cm_err_name(err->code));
	else if (s->mode == CLU_START_RUN)
		clu_event(a->events, CLU_NOTICE, s->proof ? "takeover" : "vm-started",
			  s->config->name, NULL,
			  s->proof ? "runs here; taken over from %s (%s)" : "runs here%s%s",
			  s->proof ? s->proof->node : "", s->proof ? s->proof->detail : "");
	if (!err->code && s->mode == CLU_START_RUN)
		clu_saved_note_forget(a, s->config->name);
	s->done(r, err, s->arg);
	cm_loop_defer(a->loop, start_free, s);
}

static Hv__Proof *proof_dup(const Hv__Proof *p)
{
	size_t n = hv__proof__get_packed_size(p);
	uint8_t *b = malloc(n ? n : 1);
	Hv__Proof *d;

	CM_ASSERT(b);
	hv__proof__pack(p, b);
	d = hv__proof__unpack(NULL, n, b);
	free(b);
	CM_ASSERT(d);
	return d;
}

static Hv__Ticket *ticket_dup(const Hv__Ticket *t)
{
	size_t n = hv__ticket__get_packed_size(t);
	uint8_t *b = malloc(n ? n : 1);
	Hv__Ticket *d;

	CM_ASSERT(b);
	hv__ticket__pack(t, b);
	d = hv__ticket__unpack(NULL, n, b);
	memset(b, 0, n);
	free(b);
	CM_ASSERT(d);
	return d;
}

static void start_waiting(const char *text, void *arg)
{
	struct start *s = arg;

	cm_debug("vm=%s: %s", s->config->name, text);
	if (s->progress)
		s->progress(text, s->arg);
}

static void start_again(struct cm_timer *t, void *arg)
{
	(void)t;
	start_try(arg);
}

static void start_proof(const Hv__Proof *p, bool released, const struct cm_err *err, void *arg)
{
	struct start *s = arg;

	if (!p && !released) {
		start_end(s, NULL, err);
		return;
	}
	if (s->proof)
		hv__proof__free_unpacked(s->proof, NULL);
	s->proof = p ? proof_dup(p) : NULL;
	start_try(s);
}

static void start_spawned(struct clu_vm *vm, const Hv__Reply *r, const struct cm_err *err,
			  void *arg)
{
	struct start *s = arg;
	struct clu__owner owner;

	/* An owner that was watched and is alive may be so for long: then pacemaker's time limit
	 * ends it. */
	if (!s->proof || s->proof->kind != FEN_PROOF_SHUT_OUT)
		s->tries++;
	if (vm || err->code != CM_E_LEASE_NO_PROOF || s->mode == CLU_START_INCOMING ||
	    s->tries >= START_TRIES_MAX || cm_now_ns() >= s->deadline_ns) {
		start_end(s, r, err);
		return;
	}
	if (!r || clu__owner_parse(s->config->name, s->config->uuid, r->doc, &owner) ||
	    (s->mode == CLU_START_RELEASE && strcmp(owner.node, s->agent->node) != 0)) {
		start_end(s, r, err);
		return;
	}
	start_waiting(err->text, s);
	clu__proof_find(s->agent, &owner, s->config, s->deadline_ns, start_waiting, start_proof, s);
}

/* --- a landing whose source is lost (clu_heir.c) ---------------------------- */

/*
 * It has nothing that could go on: room for a cold start. What was found was looked for about the source of the move, not
 * about what the block says: the start looks for a proof of its own.
 */
static void heir_refused(struct start *s, const char *why)
{
	struct clu_vm *old = clu_super_find(s->agent->super, s->config->name);

	cm_notice("vm=%s: its memory that landed here cannot go on: %s", s->config->name, why);
	if (old)
		clu_vm_kill(old);
	s->ending = true;
	if (s->proof)
		hv__proof__free_unpacked(s->proof, NULL);
	s->proof = NULL;
	start_try(s);
}

static void heir_done(const struct cm_err *err, void *arg)
{
	struct start *s = arg;
	struct cm_err none = CM_ERR_INIT;

	if (err->code) {
		heir_refused(s, err->text);
		return;
	}
	clu_event(s->agent->events, CLU_NOTICE, "inherited", s->config->name, NULL,
		  "goes on here with the memory of its move from %s", s->proof->node);
	start_end(s, NULL, &none);
}

static void heir_proof(const Hv__Proof *p, bool released, const struct cm_err *err, void *arg)
{
	struct start *s = arg;
	struct clu_vm *old = clu_super_find(s->agent->super, s->config->name);

	if (!p && !released) {
		start_end(s, NULL, err);
		return;
	}
	s->proof = p ? proof_dup(p) : NULL;
	if (!p || fen_evidence_is_watch(p->evidence) || !old || !clu_vm_incoming(old))
		heir_refused(s,
			     p ? "nobody can tell how the source ended" : "the block was let go");
	else
		clu_heir_take_over(s->agent, old, s->proof, heir_done, s);
}

/* True: it is being tried. */
static bool start_heir(struct start *s)
{
	const char *source = s->mode == CLU_START_RUN && !s->heir
				     ? clu_landings_orphan(s->agent, s->config->name)
				     : NULL;
	struct clu__owner owner = {0};

	if (!source)
		return false;
	s->heir = true;
	snprintf(owner.vm, sizeof owner.vm, "%s", s->config->name);
	snprintf(owner.vm_uuid, sizeof owner.vm_uuid, "%s", s->config->uuid);
	snprintf(owner.node, sizeof owner.node, "%s", source);
	clu__proof_find(s->agent, &owner, s->config, s->deadline_ns, start_waiting, heir_proof, s);
	return true;
}

static int start_check(struct start *s, struct cm_err *err)
{
	const Hv__VmConfig *c = s->config;
	uint64_t free_bytes;

	if (s->mode == CLU_START_RELEASE)
		return 0;
	if (access(c->kernel, R_OK) < 0)
		return cm_err_set(err, CM_E_NO_FILE, "kernel %s cannot be read on node %s: %s",
				  c->kernel, s->agent->node, strerror(errno));
	if (c->initrd[0] && access(c->initrd, R_OK) < 0)
		return cm_err_set(err, CM_E_NO_FILE, "initrd %s cannot be read on node %s: %s",
				  c->initrd, s->agent->node, strerror(errno));
	free_bytes = clu_host_free_bytes(s->agent->conf);
	if (c->memory_bytes > free_bytes)
		return cm_err_set(err, CM_E_NO_MEMORY,
				  "VM %s needs %llu MiB, node %s has %llu MiB free", c->name,
				  (unsigned long long)(c->memory_bytes >> 20), s->agent->node,
				  (unsigned long long)(free_bytes >> 20));
	return 0;
}

static void start_fill(struct start *s, Hv__CoreStart *start, const struct cm_buf *definition,
		       Hv__Arg *option, Hv__Arg **options)
{
	struct clu_agent *a = s->agent;
	struct passwd *pw = a->conf->user[0] ? getpwnam(a->conf->user) : NULL;

	hv__core_start__init(start);
	start->node = a->node;
	start->boot_id = a->boot_id;
	start->control_fd = -1;
	/* docs/adr/0002: corosync's node id; a host that runs standalone is number 1. */
	start->host_slot = a->corosync ? clu_corosync_local_id(a->corosync) : 1;
	start->incoming = s->mode == CLU_START_INCOMING;
	start->incoming_address =
		(char *)(uintptr_t)(a->conf->migration_address[0] ? a->conf->migration_address
				    : start->incoming		  ? clu_member_address(a->node, a)
								  : "");
	if (!start->incoming_address)
		start->incoming_address = (char *)(uintptr_t) "127.0.0.1";
	start->ticket = s->ticket;
	start->proof = s->proof;
	if (pw) {
		start->uid = pw->pw_uid;
		start->gid = pw->pw_gid;
	}
	hv__arg__init(option);
	options[0] = option;
	start->options = options;
	if (s->mode == CLU_START_RELEASE) {
		option->key = (char *)(uintptr_t) "release";
		option->value = (char *)(uintptr_t) "1";
		start->n_options = 1;
	} else if (s->mode == CLU_START_RUN && definition->len) {
		/* The volume's copy follows a definition that was changed, by whomever. */
		option->key = (char *)(uintptr_t) "definition";
		option->value = (char *)definition->data;
		start->n_options = 1;
	}
}

static void start_probed(const struct cm_err *err, void *arg)
{
	struct start *s = arg;

	s->probed = true;
	if (err->code)
		start_end(s, NULL, err);
	else
		start_try(s);
}

static void start_try(struct start *s)
{
	struct clu_agent *a = s->agent;
	struct cm_err err = CM_ERR_INIT;
	struct clu_vm *old = clu_super_find(a->super, s->config->name);
	Hv__CoreStart start;
	Hv__Arg option, *options[1];
	char console[256], heartbeat[256];
	struct cm_buf definition;

	if (old && start_heir(s))
		return;
	if (old) {
		/* A process that just ended (or was killed for this) is still being collected: a
		 * moment. */
		bool ending = s->mode == CLU_START_INCOMING ? s->ending : s->ending || s->tries > 0;

		/* STARTING: a process that only lets the block of a dead one go, or an earlier
		 * start. */
		if (cm_now_ns() < s->deadline_ns &&
		    (ending || clu_vm_state(old) == HV__VM_STATE__VM_STOPPED ||
		     clu_vm_state(old) == HV__VM_STATE__VM_STARTING)) {
			cm_timer_arm_ms(&s->again, 50);
			return;
		}
		cm_err_set(&err, CM_E_VM_STATE, "VM %s has a process on node %s already (%s)",
			   s->config->name, a->node, px_vm_state_word(clu_vm_state(old)));
		start_end(s, NULL, &err);
		return;
	}
	cm_buf_init(&definition, 64u << 10);
	if (clu_store_text(s->config, &definition, NULL) == 0)
		cm_buf_put(&definition, "", 1);
	start_fill(s, &start, &definition, &option, options);
	start.vm = clu_vmconf_dup(s->config);
	snprintf(console, sizeof console, "%s/log/%s.console", a->conf->state_dir, s->config->name);
	snprintf(heartbeat, sizeof heartbeat, "%s/heartbeat.sock", a->conf->run_dir);
	start.console_log = console;
	start.heartbeat_socket = access(heartbeat, F_OK) == 0 ? heartbeat : (char *)(uintptr_t) "";
	if (clu_store_resolve(a, start.vm, &err) == CM_E_NO_DISK && a->pcmk &&
	    s->looks++ < START_LOOKS_MAX) {
		/* Our picture of the cluster may be older than the volume. */
		clu_pcmk_refresh(a->pcmk);
		cm_timer_arm_ms(&s->again, START_LOOK_MS);
	} else if (!err.code && !s->probed && s->mode != CLU_START_RELEASE) {
		clu__probe_vm(a, start.vm, start_probed, s);
	} else if (err.code || start_check(s, &err) ||
		   clu_super_spawn(a->super, &start, start_spawned, s, &err)) {
		start_end(s, NULL, &err);
	}
	cm_buf_fini(&definition);
	hv__vm_config__free_unpacked(start.vm, NULL);
}

void clu_start_vm(struct clu_agent *a, enum clu_start_mode mode, const Hv__VmConfig *config,
		  const Hv__Ticket *ticket, unsigned timeout_ms,
		  void (*progress)(const char *text, void *arg), clu_start_fn done, void *arg)
{
	struct clu_vm *old = clu_super_find(a->super, config->name);
	struct start *s = calloc(1, sizeof *s);

	CM_ASSERT(s);
	s->agent = a;
	s->mode = mode;
	s->config = clu_vmconf_dup(config);
	s->ticket = ticket ? ticket_dup(ticket) : NULL;
	s->deadline_ns = cm_now_ns() + timeout_ms * CM_NS_PER_MS;
	s->progress = progress;
	s->done = done;
	s->arg = arg;
	/* A landing that its source forgot has no right to run. */
	if (old && clu_vm_incoming(old) && mode == CLU_START_INCOMING) {
		clu_vm_kill(old);
		s->ending = true;
	}
	cm_timer_init(&s->again, a->loop, start_again, s);
	cm_timer_arm_ms(&s->again, 0);
}
