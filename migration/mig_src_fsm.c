/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src_fsm.c - the source's state machine: copy, intent, pause, hand-over, commit, or back to
 * where it was.
 *
 * Runs on the loop; the worker (mig_src_work.c) moves the bytes. Ownership moves by stor_lease
 * only: whatever the peer says, this end gives the VM away by one COMPARE AND WRITE, and runs on
 * only after another one (rules 1 to 3 of the ownership block). Parses nothing.
 */
#include "config.h"

#include <stdlib.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_src_int.h"
#include "sharedstorage/lease/stor_lease.h"

#define HANDOVER_DEFAULT_MS 30000u

static void src_feed(struct mig_src *m, enum mig_src_event event, const char *reason,
		     struct cm_err *err)
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
	mig_worker_command(&m->worker, cmd);
}

static void src_phase(struct mig_src *m, enum mig_phase phase)
{
	uint64_t now = cm_now_ns();

	m->result.phase_ns[phase] = now - m->mark_ns;
	m->mark_ns = now;
}

/* --- actions --- */

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

/* vCPUs out, devices drained, disks flushed. */
static void src_stopped(void *arg, int rc)
{
	struct mig_src *m = arg;
	struct cm_err err = CM_ERR_INIT;

	if (rc == 0)
		rc = cm_fault("mig.src.flushed");
	src_phase(m, MIG_PHASE_DRAIN);
	if (rc == 0)
		rc = hv_vm_save(m->cfg.vm, &m->state, &err);
	else
		cm_err_set(&err, rc, "the disks could not be flushed: %s", cm_err_text(rc));
	src_phase(m, MIG_PHASE_SAVE);
	src_keep(m, rc < 0 ? &err : NULL);
	src_feed(m, rc == 0 ? SRC_EV_STOPPED : SRC_EV_STOP_FAIL, "paused, drained, flushed, saved",
		 NULL);
}

/* vCPUs out, devices drained: now the disks' own caches. */
static void src_drained(void *arg, int error)
{
	struct mig_src *m = arg;

	if (error)
		src_stopped(m, error);
	else
		hv_vm_flush_start(&m->flush, m->cfg.vm, src_stopped, m);
}

static void src_drained_already(void *arg)
{
	src_drained(arg, 0);
}

static unsigned act_pause(void *ctx, void *arg)
{
	struct mig_src *m = ctx;
	struct cm_err err = CM_ERR_INIT;
	int rc = cm_fault_err("mig.src.pause", &err);

	(void)arg;
	cm_timer_arm_ms(&m->timer, m->cfg.handover_timeout_ms ? m->cfg.handover_timeout_ms
							      : HANDOVER_DEFAULT_MS);
	m->stop_ns = m->mark_ns = cm_now_ns();
	if (rc == 0 && m->was_running)
		rc = hv_vm_pause(m->cfg.vm, src_drained, m, &err);
	else if (rc == 0)
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
	/* Anything but a clear answer goes to resume(), which asks the block by a COMPARE AND WRITE
	 * of its own. */
	src_feed(m,
		 rc == 0		 ? SRC_EV_COMMIT_OK
		 : rc == CM_E_LEASE_LOST ? SRC_EV_COMMIT_LOST
					 : SRC_EV_COMMIT_NO,
		 cm_err_name(rc), NULL);
}

static unsigned act_commit(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	cm_timer_disarm(&m->timer);
	src_phase(m, MIG_PHASE_STATE);
	m->result.phase_ns[MIG_PHASE_RAM] = m->ram_ns;
	m->result.phase_ns[MIG_PHASE_STATE] -=
		CM_MIN(m->ram_ns, m->result.phase_ns[MIG_PHASE_STATE]);
	if (cm_fault_err("mig.src.verified", &m->result.err) < 0)
		return SRC_EV_COMMIT_NO;
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
		mig_worker_abort(&m->worker);
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
	mig_worker_abort(&m->worker);
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
	if (m->was_running && hv_vm_state(m->cfg.vm) == HV_VM_PAUSED &&
	    hv_vm_run(m->cfg.vm, &err) < 0)
		cm_error("%s: the VM could not be resumed: %s", m->label, err.text);
	src_command(m, SRC_CMD_QUIT);
	return SRC_EV_NONE;
}

static unsigned act_lost(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	hv_vm_set_run_until(m->cfg.vm, 0);
	mig_worker_abort(&m->worker);
	src_command(m, SRC_CMD_QUIT);
	return SRC_EV_NONE;
}

static void src_blackout(struct mig_src *m)
{
	uint64_t there = m->resumed.ns[0] + m->resumed.ns[1];

	m->result.phase_ns[MIG_PHASE_ACCEPT] = m->rtt_ns / 2 + m->resumed.ns[0];
	m->result.phase_ns[MIG_PHASE_RESUME] = m->resumed.ns[1];
	/* It runs there by now. The sum can say more: a destination that did not hear us looks at
	 * the block on its own, and may have begun to before we knew of our commit. */
	if (m->was_running && there)
		m->result.blackout_ns = CM_MIN(m->committed_ns - m->stop_ns + m->rtt_ns / 2 + there,
					       cm_now_ns() - m->stop_ns);
}

static unsigned act_told(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	src_blackout(m);
	if (cm_fault("mig.src.told") < 0)
		cm_warning("%s: fault point mig.src.told", m->label);
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

	mig_worker_join(&m->worker);
	cm_timer_fini(&m->timer);
	m->result.code = m->result.err.code;
	m->result.total_ns = cm_now_ns() - m->start_ns;
	m->result.vm_runs_here = hv_vm_state(m->cfg.vm) == HV_VM_RUNNING;
	m->result.rounds = m->converge.round;
	m->result.sent_bytes = m->sent_bytes;
	m->result.ram_pages = m->ram.pages;
	m->result.zero_pages = m->ram.zero_pages;
	m->result.state_bytes = m->state.len;
	m->cfg.done(m->cfg.arg, &m->result);
	cm_buf_fini(&m->state);
	px_psk_wipe(&m->psk);
	free(m);
}

static unsigned act_end(void *ctx, void *arg)
{
	struct mig_src *m = ctx;

	(void)arg;
	cm_loop_defer(m->loop, src_finish, m);
	return SRC_EV_NONE;
}

/* --- the table --- */

// clang-format off
#define A(next, fn) CM_ACT(SRC_##next, fn)
#define ON(s, e)    [SRC_##s * SRC_EV_COUNT + SRC_EV_##e]
/* Answers to what was not asked in this state. */
#define NO_INTENT(s) ON(s, INTENT_OK) = CM_BAD, ON(s, INTENT_FAIL) = CM_BAD
#define NO_STOP(s)   ON(s, STOPPED) = CM_BAD, ON(s, STOP_FAIL) = CM_BAD
#define NO_COMMIT(s)                                                                               \
	ON(s, COMMIT_OK) = CM_BAD, ON(s, COMMIT_NO) = CM_BAD, ON(s, COMMIT_LOST) = CM_BAD
#define NO_BACK(s)   ON(s, BACK_OK) = CM_BAD, ON(s, BACK_LOST) = CM_BAD
/* Nothing is promised yet: it just ends. */
#define BEFORE(s)                                                                                  \
	NO_INTENT(s), NO_STOP(s), ON(s, VERIFIED) = CM_BAD, NO_COMMIT(s), ON(s, TOLD) = CM_BAD,    \
	ON(s, FAILED) = A(QUIT, act_quit), ON(s, CANCEL) = A(QUIT, act_quit),                      \
	ON(s, TIMEOUT) = CM_BAD, NO_BACK(s), ON(s, ENDED) = CM_BAD
/* The hand-over is under way: rounds that still fit, and who releases it, come too late. */
#define UNDER_WAY(s)                                                                               \
	ON(s, CONNECTED) = CM_BAD, ON(s, FITS) = CM_IGN, ON(s, GO) = CM_IGN, ON(s, ENDED) = CM_BAD
/* What is being done ends first, whatever fails meanwhile. */
#define DEAF(s) ON(s, FAILED) = CM_IGN, ON(s, CANCEL) = CM_IGN, ON(s, TIMEOUT) = CM_IGN

static const struct cm_fsm_cell src_cells[SRC_STATE_COUNT * SRC_EV_COUNT] = {
	ON(CONNECT, CONNECTED) = A(COPY, act_copy),
	ON(CONNECT, FITS) = CM_BAD,
	ON(CONNECT, GO) = CM_BAD,
	BEFORE(CONNECT),

	ON(COPY, CONNECTED) = CM_BAD,
	ON(COPY, FITS) = A(HELD, act_held),
	ON(COPY, GO) = CM_BAD,
	BEFORE(COPY),

	ON(HELD, CONNECTED) = CM_BAD,
	ON(HELD, FITS) = CM_IGN,
	ON(HELD, GO) = A(INTENT, act_intent),
	BEFORE(HELD),

	UNDER_WAY(INTENT),
	ON(INTENT, INTENT_OK) = A(PAUSE, act_pause),
	ON(INTENT, INTENT_FAIL) = A(BACK, act_back),
	NO_STOP(INTENT),
	ON(INTENT, VERIFIED) = CM_BAD,
	NO_COMMIT(INTENT),
	ON(INTENT, TOLD) = CM_BAD,
	ON(INTENT, FAILED) = A(INTENT_BACK, act_note),
	ON(INTENT, CANCEL) = A(INTENT_BACK, act_note),
	ON(INTENT, TIMEOUT) = CM_BAD,
	NO_BACK(INTENT),

	UNDER_WAY(INTENT_BACK),
	ON(INTENT_BACK, INTENT_OK) = A(BACK, act_back),
	ON(INTENT_BACK, INTENT_FAIL) = A(BACK, act_back),
	NO_STOP(INTENT_BACK),
	ON(INTENT_BACK, VERIFIED) = CM_BAD,
	NO_COMMIT(INTENT_BACK),
	ON(INTENT_BACK, TOLD) = CM_BAD,
	ON(INTENT_BACK, FAILED) = CM_IGN,
	ON(INTENT_BACK, CANCEL) = CM_IGN,
	ON(INTENT_BACK, TIMEOUT) = CM_BAD,
	NO_BACK(INTENT_BACK),

	UNDER_WAY(PAUSE),
	NO_INTENT(PAUSE),
	ON(PAUSE, STOPPED) = A(FINAL, act_final),
	ON(PAUSE, STOP_FAIL) = A(BACK, act_back),
	ON(PAUSE, VERIFIED) = CM_BAD,
	NO_COMMIT(PAUSE),
	ON(PAUSE, TOLD) = CM_BAD,
	ON(PAUSE, FAILED) = A(PAUSE_BACK, act_note),
	ON(PAUSE, CANCEL) = A(PAUSE_BACK, act_note),
	ON(PAUSE, TIMEOUT) = A(PAUSE_BACK, act_note),
	NO_BACK(PAUSE),

	UNDER_WAY(PAUSE_BACK),
	NO_INTENT(PAUSE_BACK),
	ON(PAUSE_BACK, STOPPED) = A(BACK, act_back),
	ON(PAUSE_BACK, STOP_FAIL) = A(BACK, act_back),
	ON(PAUSE_BACK, VERIFIED) = CM_BAD,
	NO_COMMIT(PAUSE_BACK),
	ON(PAUSE_BACK, TOLD) = CM_BAD,
	DEAF(PAUSE_BACK),
	NO_BACK(PAUSE_BACK),

	UNDER_WAY(FINAL),
	NO_INTENT(FINAL),
	NO_STOP(FINAL),
	ON(FINAL, VERIFIED) = A(COMMIT, act_commit),
	NO_COMMIT(FINAL),
	ON(FINAL, TOLD) = CM_BAD,
	ON(FINAL, FAILED) = A(BACK, act_back),
	ON(FINAL, CANCEL) = A(BACK, act_back),
	ON(FINAL, TIMEOUT) = A(BACK, act_back),
	NO_BACK(FINAL),

	UNDER_WAY(COMMIT),
	NO_INTENT(COMMIT),
	NO_STOP(COMMIT),
	ON(COMMIT, VERIFIED) = CM_BAD,
	ON(COMMIT, COMMIT_OK) = A(TELL, act_tell),
	ON(COMMIT, COMMIT_NO) = A(BACK, act_back),
	ON(COMMIT, COMMIT_LOST) = A(QUIT, act_lost),
	ON(COMMIT, TOLD) = CM_BAD,
	DEAF(COMMIT),
	NO_BACK(COMMIT),

	UNDER_WAY(TELL),
	NO_INTENT(TELL),
	NO_STOP(TELL),
	ON(TELL, VERIFIED) = CM_BAD,
	NO_COMMIT(TELL),
	ON(TELL, TOLD) = A(QUIT, act_told),
	ON(TELL, FAILED) = A(QUIT, act_untold),
	ON(TELL, CANCEL) = CM_IGN,
	ON(TELL, TIMEOUT) = CM_IGN,
	NO_BACK(TELL),

	UNDER_WAY(BACK),
	NO_INTENT(BACK),
	NO_STOP(BACK),
	ON(BACK, VERIFIED) = CM_IGN,
	NO_COMMIT(BACK),
	ON(BACK, TOLD) = CM_BAD,
	DEAF(BACK),
	ON(BACK, BACK_OK) = A(QUIT, act_run_on),
	ON(BACK, BACK_LOST) = A(QUIT, act_lost),

	ON(QUIT, CONNECTED) = CM_IGN,
	ON(QUIT, FITS) = CM_IGN,
	ON(QUIT, GO) = CM_IGN,
	NO_INTENT(QUIT),
	NO_STOP(QUIT),
	ON(QUIT, VERIFIED) = CM_IGN,
	NO_COMMIT(QUIT),
	ON(QUIT, TOLD) = CM_IGN,
	DEAF(QUIT),
	NO_BACK(QUIT),
	ON(QUIT, ENDED) = A(END, act_end),

	ON(END, CONNECTED) = CM_BAD,
	ON(END, FITS) = CM_BAD,
	ON(END, GO) = CM_BAD,
	NO_INTENT(END),
	NO_STOP(END),
	ON(END, VERIFIED) = CM_BAD,
	NO_COMMIT(END),
	ON(END, TOLD) = CM_BAD,
	ON(END, FAILED) = CM_BAD,
	ON(END, CANCEL) = CM_IGN,
	ON(END, TIMEOUT) = CM_IGN,
	NO_BACK(END),
	ON(END, ENDED) = CM_BAD,
};
// clang-format on
CM_FSM_DEFINE(src_def, "mig_src", MIG_SRC_STATES, MIG_SRC_EVENTS, src_cells);

const struct cm_fsm_def *mig_src_fsm(void)
{
	return &src_def;
}
