/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core.c - joins hv_core and migration/: verbs migrate, migrate-commit and migrate-cancel, incoming VMs. Saved
 * states are in mig_core_image.c.
 *
 * Parses arguments and tickets of the agent. Documents are described in docs/WIRE.md.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "hvcore/hv_owner.h"
#include "migration/core/mig_core.h"
#include "migration/core/mig_core_image.h"

struct mig_core *mig_core_of(struct hv_core *core)
{
	struct mig_core *g = hv_core_hook_arg(core);

	g->core = core;
	return g;
}

/* While we hold the VM paused, a renewal must not run it. */
void mig_core_hold(struct mig_core *g, bool on)
{
	if (hv_core_owner(g->core))
		hv_owner_hold(hv_core_owner(g->core), on);
}

static int psk_of(const Hv__Ticket *t, struct px_psk *psk, struct cm_err *err)
{
	if (!t || t->psk.len != sizeof psk->key || t->id.len != sizeof psk->id)
		return cm_err_set(err, CM_E_MIG_TICKET, "a migration needs a ticket with a key of %zu and an id of %zu bytes",
				  sizeof psk->key, sizeof psk->id);
	if (t->expires_wall_ns && cm_wall_ns() > t->expires_wall_ns)
		return cm_err_set(err, CM_E_MIG_TICKET, "the ticket has expired");
	memcpy(psk->key, t->psk.data, sizeof psk->key);
	memcpy(psk->id, t->id.data, sizeof psk->id);
	return 0;
}

static double to_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void put_ms(struct hv_json *j, const char *key, uint64_t ns)
{
	char text[32];

	snprintf(text, sizeof text, "%.3f", to_ms(ns));
	hv_json_raw(j, key, text);
}

/* --- documents ------------------------------------------------------------------------------------ */

static void put_result(struct hv_json *j, const struct mig_result *r)
{
	hv_json_u64(j, "code", (uint64_t)-r->code);
	hv_json_str(j, "error", r->code ? r->err.text : "");
	put_ms(j, "total_ms", r->total_ns);
	put_ms(j, "blackout_ms", r->blackout_ns);
	hv_json_u64(j, "rounds", r->rounds);
	hv_json_u64(j, "sent_bytes", r->sent_bytes);
	hv_json_u64(j, "ram_pages", r->ram_pages);
	hv_json_u64(j, "zero_pages", r->zero_pages);
	hv_json_u64(j, "state_bytes", r->state_bytes);
	hv_json_open(j, "phases", '{');
	for (unsigned i = 0; i < MIG_PHASE_COUNT; i++)
		put_ms(j, mig_phase_name((enum mig_phase)i), r->phase_ns[i]);
	hv_json_close(j, '}');
}

static void put_progress(struct hv_json *j, const struct mig_progress *p)
{
	bool ready = p->stage == HV__MIGRATION_STAGE__STAGE_READY;

	hv_json_str(j, "phase", ready ? "ready" : p->state);
	hv_json_u64(j, "round", p->round);
	hv_json_u64(j, "sent_bytes", p->sent_bytes);
	hv_json_u64(j, "remaining_bytes", p->remaining_bytes);
	hv_json_u64(j, "bandwidth_bytes_s", p->bandwidth_bytes_s);
	hv_json_u64(j, "dirty_bytes_s", p->dirty_bytes_s);
	put_ms(j, "forecast_blackout_ms", p->forecast_blackout_ns);
	put_ms(j, "elapsed_ms", p->elapsed_ns);
}

void mig_core_status(struct hv_core *core, struct hv_json *j)
{
	struct mig_core *g = mig_core_of(core);
	struct mig_progress p;

	if (mig_core_image_status(g, j) || (!g->src && !g->dst && !g->have_last))
		return;
	hv_json_open(j, "migration", '{');
	hv_json_str(j, "role", g->role);
	if (g->src || g->dst) {
		if (g->src)
			mig_src_get_progress(g->src, &p);
		else
			mig_dst_get_progress(g->dst, &p);
		put_progress(j, &p);
	} else {
		put_result(j, &g->last);
	}
	hv_json_close(j, '}');
}

/* --- who asked ---------------------------------------------------------------------------------------- */

static void asker_gone(struct px_req *q)
{
	struct mig_core *g = q->work;
	struct cm_err err = CM_ERR_INIT;

	/* A hand-over that nobody can release any more would hold for ever. */
	if (g->src && mig_src_cancel(g->src, &err) < 0)
		cm_debug("the one who asked for the migration went away: %s", err.text);
	g->q = NULL;
	px_req_ok(q, NULL);
}

void mig_core_answer(struct mig_core *g, const struct mig_result *r)
{
	struct px_req *q = g->q;
	struct hv_json j;

	g->q = NULL;
	if (!q)
		return;
	q->gone = NULL;
	if (r->code) {
		px_req_fail(q, &r->err);
		return;
	}
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	put_result(&j, r);
	hv_json_close(&j, '}');
	px_req_ok(q, hv_json_text(&j));
	hv_json_fini(&j);
}

/* --- source ----------------------------------------------------------------------------------------------- */

static void src_progress(void *arg, const struct mig_progress *p)
{
	struct mig_core *g = arg;
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_json j;

	if (p->stage == HV__MIGRATION_STAGE__STAGE_HANDOVER && !hv_core_is_ending(g->core))
		hv_core_set_state(g->core, HV_CORE_HANDING_OVER);
	if (!g->q)
		return;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	put_progress(&j, p);
	hv_json_close(&j, '}');
	r.stage = p->stage;
	r.doc = (char *)(uintptr_t)hv_json_text(&j);
	px_req_tell(g->q, &r);
	hv_json_fini(&j);
}

static void src_back(struct mig_core *g, const struct mig_result *r)
{
	struct hv_core *core = g->core;
	enum hv_vm_state s = hv_vm_state(hv_core_vm(core));

	hv_core_event(core, "migration-failed", "warning", "", "%s", r->err.text);
	if (hv_core_is_ending(core))
		return;
	if (stor_lease_valid_until(hv_owner_lease(hv_core_owner(core))) == 0) {
		hv_core_set_owned(core, false);
		hv_core_end(core, 2, false);
	} else if (s == HV_VM_RUNNING || s == HV_VM_PAUSED) {
		hv_core_set_state(core, s == HV_VM_RUNNING ? HV_CORE_RUNNING : HV_CORE_PAUSED);
	}
}

static void src_done(void *arg, const struct mig_result *r)
{
	struct mig_core *g = arg;

	g->src = NULL;
	g->last = *r;
	g->have_last = true;
	mig_core_hold(g, false);
	if (r->code == 0) {
		hv_core_set_owned(g->core, false);
		hv_core_event(g->core, "migrated", "notice", "", "handed over, blackout %.1f ms", to_ms(r->blackout_ns));
	} else {
		src_back(g, r);
	}
	mig_core_answer(g, r);
	if (g->ending)
		hv_core_end_go(g->core);
	else if (r->code == 0)
		hv_core_end(g->core, 0, false);
}

static int src_config(struct px_req *q, struct mig_core *g, struct mig_src_config *c, struct px_psk *psk,
		      struct cm_err *err)
{
	uint64_t port = 0, blackout = 0;
	int rc = psk_of(q->msg->ticket, psk, err);

	c->address = px_req_arg(q, "address");
	c->mode = q->msg->mode ? q->msg->mode : HV__MIGRATION_MODE__MODE_LIVE;
	if (rc == 0 && !c->address)
		rc = cm_err_set(err, CM_E_BAD_VALUE, "migrate needs an address");
	if (rc == 0)
		rc = px_req_u64(q, "port", 0, 1, 65535, &port, err);
	if (rc == 0 && !port)
		rc = cm_err_set(err, CM_E_BAD_VALUE, "migrate needs a port");
	if (rc == 0)
		rc = px_req_u64(q, "max_blackout_ms", 0, 0, 3600000, &blackout, err);
	c->vm = hv_core_vm(g->core);
	c->lease = hv_owner_lease(hv_core_owner(g->core));
	c->node = hv_core_start(g->core)->node;
	c->port = (uint16_t)port;
	c->psk = psk;
	c->epoch = rc == 0 ? q->msg->ticket->epoch : 0;
	c->max_blackout_ms = (uint32_t)blackout;
	c->hold = px_req_flag(q, "hold");
	c->verify_ram = px_req_flag(q, "verify");
	c->progress = src_progress;
	c->done = src_done;
	c->arg = g;
	if (rc == 0 && c->epoch && c->epoch != stor_lease_epoch(c->lease))
		rc = cm_err_set(err, CM_E_MIG_TICKET, "the ticket is for epoch %llu, the VM is at %llu",
				(unsigned long long)c->epoch, (unsigned long long)stor_lease_epoch(c->lease));
	c->epoch = stor_lease_epoch(c->lease);
	return rc;
}

static void verb_migrate(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);
	struct hv_core *core = ctx;
	struct mig_src_config c = {.fd = -1};
	struct cm_err err = CM_ERR_INIT;
	struct px_psk psk = {0};
	int rc = 0;

	if (g->src || g->dst || g->image.step)
		rc = cm_err_set(&err, CM_E_MIG_BUSY, "a migration or a save of this VM is under way");
	else if (hv_core_state(core) != HV_CORE_RUNNING && hv_core_state(core) != HV_CORE_PAUSED)
		rc = cm_err_set(&err, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(hv_core_state(core)));
	else if (!hv_core_owner(core))
		rc = cm_err_set(&err, CM_E_UNSUPPORTED, "a VM without an ownership block cannot be handed over");
	else
		rc = src_config(q, g, &c, &psk, &err);
	if (rc == 0) {
		g->role = "source";
		g->q = q;
		q->work = g;
		q->gone = asker_gone;
		mig_core_hold(g, true);
		rc = mig_src_start(&g->src, &c, &err);
	}
	px_psk_wipe(&psk);
	if (rc == 0)
		return;
	if (g->q == q) {
		mig_core_hold(g, false);
		g->q = NULL;
		q->gone = NULL;
	}
	px_req_fail(q, &err);
}

static void verb_commit(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);

	if (!g->src) {
		px_req_failf(q, CM_E_VM_STATE, "no migration of this VM is under way");
		return;
	}
	mig_src_commit(g->src);
	px_req_ok(q, NULL);
}

static void verb_cancel(struct px_req *q, void *ctx)
{
	struct mig_core *g = mig_core_of(ctx);
	struct cm_err err = CM_ERR_INIT;

	if (!g->src)
		px_req_failf(q, CM_E_VM_STATE, "no migration of this VM is under way");
	else if (mig_src_cancel(g->src, &err) < 0)
		px_req_fail(q, &err);
	else
		px_req_ok(q, NULL);
}

/* --- destination --------------------------------------------------------------------------------------------- */

static void dst_done(void *arg, const struct mig_result *r)
{
	struct mig_core *g = arg;
	struct hv_core *core = g->core;
	bool owned = stor_lease_valid_until(hv_owner_lease(hv_core_owner(core))) != 0;

	g->dst = NULL;
	g->last = *r;
	g->have_last = true;
	mig_core_hold(g, false);
	hv_core_set_owned(core, owned);
	if (r->code == 0 && !g->ending)
		hv_core_set_state(core, r->vm_runs_here ? HV_CORE_RUNNING : HV_CORE_PAUSED);
	hv_core_event(core, r->code ? "landing-failed" : "landed", r->code ? "warning" : "notice", "", "%s",
		      r->code ? r->err.text : "the VM was taken over");
	if (g->ending)
		hv_core_end_go(core);
	else if (r->code)
		hv_core_end(core, 4, owned);
}

static int listen_on(const char *address, uint16_t *port, struct cm_err *err)
{
	struct sockaddr_storage any = {0};
	struct sockaddr_in *a4 = (void *)&any;
	struct sockaddr_in6 *a6 = (void *)&any;
	socklen_t len = sizeof any;
	int fd;

	if (!address[0])
		address = "127.0.0.1";
	if (inet_pton(AF_INET, address, &a4->sin_addr) == 1)
		any.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, address, &a6->sin6_addr) == 1)
		any.ss_family = AF_INET6;
	else
		return cm_err_set(err, CM_E_BAD_VALUE, "%s is no numeric address", address);
	fd = socket(any.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (void *)&any, any.ss_family == AF_INET ? sizeof *a4 : sizeof *a6) < 0 ||
	    listen(fd, 4) < 0 || getsockname(fd, (void *)&any, &len) < 0) {
		cm_err_set(err, -errno, "cannot listen on %s: %s", address, strerror(errno));
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	*port = ntohs(any.ss_family == AF_INET ? a4->sin_port : a6->sin6_port);
	return fd;
}

int mig_core_incoming(struct hv_core *core, struct cm_err *err)
{
	struct mig_core *g = mig_core_of(core);
	const Hv__CoreStart *start = hv_core_start(core);
	struct mig_dst_config c = {.fd = -1, .vm = hv_core_vm(core), .done = dst_done, .arg = g};
	struct px_psk psk = {0};
	struct hv_json j;
	uint16_t port = 0;
	int rc;

	if (!hv_core_owner(core))
		return cm_err_set(err, CM_E_UNSUPPORTED, "a VM without an ownership block cannot be taken over");
	rc = psk_of(start->ticket, &psk, err);
	if (rc < 0)
		return rc;
	rc = c.listen_fd = listen_on(start->incoming_address, &port, err);
	if (rc < 0)
		goto out;
	g->role = "destination";
	c.lease = hv_owner_lease(hv_core_owner(core));
	c.psk = &psk;
	c.epoch = start->ticket->epoch;
	c.source = start->ticket->source[0] ? start->ticket->source : NULL;
	mig_core_hold(g, true);
	rc = mig_dst_start(&g->dst, &c, err);
	if (rc < 0)
		goto out;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "state", "incoming");
	hv_json_u64(&j, "port", port);
	hv_json_u64(&j, "pid", (uint64_t)getpid());
	hv_json_close(&j, '}');
	hv_core_started(core, HV_CORE_INCOMING, hv_json_text(&j));
	hv_json_fini(&j);
out:
	px_psk_wipe(&psk);
	return rc < 0 ? rc : 0;
}

/* --- the end ------------------------------------------------------------------------------------------------------------ */

bool mig_core_end(struct hv_core *core)
{
	struct mig_core *g = mig_core_of(core);
	struct cm_err err = CM_ERR_INIT;

	g->ending = g->src || g->dst;
	if (g->src && mig_src_cancel(g->src, &err) < 0)
		cm_notice("the end waits for the hand-over: %s", err.text);
	if (g->dst)
		mig_dst_cancel(g->dst);
	if (!g->ending)
		g->ending = mig_core_image_end(g);
	return g->ending;
}

const struct px_verb mig_core_verbs[MIG_CORE_VERBS] = {
	{"migrate", "address port max_blackout_ms hold verify", verb_migrate, true},
	{"migrate-commit", "", verb_commit, true},
	{"migrate-cancel", "", verb_cancel, true},
	{"save", "image hold", mig_core_image_verb_save, true},
	{"save-cancel", "", mig_core_image_verb_cancel, true},
	{"take-over", "", hvcore_heir_take_over, true},
};
