/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_tap.c - tap interfaces by ioctl (tun.txt of the kernel documentation). Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAP_VNET_HDR_BYTES 12 /* struct virtio_net_hdr_v1 */

/* Puts the interface on its bridge and brings it up. */
static int tap_plug(const char *bridge, const char *tap, struct cm_err *err)
{
	struct ifreq ifr;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (s < 0)
		return cm_err_set(err, CM_E_DEVICE, "socket: %s", strerror(errno));
	memset(&ifr, 0, sizeof ifr);
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", bridge);
	ifr.ifr_ifindex = (int)if_nametoindex(tap);
	if (ioctl(s, SIOCBRADDIF, &ifr) < 0) {
		rc = cm_err_set(err, CM_E_DEVICE, "cannot put a tap on bridge '%s': %s%s", bridge,
				strerror(errno),
				if_nametoindex(bridge)
					? ""
					: " (make it with: ip link add NAME type bridge)");
		goto out;
	}
	memset(&ifr, 0, sizeof ifr);
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", tap);
	if (ioctl(s, SIOCGIFFLAGS, &ifr) < 0) {
		rc = cm_err_set(err, CM_E_DEVICE, "%s: %s", tap, strerror(errno));
		goto out;
	}
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		rc = cm_err_set(err, CM_E_DEVICE, "cannot bring %s up: %s", tap, strerror(errno));
out:
	close(s);
	return rc;
}

int clu_tap_open(const char *bridge, const char *name_hint, struct cm_err *err)
{
	struct ifreq ifr;
	int size = TAP_VNET_HDR_BYTES, rc;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return cm_err_set(err, CM_E_DEVICE, "cannot open /dev/net/tun: %s",
				  strerror(errno));
	memset(&ifr, 0, sizeof ifr);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	/* The kernel numbers names with %d. */
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "hv%.9s%%d", name_hint);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
		rc = cm_err_set(err, CM_E_DEVICE, "cannot make a tap interface: %s",
				strerror(errno));
		close(fd);
		return rc;
	}
	rc = tap_plug(bridge, ifr.ifr_name, err);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}
