/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_scsi.h - SCSI commands and answers as bytes: CDBs, INQUIRY pages, capacity, PR. Pure; inside
 * iscsi/ only. Data of the target is parsed here: any bytes are survived. Thread: [any].
 */
#ifndef STOR_SCSI_H
#define STOR_SCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

#define STOR_CDB_MAX 16

/* Status byte. */
enum {
	STOR_SCSI_GOOD = 0,
	STOR_SCSI_CHECK = 2,
	STOR_SCSI_BUSY = 8,
	STOR_SCSI_CONFLICT = 0x18,
	STOR_SCSI_FULL = 0x28,
	STOR_SCSI_ABORTED = 0x40,
};
/* Sense keys. */
enum {
	STOR_KEY_NONE = 0,
	STOR_KEY_RECOVERED = 1,
	STOR_KEY_NOT_READY = 2,
	STOR_KEY_MEDIUM = 3,
	STOR_KEY_HARDWARE = 4,
	STOR_KEY_ILLEGAL = 5,
	STOR_KEY_ATTENTION = 6,
	STOR_KEY_PROTECT = 7,
	STOR_KEY_ABORTED = 0xb,
	STOR_KEY_MISCOMPARE = 0xe,
	STOR_KEY_COMPLETED = 0xf,
};

struct stor_cdb {
	uint8_t b[STOR_CDB_MAX];
	uint8_t len;
};
struct stor_cdb stor__cdb_tur(void);
struct stor_cdb stor__cdb_inquiry(int vpd_page, uint16_t alloc); /* page < 0: standard */
struct stor_cdb stor__cdb_read_capacity(uint32_t alloc);
struct stor_cdb stor__cdb_rw(bool write, uint64_t lba, uint32_t blocks, bool fua);
struct stor_cdb stor__cdb_sync(void);
struct stor_cdb stor__cdb_caw(uint64_t lba, uint8_t blocks);
struct stor_cdb stor__cdb_write_same(uint64_t lba, uint32_t blocks, bool unmap);
static inline bool stor__cdb_is_write_same(const struct stor_cdb *c)
{
	return c->b[0] == 0x93;
}
static inline bool stor__cdb_unmaps(const struct stor_cdb *c) /* a WRITE SAME */
{
	return c->b[1] & 0x08;
}
struct stor_cdb stor__cdb_unmap(uint16_t list_bytes);
/* For the self-test only: what else changes a block. */
struct stor_cdb stor__cdb_write_verify(uint64_t lba, uint32_t blocks);
struct stor_cdb stor__cdb_orwrite(uint64_t lba, uint32_t blocks);
struct stor_cdb stor__cdb_pr_in(uint8_t service, uint16_t alloc);
struct stor_cdb stor__cdb_pr_out(uint8_t service, uint8_t type, uint32_t list_bytes);

#define STOR_UNMAP_BYTES 24
void stor__unmap_list(uint8_t out[STOR_UNMAP_BYTES], uint64_t lba, uint32_t blocks);

/* READ CAPACITY(16). */
struct stor_capacity {
	uint64_t blocks;
	uint32_t block_bytes;
	bool thin, zeroes; /* LBPME, LBPRZ */
};
int stor__decode_capacity(const uint8_t *d, size_t len, struct stor_capacity *c) cm_must_check;
/* VPD 0x80: printable bytes only. */
int stor__decode_serial(const uint8_t *d, size_t len, char *out, size_t cap) cm_must_check;
/*
 * VPD 0x83: the designator of the logical unit (association 0) that is best for telling it from others: "naa.6..."
 * (registered extended first), another NAA, "eui.", "t10.", as printable bytes. An error: it has none of these.
 */
int stor__decode_lun_id(const uint8_t *d, size_t len, char *out, size_t cap) cm_must_check;
/* VPD 0xB0 and 0xB2; 0 = not reported. */
struct stor_limits {
	uint32_t max_transfer_blocks, max_unmap_blocks;
	uint64_t max_write_same_blocks;
	uint8_t max_caw_blocks;
};
int stor__decode_limits(const uint8_t *d, size_t len, struct stor_limits *l) cm_must_check;
int stor__decode_provisioning(const uint8_t *d, size_t len, bool *unmap,
			      bool *ws16_unmap) cm_must_check;
/* "ILLEGAL REQUEST 20/00" */
void stor__sense_print(int status, uint8_t key, uint8_t asc, uint8_t ascq, char *out, size_t cap);

#endif
