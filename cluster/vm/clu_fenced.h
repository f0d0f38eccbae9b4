/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_fenced.h - with what was a lost node fenced: switched off, or only shut out of the SAN?
 *
 * Thread: [loop]. Ownership: a question that is asked ends by itself.
 */
#ifndef CLU_FENCED_H
#define CLU_FENCED_H

#include "cluster/pcmk/clu_pcmk.h"

struct clu_agent;

enum clu__fenced {
	CLU__FENCED_NONE = 0, /* done will tell */
	CLU__FENCED_OFF,      /* by a switch, or an operator states it: it is off */
	/* Perhaps by fence_hvsan: it may be on, and what it owns now may be alive. */
	CLU__FENCED_SAN,
};
typedef void (*clu__fenced_fn)(enum clu__fenced how, void *arg);
/* f: a successful fencing. Answers at once, or NONE; then done comes once. */
enum clu__fenced clu__fenced_how(struct clu_agent *a, const struct clu_pcmk_fence *f,
				 clu__fenced_fn done, void *arg);
/* Did fence_hvsan shut that node out from here? */
bool clu_fenced_marked(const struct clu_agent *a, const char *node);
/* node is a member again: marks of its earlier life go. */
void clu_fenced_joined(struct clu_agent *a, const char *node);

#endif
