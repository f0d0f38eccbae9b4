/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move.c - migrations as the source's agent leads them: who lands, when pacemaker hears of it,
 * and who has the VM when something broke.
 *
 * All that can fail happens before pacemaker is told: the destination's admission, the connection,
 * pre-copy until the forecast blackout fits ("hold"). Then the expiring preference makes pacemaker
 * call migrate_to, which performs only the hand-over. A move that pacemaker starts by itself runs
 * all of it inside migrate_to. Pacemaker answers a failed migrate_to with stop + cold start, so
 * while it waits a move that failed is tried again, and one whose outcome is unclear is looked
 * into: the VM is with whom its ownership block names, which is the one hvcore that runs.
 *
 * Decides nothing about ownership. Parses replies of hvcore and of peers.
 */
#include "config.h"

#include "cluster/move/clu_move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_event.h"
#include "cluster/vm/clu_vmconf.h"
#include "proto/px_words.h"

/* --- the table ------------------------------------------------------------- */

#define A(next, fn) CM_ACT(MOVE_##next, clu__move_act_##fn)
#define ON(s, e)    [MOVE_##s * MOVE_EVENT_COUNT + MOVE_EV_##e]
#define TROUBLE(s)                                                                                 \
	ON(s, UNCLEAR) = A(RESOLVING, resolve), ON(s, AGAIN) = A(WAITING, wait),                   \
	      ON(s, FAILED) = A(ENDED, failed)

static const struct cm_fsm_cell move_cells[MOVE_STATE_COUNT * MOVE_EVENT_COUNT] = {
	ON(WAITING, LANDING) = CM_BAD,
	ON(WAITING, READY) = CM_BAD,
	ON(WAITING, CALLED) = CM_IGN,
	ON(WAITING, MOVED) = CM_BAD,
	ON(WAITING, UNCLEAR) = A(RESOLVING, resolve),
	ON(WAITING, AGAIN) = A(ASKING, ask),
	ON(WAITING, SEEN) = CM_BAD,
	ON(WAITING, FAILED) = A(ENDED, failed),

	ON(ASKING, LANDING) = A(COPYING, copy),
	ON(ASKING, READY) = CM_BAD,
	ON(ASKING, CALLED) = CM_IGN,
	ON(ASKING, MOVED) = CM_BAD,
	ON(ASKING, SEEN) = CM_BAD,
	TROUBLE(ASKING),

	ON(COPYING, LANDING) = CM_BAD,
	ON(COPYING, READY) = A(HELD, prefer),
	ON(COPYING, CALLED) = CM_IGN, /* committed when it is ready */
	ON(COPYING, MOVED) = A(SETTLING, settle),
	ON(COPYING, SEEN) = CM_BAD,
	TROUBLE(COPYING),

	ON(HELD, LANDING) = CM_BAD,
	ON(HELD, READY) = CM_IGN,
	ON(HELD, CALLED) = A(HANDOVER, commit),
	ON(HELD, MOVED) = CM_BAD,
	ON(HELD, SEEN) = CM_BAD,
	TROUBLE(HELD),

	ON(HANDOVER, LANDING) = CM_BAD,
	ON(HANDOVER, READY) = CM_IGN,
	ON(HANDOVER, CALLED) = CM_IGN,
	ON(HANDOVER, MOVED) = A(SETTLING, settle),
	ON(HANDOVER, SEEN) = CM_BAD,
	TROUBLE(HANDOVER),

	ON(RESOLVING, LANDING) = CM_BAD,
	ON(RESOLVING, READY) = CM_IGN,
	ON(RESOLVING, CALLED) = CM_IGN,
	ON(RESOLVING, MOVED) = A(SETTLING, settle),
	ON(RESOLVING, UNCLEAR) = CM_IGN,
	ON(RESOLVING, AGAIN) = A(WAITING, wait),
	ON(RESOLVING, SEEN) = CM_BAD,
	ON(RESOLVING, FAILED) = A(ENDED, failed),

	ON(SETTLING, LANDING) = CM_BAD,
	ON(SETTLING, READY) = CM_IGN,
	ON(SETTLING, CALLED) = CM_IGN,
	ON(SETTLING, MOVED) = CM_IGN,
	ON(SETTLING, UNCLEAR) = CM_IGN,
	ON(SETTLING, AGAIN) = CM_IGN,
	ON(SETTLING, SEEN) = A(ENDED, done),
	ON(SETTLING, FAILED) = CM_IGN,

	ON(ENDED, LANDING) = CM_IGN,
	ON(ENDED, READY) = CM_IGN,
	ON(ENDED, CALLED) = CM_IGN,
	ON(ENDED, MOVED) = CM_IGN,
	ON(ENDED, UNCLEAR) = CM_IGN,
	ON(ENDED, AGAIN) = CM_IGN,
	ON(ENDED, SEEN) = CM_IGN,
	ON(ENDED, FAILED) = CM_IGN,
};
CM_FSM_DEFINE(move_def, "move", MOVE_STATES, MOVE_EVENTS, move_cells);

const struct cm_fsm_def *clu_move_fsm(void)
{
	return &move_def;
}

/* --- time and news --------------------------------------------------------- */

void clu_move_picture(struct clu_agent *a)
{
	struct clu_move *next;

	for (struct clu_move *m = a->moves; m; m = next) {
		next = m->next;
		if (m->fsm.state == MOVE_SETTLING)
			clu__move_settle_look(m);
	}
}

static void move_timer(struct cm_timer *t, void *arg)
{
	struct clu_move *m = arg;

	(void)t;
	switch (m->fsm.state) {
	case MOVE_SETTLING:
		clu__move_settle_again(m);
		break;
	case MOVE_RESOLVING:
		clu__move_resolve_look(m);
		break;
	case MOVE_WAITING:
		clu__move_feed(m, MOVE_EV_AGAIN, "time to try again");
		break;
	case MOVE_HELD:
		clu__move_held_timeout(m);
		break;
	default:
		break;
	}
}

void clu_move_vm_gone(struct clu_agent *a, const char *vm)
{
	struct clu_move *m = clu__move_find(a, vm);
	struct cm_err err = CM_ERR_INIT;

	/* A clean end after the commit is normal: then the result is there. */
	if (!m || m->fsm.state == MOVE_SETTLING || m->fsm.state == MOVE_RESOLVING)
		return;
	cm_err_set(&err, CM_E_MIG_PEER, "VM %s's process ended during its migration", vm);
	clu__move_unclear(m, &err);
}

void clu_move_node_lost(struct clu_agent *a, const char *node)
{
	for (struct clu_move *m = a->moves; m; m = m->next)
		if (strcmp(m->node, node) == 0 && m->fsm.state >= MOVE_COPYING &&
		    m->fsm.state <= MOVE_HANDOVER)
			clu__move_cancel_core(m); /* else it would wait for its time-out */
}

struct clu_move *clu__move_new(struct clu_agent *a, const struct px_req *q,
			       const Hv__VmConfig *config, Hv__MigrationMode mode,
			       uint64_t max_blackout_ms)
{
	struct clu_move *m = calloc(1, sizeof *m);

	CM_ASSERT(m);
	m->agent = a;
	snprintf(m->vm, sizeof m->vm, "%s", q->msg->vm);
	snprintf(m->node, sizeof m->node, "%s", q->msg->node);
	m->mode = mode;
	m->max_blackout_ms = max_blackout_ms;
	m->config = clu_vmconf_dup(config);
	cm_fsm_init(&m->fsm, &move_def, MOVE_WAITING, m, m->vm);
	cm_timer_init(&m->timer, a->loop, move_timer, m);
	clu__move_number(m);
	m->next = a->moves;
	a->moves = m;
	clu_event(a->events, CLU_NOTICE, "migration-started", m->vm, NULL,
		  "%s migration to node %s", px_mig_mode_word(mode), m->node);
	cm_timer_arm_ms(&m->timer, 0);
	return m;
}
