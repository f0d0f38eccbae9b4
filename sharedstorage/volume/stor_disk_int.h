/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_disk_int.h - inside of a disk's data path: stor_disk.c (requests and their parts),
 * stor_diskmap.c (where each extent is), stor_disktake.c (taking and giving back extents). For
 * these only.
 *
 * Thread: [loop].
 */
#ifndef STOR_DISK_INT_H
#define STOR_DISK_INT_H

#include "sharedstorage/dev/stor_dev_back.h"
#include "sharedstorage/volume/stor_disk.h"
#include "sharedstorage/volume/stor_volume_int.h"

struct disk;

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
	bool posted, refreshed;
	uint64_t hint; /* sector in which to look for space first */
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
	unsigned out;	    /* requests and deferred calls of ours that are under way */
	bool closing, closed;
};

/* stor_disk.c */
void stor__disk_out(struct disk *d, struct stor_req *r); /* to the volume's device, counted */
void stor__disk_maybe_closed(struct disk *d);
void stor__part_fly(struct part *p, uint64_t extent, stor_done_fn done);
void stor__part_landed(struct part *p);
void stor__part_end(struct part *p, int rc);
void stor__part_end_later(struct part *p, int rc);
/* Something changed (map read, batch done): every waiting part tries again. */
void stor__disk_pump(struct disk *d);
void stor__disk_fail(struct disk *d, int rc); /* every waiting part */
uint8_t *stor__sectors_alloc(uint64_t bytes);

/* stor_diskmap.c */
/* True if the map of this incarnation is there; else it is being read, and the pump follows. */
bool stor__map_ready(struct disk *d);
/* Reads the table again, once; take_soon follows. */
void stor__map_refresh(struct disk *d);
int stor__map_resize(struct disk *d, uint64_t size_bytes);

/* stor_disktake.c */
void stor__take_soon(struct disk *d); /* at the end of this turn, if there is work */
bool stor__take_busy(const struct disk *d);

#endif
