/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_heir.h - a VM goes on with the memory that its destination has (rule 5 of the ownership
 * block): the destination's half. The source's half is move/clu_heir_offer.h.
 *
 * Thread: [loop].
 */
#ifndef CLU_HEIR_H
#define CLU_HEIR_H

#include "common/cm_err.h"
#include "proto/ctl.pb-c.h"

struct clu_agent;
struct clu_vm;

typedef void (*clu_heir_fn)(const struct cm_err *err, void *arg);
/* Hands the proof to a VM that lands here; done when it runs, or cannot. */
void clu_heir_take_over(struct clu_agent *a, struct clu_vm *vm, const Hv__Proof *proof,
			clu_heir_fn done, void *arg);

#endif
