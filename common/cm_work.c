/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_work.c - one thread for one piece of work. Parses nothing.
 */
#include "config.h"

#include "common/cm_work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct work {
	struct cm_loop *loop;
	pthread_t thread;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void work_over(void *arg)
{
	struct work *w = arg, copy = *w;

	pthread_join(w->thread, NULL);
	free(w);
	copy.done(copy.arg);
}

static void *work_main(void *arg)
{
	struct work *w = arg;

	w->work(w->arg);
	CM_ASSERT(cm_loop_post(w->loop, work_over, w) == 0);
	return NULL;
}

int cm_work(struct cm_loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct work *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return -ENOMEM;
	*w = (struct work){.loop = loop, .work = work, .done = done, .arg = arg};
	rc = -pthread_create(&w->thread, NULL, work_main, w);
	if (rc < 0)
		free(w);
	return rc;
}
