/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_console.h - a VM's console, relayed. Thread: [loop]. Ownership: relays are in the
 * agent's list until either end closes.
 */
#ifndef CLU_VERB_CONSOLE_H
#define CLU_VERB_CONSOLE_H

#include "proto/ctl.pb-c.h"

struct clu_agent;
struct px_chan;
struct px_req;

void clu_verb_console(struct px_req *q, void *agent);
/* Bytes that an operator typed. */
void clu_verb_console_input(struct clu_agent *a, struct px_chan *from, const Hv__Data *d);

#endif
