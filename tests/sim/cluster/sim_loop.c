/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_loop.c - what takes the place of common/cm_loop.c: the same calls, without descriptors and without a clock of its
 * own. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_loop.h"

#include <sys/queue.h>

#include "tests/sim/cluster/sim_proc.h"

struct call {
	STAILQ_ENTRY(call) link;
	cm_post_fn fn;
	void *arg;
};
STAILQ_HEAD(calls, call);

struct cm_loop {
	struct sim_proc *proc;
	struct calls posted, deferred, spare;
	bool turn_due;
};

struct cm_loop *sim_loop_new_for(struct sim_proc *proc)
{
	struct cm_loop *l = sim_alloc(sizeof *l);

	l->proc = proc;
	STAILQ_INIT(&l->posted);
	STAILQ_INIT(&l->deferred);
	STAILQ_INIT(&l->spare);
	return l;
}

static void run_calls(struct cm_loop *l, struct calls *from)
{
	struct calls batch = STAILQ_HEAD_INITIALIZER(batch);
	struct call *c;

	STAILQ_CONCAT(&batch, from);
	while ((c = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, link);
		c->fn(c->arg);
		STAILQ_INSERT_HEAD(&l->spare, c, link);
	}
}

static void turn(void *arg)
{
	((struct cm_loop *)arg)->turn_due = false; /* the dispatcher runs what waits */
}

static void turn_soon(struct cm_loop *l)
{
	if (l->turn_due)
		return;
	l->turn_due = true;
	sim_at_proc(l->proc, sim_now, 1, turn, l);
}

void sim_loop_turn_over(struct cm_loop *l)
{
	run_calls(l, &l->posted);
	run_calls(l, &l->deferred);
	if (!STAILQ_EMPTY(&l->posted) || !STAILQ_EMPTY(&l->deferred))
		turn_soon(l);
}

static void add(struct cm_loop *l, struct calls *to, cm_post_fn fn, void *arg)
{
	struct call *c = STAILQ_FIRST(&l->spare);

	if (c)
		STAILQ_REMOVE_HEAD(&l->spare, link);
	else
		c = sim_alloc(sizeof *c);
	c->fn = fn;
	c->arg = arg;
	STAILQ_INSERT_TAIL(to, c, link);
	if (sim_self != l->proc)
		turn_soon(l);
}

int cm_loop_post(struct cm_loop *l, cm_post_fn fn, void *arg)
{
	add(l, &l->posted, fn, arg);
	return 0;
}

void cm_loop_defer(struct cm_loop *l, cm_post_fn fn, void *arg)
{
	add(l, &l->deferred, fn, arg);
}

uint64_t cm_loop_now_ns(struct cm_loop *l)
{
	(void)l;
	return cm_now_ns();
}

/* --- timers ------------------------------------------------------------------------------ */

void cm_timer_init(struct cm_timer *t, struct cm_loop *loop, cm_timer_fn fn, void *arg)
{
	*t = (struct cm_timer){.loop = loop, .fn = fn, .arg = arg, .prio = CM_PRIO_NORMAL};
}

void cm_timer_set_prio(struct cm_timer *t, enum cm_prio prio)
{
	t->prio = prio;
}

static void timer_fire(void *arg);

/* Its event is kept in `at`. */
static void timer_set(struct cm_timer *t)
{
	struct sim_proc *p = t->loop->proc;

	t->at = (size_t)sim_at_proc(p, sim_when(p->node, t->due_ns), t->prio, timer_fire, t);
}

static void timer_fire(void *arg)
{
	struct cm_timer *t = arg;

	if (cm_now_ns() < t->due_ns) { /* the clock stood still meanwhile, or runs a little behind */
		t->at = (size_t)sim_at_proc(t->loop->proc,
					    sim_when(t->loop->proc->node, t->due_ns) + 1000, t->prio, timer_fire, t);
		return;
	}
	t->armed = false;
	t->fn(t, t->arg);
}

void cm_timer_arm_ns(struct cm_timer *t, uint64_t delay_ns)
{
	cm_timer_disarm(t);
	t->due_ns = cm_now_ns() + delay_ns;
	t->armed = true;
	timer_set(t);
}

void cm_timer_disarm(struct cm_timer *t)
{
	if (t->armed)
		sim_cancel((struct sim_event *)t->at);
	t->armed = false;
}

void cm_timer_fini(struct cm_timer *t)
{
	cm_timer_disarm(t);
}

/* --- what nobody here has ------------------------------------------------------------------- */

void cm_io_init(struct cm_io *io, struct cm_loop *loop, int fd, cm_io_fn fn, void *arg)
{
	(void)loop, (void)fd, (void)fn, (void)arg;
	*io = (struct cm_io){.loop = NULL};
	CM_ASSERT(!"descriptors are not simulated");
}
