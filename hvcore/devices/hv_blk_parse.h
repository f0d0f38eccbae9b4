/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_blk_parse.h - a chain of virtio-blk buffers as a checked command. Pure; thread: [any].
 */
#ifndef HV_BLK_PARSE_H
#define HV_BLK_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/devices/hv_virtq.h"

#define HV_BLK_SECTOR_BYTES 512u
#define HV_BLK_ID_BYTES     20u
#define HV_BLK_SEG_MAX      (HV_CHAIN_MAX - 2)

enum hv_blk_status { HV_BLK_OK = 0, HV_BLK_IOERR = 1, HV_BLK_UNSUPP = 2 };

enum hv_blk_kind {
	HV_BLK_NONE = 0,
	HV_BLK_READ,
	HV_BLK_WRITE,
	HV_BLK_FLUSH,
	HV_BLK_DISCARD,
	HV_BLK_WRITE_ZEROES,
	HV_BLK_GET_ID,
};

/* What the disk is like. */
struct hv_blk_limits {
	uint64_t capacity_bytes;
	uint32_t sector_bytes;
	bool read_only;
};

struct hv_blk_cmd {
	enum hv_blk_kind kind;
	uint64_t offset_bytes, length_bytes;
	bool unmap;
	uint64_t status_gpa;
	uint32_t data_in_bytes; /* of the in part, without the status byte */
};

/*
 * 0: *cmd is good. > 0: an enum hv_blk_status to answer (cmd->status_gpa is valid). -EBADMSG: no header or no place
 * for the status: the driver is broken.
 */
int hv_blk_parse(const struct hv_chain *c, const struct hv_blk_limits *limits, struct hv_blk_cmd *cmd);
/* The data pieces of a READ or WRITE into iov and gpa (HV_CHAIN_MAX each); returns how many. */
unsigned hv_blk_data(const struct hv_chain *c, const struct hv_blk_cmd *cmd, struct iovec *iov, uint64_t *gpa);

#endif
