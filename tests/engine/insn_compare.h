/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do the host CPU and the interpreter agree about a case? */
#ifndef INSN_COMPARE_H
#define INSN_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

#include "tests/engine/insn_case.h"

/* Arithmetic flags that the manuals leave undefined after this case. */
uint32_t insn_undefined_flags(const struct insn_case *c);
/* The bits of RFLAGS that are compared. */
uint64_t insn_flags_mask(const struct insn_case *c, const struct insn_result *native);
/* With this outcome, must all of it be equal (but undefined flags), or is a part up to the CPU? */
bool insn_compared_whole(const struct insn_case *c, const struct insn_result *native);
bool insn_equal(const struct insn_case *c, const struct insn_result *native, const struct insn_result *soft);
/* Prints the instruction, its input and every difference. */
void insn_report(FILE *to, const struct insn_case *c, const struct insn_result *native, const struct insn_result *soft);

#endif
