/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_loop.c - the event loop on libevent. The only file that includes libevent. Parses nothing.
 *
 * Posting: a list under a mutex plus an eventfd. Deferred calls: a list that only the loop touches,
 * drained at the end of each turn; what is deferred while draining runs in the next turn.
 */
#include "config.h"

#include "common/cm_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/cm_clock.h"

struct loop_call {
	STAILQ_ENTRY(loop_call) link;
	cm_post_fn fn;
	void *arg;
};
STAILQ_HEAD(loop_calls, loop_call);

struct cm_loop {
	struct event_base *base;
	struct event *wake;
	int wake_fd;
	pthread_mutex_t lock; /* guards posted */
	struct loop_calls posted;
	struct loop_calls deferred; /* loop thread only */
	uint64_t now_ns;
	atomic_bool stopping;
	atomic_int code;
};

static void loop_woken(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	(void)arg;
	if (read((int)fd, &n, sizeof n) < 0 && errno != EAGAIN)
		CM_ASSERT(errno == EINTR);
}

struct cm_loop *cm_loop_new(struct cm_err *err)
{
	struct cm_loop *l = calloc(1, sizeof *l);
	struct event_config *cfg = event_config_new();

	if (!l || !cfg)
		goto fail;
	STAILQ_INIT(&l->posted);
	STAILQ_INIT(&l->deferred);
	pthread_mutex_init(&l->lock, NULL);
	l->wake_fd = -1;
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	cfg = NULL;
	if (!l->base || event_base_priority_init(l->base, 3) < 0)
		goto fail;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		goto fail;
	l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, loop_woken, l);
	if (!l->wake)
		goto fail;
	event_priority_set(l->wake, CM_PRIO_HIGH);
	event_add(l->wake, NULL);
	return l;
fail:
	cm_err_set(err, -ENOMEM, "cannot make an event loop");
	if (cfg)
		event_config_free(cfg);
	if (l) {
		if (l->wake_fd >= 0)
			close(l->wake_fd);
		if (l->base)
			event_base_free(l->base);
		free(l);
	}
	return NULL;
}

static void loop_run_calls(struct loop_calls *from)
{
	struct loop_calls batch = STAILQ_HEAD_INITIALIZER(batch);
	struct loop_call *c;

	STAILQ_CONCAT(&batch, from);
	while ((c = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, link);
		c->fn(c->arg);
		free(c);
	}
}

static void loop_run_posted(struct cm_loop *l)
{
	struct loop_calls batch = STAILQ_HEAD_INITIALIZER(batch);

	pthread_mutex_lock(&l->lock);
	STAILQ_CONCAT(&batch, &l->posted);
	pthread_mutex_unlock(&l->lock);
	loop_run_calls(&batch);
}

void cm_loop_free(struct cm_loop *l)
{
	if (!l)
		return;
	loop_run_posted(l);
	while (!STAILQ_EMPTY(&l->deferred))
		loop_run_calls(&l->deferred);
	event_free(l->wake);
	event_base_free(l->base);
	close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static bool loop_has_posted(struct cm_loop *l)
{
	bool has;

	pthread_mutex_lock(&l->lock);
	has = !STAILQ_EMPTY(&l->posted);
	pthread_mutex_unlock(&l->lock);
	return has;
}

void cm_loop_turn(struct cm_loop *l, int wait_ms)
{
	if (!STAILQ_EMPTY(&l->deferred) || loop_has_posted(l))
		wait_ms = 0;
	if (wait_ms > 0) {
		struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

		event_base_loopexit(l->base, &tv);
	}
	l->now_ns = 0;
	event_base_loop(l->base,
			EVLOOP_NO_EXIT_ON_EMPTY | (wait_ms == 0 ? EVLOOP_NONBLOCK : EVLOOP_ONCE));
	l->now_ns = 0;
	loop_run_posted(l);
	loop_run_calls(&l->deferred);
}

int cm_loop_run(struct cm_loop *l)
{
	while (!atomic_load(&l->stopping))
		cm_loop_turn(l, -1);
	atomic_store(&l->stopping, false);
	return atomic_load(&l->code);
}

static void loop_wake(struct cm_loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake_fd, &one, sizeof one);

	(void)n; /* EAGAIN: it is awake anyway */
}

void cm_loop_stop(struct cm_loop *l, int code)
{
	atomic_store(&l->code, code);
	atomic_store(&l->stopping, true);
	loop_wake(l);
}

static struct loop_call *loop_call_new(cm_post_fn fn, void *arg)
{
	struct loop_call *c = malloc(sizeof *c);

	if (c)
		*c = (struct loop_call){.fn = fn, .arg = arg};
	return c;
}

int cm_loop_post(struct cm_loop *l, cm_post_fn fn, void *arg)
{
	struct loop_call *c = loop_call_new(fn, arg);

	if (!c)
		return -ENOMEM;
	pthread_mutex_lock(&l->lock);
	STAILQ_INSERT_TAIL(&l->posted, c, link);
	pthread_mutex_unlock(&l->lock);
	loop_wake(l);
	return 0;
}

void cm_loop_defer(struct cm_loop *l, cm_post_fn fn, void *arg)
{
	struct loop_call *c = loop_call_new(fn, arg);

	CM_ASSERT(c); /* freeing needs 32 bytes; a process without them is lost */
	STAILQ_INSERT_TAIL(&l->deferred, c, link);
}

uint64_t cm_loop_now_ns(struct cm_loop *l)
{
	if (!l->now_ns)
		l->now_ns = cm_now_ns();
	return l->now_ns;
}

/* --- descriptors --------------------------------------------------------- */

static void io_ready(evutil_socket_t fd, short what, void *arg)
{
	struct cm_io *io = arg;
	unsigned events = (what & EV_READ ? CM_READ : 0) | (what & EV_WRITE ? CM_WRITE : 0);

	(void)fd;
	/* An earlier callback of this turn may have narrowed what we want. */
	events &= io->want;
	if (events)
		io->fn(io, events, io->arg);
}

void cm_io_init(struct cm_io *io, struct cm_loop *loop, int fd, cm_io_fn fn, void *arg)
{
	*io = (struct cm_io){.loop = loop, .fd = fd, .fn = fn, .arg = arg, .prio = CM_PRIO_NORMAL};
}

void cm_io_set_prio(struct cm_io *io, enum cm_prio prio)
{
	io->prio = prio;
}

int cm_io_want(struct cm_io *io, unsigned want)
{
	short what = EV_PERSIST;

	if (io->ev && io->want == want)
		return 0;
	if (io->ev)
		event_del(io->ev);
	io->want = want;
	if (!want)
		return 0;
	what |= (short)((want & CM_READ ? EV_READ : 0) | (want & CM_WRITE ? EV_WRITE : 0));
	if (!io->ev) {
		io->ev = event_new(io->loop->base, io->fd, what, io_ready, io);
		if (!io->ev)
			return -ENOMEM;
	} else {
		event_assign(io->ev, io->loop->base, io->fd, what, io_ready, io);
	}
	event_priority_set(io->ev, (int)io->prio);
	return event_add(io->ev, NULL) == 0 ? 0 : -EBADF;
}

void cm_io_fini(struct cm_io *io)
{
	if (io->ev)
		event_free(io->ev);
	io->ev = NULL;
	io->want = 0;
}

void cm_io_close(struct cm_io *io, cm_close_fn fn, void *arg)
{
	if (!io->loop)
		return;
	cm_io_fini(io);
	if (fn)
		cm_loop_defer(io->loop, fn, arg);
	io->loop = NULL;
}

/* --- timers -------------------------------------------------------------- */

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
	struct cm_timer *t = arg;

	(void)fd;
	(void)what;
	t->armed = false;
	t->fn(t, t->arg);
}

void cm_timer_init(struct cm_timer *t, struct cm_loop *loop, cm_timer_fn fn, void *arg)
{
	*t = (struct cm_timer){.loop = loop, .fn = fn, .arg = arg, .prio = CM_PRIO_NORMAL};
}

void cm_timer_set_prio(struct cm_timer *t, enum cm_prio prio)
{
	t->prio = prio;
}

void cm_timer_arm_ns(struct cm_timer *t, uint64_t delay_ns)
{
	struct timeval tv = {.tv_sec = (time_t)(delay_ns / CM_NS_PER_S),
			     .tv_usec = (suseconds_t)(delay_ns % CM_NS_PER_S / 1000u)};

	if (!t->ev) {
		t->ev = evtimer_new(t->loop->base, timer_due, t);
		CM_ASSERT(t->ev); /* a lease timer that cannot be armed must not be lost silently */
		event_priority_set(t->ev, (int)t->prio);
	}
	t->armed = true;
	event_add(t->ev, &tv);
}

void cm_timer_disarm(struct cm_timer *t)
{
	if (t->ev)
		event_del(t->ev);
	t->armed = false;
}

void cm_timer_fini(struct cm_timer *t)
{
	if (t->ev)
		event_free(t->ev);
	t->ev = NULL;
	t->armed = false;
}

/* --- signals ------------------------------------------------------------- */

static void signal_came(evutil_socket_t signo, short what, void *arg)
{
	struct cm_signal *s = arg;

	(void)what;
	s->fn(s, (int)signo, s->arg);
}

int cm_signal_init(struct cm_signal *s, struct cm_loop *loop, int signo, cm_signal_fn fn, void *arg)
{
	s->fn = fn;
	s->arg = arg;
	s->ev = evsignal_new(loop->base, signo, signal_came, s);
	if (!s->ev)
		return -ENOMEM;
	event_priority_set(s->ev, CM_PRIO_NORMAL);
	return event_add(s->ev, NULL) == 0 ? 0 : -EINVAL;
}

void cm_signal_fini(struct cm_signal *s)
{
	if (s->ev)
		event_free(s->ev);
	s->ev = NULL;
}
