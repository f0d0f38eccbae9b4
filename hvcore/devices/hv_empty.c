/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_empty.c - an empty virtio slot: the transport is there, DeviceID 0 says that no device is.
 *
 * Data of: the guest. Nothing it writes does anything.
 */
#include "config.h"

#include "common/cm_buf.h"
#include "hvcore/devices/hv_devices.h"

struct empty_state {
	uint8_t reserved;
};

static const struct hv_field empty_fields[] = {
	HV_F_U8(struct empty_state, reserved),
	HV_F_END,
};

static void empty_defaults(void *state, const void *cfg)
{
	(void)cfg;
	*(struct empty_state *)state = (struct empty_state){0};
}

static int empty_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	(void)dev;
	(void)cfg;
	(void)err;
	return 0;
}

static void empty_destroy(struct hv_dev *dev)
{
	(void)dev;
}

static void empty_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	static const uint32_t reg[4] = {0x74726976u, 2, 0, 0x4c435648u}; /* magic, version, no device, vendor */

	(void)dev;
	if (write || len != 4)
		return;
	cm_put_le32(data, offset < 16 && !(offset & 3) ? reg[offset / 4] : 0);
}

const struct hv_dev_ops hv_dev_empty = {
	.name = "empty",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct empty_state),
	.fields = empty_fields,
	.defaults = empty_defaults,
	.create = empty_create,
	.destroy = empty_destroy,
	.io = empty_io,
};
