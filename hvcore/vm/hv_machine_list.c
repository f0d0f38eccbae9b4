/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_machine_list.c - the list of devices of machine hv-1, in their order. Guest ABI: never edited,
 * only followed by a list for a new machine type.
 */
#include "config.h"

#include "hvcore/vm/hv_machine_list.h"

#include "common/cm_err.h"

#define PORT(ops, base, n, gsi)                                                                    \
	{                                                                                          \
		ops, false, base, n, gsi, 0, HV_NO_GSI                                             \
	}
#define SLOT(ops, i, instance)                                                                     \
	{                                                                                          \
		ops, true, HV_VIRTIO_GPA + (i)*HV_VIRTIO_STRIDE, HV_VIRTIO_BYTES,                  \
			HV_VIRTIO_GSI + (i), instance, i                                           \
	}

// clang-format off
const struct hv_machine_row hv_machine_rows[] = {
	PORT(&hv_dev_uart, HV_COM1_PORT, 8, HV_COM1_GSI),
	PORT(&hv_dev_rtc, HV_RTC_PORT, 2, HV_NO_GSI),
	PORT(&hv_dev_debugport, HV_DEBUG_PORT, 1, HV_NO_GSI),
	{ &hv_dev_power, true, HV_POWER_GPA, HV_POWER_BYTES, HV_POWER_GSI, 0, HV_NO_GSI },
	SLOT(&hv_dev_blk, 0, 0),
	SLOT(&hv_dev_blk, 1, 1),
	SLOT(&hv_dev_blk, 2, 2),
	SLOT(&hv_dev_blk, 3, 3),
	SLOT(&hv_dev_net, 4, 0),
	SLOT(&hv_dev_net, 5, 1),
	SLOT(&hv_dev_net, 6, 2),
	SLOT(&hv_dev_net, 7, 3),
	SLOT(&hv_dev_console, HV_SLOT_CONSOLE, 0),
	SLOT(&hv_dev_rng, HV_SLOT_RNG, 0),
	SLOT(&hv_dev_balloon, HV_SLOT_BALLOON, 0),
	SLOT(&hv_dev_empty, 11, 0),
};
// clang-format on
const unsigned hv_machine_row_count = CM_ARRAY_LEN(hv_machine_rows);

_Static_assert(CM_ARRAY_LEN(hv_machine_rows) == HV_DEVSET_MAX, "every slot has its row");
_Static_assert(HV_SLOT_BLK0 == 0 && HV_SLOT_BLK_MAX == 4 && HV_SLOT_NET0 == 4 &&
		       HV_SLOT_NET_MAX == 4 && HV_SLOT_CONSOLE == 8 && HV_SLOT_RNG == 9 &&
		       HV_SLOT_BALLOON == 10 && HV_VIRTIO_SLOTS == 12,
	       "the list says what hv_machine.h says");
