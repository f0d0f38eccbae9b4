/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_devices.h - the devices that machine hv-1 is made of, and what each is configured with.
 *
 * The list with addresses and order is in vm/hv_machine_list.c. Each config is borrowed and constant for
 * the life of the VM; hv_dev_ops.create gets a pointer to it.
 *
 * Threads: as hv_dev.h says; the functions here run with the machine lock held.
 */
#ifndef HV_DEVICES_H
#define HV_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/machine/hv_dev.h"

struct hv_char;
struct hv_port;
struct stor_dev;

struct hv_char_config { /* uart, debugport, virtio console (port 0) */
	struct hv_char *chr;
	struct hv_port *agent; /* virtio console: port 1, the guest agent's; or NULL: one port */
};

struct hv_blk_config {
	struct stor_dev *dev;
	const char *serial; /* up to 20 bytes, NUL-terminated */
	bool read_only;
};

struct hv_nic_config {
	int tap_fd; /* IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, non-blocking */
	uint8_t mac[6];
};

/* config: */
extern const struct hv_dev_ops hv_dev_uart;	 /* struct hv_char_config */
extern const struct hv_dev_ops hv_dev_rtc;	 /* NULL */
extern const struct hv_dev_ops hv_dev_power;	 /* NULL */
extern const struct hv_dev_ops hv_dev_debugport; /* struct hv_char_config */
extern const struct hv_dev_ops hv_dev_blk;	 /* struct hv_blk_config */
extern const struct hv_dev_ops hv_dev_net;	 /* struct hv_nic_config */
extern const struct hv_dev_ops hv_dev_console;	 /* struct hv_char_config */
extern const struct hv_dev_ops hv_dev_rng;	 /* NULL */
extern const struct hv_dev_ops hv_dev_balloon;	 /* NULL */
extern const struct hv_dev_ops hv_dev_empty;	 /* NULL: an empty virtio slot, DeviceID 0 */

/* Presses the power button: event bit 0 is pending and the GED line is up. */
void hv_power_press(struct hv_dev *power);
/* After the guest moved here: tells bridges where its address is (RARP), and asks the guest to tell
 * its peers. */
void hv_net_announce(struct hv_dev *nic);
/* The disk behind it has another size (stor_dev_info): the guest is told. With the devices' lock. */
void hv_blk_resized(struct hv_dev *blk);
/* Asks the guest to give back so many bytes. */
void hv_balloon_set(struct hv_dev *balloon, uint64_t bytes);

#endif
