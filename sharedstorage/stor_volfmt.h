/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volfmt.h - structures of a cluster volume as bytes. Part of format: docs/DISK.md specifies
 * it.
 *
 * Pairs of pure functions over one sector each; little-endian; CRC32C over the encoded sector.
 * Every structure is one sector, so every change of it is one COMPARE AND WRITE. Data of the disk
 * is parsed here: any bytes are survived. Thread: [any].
 */
#ifndef STOR_VOLFMT_H
#define STOR_VOLFMT_H

#include <stdbool.h>
#include <stdint.h>

#include "sharedstorage/stor_lease_disk.h"
#include "sharedstorage/stor_url.h"

#define STOR_VOL_SUPERS	    2u /* copies, sectors 0 and 1 */
#define STOR_VOL_SCRATCH_SECTOR 2u /* nobody's: the self-test of a target works on it */
#define STOR_VOL_HOSTS	    64u
#define STOR_VOL_VMS	    1024u
#define STOR_VOL_DISKS	    256u
#define STOR_VOL_EXTENTS    (1ull << 24)
#define STOR_VOL_EXTENT_MIN (1ull << 20)
#define STOR_VOL_EXTENT_MAX (1ull << 30)

struct stor_super {
	struct stor_uuid id;
	char name[STOR_DISK_NAME];
	uint32_t sector_bytes;
	uint64_t extent_bytes, extents;
	/* in sectors from the beginning of the device */
	uint64_t hosts_at, vms_at, disks_at, table_at, table_sectors;
	uint64_t data_at; /* in bytes, a multiple of extent_bytes */
};

struct stor_hostslot {
	char node[STOR_NODE_NAME];
	uint16_t slot;
};

enum stor_diskslot_state {
	STOR_DISKSLOT_NONE = 0,
	STOR_DISKSLOT_FREE,
	STOR_DISKSLOT_USED,
	STOR_DISKSLOT_DELETING
};

struct stor_diskslot {
	enum stor_diskslot_state state;
	char name[STOR_DISK_NAME];
	struct stor_uuid id;
	uint64_t size_bytes;
	uint32_t generation; /* grows with every use of the slot; extents carry it */
	bool thick;
};

/* One extent: who it belongs to. */
enum stor_extent_state {
	STOR_EXTENT_FREE = 0,
	STOR_EXTENT_ZEROING = 1, /* allocated, its old contents are still being cleared */
	STOR_EXTENT_USED = 2,
};
struct stor_extent {
	enum stor_extent_state state;
	uint8_t disk;	     /* slot */
	uint16_t generation; /* low bits of the slot's */
	uint32_t logical;    /* extent number inside the disk */
};
#define STOR_TABLE_HEADER 16u
#define STOR_EXTENT_BYTES 8u
static inline uint32_t stor_table_entries(uint32_t sector_bytes)
{
	return (sector_bytes - STOR_TABLE_HEADER) / STOR_EXTENT_BYTES;
}

/* Layout for a device; CM_E_VOL_LIMIT if it is too small or too big. extent_bytes 0: chosen. */
int stor_super_plan(uint64_t capacity_bytes, uint32_t sector_bytes, uint64_t extent_bytes,
		    struct stor_super *s, struct cm_err *err) cm_must_check;

/* Encoders fill the whole sector. Decoders: 0; -ENODATA all zero (never used); CM_E_VOL_CORRUPT;
 * for the super block also CM_E_VOL_FORMAT (another magic). */
void stor_super_encode(const struct stor_super *s, uint8_t *out);
int stor_super_decode(const uint8_t *in, uint32_t sector_bytes, struct stor_super *s) cm_must_check;
void stor_hostslot_encode(const struct stor_hostslot *h, uint8_t *out, uint32_t sector_bytes);
int stor_hostslot_decode(const uint8_t *in, uint32_t sector_bytes,
			 struct stor_hostslot *h) cm_must_check;
void stor_diskslot_encode(const struct stor_diskslot *d, uint8_t *out, uint32_t sector_bytes);
int stor_diskslot_decode(const uint8_t *in, uint32_t sector_bytes,
			 struct stor_diskslot *d) cm_must_check;

/* A sector of the extent table, kept encoded: get and put entries, then seal. An all-zero sector is
 * a valid one with every extent free. */
int stor_table_check(const uint8_t *sector, uint32_t sector_bytes) cm_must_check;
struct stor_extent stor_table_get(const uint8_t *sector, uint32_t i);
void stor_table_put(uint8_t *sector, uint32_t i, const struct stor_extent *e);
void stor_table_seal(uint8_t *sector, uint32_t sector_bytes);

#endif
