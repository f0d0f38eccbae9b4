/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_sess.h - iSCSI sessions of simulated processes: what takes the place of sharedstorage/iscsi/stor_sess.c, on a
 * network that may be slow, cut, or lose a connection.
 *
 * What was sent before a cut is kept by the node's kernel and arrives after it, also when the process is dead, unless the
 * node was switched off or the target has given the connection up.
 */
#ifndef SIM_SESS_H
#define SIM_SESS_H

#include <stdbool.h>

struct sim_node;
struct sim_proc;

void sim_sess_begin(void);
/* Faults: the node's path to the SAN. */
void sim_sess_cut(struct sim_node *node, bool cut);
/* All connections of now break, as by a restart of the target's software. */
void sim_sess_break(void);
/* So many answers in a thousand never arrive. */
extern unsigned sim_lost_answers_permille;
/* The node is off: nothing of what it sent arrives any more. */
void sim_sess_off(struct sim_node *node);
/* A process is gone: its kernel says so to the target. */
void sim_sess_died(struct sim_proc *proc);

#endif
