/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_save.h - the VM of this process becomes a saved state: verbs save and save-cancel.
 * Their ctx is the hv_core.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_SAVE_H
#define MIG_CORE_SAVE_H

#include "proto/px_req.h"

void mig_core_verb_save(struct px_req *q, void *core);
void mig_core_verb_save_cancel(struct px_req *q, void *core);

#endif
