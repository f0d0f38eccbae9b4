/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_land.h - the destination's side of a migration: verbs of the source's agent and of
 * pacemaker's.
 *
 * Thread: [loop].
 */
#ifndef CLU_LAND_H
#define CLU_LAND_H

struct px_req;

void clu_verb_local_migrate_from(struct px_req *q, void *agent);
void clu_verb_peer_incoming(struct px_req *q, void *agent);
void clu_verb_peer_incoming_cancel(struct px_req *q, void *agent);

#endif
