/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_run.h - start and stop, for operators and for the OCF agent. Thread: [loop].
 */
#ifndef CLU_VERB_RUN_H
#define CLU_VERB_RUN_H

struct px_req;

void clu_verb_start(struct px_req *q, void *agent);
void clu_verb_restore(struct px_req *q, void *agent);
void clu_verb_stop(struct px_req *q, void *agent);
void clu_verb_local_start(struct px_req *q, void *agent);
void clu_verb_local_stop(struct px_req *q, void *agent);
void clu_verb_local_status(struct px_req *q, void *agent);

#endif
