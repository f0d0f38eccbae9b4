/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_port.h - a named port of the virtio console between the device (which is built anew at every
 * reset and restore) and a user on the host's side, which stays.
 *
 * All with the machine lock held. The bytes are the guest's: whoever takes them must bound and
 * check. Ownership: the struct is the VM's; each side sets and clears its own members.
 */
#ifndef HV_PORT_H
#define HV_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HV_PORT_AGENT "org.qemu.guest_agent.0"

struct hv_port {
	/* The host's user; NULL: nobody. */
	void (*opened)(void *arg, bool open); /* open: [loop]; shut: [loop] or [vcpu] */
	void (*output)(void *arg, const uint8_t *data, size_t len); /* the guest said this [loop] */
	void (*room)(void *arg); /* the guest may have room for input again [loop] */
	void *arg;
	/* The device; NULL while there is none or while it is paused. Returns how many bytes the
	 * guest had room for. [loop] */
	size_t (*input)(void *dev, const uint8_t *data, size_t len);
	void *dev;
};

#endif
