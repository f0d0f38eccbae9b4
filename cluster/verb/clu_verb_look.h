/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_look.h - list, show and why. Thread: [loop].
 */
#ifndef CLU_VERB_LOOK_H
#define CLU_VERB_LOOK_H

struct px_req;

void clu_verb_list(struct px_req *q, void *agent);
void clu_verb_show(struct px_req *q, void *agent);
void clu_verb_why(struct px_req *q, void *agent);

#endif
