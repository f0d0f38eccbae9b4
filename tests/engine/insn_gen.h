/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes random instruction cases from a seed: the same seed gives the same cases. */
#ifndef INSN_GEN_H
#define INSN_GEN_H

#include "tests/engine/insn_case.h"
#include "tests/engine/insn_form.h"

struct insn_gen {
	uint64_t s[4];
};

void insn_gen_seed(struct insn_gen *g, uint64_t seed);
uint64_t insn_gen_next(struct insn_gen *g);
void insn_gen_case(struct insn_gen *g, unsigned int form, struct insn_case *c);

/* The memory of a case into all data pages, the unmapped ones too: the strips, and what is the same for all cases. */
void insn_gen_lay(const struct insn_case *c, uint8_t *pages);

#endif
