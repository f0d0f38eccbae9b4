/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_mem.c - guest RAM on a memfd and the checked ways to it.
 *
 * Does: slots, guard pages, (gpa, len) helpers, the host's dirty bitmap and its union with the
 * engine's. Does not: know devices or the bus, nor what the bytes mean. Parses nobody's data, but
 * takes every gpa and len as hostile: they come from the guest.
 */
#include "config.h"

#include "hvcore/machine/hv_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "hvcore/cpu/hv_engine.h"
#include "hvcore/machine/hv_machine.h"

#define GUARD_BYTES (64u << 10)
#define RAM_UNIT    (2ull << 20)

struct slot_log {
	_Atomic uint64_t *words; /* NULL: not logging; freed only by hv_mem_free */
	atomic_bool on;
};

struct hv_mem {
	uint64_t bytes;
	int fd;
	unsigned slots;
	struct hv_mem_slot slot[HV_MEM_SLOTS];
	void *area[HV_MEM_SLOTS]; /* with both guards */
	struct slot_log log[HV_MEM_SLOTS];
	struct hv_engine *engine;
};

static const struct hv_engine_ops *ops_of(struct hv_engine *e)
{
	return ((struct hv_engine_base *)(void *)e)->ops;
}

static int slot_map(struct hv_mem *mem, unsigned i, uint64_t gpa, uint64_t bytes, uint64_t offset,
		    struct cm_err *err)
{
	struct hv_mem_slot *s = &mem->slot[i];
	size_t area = bytes + 2 * GUARD_BYTES;
	uint8_t *base = cm_sys.mmap(NULL, area, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return cm_err_set(err, CM_E_NO_MEMORY, "cannot reserve %zu bytes of address space",
				  area);
	mem->area[i] = base;
	s->gpa = gpa;
	s->bytes = bytes;
	s->file_offset = offset;
	s->hva = cm_sys.mmap(base + GUARD_BYTES, bytes, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, mem->fd, (off_t)offset);
	if (s->hva == MAP_FAILED)
		return cm_err_set(err, CM_E_NO_MEMORY, "cannot map guest memory: %s",
				  strerror(errno));
	/* Guest memory is secret and large: not in our core dumps. */
	(void)madvise(s->hva, bytes, MADV_DONTDUMP);
	return 0;
}

static int mem_setup(struct hv_mem *mem, struct cm_err *err)
{
	uint64_t low = CM_MIN(mem->bytes, HV_RAM_LOW_MAX);
	int rc;

	mem->fd = cm_sys.memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem->fd < 0)
		return cm_err_set(err, CM_E_NO_MEMORY, "memfd_create: %s", strerror(errno));
	if (cm_sys.ftruncate(mem->fd, (off_t)mem->bytes) != 0)
		return cm_err_set(err, CM_E_NO_MEMORY, "cannot size guest memory to %llu bytes: %s",
				  (unsigned long long)mem->bytes, strerror(errno));
	if (fcntl(mem->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return cm_err_set(err, CM_E_NO_MEMORY, "cannot seal guest memory: %s",
				  strerror(errno));
	mem->slots = mem->bytes > low ? 2 : 1;
	rc = slot_map(mem, 0, 0, low, 0, err);
	if (rc == 0 && mem->slots == 2)
		rc = slot_map(mem, 1, HV_RAM_HIGH_GPA, mem->bytes - low, low, err);
	return rc;
}

int hv_mem_new(struct hv_mem **out, uint64_t bytes, struct cm_err *err)
{
	struct hv_mem *mem;
	int rc;

	*out = NULL;
	if (bytes < HV_RAM_MIN_BYTES || bytes > HV_RAM_MAX_BYTES || bytes % RAM_UNIT)
		return cm_err_set(
			err, CM_E_BAD_VALUE,
			"memory of %llu bytes: must be 32 MiB to 1 TiB and a multiple of 2 MiB",
			(unsigned long long)bytes);
	mem = calloc(1, sizeof *mem);
	if (!mem)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	mem->bytes = bytes;
	mem->fd = -1;
	rc = mem_setup(mem, err);
	if (rc < 0) {
		hv_mem_free(mem);
		return rc;
	}
	*out = mem;
	return 0;
}

void hv_mem_free(struct hv_mem *mem)
{
	if (!mem)
		return;
	for (unsigned i = 0; i < HV_MEM_SLOTS; i++) {
		if (mem->area[i])
			munmap(mem->area[i], mem->slot[i].bytes + 2 * GUARD_BYTES);
		free((void *)mem->log[i].words);
	}
	if (mem->fd >= 0)
		close(mem->fd);
	free(mem);
}

int hv_mem_attach(struct hv_mem *mem, struct hv_engine *engine, struct cm_err *err)
{
	mem->engine = engine;
	if (!engine)
		return 0;
	for (unsigned i = 0; i < mem->slots; i++) {
		const struct hv_mem_slot *s = &mem->slot[i];
		int rc = ops_of(engine)->map(engine, i, s->gpa, s->bytes, s->hva, 0, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

uint64_t hv_mem_bytes(const struct hv_mem *mem)
{
	return mem->bytes;
}

int hv_mem_fd(const struct hv_mem *mem)
{
	return mem->fd;
}

unsigned hv_mem_slots(const struct hv_mem *mem)
{
	return mem->slots;
}

const struct hv_mem_slot *hv_mem_slot(const struct hv_mem *mem, unsigned slot)
{
	CM_ASSERT(slot < mem->slots);
	return &mem->slot[slot];
}

/* The slot that has [gpa, gpa+len) whole, or -1. */
static int slot_of(const struct hv_mem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->slots; i++) {
		const struct hv_mem_slot *s = &mem->slot[i];

		if (gpa >= s->gpa && gpa - s->gpa < s->bytes && len <= s->bytes - (gpa - s->gpa))
			return (int)i;
	}
	return -1;
}

void *hv_mem_ptr(const struct hv_mem *mem, uint64_t gpa, uint64_t len)
{
	int i = len ? slot_of(mem, gpa, len) : -1;

	return i < 0 ? NULL : mem->slot[i].hva + (gpa - mem->slot[i].gpa);
}

void hv_mem_mark(struct hv_mem *mem, uint64_t gpa, uint64_t len)
{
	int i = len ? slot_of(mem, gpa, len) : -1;
	uint64_t first, last;

	if (i >= 0 && mem->engine && ops_of(mem->engine)->host_wrote)
		ops_of(mem->engine)->host_wrote(mem->engine, gpa, len);
	if (i < 0 || !atomic_load_explicit(&mem->log[i].on, memory_order_acquire))
		return;
	first = (gpa - mem->slot[i].gpa) >> HV_PAGE_SHIFT;
	last = (gpa - mem->slot[i].gpa + len - 1) >> HV_PAGE_SHIFT;
	for (uint64_t p = first; p <= last; p++)
		atomic_fetch_or_explicit(&mem->log[i].words[p / 64], 1ull << (p % 64),
					 memory_order_release);
}

int hv_mem_read(const struct hv_mem *mem, uint64_t gpa, void *buf, size_t len)
{
	const void *p;

	if (!len)
		return 0;
	p = hv_mem_ptr(mem, gpa, len);
	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

int hv_mem_write(struct hv_mem *mem, uint64_t gpa, const void *buf, size_t len)
{
	void *p;

	if (!len)
		return 0;
	p = hv_mem_ptr(mem, gpa, len);
	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	hv_mem_mark(mem, gpa, len);
	return 0;
}

int hv_mem_zero(struct hv_mem *mem, uint64_t gpa, uint64_t len)
{
	void *p;

	if (!len)
		return 0;
	p = hv_mem_ptr(mem, gpa, len);
	if (!p)
		return -EFAULT;
	memset(p, 0, len);
	hv_mem_mark(mem, gpa, len);
	return 0;
}

#define DEFINE_WORD(bits)                                                                          \
	int hv_mem_load##bits(const struct hv_mem *mem, uint64_t gpa, uint##bits##_t *out)         \
	{                                                                                          \
		void *p = hv_mem_ptr(mem, gpa, (bits) / 8);                                        \
                                                                                                   \
		*out = 0;                                                                          \
		if (gpa % ((bits) / 8))                                                            \
			return -EINVAL;                                                            \
		if (!p)                                                                            \
			return -EFAULT;                                                            \
		*out = __atomic_load_n((uint##bits##_t *)p, __ATOMIC_ACQUIRE);                     \
		return 0;                                                                          \
	}                                                                                          \
	int hv_mem_store##bits(struct hv_mem *mem, uint64_t gpa, uint##bits##_t v)                 \
	{                                                                                          \
		void *p = hv_mem_ptr(mem, gpa, (bits) / 8);                                        \
                                                                                                   \
		if (gpa % ((bits) / 8))                                                            \
			return -EINVAL;                                                            \
		if (!p)                                                                            \
			return -EFAULT;                                                            \
		__atomic_store_n((uint##bits##_t *)p, v, __ATOMIC_RELEASE);                        \
		hv_mem_mark(mem, gpa, (bits) / 8);                                                 \
		return 0;                                                                          \
	}
DEFINE_WORD(16)
DEFINE_WORD(32)
DEFINE_WORD(64)

int hv_mem_iov_add(const struct hv_mem *mem, uint64_t gpa, uint64_t len, struct iovec *iov,
		   unsigned cap, unsigned *n)
{
	uint8_t *p;

	if (!len)
		return 0;
	p = hv_mem_ptr(mem, gpa, len);
	if (!p)
		return -EFAULT;
	if (*n && (uint8_t *)iov[*n - 1].iov_base + iov[*n - 1].iov_len == p) {
		iov[*n - 1].iov_len += len;
		return 0;
	}
	if (*n >= cap)
		return -E2BIG;
	iov[*n] = (struct iovec){.iov_base = p, .iov_len = len};
	(*n)++;
	return 0;
}

int hv_mem_discard(struct hv_mem *mem, uint64_t gpa, uint64_t len)
{
	int i;

	if (!len || gpa % HV_PAGE_BYTES || len % HV_PAGE_BYTES)
		return -EINVAL;
	i = slot_of(mem, gpa, len);
	if (i < 0)
		return -EFAULT;
	if (cm_sys.fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     (off_t)(mem->slot[i].file_offset + gpa - mem->slot[i].gpa),
			     (off_t)len) != 0)
		return -errno;
	hv_mem_mark(mem, gpa, len);
	return 0;
}

int hv_mem_clear(struct hv_mem *mem, struct cm_err *err)
{
	for (unsigned i = 0; i < mem->slots; i++) {
		int rc = hv_mem_discard(mem, mem->slot[i].gpa, mem->slot[i].bytes);

		if (rc < 0)
			return cm_err_set(err, rc, "cannot clear guest memory: %s", strerror(-rc));
	}
	return 0;
}

uint64_t hv_mem_pages(const struct hv_mem *mem, unsigned slot)
{
	return slot < mem->slots ? mem->slot[slot].bytes >> HV_PAGE_SHIFT : 0;
}

size_t hv_mem_bitmap_words(const struct hv_mem *mem, unsigned slot)
{
	return (size_t)((hv_mem_pages(mem, slot) + 63) / 64);
}

int hv_mem_dirty_start(struct hv_mem *mem, unsigned slot, struct cm_err *err)
{
	struct slot_log *log = &mem->log[slot];
	size_t words = hv_mem_bitmap_words(mem, slot);

	CM_ASSERT(slot < mem->slots && mem->engine);
	if (!log->words) {
		log->words = calloc(words, sizeof *log->words);
		if (!log->words)
			return cm_err_set(err, CM_E_NO_MEMORY, "no memory for the dirty bitmap");
	}
	for (size_t i = 0; i < words; i++)
		atomic_store_explicit(&log->words[i], ~0ull, memory_order_relaxed);
	if (hv_mem_pages(mem, slot) % 64)
		atomic_store_explicit(&log->words[words - 1],
				      (1ull << (hv_mem_pages(mem, slot) % 64)) - 1,
				      memory_order_relaxed);
	atomic_store_explicit(&log->on, true, memory_order_release);
	return ops_of(mem->engine)->dirty_start(mem->engine, slot, err);
}

int hv_mem_dirty_fetch(struct hv_mem *mem, unsigned slot, uint64_t *bitmap)
{
	struct slot_log *log = &mem->log[slot];
	size_t words = hv_mem_bitmap_words(mem, slot);

	CM_ASSERT(slot < mem->slots && mem->engine && log->words);
	for (size_t i = 0; i < words; i++)
		bitmap[i] |= atomic_load_explicit(&log->words[i], memory_order_acquire);
	return ops_of(mem->engine)->dirty_fetch(mem->engine, slot, bitmap);
}

int hv_mem_dirty_clear(struct hv_mem *mem, unsigned slot, uint64_t first, uint64_t count,
		       const uint64_t *bitmap)
{
	struct slot_log *log = &mem->log[slot];
	uint64_t pages = hv_mem_pages(mem, slot);

	CM_ASSERT(slot < mem->slots && mem->engine && log->words);
	CM_ASSERT(first % 64 == 0 && first <= pages && count <= pages - first);
	CM_ASSERT(count % 64 == 0 || first + count == pages);
	for (uint64_t w = first / 64; w < (first + count + 63) / 64; w++)
		if (bitmap[w])
			atomic_fetch_and_explicit(&log->words[w], ~bitmap[w], memory_order_acq_rel);
	return ops_of(mem->engine)->dirty_clear(mem->engine, slot, first, count, bitmap);
}

int hv_mem_dirty_stop(struct hv_mem *mem, unsigned slot)
{
	CM_ASSERT(slot < mem->slots && mem->engine);
	atomic_store_explicit(&mem->log[slot].on, false, memory_order_release);
	return ops_of(mem->engine)->dirty_stop(mem->engine, slot);
}

int hv_mem_populated(const struct hv_mem *mem, unsigned slot, uint64_t *bitmap)
{
	const struct hv_mem_slot *s = hv_mem_slot(mem, slot);
	off_t at = (off_t)s->file_offset, end = at + (off_t)s->bytes;

	while (at < end) {
		off_t data = lseek(mem->fd, at, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		if (data >= end)
			return 0;
		hole = lseek(mem->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		hole = CM_MIN(hole, end);
		for (off_t p = data & ~(off_t)(HV_PAGE_BYTES - 1); p < hole; p += HV_PAGE_BYTES) {
			uint64_t page = (uint64_t)(p - (off_t)s->file_offset) >> HV_PAGE_SHIFT;

			bitmap[page / 64] |= 1ull << (page % 64);
		}
		at = hole;
	}
	return 0;
}
