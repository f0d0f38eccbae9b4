/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_restore.h - the VM of this process goes on from a saved state: the hooks `look_saved`
 * and `restore`.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_RESTORE_H
#define MIG_CORE_RESTORE_H

#include "migration/core/mig_core.h"

/* Is there one on the volume? Then hv_core_go_on, or hv_core_start_failed. */
void mig_core_look_saved(struct hv_core *core);
/* path NULL: the one that was found. */
int mig_core_restore(struct hv_core *core, const char *path, struct cm_err *err) cm_must_check;

#endif
