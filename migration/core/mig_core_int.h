/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_int.h - what moves and saved states share inside of migration/core/. [loop]
 */
#ifndef MIG_CORE_INT_H
#define MIG_CORE_INT_H

#include "migration/core/mig_core.h"

/* While we hold the VM paused, a renewal must not run it. */
void mig__core_hold(struct mig_core *g, bool on);
/* Something is under way already: CM_E_MIG_BUSY. */
int mig__core_is_free(const struct mig_core *g, struct cm_err *err) cm_must_check;
/* The final answer to whoever asked, if it is there still. */
void mig__core_answer(struct mig_core *g, const struct mig_result *r);

#endif
