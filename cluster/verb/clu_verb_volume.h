/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_volume.h - volumes. Thread: [loop].
 */
#ifndef CLU_VERB_VOLUME_H
#define CLU_VERB_VOLUME_H

struct px_req;

void clu_verb_volume_create(struct px_req *q, void *agent);
void clu_verb_volume_list(struct px_req *q, void *agent);
void clu_verb_volume_show(struct px_req *q, void *agent);
void clu_verb_volume_check(struct px_req *q, void *agent);
void clu_verb_volume_forget(struct px_req *q, void *agent);
void clu_verb_volume_dump(struct px_req *q, void *agent);
void clu_verb_volume_grow(struct px_req *q, void *agent);

#endif
