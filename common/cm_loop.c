/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_loop.c - the event loop on libevent. The only file that includes libevent. Parses nothing.
 *
 * Posting: a list under a mutex plus an eventfd. Deferred calls: a list that only the loop touches,
 * drained at the end of each turn; what is deferred while draining runs in the next turn.
 *
 * Timers are ours (cm_timers.h), on one timerfd that is set only when the earliest one becomes
 * earlier or has fired: libevent's own precise timers cost a system call in every turn. Those that
 * are due are called in the order of their priorities, among the descriptors of the same priority.
 */
#include "config.h"

#include "common/cm_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/cm_clock.h"
#include "common/cm_timers.h"

#define LOOP_PRIOS 3

struct loop_call {
	STAILQ_ENTRY(loop_call) link;
	cm_post_fn fn;
	void *arg;
};
STAILQ_HEAD(loop_calls, loop_call);
TAILQ_HEAD(loop_timers, cm_timer);

/* Timers of one priority whose time has come. */
struct loop_due {
	struct event *ev; /* made active when there are some */
	struct loop_timers list;
};

struct cm_loop {
	struct event_base *base;
	struct event *wake, *tick;
	int wake_fd, timer_fd;
	struct cm_timers timers;
	uint64_t timer_set_ns; /* when timer_fd fires, 0: never */
	struct loop_due due[LOOP_PRIOS];
	struct cm_timer turn_end; /* of cm_loop_turn */
	pthread_mutex_t lock;	  /* guards posted */
	struct loop_calls posted;
	atomic_bool has_posted;	    /* so that a turn without any takes no lock */
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

static void loop_tick(evutil_socket_t fd, short what, void *arg);
static void loop_due_now(evutil_socket_t fd, short what, void *arg);

static void loop_nothing(struct cm_timer *t, void *arg)
{
	(void)t;
	(void)arg;
}

/* A descriptor of the loop's own. */
static struct event *loop_watch(struct cm_loop *l, int fd, event_callback_fn fn)
{
	struct event *ev = fd < 0 ? NULL : event_new(l->base, fd, EV_READ | EV_PERSIST, fn, l);

	if (!ev)
		return NULL;
	event_priority_set(ev, CM_PRIO_HIGH);
	event_add(ev, NULL);
	return ev;
}

static bool loop_init(struct cm_loop *l)
{
	struct event_config *cfg = event_config_new();

	if (!cfg)
		return false;
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!l->base || event_base_priority_init(l->base, LOOP_PRIOS) < 0)
		return false;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	l->wake = loop_watch(l, l->wake_fd, loop_woken);
	l->tick = loop_watch(l, l->timer_fd, loop_tick);
	for (int i = 0; i < LOOP_PRIOS; i++) {
		TAILQ_INIT(&l->due[i].list);
		l->due[i].ev = event_new(l->base, -1, 0, loop_due_now, &l->due[i]);
		if (!l->due[i].ev)
			return false;
		event_priority_set(l->due[i].ev, i);
	}
	cm_timer_init(&l->turn_end, l, loop_nothing, NULL);
	return l->wake && l->tick;
}

static void loop_fini(struct cm_loop *l)
{
	for (int i = 0; i < LOOP_PRIOS; i++)
		if (l->due[i].ev)
			event_free(l->due[i].ev);
	if (l->wake)
		event_free(l->wake);
	if (l->tick)
		event_free(l->tick);
	if (l->base)
		event_base_free(l->base);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	cm__timers_fini(&l->timers);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct cm_loop *cm_loop_new(struct cm_err *err)
{
	struct cm_loop *l = calloc(1, sizeof *l);

	if (l) {
		STAILQ_INIT(&l->posted);
		STAILQ_INIT(&l->deferred);
		pthread_mutex_init(&l->lock, NULL);
		l->wake_fd = l->timer_fd = -1;
		if (loop_init(l))
			return l;
		loop_fini(l);
	}
	cm_err_set(err, -ENOMEM, "cannot make an event loop");
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

	if (!atomic_load(&l->has_posted))
		return;
	pthread_mutex_lock(&l->lock);
	STAILQ_CONCAT(&batch, &l->posted);
	atomic_store(&l->has_posted, false);
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
	loop_fini(l);
}

void cm_loop_turn(struct cm_loop *l, int wait_ms)
{
	if (!STAILQ_EMPTY(&l->deferred) || atomic_load(&l->has_posted))
		wait_ms = 0;
	if (wait_ms > 0)
		cm_timer_arm_ms(&l->turn_end, (uint64_t)wait_ms);
	l->now_ns = 0;
	event_base_loop(l->base,
			EVLOOP_NO_EXIT_ON_EMPTY | (wait_ms == 0 ? EVLOOP_NONBLOCK : EVLOOP_ONCE));
	l->now_ns = 0;
	if (wait_ms > 0)
		cm_timer_disarm(&l->turn_end);
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
	atomic_store(&l->has_posted, true);
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

static uint64_t timer_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * CM_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* timer_fd fires at due_ns; 0: never. An expiry that was not read is forgotten by it. */
static void loop_set_timer(struct cm_loop *l, uint64_t due_ns)
{
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(due_ns / CM_NS_PER_S),
					    .tv_nsec = (long)(due_ns % CM_NS_PER_S)}};

	l->timer_set_ns = due_ns;
	CM_ASSERT(timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
}

static void loop_due_now(evutil_socket_t fd, short what, void *arg)
{
	struct loop_due *due = arg;
	struct cm_timer *t;

	(void)fd;
	(void)what;
	/* A timer that is armed again meanwhile is not due before the next tick: this ends. */
	while ((t = TAILQ_FIRST(&due->list))) {
		TAILQ_REMOVE(&due->list, t, link);
		t->due = t->armed = false;
		t->fn(t, t->arg);
	}
}

/* timer_fd fired: sorts out who is due; they are called in the order of their priorities. */
static void loop_tick(evutil_socket_t fd, short what, void *arg)
{
	struct cm_loop *l = arg;
	uint64_t now = timer_clock_ns();
	struct cm_timer *t;

	(void)fd;
	(void)what;
	while ((t = cm__timers_first(&l->timers)) && t->due_ns <= now) {
		struct loop_due *due = &l->due[t->prio];

		cm__timers_remove(&l->timers, t);
		t->due = true;
		if (TAILQ_EMPTY(&due->list))
			event_active(due->ev, EV_TIMEOUT, 0);
		TAILQ_INSERT_TAIL(&due->list, t, link);
	}
	loop_set_timer(l, t ? t->due_ns : 0);
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
	struct cm_loop *l = t->loop;

	cm_timer_disarm(t);
	if (__builtin_add_overflow(timer_clock_ns(), delay_ns, &t->due_ns) || t->due_ns > INT64_MAX)
		t->due_ns = INT64_MAX; /* beyond what the kernel can wait for */
	t->armed = true;
	cm__timers_add(&l->timers, t);
	if (!l->timer_set_ns || t->due_ns < l->timer_set_ns)
		loop_set_timer(l, t->due_ns);
}

/* timer_fd stays as it is: one tick for nothing costs less than setting it each time. */
void cm_timer_disarm(struct cm_timer *t)
{
	if (!t->armed)
		return;
	if (t->due)
		TAILQ_REMOVE(&t->loop->due[t->prio].list, t, link);
	else
		cm__timers_remove(&t->loop->timers, t);
	t->due = t->armed = false;
}

void cm_timer_fini(struct cm_timer *t)
{
	cm_timer_disarm(t);
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
