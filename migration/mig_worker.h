/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_worker.h - a thread that moves bytes for an object of the loop: the source, the destination
 * or an image.
 *
 * The loop half gives one command word at a time and can break the connection off; the worker
 * half posts events and says how far it is. Neither touches the other's part otherwise.
 *
 * Threads: as noted. Ownership: embedded in the object that owns it; alive from mig_worker_start
 * to mig_worker_join.
 */
#ifndef MIG_WORKER_H
#define MIG_WORKER_H

#include <pthread.h>

#include "migration/mig_types.h"

struct cm_loop;
struct px_stream;

/* [loop] event 0: only the progress has changed. err: NULL, or of the event. */
typedef void (*mig_worker_event_fn)(void *arg, unsigned event, struct cm_err *err);

struct mig_worker {
	struct cm_loop *loop;
	mig_worker_event_fn event;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t cond;
	unsigned cmd;             /* what the loop wants; its owner's enum, 0: nothing yet */
	struct px_stream *stream; /* for abort; NULL when there is none */
	bool aborted;
	struct mig_progress progress;
};

/* [loop] Runs thread(arg); its events come to event(arg, ...). */
int mig_worker_start(struct mig_worker *w, struct cm_loop *loop, void *(*thread)(void *),
		     mig_worker_event_fn event, void *arg, struct cm_err *err) cm_must_check;
/* [loop] The last event was posted: waits for the thread and frees what the worker has. */
void mig_worker_join(struct mig_worker *w);
/* [loop] The worker finds it when it asks for its next command. */
void mig_worker_command(struct mig_worker *w, unsigned cmd);
/* [loop] Breaks the connection off: now, or as soon as there is one. */
void mig_worker_abort(struct mig_worker *w);
/* [loop] What was reported last. */
void mig_worker_get_progress(struct mig_worker *w, struct mig_progress *out);

/* [worker] The command of now. */
unsigned mig_worker_cmd(struct mig_worker *w);
/* [worker] Waits until the command is not `than` any more, at most ms (-1: for ever); returns it. */
unsigned mig_worker_wait(struct mig_worker *w, unsigned than, int ms);
/* [worker] What an abort is to break off (borrowed); NULL before it is freed. */
void mig_worker_set_stream(struct mig_worker *w, struct px_stream *stream);
bool mig_worker_is_aborted(struct mig_worker *w);
/* [worker] event: of its owner's machine; err may be NULL (copied). */
void mig_worker_post(struct mig_worker *w, unsigned event, const struct cm_err *err);
/* [worker] How far it is: p is copied, and event 0 posted. */
void mig_worker_report(struct mig_worker *w, const struct mig_progress *p);

#endif
