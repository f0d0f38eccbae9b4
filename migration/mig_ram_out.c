/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_ram_out.c - sends guest memory in passes. Reads memory that the guest writes at the same time: a torn page is
 * dirty again and sent again, since its chunk was re-armed before it was read.
 */
#include "config.h"

#include "migration/mig_ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_WORDS (MIG_CHUNK_PAGES / 64)
#define DIRECT_PAGES 16u /* shorter runs of a scattered frame are copied together first */

typedef uint64_t vec __attribute__((vector_size(32), may_alias));

bool mig_ram_is_zero(const void *page)
{
	const vec *v = page;

	for (unsigned i = 0; i < MIG_PAGE_BYTES / sizeof *v; i += 8) {
		vec sum = v[i] | v[i + 1] | v[i + 2] | v[i + 3] | v[i + 4] | v[i + 5] | v[i + 6] | v[i + 7];

		if (sum[0] | sum[1] | sum[2] | sum[3])
			return false;
	}
	return true;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h ^= v * 0x9e3779b97f4a7c15ull;
	h = (h << 27 | h >> 37) * 0xbf58476d1ce4e5b9ull;
	return h ^ h >> 31;
}

static uint64_t page_hash(const uint64_t *p, uint64_t where)
{
	uint64_t h[4] = {where, ~where, where << 1, 0x1234};

	for (unsigned i = 0; i < MIG_PAGE_BYTES / 8; i += 4)
		for (unsigned j = 0; j < 4; j++)
			h[j] = mix(h[j], p[i + j]);
	return mix(mix(h[0], h[1]), mix(h[2], h[3]));
}

uint64_t mig_ram_hash(const struct hv_mem *mem)
{
	uint64_t sum = 0;

	for (unsigned slot = 0; slot < hv_mem_slots(mem); slot++) {
		const struct hv_mem_slot *s = hv_mem_slot(mem, slot);
		size_t words = hv_mem_bitmap_words(mem, slot);
		uint64_t *map = calloc(words, sizeof *map);

		CM_ASSERT(map && hv_mem_populated(mem, slot, map) == 0);
		for (uint64_t p = 0; p < hv_mem_pages(mem, slot); p++) {
			const uint8_t *at = s->hva + p * MIG_PAGE_BYTES;

			if (map[p / 64] >> (p % 64) & 1 && !mig_ram_is_zero(at))
				sum += page_hash((const uint64_t *)(const void *)at, s->gpa + p * MIG_PAGE_BYTES);
		}
		free(map);
	}
	return sum;
}

void mig_ram_out_fini(struct mig_ram_out *r)
{
	for (unsigned slot = 0; r->mem && slot < hv_mem_slots(r->mem); slot++) {
		if (r->live && r->todo[slot])
			(void)hv_mem_dirty_stop(r->mem, slot);
		free(r->todo[slot]);
		r->todo[slot] = NULL;
	}
	free(r->bounce);
	r->bounce = NULL;
	r->mem = NULL;
}

/* Arms the dirty log for all pages that have no memory, and takes the rest as to be sent. */
static int ram_first(struct mig_ram_out *r, unsigned slot, struct cm_err *err)
{
	size_t words = hv_mem_bitmap_words(r->mem, slot);
	uint64_t *map = r->todo[slot];
	int rc = hv_mem_populated(r->mem, slot, map);

	if (rc == 0 && r->live) {
		/* What gets memory after this clear is either seen as dirty, or found populated just below. */
		for (size_t i = 0; i < words; i++)
			map[i] = ~map[i];
		rc = hv_mem_dirty_clear(r->mem, slot, 0, hv_mem_pages(r->mem, slot), map);
		memset(map, 0, words * sizeof *map);
		if (rc == 0)
			rc = hv_mem_populated(r->mem, slot, map);
	}
	return rc < 0 ? cm_err_set(err, rc, "memory slot %u cannot be scanned", slot) : 0;
}

int mig_ram_out_init(struct mig_ram_out *r, struct hv_mem *mem, struct mig_io *io, bool live, struct cm_err *err)
{
	int rc = 0;

	memset(r, 0, sizeof *r);
	r->mem = mem;
	r->io = io;
	r->live = live;
	r->bounce = malloc((size_t)MIG_CHUNK_PAGES * MIG_PAGE_BYTES);
	if (!r->bounce)
		rc = cm_err_set(err, -ENOMEM, "no memory for a migration");
	for (unsigned slot = 0; rc == 0 && slot < hv_mem_slots(mem); slot++) {
		if (live)
			rc = hv_mem_dirty_start(mem, slot, err);
		if (rc < 0)
			break;
		r->todo[slot] = calloc(hv_mem_bitmap_words(mem, slot), sizeof *r->todo[slot]);
		if (!r->todo[slot]) {
			if (live)
				(void)hv_mem_dirty_stop(mem, slot);
			rc = cm_err_set(err, -ENOMEM, "no memory for a dirty bitmap");
			break;
		}
		rc = ram_first(r, slot, err);
	}
	if (rc < 0)
		mig_ram_out_fini(r);
	return rc;
}

int mig_ram_out_fetch(struct mig_ram_out *r, uint64_t *remaining, struct cm_err *err)
{
	uint64_t n = 0;

	for (unsigned slot = 0; slot < hv_mem_slots(r->mem); slot++) {
		size_t words = hv_mem_bitmap_words(r->mem, slot);
		int rc = r->live ? hv_mem_dirty_fetch(r->mem, slot, r->todo[slot]) : 0;

		if (rc < 0)
			return cm_err_set(err, rc, "the dirty log of slot %u cannot be read", slot);
		for (size_t i = 0; i < words; i++)
			n += (unsigned)__builtin_popcountll(r->todo[slot][i]);
	}
	*remaining = n;
	return 0;
}

/* --- one chunk -------------------------------------------------------------------------------- */

static void run_add(struct mig_run *run, unsigned *runs, uint64_t page)
{
	struct mig_run *last = *runs ? &run[*runs - 1] : NULL;

	if (last && last->first + last->pages == page)
		last->pages++;
	else
		run[(*runs)++] = (struct mig_run){.first = page, .pages = 1};
}

static int send_zero(struct mig_ram_out *r, unsigned slot, unsigned runs, struct cm_err *err)
{
	mig_io_begin(r->io);
	mig_ram_encode(&r->io->buf, slot, r->zero, runs);
	r->frames++;
	for (unsigned i = 0; i < runs; i++)
		r->zero_pages += r->zero[i].pages;
	return mig_io_send(r->io, MIG_FRAME_ZERO, err);
}

/* Short runs are gathered in the bounce buffer, so that the stream gets few big writes. */
static int send_data(struct mig_ram_out *r, unsigned slot, const uint8_t *base, unsigned runs, struct cm_err *err)
{
	struct mig_run whole = {.pages = 0};
	const void *one = r->bounce;
	bool scattered = runs > 1;

	mig_io_begin(r->io);
	mig_ram_encode(&r->io->buf, slot, r->run, runs);
	r->frames++;
	for (unsigned i = 0; i < runs; i++) {
		size_t bytes = (size_t)r->run[i].pages * MIG_PAGE_BYTES;

		r->data[i] = base + r->run[i].first * MIG_PAGE_BYTES;
		scattered = scattered && r->run[i].pages < DIRECT_PAGES;
		memcpy(r->bounce + (size_t)whole.pages * MIG_PAGE_BYTES, r->data[i], scattered ? bytes : 0);
		whole.pages += r->run[i].pages;
	}
	r->pages += whole.pages;
	if (scattered)
		return mig_io_send_ram(r->io, &whole, &one, 1, err);
	return mig_io_send_ram(r->io, r->run, r->data, runs, err);
}

static int send_chunk(struct mig_ram_out *r, unsigned slot, uint64_t first, uint64_t count, bool rearm,
		      struct cm_err *err)
{
	const uint8_t *base = hv_mem_slot(r->mem, slot)->hva;
	uint64_t *todo = r->todo[slot];
	unsigned runs = 0, zeros = 0;
	int rc = 0;

	if (rearm) {
		rc = hv_mem_dirty_clear(r->mem, slot, first, count, todo);
		if (rc < 0)
			return cm_err_set(err, rc, "the dirty log of slot %u cannot be re-armed", slot);
	}
	for (uint64_t p = first; p < first + count; p++) {
		if (!(todo[p / 64] >> (p % 64) & 1))
			continue;
		if (mig_ram_is_zero(base + p * MIG_PAGE_BYTES))
			run_add(r->zero, &zeros, p);
		else
			run_add(r->run, &runs, p);
	}
	for (uint64_t w = first / 64; w < (first + count + 63) / 64; w++)
		todo[w] = 0;
	if (zeros)
		rc = send_zero(r, slot, zeros, err);
	if (rc == 0 && runs)
		rc = send_data(r, slot, base, runs, err);
	return rc;
}

static bool chunk_has_work(const uint64_t *todo, size_t word, size_t words)
{
	uint64_t any = 0;

	for (size_t i = word; i < CM_MIN(word + CHUNK_WORDS, words); i++)
		any |= todo[i];
	return any != 0;
}

int mig_ram_out_pass(struct mig_ram_out *r, bool rearm, struct cm_err *err)
{
	for (unsigned slot = 0; slot < hv_mem_slots(r->mem); slot++) {
		size_t words = hv_mem_bitmap_words(r->mem, slot);
		uint64_t pages = hv_mem_pages(r->mem, slot);

		for (size_t w = 0; w < words; w += CHUNK_WORDS) {
			uint64_t first = (uint64_t)w * 64;
			int rc;

			if (!chunk_has_work(r->todo[slot], w, words))
				continue;
			if (r->stop && atomic_load_explicit(r->stop, memory_order_relaxed))
				return 0;
			rc = send_chunk(r, slot, first, CM_MIN((uint64_t)MIG_CHUNK_PAGES, pages - first), rearm && r->live,
					err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}
