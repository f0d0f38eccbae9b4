/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_dst_fsm.c - the destination's state machine: greet, receive, verify, then run what the
 * ownership block says is ours.
 *
 * Runs on the loop; the worker (mig_dst_work.c) receives. Whether the source committed is read from
 * the block: its message or its silence only says when to look (rules 1, 4 and 5 of the ownership
 * block). Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/machine/hv_devices.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_compat.h"
#include "migration/mig_dst_int.h"
#include "migration/mig_vm.h"
#include "sharedstorage/lease/stor_lease.h"

#define GIVE_UP_DEFAULT_MS 60000u
#define RETRY_MS	   100u
#define AGAIN_MS	   5000u /* after a refused decline */

static void dst_feed(struct mig_dst *m, enum mig_dst_event event, const char *reason,
		     struct cm_err *err)
{
	(void)cm_fsm_feed(&m->fsm, event, reason, err);
}

static void dst_keep(struct mig_dst *m, const struct cm_err *err)
{
	if (err && err->code)
		cm_err_set(&m->result.err, err->code, "%s", err->text);
}

/* --- landing --- */

static int dst_check(struct mig_dst *m, struct cm_err *err)
{
	struct hv_cpuid supported;
	int rc;

	rc = mig_compat_ticket(&m->hello, m->cfg.epoch, m->source[0] ? m->source : NULL, err);
	if (rc == 0)
		rc = mig_vm_supported(m->cfg.vm, &supported, err);
	if (rc == 0)
		rc = mig_vm_check(m->cfg.vm, &m->hello, &m->contract, &supported, err);
	/* Now, while the guest still runs there: it takes time. */
	return rc < 0 ? rc : hv_vm_prepare(m->cfg.vm, &m->contract, err);
}

static unsigned act_greet(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;
	struct cm_err err = CM_ERR_INIT;

	(void)arg;
	if (dst_check(m, &err) < 0) {
		dst_keep(m, &err);
		return DST_EV_FAILED;
	}
	m->welcome.format = CM_MIN(m->hello.format, MIG_FORMAT);
	stor_lease_self(m->cfg.lease, &m->welcome.owner);
	mig_worker_command(&m->worker, DST_CMD_RECEIVE);
	return DST_EV_NONE;
}

static unsigned act_load(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;
	struct cm_err err = CM_ERR_INIT;
	uint64_t t0 = cm_now_ns();

	(void)arg;
	if (hv_vm_load(m->cfg.vm, m->state.data, m->state.len, &err) < 0) {
		dst_keep(m, &err);
		return DST_EV_FAILED;
	}
	m->verified.ns[0] = cm_now_ns() - t0;
	m->deadline_ns =
		cm_now_ns() +
		(m->cfg.give_up_ms ? m->cfg.give_up_ms : GIVE_UP_DEFAULT_MS) * CM_NS_PER_MS;
	mig_worker_command(&m->worker, DST_CMD_VERIFIED);
	return DST_EV_NONE;
}

/* --- who owns it? --- */

static void accept_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_dst *m = arg;
	struct cm_err why = *err;

	(void)lease;
	if (rc == 0)
		dst_feed(m, DST_EV_OWNED, "the block says so, and a renewal was won", NULL);
	else if (rc == -EAGAIN || rc == -EBUSY || rc == -ECANCELED || rc == CM_E_SAN_LOST ||
		 rc == CM_E_SAN_TIMEOUT)
		dst_feed(m, DST_EV_NOT_YET, cm_err_name(rc), NULL);
	else
		dst_feed(m, DST_EV_GONE, cm_err_name(rc), &why);
}

static unsigned act_accept(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	(void)arg;
	if (!m->decided_ns)
		m->decided_ns = cm_now_ns();
	stor_lease_accept(m->cfg.lease, accept_done, m);
	return DST_EV_NONE;
}

static unsigned act_committed(void *ctx, void *arg)
{
	((struct mig_dst *)ctx)->decided_ns = cm_now_ns();
	return act_accept(ctx, arg);
}

static unsigned act_wait(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	(void)arg;
	if (m->permit)
		return DST_EV_PERMIT;
	if (cm_now_ns() >= m->deadline_ns)
		return DST_EV_GIVE_UP;
	cm_timer_arm_ms(&m->timer, RETRY_MS);
	return DST_EV_NONE;
}

static void decline_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_dst *m = arg;

	(void)lease;
	(void)err;
	dst_feed(m, rc == 0 ? DST_EV_DECLINED : DST_EV_DECLINE_FAIL, cm_err_name(rc), NULL);
}

static unsigned act_decline(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	dst_keep(m, arg);
	if (!m->result.err.code)
		cm_err_set(&m->result.err, CM_E_MIG_PEER,
			   "the source did not hand the VM over in time");
	cm_timer_disarm(&m->timer);
	stor_lease_decline(m->cfg.lease, decline_done, m);
	return DST_EV_NONE;
}

/* The intent could not be cleared: most likely the source has committed just now. Ask again. */
static unsigned act_again(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	m->deadline_ns = cm_now_ns() + AGAIN_MS * CM_NS_PER_MS;
	return act_accept(ctx, arg);
}

static unsigned act_cancel_soon(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	dst_keep(m, arg);
	m->deadline_ns = 0;
	return DST_EV_NONE;
}

static void take_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_dst *m = arg;

	(void)lease;
	if (rc < 0)
		cm_warning("%s: takeover refused: %s", m->label, err->text);
	dst_feed(m, rc == 0 ? DST_EV_OWNED : DST_EV_TAKE_FAIL, cm_err_name(rc), NULL);
}

static unsigned act_take(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;
	struct stor_permit *permit = m->permit;

	(void)arg;
	m->permit = NULL;
	cm_timer_disarm(&m->timer);
	mig_worker_abort(&m->worker); /* what it might still say does not count any more */
	stor_lease_take_over(m->cfg.lease, permit, true, take_done, m);
	return DST_EV_NONE;
}

/* --- it is ours --- */

static void dst_announce(struct mig_dst *m)
{
	hv_lock_take(hv_vm_lock(m->cfg.vm));
	for (unsigned i = 0; i < HV_SLOT_NET_MAX; i++) {
		struct hv_dev *nic = hv_vm_dev(m->cfg.vm, hv_dev_net.name, i);

		if (nic)
			hv_net_announce(nic);
	}
	hv_lock_drop(hv_vm_lock(m->cfg.vm));
}

static unsigned act_run(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;
	struct cm_err err = CM_ERR_INIT;
	int rc = 0;

	(void)arg;
	if (cm_fault("mig.dst.took") < 0)
		cm_warning("%s: fault point mig.dst.took", m->label);
	cm_timer_disarm(&m->timer);
	cm_err_clear(&m->result.err);
	m->owned_ns = cm_now_ns();
	if (m->cfg.landed)
		m->cfg.landed(m->cfg.arg);
	hv_vm_set_run_until(m->cfg.vm, stor_lease_valid_until(m->cfg.lease));
	if (!m->hello.paused)
		rc = hv_vm_run(m->cfg.vm, &err);
	if (rc < 0)
		/* Owned but not running: the owner of this process must see it. */
		dst_keep(m, &err);
	else if (!m->hello.paused)
		dst_announce(m);
	cm_timer_arm_ns(&m->timer, MIG_DST_LOOK_NS);
	return DST_EV_NONE;
}

static unsigned act_started(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;
	uint64_t started = hv_vm_started_at_ns(m->cfg.vm);

	(void)arg;
	m->resumed.code = (uint32_t)-m->result.err.code;
	m->resumed.ns[0] = m->owned_ns - m->decided_ns;
	m->resumed.ns[1] = started > m->owned_ns ? started - m->owned_ns : 0;
	m->result.phase_ns[MIG_PHASE_ACCEPT] = m->resumed.ns[0];
	m->result.phase_ns[MIG_PHASE_RESUME] = m->resumed.ns[1];
	mig_worker_command(&m->worker, DST_CMD_RESUMED);
	return DST_EV_NONE;
}

/* --- the end --- */

static unsigned act_quit(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	dst_keep(m, arg);
	if (!m->result.err.code)
		cm_err_set(&m->result.err, CM_E_MIG_PEER, "the migration ended without the VM");
	m->last_words.code = (uint32_t)-m->result.err.code;
	snprintf(m->last_words.text, sizeof m->last_words.text, "%.200s", m->result.err.text);
	cm_timer_disarm(&m->timer);
	mig_worker_command(&m->worker, DST_CMD_QUIT);
	return DST_EV_NONE;
}

static unsigned act_quit_abort(void *ctx, void *arg)
{
	mig_worker_abort(&((struct mig_dst *)ctx)->worker);
	return act_quit(ctx, arg);
}

static void dst_finish(void *arg)
{
	struct mig_dst *m = arg;
	struct mig_progress last;

	mig_worker_get_progress(&m->worker, &last);
	mig_worker_join(&m->worker);
	cm_timer_fini(&m->timer);
	m->result.code = m->result.err.code;
	m->result.total_ns = cm_now_ns() - m->start_ns;
	m->result.vm_runs_here = hv_vm_state(m->cfg.vm) == HV_VM_RUNNING;
	m->result.rounds = last.round;
	m->result.sent_bytes = m->received_bytes;
	m->result.ram_pages = m->ram.pages;
	m->result.zero_pages = m->ram.zero_pages;
	m->result.state_bytes = m->state.len;
	m->cfg.done(m->cfg.arg, &m->result);
	cm_buf_fini(&m->state);
	px_psk_wipe(&m->psk);
	stor_permit_free(m->permit);
	free(m);
}

static unsigned act_end(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	(void)arg;
	cm_loop_defer(m->loop, dst_finish, m);
	return DST_EV_NONE;
}

/* --- the table --- */

// clang-format off
#define A(next, fn) CM_ACT(DST_##next, fn)
#define ON(s, e)    [DST_##s * DST_EV_COUNT + DST_EV_##e]
/* Answers of the lease to what was not asked in this state. */
#define NO_ACCEPT(s)  ON(s, OWNED) = CM_BAD, ON(s, NOT_YET) = CM_BAD, ON(s, GONE) = CM_BAD
#define NO_DECLINE(s) ON(s, DECLINED) = CM_BAD, ON(s, DECLINE_FAIL) = CM_BAD
/* Nothing is verified yet: it just ends. */
#define BEFORE(s)                                                                                  \
	ON(s, COMMITTED) = CM_BAD, ON(s, SILENT) = CM_BAD, ON(s, FAILED) = A(QUIT, act_quit),      \
	NO_ACCEPT(s), ON(s, RETRY) = CM_BAD, ON(s, GIVE_UP) = CM_BAD, NO_DECLINE(s),               \
	ON(s, PERMIT) = CM_BAD, ON(s, TAKE_FAIL) = CM_BAD, ON(s, STARTED) = CM_BAD,                \
	ON(s, CANCEL) = A(QUIT, act_quit_abort), ON(s, ENDED) = CM_BAD
/* All of it is here: neither greeted nor received again, and the worker stays. */
#define HERE(s) ON(s, HELLO) = CM_BAD, ON(s, LANDED) = CM_BAD, ON(s, ENDED) = CM_BAD
/* The block is being asked or written: what the source says does not count. */
#define DEAF(s) ON(s, COMMITTED) = CM_IGN, ON(s, SILENT) = CM_IGN, ON(s, FAILED) = CM_IGN

static const struct cm_fsm_cell dst_cells[DST_STATE_COUNT * DST_EV_COUNT] = {
	ON(LISTEN, HELLO) = A(RECEIVE, act_greet),
	ON(LISTEN, LANDED) = CM_BAD,
	BEFORE(LISTEN),

	ON(RECEIVE, HELLO) = CM_BAD,
	ON(RECEIVE, LANDED) = A(VERIFIED, act_load),
	BEFORE(RECEIVE),

	HERE(VERIFIED),
	ON(VERIFIED, COMMITTED) = A(ACCEPT, act_committed),
	ON(VERIFIED, SILENT) = A(ACCEPT, act_accept),
	ON(VERIFIED, FAILED) = A(QUIT, act_quit),
	NO_ACCEPT(VERIFIED),
	ON(VERIFIED, RETRY) = CM_BAD,
	ON(VERIFIED, GIVE_UP) = CM_BAD,
	NO_DECLINE(VERIFIED),
	ON(VERIFIED, PERMIT) = A(TAKE, act_take),
	ON(VERIFIED, TAKE_FAIL) = CM_BAD,
	ON(VERIFIED, STARTED) = CM_BAD,
	ON(VERIFIED, CANCEL) = A(DECLINE, act_decline),

	HERE(ACCEPT),
	DEAF(ACCEPT),
	ON(ACCEPT, OWNED) = A(START, act_run),
	ON(ACCEPT, NOT_YET) = A(WAIT, act_wait),
	ON(ACCEPT, GONE) = A(QUIT, act_quit),
	ON(ACCEPT, RETRY) = CM_IGN,
	ON(ACCEPT, GIVE_UP) = CM_BAD,
	NO_DECLINE(ACCEPT),
	ON(ACCEPT, PERMIT) = CM_IGN,
	ON(ACCEPT, TAKE_FAIL) = CM_BAD,
	ON(ACCEPT, STARTED) = CM_BAD,
	ON(ACCEPT, CANCEL) = A(ACCEPT, act_cancel_soon),

	HERE(WAIT),
	ON(WAIT, COMMITTED) = A(ACCEPT, act_committed),
	ON(WAIT, SILENT) = CM_IGN,
	ON(WAIT, FAILED) = CM_IGN,
	NO_ACCEPT(WAIT),
	ON(WAIT, RETRY) = A(ACCEPT, act_accept),
	ON(WAIT, GIVE_UP) = A(DECLINE, act_decline),
	NO_DECLINE(WAIT),
	ON(WAIT, PERMIT) = A(TAKE, act_take),
	ON(WAIT, TAKE_FAIL) = CM_BAD,
	ON(WAIT, STARTED) = CM_BAD,
	ON(WAIT, CANCEL) = A(DECLINE, act_decline),

	HERE(DECLINE),
	DEAF(DECLINE),
	NO_ACCEPT(DECLINE),
	ON(DECLINE, RETRY) = CM_IGN,
	ON(DECLINE, GIVE_UP) = CM_BAD,
	ON(DECLINE, DECLINED) = A(QUIT, act_quit_abort),
	ON(DECLINE, DECLINE_FAIL) = A(ACCEPT, act_again),
	ON(DECLINE, PERMIT) = CM_IGN,
	ON(DECLINE, TAKE_FAIL) = CM_BAD,
	ON(DECLINE, STARTED) = CM_BAD,
	ON(DECLINE, CANCEL) = CM_IGN,

	HERE(TAKE),
	DEAF(TAKE),
	ON(TAKE, OWNED) = A(START, act_run),
	ON(TAKE, NOT_YET) = CM_BAD,
	ON(TAKE, GONE) = CM_BAD,
	ON(TAKE, RETRY) = CM_IGN,
	ON(TAKE, GIVE_UP) = CM_BAD,
	NO_DECLINE(TAKE),
	ON(TAKE, PERMIT) = CM_IGN,
	ON(TAKE, TAKE_FAIL) = A(WAIT, act_wait),
	ON(TAKE, STARTED) = CM_BAD,
	ON(TAKE, CANCEL) = A(TAKE, act_cancel_soon),

	HERE(START),
	DEAF(START),
	NO_ACCEPT(START),
	ON(START, RETRY) = CM_IGN,
	ON(START, GIVE_UP) = CM_BAD,
	NO_DECLINE(START),
	ON(START, PERMIT) = CM_IGN,
	ON(START, TAKE_FAIL) = CM_BAD,
	ON(START, STARTED) = A(QUIT, act_started),
	ON(START, CANCEL) = CM_IGN,

	ON(QUIT, HELLO) = CM_IGN,
	ON(QUIT, LANDED) = CM_IGN,
	DEAF(QUIT),
	NO_ACCEPT(QUIT),
	ON(QUIT, RETRY) = CM_IGN,
	ON(QUIT, GIVE_UP) = CM_BAD,
	NO_DECLINE(QUIT),
	ON(QUIT, PERMIT) = CM_IGN,
	ON(QUIT, TAKE_FAIL) = CM_BAD,
	ON(QUIT, STARTED) = CM_IGN,
	ON(QUIT, CANCEL) = CM_IGN,
	ON(QUIT, ENDED) = A(END, act_end),

	HERE(END),
	ON(END, COMMITTED) = CM_BAD,
	ON(END, SILENT) = CM_BAD,
	ON(END, FAILED) = CM_BAD,
	NO_ACCEPT(END),
	ON(END, RETRY) = CM_IGN,
	ON(END, GIVE_UP) = CM_BAD,
	NO_DECLINE(END),
	ON(END, PERMIT) = CM_IGN,
	ON(END, TAKE_FAIL) = CM_BAD,
	ON(END, STARTED) = CM_BAD,
	ON(END, CANCEL) = CM_IGN,
};
// clang-format on
CM_FSM_DEFINE(dst_def, "mig_dst", MIG_DST_STATES, MIG_DST_EVENTS, dst_cells);

const struct cm_fsm_def *mig_dst_fsm(void)
{
	return &dst_def;
}
