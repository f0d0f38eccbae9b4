/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vcpus.c - vCPU threads, gate and guard. Parses nothing.
 *
 * `stopping` and `held` are the words that vCPU threads look at between two entries; they are set
 * before the kick, and a kick is never lost (hv_engine.h), so after stop() every thread comes back,
 * and after hold() every thread parks. A parked thread is still `inside`; stop() takes it out.
 */
#include "config.h"

#include "hvcore/cpu/hv_vcpus.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_jump.h"
#include "common/cm_log.h"
#include "common/cm_trace.h"

#define STACK_BYTES (256u << 10)

struct vcpu {
	struct hv_vcpus *set;
	unsigned index;
	pthread_t thread;
	bool made;
	uint64_t looked; /* cm_ticks() when it last looked for a jump of the clocks */
};

struct hv_vcpus {
	struct hv_engine *engine;
	const struct hv_engine_ops *eops;
	const struct hv_vcpus_ops *ops;
	void *arg;
	unsigned count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t round; /* counts go() */
	bool going, quit;
	atomic_uint inside; /* changed under lock */
	unsigned parked;    /* of those inside: wait for the end of a hold */
	atomic_bool stopping, held;
	_Atomic uint64_t run_until_ns, stopped_at_ns, started_at_ns;
	/* When run_until_ns was set, on all clocks; an odd number of changes: being written. */
	atomic_uint since_changes;
	_Atomic uint64_t since_now, since_wall, since_tsc;
	int guard_fd;
	pthread_t guard;
	bool guard_made;
	atomic_bool guard_quit;
	char name[12];
	struct vcpu vcpu[HV_MAX_VCPUS];
};

static bool gate_open(struct hv_vcpus *v)
{
	uint64_t until = atomic_load_explicit(&v->run_until_ns, memory_order_acquire);

	return until == UINT64_MAX || (until && cm_now_ns() < until);
}

static void since_set(struct hv_vcpus *v, const struct cm_mark *m)
{
	atomic_fetch_add(&v->since_changes, 1);
	atomic_store(&v->since_now, m->now_ns);
	atomic_store(&v->since_wall, m->wall_ns);
	atomic_store(&v->since_tsc, m->tsc);
	atomic_fetch_add(&v->since_changes, 1);
}

static bool since_get(struct hv_vcpus *v, struct cm_mark *m)
{
	unsigned changes = atomic_load(&v->since_changes);

	m->now_ns = atomic_load(&v->since_now);
	m->wall_ns = atomic_load(&v->since_wall);
	m->tsc = atomic_load(&v->since_tsc);
	return !(changes & 1) && changes == atomic_load(&v->since_changes);
}

#define LOOK_TICKS (1u << 20) /* less than a millisecond */

/*
 * The host may have been paused (it is a virtual machine itself): time has passed that our clock does not know of, and the
 * permit is older than it looks. Then the gate is shut, and the guard says so when it looks next.
 */
static void look_for_jump(struct hv_vcpus *v)
{
	uint64_t until = atomic_load_explicit(&v->run_until_ns, memory_order_acquire), jump, now;
	struct cm_mark since;

	if (!until || until == UINT64_MAX || !since_get(v, &since))
		return;
	jump = cm_jump_ns(&since);
	now = cm_now_ns();
	if (now >= until || now + jump < until) /* over by our own clock: that is no jump */
		return;
	if (atomic_compare_exchange_strong(&v->run_until_ns, &until, 0))
		cm_crit("the clocks jumped by %llu ms: the vCPUs wait for a new lease",
			(unsigned long long)(jump / CM_NS_PER_MS));
}

static void look_now_and_then(struct hv_vcpus *v, struct vcpu *c)
{
	uint64_t ticks = cm_ticks();

	if (ticks && ticks - c->looked < LOOK_TICKS)
		return;
	c->looked = ticks;
	look_for_jump(v);
}

/* Waits for the end of a hold, or for a stop. */
static void park(struct hv_vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	v->parked++;
	pthread_cond_broadcast(&v->changed);
	while (atomic_load(&v->held) && !atomic_load(&v->stopping))
		pthread_cond_wait(&v->changed, &v->lock);
	v->parked--;
	pthread_mutex_unlock(&v->lock);
}

/* Runs the guest until somebody wants it to stop. */
static enum hv_run run_guest(struct hv_vcpus *v, unsigned index)
{
	for (;;) {
		enum hv_run how;
		uint64_t zero = 0;

		look_now_and_then(v, &v->vcpu[index]);
		if (atomic_load_explicit(&v->stopping, memory_order_acquire) || !gate_open(v))
			return HV_RUN_KICKED;
		if (atomic_load_explicit(&v->held, memory_order_acquire)) {
			park(v);
			continue;
		}
		if (!atomic_load_explicit(&v->started_at_ns, memory_order_relaxed))
			atomic_compare_exchange_strong(&v->started_at_ns, &zero, cm_now_ns());
		how = v->eops->vcpu_run(v->engine, index);
		if (how != HV_RUN_KICKED)
			return how;
	}
}

static void *vcpu_main(void *arg)
{
	struct vcpu *c = arg;
	struct hv_vcpus *v = c->set;
	uint64_t seen = 0;
	char name[32];

	snprintf(name, sizeof name, "vcpu%u:%s", c->index, v->name);
	name[15] = '\0'; /* the kernel takes no more */
	pthread_setname_np(pthread_self(), name);
	if (v->ops->begins)
		v->ops->begins(v->arg);
	pthread_mutex_lock(&v->lock);
	for (;;) {
		enum hv_run how;

		while (!v->quit && !(v->going && v->round != seen))
			pthread_cond_wait(&v->changed, &v->lock);
		if (v->quit)
			break;
		seen = v->round;
		pthread_mutex_unlock(&v->lock);
		how = run_guest(v, c->index);
		if (how != HV_RUN_KICKED)
			v->ops->ended(v->arg, c->index, how);
		pthread_mutex_lock(&v->lock);
		if (atomic_fetch_sub(&v->inside, 1) == 1)
			atomic_store(&v->stopped_at_ns, cm_now_ns());
		pthread_cond_broadcast(&v->changed);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* While no thread is inside there is nobody to kick, and the engine may not have vCPUs yet. */
static void kick_all(struct hv_vcpus *v)
{
	if (!atomic_load(&v->inside))
		return;
	for (unsigned i = 0; i < v->count; i++)
		v->eops->vcpu_kick(v->engine, i);
}

/* How often the guard looks for a jump of the clocks, for guests that never leave by themselves. */
#define GUARD_NS (100 * CM_NS_PER_MS)

/* CLOCK_BOOTTIME, as cm_now_ns: a host that slept sees the lease as over. */
static void guard_arm(struct hv_vcpus *v, uint64_t until)
{
	uint64_t soon = cm_now_ns() + GUARD_NS, ns = until < soon ? until : soon;
	struct itimerspec t = {
		.it_value = {.tv_sec = (time_t)(ns / CM_NS_PER_S),
			     .tv_nsec = (long)(ns % CM_NS_PER_S)},
	};

	if (until == UINT64_MAX)
		t = (struct itimerspec){0};
	else if (!ns)
		t.it_value.tv_nsec = 1;
	CM_ASSERT(timerfd_settime(v->guard_fd, TFD_TIMER_ABSTIME, &t, NULL) == 0);
}

static void *guard_main(void *arg)
{
	struct hv_vcpus *v = arg;
	uint64_t n;

	pthread_setname_np(pthread_self(), "guard");
	while (!atomic_load(&v->guard_quit)) {
		uint64_t until;

		if (read(v->guard_fd, &n, sizeof n) < 0 && errno != EINTR && errno != ECANCELED)
			CM_ASSERT(errno == EAGAIN);
		look_for_jump(v);
		until = atomic_load_explicit(&v->run_until_ns, memory_order_acquire);
		if (until == UINT64_MAX || atomic_load(&v->guard_quit))
			continue;
		if (cm_now_ns() < until) {
			guard_arm(v, until);
			continue;
		}
		cm_trace("gate", "shut at %lu, until %lu", cm_now_ns(), until);
		kick_all(v); /* each thread finds the gate shut */
		v->ops->expired(v->arg);
	}
	return NULL;
}

static int thread_new(pthread_t *t, void *(*fn)(void *), void *arg, struct cm_err *err)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc == 0)
		rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (rc == 0)
		rc = pthread_create(t, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return rc ? cm_err_set(err, -rc, "cannot start a thread: %s", strerror(rc)) : 0;
}

static int start_threads(struct hv_vcpus *v, struct cm_err *err)
{
	int rc;

	v->guard_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
	if (v->guard_fd < 0)
		return cm_err_set(err, -errno, "timerfd: %s", strerror(errno));
	rc = thread_new(&v->guard, guard_main, v, err);
	v->guard_made = rc == 0;
	for (unsigned i = 0; rc == 0 && i < v->count; i++) {
		v->vcpu[i] = (struct vcpu){.set = v, .index = i};
		rc = thread_new(&v->vcpu[i].thread, vcpu_main, &v->vcpu[i], err);
		v->vcpu[i].made = rc == 0;
	}
	return rc;
}

int hv_vcpus_new(struct hv_vcpus **out, struct hv_engine *engine, unsigned count, const char *name,
		 const struct hv_vcpus_ops *ops, void *arg, struct cm_err *err)
{
	struct hv_vcpus *v = calloc(1, sizeof *v);
	int rc;

	*out = NULL;
	if (!v)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	v->engine = engine;
	v->eops = ((struct hv_engine_base *)(void *)engine)->ops;
	v->ops = ops;
	v->arg = arg;
	v->count = count;
	v->guard_fd = -1;
	snprintf(v->name, sizeof v->name, "%.8s", name);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->changed, NULL);
	atomic_store(&v->stopping, true);
	rc = start_threads(v, err);
	if (rc < 0) {
		hv_vcpus_free(v);
		return rc;
	}
	*out = v;
	return 0;
}

void hv_vcpus_free(struct hv_vcpus *v)
{
	if (!v)
		return;
	hv_vcpus_stop(v);
	pthread_mutex_lock(&v->lock);
	v->quit = true;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
	for (unsigned i = 0; i < v->count; i++)
		if (v->vcpu[i].made)
			pthread_join(v->vcpu[i].thread, NULL);
	if (v->guard_made) {
		atomic_store(&v->guard_quit, true);
		guard_arm(v, 0);
		pthread_join(v->guard, NULL);
	}
	if (v->guard_fd >= 0)
		close(v->guard_fd);
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

void hv_vcpus_go(struct hv_vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	CM_ASSERT(!v->inside);
	atomic_store(&v->stopping, false);
	atomic_store(&v->started_at_ns, 0);
	v->going = true;
	v->round++;
	v->inside = v->count;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

void hv_vcpus_stop(struct hv_vcpus *v)
{
	atomic_store(&v->stopping, true);
	pthread_mutex_lock(&v->lock);
	v->going = v->going && v->inside; /* threads that did not wake yet find `stopping` */
	if (v->inside) {
		pthread_cond_broadcast(&v->changed); /* to those that are parked */
		pthread_mutex_unlock(&v->lock);
		kick_all(v);
		pthread_mutex_lock(&v->lock);
	}
	while (v->inside)
		pthread_cond_wait(&v->changed, &v->lock);
	v->going = false;
	pthread_mutex_unlock(&v->lock);
}

void hv_vcpus_hold(struct hv_vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	CM_ASSERT(!atomic_load(&v->held));
	atomic_store(&v->held, true);
	pthread_mutex_unlock(&v->lock);
	kick_all(v);
	pthread_mutex_lock(&v->lock);
	while (v->parked < v->inside)
		pthread_cond_wait(&v->changed, &v->lock);
	pthread_mutex_unlock(&v->lock);
}

void hv_vcpus_go_on(struct hv_vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	CM_ASSERT(atomic_load(&v->held));
	atomic_store(&v->held, false);
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

uint64_t hv_vcpus_cpu_ns(const struct hv_vcpus *v, unsigned index)
{
	struct timespec t;
	clockid_t clock;

	if (index >= v->count || !v->vcpu[index].made ||
	    pthread_getcpuclockid(v->vcpu[index].thread, &clock) != 0 ||
	    clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * CM_NS_PER_S + (uint64_t)t.tv_nsec;
}

void hv_vcpus_set_run_until(struct hv_vcpus *v, uint64_t ns)
{
	struct cm_mark now = cm_mark();

	since_set(v, &now);
	atomic_store_explicit(&v->run_until_ns, ns, memory_order_release);
	guard_arm(v, ns);
	if (!ns)
		kick_all(v);
}

uint64_t hv_vcpus_run_until(const struct hv_vcpus *v)
{
	return atomic_load_explicit(&v->run_until_ns, memory_order_acquire);
}

uint64_t hv_vcpus_stopped_at_ns(const struct hv_vcpus *v)
{
	return atomic_load(&v->stopped_at_ns);
}

uint64_t hv_vcpus_started_at_ns(const struct hv_vcpus *v)
{
	return atomic_load(&v->started_at_ns);
}
