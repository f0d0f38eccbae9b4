/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_undo.h - a save that does not come to its end. For migration/core/ only.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_UNDO_H
#define MIG_CORE_UNDO_H

#include "migration/core/mig_core.h"

/* Closes the device, if one is open, then undoes. The asker hears the err of the first call. */
void mig__core_undo_fail(struct mig_core_image *p, const struct cm_err *err);
/* Drops what was made (again, if it was tried), then runs the VM on. No device is open. */
void mig__core_undo(struct mig_core_image *p);
/* True: somebody wants the save to end, and it does. */
bool mig__core_undo_is_over(struct mig_core_image *p);
/* The process ends while an image cannot be dropped: without another try. */
void mig__core_undo_give_up(struct mig_core_image *p);

#endif
