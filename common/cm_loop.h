/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_loop.h - the event loop: descriptors, timers, signals, posted calls and deferred close.
 *
 * Law of life (as in libuv): what was initialised must be closed, and its memory may be reused or
 * freed only inside its close callback (or after cm_loop_free). Close callbacks run at one fixed
 * point of each turn, after all events, so a callback may close anything, itself too.
 *
 * Thread: everything is [loop] (the thread in cm_loop_run, or the only thread before it runs)
 * except cm_loop_post and cm_loop_stop, which are [any].
 */
#ifndef CM_LOOP_H
#define CM_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/cm_err.h"

struct cm_loop;
struct event;

#define CM_READ	 1u
#define CM_WRITE 2u

/* Leases and fencing first, then control, then bulk. */
enum cm_prio { CM_PRIO_HIGH = 0, CM_PRIO_NORMAL = 1, CM_PRIO_LOW = 2 };

struct cm_loop *cm_loop_new(struct cm_err *err);
void cm_loop_free(struct cm_loop *loop); /* runs outstanding close callbacks; not while running */
/* Until cm_loop_stop; returns the code given there. */
int cm_loop_run(struct cm_loop *loop);
/* One turn: waits for at most wait_ms (-1: until something happens). For tests and foreground
 * tools. */
void cm_loop_turn(struct cm_loop *loop, int wait_ms);
void cm_loop_stop(struct cm_loop *loop, int code);
/* Calls fn(arg) on the loop's thread, in order of posting. -ENOMEM is the only error. */
typedef void (*cm_post_fn)(void *arg);
int cm_loop_post(struct cm_loop *loop, cm_post_fn fn, void *arg);
/* Calls fn(arg) at the fixed point at the end of this turn: the place to free things. */
void cm_loop_defer(struct cm_loop *loop, cm_post_fn fn, void *arg);
/* Time of this turn (monotonic ns, cached). */
uint64_t cm_loop_now_ns(struct cm_loop *loop);

/* A watched descriptor. The descriptor itself stays the caller's. */
struct cm_io;
typedef void (*cm_io_fn)(struct cm_io *io, unsigned events, void *arg);
typedef void (*cm_close_fn)(void *arg);
struct cm_io {
	struct cm_loop *loop;
	struct event *ev;
	cm_io_fn fn;
	void *arg;
	int fd;
	unsigned want;
	enum cm_prio prio;
};
void cm_io_init(struct cm_io *io, struct cm_loop *loop, int fd, cm_io_fn fn, void *arg);
void cm_io_set_prio(struct cm_io *io, enum cm_prio prio); /* before the first cm_io_want */
/* CM_READ | CM_WRITE, or 0 to pause. Level triggered. -ENOMEM, or what epoll says. */
int cm_io_want(struct cm_io *io, unsigned want);
/* Stops watching at once; then, at the fixed point, fn(arg) if fn. May be called twice (second is
 * nothing). */
void cm_io_close(struct cm_io *io, cm_close_fn fn, void *arg);
/* Stops watching at once, for a cm_io whose memory outlives the loop turn anyway. */
void cm_io_fini(struct cm_io *io);

struct cm_timer;
typedef void (*cm_timer_fn)(struct cm_timer *timer, void *arg);
struct cm_timer {
	struct cm_loop *loop;
	cm_timer_fn fn;
	void *arg;
	enum cm_prio prio;
	bool armed;
	/* of the loop, while armed */
	bool due; /* its time has come: in a list of those to call, no more among the waiting */
	uint64_t due_ns; /* CLOCK_BOOTTIME */
	size_t at;
	TAILQ_ENTRY(cm_timer) link;
};
void cm_timer_init(struct cm_timer *t, struct cm_loop *loop, cm_timer_fn fn, void *arg);
void cm_timer_set_prio(struct cm_timer *t, enum cm_prio prio); /* before the first arm */
/* One shot, delay from now (the time that a suspended host sleeps counts); arms anew if armed. */
void cm_timer_arm_ns(struct cm_timer *t, uint64_t delay_ns);
static inline void cm_timer_arm_ms(struct cm_timer *t, uint64_t delay_ms)
{
	cm_timer_arm_ns(t, delay_ms * 1000000u);
}
void cm_timer_disarm(struct cm_timer *t);
void cm_timer_fini(struct cm_timer *t); /* disarms and frees; the callback will not run any more */

/* A signal, delivered on the loop. */
struct cm_signal;
typedef void (*cm_signal_fn)(struct cm_signal *sig, int signo, void *arg);
struct cm_signal {
	struct event *ev;
	cm_signal_fn fn;
	void *arg;
};
int cm_signal_init(struct cm_signal *s, struct cm_loop *loop, int signo, cm_signal_fn fn,
		   void *arg);
void cm_signal_fini(struct cm_signal *s);

#endif
