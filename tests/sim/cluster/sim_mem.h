/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_mem.h - whose memory is it? What the product allocates belongs to the simulated process that runs, and goes with
 * it when it is killed. The linker puts this in the place of malloc and the like (tests/sim/local.mk).
 */
#ifndef SIM_MEM_H
#define SIM_MEM_H

#include <stddef.h>
#include <sys/queue.h>

struct sim_block;
TAILQ_HEAD(sim_blocks, sim_block);

/* To whom what is allocated from now on belongs; NULL: nobody (it must be freed). */
void sim_mem_for(struct sim_blocks *owner);
/* All of it is freed, whatever still points there. */
void sim_mem_drop(struct sim_blocks *owner);

/* The allocator itself; abort without memory. */
void *sim_mem_real_calloc(size_t bytes);
void *sim_mem_real_realloc(void *p, size_t bytes);
void sim_mem_real_free(void *p);

#endif
