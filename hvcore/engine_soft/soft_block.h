/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cache of decoded blocks: straight runs of ops within one page, keyed by (physical address, mode).
 *
 * A block may go on behind a conditional branch that is not taken; it ends at any other transfer,
 * at the end of the page or after SOFT_BLOCK_OPS. Branches within the page hold a link to their
 * target's ops. When a page is written, the ops of its blocks are turned into soft_op_stale, so
 * that links, and the block that is running, fall out into the run loop by themselves; their memory
 * is used again only when everything is dropped. [vcpu] all.
 */
#ifndef SOFT_BLOCK_H
#define SOFT_BLOCK_H

#include <pthread.h>

#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_mem.h"

#define SOFT_BLOCK_OPS	  32u
#define SOFT_BLOCK_HASH	  65536u
#define SOFT_ARENA_OPS	  (2u << 20)
#define SOFT_ARENA_BLOCKS (512u << 10)

struct soft_block {
	uint64_t key;
	uint32_t first; /* op in the arena */
	uint32_t count;
	uint32_t next_in_hash; /* block number + 1, 0 ends */
	uint32_t next_in_page;
};

struct soft_blocks {
	struct {
		uint64_t key;
		const struct soft_op *ops;
	} hot[SOFT_BLOCK_HASH]; /* the latest block of each hash value */
	uint32_t chain[SOFT_BLOCK_HASH];
	struct soft_op *ops;
	struct soft_block *block;
	uint32_t *page; /* head of each RAM page's list */
	uint64_t pages;
	uint32_t ops_used;
	uint32_t blocks_used;
	uint32_t drops; /* times that everything was dropped */
	pthread_mutex_t post_lock;
	uint64_t posted[64];	   /* pages that others wrote to */
	uint32_t posted_count;	   /* beyond 64: drop all */
	struct soft_op scratch[4]; /* an instruction that crosses pages; a single step */
};

int soft_blocks_new(struct soft_cpu *cpu, uint64_t pages);
void soft_blocks_free(struct soft_cpu *cpu);

/* The ops at cpu->rip, decoded if need be. May raise (#PF of the fetch). NULL: cannot be executed,
 * cpu->error. */
const struct soft_op *soft_block_at_rip(struct soft_cpu *cpu);
/* The one instruction at cpu->rip, as a block of its own. */
const struct soft_op *soft_block_single(struct soft_cpu *cpu);
/*
 * A branch whose link is not made yet: makes it and goes there; off is the target within the page.
 */
const struct soft_op *soft_block_link(struct soft_cpu *cpu, const struct soft_op *op, uint64_t off);
/* Forget the blocks of RAM page number `page`; forget all. */
void soft_block_drop_page(struct soft_cpu *cpu, uint64_t page);
void soft_block_drop_all(struct soft_cpu *cpu);
/* The same from another thread: it happens when the vCPU next leaves its blocks, which is asked
 * for. [any] */
void soft_block_post_drop(struct soft_cpu *cpu, uint64_t page);
void soft_block_do_posted(struct soft_cpu *cpu);

static inline uint64_t soft_block_key(uint64_t gpa, unsigned int mode)
{
	return gpa << 8 | mode;
}

static inline unsigned int soft_block_hash(uint64_t gpa)
{
	return (unsigned int)(gpa ^ gpa >> 14) & (SOFT_BLOCK_HASH - 1);
}

/* Leave the block for good: the run loop goes on at rip. */
static inline const struct soft_op *soft_leave(struct soft_cpu *cpu, uint64_t rip)
{
	cpu->rip = rip;
	return NULL;
}

/* Is it time to look around in the run loop? */
static inline bool soft_due(struct soft_cpu *cpu)
{
	return cpu->icount >= atomic_load_explicit(&cpu->limit, memory_order_relaxed);
}

/* Continue at any rip, in the current mode; instructions of this block are already counted. */
static inline const struct soft_op *soft_goto(struct soft_cpu *cpu, uint64_t rip)
{
	const struct soft_xtlb_entry *x = &cpu->tlb->ex[(rip >> 12) & (SOFT_XTLB_SIZE - 1)];
	uint64_t gpa;
	unsigned int h;

	if (soft_unlikely(x->tag != (rip & SOFT_PAGE_MASK) || soft_due(cpu)))
		return soft_leave(cpu, rip);
	gpa = x->gpa + (rip & (SOFT_PAGE - 1));
	h = soft_block_hash(gpa);
	if (soft_unlikely(cpu->blocks->hot[h].key != soft_block_key(gpa, cpu->mode)))
		return soft_leave(cpu, rip);
	cpu->gpr[SOFT_REG_PAGE] = rip & SOFT_PAGE_MASK;
	SOFT_GOTO(cpu, cpu->blocks->hot[h].ops);
}

#endif
