/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move.h - migrations as the source's agent leads them: what others have to tell them, and
 * hear.
 *
 * Thread: [loop]. Ownership: a move is in the agent's list until it ended.
 */
#ifndef CLU_MOVE_H
#define CLU_MOVE_H

#include <stdbool.h>

struct clu_agent;
struct cm_fsm_def;
struct json_object;
struct px_req;

void clu_move_picture(struct clu_agent *a); /* pacemaker's picture changed */
void clu_move_vm_gone(struct clu_agent *a, const char *vm);
void clu_move_node_lost(struct clu_agent *a, const char *node);
bool clu_move_is(struct clu_agent *a, const char *vm); /* is that VM being moved? */
/* What is said about a VM's move; NULL: none is under way. */
struct json_object *clu_move_doc(struct clu_agent *a, const char *vm);
const struct cm_fsm_def *clu_move_fsm(void);

/* Who asks for one: operators, and pacemaker's agent. */
void clu_verb_migrate(struct px_req *q, void *agent);
void clu_verb_migrate_cancel(struct px_req *q, void *agent);
void clu_verb_local_migrate_to(struct px_req *q, void *agent);

#endif
