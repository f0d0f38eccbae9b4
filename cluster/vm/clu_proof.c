/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_proof.c - finds the evidence that the last owner of a VM does not run it any more: looks at
 * our own processes, asks the owner's agent, reads pacemaker's fencing history, again and again
 * until a deadline.
 *
 * Where nobody can tell (the node was shut out by fence_hvsan and may be on; or pacemaker wants the
 * VM here although its history of the fencing is gone), the answer is "watch": the hvcore that is
 * about to take over has to see the owner's lease expire and its keys go. That is said only about
 * another node, and so only while pacemaker waits for a start on this one: nothing else looks for a
 * proof about another node (docs/adr/0004).
 *
 * It only collects evidence; what counts as a proof is decided in fencing/, by the hvcore that acts
 * on it, against the block as it is then. Parses hvcore's and peers' JSON.
 */
#include "config.h"

#include "cluster/vm/clu_proof.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_corosync.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_fenced.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "proto/px_req.h"

#define PROOF_RETRY_MS 200u
#define PROOF_PEER_MS  3000u
/* So long a better word than "watch" is waited for: the history of a fencing comes a moment after
 * pacemaker's start. */
#define PROOF_WATCH_MS 5000u

struct search {
	struct clu_agent *agent;
	struct clu__owner owner;
	Hv__VmConfig *config;
	struct cm_timer timer;
	uint64_t deadline_ns, watch_ns;
	struct fen_fencer_word word; /* while it is asked what it means */
	void (*waiting)(const char *text, void *arg);
	clu__proof_fn done;
	void *arg;
	struct cm_err last;
};

static const char *doc_str(struct json_object *o, const char *key)
{
	struct json_object *v;
	const char *s = json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;

	return s ? s : "";
}

static uint64_t doc_u64(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : 0;
}

int clu__owner_parse(const char *vm, const char *vm_uuid, const char *doc, struct clu__owner *out)
{
	struct json_object *o = doc ? json_tokener_parse(doc) : NULL;

	memset(out, 0, sizeof *out);
	if (!o)
		return CM_E_PROTO;
	snprintf(out->vm, sizeof out->vm, "%s", vm);
	snprintf(out->vm_uuid, sizeof out->vm_uuid, "%s", vm_uuid);
	snprintf(out->node, sizeof out->node, "%s", doc_str(o, "owner_node"));
	snprintf(out->boot_id, sizeof out->boot_id, "%s", doc_str(o, "owner_boot_id"));
	snprintf(out->instance, sizeof out->instance, "%s", doc_str(o, "owner_instance"));
	out->pid = (uint32_t)doc_u64(o, "owner_pid");
	out->epoch = doc_u64(o, "epoch");
	json_object_put(o);
	return out->node[0] && out->boot_id[0] ? 0 : CM_E_PROTO;
}

static void search_free(void *arg)
{
	struct search *s = arg;

	hv__vm_config__free_unpacked(s->config, NULL);
	free(s);
}

static void search_answer(struct search *s, const Hv__Proof *p, bool released,
			  const struct cm_err *err)
{
	clu__proof_fn done = s->done;
	void *arg = s->arg;

	cm_timer_fini(&s->timer);
	cm_loop_defer(s->agent->loop, search_free, s);
	done(p, released, err, arg);
}

static void search_found(struct search *s, enum fen_proof_kind kind, const char *evidence)
{
	Hv__Proof p = HV__PROOF__INIT;
	struct cm_err none = CM_ERR_INIT;

	p.kind = (uint32_t)kind;
	p.vm_uuid = s->owner.vm_uuid;
	p.node = s->owner.node;
	p.boot_id = s->owner.boot_id;
	p.epoch = s->owner.epoch;
	p.evidence = (char *)(uintptr_t)evidence;
	p.detail = (char *)(uintptr_t)fen_proof_kind_name(kind);
	if (fen_evidence_is_watch(evidence))
		cm_notice("vm=%s: nobody can tell how its owner on %s ended: its lease has to "
			  "expire visibly",
			  s->owner.vm, s->owner.node);
	else
		cm_notice("vm=%s: the last owner (%s) is proven gone: %s", s->owner.vm,
			  s->owner.node, p.detail);
	search_answer(s, &p, false, &none);
}

static void search_watch(struct search *s)
{
	char evidence[FEN_EVIDENCE_MAX];
	struct cm_err err = CM_ERR_INIT;

	if (fen_evidence_watch(s->owner.node, evidence) == 0) {
		search_found(s, FEN_PROOF_SHUT_OUT, evidence);
		return;
	}
	cm_err_set(&err, CM_E_LEASE_NO_PROOF, "the block of VM %s names no node", s->owner.vm);
	search_answer(s, NULL, false, &err);
}

/* Nothing yet: say why, and look again later or give up. */
static void search_wait(struct search *s, const char *why)
{
	cm_err_clear(&s->last);
	cm_err_set(&s->last, CM_E_LEASE_NO_PROOF,
		   "VM %s belongs to %s, which did not release it: %s", s->owner.vm, s->owner.node,
		   why);
	if (cm_now_ns() >= s->deadline_ns) {
		search_answer(s, NULL, false, &s->last);
		return;
	}
	if (s->waiting)
		s->waiting(s->last.text, s->arg);
	cm_timer_arm_ms(&s->timer, PROOF_RETRY_MS);
}

/* The owner is on another node that says nothing: wait for a word, but not for ever. */
static void search_silent(struct search *s, const char *why)
{
	if (cm_now_ns() >= s->watch_ns)
		search_watch(s);
	else
		search_wait(s, why);
}

/* Does that process of this node and this boot still exist? A recycled pid is not an hvcore. */
static bool hvcore_exists(uint32_t pid)
{
	char path[64], comm[32] = "";
	int fd = pidfd_open((pid_t)pid, 0);
	FILE *f;

	if (fd < 0)
		return errno != ESRCH;
	close(fd);
	snprintf(path, sizeof path, "/proc/%u/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return errno != ENOENT;
	if (!fgets(comm, sizeof comm, f))
		comm[0] = '\0';
	fclose(f);
	return strncmp(comm, "hvcore", 6) == 0;
}

static void search_self(struct search *s)
{
	struct clu_agent *a = s->agent;
	char evidence[FEN_EVIDENCE_MAX];
	struct fen_reaped reaped;
	struct stor_uuid boot;

	memset(&reaped, 0, sizeof reaped);
	if (strcmp(s->owner.boot_id, a->boot_id) != 0) {
		if (stor_uuid_parse(a->boot_id, &boot) == 0 &&
		    fen_evidence_other_boot(a->node, &boot, evidence) == 0)
			search_found(s, FEN_PROOF_OTHER_BOOT, evidence);
		else
			search_wait(s, "this node's boot id cannot be read");
		return;
	}
	if (hvcore_exists(s->owner.pid)) {
		search_wait(s, "its process still exists on this node");
		return;
	}
	snprintf(reaped.node, sizeof reaped.node, "%s", a->node);
	reaped.pid = s->owner.pid;
	if (stor_uuid_parse(a->boot_id, &reaped.boot) == 0 &&
	    (!s->owner.instance[0] || stor_uuid_parse(s->owner.instance, &reaped.instance) == 0) &&
	    fen_evidence_reaped(&reaped, evidence) == 0)
		search_found(s, FEN_PROOF_REAPED, evidence);
	else
		search_wait(s, "its process is gone, but that cannot be stated");
}

static void search_peer_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct search *s = arg;
	struct json_object *o = r && r->code == 0 && r->doc ? json_tokener_parse(r->doc) : NULL;
	char evidence[FEN_EVIDENCE_MAX];
	struct cm_err none = CM_ERR_INIT;
	struct stor_uuid boot;

	if (o && strcmp(doc_str(o, "boot_id"), s->owner.boot_id) != 0 &&
	    stor_uuid_parse(doc_str(o, "boot_id"), &boot) == 0 &&
	    fen_evidence_other_boot(s->owner.node, &boot, evidence) == 0) {
		search_found(s, FEN_PROOF_OTHER_BOOT, evidence);
	} else if (o && strcmp(doc_str(o, "block"), "released") == 0) {
		search_answer(s, NULL, true, &none);
	} else if (o) {
		search_wait(s, "it still runs there");
	} else {
		search_silent(s, err->text);
	}
	json_object_put(o);
}

/* Its agent may know better: another boot, or the process is dead and the block can be let go. */
static void search_peer(struct search *s)
{
	struct px_ask ask;

	px_ask_init(&ask, "peer-reclaim", s->owner.vm);
	ask.req.config = s->config;
	clu_peers_call(s->agent->peers, s->owner.node, &ask.req, PROOF_PEER_MS, search_peer_answer,
		       s);
}

static void search_how(enum clu__fenced how, void *arg)
{
	struct search *s = arg;
	char evidence[FEN_EVIDENCE_MAX];

	if (how == CLU__FENCED_OFF && fen_evidence_powered_off(&s->word, evidence) == 0)
		search_found(s, FEN_PROOF_POWERED_OFF, evidence);
	else
		search_watch(s);
}

static void search_fenced(struct search *s)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(s->agent->pcmk);
	const struct clu_pcmk_fence *f =
		pic ? clu_pcmk_find_fence(pic, s->owner.node, CLU_PCMK_FENCE_OK) : NULL;
	enum clu__fenced how;

	memset(&s->word, 0, sizeof s->word);
	s->word.lost_wall_s = clu_member_lost_wall_s(s->agent, s->owner.node);
	if (f && f->completed_wall_s > 0 &&
	    clu_member_fencing_counts(s->agent, s->owner.node, (uint64_t)f->completed_wall_s)) {
		snprintf(s->word.node, sizeof s->word.node, "%s", s->owner.node);
		snprintf(s->word.action, sizeof s->word.action, "%s", f->action);
		s->word.succeeded = true;
		s->word.fenced_wall_s = (uint64_t)f->completed_wall_s;
		how = clu__fenced_how(s->agent, f, search_how, s);
		if (how != CLU__FENCED_NONE)
			search_how(how, s);
		return;
	}
	clu_pcmk_refresh(s->agent->pcmk);
	search_silent(s, "the node left the cluster and was not fenced yet");
}

static void search_look(struct cm_timer *t, void *arg)
{
	struct search *s = arg;
	struct clu_agent *a = s->agent;

	(void)t;
	if (a->corosync) /* who is a member now, and not before this process stood still? */
		clu_corosync_look(a->corosync);
	if (strcmp(s->owner.node, a->node) == 0)
		search_self(s);
	else if (!a->pcmk)
		search_wait(s, "it is another host, and this one runs standalone");
	else if (clu_member_is(a, s->owner.node) && a->peers)
		search_peer(s);
	else
		search_fenced(s);
}

void clu__proof_find(struct clu_agent *a, const struct clu__owner *owner,
		     const Hv__VmConfig *config, uint64_t deadline_ns,
		     void (*waiting)(const char *text, void *arg), clu__proof_fn done, void *arg)
{
	struct search *s = calloc(1, sizeof *s);

	CM_ASSERT(s);
	*s = (struct search){.agent = a,
			     .owner = *owner,
			     .deadline_ns = deadline_ns,
			     .watch_ns = cm_now_ns() + PROOF_WATCH_MS * CM_NS_PER_MS,
			     .waiting = waiting,
			     .done = done,
			     .arg = arg};
	s->config = clu_vmconf_dup(config);
	cm_timer_init(&s->timer, a->loop, search_look, s);
	cm_timer_arm_ms(&s->timer, 0);
}
