/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_move.h - live moves between simulated hvcores: both machines of migration/, with a network in the place of their
 * workers; and the heir (programs/hvcore_heir.c).
 */
#ifndef SIM_MOVE_H
#define SIM_MOVE_H

#include <stdbool.h>

struct sim_core;
struct sim_node;

/* The source of c's ticket may connect. In the process of c. */
void sim_move_land(struct sim_core *c);
/* From source to dest (which lands): in the process of source. False: not now. */
bool sim_move_start(struct sim_core *source, struct sim_core *dest);
/* The process ends: true: sim_core_end_go follows when the move is over. */
bool sim_move_end(struct sim_core *c);
void sim_move_died(struct sim_core *c);
/* c has all of the VM's memory, and no word of the commit yet. */
bool sim_move_is_verified(const struct sim_core *c);
/* Goes on with the memory that is here: c->proof says why the source is dead. In the process of c. */
void sim_move_inherit(void *core);
/* What the nodes cannot reach of each other ends their connections. */
void sim_move_parted(struct sim_node *a, struct sim_node *b);
/* The connection of a move breaks: this end hears of it. */
void sim_move_break(struct sim_core *c);
/* Told when a landing has all of the memory; set by the faults. */
extern void (*sim_move_verified)(struct sim_core *source, struct sim_core *dest);
/* Can they reach each other? Set by the cluster. */
extern bool (*sim_reaches)(const struct sim_node *a, const struct sim_node *b);

#endif
