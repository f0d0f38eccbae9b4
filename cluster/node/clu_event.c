/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_event.c - the event ring of one agent. Parses nothing.
 */
#include "config.h"

#include "cluster/node/clu_event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"

#define EVENTS_KEPT	 1024u
#define EVENTS_FOLLOWERS 64u

struct clu_events {
	const char *node;
	Hv__Event *ring[EVENTS_KEPT];
	uint64_t next; /* sequence number of the next event, from 1 */
	struct px_chan *follower[EVENTS_FOLLOWERS];
};

struct clu_events *clu_events_new(const char *node)
{
	struct clu_events *e = calloc(1, sizeof *e);

	CM_ASSERT(e);
	e->node = node;
	e->next = 1;
	return e;
}

void clu_events_free(struct clu_events *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		if (e->ring[i])
			hv__event__free_unpacked(e->ring[i], NULL);
	free(e);
}

static char *event_dup(const char *s)
{
	char *d = strdup(s);

	CM_ASSERT(d);
	return d;
}

static const struct {
	const char *word;
	enum cm_log_level level;
} severities[] = {
	[CLU_SEVERITY_NONE] = {"notice", CM_LOG_NOTICE}, /* not said */
	[CLU_NOTICE] = {"notice", CM_LOG_NOTICE},
	[CLU_WARNING] = {"warning", CM_LOG_WARNING},
	[CLU_ERROR] = {"error", CM_LOG_ERR},
};

enum clu_severity clu_severity_find(const char *word)
{
	for (size_t i = CLU_NOTICE; i < CM_ARRAY_LEN(severities); i++)
		if (strcmp(severities[i].word, word) == 0)
			return (enum clu_severity)i;
	return CLU_SEVERITY_NONE;
}

void clu_event(struct clu_events *e, enum clu_severity severity, const char *kind, const char *vm,
	       const char *doc, const char *fmt, ...)
{
	Hv__Event *ev = malloc(sizeof *ev), **slot = &e->ring[e->next % EVENTS_KEPT];
	char text[512];
	va_list ap;

	CM_ASSERT(ev);
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	hv__event__init(ev);
	ev->seq = e->next++;
	ev->wall_ns = cm_wall_ns();
	ev->node = event_dup(e->node);
	ev->vm = event_dup(vm ? vm : "");
	ev->kind = event_dup(kind);
	ev->severity = event_dup(severities[severity].word);
	ev->text = event_dup(text);
	ev->doc = event_dup(doc ? doc : "");
	if (*slot)
		hv__event__free_unpacked(*slot, NULL);
	*slot = ev;
	cm_log(severities[severity].level, "%s%s%s%s", vm ? "vm=" : "", vm ? vm : "",
	       vm ? ": " : "", text);
	for (size_t i = 0; i < EVENTS_FOLLOWERS; i++)
		if (e->follower[i])
			px_chan_send(e->follower[i], PX_EVENT, ev);
}

void clu_events_each(struct clu_events *e, void (*fn)(const Hv__Event *ev, void *arg), void *arg)
{
	uint64_t seq = e->next > EVENTS_KEPT ? e->next - EVENTS_KEPT : 1;

	for (; seq < e->next; seq++)
		if (e->ring[seq % EVENTS_KEPT])
			fn(e->ring[seq % EVENTS_KEPT], arg);
}

static void event_send(const Hv__Event *ev, void *arg)
{
	px_chan_send(arg, PX_EVENT, ev);
}

void clu_events_follow(struct clu_events *e, struct px_chan *c)
{
	clu_events_each(e, event_send, c);
	for (size_t i = 0; i < EVENTS_FOLLOWERS; i++)
		if (!e->follower[i]) {
			e->follower[i] = c;
			return;
		}
	cm_warning("more than %u followers of events; one gets none", EVENTS_FOLLOWERS);
}

void clu_events_unfollow(struct clu_events *e, struct px_chan *c)
{
	for (size_t i = 0; i < EVENTS_FOLLOWERS; i++)
		if (e->follower[i] == c)
			e->follower[i] = NULL;
}
