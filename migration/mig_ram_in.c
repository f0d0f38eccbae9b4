/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_ram_in.c - receives guest memory. Parses page numbers of a peer or an image (checked by mig_stream.c).
 */
#include "config.h"

#include "migration/mig_ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int mig_ram_in_init(struct mig_ram_in *r, struct hv_mem *mem, struct mig_io *io, struct cm_err *err)
{
	memset(r, 0, sizeof *r);
	r->mem = mem;
	r->io = io;
	for (unsigned slot = 0; slot < hv_mem_slots(mem); slot++) {
		r->slot_pages[slot] = hv_mem_pages(mem, slot);
		r->filled[slot] = calloc(hv_mem_bitmap_words(mem, slot), sizeof *r->filled[slot]);
		if (!r->filled[slot]) {
			mig_ram_in_fini(r);
			return cm_err_set(err, -ENOMEM, "no memory for a migration");
		}
	}
	return 0;
}

void mig_ram_in_fini(struct mig_ram_in *r)
{
	for (unsigned slot = 0; slot < HV_MEM_SLOTS; slot++) {
		free(r->filled[slot]);
		r->filled[slot] = NULL;
	}
}

static int ram_zero(struct mig_ram_in *r, uint64_t gpa, uint64_t *filled, const struct mig_run *run)
{
	int rc = 0;

	for (uint64_t p = run->first; rc == 0 && p < run->first + run->pages; p++) {
		if (!(filled[p / 64] & 1ull << (p % 64)))
			continue; /* fresh memory is zero */
		rc = hv_mem_zero(r->mem, gpa + p * MIG_PAGE_BYTES, MIG_PAGE_BYTES);
		filled[p / 64] &= ~(1ull << (p % 64));
	}
	r->zero_pages += run->pages;
	return rc;
}

static int ram_fill(struct mig_ram_in *r, uint64_t gpa, uint64_t *filled, const struct mig_run *run, uint32_t *crc)
{
	size_t bytes = (size_t)run->pages * MIG_PAGE_BYTES;
	void *to = hv_mem_ptr(r->mem, gpa + run->first * MIG_PAGE_BYTES, bytes);
	int rc;

	if (!to)
		return -EFAULT;
	for (uint64_t p = run->first; p < run->first + run->pages; p++)
		filled[p / 64] |= 1ull << (p % 64);
	rc = mig_io_read(r->io, to, bytes);
	if (rc == 0 && crc)
		*crc = cm_crc32c(*crc, to, bytes);
	hv_mem_mark(r->mem, gpa + run->first * MIG_PAGE_BYTES, bytes);
	r->pages += run->pages;
	return rc;
}

int mig_ram_in_frame(struct mig_ram_in *r, const struct mig_frame *f, struct cm_err *err)
{
	uint8_t table[MIG_RAM_HEAD + MIG_RUNS_MAX * MIG_RUN_BYTES];
	uint32_t crc = 0, runs;
	size_t len = MIG_RAM_HEAD;
	uint64_t gpa;
	int rc;

	if (f->length < len)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "memory frame of %u bytes", f->length);
	rc = mig_io_read(r->io, table, len);
	if (rc < 0)
		return mig_io_error(rc, err);
	runs = cm_le32(table + 4);
	if (runs > MIG_RUNS_MAX || f->length < len + runs * MIG_RUN_BYTES)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "memory frame with %u runs in %u bytes", runs, f->length);
	rc = mig_io_read(r->io, table + len, runs * MIG_RUN_BYTES);
	if (rc < 0)
		return mig_io_error(rc, err);
	len += runs * MIG_RUN_BYTES;
	rc = mig_ram_decode(table, len, f, r->slot_pages, hv_mem_slots(r->mem), &r->head, err);
	if (rc < 0)
		return rc;
	crc = cm_crc32c(0, table, len);
	gpa = hv_mem_slot(r->mem, r->head.slot)->gpa;
	for (uint32_t i = 0; rc == 0 && i < runs; i++)
		rc = f->type == MIG_FRAME_ZERO
			     ? ram_zero(r, gpa, r->filled[r->head.slot], &r->head.run[i])
			     : ram_fill(r, gpa, r->filled[r->head.slot], &r->head.run[i],
					f->flags & MIG_FRAME_CRC ? &crc : NULL);
	if (rc < 0)
		return mig_io_error(rc, err);
	if (f->flags & MIG_FRAME_CRC ? crc != f->crc : r->io->crc_ram)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "checksum of memory frame %u does not match", f->sequence);
	return 0;
}
