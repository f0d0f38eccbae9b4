/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_deaths.h - VMs whose process died here and of which pacemaker has not been told yet. Once it acts on
 * such a VM by itself (a stop, a start), telling it would make it restart what it has just mended.
 *
 * Thread: [loop]. Ownership: the list is the agent's, each entry of who adds it.
 */
#ifndef CLU_DEATHS_H
#define CLU_DEATHS_H

#include <stdbool.h>
#include <sys/queue.h>

struct clu_death {
	TAILQ_ENTRY(clu_death) link;
	char vm[64];
	bool acted; /* pacemaker has acted on it since */
};
struct clu_deaths;

struct clu_deaths *clu_deaths_new(void);
void clu_deaths_free(struct clu_deaths *l);
void clu_deaths_add(struct clu_deaths *l, struct clu_death *d, const char *vm);
void clu_deaths_remove(struct clu_deaths *l, struct clu_death *d);
/* The OCF agent was told to start or stop that VM here. */
void clu_deaths_acted(struct clu_deaths *l, const char *vm);

#endif
