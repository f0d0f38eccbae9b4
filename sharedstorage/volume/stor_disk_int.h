/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk_int.h - inside of a disk of a volume. For these only, from top to bottom:
 *
 *   stor_disk.c        opening, reloading, closing
 *   stor_diskio.c      requests, and what waits
 *   stor_disktake.c    taking and giving back extents
 *   stor_diskchoose.c  which ones
 *   stor_diskmap.c     where each extent is
 *   stor_diskpart.c    parts of requests
 *
 * Thread: [loop].
 */
#ifndef STOR_DISK_INT_H
#define STOR_DISK_INT_H

#include "sharedstorage/dev/stor_dev_back.h"
#include "sharedstorage/volume/stor_disk.h"
#include "sharedstorage/volume/stor_volume_int.h"

struct disk;
typedef void (*disk_loaded_fn)(struct disk *d, int rc);
typedef void (*disk_took_fn)(struct disk *d);

/* A request of the guest while it is with us: how many of its parts are out. */
struct whole {
	struct stor_req *req;
	unsigned parts;
	int rc;
};

/* The part of a request that lies in one extent. */
struct part {
	struct stor_req sub;
	struct whole *whole;
	struct disk *disk;
	TAILQ_ENTRY(part) link;	  /* of disk->waiting or disk->flying */
	uint64_t logical, inside; /* extent number of the disk, bytes into it */
	bool flies;
	bool plain;	   /* has no iov[], so that its memory fits any other such one */
	struct whole only; /* of a request that is this one part; it lends its iovec */
	struct iovec iov[];
};
TAILQ_HEAD(parts, part);

/* Where a logical extent is. HALF: an extent that is ours but was not cleared (a crash, or an
 * error): reads as zero, the next write goes on with it. GOING: being given back, parts wait. */
#define MAP_NOWHERE UINT64_MAX
#define MAP_HALF    (1ull << 63)
#define MAP_GOING   (1ull << 62)
#define MAP_EXTENT  (MAP_GOING - 1)

enum take_step {
	TAKE_NONE = 0,
	TAKE_CAW,   /* free -> being cleared, all items at once */
	TAKE_CLEAR, /* zeroes (or a write of the whole extent) into each, at the same time */
	TAKE_FLUSH,
	TAKE_USE,  /* being cleared -> used */
	TAKE_GIVE, /* used -> free */
	TAKE_LOOK, /* the sector is read again: a lost race, or an unknown outcome */
};
#define TAKE_ITEMS     32u /* extents of one batch */
#define TAKE_AHEAD_MAX 8u  /* extents that are taken for a sequential writer before it comes */

struct take_item {
	uint64_t logical, extent;
	bool cleared;
	struct part *writer; /* overwrites the whole extent: instead of zeroes */
	struct stor_req req;
};

/* A batch: extents of one sector of the table. */
struct take {
	enum take_step step, looking_for;
	uint64_t sector; /* of the table */
	unsigned n, out, flushes;
	struct take_item item[TAKE_ITEMS];
	int rc;
	struct stor_req req;
	struct iovec iov;
	uint8_t *before, *after; /* one sector each */
	disk_took_fn done;
	bool refreshed; /* the table was read again, since there was no space */
	uint64_t hint;	/* sector in which to look for space first */
	/* the last logical extent that was taken, and how many to take ahead if the next follows */
	uint64_t last;
	unsigned ahead;
};

struct disk {
	struct stor_dev dev; /* first */
	struct stor_volume *vol;
	enum stor_diskslot_kind kind;
	char name[STOR_DISK_NAME];
	struct stor_diskslot desc;
	unsigned slot;
	uint64_t *map; /* by logical extent */
	uint64_t n_logical;
	uint8_t *table;	 /* the extent table as we know it */
	uint32_t map_of; /* incarnation of the volume's device in which the map was read; 0: none */
	uint32_t loading_for; /* ... is being read; 0: not */
	bool refreshing;      /* the table is read again to look for space, the map stays */
	bool grew;	      /* while the map was being read: once more */
	disk_loaded_fn loaded;
	uint64_t load_at;
	struct stor_req load_req;
	struct iovec load_iov;
	struct parts waiting; /* for the map, or for an extent */
	struct parts flying;  /* in the volume's device */
	struct parts spare;   /* memory of plain ones that ended */
	unsigned n_spare;
	struct take take;
	struct stor_req slots_req; /* opening and reloading */
	struct iovec slots_iov;
	uint8_t *slots;
	stor_disk_reload_fn reload_done;
	void *reload_arg;
	uint64_t lost_seen; /* lost_flushes of the volume's device that our guest knows of */
	bool posted;	    /* work at the end of this turn */
	unsigned out;	    /* requests and deferred calls of ours that are under way */
	bool closing, closed;
};

static inline struct disk *stor__disk_of(struct stor_dev *dev)
{
	return CM_CONTAINER(dev, struct disk, dev);
}

/* --- stor_diskpart.c --- */
void stor__disk_out(struct disk *d, struct stor_req *r); /* to the volume's device, counted */
void stor__disk_maybe_closed(struct disk *d);
uint8_t *stor__sectors_alloc(uint64_t bytes);
/* One of several of a request. */
struct part *stor__part_new(struct disk *d, struct whole *w);
/* The whole request. */
struct part *stor__part_only(struct disk *d, struct stor_req *req);
void stor__parts_free(struct disk *d); /* memory that was kept */
/* To the device; done calls stor__part_landed first. */
void stor__part_fly(struct part *p, uint64_t extent, stor_done_fn done);
void stor__part_landed(struct part *p);
void stor__part_wait(struct part *p); /* in d->waiting */
void stor__part_end(struct part *p, int rc);
/* Of a part that is not out, not from inside submit. */
void stor__part_end_later(struct part *p, int rc);
void stor__disk_fail(struct disk *d, int rc); /* every waiting part */

/* --- stor_diskmap.c --- */
/* The map of this incarnation is there. */
bool stor__map_ready(const struct disk *d);
/* Reads it, unless it is being read already. */
void stor__map_load(struct disk *d, disk_loaded_fn loaded);
/* Reads the table again to look for space; the map stays. */
void stor__map_refresh(struct disk *d, disk_loaded_fn loaded);
int stor__map_resize(struct disk *d, uint64_t size_bytes);

/* --- stor_diskchoose.c --- */
uint32_t stor__disk_entries(const struct disk *d); /* of a sector of the table */
uint8_t *stor__disk_table(const struct disk *d, uint64_t t);
bool stor__choose_has(const struct take *k, uint64_t logical);
/* p waits for an extent that is in no batch. */
bool stor__choose_wants(const struct disk *d, const struct part *p);
bool stor__choose_any(const struct disk *d); /* somebody does */
/* Each fills the batch. Extents to give back; true: some. */
bool stor__choose_going(struct disk *d);
/* Extents that are ours already but were not cleared; true: some. */
bool stor__choose_half(struct disk *d);
/* False: there is none, as far as we know. */
bool stor__choose_free(struct disk *d);
/* Writes of a whole extent go out in place of the zeroes. */
void stor__choose_writers(struct disk *d);

/* --- stor_disktake.c --- */
bool stor__take_busy(const struct disk *d);
/* Begins a batch if one is wanted; done comes when it has ended, however. False: space is wanted,
 * and there is none as far as we know. Needs the map; one batch at a time. */
bool stor__take_start(struct disk *d, disk_took_fn done);

/* --- stor_diskio.c --- */
void stor__disk_submit(struct stor_dev *dev, struct stor_req *req);
void stor__disk_cancel(struct stor_dev *dev, struct stor_req *req);

#endif
