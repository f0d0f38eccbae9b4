/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_loop.h - the event loop of a simulated process: common/cm_loop.h on the world's queue.
 */
#ifndef SIM_LOOP_H
#define SIM_LOOP_H

#include "common/cm_loop.h"

struct sim_proc;

struct cm_loop *sim_loop_new_for(struct sim_proc *proc);
/* A callback has run: what was posted and deferred follows. */
void sim_loop_turn_over(struct cm_loop *loop);

#endif
