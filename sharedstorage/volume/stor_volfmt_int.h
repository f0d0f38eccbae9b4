/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volfmt_int.h - what every sector of a volume has, for stor_volfmt.c and stor_supfmt.c only:
 * magic[8], then the structure, CRC32C in the last four bytes. Part of format. Thread: [any], pure.
 */
#ifndef STOR_VOLFMT_INT_H
#define STOR_VOLFMT_INT_H

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_volfmt.h"

#define STOR_SECTOR_CRC 4u

static inline bool stor__sector_zero(const uint8_t *p, uint32_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static inline void stor__sector_seal(uint8_t *out, uint32_t n)
{
	cm_put_le32(out + n - STOR_SECTOR_CRC, cm_crc32c(0, out, n - STOR_SECTOR_CRC));
}

/* 0, -ENODATA, or CM_E_VOL_CORRUPT. */
static inline int stor__sector_check(const uint8_t *in, uint32_t n, const char magic[8])
{
	if (stor__sector_zero(in, n))
		return -ENODATA;
	if (memcmp(in, magic, 8) != 0 ||
	    cm_le32(in + n - STOR_SECTOR_CRC) != cm_crc32c(0, in, n - STOR_SECTOR_CRC))
		return CM_E_VOL_CORRUPT;
	return 0;
}

static inline int stor__get_name(const uint8_t *in, char *out)
{
	if (!memchr(in, '\0', STOR_DISK_NAME))
		return CM_E_VOL_CORRUPT;
	memcpy(out, in, STOR_DISK_NAME);
	return 0;
}

#endif
