/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_medium.c - the blocks of a logical unit: a sparse file, and over it a volatile cache.
 *
 * The file is what survives a power cut. With the volatile cache on, writes stay in memory in
 * pages of 4 KiB with one dirty bit per 512 bytes until SYNCHRONIZE CACHE, FUA or too much dirty
 * data moves them into the file. A power cut forgets them, or keeps a random part of them, as a
 * real cache that was just writing back would. Killing the process loses them as well.
 *
 * Does not check ranges against the capacity (the callers did). Parses nobody's data.
 */
#include "config.h"

#include "tests/san/san.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	  4096u
#define SECTOR	  512u
#define MAX_DIRTY ((size_t)1 << 18) /* pages: 1 GiB, then the oldest are written back */

struct san_page {
	TAILQ_ENTRY(san_page) link;
	struct san_page *next;
	uint64_t no;
	uint8_t mask;
	uint8_t data[PAGE];
};

static int file_io(int fd, uint8_t *buf, uint32_t len, uint64_t off, bool out)
{
	while (len) {
		ssize_t n =
			out ? pwrite(fd, buf, len, (off_t)off) : pread(fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			if (out)
				return -EIO;
			memset(buf, 0, len); /* a file shorter than the unit reads as zeroes */
			return 0;
		}
		buf += n;
		off += (uint64_t)n;
		len -= (uint32_t)n;
	}
	return 0;
}

static size_t slot_of(const struct san_cache *c, uint64_t no)
{
	return (size_t)((no * 0x9e3779b97f4a7c15ull) >> 32) & (c->slots - 1);
}

static struct san_page *page_find(const struct san_cache *c, uint64_t no)
{
	struct san_page *p;

	if (!c->used)
		return NULL;
	for (p = c->slot[slot_of(c, no)]; p; p = p->next)
		if (p->no == no)
			return p;
	return NULL;
}

static int cache_grow(struct san_cache *c)
{
	size_t slots = c->slots ? c->slots * 2 : 1024;
	struct san_page **slot = calloc(slots, sizeof *slot);
	struct san_page *p;

	if (!slot)
		return -ENOMEM;
	free(c->slot);
	c->slot = slot;
	c->slots = slots;
	TAILQ_FOREACH (p, &c->order, link) {
		size_t i = slot_of(c, p->no);

		p->next = slot[i];
		slot[i] = p;
	}
	return 0;
}

static struct san_page *page_get(struct san_cache *c, uint64_t no)
{
	struct san_page *p = page_find(c, no);
	size_t i;

	if (p)
		return p;
	if (c->used >= c->slots && cache_grow(c) < 0)
		return NULL;
	p = malloc(sizeof *p);
	if (!p)
		return NULL;
	p->no = no;
	p->mask = 0;
	i = slot_of(c, no);
	p->next = c->slot[i];
	c->slot[i] = p;
	TAILQ_INSERT_TAIL(&c->order, p, link);
	c->used++;
	return p;
}

static void page_drop(struct san_cache *c, struct san_page *p)
{
	struct san_page **pp = &c->slot[slot_of(c, p->no)];

	while (*pp != p)
		pp = &(*pp)->next;
	*pp = p->next;
	TAILQ_REMOVE(&c->order, p, link);
	c->used--;
	free(p);
}

/* Writes the sectors of mask to the file and clears them; the page goes when it is clean. */
static int page_clean(struct san_lun *lun, struct san_page *p, uint8_t mask)
{
	unsigned int i = 0, n;

	mask &= p->mask;
	while (i < 8) {
		int rc;

		if (!(mask & 1u << i)) {
			i++;
			continue;
		}
		for (n = 1; i + n < 8 && (mask & 1u << (i + n)); n++)
			;
		rc = file_io(lun->fd, p->data + i * SECTOR, n * SECTOR, p->no * PAGE + i * SECTOR,
			     true);
		if (rc < 0)
			return rc;
		i += n;
	}
	p->mask &= (uint8_t)~mask;
	if (!p->mask)
		page_drop(&lun->cache, p);
	return 0;
}

static uint8_t sector_mask(uint32_t in_page, uint32_t len)
{
	unsigned int first = in_page / SECTOR, n = len / SECTOR;

	return (uint8_t)(((1u << n) - 1) << first);
}

static int cache_write(struct san_lun *lun, uint64_t off, const uint8_t *buf, uint32_t len)
{
	while (len) {
		uint32_t in_page = (uint32_t)(off % PAGE);
		uint32_t n = PAGE - in_page < len ? PAGE - in_page : len;
		struct san_page *p;

		if (lun->cache.used >= MAX_DIRTY) {
			int rc = page_clean(lun, TAILQ_FIRST(&lun->cache.order), 0xff);

			if (rc < 0)
				return rc;
		}
		p = page_get(&lun->cache, off / PAGE);
		if (!p)
			return -ENOMEM;
		memcpy(p->data + in_page, buf, n);
		p->mask |= sector_mask(in_page, n);
		off += n;
		buf += n;
		len -= n;
	}
	return 0;
}

/* Lays the dirty sectors over what was read from the file. */
static void cache_overlay(struct san_lun *lun, uint64_t off, uint8_t *buf, uint32_t len)
{
	while (len) {
		uint32_t in_page = (uint32_t)(off % PAGE);
		uint32_t n = PAGE - in_page < len ? PAGE - in_page : len;
		struct san_page *p = page_find(&lun->cache, off / PAGE);
		uint32_t i;

		for (i = in_page; p && i < in_page + n; i += SECTOR)
			if (p->mask & 1u << (i / SECTOR))
				memcpy(buf + (i - in_page), p->data + i, SECTOR);
		off += n;
		buf += n;
		len -= n;
	}
}

typedef int (*page_fn)(struct san_lun *lun, struct san_page *p, uint8_t mask);

static int page_forget(struct san_lun *lun, struct san_page *p, uint8_t mask)
{
	p->mask &= (uint8_t)~mask;
	if (!p->mask)
		page_drop(&lun->cache, p);
	return 0;
}

/* Calls fn for every dirty page of the range, whichever way round is shorter. */
static int cache_each(struct san_lun *lun, uint64_t off, uint64_t len, page_fn fn)
{
	uint64_t first = off / PAGE, last = (off + len - 1) / PAGE;
	struct san_page *p, *next;
	int rc = 0;

	if (!lun->cache.used || !len)
		return 0;
	for (p = TAILQ_FIRST(&lun->cache.order); p && rc == 0; p = next) {
		uint64_t start, end;

		next = TAILQ_NEXT(p, link);
		if (p->no < first || p->no > last)
			continue;
		start = p->no * PAGE > off ? p->no * PAGE : off;
		end = (p->no + 1) * PAGE < off + len ? (p->no + 1) * PAGE : off + len;
		rc = fn(lun, p, sector_mask((uint32_t)(start % PAGE), (uint32_t)(end - start)));
	}
	return rc;
}

static int cache_range(struct san_lun *lun, uint64_t off, uint64_t len, page_fn fn)
{
	int rc = 0;

	if (!lun->cache.used || !len)
		return 0;
	if (len / PAGE > lun->cache.used)
		return cache_each(lun, off, len, fn);
	while (len && rc == 0) {
		uint32_t in_page = (uint32_t)(off % PAGE);
		uint32_t n = PAGE - in_page < len ? PAGE - in_page : (uint32_t)len;
		struct san_page *p = page_find(&lun->cache, off / PAGE);

		if (p)
			rc = fn(lun, p, sector_mask(in_page, n));
		off += n;
		len -= n;
	}
	return rc;
}

int san_medium_open(struct san_lun *lun, uint64_t create_bytes)
{
	struct stat st;

	TAILQ_INIT(&lun->cache.order);
	lun->fd =
		open(lun->path,
		     O_CLOEXEC | (lun->readonly ? O_RDONLY : O_RDWR) | (create_bytes ? O_CREAT : 0),
		     0600);
	if (lun->fd < 0)
		return -errno;
	if (fstat(lun->fd, &st) < 0)
		return -errno;
	if (create_bytes && (uint64_t)st.st_size < create_bytes) {
		if (ftruncate(lun->fd, (off_t)create_bytes) < 0)
			return -errno;
		st.st_size = (off_t)create_bytes;
	}
	lun->blocks = (uint64_t)st.st_size / lun->bs;
	return lun->blocks ? 0 : -EINVAL;
}

/* Grows a unit; smaller than it is now is an error. */
int san_medium_grow(struct san_lun *lun, uint64_t bytes)
{
	if (bytes / lun->bs < lun->blocks || bytes > INT64_MAX)
		return -EINVAL;
	if (ftruncate(lun->fd, (off_t)bytes) < 0)
		return -errno;
	lun->blocks = bytes / lun->bs;
	return 0;
}

void san_medium_close(struct san_lun *lun)
{
	(void)san_medium_sync(lun, 0, lun->blocks * lun->bs);
	free(lun->cache.slot);
	lun->cache.slot = NULL;
	if (lun->fd >= 0)
		close(lun->fd);
	lun->fd = -1;
}

int san_medium_read(struct san_lun *lun, uint64_t off, uint8_t *buf, uint32_t len)
{
	int rc = file_io(lun->fd, buf, len, off, false);

	if (rc == 0 && lun->cache.used)
		cache_overlay(lun, off, buf, len);
	return rc;
}

int san_medium_write(struct san_lun *lun, uint64_t off, const uint8_t *buf, uint32_t len,
		     bool durable)
{
	int rc;

	if (lun->cache.on && !durable)
		return cache_write(lun, off, buf, len);
	rc = file_io(lun->fd, (uint8_t *)(uintptr_t)buf, len, off, true);
	if (rc == 0)
		rc = cache_range(lun, off, len, page_forget);
	if (rc == 0 && durable && lun->san->real_sync && fdatasync(lun->fd) < 0)
		rc = -errno;
	return rc;
}

int san_medium_sync(struct san_lun *lun, uint64_t off, uint64_t len)
{
	int rc = cache_range(lun, off, len, page_clean);

	if (rc == 0 && lun->san->real_sync && fdatasync(lun->fd) < 0)
		rc = -errno;
	return rc;
}

int san_medium_discard(struct san_lun *lun, uint64_t off, uint64_t len)
{
	if (!len)
		return 0;
	(void)cache_range(lun, off, len, page_forget);
	if (fallocate(lun->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) <
	    0)
		return -errno;
	return 0;
}

/* Is the block at off backed by data, and for how many bytes (up to max) is that so? */
bool san_medium_mapped(struct san_lun *lun, uint64_t off, uint64_t max, uint64_t *run)
{
	off_t data, hole;

	*run = max;
	if (!lun->thin)
		return true;
	/* a dirty page hides what the file says: settle it first, the cache may do so any time */
	(void)cache_range(lun, off, max, page_clean);
	data = lseek(lun->fd, (off_t)off, SEEK_DATA);
	if (data < 0)
		return false;
	if ((uint64_t)data > off) {
		if ((uint64_t)data - off < max)
			*run = (uint64_t)data - off;
		return false;
	}
	hole = lseek(lun->fd, (off_t)off, SEEK_HOLE);
	if (hole > 0 && (uint64_t)hole - off < max)
		*run = (uint64_t)hole - off;
	return true;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Drops the dirty data but for a random keep_percent of its blocks; returns the bytes lost. */
uint64_t san_medium_power_cut(struct san_lun *lun, unsigned int keep_percent, uint64_t seed)
{
	uint64_t lost = 0;
	struct san_page *p;

	while ((p = TAILQ_FIRST(&lun->cache.order))) {
		uint8_t keep = 0;
		unsigned int i, per_block = lun->bs / SECTOR;

		for (i = 0; i < 8; i += per_block)
			if (next_random(&seed) % 100 < keep_percent)
				keep |= sector_mask(i * SECTOR, lun->bs);
		lost += (uint64_t)__builtin_popcount(p->mask & (uint8_t)~keep) * SECTOR;
		p->mask &= keep;
		if (!p->mask)
			page_drop(&lun->cache, p);
		else if (page_clean(lun, p, p->mask) < 0)
			page_drop(&lun->cache, p);
	}
	return lost;
}

uint64_t san_medium_dirty_bytes(const struct san_lun *lun)
{
	const struct san_page *p;
	uint64_t sectors = 0;

	TAILQ_FOREACH (p, &lun->cache.order, link)
		sectors += (uint64_t)__builtin_popcount(p->mask);
	return sectors * SECTOR;
}
