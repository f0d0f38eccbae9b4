/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_peer.h - what the agents of other nodes ask, moves apart. Thread: [loop].
 */
#ifndef CLU_VERB_PEER_H
#define CLU_VERB_PEER_H

struct px_req;

void clu_verb_peer_hello(struct px_req *q, void *agent);
void clu_verb_peer_reclaim(struct px_req *q, void *agent);
void clu_verb_peer_fence_mark(struct px_req *q, void *agent);

#endif
