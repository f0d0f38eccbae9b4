/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_wish.h - start and stop as wishes to pacemaker.
 *
 * Thread: [loop]. Ownership: a wish ends with the answer to its request.
 */
#ifndef CLU_WISH_H
#define CLU_WISH_H

#include "proto/px_req.h"

struct clu_agent;

/* Asks pacemaker to have the VM of q run (or not), watches until it came true, and answers q. */
void clu_wish(struct clu_agent *a, struct px_req *q, bool want, uint64_t timeout_ms);

#endif
