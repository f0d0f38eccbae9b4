/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_end.h - what the process asks of whatever is under way: the hooks `status` and `end`.
 *
 * Thread: [loop].
 */
#ifndef MIG_CORE_END_H
#define MIG_CORE_END_H

#include "migration/core/mig_core.h"

/* Adds members about a move or a saved state, if there is or was one. */
void mig_core_status(struct hv_core *core, struct hv_json *j);
/* True: something is under way still; hv_core_end_go comes when it is over. */
bool mig_core_end(struct hv_core *core);

#endif
