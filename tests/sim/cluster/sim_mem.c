/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_mem.c - malloc and the like with an owner for each block; and the rest of what a process asks its kernel for:
 * chance, boot id, pid. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/cm_err.h"

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
int __wrap_posix_memalign(void **out, size_t align, size_t n);
char *__wrap_strdup(const char *s);

/* In front of each block. */
struct sim_block {
	TAILQ_ENTRY(sim_block) link;
	struct sim_blocks *owner;
	void *base;
	size_t bytes;
	uint64_t pad; /* what follows is aligned like malloc's */
};
_Static_assert(sizeof(struct sim_block) % 16 == 0, "alignment");

static struct sim_blocks *owner_now;

void sim_mem_for(struct sim_blocks *owner)
{
	owner_now = owner;
}

void *sim_mem_real_calloc(size_t bytes)
{
	void *p = __real_malloc(bytes);

	CM_ASSERT(p);
	return memset(p, 0, bytes);
}

void *sim_mem_real_realloc(void *p, size_t bytes)
{
	p = __real_realloc(p, bytes);
	CM_ASSERT(p);
	return p;
}

void sim_mem_real_free(void *p)
{
	__real_free(p);
}

static void *block_new(size_t n, size_t lead)
{
	uint8_t *base = __real_malloc(lead + n);
	struct sim_block *b = (struct sim_block *)(base + lead) - 1;

	CM_ASSERT(base);
	*b = (struct sim_block){.owner = owner_now, .base = base, .bytes = n};
	if (owner_now)
		TAILQ_INSERT_TAIL(owner_now, b, link);
	return b + 1;
}

void *__wrap_malloc(size_t n)
{
	return block_new(n, sizeof(struct sim_block));
}

void *__wrap_calloc(size_t k, size_t n)
{
	return memset(block_new(k * n, sizeof(struct sim_block)), 0, k * n);
}

void __wrap_free(void *p)
{
	struct sim_block *b;

	if (!p)
		return;
	b = (struct sim_block *)p - 1;
	if (b->owner)
		TAILQ_REMOVE(b->owner, b, link);
	__real_free(b->base);
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q = __wrap_malloc(n);

	if (p)
		memcpy(q, p, CM_MIN(n, ((struct sim_block *)p)[-1].bytes));
	__wrap_free(p);
	return q;
}

int __wrap_posix_memalign(void **out, size_t align, size_t n)
{
	uint8_t *base;
	uintptr_t at;
	struct sim_block *b;

	base = __real_malloc(n + align + sizeof *b);
	CM_ASSERT(base);
	at = ((uintptr_t)base + sizeof *b + align - 1) / align * align;
	b = (struct sim_block *)at - 1;
	*b = (struct sim_block){.owner = owner_now, .base = base, .bytes = n};
	if (owner_now)
		TAILQ_INSERT_TAIL(owner_now, b, link);
	*out = (void *)at;
	return 0;
}

char *__wrap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(__wrap_malloc(n), s, n);
}

void sim_mem_drop(struct sim_blocks *owner)
{
	struct sim_block *b;

	while ((b = TAILQ_FIRST(owner))) {
		TAILQ_REMOVE(owner, b, link);
		__real_free(b->base);
	}
}
