/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_dst.c - the destination's state machine: greet, receive, verify, then run what the ownership block says is ours.
 *
 * Runs on the loop; the worker (mig_dst_work.c) receives. Whether the source committed is read from the block: its message
 * or its silence only says when to look (rules 1, 4 and 5 of the ownership block).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/devices/hv_devices.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_compat.h"
#include "migration/mig_dst_int.h"
#include "sharedstorage/lease/stor_lease.h"

#define GIVE_UP_DEFAULT_MS 60000u
#define RETRY_MS  100u
#define AGAIN_MS  5000u /* after a refused decline */
#define LOOK_NS   500000u
#define STATE_MAX (16u << 20)

static void dst_feed(struct mig_dst *m, enum mig_dst_event event, const char *reason, struct cm_err *err)
{
	(void)cm_fsm_feed(&m->fsm, event, reason, err);
}

static void dst_keep(struct mig_dst *m, const struct cm_err *err)
{
	if (err && err->code)
		cm_err_set(&m->result.err, err->code, "%s", err->text);
}

static void dst_command(struct mig_dst *m, enum mig_dst_cmd cmd)
{
	pthread_mutex_lock(&m->lock);
	m->cmd = cmd;
	pthread_cond_signal(&m->cond);
	pthread_mutex_unlock(&m->lock);
}

static void dst_abort_stream(struct mig_dst *m)
{
	pthread_mutex_lock(&m->lock);
	m->aborted = true;
	if (m->stream)
		px_stream_abort(m->stream);
	pthread_mutex_unlock(&m->lock);
}

/* --- landing ---------------------------------------------------------------------------------------- */

static int dst_check(struct mig_dst *m, struct cm_err *err)
{
	const struct hv_vm_config *vc = hv_vm_config(m->cfg.vm);
	struct hv_cpuid supported;
	struct mig_compat_host host = {.machine = HV_MACHINE_NAME, .memory_bytes = vc->memory_bytes,
				       .vcpus = vc->cpus, .supported = &supported};
	int rc;

	memcpy(host.uuid, vc->uuid, sizeof host.uuid);
	rc = mig_compat_ticket(&m->hello, m->cfg.epoch, m->source[0] ? m->source : NULL, err);
	if (rc == 0 && hv_vm_engine_ops(m->cfg.vm)->cpuid_supported(hv_vm_engine(m->cfg.vm), &supported) < 0)
		rc = cm_err_set(err, CM_E_NO_ENGINE, "the engine here does not tell what it offers");
	if (rc == 0)
		rc = mig_compat_check(&m->hello, &m->contract, &host, err);
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
	dst_command(m, DST_CMD_RECEIVE);
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
	m->deadline_ns = cm_now_ns() + (m->cfg.give_up_ms ? m->cfg.give_up_ms : GIVE_UP_DEFAULT_MS) * CM_NS_PER_MS;
	dst_command(m, DST_CMD_VERIFIED);
	return DST_EV_NONE;
}

/* --- who owns it? -------------------------------------------------------------------------------------- */

static void accept_done(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct mig_dst *m = arg;
	struct cm_err why = *err;

	(void)lease;
	if (rc == 0)
		dst_feed(m, DST_EV_OWNED, "the block says so, and a renewal was won", NULL);
	else if (rc == -EAGAIN || rc == -EBUSY || rc == -ECANCELED || rc == CM_E_SAN_LOST || rc == CM_E_SAN_TIMEOUT)
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
		cm_err_set(&m->result.err, CM_E_MIG_PEER, "the source did not hand the VM over in time");
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
	dst_abort_stream(m); /* what it might still say does not count any more */
	stor_lease_take_over(m->cfg.lease, permit, true, take_done, m);
	return DST_EV_NONE;
}

/* --- it is ours -------------------------------------------------------------------------------------------- */

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
	if (cm_fault("mig.dst.P14") < 0)
		cm_warning("%s: fault point mig.dst.P14", m->label);
	cm_timer_disarm(&m->timer);
	cm_err_clear(&m->result.err);
	m->owned_ns = cm_now_ns();
	if (m->cfg.landed)
		m->cfg.landed(m->cfg.arg);
	hv_vm_set_run_until(m->cfg.vm, stor_lease_valid_until(m->cfg.lease));
	if (!m->hello.paused)
		rc = hv_vm_run(m->cfg.vm, &err);
	if (rc < 0)
		dst_keep(m, &err); /* owned but not running: the owner of this process must see it */
	else if (!m->hello.paused)
		dst_announce(m);
	cm_timer_arm_ns(&m->timer, LOOK_NS);
	return DST_EV_NONE;
}

/* The first vCPU is in the guest (or will not be). */
static bool dst_started(struct mig_dst *m)
{
	return m->hello.paused || m->result.err.code || hv_vm_state(m->cfg.vm) != HV_VM_RUNNING ||
	       hv_vm_started_at_ns(m->cfg.vm) >= m->owned_ns;
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
	dst_command(m, DST_CMD_RESUMED);
	return DST_EV_NONE;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static unsigned act_quit(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	dst_keep(m, arg);
	if (!m->result.err.code)
		cm_err_set(&m->result.err, CM_E_MIG_PEER, "the migration ended without the VM");
	m->last_words.code = (uint32_t)-m->result.err.code;
	snprintf(m->last_words.text, sizeof m->last_words.text, "%.200s", m->result.err.text);
	cm_timer_disarm(&m->timer);
	dst_command(m, DST_CMD_QUIT);
	return DST_EV_NONE;
}

static unsigned act_quit_abort(void *ctx, void *arg)
{
	dst_abort_stream(ctx);
	return act_quit(ctx, arg);
}

static void dst_finish(void *arg)
{
	struct mig_dst *m = arg;

	pthread_join(m->thread, NULL);
	cm_timer_fini(&m->timer);
	m->result.code = m->result.err.code;
	m->result.total_ns = cm_now_ns() - m->start_ns;
	m->result.vm_runs_here = hv_vm_state(m->cfg.vm) == HV_VM_RUNNING;
	m->result.rounds = m->progress.round;
	m->result.sent_bytes = m->received_bytes;
	m->result.ram_pages = m->ram.pages;
	m->result.zero_pages = m->ram.zero_pages;
	m->result.state_bytes = m->state.len;
	m->cfg.done(m->cfg.arg, &m->result);
	cm_buf_fini(&m->state);
	px_psk_wipe(&m->psk);
	stor_permit_free(m->permit);
	pthread_cond_destroy(&m->cond);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static unsigned act_end(void *ctx, void *arg)
{
	struct mig_dst *m = ctx;

	(void)arg;
	cm_loop_defer(m->loop, dst_finish, m);
	return DST_EV_NONE;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

#define I CM_IGN
#define B CM_BAD
#define A(state, fn) CM_ACT(DST_##state, fn)

static const struct cm_fsm_cell dst_cells[DST_STATE_COUNT][DST_EV_COUNT] = {
	/* - HELLO LANDED COMMITTED SILENT FAILED | OWNED NOT_YET GONE RETRY GIVE_UP | DECLINED DECLINE_FAIL PERMIT TAKE_FAIL
	 * STARTED CANCEL ENDED */
	[DST_LISTEN] = {B, A(RECEIVE, act_greet), B, B, B, A(QUIT, act_quit), B, B, B, B, B, B, B, B, B, B,
			A(QUIT, act_quit_abort), B},
	[DST_RECEIVE] = {B, B, A(VERIFIED, act_load), B, B, A(QUIT, act_quit), B, B, B, B, B, B, B, B, B, B,
			 A(QUIT, act_quit_abort), B},
	[DST_VERIFIED] = {B, B, B, A(ACCEPT, act_committed), A(ACCEPT, act_accept), A(QUIT, act_quit), B, B, B, B, B, B,
			  B, A(TAKE, act_take), B, B, A(DECLINE, act_decline), B},
	[DST_ACCEPT] = {B, B, B, I, I, I, A(START, act_run), A(WAIT, act_wait), A(QUIT, act_quit), I, B, B, B, I, B, B,
			A(ACCEPT, act_cancel_soon), B},
	[DST_WAIT] = {B, B, B, A(ACCEPT, act_committed), I, I, B, B, B, A(ACCEPT, act_accept), A(DECLINE, act_decline),
		      B, B, A(TAKE, act_take), B, B, A(DECLINE, act_decline), B},
	[DST_DECLINE] = {B, B, B, I, I, I, B, B, B, I, B, A(QUIT, act_quit_abort), A(ACCEPT, act_again), I, B,
			 B, I, B},
	[DST_TAKE] = {B, B, B, I, I, I, A(START, act_run), B, B, I, B, B, B, I, A(WAIT, act_wait), B,
		      A(TAKE, act_cancel_soon), B},
	[DST_START] = {B, B, B, I, I, I, B, B, B, I, B, B, B, I, B, A(QUIT, act_started), I, B},
	[DST_QUIT] = {B, I, I, I, I, I, B, B, B, I, B, B, B, I, B, I, I, A(END, act_end)},
	[DST_END] = {B, B, B, B, B, B, B, B, B, I, B, B, B, I, B, B, I, B},
};
#undef I
#undef B
#undef A

#define XX(n) #n,
static const char *const dst_state_names[] = {MIG_DST_STATES(XX)};
static const char *const dst_event_names[] = {MIG_DST_EVENTS(XX)};
#undef XX

static const struct cm_fsm_def dst_def = {
	.name = "mig_dst",
	.states = DST_STATE_COUNT,
	.events = DST_EV_COUNT,
	.state_names = dst_state_names,
	.event_names = dst_event_names,
	.cells = &dst_cells[0][0],
};

const struct cm_fsm_def *mig_dst_fsm(void)
{
	return &dst_def;
}

/* --- events from outside ---------------------------------------------------------------------------------------------- */

struct dst_note {
	struct mig_dst *m;
	enum mig_dst_event event;
	struct cm_err err;
};

static void dst_on_note(void *arg)
{
	struct dst_note *n = arg;
	struct mig_dst *m = n->m;
	struct mig_progress p;

	if (n->event)
		dst_feed(m, n->event, n->err.code ? n->err.text : "worker", n->err.code ? &n->err : NULL);
	if (m->cfg.progress && m->fsm.state < DST_QUIT) {
		mig_dst_get_progress(m, &p);
		m->cfg.progress(m->cfg.arg, &p);
	}
	free(n);
}

void mig__dst_post(struct mig_dst *m, enum mig_dst_event event, const struct cm_err *err)
{
	struct dst_note *n = calloc(1, sizeof *n);

	CM_ASSERT(n); /* an event that is lost would leave the VM between two owners */
	n->m = m;
	n->event = event;
	if (err)
		n->err = *err;
	CM_ASSERT(cm_loop_post(m->loop, dst_on_note, n) == 0);
}

static void dst_timer(struct cm_timer *t, void *arg)
{
	struct mig_dst *m = arg;

	if (m->fsm.state != DST_START)
		dst_feed(m, DST_EV_RETRY, "timer", NULL);
	else if (dst_started(m))
		dst_feed(m, DST_EV_STARTED, "the first vCPU is in the guest", NULL);
	else
		cm_timer_arm_ns(t, LOOK_NS);
}

int mig_dst_take_over(struct mig_dst *m, struct stor_permit *permit, struct cm_err *err)
{
	if (!mig_dst_is_verified(m) || m->permit) {
		stor_permit_free(permit);
		return cm_err_set(err, CM_E_VM_STATE, "nothing verified is here to take over with (%s)",
				  cm_fsm_state_name(&m->fsm));
	}
	m->permit = permit;
	dst_feed(m, DST_EV_PERMIT, "proof from fencing", NULL);
	return 0;
}

void mig_dst_cancel(struct mig_dst *m)
{
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, CM_E_MIG_CANCELLED, "the migration was cancelled at the destination");
	dst_feed(m, DST_EV_CANCEL, "operator", &err);
}

bool mig_dst_is_verified(const struct mig_dst *m)
{
	return m->fsm.state >= DST_VERIFIED && m->fsm.state <= DST_TAKE;
}

void mig_dst_get_progress(struct mig_dst *m, struct mig_progress *out)
{
	pthread_mutex_lock(&m->lock);
	*out = m->progress;
	pthread_mutex_unlock(&m->lock);
	out->state = cm_fsm_state_name(&m->fsm);
	out->elapsed_ns = cm_now_ns() - m->start_ns;
}

static int dst_refuse(const struct mig_dst_config *cfg, struct cm_err *err)
{
	enum hv_vm_state s = hv_vm_state(cfg->vm);

	if (!cfg->lease)
		return cm_err_set(err, CM_E_UNSUPPORTED, "a VM without an ownership block cannot be taken over");
	if (s != HV_VM_EMPTY)
		return cm_err_set(err, CM_E_VM_STATE, "the VM is %s, not empty", hv_vm_state_name(s));
	return 0;
}

int mig_dst_start(struct mig_dst **out, const struct mig_dst_config *cfg, struct cm_err *err)
{
	struct mig_dst *m = NULL;
	int rc = dst_refuse(cfg, err);

	if (rc == 0 && !(m = calloc(1, sizeof *m)))
		rc = cm_err_set(err, -ENOMEM, "no memory for a migration");
	if (rc < 0)
		goto fail;
	m->cfg = *cfg;
	m->loop = hv_vm_loop(cfg->vm);
	snprintf(m->source, sizeof m->source, "%s", cfg->source ? cfg->source : "");
	snprintf(m->label, sizeof m->label, "landing of %s", hv_vm_config(cfg->vm)->name);
	if (cfg->psk)
		m->psk = *cfg->psk;
	m->start_ns = cm_now_ns();
	cm_buf_init(&m->state, STATE_MAX);
	cm_timer_init(&m->timer, m->loop, dst_timer, m);
	cm_fsm_init(&m->fsm, &dst_def, DST_LISTEN, m, m->label);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->cond, NULL);
	rc = -pthread_create(&m->thread, NULL, mig__dst_thread, m);
	if (rc < 0) {
		cm_err_set(err, rc, "no thread for a migration");
		cm_timer_fini(&m->timer);
		goto fail;
	}
	*out = m;
	return 0;
fail:
	free(m);
	if (cfg->listen_fd >= 0)
		close(cfg->listen_fd);
	else
		close(cfg->fd);
	return rc;
}
