/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_fault.c - fault points. Parses the operator's (tester's) spec.
 */
#include "config.h"

#include "common/cm_fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cm_log.h"

#ifdef HV_FAULT_POINTS

#define FAULT_MAX 16u
enum fault_action { FAULT_NONE, FAULT_KILL, FAULT_STOP, FAULT_ERROR, FAULT_DELAY };
struct fault {
	char name[48];
	enum fault_action action;
	unsigned arg, nth, passes;
};

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fault_changed = PTHREAD_COND_INITIALIZER;
static struct fault fault_armed[FAULT_MAX];
static atomic_uint fault_count;
static unsigned fault_armings;

/* Until ms are over or points are armed anew (armings: how often they had been). */
static void fault_delay(unsigned ms, unsigned armings)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	pthread_mutex_lock(&fault_lock);
	while (armings == fault_armings &&
	       pthread_cond_clockwait(&fault_changed, &fault_lock, CLOCK_MONOTONIC, &end) == 0)
		continue;
	pthread_mutex_unlock(&fault_lock);
}

static int fault_do(const struct fault *f, unsigned armings)
{
	switch (f->action) {
	case FAULT_KILL:
		kill(getpid(), SIGKILL);
		return 0;
	case FAULT_STOP:
		kill(getpid(), SIGSTOP);
		return 0;
	case FAULT_ERROR:
		return -(int)f->arg;
	case FAULT_DELAY:
		fault_delay(f->arg, armings);
		return 0;
	case FAULT_NONE:
		break;
	}
	return 0;
}

int cm_fault(const char *name)
{
	struct fault hit = {.action = FAULT_NONE};
	unsigned armings;

	if (atomic_load_explicit(&fault_count, memory_order_relaxed) == 0)
		return 0;
	pthread_mutex_lock(&fault_lock);
	for (unsigned i = 0; i < atomic_load(&fault_count); i++) {
		struct fault *f = &fault_armed[i];

		if (strcmp(f->name, name) == 0 && (++f->passes == f->nth || f->nth == 0))
			hit = *f;
	}
	armings = fault_armings;
	pthread_mutex_unlock(&fault_lock);
	if (hit.action == FAULT_NONE)
		return 0;
	cm_log(CM_LOG_ERR, "fault point %s is hit", name);
	return fault_do(&hit, armings);
}

static int fault_parse(struct fault *f, char *word, struct cm_err *err)
{
	static const char *const actions[] = {"", "kill", "stop", "error", "delay"};
	char *action = strchr(word, '='), *arg, *nth;

	if (!action || action == word || (size_t)(action - word) >= sizeof f->name)
		return cm_err_set(err, CM_E_BAD_VALUE, "fault '%s': want NAME=ACTION[:ARG][@NTH]",
				  word);
	*action++ = '\0';
	nth = strchr(action, '@');
	if (nth)
		*nth++ = '\0';
	arg = strchr(action, ':');
	if (arg)
		*arg++ = '\0';
	*f = (struct fault){.arg = arg ? (unsigned)strtoul(arg, NULL, 10) : EIO,
			    .nth = nth ? (unsigned)strtoul(nth, NULL, 10) : 0};
	snprintf(f->name, sizeof f->name, "%s", word);
	for (unsigned i = 1; i < CM_ARRAY_LEN(actions); i++)
		if (strcmp(action, actions[i]) == 0)
			f->action = (enum fault_action)i;
	if (f->action == FAULT_NONE)
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "fault action '%s': kill, stop, error or delay", action);
	return 0;
}

int cm_fault_arm(const char *spec, struct cm_err *err)
{
	struct fault list[FAULT_MAX];
	char copy[1024], *save = NULL, *word;
	unsigned n = 0;

	if (strlen(spec) >= sizeof copy)
		return cm_err_set(err, CM_E_BAD_VALUE, "fault list is too long");
	strcpy(copy, spec);
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		int rc;

		if (n == FAULT_MAX)
			return cm_err_set(err, CM_E_BAD_VALUE, "more than %u fault points",
					  FAULT_MAX);
		rc = fault_parse(&list[n], word, err);
		if (rc)
			return rc;
		n++;
	}
	pthread_mutex_lock(&fault_lock);
	memcpy(fault_armed, list, n * sizeof list[0]);
	atomic_store(&fault_count, n);
	fault_armings++;
	pthread_cond_broadcast(&fault_changed);
	pthread_mutex_unlock(&fault_lock);
	return 0;
}

#else

int cm_fault_arm(const char *spec, struct cm_err *err)
{
	if (!*spec)
		return 0;
	return cm_err_set(err, CM_E_UNSUPPORTED,
			  "fault points are not compiled in (--disable-fault-points)");
}

#endif
