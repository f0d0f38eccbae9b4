/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs instruction cases in the soft engine's interpreter, one decoded op at a time. */
#ifndef INSN_SOFT_H
#define INSN_SOFT_H

#include "tests/engine/insn_case.h"

struct insn_soft;

struct insn_soft *insn_soft_new(void);
void insn_soft_run(struct insn_soft *s, const struct insn_case *c, struct insn_result *r);
void insn_soft_free(struct insn_soft *s);

#endif
