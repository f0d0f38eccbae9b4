/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src.c - the source's state machine: copy, intent, pause, hand-over, commit, or back to where it was.
 *
 * Runs on the loop; the worker (mig_src_work.c) moves the bytes. Ownership moves by stor_lease only: whatever the peer
 * says, this end gives the VM away by one COMPARE AND WRITE, and runs on only after another one (rules 1 to 3 of the
 * ownership block).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_src_int.h"
#include "sharedstorage/lease/stor_lease.h"

#define HANDOVER_DEFAULT_MS 30000u
#define STATE_MAX (16u << 20)

static void src_feed(struct mig_src *m, enum mig_src_event event, const char *reason, struct cm_err *err)
{
	(void)cm_fsm_feed(&m->fsm, event, reason, err);
}

static void src_keep(struct mig_src *m, const struct cm_err *err)
{
	if (err && err->code)
		cm_err_set(&m->result.err, err->code, "%s", err->text);
}

static void src_command(struct mig_src *m, enum mig_src_cmd cmd)
{
	atomic_store(&m->stop_pass, cmd != SRC_CMD_COPY);
	pthread_mutex_lock(&m->lock);
	m->cmd = cmd;
	pthread_cond_signal(&m->cond);
	pthread_mutex_unlock(&m->lock);
}

static void src_abort_stream(struct mig_src *m)
{
	pthread_mutex_lock(&m->lock);
	m->aborted = true;
	if (m->stream)
		px_stream_abort(m->stream);
	pthread_mutex_unlock(&m->lock);
}

static void src_phase(struct mig_src *m, enum mig_phase phase)
{
	uint64_t now = cm_now_ns();

	m->result.phase_ns[phase] = now - m->mark_ns;
	m->mark_ns = now;
}

/* --- actions ------------------------------------------------------------------------------------ */

static unsigned act_copy(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	if (m->cfg.mode == HV__MIGRATION_MODE__MODE_QUICK || !m->was_running)
		return SRC_EV_FITS;
	src_command(m, SRC_CMD_COPY);
	return SRC_EV_NONE;
}

static unsigned act_held(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	return m->cfg.hold ? SRC_EV_NONE : SRC_EV_GO;
}

static void intent_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_src *m = arg;

	(void)lease;
	src_keep(m, rc < 0 ? err : NULL);
	src_feed(m, rc == 0 ? SRC_EV_INTENT_OK : SRC_EV_INTENT_FAIL, cm_err_name(rc), NULL);
}

static unsigned act_intent(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	stor_lease_intent(m->cfg.lease, &m->welcome.owner, intent_done, m);
	return SRC_EV_NONE;
}

static void src_stopped(struct mig_src *m, int rc)
{
	struct cm_err err = CM_ERR_INIT;

	if (rc == 0)
		rc = cm_fault("mig.src.P9");
	src_phase(m, MIG_PHASE_DRAIN);
	if (rc == 0)
		rc = hv_vm_save(m->cfg.vm, &m->state, &err);
	else
		cm_err_set(&err, rc, "the disks could not be flushed: %s", cm_err_text(rc));
	src_phase(m, MIG_PHASE_SAVE);
	src_keep(m, rc < 0 ? &err : NULL);
	src_feed(m, rc == 0 ? SRC_EV_STOPPED : SRC_EV_STOP_FAIL, "paused, drained, flushed, saved", NULL);
}

static void flush_done(struct stor_req *req, int rc)
{
	struct mig_src *m = req->arg;

	if (rc < 0 && !m->flush_rc)
		m->flush_rc = rc;
	if (--m->flushing == 0)
		src_stopped(m, m->flush_rc);
}

/* vCPUs out, devices drained: now the disks' own caches. */
static void src_drained(void *arg, int error)
{
	const struct hv_vm_config *vc;
	struct mig_src *m = arg;

	vc = hv_vm_config(m->cfg.vm);
	m->flush_rc = error;
	m->flushing = 1;
	for (unsigned i = 0; i < HV_SLOT_BLK_MAX && !error; i++) {
		if (!vc->disk[i].dev || vc->disk[i].read_only)
			continue;
		m->flushing++;
		stor_req_flush(&m->flush[i], flush_done, m);
		stor_dev_submit(vc->disk[i].dev, &m->flush[i]);
	}
	if (--m->flushing == 0)
		src_stopped(m, m->flush_rc);
}

static void src_drained_already(void *arg)
{
	src_drained(arg, 0);
}

static unsigned act_pause(void *ctx, void *arg)
{
	struct mig_src *m = ctx;
	struct cm_err err = CM_ERR_INIT;
	int rc = cm_fault("mig.src.P8");

	(void)arg;
	cm_timer_arm_ms(&m->timer, m->cfg.handover_timeout_ms ? m->cfg.handover_timeout_ms : HANDOVER_DEFAULT_MS);
	m->stop_ns = m->mark_ns = cm_now_ns();
	if (rc < 0)
		cm_err_set(&err, rc, "fault point mig.src.P8");
	else if (m->was_running)
		rc = hv_vm_pause(m->cfg.vm, src_drained, m, &err);
	else
		rc = cm_loop_post(m->loop, src_drained_already, m);
	src_phase(m, MIG_PHASE_PAUSE);
	src_keep(m, rc < 0 ? &err : NULL);
	return rc < 0 ? SRC_EV_STOP_FAIL : SRC_EV_NONE;
}

static unsigned act_final(void *ctx, void *arg)
{
	(void)arg;
	src_command(ctx, SRC_CMD_FINAL);
	return SRC_EV_NONE;
}

static void commit_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_src *m = arg;

	(void)lease;
	src_phase(m, MIG_PHASE_COMMIT);
	m->committed_ns = cm_now_ns();
	src_keep(m, rc < 0 ? err : NULL);
	/* Anything but a clear answer goes to resume(), which asks the block by a COMPARE AND WRITE of its own. */
	src_feed(m, rc == 0 ? SRC_EV_COMMIT_OK : rc == CM_E_LEASE_LOST ? SRC_EV_COMMIT_LOST : SRC_EV_COMMIT_NO,
		 cm_err_name(rc), NULL);
}

static unsigned act_commit(void *ctx, void *arg)
{
	struct mig_src *m = ctx;
	int rc;

	(void)arg;
	cm_timer_disarm(&m->timer);
	src_phase(m, MIG_PHASE_STATE);
	m->result.phase_ns[MIG_PHASE_RAM] = m->ram_ns;
	m->result.phase_ns[MIG_PHASE_STATE] -= CM_MIN(m->ram_ns, m->result.phase_ns[MIG_PHASE_STATE]);
	rc = cm_fault("mig.src.P12");
	if (rc < 0) {
		cm_err_set(&m->result.err, rc, "fault point mig.src.P12");
		return SRC_EV_COMMIT_NO;
	}
	stor_lease_commit(m->cfg.lease, commit_done, m);
	return SRC_EV_NONE;
}

static unsigned act_tell(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	hv_vm_set_run_until(m->cfg.vm, 0);
	src_command(m, SRC_CMD_TELL);
	return SRC_EV_NONE;
}

static unsigned act_quit(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	src_keep(m, arg);
	cm_timer_disarm(&m->timer);
	if (m->result.err.code)
		src_abort_stream(m);
	src_command(m, SRC_CMD_QUIT);
	return SRC_EV_NONE;
}

/* Only remembers why; the operation under way ends first. */
static unsigned act_note(void *ctx, void *arg)
{
	src_keep(ctx, arg);
	return SRC_EV_NONE;
}

static void back_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_src *m = arg;

	(void)lease;
	if (rc < 0) {
		cm_err_clear(&m->result.err); /* who owns the VM is the news now */
		src_keep(m, err);
	}
	src_feed(m, rc == 0 ? SRC_EV_BACK_OK : SRC_EV_BACK_LOST, cm_err_name(rc), NULL);
}

static unsigned act_back(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	src_keep(m, arg);
	if (!m->result.err.code)
		cm_err_set(&m->result.err, CM_E_MIG_PEER, "the hand-over did not complete");
	cm_timer_disarm(&m->timer);
	src_abort_stream(m);
	stor_lease_resume(m->cfg.lease, back_done, m);
	return SRC_EV_NONE;
}

/* A COMPARE AND WRITE was just won: the VM is ours and may run. */
static unsigned act_run_on(void *ctx, void *arg)
{
	struct mig_src *m = ctx;
	struct cm_err err = CM_ERR_INIT;

	(void)arg;
	hv_vm_set_run_until(m->cfg.vm, stor_lease_valid_until(m->cfg.lease));
	if (m->was_running && hv_vm_state(m->cfg.vm) == HV_VM_PAUSED && hv_vm_run(m->cfg.vm, &err) < 0)
		cm_error("%s: the VM could not be resumed: %s", m->label, err.text);
	src_command(m, SRC_CMD_QUIT);
	return SRC_EV_NONE;
}

static unsigned act_lost(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	hv_vm_set_run_until(m->cfg.vm, 0);
	src_abort_stream(m);
	src_command(m, SRC_CMD_QUIT);
	return SRC_EV_NONE;
}

static void src_blackout(struct mig_src *m)
{
	uint64_t there = m->resumed.ns[0] + m->resumed.ns[1];

	m->result.phase_ns[MIG_PHASE_ACCEPT] = m->rtt_ns / 2 + m->resumed.ns[0];
	m->result.phase_ns[MIG_PHASE_RESUME] = m->resumed.ns[1];
	/* It runs there by now. The sum can say more: a destination that did not hear us looks at the block on its own,
	 * and may have begun to before we knew of our commit. */
	if (m->was_running && there)
		m->result.blackout_ns = CM_MIN(m->committed_ns - m->stop_ns + m->rtt_ns / 2 + there,
					       cm_now_ns() - m->stop_ns);
}

static unsigned act_told(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	src_blackout(m);
	if (cm_fault("mig.src.P15") < 0)
		cm_warning("%s: fault point mig.src.P15", m->label);
	return act_quit(m, arg);
}

/* Committed, but the destination's last word did not come: it owns the VM all the same. */
static unsigned act_untold(void *ctx, void *arg)
{
	const struct cm_err *err = arg;

	cm_warning("%s: committed; the destination did not confirm that it runs: %s",
		   ((struct mig_src *)ctx)->label, err ? err->text : "");
	return act_quit(ctx, NULL);
}

static void src_finish(void *arg)
{
	struct mig_src *m = arg;

	pthread_join(m->thread, NULL);
	cm_timer_fini(&m->timer);
	m->result.code = m->result.err.code;
	m->result.total_ns = cm_now_ns() - m->start_ns;
	m->result.vm_runs_here = hv_vm_state(m->cfg.vm) == HV_VM_RUNNING;
	m->result.rounds = m->converge.round;
	m->result.sent_bytes = m->progress.sent_bytes;
	m->result.ram_pages = m->ram.pages;
	m->result.zero_pages = m->ram.zero_pages;
	m->result.state_bytes = m->state.len;
	m->cfg.done(m->cfg.arg, &m->result);
	cm_buf_fini(&m->state);
	px_psk_wipe(&m->psk);
	pthread_cond_destroy(&m->cond);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static unsigned act_end(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	cm_loop_defer(m->loop, src_finish, m);
	return SRC_EV_NONE;
}

/* --- the table ------------------------------------------------------------------------------------ */

#define I CM_IGN
#define B CM_BAD
#define A(state, fn) CM_ACT(SRC_##state, fn)

static const struct cm_fsm_cell src_cells[SRC_STATE_COUNT][SRC_EV_COUNT] = {
	/* CONNECTED FITS GO | INTENT_OK INTENT_FAIL | STOPPED STOP_FAIL | VERIFIED | COMMIT_OK COMMIT_NO COMMIT_LOST TOLD |
	 * FAILED CANCEL TIMEOUT | BACK_OK BACK_LOST | ENDED */
	[SRC_CONNECT] = {B, A(COPY, act_copy), B, B, B, B, B, B, B, B, B, B, B,
			 A(QUIT, act_quit), A(QUIT, act_quit), B, B, B, B},
	[SRC_COPY] = {B, B, A(HELD, act_held), B, B, B, B, B, B, B, B, B, B,
		      A(QUIT, act_quit), A(QUIT, act_quit), B, B, B, B},
	[SRC_HELD] = {B, B, I, A(INTENT, act_intent), B, B, B, B, B, B, B, B, B,
		      A(QUIT, act_quit), A(QUIT, act_quit), B, B, B, B},
	[SRC_INTENT] = {B, B, I, I, A(PAUSE, act_pause), A(BACK, act_back), B, B, B, B, B, B, B,
			A(INTENT_BACK, act_note), A(INTENT_BACK, act_note), B, B, B, B},
	[SRC_INTENT_BACK] = {B, B, I, I, A(BACK, act_back), A(BACK, act_back), B, B, B, B, B, B, B,
			     I, I, B, B, B, B},
	[SRC_PAUSE] = {B, B, I, I, B, B, A(FINAL, act_final), A(BACK, act_back), B, B, B, B, B,
		       A(PAUSE_BACK, act_note), A(PAUSE_BACK, act_note), A(PAUSE_BACK, act_note), B, B, B},
	[SRC_PAUSE_BACK] = {B, B, I, I, B, B, A(BACK, act_back), A(BACK, act_back), B, B, B, B, B,
			    I, I, I, B, B, B},
	[SRC_FINAL] = {B, B, I, I, B, B, B, B, A(COMMIT, act_commit), B, B, B, B,
		       A(BACK, act_back), A(BACK, act_back), A(BACK, act_back), B, B, B},
	[SRC_COMMIT] = {B, B, I, I, B, B, B, B, B, A(TELL, act_tell), A(BACK, act_back), A(QUIT, act_lost), B,
			I, I, I, B, B, B},
	[SRC_TELL] = {B, B, I, I, B, B, B, B, B, B, B, B, A(QUIT, act_told), A(QUIT, act_untold), I, I, B, B, B},
	[SRC_BACK] = {B, B, I, I, B, B, B, B, I, B, B, B, B, I, I, I, A(QUIT, act_run_on), A(QUIT, act_lost), B},
	[SRC_QUIT] = {B, I, I, I, B, B, B, B, I, B, B, B, I, I, I, I, B, B, A(END, act_end)},
	[SRC_END] = {B, B, B, B, B, B, B, B, B, B, B, B, B, B, I, I, B, B, B},
};
#undef I
#undef B
#undef A

#define XX(n) #n,
static const char *const src_state_names[] = {MIG_SRC_STATES(XX)};
static const char *const src_event_names[] = {MIG_SRC_EVENTS(XX)};
#undef XX

static const struct cm_fsm_def src_def = {
	.name = "mig_src",
	.states = SRC_STATE_COUNT,
	.events = SRC_EV_COUNT,
	.state_names = src_state_names,
	.event_names = src_event_names,
	.cells = &src_cells[0][0],
};

const struct cm_fsm_def *mig_src_fsm(void)
{
	return &src_def;
}

/* --- the worker's events, the operator's wishes ----------------------------------------------------- */

struct src_note {
	struct mig_src *m;
	enum mig_src_event event;
	struct cm_err err;
};

static void src_on_note(void *arg)
{
	struct src_note *n = arg;
	struct mig_src *m = n->m;
	struct mig_progress p;

	if (n->event)
		src_feed(m, n->event, n->err.code ? n->err.text : "worker", n->err.code ? &n->err : NULL);
	if (m->cfg.progress && m->fsm.state < SRC_QUIT) {
		mig_src_get_progress(m, &p);
		m->cfg.progress(m->cfg.arg, &p);
	}
	free(n);
}

void mig__src_post(struct mig_src *m, enum mig_src_event event, const struct cm_err *err)
{
	struct src_note *n = calloc(1, sizeof *n);

	CM_ASSERT(n); /* an event that is lost would leave the VM between two owners */
	n->m = m;
	n->event = event;
	if (err)
		n->err = *err;
	CM_ASSERT(cm_loop_post(m->loop, src_on_note, n) == 0);
}

static void src_timeout(struct cm_timer *t, void *arg)
{
	struct cm_err err = CM_ERR_INIT;

	(void)t;
	cm_err_set(&err, CM_E_TIMEOUT, "the hand-over took too long");
	src_feed(arg, SRC_EV_TIMEOUT, "hand-over timer", &err);
}

void mig_src_commit(struct mig_src *m)
{
	m->cfg.hold = false;
	if (m->fsm.state == SRC_HELD)
		src_feed(m, SRC_EV_GO, "released", NULL);
}

int mig_src_cancel(struct mig_src *m, struct cm_err *err)
{
	struct cm_err why = CM_ERR_INIT;

	if (m->fsm.state >= SRC_COMMIT)
		return cm_err_set(err, CM_E_MIG_BUSY, "the hand-over is under way (%s)", cm_fsm_state_name(&m->fsm));
	cm_err_set(&why, CM_E_MIG_CANCELLED, "the migration was cancelled");
	src_feed(m, SRC_EV_CANCEL, "operator", &why);
	return 0;
}

static Hv__MigrationStage src_stage(unsigned state)
{
	switch (state) {
	case SRC_CONNECT:
	case SRC_COPY:
		return HV__MIGRATION_STAGE__STAGE_COPYING;
	case SRC_HELD:
		return HV__MIGRATION_STAGE__STAGE_READY;
	default:
		return HV__MIGRATION_STAGE__STAGE_HANDOVER;
	}
}

void mig_src_get_progress(struct mig_src *m, struct mig_progress *out)
{
	pthread_mutex_lock(&m->lock);
	*out = m->progress;
	pthread_mutex_unlock(&m->lock);
	out->state = cm_fsm_state_name(&m->fsm);
	out->stage = src_stage(m->fsm.state);
	out->elapsed_ns = cm_now_ns() - m->start_ns;
}

static int src_refuse(const struct mig_src_config *cfg, struct cm_err *err)
{
	enum hv_vm_state s = hv_vm_state(cfg->vm);

	if (!cfg->lease)
		return cm_err_set(err, CM_E_UNSUPPORTED, "a VM without an ownership block cannot be handed over");
	if (s != HV_VM_RUNNING && s != HV_VM_PAUSED)
		return cm_err_set(err, CM_E_VM_STATE, "the VM is %s", hv_vm_state_name(s));
	if (cfg->mode != HV__MIGRATION_MODE__MODE_LIVE && cfg->mode != HV__MIGRATION_MODE__MODE_QUICK)
		return cm_err_set(err, CM_E_BAD_VALUE, "migration mode must be live or quick");
	if (cfg->address && strlen(cfg->address) >= sizeof((struct mig_src *)0)->address)
		return cm_err_set(err, CM_E_BAD_VALUE, "address is too long");
	return 0;
}

int mig_src_start(struct mig_src **out, const struct mig_src_config *cfg, struct cm_err *err)
{
	struct mig_src *m = NULL;
	pthread_condattr_t attr;
	int rc = src_refuse(cfg, err);

	if (rc == 0 && !(m = calloc(1, sizeof *m)))
		rc = cm_err_set(err, -ENOMEM, "no memory for a migration");
	if (rc < 0)
		goto fail;
	m->cfg = *cfg;
	m->loop = hv_vm_loop(cfg->vm);
	m->was_running = hv_vm_state(cfg->vm) == HV_VM_RUNNING;
	snprintf(m->node, sizeof m->node, "%s", cfg->node ? cfg->node : "");
	snprintf(m->address, sizeof m->address, "%s", cfg->address ? cfg->address : "");
	snprintf(m->label, sizeof m->label, "migration of %s", hv_vm_config(cfg->vm)->name);
	if (cfg->psk)
		m->psk = *cfg->psk;
	m->start_ns = cm_now_ns();
	cm_buf_init(&m->state, STATE_MAX);
	cm_timer_init(&m->timer, m->loop, src_timeout, m);
	cm_fsm_init(&m->fsm, &src_def, SRC_CONNECT, m, m->label);
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->cond, &attr);
	pthread_condattr_destroy(&attr);
	rc = -pthread_create(&m->thread, NULL, mig__src_thread, m);
	if (rc < 0) {
		cm_err_set(err, rc, "no thread for a migration");
		cm_timer_fini(&m->timer);
		goto fail;
	}
	*out = m;
	return 0;
fail:
	free(m);
	if (!cfg->address && cfg->fd >= 0)
		close(cfg->fd);
	return rc;
}
