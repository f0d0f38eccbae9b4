/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_landings.h - which VMs began to land here of late, and from where.
 *
 * A stop that comes a moment after a landing ended, and a start that finds a landing whose source
 * is lost, have to know. Thread: [loop]. Ownership: the agent's.
 */
#ifndef CLU_LANDINGS_H
#define CLU_LANDINGS_H

#include <stdbool.h>

struct clu_agent;
struct clu_landings;

struct clu_landings *clu_landings_new(void);
void clu_landings_free(struct clu_landings *l);
/* A landing of vm begins; only the latest ones are kept. */
void clu_landings_note(struct clu_landings *l, const char *vm, const char *source);
void clu_landings_forget(struct clu_landings *l, const char *vm);
/* Did a landing of that VM begin here a moment ago? */
bool clu_landings_recent(const struct clu_landings *l, const char *vm);
/* The VM lands here from a node that has left the cluster meanwhile: that node's name; else
 * NULL. */
const char *clu_landings_orphan(const struct clu_agent *a, const char *vm);

#endif
