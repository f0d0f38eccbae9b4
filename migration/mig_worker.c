/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_worker.c - a thread beside the loop: commands and aborts go to it, events and progress come
 * from it.
 *
 * Knows nothing of what its owner's commands and events mean, and moves no byte itself. Parses
 * nothing.
 */
#include "config.h"

#include "migration/mig_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "proto/px_tls.h"

/* --- the loop's half --- */

static void worker_fini(struct mig_worker *w)
{
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
}

int mig_worker_start(struct mig_worker *w, struct cm_loop *loop, void *(*thread)(void *),
		     mig_worker_event_fn event, void *arg, struct cm_err *err)
{
	pthread_condattr_t attr;
	int rc;

	*w = (struct mig_worker){.loop = loop, .event = event, .arg = arg};
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->cond, &attr);
	pthread_condattr_destroy(&attr);
	rc = -pthread_create(&w->thread, NULL, thread, arg);
	if (rc == 0)
		return 0;
	worker_fini(w);
	return cm_err_set(err, rc, "no thread to move a VM with");
}

void mig_worker_join(struct mig_worker *w)
{
	pthread_join(w->thread, NULL);
	worker_fini(w);
}

void mig_worker_command(struct mig_worker *w, unsigned cmd)
{
	pthread_mutex_lock(&w->lock);
	w->cmd = cmd;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

void mig_worker_abort(struct mig_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->aborted = true;
	if (w->stream)
		px_stream_abort(w->stream);
	pthread_mutex_unlock(&w->lock);
}

void mig_worker_get_progress(struct mig_worker *w, struct mig_progress *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->progress;
	pthread_mutex_unlock(&w->lock);
}

/* --- the worker's half --- */

unsigned mig_worker_cmd(struct mig_worker *w)
{
	unsigned cmd;

	pthread_mutex_lock(&w->lock);
	cmd = w->cmd;
	pthread_mutex_unlock(&w->lock);
	return cmd;
}

unsigned mig_worker_wait(struct mig_worker *w, unsigned than, int ms)
{
	struct timespec until;
	unsigned cmd;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms < 0 ? 0 : ms) * (long)CM_NS_PER_MS;
	until.tv_sec += until.tv_nsec / (long)CM_NS_PER_S;
	until.tv_nsec %= (long)CM_NS_PER_S;
	pthread_mutex_lock(&w->lock);
	while (w->cmd == than)
		if (ms < 0)
			pthread_cond_wait(&w->cond, &w->lock);
		else if (pthread_cond_timedwait(&w->cond, &w->lock, &until) == ETIMEDOUT)
			break;
	cmd = w->cmd;
	pthread_mutex_unlock(&w->lock);
	return cmd;
}

void mig_worker_set_stream(struct mig_worker *w, struct px_stream *stream)
{
	pthread_mutex_lock(&w->lock);
	w->stream = stream;
	if (stream && w->aborted)
		px_stream_abort(stream);
	pthread_mutex_unlock(&w->lock);
}

bool mig_worker_is_aborted(struct mig_worker *w)
{
	bool aborted;

	pthread_mutex_lock(&w->lock);
	aborted = w->aborted;
	pthread_mutex_unlock(&w->lock);
	return aborted;
}

struct worker_note {
	struct mig_worker *w;
	unsigned event;
	struct cm_err err;
};

static void worker_on_note(void *arg)
{
	struct worker_note *n = arg;

	n->w->event(n->w->arg, n->event, n->err.code ? &n->err : NULL);
	free(n);
}

void mig_worker_post(struct mig_worker *w, unsigned event, const struct cm_err *err)
{
	struct worker_note *n = calloc(1, sizeof *n);

	CM_ASSERT(n); /* an event that is lost would leave the VM between two owners */
	n->w = w;
	n->event = event;
	if (err)
		n->err = *err;
	CM_ASSERT(cm_loop_post(w->loop, worker_on_note, n) == 0);
}

void mig_worker_report(struct mig_worker *w, const struct mig_progress *p)
{
	pthread_mutex_lock(&w->lock);
	w->progress = *p;
	pthread_mutex_unlock(&w->lock);
	mig_worker_post(w, 0, NULL);
}
