/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volume_int.h - inside of a volume, for sharedstorage/ only.
 */
#ifndef STOR_VOLUME_INT_H
#define STOR_VOLUME_INT_H

#include "sharedstorage/stor_volfmt.h"
#include "sharedstorage/stor_volume.h"

struct stor_volume {
	struct stor_dev *dev;
	struct stor_super super;
};

/* [worker] Blocking I/O through the device's loop. Reads pass the gate (ADMIN); whatever changes
 * something waits until the device is ready. */
int stor__vol_read(struct stor_dev *dev, uint64_t offset_bytes, void *buf, uint64_t bytes,
		   struct cm_err *err);
int stor__vol_write(struct stor_dev *dev, uint64_t offset_bytes, const void *buf, uint64_t bytes,
		    struct cm_err *err);
int stor__vol_zero(struct stor_dev *dev, uint64_t offset_bytes, uint64_t bytes, struct cm_err *err);
/* 0, CM_E_LEASE_MISCOMPARE, or an error. An unknown outcome is read back until it is known. */
int stor__vol_caw(struct stor_dev *dev, uint64_t offset_bytes, const void *compare,
		  const void *swap, uint32_t sector_bytes, struct cm_err *err);
/* Sectors of a region, allocated (free it). */
uint8_t *stor__vol_region(struct stor_volume *vol, uint64_t at, uint64_t sectors,
			  struct cm_err *err);

#endif
