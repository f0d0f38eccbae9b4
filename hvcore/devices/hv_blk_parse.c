/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_blk_parse.c - virtio-blk requests (virtio 1.2, 5.2.6). Parses data of the guest; touches nothing else.
 *
 * Layout of a chain: out: header (type, reserved, sector; 16 bytes, however it is cut), data; in: data, status (last
 * byte). Every number is copied before it is checked.
 */
#include "config.h"

#include "hvcore/devices/hv_blk_parse.h"

#include <errno.h>

#define HEADER_BYTES 16u
#define SEGMENT_BYTES 16u

#define T_IN     0u
#define T_OUT    1u
#define T_FLUSH  4u
#define T_GET_ID 8u
#define T_DISCARD      11u
#define T_WRITE_ZEROES 13u

#define SEGMENT_UNMAP 1u

static int blk_range(struct hv_blk_cmd *cmd, const struct hv_blk_limits *l, uint64_t sector, uint64_t bytes)
{
	if (sector > UINT64_MAX / HV_BLK_SECTOR_BYTES)
		return HV_BLK_IOERR;
	cmd->offset_bytes = sector * HV_BLK_SECTOR_BYTES;
	cmd->length_bytes = bytes;
	if (!bytes || bytes % l->sector_bytes || cmd->offset_bytes % l->sector_bytes)
		return HV_BLK_IOERR;
	if (cmd->offset_bytes > l->capacity_bytes || bytes > l->capacity_bytes - cmd->offset_bytes)
		return HV_BLK_IOERR;
	return 0;
}

static int blk_segment(const struct hv_chain *c, const struct hv_blk_limits *l, struct hv_blk_cmd *cmd)
{
	uint8_t seg[SEGMENT_BYTES];
	uint32_t flags;

	if (c->out_bytes != HEADER_BYTES + SEGMENT_BYTES ||
	    hv_chain_read(c, HEADER_BYTES, seg, sizeof seg) != sizeof seg)
		return HV_BLK_UNSUPP; /* we said one segment at most */
	flags = cm_le32(seg + 12);
	if (flags & ~SEGMENT_UNMAP || (flags && cmd->kind == HV_BLK_DISCARD))
		return HV_BLK_UNSUPP;
	cmd->unmap = flags & SEGMENT_UNMAP;
	if (l->read_only)
		return HV_BLK_IOERR;
	return blk_range(cmd, l, cm_le64(seg), (uint64_t)cm_le32(seg + 8) * HV_BLK_SECTOR_BYTES);
}

int hv_blk_parse(const struct hv_chain *c, const struct hv_blk_limits *l, struct hv_blk_cmd *cmd)
{
	uint8_t head[HEADER_BYTES];
	unsigned last = c->out + c->in - 1;
	uint64_t sector;

	*cmd = (struct hv_blk_cmd){0};
	if (!c->in_bytes || hv_chain_read(c, 0, head, sizeof head) != sizeof head)
		return -EBADMSG;
	cmd->status_gpa = c->gpa[last] + c->iov[last].iov_len - 1;
	cmd->data_in_bytes = c->in_bytes - 1;
	sector = cm_le64(head + 8);
	switch (cm_le32(head)) {
	case T_IN:
		cmd->kind = HV_BLK_READ;
		return blk_range(cmd, l, sector, cmd->data_in_bytes);
	case T_OUT:
		cmd->kind = HV_BLK_WRITE;
		if (l->read_only)
			return HV_BLK_IOERR;
		return blk_range(cmd, l, sector, c->out_bytes - HEADER_BYTES);
	case T_FLUSH:
		cmd->kind = HV_BLK_FLUSH;
		return 0;
	case T_GET_ID:
		cmd->kind = HV_BLK_GET_ID;
		return 0;
	case T_DISCARD:
		cmd->kind = HV_BLK_DISCARD;
		return blk_segment(c, l, cmd);
	case T_WRITE_ZEROES:
		cmd->kind = HV_BLK_WRITE_ZEROES;
		return blk_segment(c, l, cmd);
	default:
		return HV_BLK_UNSUPP;
	}
}

unsigned hv_blk_data(const struct hv_chain *c, const struct hv_blk_cmd *cmd, struct iovec *iov, uint64_t *gpa)
{
	bool write = cmd->kind == HV_BLK_WRITE;
	unsigned first = write ? 0 : c->out, end = write ? c->out : c->out + c->in, n = 0;
	size_t skip = write ? HEADER_BYTES : 0, left = (size_t)cmd->length_bytes;

	for (unsigned i = first; i < end && left; i++) {
		size_t have = c->iov[i].iov_len, k;

		if (skip >= have) {
			skip -= have;
			continue;
		}
		k = CM_MIN(have - skip, left);
		iov[n] = (struct iovec){.iov_base = (uint8_t *)c->iov[i].iov_base + skip, .iov_len = k};
		gpa[n++] = c->gpa[i] + skip;
		left -= k;
		skip = 0;
	}
	return n;
}
