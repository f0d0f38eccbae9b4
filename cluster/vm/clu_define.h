/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_define.h - defining a VM: may it be, and then its copy on the volume and its entry in the
 * store.
 *
 * Thread: [loop].
 */
#ifndef CLU_DEFINE_H
#define CLU_DEFINE_H

#include "proto/px_req.h"

struct clu_agent;

/* Can a VM of this configuration be defined? Its name is free, there is fencing, its volumes are
 * known, and it shares no disk with another VM unless both only read it (CM_E_DISK_BUSY). */
int clu_define_check(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err);
/* Defines a VM that was checked already; answers q. c is copied. start: wanted to run at once.
 * new_copy: the volume has no copy yet, so that a failure takes it away again. */
void clu_define_vm(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, bool start,
		   bool new_copy);

#endif
