/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_machine_list.h - the devices of machine hv-1 in their order: what is where. Guest ABI.
 *
 * Constant data. Thread: [any].
 */
#ifndef HV_MACHINE_LIST_H
#define HV_MACHINE_LIST_H

#include "hvcore/devices/hv_devices.h"
#include "hvcore/machine/hv_machine.h"

#define HV_DEVSET_MAX (4u + HV_VIRTIO_SLOTS)
#define HV_NO_GSI     ~0u

/* One row of a machine's list. */
struct hv_machine_row {
	const struct hv_dev_ops *ops; /* in a virtio slot: the device that may be there */
	bool mmio;
	uint64_t base, bytes;
	unsigned gsi;
	unsigned instance; /* of its kind */
	unsigned slot;	   /* virtio slot, or HV_NO_GSI */
};
extern const struct hv_machine_row hv_machine_rows[];
extern const unsigned hv_machine_row_count;

#endif
