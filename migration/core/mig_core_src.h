/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_src.h - the VM of this process moves away: verbs migrate, migrate-commit and
 * migrate-cancel. Their ctx is the hv_core.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_SRC_H
#define MIG_CORE_SRC_H

#include "proto/px_req.h"

void mig_core_verb_migrate(struct px_req *q, void *core);
void mig_core_verb_commit(struct px_req *q, void *core);
void mig_core_verb_cancel(struct px_req *q, void *core);

#endif
