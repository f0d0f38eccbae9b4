/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_fencer.h - fence_hvsan on one node, as fencing/fen_agent.c does it: each block of the victim is watched until its
 * lease has visibly expired, its keys are shut out, and it becomes FREE.
 */
#ifndef SIM_FENCER_H
#define SIM_FENCER_H

#include <stdbool.h>

struct sim_node;

/* done from the world, once: did it succeed? */
void sim_fence_by_san(struct sim_node *delegate, struct sim_node *victim, void (*done)(void *arg, bool ok), void *arg);

#endif
