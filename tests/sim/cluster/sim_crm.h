/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_crm.h - corosync and pacemaker, as far as VMs see them: who is with whom, who has quorum, whom it fences, what it
 * starts and moves. It has no part in safety: whatever it orders, leases must hold.
 */
#ifndef SIM_CRM_H
#define SIM_CRM_H

#include <stdbool.h>

struct sim_node;

void sim_crm_begin(void);
/* Connectivity or life of nodes has changed: views follow after the token's time. */
void sim_crm_changed(void);
/* Is that node with the others? */
extern unsigned sim_group[];
/* Faults: the power switch of that node does not answer. */
extern bool sim_bmc_dead[];
/* fence_hvsan is configured, too; power switches are. */
extern bool sim_has_hvsan, sim_has_power;
/* Orders that pacemaker would not give now. */
void sim_crm_rogue_start(void);
void sim_crm_start_on(unsigned vm, unsigned node);
void sim_crm_move(void);
void sim_crm_stop(void);
/* A process that runs that VM; NULL none. */
struct sim_core *sim_crm_core(unsigned vm);
extern unsigned sim_nvms;

#endif
