/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_copy.h - the copy of a VM's definition that lies on the volume of its ownership block, so
 * that a volume tells by itself what runs on it.
 *
 * Thread: [loop].
 */
#ifndef CLU_COPY_H
#define CLU_COPY_H

#include "cluster/pcmk/clu_pcmk.h"
#include "proto/ctl.pb-c.h"

struct clu_agent;

/* Writes the VM's copy (or nothing, if its ownership block is on no volume), then done. */
void clu_copy_put(struct clu_agent *a, const Hv__VmConfig *c, clu_pcmk_done_fn done, void *arg);
/* Drops copy, saved state (only if force, else CM_E_VM_STATE) and ownership sector, then done. */
void clu_copy_drop(struct clu_agent *a, const Hv__VmConfig *c, bool force, clu_pcmk_done_fn done,
		   void *arg);

#endif
