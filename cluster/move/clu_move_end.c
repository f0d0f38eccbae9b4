/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_end.c - how a move ends: who has the VM when something broke, another try, pacemaker
 * sees it there, and those who wait are told.
 *
 * Decides nothing about ownership: the VM is with the one hvcore that runs. Parses nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "proto/px_words.h"

#define MOVE_SETTLE_MS	20000u /* until pacemaker has it started there */
#define MOVE_RESOLVE_MS 30000u /* until both sides said who has the VM */
#define MOVE_LOOK_MS	150u
#define MOVE_AGAIN_MS	500u

/* --- who has it? ------------------------------------------------------------ */

static void resolve_again(struct clu_move *m, const char *why)
{
	if (cm_now_ns() - m->mark_ns < MOVE_RESOLVE_MS * CM_NS_PER_MS) {
		cm_timer_arm_ms(&m->timer, MOVE_LOOK_MS);
		return;
	}
	cm_warning("vm=%s: where it runs stays unclear: %s", m->vm, why);
	clu__move_feed(m, MOVE_EV_FAILED, why);
}

static void resolve_here(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_move *m = clu__move_taken(arg);

	if (!m || m->fsm.state != MOVE_RESOLVING)
		return;
	if (!err->code && px_vm_state_runs(r->state))
		clu__move_feed(m, clu__move_verdict(m), "the VM runs on here");
	else
		resolve_again(m, err->code ? err->text : px_vm_state_word(r->state));
}

static void resolve_there(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_move *m = clu__move_taken(arg);

	if (!m || m->fsm.state != MOVE_RESOLVING)
		return;
	if (!err->code && px_vm_state_runs(r->state))
		clu__move_feed(m, MOVE_EV_MOVED, "the VM runs there");
	else if (!err->code && r->state == HV__VM_STATE__VM_STOPPED)
		clu__move_feed(m, MOVE_EV_FAILED, "it runs on neither side");
	else
		resolve_again(m, err->code ? err->text : px_vm_state_word(r->state));
}

void clu__move_resolve_look(struct clu_move *m)
{
	struct clu_vm *vm = clu__move_vm(m);
	struct px_ask ask;

	if (vm) {
		clu_vm_ask(vm, "status", 5000, resolve_here, clu__move_ref(m));
	} else if (!clu_member_is(m->agent, m->node) || !m->agent->peers) {
		clu__move_feed(m, MOVE_EV_FAILED,
			       "its process here ended, and the destination left the cluster");
	} else {
		px_ask_init(&ask, "peer-status", m->vm);
		clu_peers_call(m->agent->peers, m->node, &ask.req, 3000, resolve_there,
			       clu__move_ref(m));
	}
}

unsigned clu__move_act_resolve(void *ctx, void *arg)
{
	struct clu_move *m = ctx;

	(void)arg;
	m->mark_ns = cm_now_ns();
	cm_timer_arm_ms(&m->timer, 0);
	return MOVE_EV_NONE;
}

unsigned clu__move_act_wait(void *ctx, void *arg)
{
	struct clu_move *m = ctx;

	(void)arg;
	clu_event(m->agent->events, CLU_WARNING, "migration-again", m->vm, NULL,
		  "migration to node %s failed (%s): trying again", m->node, m->err.text);
	clu__move_number(m);
	clu__move_cancel_core(m);
	clu__move_cancel_landing(m);
	if (m->err.code == CM_E_MIG_NO_CONVERGE)
		m->mode = HV__MIGRATION_MODE__MODE_QUICK;
	cm_timer_arm_ms(&m->timer, MOVE_AGAIN_MS);
	return MOVE_EV_NONE;
}

/* --- the end ---------------------------------------------------------------- */

unsigned clu__move_act_settle(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	cm_timer_disarm(&m->timer);
	if (!m->result)
		clu__move_result(m, NULL);
	clu_event(m->agent->events, CLU_NOTICE, "migrated", m->vm, m->result,
		  "moved to node %s (%s)", m->node, px_mig_mode_word(m->mode));
	clu__move_tell(&m->ocf, m->result, &none);
	if (!m->preferred)
		return MOVE_EV_SEEN;
	/* The preference stays until pacemaker has it there: without it the VM would be wanted
	 * back. */
	m->mark_ns = cm_now_ns();
	clu_pcmk_refresh(m->agent->pcmk);
	cm_timer_arm_ms(&m->timer, MOVE_LOOK_MS);
	return MOVE_EV_NONE;
}

static void move_unpreferred(int code, const struct cm_err *err, void *arg)
{
	(void)arg;
	if (code)
		cm_warning(
			"a migration's preference could not be removed (it expires by itself): %s",
			err->text);
}

static void move_end(struct clu_move *m)
{
	struct clu_agent *a = m->agent;

	for (struct clu_move **p = &a->moves; *p; p = &(*p)->next)
		if (*p == m) {
			*p = m->next;
			break;
		}
	cm_timer_disarm(&m->timer);
	if (m->preferred)
		clu_pcmk_unprefer(a->pcmk, m->vm, move_unpreferred, NULL);
	cm_loop_defer(a->loop, clu__move_free, m);
}

unsigned clu__move_act_done(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	clu__move_tell(&m->operator, m->result, &none);
	clu__move_tell(&m->ocf, m->result, &none);
	clu__move_tell(&m->cancel, NULL, &none);
	move_end(m);
	return MOVE_EV_NONE;
}

unsigned clu__move_act_failed(void *ctx, void *arg)
{
	struct clu_move *m = ctx;
	struct cm_err none = CM_ERR_INIT;

	(void)arg;
	cm_err_set(&m->err, CM_E_MIG_PEER, "the migration failed");
	clu_event(m->agent->events, CLU_WARNING, "migration-failed", m->vm, NULL,
		  "migration to node %s failed: %s", m->node, m->err.text);
	clu__move_cancel_core(m);
	clu__move_cancel_landing(m);
	clu__move_tell(&m->operator, NULL, &m->err);
	clu__move_tell(&m->ocf, NULL, &m->err);
	clu__move_tell(&m->cancel, NULL, &none);
	move_end(m);
	return MOVE_EV_NONE;
}

/* --- pacemaker has to see it ------------------------------------------------ */

/*
 * Pacemaker orders what happened on two nodes by whole seconds: were the next move of this VM to
 * begin in this second, it could take this one's operations for newer and restart the VM. So the
 * move ends with its second.
 */
static void settle_seen(struct clu_move *m)
{
	uint64_t wall_s = cm_wall_ns() / CM_NS_PER_S;

	if (!m->seen_wall_s)
		m->seen_wall_s = wall_s;
	if (wall_s > m->seen_wall_s)
		clu__move_feed(m, MOVE_EV_SEEN, "pacemaker has it there");
}

void clu__move_settle_look(struct clu_move *m)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(m->agent->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, m->vm) : NULL;

	if (v && v->active && strcmp(v->node, m->node) == 0 && v->role == CLU_PCMK_ROLE_STARTED)
		settle_seen(m);
	else if (cm_now_ns() - m->mark_ns > MOVE_SETTLE_MS * CM_NS_PER_MS)
		clu__move_feed(m, MOVE_EV_SEEN, "pacemaker is slow");
}

void clu__move_settle_again(struct clu_move *m)
{
	uint64_t rest_ns = CM_NS_PER_S - cm_wall_ns() % CM_NS_PER_S;

	if (m->seen_wall_s) { /* what is missing is the end of the second: no tool has to run for that */
		cm_timer_arm_ns(&m->timer, rest_ns);
	} else {
		clu_pcmk_look(m->agent->pcmk);
		cm_timer_arm_ms(&m->timer, MOVE_LOOK_MS);
	}
	clu__move_settle_look(m);
}
