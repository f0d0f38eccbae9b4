/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_heir_offer.h - a move whose source died before the commit: the source's agent offers what
 * landed to the destination's, and that one hands it the proof.
 *
 * Thread: [loop].
 */
#ifndef CLU_HEIR_OFFER_H
#define CLU_HEIR_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ctl.pb-c.h"

struct clu_agent;
struct px_req;

/* Our process pid of that VM was collected: its move's destination may go on. False: there is none;
 * refused is not called. */
bool clu_heir_offer(struct clu_agent *a, const Hv__VmConfig *config, uint32_t pid,
		    void (*refused)(struct clu_agent *a, const Hv__VmConfig *config));
void clu_verb_peer_take_over(struct px_req *q, void *agent);
void clu_verb_local_orphan(struct px_req *q, void *agent);

#endif
