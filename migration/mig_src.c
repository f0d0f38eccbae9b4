/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src.c - the source of a migration as its owner sees it: start, commit, cancel, progress.
 * Decides nothing: the worker's events and the owner's wishes are fed to the machine
 * (mig_src_fsm.c). Parses nothing.
 */
#include "config.h"

#include "migration/mig_src.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_src_int.h"

/* --- what comes in --- */

static void src_event(void *arg, unsigned event, struct cm_err *err)
{
	struct mig_src *m = arg;
	struct mig_progress p;

	if (event)
		(void)cm_fsm_feed(&m->fsm, event, err ? err->text : "worker", err);
	if (m->cfg.progress && m->fsm.state < SRC_QUIT) {
		mig_src_get_progress(m, &p);
		m->cfg.progress(m->cfg.arg, &p);
	}
}

static void src_timeout(struct cm_timer *t, void *arg)
{
	struct mig_src *m = arg;
	struct cm_err err = CM_ERR_INIT;

	(void)t;
	cm_err_set(&err, CM_E_TIMEOUT, "the hand-over took too long");
	(void)cm_fsm_feed(&m->fsm, SRC_EV_TIMEOUT, "hand-over timer", &err);
}

void mig_src_commit(struct mig_src *m)
{
	m->cfg.hold = false;
	if (m->fsm.state == SRC_HELD)
		(void)cm_fsm_feed(&m->fsm, SRC_EV_GO, "released", NULL);
}

int mig_src_cancel(struct mig_src *m, struct cm_err *err)
{
	struct cm_err why = CM_ERR_INIT;

	if (m->fsm.state >= SRC_COMMIT)
		return cm_err_set(err, CM_E_MIG_BUSY, "the hand-over is under way (%s)",
				  cm_fsm_state_name(&m->fsm));
	cm_err_set(&why, CM_E_MIG_CANCELLED, "the migration was cancelled");
	(void)cm_fsm_feed(&m->fsm, SRC_EV_CANCEL, "operator", &why);
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
	mig_worker_get_progress(&m->worker, out);
	out->state = cm_fsm_state_name(&m->fsm);
	out->stage = src_stage(m->fsm.state);
	out->elapsed_ns = cm_now_ns() - m->start_ns;
}

static int src_refuse(const struct mig_src_config *cfg, struct cm_err *err)
{
	enum hv_vm_state s = hv_vm_state(cfg->vm);

	if (!cfg->lease)
		return cm_err_set(err, CM_E_UNSUPPORTED,
				  "a VM without an ownership block cannot be handed over");
	if (s != HV_VM_RUNNING && s != HV_VM_PAUSED)
		return cm_err_set(err, CM_E_VM_STATE, "the VM is %s", hv_vm_state_name(s));
	if (cfg->mode != HV__MIGRATION_MODE__MODE_LIVE &&
	    cfg->mode != HV__MIGRATION_MODE__MODE_QUICK)
		return cm_err_set(err, CM_E_BAD_VALUE, "migration mode must be live or quick");
	if (cfg->address && strlen(cfg->address) >= sizeof((struct mig_src *)0)->address)
		return cm_err_set(err, CM_E_BAD_VALUE, "address is too long");
	return 0;
}

int mig_src_start(struct mig_src **out, const struct mig_src_config *cfg, struct cm_err *err)
{
	struct mig_src *m = NULL;
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
	cm_buf_init(&m->state, MIG_STATE_MAX);
	cm_timer_init(&m->timer, m->loop, src_timeout, m);
	cm_fsm_init(&m->fsm, mig_src_fsm(), SRC_CONNECT, m, m->label);
	rc = mig_worker_start(&m->worker, m->loop, mig__src_thread, src_event, m, err);
	if (rc < 0) {
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
