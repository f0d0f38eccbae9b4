/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_net.c - the network card of virtio.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "hvcore/devices/hv_net_header.h"
#include "tests/unit/hv_virtiokit.h"

static void net_start(struct bench *b, uint64_t features)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	b->tap = fd[0];
	b->nic.tap_fd = fd[1];
	memcpy(b->nic.mac, "\x52\x54\0\1\2\3", 6);
	bench_start(b, &hv_dev_net, &b->nic, features, 3);
}

static void net_offer_rx(struct bench *b, unsigned n, uint32_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct kit_buf buf = {BENCH_DATA_GPA + 0x10000 * (uint64_t)(b->q[0].avail_idx % 16), len, true};

		kit_offer(&b->q[0], &buf, 1, 0);
	}
	kit_ring(&b->q[0]);
}

static void packet_make(uint8_t *p, size_t len)
{
	memset(p, 0, HV_NET_HEADER_BYTES);
	for (size_t i = HV_NET_HEADER_BYTES; i < len; i++)
		p[i] = (uint8_t)(i * 11);
}

static void net_both_ways(void **state)
{
	struct bench *b = *state;
	uint8_t out[1526], in[1526], back[2048];
	struct kit_buf tx[2] = {{BENCH_DATA_GPA, 12, false}, {BENCH_DATA_GPA + 0x1000, 1514, false}};
	uint32_t head, len;

	net_start(b, BENCH_IDX | HV_NET_F_MAC);
	assert_int_equal(kit_in(&b->k, 0x100, 4), 0x01005452);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 1);
	packet_make(out, sizeof out);
	kit_poke(&b->k, tx[0].gpa, out, 12);
	kit_poke(&b->k, tx[1].gpa, out + 12, 1514);
	kit_offer(&b->q[1], tx, 2, 0);
	kit_ring(&b->q[1]);
	assert_int_equal(read(b->tap, in, sizeof in), (int)sizeof in);
	assert_memory_equal(in, out, sizeof in);
	assert_true(kit_used(&b->q[1], &head, &len));
	net_offer_rx(b, 2, 2048);
	assert_int_equal(write(b->tap, out, sizeof out), (int)sizeof out);
	kit_settle(&b->k);
	assert_true(kit_used(&b->q[0], &head, &len));
	assert_int_equal(len, sizeof out);
	kit_peek(&b->k, BENCH_DATA_GPA, back, len);
	assert_int_equal(back[10], 1); /* num_buffers */
	assert_memory_equal(back + 12, out + 12, len - 12);
	assert_false(kit_used(&b->q[0], &head, &len));
	assert_true(b->k.line);
}

static void net_merged(void **state)
{
	struct bench *b = *state;
	static uint8_t out[60000], back[60000];
	uint32_t head, len, sum = 0;
	unsigned n = 0;

	net_start(b, HV_NET_F_MRG_RXBUF | HV_NET_F_GUEST_CSUM | HV_NET_F_GUEST_TSO4);
	packet_make(out, sizeof out);
	net_offer_rx(b, 5, 4096);
	assert_int_equal(write(b->tap, out, sizeof out), (int)sizeof out);
	kit_settle(&b->k);
	assert_false(kit_used(&b->q[0], &head, &len)); /* 20 KiB of room: it waits */
	net_offer_rx(b, 10, 4096);
	while (kit_used(&b->q[0], &head, &len)) {
		kit_peek(&b->k, BENCH_DATA_GPA + 0x10000 * (uint64_t)(n % 16), back + sum, len);
		sum += len;
		n++;
	}
	assert_int_equal(sum, sizeof out);
	assert_int_equal(n, 15);
	assert_int_equal(cm_le16(back + 10), 15);
	assert_memory_equal(back + 12, out + 12, sizeof out - 12);
}

static void net_bad_packets(void **state)
{
	struct bench *b = *state;
	uint8_t p[200];
	struct kit_buf tx = {BENCH_DATA_GPA, sizeof p, false}, tiny = {BENCH_DATA_GPA, 11, false};
	uint32_t head, len;

	net_start(b, HV_NET_F_CSUM);
	packet_make(p, sizeof p);
	p[1] = 1; /* TSO that was not negotiated */
	kit_poke(&b->k, BENCH_DATA_GPA, p, sizeof p);
	kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	assert_int_equal(read(b->tap, p, sizeof p), -1);
	assert_true(kit_used(&b->q[1], &head, &len));
	packet_make(p, sizeof p);
	p[0] = 1;
	cm_put_le16(p + 6, 180); /* checksum beyond the end */
	cm_put_le16(p + 8, 16);
	kit_poke(&b->k, BENCH_DATA_GPA, p, sizeof p);
	kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	assert_int_equal(read(b->tap, p, sizeof p), -1);
	assert_int_equal(kit_counter(&b->k, "tx_dropped"), 2);
	kit_offer(&b->q[1], &tiny, 1, 0);
	kit_ring(&b->q[1]);
	assert_true(kit_in(&b->k, 0x70, 4) & HV_VIRTIO_S_NEEDS_RESET);
}

static void net_announce(void **state)
{
	struct bench *b = *state;
	struct kit_buf ctl[2] = {{BENCH_DATA_GPA, 2, false}, {BENCH_DATA_GPA + 16, 1, true}};
	uint8_t frame[128], ack = 9;

	net_start(b, HV_NET_F_STATUS | HV_NET_F_CTRL_VQ | HV_NET_F_GUEST_ANNOUNCE);
	hv_lock_take(&b->k.lock);
	hv_net_announce(&b->k.dev);
	hv_lock_drop(&b->k.lock);
	assert_true(kit_in(&b->k, 0x60, 4) & HV_VIRTIO_ISR_CONFIG);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 3);
	kit_move(&b->k);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 3);
	kit_poke(&b->k, BENCH_DATA_GPA, "\3\0", 2);
	kit_offer(&b->q[2], ctl, 2, 0);
	kit_ring(&b->q[2]);
	kit_peek(&b->k, BENCH_DATA_GPA + 16, &ack, 1);
	assert_int_equal(ack, 0);
	assert_int_equal(kit_in(&b->k, 0x106, 2), 1);
	hv_lock_take(&b->k.lock);
	hv_net_announce(&b->k.dev);
	hv_lock_drop(&b->k.lock);
	while (read(b->tap, frame, sizeof frame) < 0)
		cm_loop_turn(b->k.loop, 50);
	assert_memory_equal(frame + 12, "\xff\xff\xff\xff\xff\xff\x52\x54\0\1\2\3\x80\x35", 14);
}

static void net_full_tap(void **state)
{
	struct bench *b = *state;
	struct kit_buf tx = {BENCH_DATA_GPA, 30000, false};
	static uint8_t p[30000];
	uint32_t head, len;
	unsigned done = 0, got = 0;

	net_start(b, BENCH_IDX);
	packet_make(p, sizeof p);
	kit_poke(&b->k, BENCH_DATA_GPA, p, sizeof p);
	for (int i = 0; i < 16; i++)
		kit_offer(&b->q[1], &tx, 1, 0);
	kit_ring(&b->q[1]);
	while (kit_used(&b->q[1], &head, &len))
		done++;
	assert_true(done < 16); /* the socket is full */
	kit_move(&b->k); /* what waits moves in the ring */
	while (got < 16) {
		if (read(b->tap, p, sizeof p) > 0)
			got++;
		else
			cm_loop_turn(b->k.loop, 50);
	}
	kit_settle(&b->k);
	while (kit_used(&b->q[1], &head, &len))
		done++;
	assert_int_equal(done, 16);
	assert_int_equal(kit_counter(&b->k, "tx_dropped"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(net_both_ways),
		BENCH_TEST(net_merged),
		BENCH_TEST(net_bad_packets),
		BENCH_TEST(net_announce),
		BENCH_TEST(net_full_tap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
