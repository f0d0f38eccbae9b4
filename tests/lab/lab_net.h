/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test bed's three networks: one bridge each in the LAB namespace, one veth cable per machine
 * and network. Addresses are fixed: 10.77.<network>.<machine>.
 */
#ifndef LAB_NET_H
#define LAB_NET_H

#include <stdbool.h>
#include <sys/types.h>

enum lab_net {
	LAB_NET_CLUSTER,
	LAB_NET_SAN,
	LAB_NET_MIGRATION,
	LAB_NET_COUNT,
};

#define LAB_NET_ALL  ((1u << LAB_NET_COUNT) - 1)
#define LAB_HOST_SAN 250 /* last byte of the SAN's address */
#define LAB_HOST_LAB 254 /* last byte of the LAB namespace's own addresses */

/* "cluster", "san", "migration". */
const char *lab_net_name(enum lab_net net);
/* Bit mask of the network named; 0 when there is none; "all" gives all. */
unsigned int lab_net_mask(const char *name);
/* Creates the bridges in this network namespace; 0 or -1. */
int lab_net_setup(void);
/* Lays the cables in `nets` to the machine `tag` ("n1", "san") whose pid 1 is `pid`; 0 or -1. */
int lab_net_plug(const char *tag, int host, pid_t pid, unsigned int nets, unsigned int cut);
/* Sets the cable up or down (carrier included); 0 or -errno. */
int lab_net_link(const char *tag, enum lab_net net, bool up);
/* Removes the cables. */
void lab_net_unplug(const char *tag, unsigned int nets);
/* Inside a machine: addresses, and the VM bridge hvbr0 on the migration cable; 0 or -1. */
int lab_net_configure(unsigned int nets, int host);

#endif
