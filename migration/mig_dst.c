/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_dst.c - the destination of a migration as its owner sees it: start, take over, cancel,
 * progress. Decides nothing: the worker's events, the timer and the owner's wishes are fed to the
 * machine (mig_dst_fsm.c). Parses nothing.
 */
#include "config.h"

#include "migration/mig_dst.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_dst_int.h"
#include "sharedstorage/lease/stor_lease.h"

/* --- what comes in --- */

static void dst_event(void *arg, unsigned event, struct cm_err *err)
{
	struct mig_dst *m = arg;
	struct mig_progress p;

	if (event)
		(void)cm_fsm_feed(&m->fsm, event, err ? err->text : "worker", err);
	if (m->cfg.progress && m->fsm.state < DST_QUIT) {
		mig_dst_get_progress(m, &p);
		m->cfg.progress(m->cfg.arg, &p);
	}
}

/* The first vCPU is in the guest (or will not be). */
static bool dst_started(struct mig_dst *m)
{
	return m->hello.paused || m->result.err.code || hv_vm_state(m->cfg.vm) != HV_VM_RUNNING ||
	       hv_vm_started_at_ns(m->cfg.vm) >= m->owned_ns;
}

static void dst_timer(struct cm_timer *t, void *arg)
{
	struct mig_dst *m = arg;

	if (m->fsm.state != DST_START)
		(void)cm_fsm_feed(&m->fsm, DST_EV_RETRY, "timer", NULL);
	else if (dst_started(m))
		(void)cm_fsm_feed(&m->fsm, DST_EV_STARTED, "the first vCPU is in the guest", NULL);
	else
		cm_timer_arm_ns(t, MIG_DST_LOOK_NS);
}

int mig_dst_take_over(struct mig_dst *m, struct stor_permit *permit, struct cm_err *err)
{
	if (!mig_dst_is_verified(m) || m->permit) {
		stor_permit_free(permit);
		return cm_err_set(err, CM_E_VM_STATE,
				  "nothing verified is here to take over with (%s)",
				  cm_fsm_state_name(&m->fsm));
	}
	m->permit = permit;
	(void)cm_fsm_feed(&m->fsm, DST_EV_PERMIT, "proof from fencing", NULL);
	return 0;
}

void mig_dst_cancel(struct mig_dst *m)
{
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, CM_E_MIG_CANCELLED, "the migration was cancelled at the destination");
	(void)cm_fsm_feed(&m->fsm, DST_EV_CANCEL, "operator", &err);
}

bool mig_dst_is_verified(const struct mig_dst *m)
{
	return m->fsm.state >= DST_VERIFIED && m->fsm.state <= DST_TAKE;
}

void mig_dst_get_progress(struct mig_dst *m, struct mig_progress *out)
{
	mig_worker_get_progress(&m->worker, out);
	out->state = cm_fsm_state_name(&m->fsm);
	out->elapsed_ns = cm_now_ns() - m->start_ns;
}

static int dst_refuse(const struct mig_dst_config *cfg, struct cm_err *err)
{
	enum hv_vm_state s = hv_vm_state(cfg->vm);

	if (!cfg->lease)
		return cm_err_set(err, CM_E_UNSUPPORTED,
				  "a VM without an ownership block cannot be taken over");
	if (s != HV_VM_EMPTY)
		return cm_err_set(err, CM_E_VM_STATE, "the VM is %s, not empty",
				  hv_vm_state_name(s));
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
	cm_buf_init(&m->state, MIG_STATE_MAX);
	cm_timer_init(&m->timer, m->loop, dst_timer, m);
	cm_fsm_init(&m->fsm, mig_dst_fsm(), DST_LISTEN, m, m->label);
	rc = mig_worker_start(&m->worker, m->loop, mig__dst_thread, dst_event, m, err);
	if (rc < 0) {
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
