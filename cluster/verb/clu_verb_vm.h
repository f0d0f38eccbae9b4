/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_vm.h - the operator's verbs about VMs: define, delete, start, stop, and what a VM's hvcore does
 * itself; and start, stop and status for the OCF agent. Thread: [loop].
 */
#ifndef CLU_VERB_VM_H
#define CLU_VERB_VM_H

struct px_req;

void clu_verb_create(struct px_req *q, void *agent);
void clu_verb_delete(struct px_req *q, void *agent);
void clu_verb_start(struct px_req *q, void *agent);
void clu_verb_restore(struct px_req *q, void *agent);
void clu_verb_stop(struct px_req *q, void *agent);
void clu_verb_local_start(struct px_req *q, void *agent);
void clu_verb_local_stop(struct px_req *q, void *agent);
void clu_verb_local_status(struct px_req *q, void *agent);
/* pause, resume, reset, ...: handed to the VM's hvcore as they are. */
void clu_verb_core(struct px_req *q, void *agent);
/* The same, also for a VM that lands here. */
void clu_verb_core_fault(struct px_req *q, void *agent);

#endif
