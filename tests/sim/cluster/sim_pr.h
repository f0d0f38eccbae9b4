/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_pr.h - a LUN of the simulated target, and persistent reservations on it (SPC-4). For sim_target.c.
 */
#ifndef SIM_PR_H
#define SIM_PR_H

#include <sys/queue.h>

#include "tests/sim/cluster/sim_target.h"

struct sim_event;
struct sim_lun;

/* A write under way. */
struct sim_task {
	TAILQ_ENTRY(sim_task) link;
	struct sim_lun *lun;
	uint64_t nexus, lba, wait_seq;
	bool caw;
	uint8_t data[2 * SIM_SECTOR];
	struct sim_event *landing;
	sim_answer_fn answer; /* NULL: nobody hears of it */
	void *arg;
};
/* Who waits until tasks that were there before have ended. */
struct sim_wait {
	TAILQ_ENTRY(sim_wait) link;
	bool all;
	uint64_t nexus, seq;
	sim_answer_fn answer;
	void *arg;
};

#define SIM_REGS 96
struct sim_lun {
	uint8_t *sectors;
	TAILQ_HEAD(, sim_task) tasks;
	TAILQ_HEAD(, sim_wait) waits;
	uint64_t seqs;
	struct {
		uint64_t nexus, key; /* key 0: not registered */
		uint8_t asc, ascq;   /* a unit attention that waits; 0: none */
	} reg[SIM_REGS];
	unsigned nregs;
	uint32_t generation;
	uint8_t type; /* of the reservation; 0: none. Type 7 has no holder. */
};

bool sim_pr_may_write(const struct sim_lun *l, uint64_t nexus);
/* True: a unit attention is the answer. */
bool sim_pr_attention(struct sim_lun *l, uint64_t nexus, struct sim_answer *a);
void sim_pr_tell_all(struct sim_lun *l, uint64_t but, uint8_t asc, uint8_t ascq);
void sim_pr_in(const struct sim_lun *l, const uint8_t *cdb, struct sim_answer *a);
void sim_pr_out(struct sim_lun *l, uint64_t nexus, const uint8_t *cdb, const uint8_t *list, sim_answer_fn answer,
		void *arg);
/* sim_target.c: ends the tasks that are there (of a nexus, or all), then answers GOOD. */
void sim_lun_abort(struct sim_lun *l, bool all, uint64_t nexus, sim_answer_fn answer, void *arg);

#endif
