/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_int.h - one migration as its source's agent leads it: shared by clu_move.c (the state machine)
 * and clu_move_verb.c (who asks for it).
 *
 * Thread: [loop]. Ownership: a move is in the agent's list until it ended; answers that come later find it
 * by its number only, so it may go at any time.
 */
#ifndef CLU_MOVE_INT_H
#define CLU_MOVE_INT_H

#include "cluster/node/clu_agent_int.h"
#include "common/cm_clock.h"
#include "proto/px_tls.h"

/* X-macro: states and events of a move. */
// clang-format off
#define MOVE_STATES(XX) \
	XX(MOVE_NONE) \
	XX(MOVE_ASKING)    /* the VM's state, then the destination prepares */ \
	XX(MOVE_COPYING)   /* hvcore runs rounds */ \
	XX(MOVE_HELD)      /* the forecast fits; pacemaker is being told */ \
	XX(MOVE_HANDOVER)  /* committing */ \
	XX(MOVE_RESOLVING) /* hvcore failed or fell silent: who has the VM? */ \
	XX(MOVE_WAITING)   /* it runs on here; pacemaker waits, so it is tried again */ \
	XX(MOVE_SETTLING)  /* moved; pacemaker has to see it */ \
	XX(MOVE_ENDED)
#define MOVE_EVENTS(XX) \
	XX(MOVE_EV_NONE) \
	XX(MOVE_EV_LANDING) /* the destination listens */ \
	XX(MOVE_EV_READY)   /* held at a fitting forecast */ \
	XX(MOVE_EV_CALLED)  /* pacemaker called migrate_to */ \
	XX(MOVE_EV_MOVED)   /* the VM is the destination's */ \
	XX(MOVE_EV_UNCLEAR) /* hvcore said no, or ended, or its answer was lost */ \
	XX(MOVE_EV_AGAIN)   /* failed, and worth another try */ \
	XX(MOVE_EV_SEEN)    /* pacemaker has it started there, or waited long enough */ \
	XX(MOVE_EV_FAILED)
// clang-format on
enum clu__move_state { MOVE_STATES(CM_FSM_ENUM_ROW) MOVE_STATE_COUNT };
enum clu__move_event { MOVE_EVENTS(CM_FSM_ENUM_ROW) MOVE_EVENT_COUNT };

struct clu__move {
	struct clu__move *next;
	struct clu_agent *agent;
	struct cm_fsm fsm;
	uint64_t serial; /* changes with every try: answers to an earlier one find nobody */
	char vm[64], node[64], mode[8];
	uint64_t max_blackout_ms;
	Hv__VmConfig *config;
	struct px_psk psk;
	uint64_t epoch;
	uint64_t mark_ns; /* settling or resolving began */
	uint64_t until_ns; /* pacemaker's patience; 0 none */
	char address[64], port[8];
	struct px_req *operator; /* who asked by hvctl; NULL: pacemaker did, or it went away */
	struct px_req *ocf;      /* pacemaker's migrate_to, while it waits */
	struct px_req *cancel;   /* an operator's cancel that waits for pacemaker to forget the preference */
	struct cm_timer timer;
	char *result;            /* our document for people */
	char last_progress[512];
	unsigned tries;
	uint64_t seen_wall_s; /* when pacemaker had it on the target, 0 not yet */
	bool preferred;
	struct cm_err err;       /* of the latest failure */
};

struct clu__move *clu__move_find(struct clu_agent *a, const char *vm);
/* q: whoever asks, not kept. Never NULL: it begins with the next turn of the loop. */
struct clu__move *clu__move_new(struct clu_agent *a, const struct px_req *q, const Hv__VmConfig *config,
				const char *mode, uint64_t max_blackout_ms);
void clu__move_feed(struct clu__move *m, enum clu__move_event ev, const char *why);
/* Ends it with err (or tries again, if pacemaker waits and the VM runs on here). */
void clu__move_fail(struct clu__move *m, const struct cm_err *err);
/* Asks pacemaker to forget the preference; then the held move ends, unless pacemaker was faster. */
void clu__move_cancel_held(struct clu__move *m, struct px_req *q);

/* Makes m->result of hvcore's result, or (NULL) of what is known without it. True: the destination said that it runs. */
bool clu__move_result(struct clu__move *m, const char *core_doc);
/* The state word of a reply to "status", "" if there is none; and the epoch, if epoch is not NULL. */
void clu__move_state(const Hv__Reply *r, char *state, size_t cap, uint64_t *epoch);
bool clu__move_state_runs(const char *state);

#endif
