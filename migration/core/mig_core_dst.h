/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_dst.h - a VM comes to this process: the hook `incoming`, and a takeover with the
 * memory that has landed.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_DST_H
#define MIG_CORE_DST_H

#include "migration/core/mig_core.h"

struct stor_permit;

int mig_core_incoming(struct hv_core *core, struct cm_err *err) cm_must_check;
/* Is a VM here whose source may be taken over from (rule 5)? */
bool mig_core_is_verified(struct mig_core *g);
/* Takes the permit. CM_E_VM_STATE: nothing verified is here (any more). */
int mig_core_take_over(struct mig_core *g, struct stor_permit *permit, struct cm_err *err)
	cm_must_check;

#endif
