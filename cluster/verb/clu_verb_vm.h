/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_vm.h - create and delete a VM, and what its hvcore does itself. Thread: [loop].
 */
#ifndef CLU_VERB_VM_H
#define CLU_VERB_VM_H

struct px_req;

void clu_verb_create(struct px_req *q, void *agent);
void clu_verb_delete(struct px_req *q, void *agent);
/* pause, resume, reset, ...: handed to the VM's hvcore as they are. */
void clu_verb_core(struct px_req *q, void *agent);
/* The same, also for a VM that lands here. */
void clu_verb_core_fault(struct px_req *q, void *agent);

#endif
