/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_dead.h - what happens when a VM's process died without letting go of the VM.
 *
 * Thread: [loop].
 */
#ifndef CLU_DEAD_H
#define CLU_DEAD_H

struct clu_agent;
struct clu_vm;

/* Its process was collected. Its ownership goes, to its move's destination or to nobody; and if
 * pacemaker still believes a moment later that it runs here, it is told. */
void clu__dead_vm(struct clu_agent *a, const struct clu_vm *vm);

#endif
