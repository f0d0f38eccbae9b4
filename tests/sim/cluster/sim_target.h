/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_target.h - an iSCSI target at its most inconvenient that SPC-4 allows: LUNs with sectors and persistent
 * reservations, commands that take their time.
 *
 * Keys are checked when a command arrives, and a write lands later: until it has landed it is a task of its nexus,
 * whatever becomes of its connection and of its key. PREEMPT AND ABORT removes a registration at once and answers when
 * the tasks that it aborts have ended; some of them land all the same. LUN RESET likewise. Parses CDBs.
 */
#ifndef SIM_TARGET_H
#define SIM_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_LUNS    2
#define SIM_SECTOR  512
#define SIM_SECTORS 64

/* What an answer has. */
struct sim_answer {
	int status;
	uint8_t key, asc, ascq;
	uint32_t bytes;
	uint8_t data[1024];
};
typedef void (*sim_answer_fn)(const struct sim_answer *answer, void *arg);

/* How it behaves now; the faults of a seed change it. */
struct sim_manners {
	unsigned stuck_permille; /* writes that take long */
	uint64_t stuck_ns;	 /* so long at most */
	unsigned busy_permille;  /* BUSY instead of an answer */
};
extern struct sim_manners sim_manners;

void sim_target_begin(void);
/* One command of a nexus, now; answer comes later, once. data: what is written; copied. */
void sim_target_command(uint64_t nexus, unsigned lun, const uint8_t *cdb, const uint8_t *data, uint32_t bytes,
			sim_answer_fn answer, void *arg);
void sim_target_reset(uint64_t nexus, unsigned lun, sim_answer_fn answer, void *arg);
const uint8_t *sim_target_sector(unsigned lun, uint64_t lba);
/* Told of each write that lands; set by the oracle. */
extern void (*sim_landed)(unsigned lun, uint64_t lba, const uint8_t *data);
/* Told of each COMPARE AND WRITE that was done, before it is answered; nexus: node number << 48 | ISID. */
extern void (*sim_compared)(uint64_t nexus);

#endif
