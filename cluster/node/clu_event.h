/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_event.h - what happened on this node: the last events, and who follows them.
 *
 * Thread: [loop]. Ownership: the ring owns its events.
 */
#ifndef CLU_EVENT_H
#define CLU_EVENT_H

#include "common/cm_err.h"
#include "proto/px_chan.h"

struct clu_events;

struct clu_events *clu_events_new(const char *node);
void clu_events_free(struct clu_events *e);

enum clu_severity { CLU_SEVERITY_NONE = 0, CLU_NOTICE, CLU_WARNING, CLU_ERROR };
/* Of an event of hvcore; NONE if there is no such word. */
enum clu_severity clu_severity_find(const char *word);

/* Also logged at that level. doc: JSON or NULL. */
void clu_event(struct clu_events *e, enum clu_severity severity, const char *kind, const char *vm,
	       const char *doc, const char *fmt, ...) cm_printf(6, 7);
/* Sends what is kept (since seq, 0 all) to a channel, then everything new until it is unfollowed.
 */
void clu_events_follow(struct clu_events *e, struct px_chan *c);
void clu_events_unfollow(struct clu_events *e, struct px_chan *c);
/* Calls fn for every kept event, oldest first. */
void clu_events_each(struct clu_events *e, void (*fn)(const Hv__Event *ev, void *arg), void *arg);

#endif
