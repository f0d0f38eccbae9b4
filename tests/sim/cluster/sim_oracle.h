/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_oracle.h - what must never be: a VM that runs twice, an acknowledged write that is not there any more, a write of a
 * former owner behind the next one's.
 *
 * A VM's guest writes one record on each LUN: a number that grows. A "life" of a VM is the time from a start, or a move,
 * to the next one.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/cluster/sim_target.h"

#define SIM_VMS	     4
#define SIM_BLOCK(v) (v)      /* sector of its ownership block, LUN 0 */
#define SIM_RECORD(v) (32 + (v)) /* sector of its record, each LUN */

void sim_oracle_begin(void);
/* It runs from now on, and no other life of it. memory: what it knows to have written (a move), or NULL (a boot). */
uint32_t sim_oracle_begins(unsigned vm, const uint64_t memory[SIM_LUNS]);
void sim_oracle_fill(uint8_t sector[SIM_SECTOR], unsigned vm, uint32_t life, uint64_t number);
void sim_oracle_acked(unsigned vm, uint32_t life, unsigned lun, uint64_t number);
/* What a boot reads; its number. */
uint64_t sim_oracle_read(unsigned vm, unsigned lun, const uint8_t sector[SIM_SECTOR]);
/* For the tally: how much happened. */
extern uint64_t sim_tally_writes, sim_tally_boots, sim_tally_moves;

#endif
