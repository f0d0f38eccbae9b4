/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_search.h - the search for evidence that the owner of a VM is gone, as cluster/vm/clu_proof.c does it.
 */
#ifndef SIM_SEARCH_H
#define SIM_SEARCH_H

#include "tests/sim/cluster/sim_agent.h"

/* proof NULL: none, or released: the block was let go. In the agent's process. */
typedef void (*sim_search_fn)(const struct sim_proof *proof, bool released, void *arg);
void sim_search(struct sim_agent *a, unsigned vm, const struct sim_held *owner, uint64_t deadline_ns, sim_search_fn done,
		void *arg);

#endif
