/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_where.h - on which node a VM is, and handing a request on to the agent there.
 *
 * Thread: [loop].
 */
#ifndef CLU_WHERE_H
#define CLU_WHERE_H

#include "proto/px_req.h"

struct clu_agent;

/* Where a VM is active, as far as we know: our own table first, then pacemaker's picture; ""
 * nowhere. Borrowed, until the next picture. */
const char *clu_where_node(struct clu_agent *a, const char *vm);
/* Sends the request on to the agent of node and relays its replies. One that came from an agent
 * is not sent on again. */
void clu_forward(struct clu_agent *a, const char *node, struct px_req *q);
/* A px_answer_fn for whoever asks something for a request (arg): all that is answered goes to
 * its asker. */
void clu_relay_answer(const Hv__Reply *r, const struct cm_err *err, void *q);

#endif
