/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_net_header.h - the header in front of every packet of virtio-net, checked. Pure; thread: [any].
 */
#ifndef HV_NET_HEADER_H
#define HV_NET_HEADER_H

#include <stdint.h>

#define HV_NET_HEADER_BYTES 12u
#define HV_NET_RARP_BYTES   60u

#define HV_NET_F_CSUM           (1ull << 0)
#define HV_NET_F_GUEST_CSUM     (1ull << 1)
#define HV_NET_F_MAC            (1ull << 5)
#define HV_NET_F_GUEST_TSO4     (1ull << 7)
#define HV_NET_F_GUEST_TSO6     (1ull << 8)
#define HV_NET_F_GUEST_ECN      (1ull << 9)
#define HV_NET_F_HOST_TSO4      (1ull << 11)
#define HV_NET_F_HOST_TSO6      (1ull << 12)
#define HV_NET_F_HOST_ECN       (1ull << 13)
#define HV_NET_F_MRG_RXBUF      (1ull << 15)
#define HV_NET_F_STATUS         (1ull << 16)
#define HV_NET_F_CTRL_VQ        (1ull << 17)
#define HV_NET_F_GUEST_ANNOUNCE (1ull << 21)

/*
 * May a packet of payload_bytes go out with this header, given the negotiated features? 0 or -EINVAL. Puts
 * zero where a driver has nothing to say (num_buffers, unknown flags).
 */
int hv_net_header_check(uint8_t head[HV_NET_HEADER_BYTES], uint64_t features, uint32_t payload_bytes);
/* A broadcast "reverse ARP" of mac: bridges and switches learn from it where mac is now. */
void hv_net_rarp(uint8_t frame[HV_NET_RARP_BYTES], const uint8_t mac[6]);

#endif
