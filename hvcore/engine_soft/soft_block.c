/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building, finding, linking and dropping of blocks. See soft_block.h. Reads guest code through the
 * exec TLB only; the bytes may be anything.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_decode.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_ops.h"
#include "hvcore/engine_soft/soft_run.h"
#include "hvcore/engine_soft/soft_vm.h"

#define NO_KEY UINT64_MAX

/* Memory that costs nothing until it is touched. */
static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

int soft_blocks_new(struct soft_cpu *cpu, uint64_t pages)
{
	struct soft_blocks *b = calloc(1, sizeof *b);

	if (!b)
		return -ENOMEM;
	b->pages = pages;
	b->ops = reserve(SOFT_ARENA_OPS * sizeof *b->ops);
	b->block = reserve(SOFT_ARENA_BLOCKS * sizeof *b->block);
	b->page = reserve(pages * sizeof *b->page);
	pthread_mutex_init(&b->post_lock, NULL);
	cpu->blocks = b;
	if (!b->ops || !b->block || !b->page) {
		soft_blocks_free(cpu);
		return -ENOMEM;
	}
	soft_block_drop_all(cpu);
	return 0;
}

void soft_blocks_free(struct soft_cpu *cpu)
{
	struct soft_blocks *b = cpu->blocks;

	if (!b)
		return;
	release(b->ops, SOFT_ARENA_OPS * sizeof *b->ops);
	release(b->block, SOFT_ARENA_BLOCKS * sizeof *b->block);
	release(b->page, b->pages * sizeof *b->page);
	pthread_mutex_destroy(&b->post_lock);
	free(b);
	cpu->blocks = NULL;
}

/* --- dropping ------------------------------------------------------------ */

/* Nothing may be running in a block: memory of ops will be used again. */
void soft_block_drop_all(struct soft_cpu *cpu)
{
	struct soft_blocks *b = cpu->blocks;

	for (unsigned int i = 0; i < SOFT_BLOCK_HASH; i++)
		b->hot[i].key = NO_KEY;
	memset(b->chain, 0, sizeof b->chain);
	for (uint32_t i = 0; i < b->blocks_used; i++) {
		const struct soft_slot *slot;
		uint64_t gpa = b->block[i].key >> 8;

		if (soft_ram(cpu->vm, gpa, 1, &slot))
			b->page[soft_page_index(slot, gpa)] = 0;
	}
	b->ops_used = 0;
	b->blocks_used = 0;
	b->drops++;
}

static void unhash(struct soft_blocks *b, uint32_t number)
{
	unsigned int h = soft_block_hash(b->block[number - 1].key >> 8);
	uint32_t *at = &b->chain[h];

	while (*at && *at != number)
		at = &b->block[*at - 1].next_in_hash;
	if (*at)
		*at = b->block[number - 1].next_in_hash;
	if (b->hot[h].key == b->block[number - 1].key)
		b->hot[h].key = NO_KEY;
}

void soft_block_drop_page(struct soft_cpu *cpu, uint64_t page)
{
	struct soft_blocks *b = cpu->blocks;
	uint32_t number = b->page[page];

	b->page[page] = 0;
	cpu->count.pages_dropped += number != 0;
	while (number) {
		struct soft_block *block = &b->block[number - 1];

		unhash(b, number);
		for (uint32_t i = 0; i < block->count; i++)
			b->ops[block->first + i].fn = soft_op_stale;
		cpu->count.blocks_dropped++;
		number = block->next_in_page;
	}
}

void soft_block_post_drop(struct soft_cpu *cpu, uint64_t page)
{
	struct soft_blocks *b = cpu->blocks;

	pthread_mutex_lock(&b->post_lock);
	if (b->posted_count < 64)
		b->posted[b->posted_count] = page;
	if (b->posted_count <= 64)
		b->posted_count++;
	pthread_mutex_unlock(&b->post_lock);
	soft_cpu_stop(cpu, SOFT_STOP_CODE);
}

void soft_block_do_posted(struct soft_cpu *cpu)
{
	struct soft_blocks *b = cpu->blocks;

	pthread_mutex_lock(&b->post_lock);
	if (b->posted_count > 64)
		soft_block_drop_all(cpu);
	else
		for (uint32_t i = 0; i < b->posted_count; i++)
			soft_block_drop_page(cpu, b->posted[i]);
	b->posted_count = 0;
	pthread_mutex_unlock(&b->post_lock);
}

/* --- building ------------------------------------------------------------ */

/* Falls through to offset `off` of the page, after n instructions. */
static void make_end(struct soft_op *op, unsigned int off, unsigned int n)
{
	*op = (struct soft_op){.fn = off < SOFT_PAGE ? soft_op_end : soft_op_end_far,
			       .imm = off,
			       .off = (uint16_t)off,
			       .n = (uint8_t)n};
}

/* An op of our own ahead of instruction n. */
static struct soft_op ahead(soft_fn fn, unsigned int off, unsigned int n)
{
	return (struct soft_op){.fn = fn, .off = (uint16_t)off, .n = (uint8_t)n};
}

/* Decode instructions at off of the page into op[]; returns the number of ops, 0 if the first
 * crosses the page. */
static unsigned int decode_run(const uint8_t *page, unsigned int off, unsigned int mode,
			       unsigned int max, struct soft_op *op)
{
	unsigned int used = 0, n = 0;
	bool ends = false;

	if (mode & SOFT_MODE_BREAK) {
		op[used++] = ahead(soft_op_break, off, 1);
		max = 1;
	}
	while (n < max && !ends && off < SOFT_PAGE) {
		struct soft_op *o = &op[used];
		unsigned int len;

		o->off = (uint16_t)off;
		len = soft_decode_one(page + off, SOFT_PAGE - off, mode, o, &ends);
		if (!len)
			break;
		n++;
		if (o->base == SOFT_REG_FAR) {
			op[used + 1] = *o;
			*o = ahead(soft_op_set_far, off, n);
			used++;
		}
		op[used].n = (uint8_t)n;
		if (op[used].fn == soft_op_sti && max > 1)
			max = n + 1; /* the interrupt window opens behind the next instruction */
		used++;
		off += len;
	}
	if (!n)
		return 0;
	make_end(&op[used++], off, n);
	return used;
}

/*
 * A page gets a block: nobody may write to it unseen from now on. If this is its first block, the
 * other vCPUs must empty their write TLBs, and they must have done so before the code is read: what
 * they write by an old entry is not seen. (Another vCPU may have asked them, a moment ago.)
 */
static void mark_code(struct soft_cpu *cpu, uint64_t page)
{
	struct soft_vm *vm = cpu->vm;

	if (!atomic_exchange(&vm->has_code[page], 1)) {
		soft_tlb_flush_writes(cpu);
		for (unsigned int i = 0; i < vm->cfg.vcpus; i++)
			if (vm->cpu[i] && vm->cpu[i] != cpu)
				soft_cpu_stop(vm->cpu[i], SOFT_STOP_FLUSH);
	}
	soft_run_await_writes(cpu);
}

static const struct soft_op *build(struct soft_cpu *cpu, const struct soft_xtlb_entry *x,
				   unsigned int off)
{
	struct soft_blocks *b = cpu->blocks;
	uint64_t gpa = x->gpa + off, page;
	const struct soft_slot *slot;
	struct soft_block *block;
	unsigned int h, count;

	soft_ram(cpu->vm, x->gpa, SOFT_PAGE, &slot);
	page = soft_page_index(slot, x->gpa);
	mark_code(cpu, page);
	count = decode_run(x->host, off, cpu->mode, SOFT_BLOCK_OPS, &b->ops[b->ops_used]);
	if (!count)
		return NULL;
	block = &b->block[b->blocks_used++];
	*block = (struct soft_block){
		.key = soft_block_key(gpa, cpu->mode), .first = b->ops_used, .count = count};
	b->ops_used += count;
	h = soft_block_hash(gpa);
	block->next_in_hash = b->chain[h];
	b->chain[h] = b->blocks_used;
	block->next_in_page = b->page[page];
	b->page[page] = b->blocks_used;
	cpu->count.block_misses++;
	return &b->ops[block->first];
}

static const struct soft_op *find(struct soft_cpu *cpu, uint64_t gpa)
{
	struct soft_blocks *b = cpu->blocks;
	unsigned int h = soft_block_hash(gpa);
	uint64_t key = soft_block_key(gpa, cpu->mode);
	uint32_t number = b->chain[h];

	if (b->hot[h].key == key)
		return b->hot[h].ops;
	while (number && b->block[number - 1].key != key)
		number = b->block[number - 1].next_in_hash;
	return number ? &b->ops[b->block[number - 1].first] : NULL;
}

/* Found or built; NULL if the instruction crosses the page. */
static const struct soft_op *get(struct soft_cpu *cpu, const struct soft_xtlb_entry *x,
				 unsigned int off)
{
	struct soft_blocks *b = cpu->blocks;
	unsigned int h = soft_block_hash(x->gpa + off);
	const struct soft_op *ops = find(cpu, x->gpa + off);

	if (ops)
		cpu->count.block_hits++;
	else
		ops = build(cpu, x, off);
	if (ops) {
		b->hot[h].key = soft_block_key(x->gpa + off, cpu->mode);
		b->hot[h].ops = ops;
	}
	return ops;
}

/* One instruction from up to two pages. The second page is fetched only if it is needed, as it may
 * fault. */
static const struct soft_op *one_insn(struct soft_cpu *cpu, const struct soft_xtlb_entry *x,
				      unsigned int off)
{
	struct soft_op *op = cpu->blocks->scratch;
	unsigned int have = SOFT_PAGE - off, count = decode_run(x->host, off, cpu->mode, 1, op);
	uint8_t page[SOFT_PAGE + 16];

	if (count)
		return op;
	memcpy(page + off, x->host + off, have);
	x = soft_fetch_page(cpu, cpu->rip + have);
	if (!x)
		return NULL;
	memcpy(page + SOFT_PAGE, x->host, 16);
	if (cpu->mode & SOFT_MODE_BREAK)
		*op++ = ahead(soft_op_break, off, 1);
	op->off = (uint16_t)off;
	for (unsigned int i = 0; i < 2; i++) {
		bool ends;
		unsigned int len = soft_decode_one(page + off, have + 15, cpu->mode, &op[i], &ends);

		op[i].n = 1;
		if (op[i].base != SOFT_REG_FAR || i) {
			make_end(&op[i + 1], off + len, 1);
			break;
		}
		op[i + 1].off = (uint16_t)off;
		op[i] = ahead(soft_op_set_far, off, 1);
	}
	return cpu->blocks->scratch;
}

static const struct soft_xtlb_entry *fetch(struct soft_cpu *cpu)
{
	const struct soft_xtlb_entry *x;

	if (soft_unlikely(cpu->mode & SOFT_MODE_BREAK))
		soft_break_exec(cpu, NULL, cpu->rip); /* goes before a fault of the fetch */
	x = soft_fetch_page(cpu, cpu->rip);
	cpu->gpr[SOFT_REG_PAGE] = cpu->rip & SOFT_PAGE_MASK;
	return x;
}

const struct soft_op *soft_block_at_rip(struct soft_cpu *cpu)
{
	struct soft_blocks *b = cpu->blocks;
	const struct soft_xtlb_entry *x = fetch(cpu);
	unsigned int off = (unsigned int)(cpu->rip & (SOFT_PAGE - 1));
	const struct soft_op *ops;

	if (!x)
		return NULL;
	if (b->ops_used + 3 * SOFT_BLOCK_OPS > SOFT_ARENA_OPS ||
	    b->blocks_used == SOFT_ARENA_BLOCKS)
		soft_block_drop_all(cpu);
	ops = get(cpu, x, off);
	return ops ? ops : one_insn(cpu, x, off);
}

const struct soft_op *soft_block_single(struct soft_cpu *cpu)
{
	const struct soft_xtlb_entry *x = fetch(cpu);

	return x ? one_insn(cpu, x, (unsigned int)(cpu->rip & (SOFT_PAGE - 1))) : NULL;
}

const struct soft_op *soft_block_link(struct soft_cpu *cpu, const struct soft_op *op, uint64_t off)
{
	struct soft_blocks *b = cpu->blocks;
	uint64_t page = cpu->gpr[SOFT_REG_PAGE];
	const struct soft_xtlb_entry *x = &cpu->tlb->ex[(page >> 12) & (SOFT_XTLB_SIZE - 1)];
	const struct soft_op *to;

	/* the op may be of a block that was dropped or in the scratch; then the run loop finds the
	 * way */
	if (x->tag != page || op->fn == soft_op_stale || op < b->ops ||
	    op >= b->ops + b->ops_used || b->ops_used + 3 * SOFT_BLOCK_OPS > SOFT_ARENA_OPS ||
	    b->blocks_used == SOFT_ARENA_BLOCKS)
		return soft_leave(cpu, page + off);
	to = get(cpu, x, (unsigned int)off);
	if (!to)
		return soft_leave(cpu, page + off);
	((struct soft_op *)(uintptr_t)op)->link = to;
	cpu->count.links++;
	SOFT_GOTO(cpu, to);
}
