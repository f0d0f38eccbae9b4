/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bridges and cables of the test bed, by iproute2 in batch mode and interface flags by ioctl.
 * Does not know about power. Parses nobody's data.
 */
#include "config.h"

#include "tests/lab/lab_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lab/lab_util.h"

static const struct net_def {
	const char *name;
	const char *bridge; /* in the LAB namespace */
	const char *inside; /* the cable's end in the machine */
} nets_def[LAB_NET_COUNT] = {
	[LAB_NET_CLUSTER] = {"cluster", "lab-cluster", "clu0"},
	[LAB_NET_SAN] = {"san", "lab-san", "san0"},
	[LAB_NET_MIGRATION] = {"migration", "lab-migration", "mig0"},
};

const char *lab_net_name(enum lab_net net)
{
	return net < LAB_NET_COUNT ? nets_def[net].name : "none";
}

unsigned int lab_net_mask(const char *name)
{
	if (strcmp(name, "all") == 0)
		return LAB_NET_ALL;
	for (unsigned int i = 0; i < LAB_NET_COUNT; i++)
		if (strcmp(name, nets_def[i].name) == 0)
			return 1u << i;
	return 0;
}

static int ip_batch(const char *script)
{
	const char *const argv[] = {"/sbin/ip", "-batch", "-", NULL};

	return lab_run(argv, script) == 0 ? 0 : -1;
}

static void no_ipv6(void)
{
	lab_write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	lab_write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

int lab_net_setup(void)
{
	char script[2048];
	size_t n = 0;

	no_ipv6();
	n += (size_t)snprintf(script + n, sizeof script - n, "link set lo up\n");
	/* A bridge without an address of its own takes one of a port, and changes it when that machine goes: peers that
	 * remember it would talk to nobody. */
	for (int i = 0; i < LAB_NET_COUNT; i++)
		n += (size_t)snprintf(script + n, sizeof script - n,
				      "link add %s address 02:77:0%d:00:00:fe type bridge mcast_snooping 0\n"
				      "address add 10.77.%d.%d/24 dev %s\n"
				      "link set %s up\n",
				      nets_def[i].bridge, i + 1, i + 1, LAB_HOST_LAB, nets_def[i].bridge,
				      nets_def[i].bridge);
	return ip_batch(script);
}

static void cable_name(char *out, size_t cap, const char *tag, int net)
{
	lab_fmt(out, cap, "%s-%s", tag, nets_def[net].name);
}

/* A machine keeps its hardware addresses over a power cut, as a real one does. */
int lab_net_plug(const char *tag, int host, pid_t pid, unsigned int nets, unsigned int cut)
{
	char script[2048], cable[IFNAMSIZ];
	size_t n = 0;

	for (int i = 0; i < LAB_NET_COUNT; i++) {
		if (!(nets & (1u << i)))
			continue;
		cable_name(cable, sizeof cable, tag, i);
		n += (size_t)snprintf(script + n, sizeof script - n,
				      "link add %s type veth peer name %s address 02:77:0%d:00:00:%02x "
				      "netns %d\nlink set %s master %s %s\n",
				      cable, nets_def[i].inside, i + 1, host, (int)pid, cable,
				      nets_def[i].bridge, cut & (1u << i) ? "down" : "up");
	}
	return ip_batch(script);
}

int lab_net_link(const char *tag, enum lab_net net, bool up)
{
	struct ifreq ifr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	memset(&ifr, 0, sizeof ifr);
	cable_name(ifr.ifr_name, sizeof ifr.ifr_name, tag, (int)net);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) != 0) {
		rc = -errno;
		goto out;
	}
	if (up)
		ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	else
		ifr.ifr_flags = (short)(ifr.ifr_flags & ~IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		rc = -errno;
out:
	close(fd);
	return rc;
}

void lab_net_unplug(const char *tag, unsigned int nets)
{
	char cable[IFNAMSIZ];

	for (int i = 0; i < LAB_NET_COUNT; i++) {
		const char *const argv[] = {"/sbin/ip", "link", "del", cable, NULL};

		cable_name(cable, sizeof cable, tag, i);
		if ((nets & (1u << i)) && if_nametoindex(cable) != 0)
			lab_run(argv, NULL);
	}
}

int lab_net_configure(unsigned int nets, int host)
{
	char script[2048];
	size_t n = 0;

	no_ipv6();
	n += (size_t)snprintf(script + n, sizeof script - n, "link set lo up\n");
	for (int i = 0; i < LAB_NET_COUNT; i++) {
		const char *dev = nets_def[i].inside;

		if (!(nets & (1u << i)))
			continue;
		if (i == LAB_NET_MIGRATION) {
			n += (size_t)snprintf(script + n, sizeof script - n,
					      "link add hvbr0 address 02:77:03:00:01:%02x type bridge "
					      "mcast_snooping 0\n"
					      "link set %s master hvbr0 up\n",
					      host, dev);
			dev = "hvbr0";
		}
		n += (size_t)snprintf(script + n, sizeof script - n,
				      "address add 10.77.%d.%d/24 dev %s\nlink set %s up\n", i + 1,
				      host, dev, dev);
	}
	return ip_batch(script);
}
