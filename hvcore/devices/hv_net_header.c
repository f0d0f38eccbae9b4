/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_net_header.c - what a guest may ask of the network stack, packet by packet. Parses data of the guest.
 *
 * The kernel checks headers too; this check keeps what was not negotiated away from it at all.
 */
#include "config.h"

#include "hvcore/devices/hv_net_header.h"

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"

#define FLAG_NEEDS_CSUM 1u

#define GSO_NONE  0u
#define GSO_TCPV4 1u
#define GSO_TCPV6 4u
#define GSO_ECN   0x80u

#define ETH_HEADER_BYTES 14u
#define PAYLOAD_MAX (65535u + 18u)

static int header_gso(uint8_t gso, uint64_t features)
{
	uint64_t need = 0;

	if (gso == GSO_NONE)
		return 0;
	switch (gso & ~GSO_ECN) {
	case GSO_TCPV4:
		need = HV_NET_F_HOST_TSO4;
		break;
	case GSO_TCPV6:
		need = HV_NET_F_HOST_TSO6;
		break;
	default:
		return -EINVAL;
	}
	if (gso & GSO_ECN)
		need |= HV_NET_F_HOST_ECN;
	return (features & need) == need ? 0 : -EINVAL;
}

int hv_net_header_check(uint8_t head[HV_NET_HEADER_BYTES], uint64_t features, uint32_t payload_bytes)
{
	uint8_t gso = head[1];
	uint32_t start = cm_le16(head + 6), offset = cm_le16(head + 8);

	if (payload_bytes < ETH_HEADER_BYTES || payload_bytes > PAYLOAD_MAX)
		return -EINVAL;
	head[0] &= FLAG_NEEDS_CSUM;
	cm_put_le16(head + 10, 0);
	if (header_gso(gso, features) < 0)
		return -EINVAL;
	if (gso != GSO_NONE && (!(head[0] & FLAG_NEEDS_CSUM) || !cm_le16(head + 4)))
		return -EINVAL;
	if (!(head[0] & FLAG_NEEDS_CSUM))
		return 0;
	if (!(features & HV_NET_F_CSUM) || start + offset + 2 > payload_bytes)
		return -EINVAL;
	return 0;
}

void hv_net_rarp(uint8_t f[HV_NET_RARP_BYTES], const uint8_t mac[6])
{
	static const uint8_t head[] = {0x80, 0x35, 0, 1, 0x08, 0, 6, 4, 0, 3}; /* RARP, Ethernet, IPv4, request */

	memset(f, 0, HV_NET_RARP_BYTES);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, head, sizeof head);
	memcpy(f + 22, mac, 6); /* sender; its address stays 0 */
	memcpy(f + 32, mac, 6); /* target */
}
