/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_int.h - one migration as its source's agent leads it, for the files of this room:
 * clu_move.c (the state machine), clu_move_list.c (the list and small parts), clu_move_way.c and
 * clu_move_end.c (what its steps do), clu_move_doc.c (what is said about it), clu_move_verb.c (who
 * asks for it).
 *
 * Thread: [loop]. Ownership: a move is in the agent's list until it ended; answers that come later
 * find it by its number only, so it may go at any time.
 */
#ifndef CLU_MOVE_INT_H
#define CLU_MOVE_INT_H

#include "cluster/move/clu_move.h"
#include "common/cm_fsm.h"
#include "common/cm_loop.h"
#include "proto/px_req.h"
#include "proto/px_tls.h"

/* X-macro: states and events of a move. Until HANDOVER nothing has happened that going on could
 * not undo. */
// clang-format off
#define MOVE_STATES(XX) \
	XX(WAITING)   /* it begins, or runs on here and pacemaker waits, so it is tried again */ \
	XX(ASKING)    /* the VM's state, then the destination prepares */ \
	XX(COPYING)   /* hvcore runs rounds */ \
	XX(HELD)      /* the forecast fits; pacemaker is being told */ \
	XX(HANDOVER)  /* committing */ \
	XX(RESOLVING) /* hvcore failed or fell silent: who has the VM? */ \
	XX(SETTLING)  /* moved; pacemaker has to see it */ \
	XX(ENDED)
#define MOVE_EVENTS(XX) \
	XX(LANDING) /* the destination listens */ \
	XX(READY)   /* held at a fitting forecast */ \
	XX(CALLED)  /* pacemaker called migrate_to */ \
	XX(MOVED)   /* the VM is the destination's */ \
	XX(UNCLEAR) /* hvcore said no, or ended, or its answer was lost */ \
	XX(AGAIN)   /* failed, and worth another try */ \
	XX(SEEN)    /* pacemaker has it started there, or waited long enough */ \
	XX(FAILED)
// clang-format on
enum clu__move_state {
	MOVE_NONE = 0,
#define XX(n) MOVE_##n,
	MOVE_STATES(XX)
#undef XX
		MOVE_STATE_COUNT
};
enum clu__move_event {
	MOVE_EV_NONE = 0,
#define XX(n) MOVE_EV_##n,
	MOVE_EVENTS(XX)
#undef XX
		MOVE_EVENT_COUNT
};

struct clu_move {
	struct clu_move *next;
	struct clu_agent *agent;
	struct cm_fsm fsm;
	uint64_t serial; /* changes with every try: answers to an earlier one find nobody */
	char vm[64], node[64];
	Hv__MigrationMode mode;
	uint64_t max_blackout_ms;
	Hv__VmConfig *config;
	struct px_psk psk;
	uint64_t epoch;
	uint64_t mark_ns;  /* settling or resolving began */
	uint64_t until_ns; /* pacemaker's patience; 0 none */
	char address[64], port[8];
	struct px_req *operator; /* who asked by hvctl; NULL: pacemaker did, or it went away */
	struct px_req *ocf;	 /* pacemaker's migrate_to, while it waits */
	struct px_req *
		cancel; /* an operator's cancel that waits for pacemaker to forget the preference */
	struct cm_timer timer;
	char *result; /* our document for people */
	char last_progress[512];
	unsigned tries;
	uint64_t seen_wall_s; /* when pacemaker had it on the target, 0 not yet */
	bool preferred;
	struct cm_err err; /* of the latest failure */
};

/* --- clu_move.c --- */
/* q: whoever asks, not kept. */
struct clu_move *clu__move_new(struct clu_agent *a, const struct px_req *q,
			       const Hv__VmConfig *config, Hv__MigrationMode mode,
			       uint64_t max_blackout_ms);

/* --- clu_move_list.c --- */
struct clu__move_ref;
/* What an answer finds its move by; given to whoever will answer. */
struct clu__move_ref *clu__move_ref(struct clu_move *m);
/* NULL: that try is over. The second one frees ref. */
struct clu_move *clu__move_of(struct clu__move_ref *ref);
struct clu_move *clu__move_taken(struct clu__move_ref *ref);
/* A new try: answers to earlier ones find nobody any more. */
void clu__move_number(struct clu_move *m);
struct clu_move *clu__move_find(struct clu_agent *a, const char *vm);
void clu__move_free(void *move);
/* The VM's process here, unless it is one that lands. */
struct clu_vm *clu__move_vm(struct clu_move *m);
struct px_client *clu__move_core(struct clu_move *m, struct cm_err *err);
/* Answers one of those who may wait for the outcome (NULL: it does not), and forgets it. */
void clu__move_tell(struct px_req **who, const char *doc, const struct cm_err *err);
void clu__move_cancel_core(struct clu_move *m);
void clu__move_cancel_landing(struct clu_move *m);
void clu__move_feed(struct clu_move *m, enum clu__move_event ev, const char *why);
/* Worth another try, or not? m->err says why it failed. */
enum clu__move_event clu__move_verdict(struct clu_move *m);
/* Ends it with err (or tries again, if pacemaker waits and the VM runs on here). */
void clu__move_fail(struct clu_move *m, const struct cm_err *err);
/* Somebody may have the VM: it is looked into. */
void clu__move_unclear(struct clu_move *m, const struct cm_err *err);

/* --- clu_move_way.c --- */
/* Asks pacemaker to forget the preference; then the held move ends, unless pacemaker was faster. */
void clu__move_cancel_held(struct clu_move *m, struct px_req *q);
void clu__move_held_timeout(struct clu_move *m);
unsigned clu__move_act_ask(void *ctx, void *arg);
unsigned clu__move_act_copy(void *ctx, void *arg);
unsigned clu__move_act_prefer(void *ctx, void *arg);
unsigned clu__move_act_commit(void *ctx, void *arg);

/* --- clu_move_end.c --- */
void clu__move_resolve_look(struct clu_move *m);
void clu__move_settle_look(struct clu_move *m);
void clu__move_settle_again(
	struct clu_move *m); /* at a fresh picture, and a moment later once more */
unsigned clu__move_act_resolve(void *ctx, void *arg);
unsigned clu__move_act_wait(void *ctx, void *arg);
unsigned clu__move_act_settle(void *ctx, void *arg);
unsigned clu__move_act_done(void *ctx, void *arg);
unsigned clu__move_act_failed(void *ctx, void *arg);

/* --- clu_move_doc.c --- */
/* Makes m->result of hvcore's result, or (NULL) of what is known without it. True: the
 * destination said that it runs. */
bool clu__move_result(struct clu_move *m, const char *core_doc);

#endif
