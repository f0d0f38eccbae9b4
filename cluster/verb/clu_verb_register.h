/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_register.h - what a volume tells of its VMs: volume vms, volume attach, register (a new
 * cluster on an old SAN). Thread: [loop].
 */
#ifndef CLU_VERB_REGISTER_H
#define CLU_VERB_REGISTER_H

struct px_req;

void clu_verb_volume_vms(struct px_req *q, void *agent);
void clu_verb_volume_attach(struct px_req *q, void *agent);
void clu_verb_register(struct px_req *q, void *agent);

#endif
