/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volfmt.h - structures of a cluster volume as bytes. Part of format: docs/DISK.md specifies
 * it.
 *
 * Pairs of pure functions over one sector each; little-endian; CRC32C over the encoded sector.
 * Every structure is one sector, so every change of it is one COMPARE AND WRITE; every structure
 * that changes more than once counts its changes, so the same bytes never come twice and a late
 * COMPARE AND WRITE cannot succeed. Data of the disk is parsed here: any bytes are survived.
 * Thread: [any].
 */
#ifndef STOR_VOLFMT_H
#define STOR_VOLFMT_H

#include <stdbool.h>
#include <stdint.h>

#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/lease/stor_lease_disk.h"

#define STOR_VOL_FORMAT		2u /* no other is read */
#define STOR_SERIAL		64u /* serial number of a LUN, with its NUL */
#define STOR_VOL_SUPERS		2u /* copies, sectors 0 and 1 */
#define STOR_VOL_SCRATCH_SECTOR 2u /* nobody's: the self-test of a target works on it */
#define STOR_VOL_HOSTS		64u
#define STOR_VOL_VMS		1024u /* ownership blocks, and configurations */
#define STOR_VOL_DISKS		1024u /* images included */
#define STOR_VOL_EXTENTS	(1ull << 24)
#define STOR_VOL_EXTENT_MIN	(1ull << 20)
#define STOR_VOL_EXTENT_MAX	(1ull << 30)
#define STOR_VOL_GROWTH		4u /* a volume may grow to so many times its first size */
#define STOR_VOL_DISK_EXTENTS	STOR_VOL_EXTENTS /* extents of the largest (thin) disk */

struct stor_super {
	struct stor_uuid id;
	char name[STOR_DISK_NAME];
	uint32_t sector_bytes;
	uint64_t changes; /* of the super block: grows with the volume */
	uint64_t extent_bytes, extents;
	/* in sectors from the beginning of the device */
	uint64_t hosts_at, vms_at, disks_at, configs_at, bodies_at, table_at;
	uint64_t table_sectors; /* with room for growth */
	uint64_t data_at;	/* in bytes, a multiple of extent_bytes */
	bool locked;		/* this is a lock LUN: the data lies on another one, with that serial */
	char data_serial[STOR_SERIAL];
};

/* First sector of a data LUN whose metadata lies on a lock LUN. */
struct stor_bound {
	struct stor_uuid volume;
	char name[STOR_DISK_NAME];
	char lock_serial[STOR_SERIAL];
};

struct stor_hostslot {
	char node[STOR_NODE_NAME];
	uint16_t slot;
};

enum stor_diskslot_state {
	STOR_DISKSLOT_NONE = 0,
	STOR_DISKSLOT_FREE = 1,
	STOR_DISKSLOT_USED = 2,
	STOR_DISKSLOT_DELETING = 3, /* its extents are being given back */
	STOR_DISKSLOT_CREATING = 4, /* wants its name; others may want it, too */
	STOR_DISKSLOT_FILLING = 5,  /* has its name; a thick disk takes its extents */
};
enum stor_diskslot_kind {
	STOR_DISKSLOT_DISK = 0,
	STOR_DISKSLOT_IMAGE = 1, /* saved state of a VM; its name is the VM's UUID as text */
	STOR_DISKSLOT_READER = 2, /* no disk, but the claim of a VM that only reads one; has no extents */
};

struct stor_diskslot {
	enum stor_diskslot_state state;
	enum stor_diskslot_kind kind;
	char name[STOR_DISK_NAME];
	char to[STOR_DISK_NAME]; /* USED: the name that a rename under way wants, "" none */
	struct stor_uuid id;
	struct stor_uuid vm; /* DISK: the VM that claimed it last, zero: nobody; IMAGE: whose state */
	struct stor_uuid of; /* READER: id of the disk */
	/* DISK: that VM uses it until it says that it does not. A claim outlives its process. */
	bool held;
	struct stor_uuid home; /* where that VM's ownership block lies (struct stor_claim) */
	uint64_t epoch;	       /* of the VM when it claimed */
	char node[STOR_NODE_NAME];
	uint64_t size_bytes;
	uint64_t grow_bytes; /* being grown: its next size, else 0 */
	uint64_t grower;     /* ... by whom: a random number, else 0 */
	uint64_t changes;    /* of this slot */
	uint32_t generation; /* grows with every use of the slot; extents carry it */
	bool thick;
	bool sealed; /* IMAGE: complete */
};

/* Configuration of a VM: a header sector, and two bodies of which one is in force. */
#define STOR_CONFIG_TEXT     16384u /* bytes of text at most */
#define STOR_CONFIG_DEFLATED 3840u  /* ... and of its deflated form */
#define STOR_CONFIG_BODY     4096u  /* bytes of one body area */
#define STOR_CONFIG_NO_COPY  0xffu
struct stor_confhead {
	bool used; /* else free */
	struct stor_uuid vm;
	char name[STOR_DISK_NAME];
	uint64_t changes;
	uint8_t copy;		 /* body in force: 0, 1, or NO_COPY: none was ever complete */
	struct stor_uuid nonce;	 /* that each sector of that body carries */
	struct stor_uuid writer; /* not zero: that body is being written into the other copy */
	uint32_t text_bytes, deflated_bytes, deflated_crc;
};
struct stor_confbody {
	struct stor_uuid nonce;
	uint16_t index, bytes;
	const uint8_t *data; /* inside the sector */
};
#define STOR_CONFBODY_HEADER 32u
static inline uint32_t stor_confbody_room(uint32_t sector_bytes)
{
	return sector_bytes - STOR_CONFBODY_HEADER;
}
static inline uint32_t stor_config_body_sectors(uint32_t sector_bytes)
{
	return STOR_CONFIG_BODY / sector_bytes;
}

/* One extent: who it belongs to. */
enum stor_extent_state {
	STOR_EXTENT_FREE = 0,
	STOR_EXTENT_ZEROING = 1, /* allocated, its old contents are still being cleared */
	STOR_EXTENT_USED = 2,
};
struct stor_extent {
	enum stor_extent_state state;
	uint16_t disk;	     /* slot */
	uint16_t generation; /* low STOR_EXTENT_GEN_MASK bits of the slot's */
	uint32_t logical;    /* extent number inside the disk */
};
#define STOR_EXTENT_GEN_MASK 0x3fffu
#define STOR_TABLE_HEADER    16u
#define STOR_EXTENT_BYTES    8u
static inline uint32_t stor_table_entries(uint32_t sector_bytes)
{
	return (sector_bytes - STOR_TABLE_HEADER) / STOR_EXTENT_BYTES;
}
/* Sectors of the table that the volume's extents of now take. */
static inline uint64_t stor_table_in_use(const struct stor_super *s)
{
	uint32_t per = stor_table_entries(s->sector_bytes);

	return (s->extents + per - 1) / per;
}
static inline bool stor_extent_is(const struct stor_extent *e, unsigned slot, uint32_t generation)
{
	return e->state != STOR_EXTENT_FREE && e->disk == slot &&
	       e->generation == (generation & STOR_EXTENT_GEN_MASK);
}

/*
 * Layout for a device; CM_E_VOL_LIMIT if it is too small or too big. extent_bytes 0: chosen.
 * shared_bytes: only below it COMPARE AND WRITE works (a lock LUN); 0: everywhere.
 */
int stor_super_plan(uint64_t capacity_bytes, uint32_t sector_bytes, uint64_t extent_bytes,
		    uint64_t shared_bytes, struct stor_super *s, struct cm_err *err) cm_must_check;
/* Extents for a device of that size within the same layout (growth); never fewer than now. */
uint64_t stor_super_extents(const struct stor_super *s, uint64_t capacity_bytes);

/* Encoders fill the whole sector. Decoders: 0; -ENODATA all zero (never used); CM_E_VOL_CORRUPT;
 * for the super block also CM_E_VOL_FORMAT (another magic or version). */
void stor_super_encode(const struct stor_super *s, uint8_t *out);
int stor_super_decode(const uint8_t *in, uint32_t sector_bytes, struct stor_super *s) cm_must_check;
/* Is one of the STOR_VOL_SUPERS first sectors of a device a super block? */
bool stor_super_any(const uint8_t *sectors, uint32_t sector_bytes);
void stor_bound_encode(const struct stor_bound *b, uint8_t *out, uint32_t sector_bytes);
int stor_bound_decode(const uint8_t *in, uint32_t sector_bytes, struct stor_bound *b) cm_must_check;
/* Sector 0 while a volume is being made there. */
void stor_forming_encode(const struct stor_super *s, uint8_t *out);
bool stor_forming_is(const uint8_t *in, uint32_t sector_bytes);
void stor_hostslot_encode(const struct stor_hostslot *h, uint8_t *out, uint32_t sector_bytes);
int stor_hostslot_decode(const uint8_t *in, uint32_t sector_bytes,
			 struct stor_hostslot *h) cm_must_check;
void stor_diskslot_encode(const struct stor_diskslot *d, uint8_t *out, uint32_t sector_bytes);
int stor_diskslot_decode(const uint8_t *in, uint32_t sector_bytes,
			 struct stor_diskslot *d) cm_must_check;
void stor_confhead_encode(const struct stor_confhead *h, uint8_t *out, uint32_t sector_bytes);
int stor_confhead_decode(const uint8_t *in, uint32_t sector_bytes,
			 struct stor_confhead *h) cm_must_check;
void stor_confbody_encode(const struct stor_confbody *b, uint8_t *out, uint32_t sector_bytes);
int stor_confbody_decode(const uint8_t *in, uint32_t sector_bytes,
			 struct stor_confbody *b) cm_must_check;

/* An ownership sector whose VM was forgotten: never used again until check --repair clears it, so
 * that two hosts that give a VM its first block always meet in the same sector. */
void stor_forgotten_encode(const struct stor_uuid *vm, uint8_t *out, uint32_t sector_bytes);
bool stor_forgotten_is(const uint8_t *in, uint32_t sector_bytes);

/* A sector of the extent table, kept encoded: get and put entries, then seal. An all-zero sector is
 * a valid one with every extent free. */
int stor_table_check(const uint8_t *sector, uint32_t sector_bytes) cm_must_check;
struct stor_extent stor_table_get(const uint8_t *sector, uint32_t i);
void stor_table_put(uint8_t *sector, uint32_t i, const struct stor_extent *e);
void stor_table_seal(uint8_t *sector, uint32_t sector_bytes);

#endif
